//! Tests that need a network, the authors' numbers, or the crate's insides.

mod autotraits;
mod behaviour;
mod gradient;
mod objective;
mod objective_text;
mod occlusion;
mod preparing;
mod recipe;
mod reference;
mod refusals;
mod resuming;
mod scores;
mod stopping;
mod training_state;
mod transforms;
mod trust;
mod units;
mod unmoved;
mod within_memory;

use burn::tensor::{Device, Tensor, TensorData};
use neuroinspect_core::{ClassEmbeddings, ClassId, NeuronId, Silent};
use neuroinspect_testing::{
    fill,
    networks::{TinyClassifier, TinyEncoder},
};

use crate::{
    Execution, Guide, Illusion, Initial, Networks, Objective, Pair, Recipe, Request, Result,
    visualize,
};

const SIZE: usize = 12;
const NEURONS: usize = TinyClassifier::NEURONS;
const CLASSES: usize = TinyClassifier::CLASSES;

fn device() -> Device {
    Device::flex()
}

fn tensor<const R: usize>(values: Vec<f32>, shape: [usize; R]) -> Tensor<R> {
    Tensor::from_data(TensorData::new(values, shape), &device())
}

fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

fn pairs<const N: usize>(pairs: [(usize, usize); N]) -> [Pair; N] {
    pairs.map(|(neuron, class)| Pair {
        neuron: NeuronId(neuron),
        class: ClassId(class),
    })
}

fn class_embeddings(classes: usize, width: usize) -> ClassEmbeddings {
    let rows = tensor(fill::normal("texts", classes * width), [classes, width]);
    let classes: Vec<_> = (0..classes).map(ClassId).collect();
    ClassEmbeddings::new(&classes, rows / 4.0).unwrap()
}

fn plain_networks() -> Networks {
    Networks::of(&TinyClassifier::new(SIZE, &device()), None).unwrap()
}

fn guided_networks(size: usize) -> Networks {
    let guide = Guide {
        encoder: &TinyEncoder::new(8, &device()),
        class_embeddings: class_embeddings(CLASSES, TinyEncoder::WIDTH),
    };
    Networks::of(&TinyClassifier::new(size, &device()), Some(&guide)).unwrap()
}

fn guided_recipe() -> Recipe {
    Recipe::default().with_steps(12)
}

fn plain_recipe() -> Recipe {
    guided_recipe().with_objective(Objective::without_clip(0.5))
}

fn request(pairs: impl Into<Vec<Pair>>, recipe: &Recipe) -> Request {
    Request::new(pairs, recipe.clone())
        .with_execution(Execution::default().with_trace_every(4).with_other_seeds(0))
}

/// Pictures with a guide.
fn guided(pairs: &[Pair], recipe: &Recipe) -> Vec<Illusion> {
    let request = request(pairs, recipe);
    let illusions = visualize(&guided_networks(SIZE), &request, &mut Silent).unwrap();
    assert!(!illusions.interrupted);
    illusions.finished
}

/// Two pictures without a guide.
fn plain(recipe: &Recipe, initial: &Initial) -> Result<Vec<Illusion>> {
    let request = request(pairs([(1, 2), (4, 0)]), recipe).with_initial(initial.clone());
    Ok(visualize(&plain_networks(), &request, &mut Silent)?.finished)
}
