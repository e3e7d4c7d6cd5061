//! The pairs of neuron and class that are asked for.

use anyhow::{Result, bail};
use neuroinspect::{
    core::DecisionLayer,
    illusion::{Pair, classes_of_neuron, neurons_of_class},
};

use crate::{
    args::{NeuronList, VisualizeArgs},
    opened::class_id,
    options::neurons,
};

/// Neurons of a class, or classes of a neuron, that are visualized.
const COUNT: usize = 4;

/// Given neurons in a class, a class's own neurons, or neurons in the classes each speaks for most.
pub(super) fn of(
    args: &VisualizeArgs,
    layer: &DecisionLayer,
    names: Option<&[String]>,
) -> Result<Vec<Pair>> {
    let class = args
        .class
        .as_deref()
        .map(|text| class_id(text, layer, names))
        .transpose()?;
    let count = args.count.unwrap_or(COUNT);
    Ok(
        match (args.neurons.as_ref().unwrap_or(&NeuronList::Auto), class) {
            (NeuronList::All, _) => bail!("there is no ranking here: name the neurons"),
            (NeuronList::Auto, None) => bail!("give --class, --neurons, or both"),
            (NeuronList::Given(_), Some(_)) if args.count.is_some() => {
                bail!("--count does nothing where both neurons and class are given")
            }
            (NeuronList::Auto, Some(class)) => neurons_of_class(layer, class, count)?
                .into_iter()
                .map(|neuron| Pair { neuron, class })
                .collect(),
            (NeuronList::Given(numbers), Some(class)) => neurons(numbers, layer)?
                .into_iter()
                .map(|neuron| Pair { neuron, class })
                .collect(),
            (NeuronList::Given(numbers), None) => {
                let mut pairs = Vec::new();
                for neuron in neurons(numbers, layer)? {
                    let classes = classes_of_neuron(layer, neuron, count)?;
                    pairs.extend(classes.into_iter().map(|class| Pair { neuron, class }));
                }
                pairs
            }
        },
    )
}
