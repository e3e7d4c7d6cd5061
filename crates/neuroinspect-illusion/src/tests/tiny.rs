//! A smooth classifier and a smooth encoder of a few hundred weights.

use std::sync::Mutex;

use burn::tensor::{Device, Tensor, activation::tanh, module::conv2d, ops::ConvOptions};
use ndarray::Array2;
use neuroinspect_core::{
    ClassId, Classifier, DecisionLayer, Error, ImageTextEncoder, InputSpec, NeuronId, Result,
};

use super::{normals, tensor};
use crate::{Guide, Pair};

pub(super) const NEURONS: usize = 6;
pub(super) const CLASSES: usize = 4;
const WIDTH: usize = 5;

pub(super) struct Net {
    filters: Tensor<4>,
    layer: DecisionLayer,
    pub(super) input: InputSpec,
    /// Whether the feature map forgets where it came from.
    pub(super) detached: bool,
    /// How many images each look was at.
    pub(super) looks: Mutex<Vec<usize>>,
}

impl Net {
    pub(super) fn new(size: usize) -> Self {
        let weight = normals("weight", CLASSES * NEURONS);
        let weight = Array2::from_shape_vec((CLASSES, NEURONS), weight).unwrap();
        Self {
            filters: filters("classifier", NEURONS),
            layer: DecisionLayer::new(weight, normals("bias", CLASSES).into()).unwrap(),
            input: InputSpec::imagenet(size),
            detached: false,
            looks: Mutex::default(),
        }
    }
}

impl Classifier for Net {
    fn name(&self) -> &str {
        "tiny"
    }
    fn input(&self) -> &InputSpec {
        &self.input
    }
    fn feature_map(&self, images: Tensor<4>) -> Tensor<4> {
        self.looks.lock().unwrap().push(images.dims()[0]);
        let map = convolved(images, &self.filters);
        if self.detached { map.detach() } else { map }
    }
    fn decision_layer(&self) -> Result<DecisionLayer> {
        Ok(self.layer.clone())
    }
    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> Result<()> {
        self.layer = layer.clone();
        Ok(())
    }
    fn device(&self) -> Device {
        self.filters.device()
    }
}

pub(super) struct Encoder {
    filters: Tensor<4>,
    pub(super) input: InputSpec,
}

impl Encoder {
    pub(super) fn new(size: usize) -> Self {
        Self {
            filters: filters("encoder", WIDTH),
            input: InputSpec::new(size).with_normalization([0.5; 3], [0.25; 3]),
        }
    }

    pub(super) fn guide(&self) -> Guide<'_> {
        Guide {
            encoder: self,
            class_embeddings: tensor(normals("texts", CLASSES * WIDTH), [CLASSES, WIDTH]) / 4.0,
        }
    }
}

impl ImageTextEncoder for Encoder {
    fn name(&self) -> &str {
        "tiny clip"
    }
    fn input(&self) -> &InputSpec {
        &self.input
    }
    fn encode_images(&self, images: Tensor<4>) -> Tensor<2> {
        let map = convolved(images, &self.filters);
        let [n, channels, height, width] = map.dims();
        map.reshape([n, channels, height * width])
            .mean_dim(2)
            .squeeze_dim(2)
    }
    fn encode_texts(&self, _: &[String]) -> Result<Tensor<2>> {
        Err(Error::Model {
            model: "tiny clip".into(),
            reason: "reads no texts".into(),
        })
    }
    fn device(&self) -> Device {
        self.filters.device()
    }
}

fn filters(name: &str, count: usize) -> Tensor<4> {
    tensor(normals(name, count * 3 * 9), [count, 3, 3, 3]) / 3.0
}

/// Smooth, so that finite differences meet no kink.
fn convolved(images: Tensor<4>, filters: &Tensor<4>) -> Tensor<4> {
    let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
    tanh(conv2d(images, filters.clone(), None, options))
}

pub(super) fn pairs<const N: usize>(pairs: [(usize, usize); N]) -> [Pair; N] {
    pairs.map(|(neuron, class)| Pair {
        neuron: NeuronId(neuron),
        class: ClassId(class),
    })
}
