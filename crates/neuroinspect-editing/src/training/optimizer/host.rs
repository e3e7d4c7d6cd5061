//! A step of Adam on the CPU, in one pass over parameter, gradient and moments.

use burn::tensor::{DataError, Tensor};
use neuroinspect_core::Error as CoreError;
use rayon::{
    iter::{IndexedParallelIterator, ParallelIterator},
    slice::{ParallelSlice, ParallelSliceMut},
};

use super::{BETA1, BETA2, EPSILON, Step};
use crate::Result;

/// Values that a thread takes at a time: what is read and written of them stays in a cache.
const PIECE: usize = 1 << 14;

/// The means of gradient and squared gradient, value by value.
pub(super) struct HostMoments {
    mean: Vec<f32>,
    square: Vec<f32>,
}

impl HostMoments {
    pub(super) fn zeros(values: usize) -> Self {
        Self {
            mean: vec![0.0; values],
            square: vec![0.0; values],
        }
    }

    /// Takes the parameter a step along its gradient: every value by itself, by the same roundings as tensors have, so that
    /// the number of threads changes no result.
    pub(super) fn step<const R: usize>(
        &mut self,
        parameter: &mut Tensor<R>,
        gradient: Tensor<R>,
        step: Step,
    ) -> Result<()> {
        let device = parameter.device();
        // What is held once alone is not copied.
        let taken = std::mem::replace(parameter, Tensor::empty([0; R], &device));
        let mut data = taken.try_into_data().map_err(|error| unread(&error))?;
        let gradient = gradient.try_into_data().map_err(|error| unread(&error))?;
        self.walk(
            data.as_mut_slice().map_err(|error| not_single(&error))?,
            gradient.as_slice().map_err(|error| not_single(&error))?,
            step,
        );
        *parameter = Tensor::from_data(data, &device);
        Ok(())
    }

    /// Loops that the compiler turns into vectors; roots and quotients take the time, which wider ones do not shorten.
    fn walk(&mut self, values: &mut [f32], gradient: &[f32], step: Step) {
        let Step {
            rate,
            correction,
            weight_decay,
        } = step;
        let [rate, correction, decay] = [rate, correction, weight_decay].map(|it| it as f32);
        let [mean_kept, square_kept] = [BETA1, BETA2].map(|it| it as f32);
        let [mean_new, square_new] = [1.0 - BETA1, 1.0 - BETA2].map(|it| it as f32);
        let epsilon = EPSILON as f32;
        let pieces = values
            .par_chunks_mut(PIECE)
            .zip(gradient.par_chunks(PIECE))
            .zip(self.mean.par_chunks_mut(PIECE))
            .zip(self.square.par_chunks_mut(PIECE));
        pieces.for_each(|(((values, gradient), mean), square)| {
            let moments = mean.iter_mut().zip(square);
            let values = values.iter_mut().zip(gradient);
            for ((value, &gradient), (mean, square)) in values.zip(moments) {
                let gradient = gradient + *value * decay;
                *mean = *mean * mean_kept + gradient * mean_new;
                *square = *square * square_kept + gradient * gradient * square_new;
                *value -= *mean / (square.sqrt() / correction + epsilon) * rate;
            }
        });
    }
}

/// A device that does not give values back.
fn unread(error: &impl ToString) -> CoreError {
    CoreError::Device {
        what: "a decision layer that is trained",
        reason: error.to_string(),
    }
}

/// Values of another precision than training has.
fn not_single(error: &DataError) -> CoreError {
    unread(error)
}
