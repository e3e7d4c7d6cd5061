//! Operations with derivatives of their own. Burn's autodiff derives layer normalisation and attention step by
//! step of what they are composed of; each of the many small operations is a pass over memory on a CPU and a launch
//! on a GPU. In closed form they are fewer.

#![allow(
    clippy::panic,
    unreachable_pub,
    reason = "the code that Burn's macro makes for a backend that is not built in"
)]
#![cfg_attr(
    feature = "tch",
    expect(
        deprecated,
        reason = "Burn 0.22 is the last line with libtorch, and pinned for it"
    )
)]

#[cfg(feature = "flex")]
mod on_flex;

use burn::{
    backend::{
        Autodiff, Backend, Dispatch, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::{Shape, Tensor},
};

/// Attention of several heads, in which every token sees all: `softmax(Q K^T / sqrt(d)) V`, as
/// [`burn::tensor::module::attention`], with its derivative in closed form.
///
/// # Shapes
///
/// Queries `[N, heads, T, d]`, keys and values `[N, heads, S, d]`, to `[N, heads, T, d]`.
pub fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::whole_attention(query, key, value))
}

/// Layer normalisation over the last axis, as [`burn::tensor::module::layer_norm`], with its derivative in
/// closed form.
///
/// # Shapes
///
/// `[.., W]` to the same, with weight and bias `[W]`.
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    let (x, weight, bias) = (
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    );
    Tensor::from_dispatch(Dispatch::last_axis_norm(x, weight, bias, epsilon))
}

/// `x Phi(x)`, by the normal distribution function, as [`burn::tensor::activation::gelu`]; on the CPU backend
/// threads share many `f32`, to the same bits.
///
/// On a backend that has no derivative of it, as CubeCL's, the derivative is that of the approximation by `tanh`.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::normal_gelu(x.into_dispatch()))
}

#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(any(
        feature = "wgpu",
        feature = "vulkan",
        feature = "metal",
        feature = "cuda",
        feature = "rocm"
    )),
    LibTorch: cfg(feature = "tch"),
    Autodiff,
)]
trait DifferentiableOps: Backend {
    fn whole_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::attention(query, key, value, None, None, Default::default())
    }

    fn last_axis_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        Self::layer_norm(x, weight, Some(bias), epsilon)
    }

    fn normal_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::gelu(x)
    }

    fn normal_gelu_backward(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::gelu_backward(x, gradient)
    }
}

#[cfg(feature = "flex")]
impl DifferentiableOps for burn::backend::Flex {
    fn normal_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        on_flex::gelu(x)
    }

    fn normal_gelu_backward(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        on_flex::gelu_backward(x, gradient)
    }
}

#[cfg(any(
    feature = "wgpu",
    feature = "vulkan",
    feature = "metal",
    feature = "cuda",
    feature = "rocm"
))]
impl DifferentiableOps for burn::backend::Cube {}

#[cfg(feature = "tch")]
impl DifferentiableOps for burn::backend::LibTorch {}

impl<B: DifferentiableOps, C: CheckpointStrategy> DifferentiableOps for Autodiff<B, C> {
    fn whole_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [query.node(), key.node(), value.node()];
        let [query, key, value] = [query, key, value].map(|tensor| tensor.into_primitive());
        match Attention.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::UnTracked(prep) => prep.finish(B::whole_attention(query, key, value)),
            OpsKind::Tracked(prep) => {
                let width = query.shape()[3] as f64;
                let query = B::float_mul_scalar(query, width.sqrt().recip().into());
                let scores = B::float_matmul(query.clone(), B::float_transpose(key.clone()));
                let shares = B::softmax(scores, 3);
                let heads = B::float_matmul(shares.clone(), value.clone());
                prep.finish([query, key, value, shares], heads)
            }
        }
    }

    fn last_axis_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.into_primitive());
        let value = B::last_axis_norm(x.clone(), weight.clone(), bias, epsilon);
        match LayerNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::UnTracked(prep) => prep.finish(value),
            OpsKind::Tracked(prep) => prep.finish((x, weight, epsilon), value),
        }
    }

    fn normal_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node()];
        let x = x.into_primitive();
        let value = B::normal_gelu(x.clone());
        match Gelu.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::UnTracked(prep) => prep.finish(value),
            OpsKind::Tracked(prep) => prep.finish(x, value),
        }
    }
}

#[derive(Debug)]
struct Gelu;

impl<B: DifferentiableOps> Backward<B, 1> for Gelu {
    /// The input.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [of_x] = ops.parents;
        if let Some(node) = of_x {
            grads.register::<B>(node.id, B::normal_gelu_backward(ops.state, gradient));
        }
    }
}

#[derive(Debug)]
struct Attention;

impl<B: Backend> Backward<B, 3> for Attention {
    /// Queries over the root of their width, keys, values, and the shares that each token takes of others.
    type State = [FloatTensor<B>; 4];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [of_query, of_key, of_value] = ops.parents;
        let [query, key, value, shares] = ops.state;
        if let Some(node) = of_value {
            let gradient = B::float_matmul(B::float_transpose(shares.clone()), gradient.clone());
            grads.register::<B>(node.id, gradient);
        }
        if of_query.is_none() && of_key.is_none() {
            return;
        }
        let of_shares = B::float_matmul(gradient, B::float_transpose(value));
        let weighted = B::float_mul(shares.clone(), of_shares);
        let sum = B::float_sum_dim(weighted.clone(), 3);
        let of_scores = B::float_sub(weighted, B::float_mul(shares, sum));
        if let Some(node) = of_key {
            let gradient = B::float_matmul(B::float_transpose(of_scores.clone()), query.clone());
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = of_query {
            let width = key.shape()[3] as f64;
            let gradient = B::float_matmul(of_scores, key);
            let gradient = B::float_mul_scalar(gradient, width.sqrt().recip().into());
            grads.register::<B>(node.id, gradient);
        }
    }
}

#[derive(Debug)]
struct LayerNorm;

impl<B: Backend> Backward<B, 3> for LayerNorm {
    /// The input, the weight, and what is added to the variance.
    type State = (FloatTensor<B>, FloatTensor<B>, f64);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [of_x, of_weight, of_bias] = ops.parents;
        let (x, weight, epsilon) = ops.state;
        let shape = x.shape();
        let last = shape.num_dims() - 1;
        let width = shape[last];
        let summed = |values: FloatTensor<B>| {
            let rows = values.shape().num_elements() / width;
            let values = B::float_reshape(values, Shape::new([rows, width]));
            B::float_reshape(B::float_sum_dim(values, 0), Shape::new([width]))
        };
        if let Some(node) = of_bias {
            grads.register::<B>(node.id, summed(gradient.clone()));
        }
        let centred = B::float_sub(x.clone(), B::float_mean_dim(x, last));
        let variance = B::float_mean_dim(B::float_mul(centred.clone(), centred.clone()), last);
        let deviation = B::float_sqrt(B::float_add_scalar(variance, epsilon.into()));
        let normal = B::float_div(centred, deviation.clone());
        if let Some(node) = of_weight {
            let gradient = summed(B::float_mul(gradient.clone(), normal.clone()));
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = of_x {
            let mut along_last = vec![1; last];
            along_last.push(width);
            let weight = B::float_reshape(weight, Shape::from(along_last));
            let of_normal = B::float_mul(gradient, weight);
            let along = B::float_mean_dim(B::float_mul(of_normal.clone(), normal.clone()), last);
            let mean = B::float_mean_dim(of_normal.clone(), last);
            let rest = B::float_sub(B::float_sub(of_normal, mean), B::float_mul(normal, along));
            grads.register::<B>(node.id, B::float_div(rest, deviation));
        }
    }
}

#[cfg(all(test, feature = "flex"))]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use burn::tensor::{Device, TensorData, activation, module};
    use rand::RngExt;

    use super::*;
    use crate::Seed;

    fn random<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
        let mut rng = Seed(4).rng(name, &[]);
        let values = (0..shape.iter().product()).map(|_| rng.random_range(-2.0_f32..2.0));
        let values = TensorData::new(values.collect::<Vec<_>>(), shape);
        Tensor::from_data(values, &Device::flex())
    }

    /// The values agree, and the gradients that a function's value has by each of its inputs.
    fn assert_agree<const D: usize, const N: usize>(
        inputs: &[Tensor<D>; N],
        ours: impl Fn([Tensor<D>; N]) -> Tensor<D>,
        burns: impl Fn([Tensor<D>; N]) -> Tensor<D>,
    ) {
        let run = |function: &dyn Fn([Tensor<D>; N]) -> Tensor<D>| {
            let inputs = inputs.clone().map(|input| input.autodiff().require_grad());
            let value = function(inputs.clone());
            let weights = random("weights of the value", value.dims()).autodiff();
            let mut gradients = (value.clone() * weights).sum().backward();
            let mut all = vec![value.without_autodiff()];
            all.extend(inputs.map(|input| input.grad_remove(&mut gradients).unwrap()));
            all
        };
        // Some tens of roundings of sums of values up to 10.
        for (ours, burns) in run(&ours).into_iter().zip(run(&burns)) {
            let difference = (ours - burns).abs().max().into_scalar::<f32>();
            assert!(difference < 1e-4, "{difference}");
        }
    }

    #[test]
    fn attention_has_burns_value_and_gradients() {
        let inputs = [
            random("query", [2, 3, 4, 5]),
            random("key", [2, 3, 6, 5]),
            random("value", [2, 3, 6, 5]),
        ];
        let burns = |[query, key, value]: [Tensor<4>; 3]| {
            module::attention(query, key, value, None, None, Default::default())
        };
        assert_agree(
            &inputs,
            |[query, key, value]| attention(query, key, value),
            burns,
        );
        let [query, key, value] = inputs;
        let plain = attention(query.clone(), key.clone(), value.clone());
        let difference = (plain - burns([query, key, value])).abs().max();
        assert!(difference.into_scalar::<f32>() < 1e-5);
    }

    #[test]
    fn layer_norm_has_burns_value_and_gradients() {
        let inputs = [
            random("x", [3, 7]),
            random("weight", [1, 7]),
            random("bias", [1, 7]),
        ];
        assert_agree(
            &inputs,
            |[x, weight, bias]| layer_norm(x, weight.flatten(0, 1), bias.flatten(0, 1), 0.1),
            |[x, weight, bias]| {
                module::layer_norm(x, weight.flatten(0, 1), Some(bias.flatten(0, 1)), 0.1)
            },
        );
    }

    /// As many values as several threads take, and fewer.
    #[test]
    fn gelu_has_burns_bits() {
        for rows in [3, 700] {
            let input = random("x", [rows, 100]) * 3.0;
            let run = |function: &dyn Fn(Tensor<2>) -> Tensor<2>| {
                let x = input.clone().autodiff().require_grad();
                let value = function(x.clone().transpose()).transpose();
                let weights = random("weights of the value", value.dims()).autodiff();
                let mut gradients = (value.clone() * weights).sum().backward();
                let gradient = x.grad_remove(&mut gradients).unwrap();
                [value.without_autodiff(), gradient].map(Tensor::into_data)
            };
            assert_eq!(run(&gelu), run(&|x| activation::gelu(x)));
            let plain = [gelu(input.clone()), activation::gelu(input)];
            let [ours, burns] = plain.map(Tensor::into_data);
            assert_eq!(ours, burns);
        }
    }

    #[test]
    fn an_input_without_gradient_gets_none() {
        let [query, key] = [random("query", [1, 1, 2, 3]), random("key", [1, 1, 2, 3])];
        let value = random("value", [1, 1, 2, 3]).autodiff().require_grad();
        let heads = attention(query.autodiff(), key.autodiff(), value.clone());
        let mut gradients = heads.sum().backward();
        // Each value is shared out whole, over two tokens.
        let gradient = value.grad_remove(&mut gradients).unwrap();
        assert!((gradient.sum().into_scalar::<f32>() - 6.0).abs() < 1e-5);
    }
}
