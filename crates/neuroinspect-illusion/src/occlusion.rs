//! How much of a neuron's activation comes from where its mask says that it is active.

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array2, Array3, ArrayView3, Axis};
use neuroinspect_core::{NeuronId, read_back};

use crate::{Error, PreparedClassifier, Result, activation_mask, adapter::InputAdapter};

/// A neuron's activation on an image of which parts are occluded: painted over with the image's mean colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occlusion {
    /// The part of the image that lies inside the mask, in `[0, 1]`.
    pub area: f32,
    /// Activation on the image as it is.
    pub whole: f32,
    /// Activation on what lies inside the mask, the rest occluded.
    pub inside: f32,
    /// Activation on the rest, what lies inside the mask occluded.
    pub outside: f32,
    /// Activation on the mean colour alone.
    pub nothing: f32,
}

impl Occlusion {
    /// The share of the activation that comes from inside the mask: the Shapley value of the inside beside
    /// the rest, which is the mean of what the inside adds to nothing and of what it adds to the rest.
    /// `None` where the image activates the neuron no more than its mean colour.
    ///
    /// A mask that says nothing has the share of its [`area`](Self::area), on average.
    pub fn share(&self) -> Option<f32> {
        let all = self.whole - self.nothing;
        let added = (self.inside - self.nothing) + (self.whole - self.outside);
        (all > 0.0).then(|| added / (2.0 * all))
    }
}

impl PreparedClassifier {
    /// Occludes an image, `[3, S, S]` in `[0, 1]`, inside and outside a neuron's
    /// [mask](crate::activation_mask) for each of the `thresholds` that a mask may have. `None` where the
    /// classifier does not say where a neuron is active.
    ///
    /// # Errors
    ///
    /// When the image is not square or has other than three channels, the classifier does not have the
    /// neuron, or the device fails.
    pub fn occlusions(
        &self,
        image: ArrayView3<'_, f32>,
        neuron: NeuronId,
        thresholds: &[f64],
    ) -> Result<Option<Vec<Occlusion>>> {
        let (channels, side, width) = image.dim();
        if channels != 3 || side != width || side == 0 {
            let expected = ["3", "side", "side"];
            return Err(Error::shape("an image to occlude", expected, image.shape()));
        }
        self.decision_layer().check_neuron(neuron)?;
        let pixels: Vec<f32> = image.iter().copied().collect();
        let pixels = TensorData::new(pixels, [1, 3, side, side]);
        let input = InputAdapter::new(self.input(), side, self.device());
        let seen = self.activations(input.apply(Tensor::from_data(pixels, self.device())));
        let Some(map) = seen.map else {
            return Ok(None);
        };
        let [_, _, height, width] = map.dims();
        let map = read_back(map.narrow(1, neuron.0, 1), "a feature map")?;
        let found = map.len();
        let map = Array2::from_shape_vec((height, width), map)
            .map_err(|_| Error::shape("a feature map", [height, width], found))?;

        let colour = image
            .mean_axis(Axis(2))
            .and_then(|it| it.mean_axis(Axis(1)));
        let colour = colour.unwrap_or_default();
        let painted = Array3::from_shape_fn(image.dim(), |(channel, ..)| colour[channel]);
        let mut images = vec![image.to_owned(), painted.clone()];
        let mut areas = Vec::with_capacity(thresholds.len());
        for &threshold in thresholds {
            let inside = activation_mask(map.view(), side, threshold, 0.0);
            areas.push(inside.mean().unwrap_or_default());
            let outside = inside.mapv(|it| 1.0 - it);
            for (shown, hidden) in [(&inside, &outside), (&outside, &inside)] {
                images.push(&image * shown + &painted * hidden);
            }
        }
        let views: Vec<_> = images.iter().map(|image| image.view()).collect();
        let features = self.features_of(&views)?;
        let activation = |row: usize| features[[row, neuron.0]];
        let of_threshold = areas
            .into_iter()
            .enumerate()
            .map(|(index, area)| Occlusion {
                area,
                whole: activation(0),
                nothing: activation(1),
                inside: activation(2 * index + 2),
                outside: activation(2 * index + 3),
            });
        Ok(Some(of_threshold.collect()))
    }
}
