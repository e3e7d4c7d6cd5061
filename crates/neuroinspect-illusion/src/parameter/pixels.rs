//! The pixels themselves.

use burn::tensor::Tensor;

use super::Parametrization;

/// Parameters that are red, green and blue before the squash.
#[derive(Debug)]
pub(crate) struct Pixels {
    pub(crate) size: usize,
}

impl Parametrization for Pixels {
    fn shape(&self) -> [usize; 3] {
        [3, self.size, self.size]
    }

    fn values(&self, parameter: Tensor<4>) -> Tensor<4> {
        parameter
    }

    fn pull_back(&self, _: Tensor<4>, gradient: Tensor<4>) -> Tensor<4> {
        gradient
    }

    fn parameter_of(&self, values: Tensor<4>) -> Tensor<4> {
        values
    }
}
