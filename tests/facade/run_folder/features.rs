//! Features.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use neuroinspect::{
    Extraction, FeatureRequest, FolderFeatures, RunFolder,
    core::{MemoryLimit, Silent},
    datasets::{ImageFolder, ImageFolderConfig, LoaderConfig, OnCorrupt},
    extract_features,
};
use neuroinspect_testing::networks::TinyClassifier;
use tempfile::TempDir;

use super::{device, model};

fn request(file: &str) -> FeatureRequest {
    FeatureRequest {
        file: file.to_owned(),
        device: device(),
        complete: true,
    }
}

/// What is asked for otherwise.
type Change = for<'a> fn(Extraction<'a>) -> Extraction<'a>;

fn same(extraction: Extraction<'_>) -> Extraction<'_> {
    extraction
}

struct Features {
    _root: TempDir,
    images: PathBuf,
    folder: RunFolder,
    model: TinyClassifier,
}

impl Features {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(root.path().join("out"), None).unwrap();
        let images = root.path().join("images");
        super::images(&images);
        Self {
            images,
            folder,
            model: model(),
            _root: root,
        }
    }

    /// Whether features were taken from the folder.
    fn reused(&self, request: &FeatureRequest, change: Change) -> bool {
        self.features(request, change).reused
    }

    /// The features, which are what they would be anew in any case.
    fn features(&self, request: &FeatureRequest, change: Change) -> FolderFeatures {
        let images = ImageFolder::open(&self.images, &ImageFolderConfig::default()).unwrap();
        let loader = LoaderConfig::default().with_on_corrupt(OnCorrupt::Skip);
        let extraction = Extraction::new(&self.model, &images)
            .with_weights_sha256("weights")
            .with_loader(loader);
        let extraction = change(extraction);
        let found = self
            .folder
            .features(&extraction, request, &mut Silent)
            .unwrap();
        let anew = extract_features(&extraction, &mut Silent).unwrap();
        assert_eq!(found.extracted, anew);
        assert_eq!(found.path, self.folder.join(&request.file));
        found
    }
}

#[test]
fn features_are_taken_up_again_while_nothing_has_changed() {
    let bench = Features::new();
    let file = request("features.safetensors");
    assert!(!bench.reused(&file, same));
    assert!(bench.reused(&file, same));
    assert!(!bench.reused(&request("others.safetensors"), same));

    // Of each the one before it is what lies there.
    let changes: [(Change, &[&str]); 3] = [
        (|it| it.with_weights_sha256("others"), &["the weights"]),
        (
            |it| it.with_indices(&[3, 1]),
            &["the weights", "the choice of samples"],
        ),
        (
            |it| it.with_loader(LoaderConfig::default().with_batch_size(5)),
            &["the batch size", "the choice of samples"],
        ),
    ];
    for (change, changed) in changes {
        let features = bench.features(&file, change);
        assert!(!features.reused, "{changed:?}");
        assert_eq!(features.changed, changed);
        let features = bench.features(&file, change);
        assert!(
            features.reused && features.changed.is_empty(),
            "{changed:?}"
        );
    }
    assert!(!bench.reused(&file, same));

    // Time of change and length tell an image from others, each by itself.
    let path = bench.images.join("class-2/3.png");
    let mut image = fs::File::options().append(true).open(&path).unwrap();
    let time = SystemTime::now() - Duration::from_secs(1000);
    image.set_modified(time).unwrap();
    assert!(!bench.reused(&file, same), "another time");
    assert!(bench.reused(&file, same));
    // Bytes after the end of a PNG are nothing to its decoder.
    image.write_all(b"more").unwrap();
    image.set_modified(time).unwrap();
    assert!(!bench.reused(&file, same), "another length");
    fs::remove_file(path).unwrap();
    let features = bench.features(&file, same);
    assert!(!features.reused, "an image less");
    assert_eq!(features.changed, ["the images"]);
}

#[test]
fn what_cannot_be_told_from_others_is_computed_again() {
    let bench = Features::new();
    let file = request("features.safetensors");
    let partly = FeatureRequest {
        complete: false,
        ..file.clone()
    };
    assert!(!bench.reused(&partly, same));
    assert!(
        !bench.reused(&file, same),
        "an unknown table is not trusted"
    );
    assert!(bench.reused(&file, same));
    assert!(!bench.reused(&partly, same));

    // A table that is not the record's.
    assert!(
        !bench.reused(&file, same),
        "what was partly loaded left no record"
    );
    let path = bench.folder.join("features.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(!bench.reused(&file, same));
}

/// As long as it cannot be read, and by who leaves it out.
#[test]
fn features_without_an_image_are_taken_up() {
    let bench = Features::new();
    let file = request("features.safetensors");
    let path = bench.images.join("class-1/2.png");
    let image = fs::read(&path).unwrap();
    fs::write(&path, "no image").unwrap();
    let first = bench.features(&file, same);
    assert!(!first.reused);
    assert_eq!(first.extracted.skipped.len(), 1);
    let second = bench.features(&file, same);
    assert!(second.reused);
    assert_eq!(second.extracted, first.extracted);
    fs::write(&path, image).unwrap();
    let whole = bench.features(&file, same);
    assert!(!whole.reused);
    assert_eq!(whole.extracted.table.len(), first.extracted.table.len() + 1);
}

#[test]
fn features_that_memory_does_not_hold_are_written_as_they_come() {
    let bench = Features::new();
    let (one, two) = (request("one.safetensors"), request("two.safetensors"));
    let in_memory = bench.features(&one, same);
    for reused in [false, true] {
        let in_file = bench.features(&two, |it| it.with_memory(MemoryLimit::of_bytes(0)));
        assert_eq!(in_file.reused, reused);
        assert_eq!(in_file.extracted, in_memory.extracted);
        let limit = in_file.extracted.table.activations().memory_limit();
        assert_eq!(limit, Some(MemoryLimit::of_bytes(0)));
        // How much may be in memory is no reason to compute them again.
        assert!(bench.reused(&two, same));
    }
    let read = |request: &FeatureRequest| fs::read(bench.folder.join(&request.file)).unwrap();
    assert_eq!(read(&one), read(&two));
}
