//! Images on their way to the classifier and into a report.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicUsize, Ordering},
};

use burn::tensor::Device;
use image::{Rgb, RgbImage};
use neuroinspect::{
    DebugConfig, Findings, Presentation, Subject, burn,
    core::{ClassId, Classifier, Progress, Seed, Silent},
    datasets::{Error as DatasetError, ImageDataset, LoaderConfig, Result, Sample},
    debug, extract_features,
    models::{CifarResNet, CifarResNetConfig},
    report::Run,
};

/// Forty flat colours of two classes, of which one can be lost.
struct Shades {
    names: Vec<String>,
    samples: Vec<Sample>,
    lost: AtomicUsize,
}

impl Shades {
    fn new() -> Self {
        let sample = |index: usize| Sample {
            id: format!("shade {index}"),
            label: ClassId(index % 2),
            group: None,
        };
        Self {
            names: ["even", "odd"].map(String::from).to_vec(),
            samples: (0..40).map(sample).collect(),
            lost: AtomicUsize::new(usize::MAX),
        }
    }
}

impl ImageDataset for Shades {
    fn name(&self) -> &str {
        "shades"
    }

    fn class_names(&self) -> &[String] {
        &self.names
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    fn image(&self, index: usize) -> Result<RgbImage> {
        let sample = self.sample(index)?.id.clone();
        if index == self.lost.load(Ordering::Relaxed) {
            let reason = "the disk is gone".to_owned();
            return Err(DatasetError::Sample { sample, reason });
        }
        Ok(RgbImage::from_pixel(8, 8, Rgb([6 * index as u8, 90, 0])))
    }
}

fn model() -> CifarResNet {
    let device = Device::flex();
    device.seed(1);
    CifarResNetConfig::new(8, 2).init(&device).unwrap()
}

/// What is found of the class that has more mistakes.
fn findings(model: &CifarResNet, table: &neuroinspect::core::FeatureTable) -> Findings {
    let mistakes = |class: &ClassId| table.mistakes(*class).unwrap().len();
    let class = [0, 1]
        .map(ClassId)
        .into_iter()
        .max_by_key(mistakes)
        .unwrap();
    let subject = Subject {
        classifier: model,
        table,
        guide: None,
        edit_data: None,
    };
    let config = DebugConfig::new().with_pictures(0).with_seed(Seed(0));
    debug(subject, class, &config, &mut Silent).unwrap()
}

#[test]
fn extraction_can_be_stopped() {
    let (model, shades) = (model(), Shades::new());
    let loader = LoaderConfig::default().with_batch_size(8);
    let mut heard = Vec::new();
    let mut stop = |progress: Progress<'_>| {
        heard.push((progress.done, progress.total));
        match progress.done {
            8 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    };
    let error = extract_features(&model, &shades, None, None, &loader, &mut stop).unwrap_err();
    assert!(error.is_cancellation(), "{error}");
    assert_eq!(heard, [(8, 40), (16, 40)]);
}

#[test]
fn an_image_lost_meanwhile_costs_no_report() {
    let (model, shades) = (model(), Shades::new());
    let loader = LoaderConfig::default();
    let extracted = extract_features(&model, &shades, None, None, &loader, &mut Silent).unwrap();
    let findings = findings(&model, &extracted.table);
    let presentation = Presentation {
        dataset: &shades,
        extracted: &extracted,
        run: Run::new(model.name(), shades.name(), "flex", Seed(0)),
        edit_file: None,
        context_responses: Default::default(),
    };
    let whole = presentation.report(&findings).unwrap();
    assert!(whole.summary.failures.is_empty());
    let first = findings.explanation.outcomes[0].sample;
    shades.lost.store(first, Ordering::Relaxed);
    let report = presentation.report(&findings).unwrap();
    let rest = whole.mistakes[1..].to_vec();
    assert_eq!(report.mistakes, rest);
    let [failure] = &report.summary.failures[..] else {
        panic!("{:?}", report.summary.failures);
    };
    let name = format!("shade {first}");
    assert!(failure.reason.contains(&name), "{failure:?}");
    assert!(failure.reason.contains("the disk is gone"), "{failure:?}");
    report.html().unwrap();
}

#[test]
fn findings_of_other_features_are_not_shown_with_these() {
    let (model, shades) = (model(), Shades::new());
    let loader = LoaderConfig::default();
    let extract = |indices: Option<&[usize]>| {
        extract_features(&model, &shades, indices, None, &loader, &mut Silent).unwrap()
    };
    let findings = findings(&model, &extract(None).table);
    let presentation = Presentation {
        dataset: &shades,
        extracted: &extract(Some(&[0, 1])),
        run: Run::new(model.name(), shades.name(), "flex", Seed(0)),
        edit_file: None,
        context_responses: Default::default(),
    };
    let error = presentation.report(&findings).unwrap_err();
    assert!(error.to_string().contains("samples"), "{error}");
}
