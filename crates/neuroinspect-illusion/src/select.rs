//! Which class to picture a neuron in, and which neurons to picture for a class.

use neuroinspect_core::{ClassId, DecisionLayer, NeuronId};

use crate::Result;

/// Activation of the one neuron that fires when its classes are looked for.
const LONE_ACTIVATION: f32 = 30.0;

/// The classes whose logits are highest when only `neuron` fires, set to 30; highest first, the
/// lower index first among equals.
///
/// At most `count`, or all classes if there are fewer.
///
/// # Errors
///
/// When the layer does not have the neuron.
pub fn classes_of_neuron(
    layer: &DecisionLayer,
    neuron: NeuronId,
    count: usize,
) -> Result<Vec<ClassId>> {
    layer.check_neuron(neuron)?;
    let weights = layer.weight();
    let weights = weights.column(neuron.0);
    let logits = weights.iter().zip(layer.bias());
    let logits = logits.map(|(weight, bias)| LONE_ACTIVATION * weight + bias);
    Ok(highest(logits, count).into_iter().map(ClassId).collect())
}

/// The neurons of largest weight `W_c` in the decision layer; largest first, the lower index first
/// among equals.
///
/// At most `count`, or all neurons if there are fewer.
///
/// # Errors
///
/// When the layer does not have the class.
pub fn neurons_of_class(
    layer: &DecisionLayer,
    class: ClassId,
    count: usize,
) -> Result<Vec<NeuronId>> {
    layer.check_class(class)?;
    let highest = highest(layer.weight().row(class.0).iter().copied(), count);
    Ok(highest.into_iter().map(NeuronId).collect())
}

/// Indices of the `count` highest values, highest first, the lower index first among equals.
pub(crate) fn highest(values: impl Iterator<Item = f32>, count: usize) -> Vec<usize> {
    let mut ranked: Vec<(usize, f32)> = values.enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked.truncate(count);
    ranked.into_iter().map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn layer() -> DecisionLayer {
        let weight = array![[0.1, 0.5, 0.5], [0.2, -1.0, 0.4], [0.0, 0.3, 0.9]];
        DecisionLayer::new(weight, array![4.0, 0.0, 0.0]).unwrap()
    }

    #[test]
    fn a_neurons_classes_count_the_bias() {
        // Neuron 0 at 30: logits 3 + 4, 6, 0. The weight alone would put class 1 first.
        let classes = classes_of_neuron(&layer(), NeuronId(0), 2).unwrap();
        assert_eq!(classes, [ClassId(0), ClassId(1)]);
    }

    #[test]
    fn a_classs_neurons_are_those_of_largest_weight() {
        let neurons = neurons_of_class(&layer(), ClassId(0), 9).unwrap();
        assert_eq!(neurons, [NeuronId(1), NeuronId(2), NeuronId(0)]);
    }

    #[test]
    fn strangers_are_refused() {
        assert!(classes_of_neuron(&layer(), NeuronId(3), 1).is_err());
        assert!(neurons_of_class(&layer(), ClassId(3), 1).is_err());
    }
}
