//! Which neurons a command is about.

use anyhow::{Result, bail};
use neuroinspect::{
    NeuronChoice,
    core::{DecisionLayer, NeuronId},
};

use crate::args::NeuronList;

/// Neurons that `debug` takes of the ranking, and `explain` gives to the next command.
pub(crate) const NEURON_COUNT: usize = 5;

/// Which neurons are edited: those of the command line, or else those of the configuration.
pub(crate) fn neuron_choice(
    (list, by_config): (Option<&NeuronList>, NeuronChoice),
    count: Option<usize>,
    layer: &DecisionLayer,
) -> Result<NeuronChoice> {
    let auto = match by_config {
        NeuronChoice::Auto { count } => count,
        _ => NEURON_COUNT,
    };
    Ok(match (list, by_config) {
        (Some(NeuronList::Auto), _) | (None, NeuronChoice::Auto { .. }) => NeuronChoice::Auto {
            count: count.unwrap_or(auto),
        },
        _ if count.is_some() => bail!("--count goes with --neurons auto alone"),
        (Some(NeuronList::All), _) => NeuronChoice::Listed,
        (Some(NeuronList::Given(numbers)), _) => NeuronChoice::Given(neurons(numbers, layer)?),
        (None, choice) => choice,
    })
}

/// The neurons of a list, all of them there in the model.
pub(crate) fn neurons(numbers: &[usize], layer: &DecisionLayer) -> Result<Vec<NeuronId>> {
    let neurons: Vec<_> = numbers.iter().copied().map(NeuronId).collect();
    for &neuron in &neurons {
        layer.check_neuron(neuron)?;
    }
    Ok(neurons)
}
