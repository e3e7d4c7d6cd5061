//! L1-regularised logistic regression.

use burn::tensor::{Tensor, TensorData, activation::softmax};
use neuroinspect_core::read_back;

use crate::{Result, training::LEAST_PROBABILITY};

/// `W` `[K, D]` and `b` `[K]` that minimise the mean cross-entropy of `W x + b` over `x` `[N, D]` plus
/// `penalty |W|_1`, for labels `one_hot` `[N, K]`; biases are not penalised.
///
/// By FISTA (Beck and Teboulle 2009) with a fixed step from 0, `steps` times at most, until no weight
/// changes by more than 1e-5 of the largest: the Hessian of the cross-entropy is at most half of
/// `X^T X / N`, `X` being `x` with a column of ones.
pub(super) fn l1_logistic(
    x: Tensor<2>,
    one_hot: Tensor<2>,
    penalty: f64,
    steps: usize,
) -> Result<(Tensor<2>, Tensor<1>)> {
    let ([samples, neurons], classes) = (x.dims(), one_hot.dims()[1]);
    let device = x.device();
    let x = Tensor::cat(vec![x, Tensor::ones([samples, 1], &device)], 1);
    let step = 2.0 * samples as f64 / largest_eigenvalue(&x)?;
    // 0 for the biases.
    let shrinkage = Tensor::full([1, neurons], penalty * step, &device);
    let shrinkage = Tensor::cat(vec![shrinkage, Tensor::zeros([1, 1], &device)], 1);
    let mut w = Tensor::<2>::zeros([classes, neurons + 1], &device);
    let (mut ahead, mut momentum) = (w.clone(), 1.0_f64);
    for done in 1..=steps {
        let p =
            softmax(x.clone().matmul(ahead.clone().transpose()), 1).clamp_min(LEAST_PROBABILITY);
        let gradient = (p - one_hot.clone()).transpose().matmul(x.clone()) / samples as f64;
        let moved = ahead - gradient * step;
        let next = moved.clone().sign() * (moved.abs() - shrinkage.clone()).clamp_min(0.0);
        let next_momentum = (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) / 2.0;
        ahead = next.clone() + (next.clone() - w.clone()) * ((momentum - 1.0) / next_momentum);
        // Looked at seldom: reading back waits for the device.
        let change = (done % 50 == 0).then(|| {
            let largest = |it: Tensor<2>| it.abs().max();
            Tensor::cat(vec![largest(next.clone() - w), largest(next.clone())], 0)
        });
        (w, momentum) = (next, next_momentum);
        if let Some(change) = change
            && let [change, largest] = read_back(change, "the change of a regression")?[..]
            && change <= 1e-5 * largest
        {
            break;
        }
    }
    let bias = w.clone().slice_dim(1, neurons..neurons + 1).squeeze_dim(1);
    Ok((w.slice_dim(1, 0..neurons), bias))
}

/// Of `X^T X`, a little more than it is: power iteration comes to it from below.
fn largest_eigenvalue(x: &Tensor<2>) -> Result<f64> {
    // Unequal entries: of features in opposite pairs equal ones would miss the leading direction.
    let neurons = x.dims()[1];
    let start = (0..neurons).map(|neuron| 1.0 + (neuron as f32 * 0.618).fract());
    let start = TensorData::new::<f32, _>(start.collect(), [neurons, 1]);
    let mut v = Tensor::<2>::from_data(start, &x.device());
    let mut norm = v.clone().square().sum().sqrt();
    for _ in 0..30 {
        v = x
            .clone()
            .transpose()
            .matmul(x.clone().matmul(v / norm.clone().unsqueeze()));
        norm = v.clone().square().sum().sqrt();
    }
    let norm = read_back(norm, "an eigenvalue")?;
    Ok(1.1 * norm.first().map_or(1.0, |&norm| f64::from(norm)))
}
