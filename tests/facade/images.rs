//! Images on their way to the classifier and into a report.

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use burn::tensor::{Device, Tensor};
use image::{Rgb, RgbImage};
use neuroinspect::{
    DebugConfig, DebugInputs, Error, Extraction, burn,
    core::{
        self, Activations, ClassId, Classifier, CopyClassifier, DecisionLayer, FeatureTable,
        InputSpec, Precision, Progress, Seed, Silent, is_cancellation,
    },
    datasets::{Error as DatasetError, ImageDataset, LoaderConfig, Result, Sample, fingerprint_of},
    debug, extract_activations, extract_features,
    models::{CifarResNetConfig, GraphClassifier},
};

use super::made_up::made_up;

/// Forty flat colours of two classes, of which one can be lost.
struct Shades {
    names: Vec<String>,
    groups: Vec<String>,
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
            groups: Vec::new(),
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

    fn group_names(&self) -> &[String] {
        &self.groups
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

    fn fingerprint(&self) -> Option<String> {
        Some(fingerprint_of(self, ["even or odd"]))
    }
}

fn model() -> GraphClassifier {
    made_up(CifarResNetConfig::new(8, 2).init(&Device::flex()).unwrap())
}

/// A classifier on a device that holds a few images only, or breaks.
struct Cramped {
    network: Box<dyn Classifier>,
    most: usize,
    says: &'static str,
    /// How many images each pass was given.
    passes: Arc<Mutex<Vec<usize>>>,
}

impl Cramped {
    fn new(most: usize, says: &'static str) -> Self {
        Self {
            network: Box::new(model()),
            most,
            says,
            passes: Arc::default(),
        }
    }

    fn passes(&self) -> Vec<usize> {
        self.passes.lock().unwrap().clone()
    }
}

impl CopyClassifier for Cramped {
    fn evaluation_copy(
        &self,
        device: &Device,
        precision: Precision,
    ) -> core::Result<Box<dyn Classifier>> {
        Ok(Box::new(Self {
            network: self.network.evaluation_copy(device, precision)?,
            most: self.most,
            says: self.says,
            passes: Arc::clone(&self.passes),
        }))
    }
}

impl Classifier for Cramped {
    fn name(&self) -> &str {
        self.network.name()
    }
    fn input(&self) -> &InputSpec {
        self.network.input()
    }
    fn activations(&self, images: Tensor<4>) -> Activations {
        let count = images.dims()[0];
        self.passes.lock().unwrap().push(count);
        assert!(count <= self.most, "{}", self.says);
        self.network.activations(images)
    }
    fn decision_layer(&self) -> core::Result<DecisionLayer> {
        self.network.decision_layer()
    }
    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> core::Result<()> {
        self.network.set_decision_layer(layer)
    }
    fn device(&self) -> Device {
        self.network.device()
    }
}

/// On this device a row's bits do not depend on the rows beside it.
#[test]
fn a_batch_that_memory_does_not_hold_is_halved() {
    let shades = Shades::new();
    let loader = LoaderConfig::default().with_batch_size(16);
    let whole = Cramped::new(16, "");
    let whole = Extraction::new(&whole, &shades).with_loader(loader.clone());
    let whole = extract_features(&whole, &mut Silent).unwrap().table;
    let cramped = Cramped::new(5, "CUDA out of memory. Tried to allocate 2.00 GiB");
    let extraction = Extraction::new(&cramped, &shades).with_loader(loader);
    let table = extract_features(&extraction, &mut Silent).unwrap().table;
    assert_eq!(cramped.passes()[..3], [16, 8, 4]);
    assert!(cramped.passes()[2..].iter().all(|&images| images == 4));
    assert_eq!(cramped.passes().len(), 12);
    assert!(whole == table);
}

#[test]
fn a_device_that_cannot_hold_an_image_or_breaks_says_so() {
    let shades = Shades::new();
    let failure = |most, says| {
        let cramped = Cramped::new(most, says);
        let extraction = Extraction::new(&cramped, &shades);
        let error = extract_features(&extraction, &mut Silent).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        cramped.passes()
    };
    assert_eq!(
        failure(0, "not enough memory: you tried to allocate 8 bytes"),
        [40, 20, 10, 5, 3, 2, 1]
    );
    assert_eq!(failure(0, "the device was lost"), [40]);
}

/// The class that has more mistakes.
fn mistaken(model: &GraphClassifier, table: &FeatureTable) -> ClassId {
    let layer = model.decision_layer().unwrap();
    let predicted = table.predicted_by(&layer).unwrap();
    let mistakes = |class: &ClassId| predicted.mistakes(*class).unwrap().len();
    let classes = [0, 1].map(ClassId).into_iter();
    classes.max_by_key(mistakes).unwrap()
}

fn config() -> DebugConfig {
    DebugConfig::default().with_pictures(0).with_seed(Seed(0))
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
    let extraction = Extraction::new(&model, &shades).with_loader(loader);
    let error = extract_features(&extraction, &mut stop).unwrap_err();
    assert!(is_cancellation(&error), "{error}");
    assert_eq!(heard, [(8, 40), (16, 40)]);
}

#[test]
fn a_table_says_what_it_is_of() {
    let (model, shades) = (model(), Shades::new());
    let extraction = Extraction::new(&model, &shades).with_weights_sha256("ab");
    let table = extract_features(&extraction, &mut Silent).unwrap().table;
    let provenance = table.provenance();
    assert_eq!(provenance.model, model.name());
    assert_eq!(provenance.weights_sha256.as_deref(), Some("ab"));
    assert_eq!(provenance.layer.as_deref(), Some(model.penultimate()));
    assert_eq!(provenance.precision, Precision::F32);
    assert_eq!(provenance.dataset.as_deref(), Some("shades"));
    assert!(provenance.dataset_sha256.is_some());
    assert_eq!(provenance.dataset_sha256, shades.fingerprint());
    assert_eq!(table.sample_ids()[3], "shade 3");
}

#[test]
fn any_layer_can_be_extracted() {
    let (model, shades) = (model(), Shades::new());
    let extraction = Extraction::new(&model, &shades).with_indices(&[5, 2]);
    let features = extract_features(&extraction, &mut Silent).unwrap();
    let penultimate = extract_activations(&extraction, model.penultimate(), &mut Silent).unwrap();
    assert_eq!(penultimate.indices, [5, 2]);
    assert_eq!(penultimate.table, *features.table.activations());

    let layer = "layer1.0.conv2";
    let found = extract_activations(&extraction, layer, &mut Silent)
        .unwrap()
        .table;
    assert_eq!(found.values().unwrap().dim(), (2, 16));
    assert_eq!(found.provenance().layer.as_deref(), Some(layer));
    assert_eq!(found.sample_ids(), ["shade 5", "shade 2"]);
    // The mean over positions of what the layer gives.
    let device = Device::flex();
    let pixels = [30, 90, 0].map(|channel| channel as f32 / 255.0);
    let pixels = pixels.map(|value| vec![value; 32 * 32]).concat();
    let pixels = burn::tensor::TensorData::new(pixels, [1, 3, 32, 32]);
    let image = model
        .input()
        .normalize(burn::tensor::Tensor::from_data(pixels, &device));
    let values = model.activations_at(image, &[layer]).unwrap().remove(0);
    let expected: Vec<f32> = values.pooled().try_into_vec_as().unwrap();
    for (found, expected) in found.of_sample(0).unwrap().iter().zip(expected) {
        // Folded batch normalisation rounds in another order.
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
    }

    let error = extract_activations(&extraction, "layer1.0.conv9", &mut Silent).unwrap_err();
    assert!(error.to_string().contains("'layer1.0.conv"), "{error}");
}

/// Without a word, groups would be missing from every result.
#[test]
fn a_sample_without_a_group_is_refused_before_the_work() {
    let (model, mut shades) = (model(), Shades::new());
    shades.groups = vec!["all".into()];
    for sample in &mut shades.samples {
        sample.group = Some(0);
    }
    let groups = |shades: &Shades| {
        let extracted = extract_features(&Extraction::new(&model, shades), &mut Silent);
        extracted.map(|it| it.table.groups().cloned())
    };
    assert_eq!(groups(&shades).unwrap().unwrap().of_sample(), [0; 40]);
    shades.samples[7].group = None;
    let mut untouched =
        |progress: Progress<'_>| -> ControlFlow<()> { panic!("{progress:?} began") };
    let error = extract_features(&Extraction::new(&model, &shades), &mut untouched).unwrap_err();
    let Error::Datasets(DatasetError::MissingGroup { sample, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(sample, "shade 7");
}

#[test]
fn an_image_lost_meanwhile_costs_no_report() {
    let (model, shades) = (model(), Shades::new());
    let extracted = extract_features(&Extraction::new(&model, &shades), &mut Silent).unwrap();
    let table = &extracted.table;
    let inputs = DebugInputs::new(&model, table).with_images(&shades, &extracted.indices);
    let findings = debug(&inputs, mistaken(&model, table), &config(), &mut Silent).unwrap();
    let whole = inputs.report(&findings).unwrap();
    assert!(whole.images.failures.is_empty());
    let first = findings.explanation.counterfactuals[0].sample;
    shades.lost.store(first, Ordering::Relaxed);
    let report = inputs.report(&findings).unwrap();
    assert_eq!(report.images.mistakes, whole.images.mistakes[1..]);
    let [failure] = &report.images.failures[..] else {
        panic!("{:?}", report.images.failures);
    };
    let name = format!("shade {first}");
    assert!(failure.reason.contains(&name), "{failure:?}");
    assert!(failure.reason.contains("the disk is gone"), "{failure:?}");
    assert!(report.html().unwrap().contains("the disk is gone"));
}

#[test]
fn findings_of_other_features_are_not_shown_with_these() {
    let (model, shades) = (model(), Shades::new());
    let all = Extraction::new(&model, &shades);
    let extracted = extract_features(&all, &mut Silent).unwrap();
    let inputs = DebugInputs::new(&model, &extracted.table);
    let class = mistaken(&model, &extracted.table);
    let findings = debug(&inputs, class, &config(), &mut Silent).unwrap();
    let few = extract_features(&all.clone().with_indices(&[0, 1]), &mut Silent).unwrap();
    let others = DebugInputs::new(&model, &few.table).with_images(&shades, &few.indices);
    let error = others.report(&findings).unwrap_err();
    assert!(error.to_string().contains("sample"), "{error}");
    let mixed = inputs.clone().with_images(&shades, &few.indices);
    let error = mixed.report(&findings).unwrap_err();
    assert!(error.to_string().contains("samples"), "{error}");
    // As JSON gives them back.
    let mut read = findings;
    read.explanation.shifts = Default::default();
    let error = inputs.report(&read).unwrap_err();
    assert!(error.to_string().contains("has no shifts"), "{error}");
}
