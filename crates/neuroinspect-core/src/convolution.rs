//! Convolution, with what follows it: on the CPU by our own sums, elsewhere by Burn's.

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

use burn::{
    backend::{
        Autodiff, Backend, Dispatch,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::{Tensor, ops::ConvOptions},
};

/// A convolution over height and width, and what is done to each number of it.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// Stride, padding, dilation and groups.
    pub options: ConvOptions<2>,
    /// The last that is done.
    pub rectifier: Rectifier,
}

/// What of a number below 0, and above 6, is let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rectifier {
    /// All.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

impl Convolution {
    /// A convolution alone.
    pub fn new(options: ConvOptions<2>) -> Self {
        Self {
            options,
            rectifier: Rectifier::Identity,
        }
    }

    /// Sets what is done last.
    pub fn with_rectifier(mut self, rectifier: Rectifier) -> Self {
        self.rectifier = rectifier;
        self
    }

    /// `rectifier(x * weight + bias + added)`, with its derivative in closed form.
    ///
    /// # Shapes
    ///
    /// `x` `[N, C, h, w]`, `weight` `[channels, C / groups, kernel, kernel]`, `bias` `[channels]`, and `added` of the value's
    /// shape, `[N, channels, h', w']`.
    ///
    /// # Panics
    ///
    /// Where maps, weights and groups do not go together, as Burn's `conv2d` does.
    pub fn apply(
        self,
        x: Tensor<4>,
        weight: Tensor<4>,
        bias: Option<Tensor<1>>,
        added: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let (groups, [_, channels_in, ..]) = (self.options.groups, x.dims());
        let [channels_out, inside, ..] = weight.dims();
        assert!(
            inside.checked_mul(groups) == Some(channels_in) && channels_out.is_multiple_of(groups),
            "weights {:?} in {groups} groups are of no maps {:?}",
            weight.dims(),
            x.dims()
        );
        let bias = bias.unwrap_or_else(|| {
            let channels = [weight.dims()[0]];
            Tensor::zeros(channels, (&weight.device(), weight.dtype()))
        });
        let added = added.map(Tensor::into_dispatch);
        let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
        let bias = bias.into_dispatch();
        Tensor::from_dispatch(match added {
            None => Dispatch::convolved(x, weight, bias, self),
            Some(added) => Dispatch::convolved_onto(x, weight, bias, added, self),
        })
    }
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
trait ConvolutionOps: Backend {
    fn convolved(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        composed::<Self>(x, weight, bias, None, convolution)
    }

    fn convolved_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        added: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        composed::<Self>(x, weight, bias, Some(added), convolution)
    }

    /// The gradient of a convolution's input, `x`.
    fn convolved_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        Self::conv2d_x_backward(x, weight, gradient, options)
    }
}

/// By Burn's operations, one after the other.
fn composed<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    added: Option<FloatTensor<B>>,
    convolution: Convolution,
) -> FloatTensor<B> {
    let mut value = B::conv2d(x, weight, Some(bias), convolution.options);
    if let Some(added) = added {
        value = B::float_add(value, added);
    }
    match convolution.rectifier {
        Rectifier::Identity => value,
        Rectifier::Relu => B::relu(value),
        Rectifier::Relu6 => B::float_clamp(value, 0.0.into(), 6.0.into()),
    }
}

#[cfg(feature = "flex")]
mod on_flex;

#[cfg(feature = "flex")]
impl ConvolutionOps for burn::backend::Flex {
    fn convolved(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        on_flex::convolved(x, weight, bias, None, convolution)
    }

    fn convolved_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        added: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        on_flex::convolved(x, weight, bias, Some(added), convolution)
    }

    fn convolved_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        options: ConvOptions<2>,
    ) -> FloatTensor<Self> {
        on_flex::convolved_backward(x, weight, gradient, options)
    }
}

#[cfg(any(
    feature = "wgpu",
    feature = "vulkan",
    feature = "metal",
    feature = "cuda",
    feature = "rocm"
))]
impl ConvolutionOps for burn::backend::Cube {}

#[cfg(feature = "tch")]
impl ConvolutionOps for burn::backend::LibTorch {}

impl<B: ConvolutionOps, C: CheckpointStrategy> ConvolutionOps for Autodiff<B, C> {
    fn convolved(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let [x, weight, bias] = [x, weight, bias].map(|it| it.into_primitive());
        match Derived.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::UnTracked(prep) => prep.finish(B::convolved(x, weight, bias, convolution)),
            OpsKind::Tracked(prep) => {
                let value =
                    B::convolved(x.clone(), weight.clone(), bias.clone(), convolution.clone());
                let known = Known::new(x, weight, bias, &value, convolution);
                prep.finish(known, value)
            }
        }
    }

    fn convolved_onto(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        added: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node(), added.node()];
        let [x, weight, bias, added] = [x, weight, bias, added].map(|it| it.into_primitive());
        match Derived.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::UnTracked(prep) => {
                prep.finish(B::convolved_onto(x, weight, bias, added, convolution))
            }
            OpsKind::Tracked(prep) => {
                let value = B::convolved_onto(
                    x.clone(),
                    weight.clone(),
                    bias.clone(),
                    added,
                    convolution.clone(),
                );
                let known = Known::new(x, weight, bias, &value, convolution);
                prep.finish(known, value)
            }
        }
    }
}

/// What the derivative is computed of.
#[derive(Clone, Debug)]
struct Known<B: Backend> {
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    /// Where something is done to the sums.
    value: Option<FloatTensor<B>>,
    convolution: Convolution,
}

impl<B: Backend> Known<B> {
    fn new(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        value: &FloatTensor<B>,
        convolution: Convolution,
    ) -> Self {
        let value = match convolution.rectifier {
            Rectifier::Identity => None,
            _ => Some(value.clone()),
        };
        Self {
            x,
            weight,
            bias,
            value,
            convolution,
        }
    }
}

#[derive(Debug)]
struct Derived;

impl<B: ConvolutionOps, const N: usize> Backward<B, N> for Derived {
    type State = Known<B>;

    /// The parents are the input, the weight, the bias, and what is added where there is a fourth.
    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let Known {
            x,
            weight,
            bias,
            value,
            convolution,
        } = ops.state;
        let options = convolution.options;
        let mut gradient = grads.consume::<B>(&ops.node);
        if let Some(value) = value {
            // Nothing of a number that was held at 6.
            if convolution.rectifier == Rectifier::Relu6 {
                let below = B::float_add_scalar(B::float_neg(value.clone()), 6.0.into());
                gradient = B::relu_backward(below, gradient);
            }
            gradient = B::relu_backward(value, gradient);
        }
        let of = |index: usize| ops.parents.get(index).and_then(Option::as_ref);
        if let Some(node) = of(3) {
            grads.register::<B>(node.id, gradient.clone());
        }
        if let Some(node) = of(2) {
            let of_bias = B::conv2d_bias_backward(x.clone(), bias, gradient.clone());
            grads.register::<B>(node.id, of_bias);
        }
        if let Some(node) = of(1) {
            let of_weight = B::conv2d_weight_backward(
                x.clone(),
                weight.clone(),
                gradient.clone(),
                options.clone(),
            );
            grads.register::<B>(node.id, of_weight);
        }
        if let Some(node) = of(0) {
            let of_x = B::convolved_backward(x, weight, gradient, options);
            grads.register::<B>(node.id, of_x);
        }
    }
}

#[cfg(all(test, feature = "flex"))]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
