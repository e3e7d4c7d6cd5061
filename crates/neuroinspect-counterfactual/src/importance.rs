//! Importance: how much of a class's probability rests on a neuron.

use ndarray::{Array1, ArrayView1};
use neuroinspect_core::{ClassId, DecisionLayer, Error};

use crate::Result;

/// The importance `r_i = p_y / p_y^(i -> 0)` of every neuron for a class (Eq. 7): the probability
/// of the class over the same with the neuron zeroed.
///
/// Above 1 the neuron argues for the class, below 1 against it. `features` is usually the mean
/// feature vector of a data set. Computed in double precision from log-probabilities, so that the
/// quotient of two tiny probabilities is right too; one beyond `f64` is capped at its maximum.
///
/// # Shapes
///
/// `[D]` to `[D]`.
///
/// # Errors
///
/// When the class is out of range, or the features are not the layer's `D`.
///
/// ```
/// use ndarray::array;
/// use neuroinspect_core::{ClassId, DecisionLayer};
/// use neuroinspect_counterfactual::importance;
///
/// // Neuron 0 argues for class 0, neuron 1 for nobody.
/// let layer = DecisionLayer::new(array![[1.0, 0.0], [0.0, 0.0]], array![0.0, 0.0])?;
/// let r = importance(&layer, array![2.0, 3.0].view(), ClassId(0))?;
/// let sigmoid = 1.0 / (1.0 + (-2.0_f64).exp());
/// assert!((r[0] - sigmoid / 0.5).abs() < 1e-6);
/// assert_eq!(r[1], 1.0);
/// # Ok::<(), neuroinspect_counterfactual::Error>(())
/// ```
pub fn importance(
    layer: &DecisionLayer,
    features: ArrayView1<'_, f32>,
    class: ClassId,
) -> Result<Array1<f64>> {
    layer.check_class(class)?;
    if features.len() != layer.neurons() {
        let expected = [layer.neurons()];
        return Err(Error::shape("mean features", expected, features.shape()).into());
    }
    let weight = layer.weight().mapv(f64::from);
    let features = features.mapv(f64::from);
    let logits = weight.dot(&features) + layer.bias().mapv(f64::from);
    let whole = log_probability(logits.view(), class);
    let without = |neuron: usize| {
        let zeroed = &logits - &(&weight.column(neuron) * features[neuron]);
        let ratio = (whole - log_probability(zeroed.view(), class)).exp();
        ratio.min(f64::MAX)
    };
    Ok((0..layer.neurons()).map(without).collect())
}

fn log_probability(logits: ArrayView1<'_, f64>, class: ClassId) -> f64 {
    let largest = logits.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
    let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    logits[class.0] - largest - sum.ln()
}
