//! Training a graph as any Burn module.

use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::loss::CrossEntropyLossConfig,
    tensor::{Device, Gradients, Tensor, TensorData},
};
use burn_optim::{AdamConfig, GradientsParams};
use neuroinspect_core::Classifier;
use neuroinspect_models::{
    Checkpoint, CifarResNetConfig, GraphClassifier, PretrainedClassifier, Strictness,
};
use tempfile::tempdir;

use crate::support::images;

/// The feature map, by running statistics.
fn map(model: &GraphClassifier, images: Tensor<4>) -> TensorData {
    let map = model.activations(images).map.unwrap();
    map.without_autodiff().into_data()
}

fn train_once(model: &GraphClassifier, images: &Tensor<4>) {
    let images = images.clone().autodiff().require_grad();
    model.forward(images).unwrap();
}

/// The trap that [`Classifier::activations`] must not fall into: Burn's batch normalisation uses
/// the batch's statistics, and overwrites the running ones, when images are tracked.
#[test]
fn only_training_touches_the_running_statistics() {
    let device = Device::flex();
    let model = CifarResNetConfig::new(8, 2);
    let model = model.init(&device.clone().autodiff()).unwrap();
    let images = images(32, &device).autodiff().require_grad();
    let evaluated = || map(&model, images.clone());
    let before = evaluated();
    assert_eq!(evaluated(), before);

    let gradients = model.forward(images.clone()).unwrap().sum().backward();
    let mut counter = WithGradient {
        gradients: &gradients,
        count: 0,
    };
    model.visit(&mut counter);
    // 7 convolutions, scale and shift of 7 normalisations, weight and bias of the head.
    assert_eq!(counter.count, 7 + 2 * 7 + 2);
    assert_ne!(evaluated(), before);
}

/// Burn keeps the last step's running statistics apart from the others.
#[test]
fn a_network_just_trained_is_saved_and_loaded_as_it_is() {
    let device = Device::flex();
    let config = CifarResNetConfig::new(8, 2);
    let training = device.clone().autodiff();
    let trained = config.init(&training).unwrap();
    let images = images(32, &device);
    train_once(&trained, &images);
    let folder = tempdir().unwrap();
    let path = folder.path().join("trained.safetensors");
    trained.save(&path).unwrap();

    let map = |model: &GraphClassifier| map(model, images.clone());
    let saved = Checkpoint::open(&path).unwrap();
    let mut fresh = config.init(&training).unwrap();
    fresh.load(&saved, Strictness::Strict).unwrap();
    assert_eq!(map(&fresh), map(&trained));

    // Loaded into one just trained, too.
    let mut other = config.init(&training).unwrap();
    train_once(&other, &images);
    other.load(&saved, Strictness::Strict).unwrap();
    assert_eq!(map(&other), map(&fresh));
}

/// Counts the parameters that a gradient reached.
struct WithGradient<'a> {
    gradients: &'a Gradients,
    count: usize,
}

impl ModuleVisitor for WithGradient<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.count += usize::from(param.val().grad(self.gradients).is_some());
    }
}

/// Mean of the first normalisation, as it is saved.
fn running_mean(model: &GraphClassifier) -> Vec<f32> {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    Checkpoint::open(&path)
        .unwrap()
        .read("bn1.running_mean")
        .unwrap()
}

#[test]
fn an_optimiser_trains_it_and_a_copy_for_evaluation_stays() {
    let device = Device::flex();
    device.seed(1);
    let training = device.clone().autodiff();
    let mut model = CifarResNetConfig::new(8, 2).init(&training).unwrap();
    let images = images(16, &training);
    let labels = Tensor::from_data([0, 1], &training);
    let cross_entropy = CrossEntropyLossConfig::new().init(&training);
    let mut optimizer = AdamConfig::new().init();
    let mut losses: Vec<f32> = Vec::new();
    let mut copy = None;
    for step in 0..8 {
        let logits = model.forward(images.clone()).unwrap();
        let loss = cross_entropy.forward(logits, labels.clone());
        losses.push(loss.clone().into_scalar());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
        if step == 2 {
            let valid = model.valid();
            let mean = running_mean(&valid);
            copy = Some((valid, mean));
        }
    }
    assert!(losses[7] < 0.5 * losses[0], "{losses:?}");

    let (valid, mean) = copy.unwrap();
    assert!(mean.iter().any(|&mean| mean != 0.0));
    assert_eq!(running_mean(&valid), mean);
    let moved = running_mean(&model);
    assert_ne!(moved, mean);

    // In evaluation state, nothing moves them, whatever runs.
    let valid = model.valid();
    valid.forward(images.clone().require_grad()).unwrap();
    valid.activations(images.clone().require_grad());
    assert_eq!(running_mean(&valid), moved);
    let frozen = model.freeze();
    frozen.forward(images.require_grad()).unwrap();
    assert_eq!(running_mean(&frozen), moved);
}
