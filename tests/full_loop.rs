//! CLIP-Illusion against the authors' code, step by step on real networks.
//!
//! `reference/full_loop_{single,batch}.safetensors` hold 30 steps of the original on resnet20 and
//! a small CLIP trained on CIFAR-10, with random transforms and smoothing switched off: where it
//! started, what it saw at every step, and what it made. Ours starts from the same spectrum.
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

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array4;
use neuroinspect_core::{ClassId, NeuronId, Silent};
use neuroinspect_illusion::{
    Augmentation, Guide, Illusion, IllusionConfig, Initial, Pair, visualize_from,
};
use neuroinspect_models::{LoadConfig, clip::Clip, load_classifier};
use safetensors::SafeTensors;

const CLASSES: usize = 10;
const GAMMA: f32 = 0.5;

fn shared() -> Result<PathBuf, String> {
    let shared = std::env::var_os("NEUROINSPECT_SHARED");
    let missing = "NEUROINSPECT_SHARED names the folder of the reference data";
    shared.map(PathBuf::from).ok_or(missing.into())
}

struct Reference {
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

impl Reference {
    fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let bytes = std::fs::read(path)?;
        let file = SafeTensors::deserialize(&bytes)?;
        let floats = |name: &str| -> Result<Vec<f32>, Box<dyn Error>> {
            let (values, rest) = file.tensor(name)?.data().as_chunks::<4>();
            assert!(rest.is_empty());
            Ok(values
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect())
        };
        let indices = |name: &str| -> Result<Vec<usize>, Box<dyn Error>> {
            let (values, rest) = file.tensor(name)?.data().as_chunks::<8>();
            assert!(rest.is_empty());
            Ok(values
                .iter()
                .map(|bytes| i64::from_le_bytes(*bytes) as usize)
                .collect())
        };
        let pairs: Vec<Pair> = indices("neurons")?
            .into_iter()
            .zip(indices("classes")?)
            .map(|(neuron, class)| Pair {
                neuron: NeuronId(neuron),
                class: ClassId(class),
            })
            .collect();
        let shape = (pairs.len(), 3, 32, 32);
        Ok(Self {
            initial: Array4::from_shape_vec(shape, floats("spectrum_init")?)?,
            last: Array4::from_shape_vec(shape, floats("spectrum_final")?)?,
            pairs,
            steps: floats("losses")?.as_chunks::<3>().0.to_vec(),
            images: floats("image")?,
            activations: floats("activation")?,
            masks: floats("mask")?,
            texts: floats("text_features")?,
        })
    }
}

/// The original's setting, but for the steps.
fn original() -> IllusionConfig {
    IllusionConfig::original()
        .with_augmentation(Augmentation::off())
        .with_smoothing(0.0)
        .with_mask(0.25, 0.0)
        .with_trace_every(1)
}

fn run(
    reference: &Reference,
    shared: &Path,
    initial: &Array4<f32>,
    config: &IllusionConfig,
) -> Result<Vec<Illusion>, Box<dyn Error>> {
    let device = Device::flex();
    let weights = shared.join("data/weights");
    let resnet = weights.join("resnet20-12fca82f.th");
    let loaded = load_classifier("cifar_resnet20", resnet, &LoadConfig::default(), &device)?;
    let encoder = Clip::load(weights.join("mini_clip_cifar10.safetensors"), None, &device)?;

    let width = reference.texts.len() / reference.pairs.len();
    let mut rows = vec![0.0; CLASSES * width];
    for (pair, text) in reference.pairs.iter().zip(reference.texts.chunks(width)) {
        rows[pair.class.0 * width..][..width].copy_from_slice(text);
    }
    let guide = Guide {
        encoder: &encoder,
        class_embeddings: Tensor::from_data(TensorData::new(rows, [CLASSES, width]), &device),
    };
    let illusions = visualize_from(
        loaded.model.as_ref(),
        Some(&guide),
        &reference.pairs,
        &Initial::Spectra(initial.clone()),
        config,
        &mut Silent,
    )?;
    Ok(illusions.finished)
}

#[track_caller]
fn assert_near(what: &str, ours: f32, theirs: f32, tolerance: f32) {
    let distance = (ours - theirs).abs();
    assert!(
        distance <= tolerance,
        "{what}: {ours} against {theirs}, {tolerance} allowed"
    );
}

/// Losses are held to `LOSS` before step `fork` and to `apart` from there on.
fn check_steps(name: &str, fork: usize, apart: f32) -> Result<(), Box<dyn Error>> {
    /// Losses reach 45 before the fork, single precision gives them to a part in ten million, and
    /// each step hands its error on: a part in a million.
    const LOSS: f32 = 5e-5;
    /// Cosines around 0.5.
    const SIMILARITY: f32 = 2e-6;

    let shared = shared()?;
    let reference = Reference::open(&shared.join("reference").join(name))?;
    let config = original().with_steps(reference.steps.len());
    let illusions = run(&reference, &shared, &reference.initial, &config)?;
    let mean = |of: &dyn Fn(&Illusion) -> f32| {
        illusions.iter().map(of).sum::<f32>() / illusions.len() as f32
    };
    for (step, &[loss, similarity, fires]) in reference.steps.iter().enumerate() {
        let ours = illusions[0].trace[step].loss;
        if step >= fork {
            assert_near(&format!("loss at step {step}"), ours, loss, apart);
            continue;
        }
        assert_near(&format!("loss at step {step}"), ours, loss, LOSS);
        let ours = mean(&|one| one.trace[step].activation + GAMMA * one.trace[step].logit);
        assert_near(
            &format!("activation term at step {step}"),
            ours,
            fires,
            LOSS,
        );
        let ours = mean(&|one| one.trace[step].clip_similarity.unwrap_or(f32::NAN));
        assert_near(
            &format!("similarity at step {step}"),
            ours,
            similarity,
            SIMILARITY,
        );
    }
    Ok(())
}

/// Looks at the original's last spectrum: one step at a rate of nothing leaves it as it is.
fn check_result(name: &str) -> Result<(), Box<dyn Error>> {
    let shared = shared()?;
    let reference = Reference::open(&shared.join("reference").join(name))?;
    let still = original().with_steps(1).with_learning_rate(1e-30);
    let illusions = run(&reference, &shared, &reference.last, &still)?;

    let images = illusions.iter().flat_map(|one| &one.image);
    for (&ours, &theirs) in images.zip(&reference.images) {
        // A Fourier transform of 32 x 32 in another order, squashed into [0, 1].
        assert_near("a pixel", ours, theirs, 2e-6);
    }
    for (one, &theirs) in illusions.iter().zip(&reference.activations) {
        // Twenty layers to a number below 10.
        assert_near("an activation", one.activation, theirs, 2e-5);
    }
    let masks = illusions.iter().flat_map(|one| one.mask.iter().copied());
    assert_eq!(masks.collect::<Vec<_>>(), reference.masks);
    Ok(())
}

#[test]
#[ignore = "needs NEUROINSPECT_SHARED"]
fn one_pair_is_optimised_as_by_the_original() -> Result<(), Box<dyn Error>> {
    check_steps("full_loop_single.safetensors", 17, 0.1)
}

#[test]
#[ignore = "needs NEUROINSPECT_SHARED"]
fn coupled_pairs_are_optimised_as_by_the_original() -> Result<(), Box<dyn Error>> {
    check_steps("full_loop_batch.safetensors", 2, 2.5)
}

#[test]
#[ignore = "needs NEUROINSPECT_SHARED"]
fn the_originals_results_are_seen_as_by_the_original() -> Result<(), Box<dyn Error>> {
    check_result("full_loop_single.safetensors")?;
    check_result("full_loop_batch.safetensors")
}
