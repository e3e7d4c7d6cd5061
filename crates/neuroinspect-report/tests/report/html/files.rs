//! Files beside the page, and what cannot be written.

use image::RgbImage;
use ndarray::Array3;
use neuroinspect_core::{ClassId, NeuronId};
use neuroinspect_illusion::Pair;
use neuroinspect_report::{Error, Findings, to_rgb_image};

use crate::sample::{self, Sample};

#[test]
fn a_folder_holds_every_file_that_the_findings_name() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample::full();
    sample.report().write(folder.path().join("out")).unwrap();
    let file = |name: &str| folder.path().join("out").join(name);
    for name in [
        Findings::JSON_FILE,
        Findings::HTML_FILE,
        Findings::SHEET_FILE,
    ] {
        assert!(file(name).is_file(), "{name}");
    }
    for picture in &sample.findings.pictures {
        let read = |name: &str| image::open(file(name)).unwrap().into_rgb8();
        let image = to_rgb_image(picture.illusion.image.view()).unwrap();
        assert_eq!(read(&picture.file), image);
        let masked = picture.illusion.masked_image().unwrap();
        let masked = to_rgb_image(masked.view()).unwrap();
        assert_eq!(read(picture.masked_file.as_ref().unwrap()), masked);
    }
}

#[test]
fn a_report_without_neurons_has_no_contact_sheet() {
    let folder = tempfile::tempdir().unwrap();
    sample::empty().report().write(folder.path()).unwrap();
    assert!(folder.path().join(Findings::HTML_FILE).is_file());
    assert!(!folder.path().join(Findings::SHEET_FILE).exists());
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let error = sample::full()
        .report()
        .write(&file)
        .unwrap_err()
        .to_string();
    let start = format!("cannot write '{}", file.display());
    assert!(error.starts_with(&start), "{error}");
}

/// As findings have them that were read from JSON.
#[test]
fn a_picture_without_pixels_is_refused() {
    let mut report = sample::full();
    report.findings.pictures[1].illusion.image = Array3::zeros((0, 0, 0));
    let error = report.html().unwrap_err();
    assert!(
        matches!(
            error,
            Error::MissingPixels {
                neuron: NeuronId(7),
                class: ClassId(0)
            }
        ),
        "{error}"
    );
}

#[test]
fn classes_of_pictures_are_checked() {
    let faults: [fn(&mut Sample); 4] = [
        |report| report.images.mistakes[0].label = ClassId(6),
        |report| report.images.mistakes[0].prediction = ClassId(6),
        |report| report.images.neurons[2].top_overall[0].label = ClassId(6),
        |report| {
            let mut neuron = report.images.neurons[0].clone();
            neuron.pair = Pair {
                class: ClassId(6),
                ..neuron.pair
            };
            report.images.neurons.push(neuron);
        },
    ];
    for spoil in faults {
        let mut report = sample::full();
        spoil(&mut report);
        let error = report.html().unwrap_err().to_string();
        assert!(error.contains("class 6 is out of range"), "{error}");
    }
}

#[test]
fn an_image_without_pixels_is_named() {
    let mut report = sample::full();
    report.images.mistakes[0].image = RgbImage::new(0, 0);
    let error = report.html().unwrap_err().to_string();
    assert!(error.contains("scenes/validation/boat/0000.png"), "{error}");
}
