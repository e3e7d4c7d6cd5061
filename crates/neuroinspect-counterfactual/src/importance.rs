//! Importance: how much of a class's probability rests on a neuron.

use ndarray::{Array1, Array2, ArrayView1};
use neuroinspect_core::{ClassId, DecisionLayer, Error, NeuronId};

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
/// When the class is out of range, the features are not the layer's `D`, or one of them is not
/// finite.
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
    let neurons: Vec<NeuronId> = (0..layer.neurons()).map(NeuronId).collect();
    let of_class = importances(layer, features, &[class], &neurons)?;
    Ok(of_class.row(0).to_owned())
}

/// The [`importance`] of some neurons for some classes: `classes` by `neurons`, in the orders given.
///
/// The logits without a neuron serve all classes: `K (D + |neurons|)` operations, and `|neurons|`
/// more for each class asked for.
///
/// # Shapes
///
/// `[D]` to `[classes, neurons]`.
///
/// # Errors
///
/// When a class or a neuron is out of range, the features are not the layer's `D`, or one of them is
/// not finite.
pub fn importances(
    layer: &DecisionLayer,
    features: ArrayView1<'_, f32>,
    classes: &[ClassId],
    neurons: &[NeuronId],
) -> Result<Array2<f64>> {
    for &class in classes {
        layer.check_class(class)?;
    }
    for &neuron in neurons {
        layer.check_neuron(neuron)?;
    }
    if features.len() != layer.neurons() {
        let expected = [layer.neurons()];
        return Err(Error::shape("mean features", expected, features.shape()).into());
    }
    for (neuron, &value) in features.indexed_iter() {
        if !value.is_finite() {
            let what = format!("mean activation of neuron {neuron}");
            return Err(Error::NotFinite { what, value }.into());
        }
    }
    let weight = layer.weight().mapv(f64::from);
    let features = features.mapv(f64::from);
    let logits = weight.dot(&features) + layer.bias().mapv(f64::from);
    let whole = LogProbabilities::new(logits.clone());
    let mut importances = Array2::zeros((classes.len(), neurons.len()));
    for (mut column, neuron) in importances.columns_mut().into_iter().zip(neurons) {
        let zeroed = &logits - &(&weight.column(neuron.0) * features[neuron.0]);
        let zeroed = LogProbabilities::new(zeroed);
        for (importance, &class) in column.iter_mut().zip(classes) {
            let ratio = (whole.of(class) - zeroed.of(class)).exp();
            *importance = ratio.min(f64::MAX);
        }
    }
    Ok(importances)
}

/// The logarithms of a softmax.
struct LogProbabilities {
    logits: Array1<f64>,
    largest: f64,
    /// Logarithm of the sum of exponentials, the largest logit taken off.
    log_sum: f64,
}

impl LogProbabilities {
    fn new(logits: Array1<f64>) -> Self {
        let largest = logits.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
        Self {
            logits,
            largest,
            log_sum: sum.ln(),
        }
    }

    fn of(&self, class: ClassId) -> f64 {
        self.logits[class.0] - self.largest - self.log_sum
    }
}
