//! A smooth classifier and a smooth encoder of a few hundred weights.
//!
//! Smooth, so that finite differences meet no kink: each is a convolution of stride 2, a hyperbolic
//! tangent, and the mean over positions. Their weights are made by [`fill::normal`].

use burn::{
    module::{Module, Param},
    nn::{
        BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{Device, Tensor, TensorData, activation::tanh, module::conv2d, ops::ConvOptions},
};
use ndarray::Array2;
use neuroinspect_core::{
    Activations, Classifier, DecisionLayer, ImageTextEncoder, InputSpec, Result,
};

use crate::fill;

/// A classifier of 4 classes over 6 neurons, for images of any size.
#[derive(Module, Debug)]
pub struct TinyClassifier {
    filters: Param<Tensor<4>>,
    head: Linear,
    #[module(skip)]
    input: InputSpec,
}

impl TinyClassifier {
    /// Number of neurons.
    pub const NEURONS: usize = 6;
    /// Number of classes.
    pub const CLASSES: usize = 4;

    /// For images of `size` x `size` pixels, normalised as `ImageNet`'s.
    pub fn new(size: usize, device: &Device) -> Self {
        let weight = fill::normal("weight", Self::CLASSES * Self::NEURONS);
        let weight = Array2::from_shape_vec((Self::CLASSES, Self::NEURONS), weight).unwrap();
        let bias = fill::normal("bias", Self::CLASSES).into();
        let mut head = LinearConfig::new(Self::NEURONS, Self::CLASSES).init(device);
        let layer = DecisionLayer::new(weight, bias).unwrap();
        layer.replace(&mut head).unwrap();
        Self {
            filters: filters("classifier", Self::NEURONS, device),
            head,
            input: InputSpec::imagenet(size),
        }
    }
}

impl Classifier for TinyClassifier {
    fn name(&self) -> &str {
        "tiny"
    }

    fn input(&self) -> &InputSpec {
        &self.input
    }

    fn activations(&self, images: Tensor<4>) -> Activations {
        Activations::pooled(convolved(images, &self.filters))
    }

    fn decision_layer(&self) -> Result<DecisionLayer> {
        DecisionLayer::from_linear(&self.head)
    }

    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> Result<()> {
        layer.replace(&mut self.head)
    }

    fn device(&self) -> Device {
        self.filters.device()
    }
}

/// [`TinyClassifier`] as a user may write one, in the state that training leaves: batch normalisation
/// takes a batch's statistics, and dropout drops, unless they are told not to.
#[derive(Module, Debug)]
pub struct TrainedClassifier {
    conv: Conv2d,
    norm: BatchNorm,
    dropout: Dropout,
    head: Linear,
    #[module(skip)]
    input: InputSpec,
}

impl TrainedClassifier {
    /// For images of `size` x `size` pixels, normalised as `ImageNet`'s.
    pub fn new(size: usize, device: &Device) -> Self {
        let TinyClassifier { head, input, .. } = TinyClassifier::new(size, device);
        let neurons = TinyClassifier::NEURONS;
        let mut conv = Conv2dConfig::new([3, neurons], [3, 3]).init(device);
        conv.weight = filters("convolution", neurons, device);
        Self {
            conv,
            norm: BatchNormConfig::new(neurons).init(device),
            dropout: DropoutConfig::new(0.5).init(),
            head,
            input,
        }
    }

    /// The running mean and variance.
    pub fn statistics(&self) -> [Vec<f32>; 2] {
        [&self.norm.running_mean, &self.norm.running_var]
            .map(|values| values.value().try_into_vec_as().unwrap())
    }
}

impl Classifier for TrainedClassifier {
    fn name(&self) -> &str {
        "trained"
    }

    fn input(&self) -> &InputSpec {
        &self.input
    }

    fn activations(&self, images: Tensor<4>) -> Activations {
        let map = tanh(self.norm.forward(self.conv.forward(images)));
        Activations::pooled(self.dropout.forward(map))
    }

    fn decision_layer(&self) -> Result<DecisionLayer> {
        DecisionLayer::from_linear(&self.head)
    }

    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> Result<()> {
        layer.replace(&mut self.head)
    }

    fn device(&self) -> Device {
        self.head.weight.device()
    }
}

/// An encoder of images and texts to 5 numbers, for images of any size.
#[derive(Module, Debug)]
pub struct TinyEncoder {
    filters: Param<Tensor<4>>,
    #[module(skip)]
    input: InputSpec,
}

impl TinyEncoder {
    /// Length of an embedding.
    pub const WIDTH: usize = 5;

    /// For images of `size` x `size` pixels, normalised unlike those of [`TinyClassifier`].
    pub fn new(size: usize, device: &Device) -> Self {
        Self {
            filters: filters("encoder", Self::WIDTH, device),
            input: InputSpec::new(size).with_normalization([0.5; 3], [0.25; 3]),
        }
    }
}

impl ImageTextEncoder for TinyEncoder {
    fn name(&self) -> &str {
        "tiny encoder"
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

    /// A text's embedding is made of its characters: standard normal numbers over 4.
    fn encode_texts(&self, texts: &[String]) -> Result<Tensor<2>> {
        let rows = texts
            .iter()
            .flat_map(|text| fill::normal(text, Self::WIDTH));
        let data = TensorData::new(rows.collect(), [texts.len(), Self::WIDTH]);
        Ok(Tensor::from_data(data, &self.device()) / 4.0)
    }

    fn device(&self) -> Device {
        self.filters.device()
    }
}

fn filters(name: &str, count: usize, device: &Device) -> Param<Tensor<4>> {
    let values = TensorData::new(fill::normal(name, count * 3 * 9), [count, 3, 3, 3]);
    Param::from_tensor(Tensor::from_data(values, device) / 3.0)
}

fn convolved(images: Tensor<4>, filters: &Param<Tensor<4>>) -> Tensor<4> {
    let options = ConvOptions::new([2, 2], [1, 1], [1, 1], 1);
    tanh(conv2d(images, filters.val(), None, options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Values, assert_close, largest_difference};

    #[test]
    fn a_tiny_classifier_tells_images_apart() {
        let device = Device::flex();
        let mut classifier = TinyClassifier::new(8, &device);
        let images = fill::normal("images", 2 * 3 * 64);
        let images = Tensor::from_data(TensorData::new(images, [2, 3, 8, 8]), &device);
        let activations = classifier.activations(images);
        assert_eq!(activations.features.dims(), [2, TinyClassifier::NEURONS]);
        let features = activations.features.values();
        let (first, second) = features.split_at(TinyClassifier::NEURONS);
        assert!(largest_difference(first, second) > 0.01);

        let layer = crate::tables::random_layer(4, 6);
        classifier.set_decision_layer(&layer).unwrap();
        assert_eq!(classifier.decision_layer().unwrap(), layer);
    }

    #[test]
    fn a_tiny_encoder_tells_images_and_texts_apart() {
        let device = Device::flex();
        let encoder = TinyEncoder::new(8, &device);
        let images = fill::normal("images", 2 * 3 * 64);
        let images = Tensor::from_data(TensorData::new(images, [2, 3, 8, 8]), &device);
        let texts = ["a cat", "a dog", "a cat"].map(String::from);
        let texts = encoder.encode_texts(&texts).unwrap().values();
        let (cat, rest) = texts.split_at(TinyEncoder::WIDTH);
        let (dog, again) = rest.split_at(TinyEncoder::WIDTH);
        assert_close(cat, again, 0.0, 0.0);
        assert!(largest_difference(cat, dog) > 0.01);
        let embeddings = encoder.encode_images(images).values();
        let (first, second) = embeddings.split_at(TinyEncoder::WIDTH);
        assert!(largest_difference(first, second) > 0.01);
    }
}
