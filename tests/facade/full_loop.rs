//! CLIP-Illusion against the authors' code, step by step on real networks.
//!
//! The reference values hold 30 steps of the original on resnet20 and a small CLIP trained on
//! CIFAR-10, with random transforms and smoothing switched off: where it started, what it saw at
//! every step, and what it made. Ours starts from the same spectrum. The networks' weights are not
//! in the repository.
//!
//! # Tolerances
//!
//! The two agree to rounding until, somewhere in a network, an activation lies so close to 0 that
//! rounding decides on which side of a ReLU it falls; AdamW, which looks at the direction of a
//! gradient more than at its size, then takes them apart. That is not ours alone. PyTorch,
//! started a part in ten million off, leaves the reference at the same steps: at step 17 of the
//! single pair, for losses up to 0.06 of 55 apart, and, in half of six tries, at step 2 of the batch,
//! for losses up to 2 of 44 apart. (In double precision, too, it leaves both.) So every step before
//! that fork is held to rounding, what follows to the spread of PyTorch against itself, and what
//! the original ended with, looked at by us, to rounding again.

use std::error::Error;

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array4;
use neuroinspect_core::{ClassEmbeddings, ClassId, NeuronId, Silent};
use neuroinspect_illusion::{
    Augmentation, Execution, Guide, Illusion, Initial, Networks, Pair, Recipe, Request, visualize,
};
use neuroinspect_models::{LoadConfig, clip::Clip, load_classifier};
use neuroinspect_testing::{
    assert_close, compare, real_data,
    reference::{Reference, full_loop_batch, full_loop_single},
};

const GAMMA: f32 = 0.5;

struct FullLoop {
    pairs: Vec<Pair>,
    initial: Array4<f32>,
    last: Array4<f32>,
    /// Loss, mean similarity and mean activation term, per step.
    steps: Vec<[f32; 3]>,
    images: Vec<f32>,
    activations: Vec<f32>,
    masks: Vec<f32>,
    /// `t_c` of each pair: `[pairs, E]`.
    texts: Vec<f32>,
}

impl FullLoop {
    fn new(reference: &Reference) -> Self {
        let pairs = reference.indices("neurons").into_iter();
        let pairs = pairs.zip(reference.indices("classes"));
        Self {
            pairs: pairs
                .map(|(neuron, class)| Pair {
                    neuron: NeuronId(neuron),
                    class: ClassId(class),
                })
                .collect(),
            initial: reference.array("spectrum_init"),
            last: reference.array("spectrum_final"),
            steps: reference.values("losses").as_chunks::<3>().0.to_vec(),
            images: reference.values("image"),
            activations: reference.values("activation"),
            masks: reference.values("mask"),
            texts: reference.values("text_features"),
        }
    }
}

/// The original's setting, but for the steps.
fn original() -> Recipe {
    Recipe::original()
        .with_augmentation(Augmentation::off())
        .with_smoothing(0.0)
        .with_mask(0.25, 0.0)
}

fn run(
    reference: &FullLoop,
    initial: &Array4<f32>,
    recipe: Recipe,
) -> Result<Vec<Illusion>, Box<dyn Error>> {
    let device = Device::flex();
    let resnet = real_data::path("weights/resnet20-12fca82f.th");
    let loaded = load_classifier("cifar_resnet20", resnet, &LoadConfig::default(), &device)?;
    let encoder = Clip::load(
        real_data::path("weights/mini_clip_cifar10.safetensors"),
        None,
        &device,
    )?;

    let width = reference.texts.len() / reference.pairs.len();
    let mut classes = Vec::new();
    let mut rows = Vec::new();
    for (pair, text) in reference.pairs.iter().zip(reference.texts.chunks(width)) {
        if !classes.contains(&pair.class) {
            classes.push(pair.class);
            rows.extend_from_slice(text);
        }
    }
    let rows = Tensor::from_data(TensorData::new(rows, [classes.len(), width]), &device);
    let guide = Guide {
        encoder: &encoder,
        class_embeddings: ClassEmbeddings::new(&classes, rows)?,
    };
    let networks = Networks::of(loaded.model.as_ref(), Some(&guide))?;
    let request = Request::new(reference.pairs.clone(), recipe)
        .with_execution(Execution::default().with_trace_every(1).with_other_seeds(0))
        .with_initial(Initial::Parameters(initial.clone()));
    let illusions = visualize(&networks, &request, &mut Silent)?;
    Ok(illusions.finished)
}

/// Losses are held to `LOSS` before step `fork` and to `apart` from there on.
fn check_steps(reference: &Reference, fork: usize, apart: f64) -> Result<(), Box<dyn Error>> {
    /// Losses reach 45 before the fork, single precision gives them to a part in ten million, and
    /// each step hands its error on: a part in a million.
    const LOSS: f64 = 5e-5;
    /// Cosines around 0.5.
    const SIMILARITY: f64 = 2e-6;

    let reference = FullLoop::new(reference);
    let recipe = original().with_steps(reference.steps.len());
    let illusions = run(&reference, &reference.initial, recipe)?;
    let mean = |of: &dyn Fn(&Illusion) -> f32| {
        illusions.iter().map(of).sum::<f32>() / illusions.len() as f32
    };
    for (step, &[loss, similarity, fires]) in reference.steps.iter().enumerate() {
        let activation = mean(&|one| one.trace[step].activation + GAMMA * one.trace[step].logit);
        let cosine = mean(&|one| one.trace[step].clip_similarity.unwrap_or(f32::NAN));
        let off = |what: &str, difference: String| -> Box<dyn Error> {
            format!("{what} at step {step}: {difference}").into()
        };
        let allowed = if step < fork { LOSS } else { apart };
        compare(illusions[0].trace[step].loss, loss, 0.0, allowed)
            .map_err(|difference| off("loss", difference))?;
        if step < fork {
            compare(activation, fires, 0.0, LOSS)
                .map_err(|difference| off("activation term", difference))?;
            compare(cosine, similarity, 0.0, SIMILARITY)
                .map_err(|difference| off("similarity", difference))?;
        }
    }
    Ok(())
}

/// Looks at the original's last spectrum: one step at a rate of nothing leaves it as it is.
fn check_result(reference: &Reference) -> Result<(), Box<dyn Error>> {
    let reference = FullLoop::new(reference);
    let still = original().with_steps(1).with_learning_rate(1e-30);
    let illusions = run(&reference, &reference.last, still)?;

    // A Fourier transform of 32 x 32 in another order, squashed into [0, 1].
    let images = illusions.iter().flat_map(|one| one.image.iter().copied());
    assert_close(images.collect::<Vec<_>>(), &reference.images, 0.0, 2e-6);
    // Twenty layers to a number below 10.
    let activations = illusions.iter().map(|one| one.activation);
    assert_close(
        activations.collect::<Vec<_>>(),
        &reference.activations,
        0.0,
        2e-5,
    );
    let masks = illusions
        .iter()
        .flat_map(|one| one.mask.iter().flatten().copied());
    assert_eq!(masks.collect::<Vec<_>>(), reference.masks);
    Ok(())
}

#[test]
#[ignore = "needs real weights"]
fn one_pair_is_optimised_as_by_the_original() -> Result<(), Box<dyn Error>> {
    check_steps(&full_loop_single(), 17, 0.1)
}

#[test]
#[ignore = "needs real weights"]
fn coupled_pairs_are_optimised_as_by_the_original() -> Result<(), Box<dyn Error>> {
    check_steps(&full_loop_batch(), 2, 2.5)
}

#[test]
#[ignore = "needs real weights"]
fn the_originals_results_are_seen_as_by_the_original() -> Result<(), Box<dyn Error>> {
    check_result(&full_loop_single())?;
    check_result(&full_loop_batch())
}
