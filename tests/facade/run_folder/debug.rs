//! Findings and reports.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use image::RgbImage;

use neuroinspect::{
    DebugConfig, DebugInputs, Error, Extraction, Findings, NeuronChoice, PictureOrigin, RunFolder,
    core::{ClassId, NeuronId, Observer, Silent},
    datasets::{ImageDataset, ImageFolder, Sample},
    editing::{EditConfig, EditData, TrainingConfig},
    extract_features,
    illusion::{Augmentation, Execution},
    report::EditFile,
};

use super::{STEPS, device, images, mistaken, model, recipe, stopping_at};

/// Every file below a folder with its content, but for the lock.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_owned();
            match path.is_dir() {
                true => folders.push(path),
                false => drop(files.insert(name, fs::read(path).unwrap())),
            }
        }
    }
    files.remove(Path::new(".neuroinspect.lock"));
    files
}

/// What `debug` leaves in a folder, stopped at a step of the pictures where one is given, and then
/// taken up.
fn debugged(stop: Option<usize>) -> (BTreeMap<PathBuf, Vec<u8>>, Findings) {
    let root = tempfile::tempdir().unwrap();
    let images = images(&root.path().join("images"));
    let model = model();
    let extracted = extract_features(&Extraction::new(&model, &images), &mut Silent).unwrap();
    let table = &extracted.table;
    let class = mistaken(&model, table);
    let data = EditData::of_parts(table.clone(), table.clone(), table.clone()).unwrap();
    let training = TrainingConfig::default().with_epochs(2, None);
    let config = DebugConfig::default()
        .with_neurons(NeuronChoice::Given((0..5).map(NeuronId).collect()))
        .with_editing(EditConfig::default().with_training(training))
        .with_recipe(recipe().with_augmentation(Augmentation::off()))
        .with_execution(Execution::default().with_batch_size(2));

    let out = root.path().join("out");
    let mut findings = None;
    let stops = stop.map(Some).into_iter().chain([None]);
    for stop in stops {
        let folder = RunFolder::open(&out, None).unwrap();
        let pictures = folder.pictures(
            "debug",
            PictureOrigin {
                classifier_sha256: "weights".into(),
                encoder_sha256: None,
                encoder_config_sha256: None,
                device: device(),
                complete: true,
            },
        );
        let inputs = DebugInputs::new(&model, table)
            .with_edit_data(&data)
            .with_images(&images, &extracted.indices)
            .with_pictures(&pictures)
            .with_edit_file(EditFile {
                path: RunFolder::EDIT_FILE.into(),
                how_to_apply: None,
            });
        let mut observer: Box<dyn Observer> = match stop {
            Some(step) => Box::new(stopping_at(step)),
            None => Box::new(Silent),
        };
        let found = folder.debug(&inputs, class, &config, observer.as_mut());
        let found = found.unwrap();
        assert_eq!(found.interrupted, stop.is_some());
        findings = Some(found);
    }
    let mut files = files(&out);
    for (name, bytes) in &mut files {
        // Times are of each run.
        if name.ends_with(Findings::JSON_FILE) {
            let mut json: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            assert_eq!(json["schema"], "neuroinspect.findings");
            assert!(json["schema_version"].is_u64());
            json["run"]["timings"].take();
            *bytes = serde_json::to_vec(&json).unwrap();
        } else if name.ends_with(Findings::HTML_FILE) {
            let html = String::from_utf8(bytes.clone()).unwrap();
            let (before, rest) = html.split_once("<dd id=\"timings\">").unwrap();
            let (_, after) = rest.split_once("</dd>").unwrap();
            *bytes = format!("{before}{after}").into_bytes();
        }
    }
    (files, findings.unwrap())
}

/// Notes which images are decoded.
struct Counting {
    images: ImageFolder,
    decoded: Mutex<Vec<usize>>,
}

impl ImageDataset for Counting {
    fn name(&self) -> &str {
        self.images.name()
    }
    fn class_names(&self) -> &[String] {
        self.images.class_names()
    }
    fn samples(&self) -> &[Sample] {
        self.images.samples()
    }
    fn image(&self, index: usize) -> neuroinspect::datasets::Result<RgbImage> {
        self.decoded.lock().unwrap().push(index);
        self.images.image(index)
    }
}

/// Once to compare pictures with, and once to be shown, however often what has been found is written.
#[test]
fn a_run_decodes_a_real_image_twice_at_most() {
    let root = tempfile::tempdir().unwrap();
    let counting = Counting {
        images: images(&root.path().join("images")),
        decoded: Mutex::default(),
    };
    let model = model();
    let extracted = extract_features(&Extraction::new(&model, &counting), &mut Silent).unwrap();
    let table = &extracted.table;
    let class = mistaken(&model, table);
    counting.decoded.lock().unwrap().clear();
    let config = DebugConfig::default()
        .with_neurons(NeuronChoice::Given((0..3).map(NeuronId).collect()))
        .with_recipe(recipe())
        .with_execution(Execution::default().with_batch_size(1));
    let inputs = DebugInputs::new(&model, table).with_images(&counting, &extracted.indices);
    let folder = RunFolder::open(root.path().join("out"), None).unwrap();
    folder.debug(&inputs, class, &config, &mut Silent).unwrap();
    let mut decoded = counting.decoded.into_inner().unwrap();
    decoded.sort_unstable();
    let times = decoded.chunk_by(|a, b| a == b).map(<[usize]>::len);
    assert_eq!(times.max(), Some(2), "{decoded:?}");
}

#[test]
fn a_run_that_was_stopped_comes_out_as_one_left_alone() {
    let (expected, findings) = debugged(None);
    assert_eq!(findings.failures, []);
    assert_eq!((findings.pictures.len(), findings.pictures_reused), (5, 0));
    for name in [
        Findings::JSON_FILE,
        Findings::HTML_FILE,
        Findings::SHEET_FILE,
        RunFolder::EDIT_FILE,
        &findings.pictures[3].file,
    ] {
        assert!(expected.contains_key(Path::new(name)), "{name}");
    }
    // Another seed makes a step, too.
    let of_batch = STEPS + 1;
    for step in [1, STEPS, of_batch, 2 * of_batch + 1] {
        let (files, findings) = debugged(Some(step));
        assert_eq!(findings.pictures_reused, 2 * (step / of_batch));
        assert!(files.keys().eq(expected.keys()), "{:?}", files.keys());
        for (name, bytes) in files {
            assert!(bytes == expected[&name], "{}", name.display());
        }
    }
}

#[test]
fn an_earlier_runs_findings_are_cleared_when_there_are_others() {
    let root = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(&root, None).unwrap();
    fs::create_dir(folder.join("neurons")).unwrap();
    let old = folder.join("neurons/neuron-99-class-0.png");
    fs::write(&old, "old").unwrap();
    let model = model();
    let dataset = images(&root.path().join("images"));
    let extracted = extract_features(&Extraction::new(&model, &dataset), &mut Silent).unwrap();
    let inputs = DebugInputs::new(&model, &extracted.table);
    let config = DebugConfig::default().with_pictures(0);

    // Nothing is lost to a run that has nothing to put in its place.
    let error = folder.debug(&inputs, ClassId(9), &config, &mut Silent);
    assert!(error.is_err() && old.exists());

    let class = mistaken(&model, &extracted.table);
    folder.debug(&inputs, class, &config, &mut Silent).unwrap();
    assert!(!old.exists());

    let summary = folder.join(Findings::JSON_FILE);
    fs::remove_file(&summary).unwrap();
    fs::create_dir(folder.join(RunFolder::EDIT_FILE)).unwrap();
    let error = folder
        .debug(&inputs, class, &config, &mut Silent)
        .unwrap_err();
    assert!(matches!(error, Error::Remove { .. }), "{error}");
    // Nothing is put beside what could not be removed.
    assert!(!summary.exists());
}
