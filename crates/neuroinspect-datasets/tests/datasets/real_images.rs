//! Real photographs, from the archives in `NEUROINSPECT_SHARED/data`.

use std::{process::Command, thread, time::Instant};

#[cfg(feature = "turbojpeg")]
use neuroinspect_core::io::sha256_of_bytes;
use neuroinspect_core::{InputSpec, Interpolation, ResizeRule};
use neuroinspect_datasets::{ImageDataset, ImageFolder, ImageFolderConfig, LoaderConfig, batches};
use neuroinspect_testing::real_data;

/// Unpacks one folder of an archive.
fn unpack(archive: &str, member: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("tar")
        .arg("-xf")
        .arg(real_data::path(archive))
        .arg("-C")
        .arg(folder.path())
        .arg(member)
        .status()
        .unwrap();
    assert!(status.success());
    folder
}

/// Streams a folder, prints how fast, and returns the mean of each channel.
fn stream(folder: &ImageFolder, spec: &InputSpec) -> [f64; 3] {
    let started = Instant::now();
    let mut sums = [0.0; 3];
    let mut images = 0;
    thread::scope(|scope| {
        for batch in batches(scope, folder, None, spec, &LoaderConfig::default()).unwrap() {
            let batch = batch.unwrap();
            images += batch.indices.len();
            for ((_, channel, _, _), &value) in batch.images.indexed_iter() {
                sums[channel] += f64::from(value);
            }
        }
    });
    assert_eq!(images, folder.samples().len());
    let speed = images as f64 / started.elapsed().as_secs_f64();
    println!("{}: {images} images, {speed:.0} images/s", folder.name());
    sums.map(|sum| sum / (images * spec.size * spec.size) as f64)
}

/// Checks all pixels of all images, in order, against the hash that `tools/golden_photographs.py` prints of
/// what Pillow 12 decodes (its libjpeg-turbo is 3.1; Pillow 13 with 3.2 decodes the same).
#[cfg(feature = "turbojpeg")]
fn check_pixels(folder: &ImageFolder, expected: &str) {
    let hash = |index| sha256_of_bytes(&folder.image(index).unwrap());
    let hashes: String = (0..folder.samples().len()).map(hash).collect();
    assert_eq!(sha256_of_bytes(hashes.as_bytes()), expected);
}

/// Checks the channel means against those of PIL and torchvision, which libjpeg-turbo decoded for.
///
/// Tolerance: half a unit of 255. Our decoder rounds chroma up where libjpeg-turbo alternates, which
/// was measured to shift the means by 0.13 (green, down) to 0.35 (blue, up) units.
fn check(found: [f64; 3], expected: [f64; 3]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 0.5 / 255.0, "{found} {expected}");
    }
}

#[test]
#[ignore = "needs real images"]
fn cifar10_streams_as_torchvision_sees_it() {
    let unpacked = unpack("cifar10-jpeg.tar.gz", "test");
    let root = unpacked.path().join("test");
    let folder = ImageFolder::open(root, &ImageFolderConfig::default()).unwrap();
    assert_eq!(folder.samples().len(), 10_000);
    assert_eq!(folder.class_names()[..2], ["airplane", "automobile"]);
    #[cfg(feature = "turbojpeg")]
    check_pixels(
        &folder,
        "02825e3427a28e8c34483e0534bb9bbb7f9c36b734e8e65eeadfe33a0e000a52",
    );
    check(
        stream(&folder, &InputSpec::new(32)),
        [0.49406573, 0.4850636, 0.45038201],
    );
}

#[test]
#[ignore = "needs real images"]
fn imagenet_streams_as_torchvision_sees_it() {
    let unpacked = unpack("imagenet-sample-256.tar", "imagenet-sample-256");
    let root = unpacked.path().join("imagenet-sample-256");
    let config =
        ImageFolderConfig::default().with_class_names_file(real_data::path("imagenet-classes.tsv"));
    let folder = ImageFolder::open(root, &config).unwrap();
    assert_eq!(folder.samples().len(), 1000);
    assert_eq!(folder.class_names()[..2], ["tench", "goldfish"]);
    #[cfg(feature = "turbojpeg")]
    check_pixels(
        &folder,
        "609bf6b8eb0e6548d14cfc749095da5a8124d2e86e0ae06f1d73c9df46b3591b",
    );
    let spec = InputSpec::new(128)
        .with_resize(ResizeRule::ShorterSide { to: 146 })
        .with_interpolation(Interpolation::Bicubic);
    check(stream(&folder, &spec), [0.4905382, 0.45826908, 0.40887508]);
}
