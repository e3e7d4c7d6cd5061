//! The value of an objective over the images of a batch.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use neuroinspect_core::{ClassId, LayerValues, Unit, unknown_layer};

use super::Objective;
use crate::{Coupling, Error, Result};

impl Objective {
    /// The losses to be minimised: `[N]`, one per image, or `[1]` where the batch is coupled. Their
    /// sum is differentiated.
    pub(crate) fn losses(&self, response: &Response, coupling: Coupling) -> Result<Tensor<1>> {
        let value = match coupling {
            Coupling::PerImage => self.value(response)?,
            Coupling::WholeBatch => self.coupled(response)?,
        };
        Ok(match value {
            Value::PerImage(value) => -value,
            Value::Number(number) => response.activation.zeros_like() - number,
        })
    }

    fn value(&self, response: &Response) -> Result<Value> {
        let absent = || Error::MissingGuide {
            objective: self.to_string(),
        };
        let joined = |parts: &[Self], join: fn(Value, Value) -> Value, neutral| {
            let mut parts = parts.iter().map(|part| part.value(response));
            let first = parts.next().unwrap_or(Ok(Value::Number(neutral)))?;
            parts.try_fold(first, |all, part| Ok(join(all, part?)))
        };
        Ok(Value::PerImage(match self {
            Self::Constant(number) => return Ok(Value::Number(*number)),
            Self::Sum(terms) => return joined(terms, Value::plus, 0.0),
            Self::Product(factors) => return joined(factors, Value::times, 1.0),
            Self::Scale(factor, of) => {
                return Ok(of.value(response)?.times(Value::Number(*factor)));
            }
            Self::Clamp(least, most, of) => return Ok(of.value(response)?.clamp(*least, *most)),
            Self::Neuron => response.activation.clone(),
            Self::ClassLogit => response.logit.clone(),
            Self::Similarity => response.similarity.clone().ok_or_else(absent)?,
            Self::Unit(unit) => response.unit(unit)?,
            Self::Logit(class) => response.logit_of(*class)?,
            Self::TotalVariation => total_variation(response.picture.clone()),
        }))
    }

    /// Each factor of the outermost product averaged over the batch, and the product of the means.
    fn coupled(&self, response: &Response) -> Result<Value> {
        match self {
            Self::Product(factors) => factors
                .iter()
                .map(|factor| Ok(factor.value(response)?.mean()))
                .try_fold(Value::Number(1.0), |all, factor: Result<Value>| {
                    Ok(all.times(factor?))
                }),
            Self::Scale(factor, of) => Ok(of.coupled(response)?.times(Value::Number(*factor))),
            other => Ok(other.value(response)?.mean()),
        }
    }
}

/// A number, or one for each image.
#[expect(clippy::large_enum_variant, reason = "a few at a time, for a moment")]
enum Value {
    Number(f64),
    /// `[N]`, or `[1]` of a whole batch.
    PerImage(Tensor<1>),
}

impl Value {
    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Self::Number(a + b),
            (Self::PerImage(a), Self::PerImage(b)) => Self::PerImage(a + b),
            (Self::PerImage(a), Self::Number(b)) | (Self::Number(b), Self::PerImage(a)) => {
                Self::PerImage(a + b)
            }
        }
    }

    fn times(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Self::Number(a * b),
            (Self::PerImage(a), Self::PerImage(b)) => Self::PerImage(a * b),
            // Exact: nothing is multiplied where there is nothing to multiply with.
            (Self::PerImage(a), Self::Number(b)) | (Self::Number(b), Self::PerImage(a)) => {
                Self::PerImage(if b == 1.0 { a } else { a * b })
            }
        }
    }

    fn clamp(self, least: f64, most: f64) -> Self {
        match self {
            Self::Number(number) => Self::Number(number.max(least).min(most)),
            Self::PerImage(values) => Self::PerImage(values.clamp(least, most)),
        }
    }

    fn mean(self) -> Self {
        match self {
            Self::PerImage(values) => Self::PerImage(values.mean()),
            number => number,
        }
    }
}

/// What the networks make of a batch of images, as far as the objective asks.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// Activation `a_n` of each image's own neuron: `[N]`.
    pub(crate) activation: Tensor<1>,
    /// Logit `z_c` of each image's own class: `[N]`.
    pub(crate) logit: Tensor<1>,
    /// Similarity `s` of the image and the class text, where an encoder was asked: `[N]`.
    pub(crate) similarity: Option<Tensor<1>>,
    /// Logits of the [classes](Objective::classes) asked for: `[N]` each.
    pub(crate) logits: BTreeMap<ClassId, Tensor<1>>,
    /// Values of the [layers](Objective::layers) asked for, of `N` images each.
    pub(crate) layers: BTreeMap<String, LayerValues>,
    /// The pictures before augmentation: `[N, 3, S, S]`.
    pub(crate) picture: Tensor<4>,
}

impl Response {
    fn unit(&self, unit: &Unit) -> Result<Tensor<1>> {
        match self.layers.get(&unit.layer) {
            Some(values) => Ok(unit.activation(values)?),
            None => {
                let known = self.layers.keys().map(String::as_str);
                Err(unknown_layer("the classifier", &unit.layer, known).into())
            }
        }
    }

    fn logit_of(&self, class: ClassId) -> Result<Tensor<1>> {
        let absent = || neuroinspect_core::Error::ClassOutOfRange {
            class,
            classes: self.logits.len(),
        };
        Ok(self.logits.get(&class).cloned().ok_or_else(absent)?)
    }
}

/// Similarity `s` of images and their class texts (Eq. 3): the image embeddings are normalised,
/// the text embeddings are taken as they are.
///
/// # Shapes
///
/// Twice `[N, E]` to `[N]`.
pub(crate) fn similarity(images: Tensor<2>, texts: Tensor<2>) -> Tensor<1> {
    let length = images.clone().square().sum_dim(1).sqrt();
    (images * texts).sum_dim(1).div(length).squeeze_dim(1)
}

/// `[N, 3, S, S]` to `[N]`.
fn total_variation(pictures: Tensor<4>) -> Tensor<1> {
    let [n, _, height, width] = pictures.dims();
    let across = |dim: usize, side: usize| {
        let next = pictures.clone().narrow(dim, 1, side - 1);
        let difference = next - pictures.clone().narrow(dim, 0, side - 1);
        difference
            .abs()
            .reshape([n as i32, -1])
            .mean_dim(1)
            .squeeze_dim::<1>(1)
    };
    across(2, height) + across(3, width)
}
