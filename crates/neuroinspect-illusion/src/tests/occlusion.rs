//! How much of an activation comes from inside a mask.

use burn::tensor::{Device, Tensor, activation::relu};
use ndarray::{Array3, Axis, Slice};
use neuroinspect_core::{
    Activations, Classifier, CopyClassifier, DecisionLayer, InputSpec, NeuronId, Precision, Result,
};
use neuroinspect_testing::assert_close;

use super::{SIZE, device};
use crate::{Error, PreparedClassifier};

/// Three neurons: by how much each pixel's red, green and blue are above 0.7.
#[derive(Clone)]
struct Bright {
    input: InputSpec,
    mapped: bool,
}

impl CopyClassifier for Bright {
    fn evaluation_copy(&self, _: &Device, _: Precision) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.clone()))
    }
}

impl Classifier for Bright {
    fn name(&self) -> &str {
        "bright"
    }
    fn input(&self) -> &InputSpec {
        &self.input
    }
    fn activations(&self, images: Tensor<4>) -> Activations {
        let mut seen = Activations::pooled(relu(images - 0.7));
        seen.map = seen.map.filter(|_| self.mapped);
        seen
    }
    fn decision_layer(&self) -> Result<DecisionLayer> {
        DecisionLayer::new(ndarray::Array2::eye(3), ndarray::Array1::zeros(3))
    }
    fn set_decision_layer(&mut self, _: &DecisionLayer) -> Result<()> {
        Ok(())
    }
    fn device(&self) -> Device {
        device()
    }
}

fn prepared(mapped: bool) -> PreparedClassifier {
    let input = InputSpec::new(SIZE);
    PreparedClassifier::new(&Bright { input, mapped }, &device(), Precision::F32).unwrap()
}

/// Half grey; a quarter has all red and green, the quarter across the corner 0.9 of green.
fn image() -> Array3<f32> {
    let half = SIZE / 2;
    Array3::from_shape_fn((3, SIZE, SIZE), |(channel, y, x)| {
        match (channel, y < half, x < half) {
            (0 | 1, true, true) => 1.0,
            (1, false, false) => 0.9,
            _ => 0.5,
        }
    })
}

/// Red: the mean is 0.625, which does not activate it, and all of `0.3 / 4` comes from the quarter. Green:
/// the mean is 0.725; `(0.3 + 0.2) / 4` of the whole, of which `0.075 + 0.025 * 3/4` are left by the inside
/// where that is the first quarter, `0.05 + 0.025 / 4` by the rest, and 0.025 by nothing.
#[test]
fn shares_by_hand() {
    let (net, image) = (prepared(true), image());
    let of = |neuron, threshold| {
        let found = net.occlusions(image.view(), NeuronId(neuron), &[threshold]);
        found.unwrap().unwrap()[0]
    };
    let red = of(0, 0.5);
    let found = [red.area, red.whole, red.inside, red.outside, red.nothing];
    assert_close(&found[..], &[0.25, 0.075, 0.075, 0.0, 0.0][..], 1e-6, 1e-6);
    assert_close(&[red.share().unwrap()][..], &[1.0][..], 1e-5, 1e-5);
    // Standardised, green has -0.96 in two quarters, 0.58 in one and 1.35 in the other.
    let [green, both] = [1.0, 0.5].map(|threshold| of(1, threshold));
    let found = [
        green.area,
        green.whole,
        green.inside,
        green.outside,
        green.nothing,
    ];
    let expected = [0.25, 0.125, 0.075 + 0.01875, 0.05 + 0.00625, 0.025];
    assert_close(&found[..], &expected[..], 1e-6, 1e-6);
    let share = 0.06875 / 0.1;
    assert_close(&[green.share().unwrap()][..], &[share][..], 1e-5, 1e-5);
    assert_eq!(both.area, 0.5);
    assert!(both.share() > green.share());
}

#[test]
fn where_nothing_activates_a_neuron_there_is_no_share() {
    let (net, image) = (prepared(true), image());
    let blue = net.occlusions(image.view(), NeuronId(2), &[0.5, -1.0]);
    let blue = blue.unwrap().unwrap();
    assert_eq!(
        (blue[0].share(), blue[0].area, blue[1].area),
        (None, 0.0, 1.0)
    );
    let mapless = prepared(false).occlusions(image.view(), NeuronId(0), &[0.5]);
    assert_eq!(mapless.unwrap(), None);
    assert!(net.occlusions(image.view(), NeuronId(3), &[]).is_err());
    let narrow = image.slice_axis(Axis(2), Slice::from(..4));
    let error = net.occlusions(narrow, NeuronId(0), &[]).unwrap_err();
    assert!(
        matches!(error, Error::Core(_)) && error.to_string().contains("occlude"),
        "{error}"
    );
}
