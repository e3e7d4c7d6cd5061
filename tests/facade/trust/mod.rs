//! How far pictures can be trusted, and where in them activations come from.

mod circuits;
mod masks;
mod planted;

use ndarray::Array3;
use neuroinspect::{
    core::{ClassId, Classifier, NeuronId, Silent},
    datasets::{
        ImageDataset, preprocess,
        scenes::{Scenes, ScenesConfig},
    },
    illusion::{Execution, Illusion, Networks, Objective, Pair, Recipe, Request, visualize},
};

const REAL: usize = 256;
/// With fewer, many pictures activate their unit less than real images do.
const STEPS: usize = 64;

fn real(net: &dyn Classifier) -> Vec<Array3<f32>> {
    let scenes = Scenes::new(ScenesConfig::test().with_samples(REAL)).unwrap();
    let image = |index| preprocess(&scenes.image(index).unwrap(), net.input()).unwrap();
    (0..REAL).map(image).collect()
}

fn recipe() -> Recipe {
    Recipe::default()
        .with_objective(Objective::Neuron)
        .with_learning_rate(0.03)
        .with_steps(STEPS)
}

fn pictures(net: &dyn Classifier, request: &Request) -> Vec<Illusion> {
    let networks = Networks::of(net, None).unwrap();
    visualize(&networks, request, &mut Silent).unwrap().finished
}

fn of_neurons(neurons: &[NeuronId], recipe: Recipe, execution: Execution) -> Request {
    let pair = |&neuron| Pair {
        neuron,
        class: ClassId(0),
    };
    let pairs: Vec<Pair> = neurons.iter().map(pair).collect();
    Request::new(pairs, recipe).with_execution(execution)
}
