//! What of a layer is looked at.

use burn::tensor::{Device, Tensor, TensorData};
use derive_more::Display;
use serde::{Deserialize, Serialize};

use crate::{Direction, Error, LayerValues, NeuronId, Result};

/// Something within a named layer that has an activation: a channel, one position of it, a feature,
/// or a direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[display("{kind} of layer {layer}")]
pub struct Unit {
    /// Name of the layer.
    pub layer: String,
    /// What of the layer.
    pub kind: UnitKind,
}

/// What of a layer a [`Unit`] is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnitKind {
    /// A channel of a map or of tokens; its activation is the mean over positions.
    #[display("channel {_0}")]
    Channel(usize),
    /// A channel at one position of a map.
    #[display("channel {channel} at row {row}, column {column}")]
    Position {
        /// The channel.
        channel: usize,
        /// The row, from the top.
        row: usize,
        /// The column, from the left.
        column: usize,
    },
    /// A neuron of a layer of features, such as the penultimate one.
    #[display("neuron {_0}")]
    Feature(NeuronId),
    /// A direction among the channels: the activation is the inner product with their means.
    Direction(Direction),
}

impl Unit {
    /// A unit of a layer.
    pub fn new(layer: impl Into<String>, kind: UnitKind) -> Self {
        let layer = layer.into();
        Self { layer, kind }
    }

    /// The unit's activation for each image: `[N]`.
    ///
    /// # Errors
    ///
    /// [`Error::Unit`] when a layer with these values does not have the unit.
    pub fn activation(&self, values: &LayerValues) -> Result<Tensor<1>> {
        self.check(values)?;
        Ok(match (&self.kind, values) {
            (
                UnitKind::Position {
                    row,
                    column,
                    channel,
                },
                LayerValues::Map(map),
            ) => map
                .clone()
                .narrow(1, *channel, 1)
                .narrow(2, *row, 1)
                .narrow(3, *column, 1)
                .reshape([map.dims()[0]]),
            (UnitKind::Direction(direction), values) => {
                let pooled = values.pooled();
                let direction = vector(&direction.values, &pooled.device()).cast(pooled.dtype());
                (pooled * direction).sum_dim(1).squeeze_dim(1)
            }
            (kind, values) => values.channel(kind.channel()).pooled().squeeze_dim(1),
        })
    }

    /// Where in each image the unit is active: `[N, h, w]`. Of a direction that is its inner product
    /// with the channels at each position; of one position of a channel the position itself, 1 there
    /// and 0 elsewhere. Tokens are taken for a square of patches, at least 3 by 3, with up to five others
    /// before them. `None` where the layer does not say: it has one number per neuron, one position, or
    /// other tokens.
    ///
    /// # Errors
    ///
    /// As [`activation`](Self::activation).
    pub fn map(&self, values: &LayerValues) -> Result<Option<Tensor<3>>> {
        self.check(values)?;
        let map = values.map();
        let Some(map) = map.filter(|map| !matches!(map.dims(), [_, _, 1, 1])) else {
            return Ok(None);
        };
        let [n, channels, height, width] = map.dims();
        Ok(Some(match &self.kind {
            UnitKind::Position { row, column, .. } => {
                let mut position = vec![0.0; height * width];
                position[row * width + column] = 1.0;
                vector(&position, &map.device())
                    .reshape([1, height, width])
                    .expand([n, height, width])
            }
            UnitKind::Direction(direction) => {
                let direction = vector(&direction.values, &map.device()).cast(map.dtype());
                let along = map * direction.reshape([1, channels, 1, 1]);
                along.sum_dim(1).squeeze_dim(1)
            }
            kind => map.narrow(1, kind.channel(), 1).squeeze_dim(1),
        }))
    }

    fn check(&self, values: &LayerValues) -> Result<()> {
        let refuse = |reason: String| {
            Err(Error::Unit {
                unit: self.kind.to_string(),
                layer: self.layer.clone(),
                reason,
            })
        };
        let (kind, channels) = (values.kind(), values.channels());
        match (&self.kind, values) {
            (UnitKind::Position { row, column, .. }, LayerValues::Map(map)) => {
                let [_, _, height, width] = map.dims();
                if *row >= height || *column >= width {
                    return refuse(format!("its map has {height} rows and {width} columns"));
                }
            }
            (UnitKind::Position { .. }, _) => {
                return refuse(format!("it is {kind}, which has no positions"));
            }
            (UnitKind::Feature(_), LayerValues::Map(_) | LayerValues::Tokens(_)) => {
                return refuse(format!("it is {kind}; name a channel"));
            }
            (UnitKind::Direction(Direction { values, .. }), _) if values.len() != channels => {
                let length = values.len();
                return refuse(format!(
                    "it has {channels} channels, the direction {length}"
                ));
            }
            (UnitKind::Direction(Direction { values, .. }), _) => {
                if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                    return refuse(format!("the direction holds {value}, which is not finite"));
                }
                if values.iter().all(|&value| value == 0.0) {
                    return refuse("the direction is zero everywhere".to_owned());
                }
            }
            _ => {}
        }
        let direction = matches!(self.kind, UnitKind::Direction(_));
        match !direction && self.kind.channel() >= channels {
            true => refuse(format!("it has {channels} channels, counted from 0")),
            false => Ok(()),
        }
    }
}

impl UnitKind {
    /// The channel it belongs to; 0 for a direction, which belongs to all.
    pub fn channel(&self) -> usize {
        match *self {
            Self::Channel(channel) | Self::Position { channel, .. } => channel,
            Self::Feature(neuron) => neuron.0,
            Self::Direction(_) => 0,
        }
    }
}

fn vector(values: &[f32], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [1, values.len()]), device)
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;

    use super::*;
    use crate::Precision;

    fn map() -> LayerValues {
        let values: Vec<f32> = (0..8).map(|value| value as f32).collect();
        let data = TensorData::new(values, [1, 2, 2, 2]);
        LayerValues::Map(Tensor::from_data(data, &Device::flex()))
    }

    fn features() -> LayerValues {
        LayerValues::Features(Tensor::from_data([[1.0, 2.0], [3.0, 5.0]], &Device::flex()))
    }

    /// Tokens of two channels, numbered.
    fn numbered_tokens(count: usize) -> LayerValues {
        let values: Vec<f32> = (0..2 * count).map(|value| value as f32).collect();
        let data = TensorData::new(values, [1, count, 2]);
        LayerValues::Tokens(Tensor::from_data(data, &Device::flex()))
    }

    /// A class token and nine patches.
    fn tokens() -> LayerValues {
        numbered_tokens(10)
    }

    fn direction(values: &[f32]) -> UnitKind {
        UnitKind::Direction(Direction::new("given", values))
    }

    fn position(channel: usize, row: usize, column: usize) -> UnitKind {
        UnitKind::Position {
            channel,
            row,
            column,
        }
    }

    #[test]
    fn activations_by_hand() {
        for (kind, values, expected) in [
            (UnitKind::Channel(1), map(), vec![5.5]),
            (position(1, 1, 0), map(), vec![6.0]),
            (direction(&[2.0, -1.0]), map(), vec![2.0 * 1.5 - 5.5]),
            (UnitKind::Feature(NeuronId(1)), features(), vec![2.0, 5.0]),
            (direction(&[1.0, 1.0]), features(), vec![3.0, 8.0]),
        ] {
            let activation = Unit::new("layer", kind).activation(&values).unwrap();
            assert_eq!(activation.try_into_vec_as::<f32>().unwrap(), expected);
        }
    }

    #[test]
    fn maps_by_hand() {
        for (kind, values, expected) in [
            (UnitKind::Channel(1), map(), Some(vec![4.0, 5.0, 6.0, 7.0])),
            (position(1, 1, 0), map(), Some(vec![0.0, 0.0, 1.0, 0.0])),
            (
                direction(&[2.0, -1.0]),
                map(),
                Some(vec![-4.0, -3.0, -2.0, -1.0]),
            ),
            // The first token is of no patch.
            (
                UnitKind::Channel(1),
                tokens(),
                Some((1..10).map(|patch| (2 * patch + 1) as f32).collect()),
            ),
            // 36 patches and six others, or a few words.
            (UnitKind::Channel(1), numbered_tokens(42), None),
            (UnitKind::Channel(1), numbered_tokens(5), None),
            (UnitKind::Feature(NeuronId(1)), features(), None),
        ] {
            let found = Unit::new("layer", kind).map(&values).unwrap();
            let found = found.map(|map| map.try_into_vec_as::<f32>().unwrap());
            assert_eq!(found, expected);
        }
        let one_pixel = LayerValues::Map(Tensor::zeros([1, 2, 1, 1], &Device::flex()));
        let unit = Unit::new("layer", UnitKind::Channel(0));
        assert!(unit.map(&one_pixel).unwrap().is_none());
    }

    /// For each kind of layer.
    #[test]
    fn a_direction_is_the_sum_of_its_channels() {
        let weights = [0.75, -2.0];
        for values in [map(), tokens(), features()] {
            let activation = |kind| {
                let activation = Unit::new("layer", kind).activation(&values).unwrap();
                activation.try_into_vec_as::<f32>().unwrap()
            };
            let channels = [0, 1].map(|channel| activation(UnitKind::Channel(channel)));
            for (image, found) in activation(direction(&weights)).into_iter().enumerate() {
                let expected = weights[0] * channels[0][image] + weights[1] * channels[1][image];
                assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
            }
        }
    }

    #[test]
    fn a_direction_takes_the_number_format_of_the_values() {
        let half = |values: Tensor<2>| Precision::F16.cast(values);
        let LayerValues::Features(values) = features() else {
            unreachable!()
        };
        let values = LayerValues::Features(half(values));
        let unit = Unit::new("layer", direction(&[1.0, 1.0]));
        let activation = unit.activation(&values).unwrap();
        assert_eq!(activation.dtype(), DType::F16);
        assert_eq!(activation.try_into_vec_as::<f32>().unwrap(), [3.0, 8.0]);
    }

    #[test]
    fn units_that_a_layer_does_not_have_are_refused_by_name() {
        for (kind, values, reason) in [
            (
                UnitKind::Channel(2),
                map(),
                "it has 2 channels, counted from 0",
            ),
            (position(0, 2, 0), map(), "its map has 2 rows and 2 columns"),
            (
                position(0, 0, 0),
                features(),
                "it is features [N, D], which has no positions",
            ),
            (
                UnitKind::Feature(NeuronId(0)),
                map(),
                "it is map [N, C, h, w]; name a channel",
            ),
            (
                UnitKind::Feature(NeuronId(7)),
                features(),
                "it has 2 channels, counted from 0",
            ),
            (
                direction(&[1.0]),
                map(),
                "it has 2 channels, the direction 1",
            ),
            (
                direction(&[1.0, f32::NAN]),
                map(),
                "the direction holds NaN, which is not finite",
            ),
            (
                direction(&[0.0, 0.0]),
                map(),
                "the direction is zero everywhere",
            ),
        ] {
            let unit = Unit::new("layer3.conv1", kind);
            let error = unit.activation(&values).unwrap_err().to_string();
            let expected = format!(
                "unit {} cannot be read from layer 'layer3.conv1': {reason}",
                unit.kind
            );
            assert_eq!(error, expected);
        }
    }
}
