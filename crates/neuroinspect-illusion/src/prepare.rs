//! Networks made ready to be optimised through.

use std::fmt;

use burn::tensor::{Device, Tensor, TensorData};
use neuroinspect_core::{
    Activations, ClassEmbeddings, Classifier, DecisionLayer, ImageTextEncoder, InputSpec,
    LayerInfo, LayerValues, Precision, Seed, read_back,
};
use rand::RngExt;

use crate::{Error, Result};

/// Images that a network is tried on: more than one, so that statistics of a batch would tell.
const TRIED: usize = 2;

/// A joint image-text encoder and what it makes of the class names.
#[derive(Clone)]
pub struct Guide<'a> {
    /// The encoder.
    pub encoder: &'a dyn ImageTextEncoder,
    /// `t_c`, the mean of the unit-normalised embeddings of the class's prompts, not normalised
    /// again, of each class that pictures are made within.
    pub class_embeddings: ClassEmbeddings,
}

impl fmt::Debug for Guide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guide")
            .field("encoder", &self.encoder.name())
            .field("class_embeddings", &self.class_embeddings)
            .finish()
    }
}

/// The networks pictures are made with, prepared: to be made once, and used for as many pictures as
/// there are.
///
/// They are copies. Nothing that is done with them changes the models they were made from.
#[derive(Debug)]
pub struct Networks {
    /// The classifier whose neurons are pictured.
    pub classifier: PreparedClassifier,
    /// What guides the pictures, if anything does.
    pub guide: Option<PreparedGuide>,
}

impl Networks {
    /// Prepares both networks on one device.
    ///
    /// # Errors
    ///
    /// As [`PreparedClassifier::new`] and [`PreparedGuide::new`].
    pub fn new(
        classifier: &dyn Classifier,
        guide: Option<&Guide<'_>>,
        device: &Device,
        precision: Precision,
    ) -> Result<Self> {
        let prepared = |guide| PreparedGuide::new(guide, device, precision);
        Ok(Self {
            classifier: PreparedClassifier::new(classifier, device, precision)?,
            guide: guide.map(prepared).transpose()?,
        })
    }

    /// [`new`](Self::new) on the classifier's own device, in 32-bit floats.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn of(classifier: &dyn Classifier, guide: Option<&Guide<'_>>) -> Result<Self> {
        Self::new(classifier, guide, &classifier.device(), Precision::F32)
    }
}

/// A copy of a classifier that can be optimised through: frozen, folded, in one number format, and
/// tried.
pub struct PreparedClassifier {
    network: Box<dyn Classifier>,
    layer: DecisionLayer,
    device: Device,
    precision: Precision,
}

impl fmt::Debug for PreparedClassifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedClassifier")
            .field("name", &self.name())
            .field("precision", &self.precision)
            .finish_non_exhaustive()
    }
}

impl PreparedClassifier {
    /// Copies a classifier in [evaluation state](neuroinspect_core::CopyClassifier), makes once what
    /// would be made at every step ([`Classifier::fold`]), and tries the copy: one forward pass over
    /// images that cannot be differentiated and one over the same that can must agree, and its
    /// penultimate layer, asked for by name, must give features.
    ///
    /// # Errors
    ///
    /// [`Error::DiffersWhenTracked`] and [`Error::NoGradient`] for a classifier that cannot be
    /// optimised through; [`Error::PenultimateKind`] where its penultimate layer gives a map or
    /// tokens; when its input is out of range, its features or its map do not have the
    /// decision layer's width, its outputs are not finite, or the device does not compute in
    /// `precision`.
    pub fn new(classifier: &dyn Classifier, device: &Device, precision: Precision) -> Result<Self> {
        classifier.input().validate()?;
        let layer = classifier.decision_layer()?;
        let device = device.clone().without_autodiff();
        let mut network = classifier.evaluation_copy(&device, precision)?;
        network.fold()?;
        let prepared = Self {
            network,
            layer,
            device,
            precision,
        };
        let images = tried_images(prepared.input(), &prepared.device);
        let Activations { features, map } = prepared.activations(images.clone());
        let name = prepared.name();
        let expected = [TRIED, prepared.layer.neurons()];
        if features.dims() != expected {
            let what = format!("features of classifier '{name}'");
            return Err(Error::shape(what, expected, features.dims()));
        }
        if let Some(map) = map {
            let [n, channels, height, width] = map.dims();
            if [n, channels] != expected || height == 0 || width == 0 {
                let what = format!("feature map of classifier '{name}'");
                let expected = [
                    &TRIED.to_string(),
                    &expected[1].to_string(),
                    "height",
                    "width",
                ];
                return Err(Error::shape(what, expected, map.dims()));
            }
        }
        check_tracked(name, precision, features, || {
            prepared.activations(tracked(images.clone())).features
        })?;
        // As an objective of layers asks for them.
        let penultimate = prepared.network.penultimate();
        let (features, _) = prepared.features_and_layers(images, &[penultimate])?;
        if features.dims() != expected {
            let what = format!("layer '{penultimate}' of classifier '{name}'");
            return Err(Error::shape(what, expected, features.dims()));
        }
        Ok(prepared)
    }

    /// Tries layers as [`new`](Self::new) tries the features: their values, of images that cannot be
    /// differentiated.
    pub(crate) fn tried_layers(&self, layers: &[&str]) -> Result<Vec<LayerValues>> {
        let images = tried_images(self.input(), &self.device);
        let (_, plain) = self.features_and_layers(images.clone(), layers)?;
        let (_, other) = self.features_and_layers(tracked(images), layers)?;
        for ((layer, plain), other) in layers.iter().zip(&plain).zip(other) {
            let name = format!("{}, layer {layer}", self.name());
            check_tracked(&name, self.precision, rows(plain.clone()), || rows(other))?;
        }
        Ok(plain)
    }

    /// Name of the classifier.
    pub fn name(&self) -> &str {
        self.network.name()
    }

    /// The pixels it wants to see.
    pub fn input(&self) -> &InputSpec {
        self.network.input()
    }

    /// The layers that can be read, in the order in which they are computed.
    pub(crate) fn layers(&self) -> Result<Vec<LayerInfo>> {
        Ok(self.network.layers()?)
    }

    /// The layer whose neurons are pictured.
    pub(crate) fn penultimate(&self) -> &str {
        self.network.penultimate()
    }

    /// Name of the value that a layer's activation function reads, where that is known.
    pub(crate) fn before_activation(&self, layer: &str) -> Option<String> {
        self.network.before_activation(layer)
    }

    /// The layer of its map, where one was chosen.
    pub fn map_layer(&self) -> Option<&str> {
        self.network.map_layer()
    }

    /// Its decision layer, in 32-bit floats.
    pub fn decision_layer(&self) -> &DecisionLayer {
        &self.layer
    }

    /// The device it is on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The number format it computes in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Features and map of normalised images, in 32-bit floats.
    pub(crate) fn activations(&self, images: Tensor<4>) -> Activations {
        let activations = self.network.activations(self.precision.cast(images));
        Activations {
            features: Precision::F32.cast(activations.features),
            map: activations.map.map(|map| Precision::F32.cast(map)),
        }
    }

    /// Features of normalised images and the values of layers, in one forward pass and in 32-bit
    /// floats.
    pub(crate) fn features_and_layers(
        &self,
        images: Tensor<4>,
        layers: &[&str],
    ) -> Result<(Tensor<2>, Vec<LayerValues>)> {
        if layers.is_empty() {
            return Ok((self.activations(images).features, Vec::new()));
        }
        let mut names = vec![self.network.penultimate()];
        names.extend_from_slice(layers);
        let values = self.precision.cast(images);
        let values = self.network.activations_at(values, &names)?;
        let (expected, found) = (names.len(), values.len());
        let mut values = values.into_iter().map(|values| match values {
            LayerValues::Map(map) => LayerValues::Map(Precision::F32.cast(map)),
            LayerValues::Tokens(tokens) => LayerValues::Tokens(Precision::F32.cast(tokens)),
            LayerValues::Features(features) => LayerValues::Features(Precision::F32.cast(features)),
        });
        match values.next() {
            Some(LayerValues::Features(features)) if found == expected => {
                Ok((features, values.collect()))
            }
            Some(other) if found == expected => Err(Error::PenultimateKind {
                classifier: self.name().to_owned(),
                layer: self.network.penultimate().to_owned(),
                found: other.kind(),
            }),
            _ => {
                let what = format!("layers of classifier '{}'", self.name());
                Err(neuroinspect_core::Error::length(what, expected, found).into())
            }
        }
    }
}

/// A copy of an image-text encoder that can be optimised through, and what it made of the classes'
/// texts.
pub struct PreparedGuide {
    network: Box<dyn ImageTextEncoder>,
    class_embeddings: ClassEmbeddings,
    precision: Precision,
}

impl fmt::Debug for PreparedGuide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedGuide")
            .field("name", &self.name())
            .field("class_embeddings", &self.class_embeddings)
            .field("precision", &self.precision)
            .finish_non_exhaustive()
    }
}

impl PreparedGuide {
    /// Copies the guide's encoder and tries the copy, as [`PreparedClassifier::new`] does.
    ///
    /// # Errors
    ///
    /// As [`PreparedClassifier::new`], and when the images' embeddings do not have the width of the
    /// texts'.
    pub fn new(guide: &Guide<'_>, device: &Device, precision: Precision) -> Result<Self> {
        let Guide {
            encoder,
            class_embeddings,
        } = guide;
        encoder.input().validate()?;
        let device = device.clone().without_autodiff();
        let mut network = encoder.encoder_copy(&device, precision)?;
        network.fold()?;
        let prepared = Self {
            network,
            class_embeddings: class_embeddings.clone(),
            precision,
        };
        let images = tried_images(prepared.input(), &device);
        let embeddings = prepared.encode(images.clone());
        let expected = [TRIED, class_embeddings.width()];
        if embeddings.dims() != expected {
            let what = format!("image embeddings of encoder '{}'", prepared.name());
            return Err(Error::shape(what, expected, embeddings.dims()));
        }
        check_tracked(prepared.name(), precision, embeddings, || {
            prepared.encode(tracked(images))
        })?;
        Ok(prepared)
    }

    /// Name of the encoder.
    pub fn name(&self) -> &str {
        self.network.name()
    }

    /// The pixels it wants to see.
    pub fn input(&self) -> &InputSpec {
        self.network.input()
    }

    /// `t_c` of each class that was embedded.
    pub fn class_embeddings(&self) -> &ClassEmbeddings {
        &self.class_embeddings
    }

    /// The number format it computes in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Embeddings of normalised images, in 32-bit floats.
    pub(crate) fn encode(&self, images: Tensor<4>) -> Tensor<2> {
        Precision::F32.cast(self.network.encode_images(self.precision.cast(images)))
    }
}

/// The same images for every network of an input: noise, normalised.
fn tried_images(input: &InputSpec, device: &Device) -> Tensor<4> {
    let mut rng = Seed(0).rng("images that a network is tried on", &[]);
    let shape = [TRIED, 3, input.size, input.size];
    let pixels = (0..shape.iter().product()).map(|_| rng.random::<f32>());
    let pixels = TensorData::new(pixels.collect::<Vec<f32>>(), shape);
    input.normalize(Tensor::from_data(pixels, device))
}

/// The values of each image in a row.
fn rows(values: LayerValues) -> Tensor<2> {
    match values {
        LayerValues::Map(map) => map.flatten(1, 3),
        LayerValues::Tokens(tokens) => tokens.flatten(1, 2),
        LayerValues::Features(features) => features,
    }
}

fn tracked(images: Tensor<4>) -> Tensor<4> {
    images.autodiff().require_grad()
}

/// Compares what a network gives out for images and for the same that can be differentiated.
///
/// Both come from the same kernels but where a layer has another implementation for what is
/// differentiated; that is worth some roundings, and some hundred layers add some hundred of them.
/// Statistics of two images in place of running ones are worth a good part of the outputs.
fn check_tracked(
    network: &str,
    precision: Precision,
    plain: Tensor<2>,
    differentiable: impl FnOnce() -> Tensor<2>,
) -> Result<()> {
    let differentiable = differentiable();
    if !differentiable.is_tracked() {
        return Err(Error::NoGradient {
            network: network.to_owned(),
        });
    }
    let what = "what a network makes of images";
    let plain = read_back(plain, what)?;
    let differentiable = read_back(differentiable.without_autodiff(), what)?;
    if let Some(&value) = plain.iter().find(|value| !value.is_finite()) {
        return Err(neuroinspect_core::Error::NotFinite {
            what: format!("what '{network}' makes of images of noise"),
            value,
        }
        .into());
    }
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, f32::max);
    let share = match precision {
        Precision::F32 => 1e-3,
        _ => 5e-2,
    };
    let allowed = share * largest(&mut plain.iter().map(|value| value.abs()));
    let pairs = plain.iter().zip(&differentiable);
    let difference = largest(&mut pairs.map(|(plain, other)| match other.is_finite() {
        true => (plain - other).abs(),
        false => f32::INFINITY,
    }));
    match difference <= allowed {
        true => Ok(()),
        false => Err(Error::DiffersWhenTracked {
            network: network.to_owned(),
            difference,
            allowed,
        }),
    }
}
