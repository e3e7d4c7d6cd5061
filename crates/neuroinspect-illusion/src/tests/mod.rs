//! Tests that need a network, the authors' numbers, or the crate's insides.

mod behaviour;
mod gradient;
mod reference;
mod refusals;
mod stopping;
mod tiny;
mod transforms;

use burn::tensor::{Tensor, TensorData};
use neuroinspect_core::Seed;
use rand_distr::{Distribution, StandardNormal};

/// Standard normal values, the same in every run.
fn normals(name: &str, count: usize) -> Vec<f32> {
    let rng = Seed(0).rng(name, &[]);
    StandardNormal.sample_iter(rng).take(count).collect()
}

fn tensor<const R: usize>(values: Vec<f32>, shape: [usize; R]) -> Tensor<R> {
    Tensor::from_data(
        TensorData::new(values, shape),
        &burn::tensor::Device::flex(),
    )
}

fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

/// The largest absolute difference; infinite if the lengths differ or a value is NaN.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    a.iter().zip(b).fold(0.0, |largest, (a, b)| {
        let distance = (a - b).abs();
        if distance <= largest {
            largest
        } else if distance.is_nan() {
            f32::INFINITY
        } else {
            distance
        }
    })
}

#[track_caller]
fn assert_near(a: &[f32], b: &[f32], tolerance: f32) {
    let distance = distance(a, b);
    eprintln!(
        "{} {distance:e} of {tolerance:e}",
        std::panic::Location::caller()
    );
    assert!(
        distance <= tolerance,
        "{distance} apart, {tolerance} allowed"
    );
}
