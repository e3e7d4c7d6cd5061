//! How a network is trained.

use std::{error::Error, f64::consts::PI, thread, time::Instant};

use burn::tensor::{Device, Tensor, TensorData};
use burn_optim::{AdamWConfig, ModuleOptimizer};
use neuroinspect::{
    core::InputSpec,
    datasets::{Batch, ImageDataset, LoaderConfig, batches, scenes::Scenes},
};
use rand::{Rng, RngExt, seq::SliceRandom};

use crate::{Result, SEED};

/// How one network is trained: AdamW, its rate rising over the first tenth of all steps and falling
/// along a cosine.
pub(crate) struct Schedule {
    pub(crate) network: &'static str,
    pub(crate) epochs: usize,
    pub(crate) batch: usize,
    pub(crate) learning_rate: f64,
    pub(crate) weight_decay: f32,
    pub(crate) epsilon: f32,
}

impl Schedule {
    pub(crate) fn optimizer(&self) -> ModuleOptimizer {
        AdamWConfig::new()
            .with_weight_decay(self.weight_decay)
            .with_epsilon(self.epsilon)
            .init()
    }

    /// Calls `step` with normalised images, some of them mirrored, the scenes they show, the
    /// learning rate and a generator; `step` returns its loss.
    pub(crate) fn run(
        &self,
        scenes: &Scenes,
        input: &InputSpec,
        device: &Device,
        mut step: impl FnMut(Tensor<4>, &[usize], f64, &mut dyn Rng) -> Result<Tensor<1>>,
    ) -> Result<()> {
        let start = Instant::now();
        let samples = scenes.samples().len();
        let steps = self.epochs * (samples / self.batch);
        let reports = steps.div_ceil(20);
        let mut rng = SEED.rng(self.network, &[]);
        let (mut done, mut sum) = (0, None::<Tensor<1>>);
        for _ in 0..self.epochs {
            let mut order: Vec<_> = (0..samples).collect();
            order.shuffle(&mut rng);
            // Batches are full: what is left of the order when it ends is too little for one.
            order.truncate(samples / self.batch * self.batch);
            let loader = LoaderConfig::default().with_batch_size(self.batch);
            thread::scope(|scope| {
                for batch in batches(scope, scenes, Some(&order), input, &loader)? {
                    let Batch { indices, images } = batch?;
                    let shape: [usize; 4] = images.dim().into();
                    let images = TensorData::new(images.into_raw_vec_and_offset().0, shape);
                    let images = input.normalize(Tensor::from_data(images, device));
                    let mirror = rng.random();
                    let images = if mirror { images.flip([3]) } else { images };
                    let loss = step(images, &indices, self.rate(done, steps), &mut rng)?.inner();
                    sum = Some(match sum.take() {
                        Some(sum) => sum + loss,
                        None => loss,
                    });
                    done += 1;
                    // The device is waited for no more often than that.
                    if done % reports == 0
                        && let Some(sum) = sum.take()
                    {
                        let loss = sum.try_into_scalar::<f32>()? / reports as f32;
                        let seconds = start.elapsed().as_secs();
                        println!("{}: step {done}: loss {loss:.4}, {seconds} s", self.network);
                    }
                }
                Ok::<(), Box<dyn Error>>(())
            })?;
        }
        Ok(())
    }

    fn rate(&self, step: usize, steps: usize) -> f64 {
        let progress = (step as f64 + 0.5) / steps as f64;
        let fall = 0.5 + 0.5 * (PI * progress).cos();
        self.learning_rate * fall * (10.0 * progress).min(1.0)
    }
}
