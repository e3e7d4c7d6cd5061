//! What stands between a picture and the networks at one step, and making it ahead of time.

use std::{sync::mpsc::sync_channel, thread};

use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};

use crate::{
    Augmentation, Pair, Recipe, TransformDraw,
    augment::Transform,
    warp::{Warp, WarpConstants},
};

/// What a step's augmentation and smoothing make of the pictures.
pub(crate) struct View {
    warp: Option<Warp>,
    /// `[N, 3, 1, 1]`.
    offsets: Option<Tensor<4>>,
}

impl View {
    pub(crate) fn new(constants: ViewConstants, device: &Device) -> Self {
        let offsets = |offsets: Vec<f32>| {
            let shape = [offsets.len() / 3, 3, 1, 1];
            Tensor::from_data(TensorData::new(offsets, shape), device)
        };
        Self {
            warp: constants.warp.map(|warp| Warp::new(warp, device)),
            offsets: constants.offsets.map(offsets),
        }
    }

    pub(crate) fn apply(&self, mut images: Tensor<4>) -> Tensor<4> {
        if let Some(warp) = &self.warp {
            images = warp.apply(images);
        }
        if let Some(offsets) = &self.offsets {
            images = images + offsets.clone();
        }
        images
    }

    pub(crate) fn adjoint(&self, gradient: Tensor<4>) -> Tensor<4> {
        match &self.warp {
            Some(warp) => warp.adjoint(gradient),
            None => gradient,
        }
    }
}

/// The constants of a [`View`], made on the host: they depend on the recipe, the pairs, the
/// pictures' size and the step alone.
pub(crate) struct ViewConstants {
    warp: Option<WarpConstants>,
    /// Three for each pair.
    offsets: Option<Vec<f32>>,
}

impl ViewConstants {
    pub(crate) fn new(recipe: &Recipe, pairs: &[Pair], size: usize, step: usize) -> Self {
        let draw = |keys: &[u64]| {
            let mut rng = recipe.seed.rng("transform", keys);
            Transform::draw(&recipe.augmentation, size, &mut rng)
        };
        let warp = (recipe.augmentation != Augmentation::off()).then(|| {
            let step = step as u64;
            let transforms: Vec<Transform> = match recipe.transform_draw {
                TransformDraw::PerStep => vec![draw(&[step])],
                TransformDraw::PerImage => pairs
                    .iter()
                    .map(|pair| draw(&[pair.neuron.0 as u64, pair.class.0 as u64, step]))
                    .collect(),
            };
            WarpConstants::new(&transforms, size)
        });
        let remaining = (recipe.steps - step) as f64 / recipe.steps as f64;
        let std = recipe.smoothing * remaining;
        let offsets = (recipe.smoothing > 0.0).then(|| {
            let of_pair = |pair| {
                let normals = normals(recipe, "smoothing", pair, Some(step)).take(3);
                normals.map(|value| (value * std) as f32)
            };
            pairs.iter().flat_map(of_pair).collect()
        });
        Self { warp, offsets }
    }
}

/// Standard normal numbers that belong to a pair, and to a step of it.
pub(crate) fn normals(
    recipe: &Recipe,
    purpose: &str,
    pair: &Pair,
    step: Option<usize>,
) -> impl Iterator<Item = f64> + use<> {
    let mut keys = vec![pair.neuron.0 as u64, pair.class.0 as u64];
    keys.extend(step.map(|step| step as u64));
    StandardNormal.sample_iter(recipe.seed.rng(purpose, &keys))
}

/// Does `work` with `make(0)` to `make(count - 1)` in order, up to `ahead` of which are made on a
/// thread of their own before they are asked for; with 0, each when it is asked for.
pub(crate) fn made_ahead<T: Send, R>(
    count: usize,
    ahead: usize,
    make: impl Fn(usize) -> T + Sync,
    work: impl FnOnce(&mut dyn Iterator<Item = T>) -> R,
) -> R {
    let Some(waiting) = ahead.checked_sub(1) else {
        return work(&mut (0..count).map(make));
    };
    thread::scope(|scope| {
        // One is in the hands of the thread while the channel is full.
        let (sender, receiver) = sync_channel(waiting);
        let make = &make;
        let maker = move || {
            // The receiver is gone when the work ends early.
            (0..count).try_for_each(|index| sender.send(make(index)).ok())
        };
        match thread::Builder::new().spawn_scoped(scope, maker) {
            Ok(_) => work(&mut receiver.into_iter()),
            // No thread is to be had: one does without.
            Err(_) => work(&mut (0..count).map(make)),
        }
    })
}
