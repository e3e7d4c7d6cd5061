//! Feature tables and decision layers in a line.

use ndarray::{Array1, Array2};
use neuroinspect_core::{
    ActivationTable, ClassId, DecisionLayer, FeatureTable, InputSpec, NeuronId, Provenance,
};

use crate::fill;

/// A decision layer without a bias: `weight` is `[K, D]`.
pub fn layer(weight: Array2<f32>) -> DecisionLayer {
    let classes = weight.nrows();
    DecisionLayer::new(weight, Array1::zeros(classes)).unwrap()
}

/// A decision layer with standard normal weights and biases.
pub fn random_layer(classes: usize, neurons: usize) -> DecisionLayer {
    let weight = fill::normal("decision layer weight", classes * neurons);
    let weight = Array2::from_shape_vec((classes, neurons), weight).unwrap();
    DecisionLayer::new(weight, fill::normal("decision layer bias", classes).into()).unwrap()
}

/// A table of `features` `[N, D]` of a classifier `toy` whose classes are `class 0`, `class 1`, ...
pub fn table(features: Array2<f32>, labels: &[usize], classes: usize) -> FeatureTable {
    let names = (0..classes).map(|class| format!("class {class}")).collect();
    let provenance = Provenance::new("toy", InputSpec::new(8));
    let activations = ActivationTable::new(features, provenance).unwrap();
    FeatureTable::new(activations, class_ids(labels), names).unwrap()
}

/// `samples` features in `[0, 1)`, of classes 0, 1, ... in turn, made for `name`: no two tables of
/// different names are alike.
pub fn random_table(name: &str, samples: usize, layer: &DecisionLayer) -> FeatureTable {
    let neurons = layer.neurons();
    let values = fill::formula(name, samples * neurons).map(|value| value as f32);
    let features = Array2::from_shape_vec((samples, neurons), values.collect()).unwrap();
    let labels: Vec<usize> = (0..samples).map(|it| it % layer.classes()).collect();
    table(features, &labels, layer.classes())
}

/// Classes by their indices.
pub fn class_ids(indices: &[usize]) -> Vec<ClassId> {
    indices.iter().copied().map(ClassId).collect()
}

/// Neurons by their indices.
pub fn neuron_ids(indices: &[usize]) -> Vec<NeuronId> {
    indices.iter().copied().map(NeuronId).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_table_has_the_classes_asked_for() {
        let table = table(array![[1.0, 0.5], [0.5, 1.0]], &[0, 0], 3);
        assert_eq!(table.class_names()[2], "class 2");
        let layer = layer(array![[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]);
        let predicted = table.predicted_by(&layer).unwrap();
        assert_eq!(predicted.mistakes(ClassId(0)).unwrap(), [1]);
    }

    #[test]
    fn a_random_table_is_right_and_wrong() {
        let layer = random_layer(3, 5);
        let table = random_table("a", 60, &layer);
        let predicted = table.predicted_by(&layer).unwrap();
        let mistakes: usize = (0..3)
            .map(|class| predicted.mistakes(ClassId(class)).unwrap().len())
            .sum();
        assert!((1..60).contains(&mistakes), "{mistakes}");
        let other = random_table("b", 60, &layer);
        assert_ne!(table.features().unwrap(), other.features().unwrap());
    }
}
