//! Functions of each number by itself on Burn's CPU backend, whose own are computed by one thread.

use std::f32::consts::{PI, SQRT_2};

use burn::{
    backend::{Flex, TensorMetadata, ops::ActivationOps, tensor::FloatTensor},
    tensor::{DType, TensorData},
};
use rayon::prelude::*;

/// Numbers that a thread takes at least: to wake another one for fewer takes as long.
const PIECE: usize = 1 << 13;

pub(super) fn gelu(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    if !is_shared(&[&x]) {
        return Flex::gelu(x);
    }
    let x = x.to_contiguous();
    let numbers = x.storage::<f32>().par_iter().with_min_len(PIECE);
    let values = numbers.map(|&x| 0.5 * x * (1.0 + libm::erff(x / SQRT_2)));
    let data = TensorData::new(values.collect::<Vec<_>>(), x.shape());
    FloatTensor::<Flex>::from_data(data)
}

pub(super) fn gelu_backward(
    x: FloatTensor<Flex>,
    gradient: FloatTensor<Flex>,
) -> FloatTensor<Flex> {
    if !is_shared(&[&x, &gradient]) {
        return Flex::gelu_backward(x, gradient);
    }
    let [x, gradient] = [x, gradient].map(|it| it.to_contiguous());
    let scale = 1.0 / (2.0 * PI).sqrt();
    let gradients = gradient.storage::<f32>().par_iter();
    let numbers = x.storage::<f32>().par_iter().zip(gradients);
    let values = numbers.with_min_len(PIECE).map(|(&x, &gradient)| {
        let share = 0.5 * (1.0 + libm::erff(x / SQRT_2));
        gradient * (share + x * (scale * (-0.5 * x * x).exp()))
    });
    let data = TensorData::new(values.collect::<Vec<_>>(), x.shape());
    FloatTensor::<Flex>::from_data(data)
}

/// Whether there are numbers for several threads, all of them `f32`.
fn is_shared(tensors: &[&FloatTensor<Flex>]) -> bool {
    let single = tensors.iter().all(|it| it.dtype() == DType::F32);
    single && tensors[0].shape().num_elements() > PIECE
}
