//! What a classifier makes of images.

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array2, ArrayView1, ArrayView3, Axis, concatenate};
use neuroinspect_core::{LayerValues, NeuronId, Unit, UnitKind, read_back};

use crate::{Error, PreparedClassifier, Result, adapter::InputAdapter};

/// Images looked at in one go.
pub(super) const BATCH: usize = 16;

/// What a classifier makes of images.
pub(super) struct Looked {
    /// `[N, D]`.
    pub(super) features: Array2<f32>,
    /// Of each layer asked for `[N, C]`.
    pub(super) layers: Vec<Array2<f32>>,
    /// Of each unit: `[N, U]`.
    pub(super) units: Array2<f32>,
}

impl Looked {
    pub(super) fn and(self, other: Self) -> Result<Self> {
        let layers = self.layers.iter().zip(&other.layers);
        Ok(Self {
            features: joined(&self.features, &other.features)?,
            layers: layers
                .map(|(one, other)| joined(one, other))
                .collect::<Result<_>>()?,
            units: joined(&self.units, &other.units)?,
        })
    }
}

/// What a classifier makes of images of one size, in one pass.
pub(super) fn look(
    classifier: &PreparedClassifier,
    images: &[ArrayView3<'_, f32>],
    layers: &[&str],
    units: &[Unit],
) -> Result<Looked> {
    let (n, side) = (
        images.len(),
        images.first().map_or(0, |image| image.dim().1),
    );
    if let Some(odd) = images
        .iter()
        .find(|it| it.dim() != (3, side, side) || side == 0)
    {
        let expected = [3, side, side];
        return Err(Error::shape(
            "an image to compare with",
            expected,
            odd.shape(),
        ));
    }
    let pixels: Vec<f32> = images.iter().flatten().copied().collect();
    let pixels = Tensor::from_data(
        TensorData::new(pixels, [n, 3, side, side]),
        classifier.device(),
    );
    let input = InputAdapter::new(classifier.input(), side, classifier.device());
    let (features, values) = classifier.features_and_layers(input.apply(pixels), layers)?;
    let rows = |values: Tensor<2>| -> Result<Array2<f32>> {
        let shape = values.dims();
        let values = read_back(values, "the values of a layer")?;
        let found = values.len();
        Array2::from_shape_vec(shape, values)
            .map_err(|_| Error::shape("values read back", shape, found))
    };
    let pooled = values.iter().map(LayerValues::pooled).map(rows);
    let pooled: Vec<Array2<f32>> = pooled.collect::<Result<_>>()?;
    let mut of_units = Array2::zeros((n, units.len()));
    for (unit, mut column) in units.iter().zip(of_units.columns_mut()) {
        let place = layers.iter().position(|layer| *layer == unit.layer);
        let own = place.and_then(|place| Some((values.get(place)?, pooled.get(place)?)));
        let missing = || Error::shape("layers that are pictured", "one", &unit.layer);
        let (values, pooled) = own.ok_or_else(missing)?;
        match &unit.kind {
            UnitKind::Direction(direction) if direction.values.len() == pooled.ncols() => {
                column.assign(&pooled.dot(&ArrayView1::from(&direction.values)));
            }
            UnitKind::Channel(channel) | UnitKind::Feature(NeuronId(channel))
                if *channel < pooled.ncols() =>
            {
                column.assign(&pooled.column(*channel));
            }
            // One position; and what the layer does not have, which this refuses.
            _ => {
                let values = read_back(unit.activation(values)?, "the activations")?;
                column.assign(&ArrayView1::from(&values));
            }
        }
    }
    Ok(Looked {
        features: rows(features)?,
        layers: pooled,
        units: of_units,
    })
}

pub(super) fn joined(one: &Array2<f32>, other: &Array2<f32>) -> Result<Array2<f32>> {
    concatenate(Axis(0), &[one.view(), other.view()])
        .map_err(|_| Error::shape("values of images", one.shape(), other.shape()))
}
