//! Which convolutions are ours on Burn's CPU backend.

use burn::{
    backend::{Flex, TensorMetadata, ops::ModuleOps, tensor::FloatTensor},
    tensor::{DType, Shape, TensorData, ops::ConvOptions},
};
use neuroinspect_convolution::{
    Convolution, Rectifier as Last, Then, convolve, has_vectors, maps_gradient,
};

use super::Rectifier;

pub(super) fn convolved(
    x: FloatTensor<Flex>,
    weight: FloatTensor<Flex>,
    bias: FloatTensor<Flex>,
    added: Option<FloatTensor<Flex>>,
    convolution: super::Convolution,
) -> FloatTensor<Flex> {
    let numbers = [&x, &weight, &bias].map(|it| it.dtype());
    let is_added = |direct: &Direct, added: &FloatTensor<Flex>| {
        added.dtype() == DType::F32 && added.shape() == direct.shape_out()
    };
    match Direct::new(x.shape(), weight.shape(), &convolution.options) {
        Some(direct)
            if numbers == [DType::F32; 3]
                && added.as_ref().is_none_or(|it| is_added(&direct, it)) =>
        {
            direct.convolve(x, weight, bias, added, convolution.rectifier)
        }
        _ => super::composed::<Flex>(x, weight, bias, added, convolution),
    }
}

pub(super) fn convolved_backward(
    x: FloatTensor<Flex>,
    weight: FloatTensor<Flex>,
    gradient: FloatTensor<Flex>,
    options: ConvOptions<2>,
) -> FloatTensor<Flex> {
    if let Some(Direct(shape)) = Direct::new(x.shape(), weight.shape(), &options)
        && options.stride.into_iter().max() <= Some(LONGEST_STRIDE)
        && [&x, &weight, &gradient].map(|it| it.dtype()) == [DType::F32; 3]
    {
        let [weight, gradient] = [&weight, &gradient].map(|it| it.to_contiguous());
        if let Some(data) = maps_gradient(&shape, gradient.storage(), weight.storage()) {
            return FloatTensor::<Flex>::from_data(TensorData::new(data, x.shape()));
        }
    }
    Flex::conv2d_x_backward(x, weight, gradient, options)
}

/// Of a gradient under a longer stride, as of a transformer's patches, Burn's takes up to a sixth of the time: ours is a
/// convolution for each place between two windows.
const LONGEST_STRIDE: usize = 3;

/// Of values of fewer pixels most of a vector is of no use.
const LEAST_PIXELS: usize = 4;

/// A convolution that is faster by our own sums.
///
/// The rule knows no number of images: a batch is to have the bits of its parts. Windows of one weight without a stride
/// are a matrix product without unrolling, in which Burn's takes half to all of the time of ours; with a
/// stride ours is faster (`benches/convolution.rs`). On a machine without vectors Burn's is.
struct Direct(Convolution);

impl Direct {
    /// None of one that Burn's is to do.
    fn new(x: Shape, weight: Shape, options: &ConvOptions<2>) -> Option<Self> {
        let [images, channels_in, height, width] = x.dims();
        let [channels_out, inside, kernel_height, kernel_width] = weight.dims();
        let shape = Convolution {
            images,
            channels_in,
            channels_out,
            groups: options.groups,
            size: [height, width],
            kernel: [kernel_height, kernel_width],
            stride: options.stride,
            dilation: options.dilation,
            padding: options.padding,
        };
        // Burn's says what does not go together.
        if !has_vectors() || !shape.is_valid() || inside * shape.groups != channels_in {
            return None;
        }
        let empty = x.num_elements() * shape.numbers_out() == 0;
        let product = kernel_height * kernel_width == 1 && options.stride == [1, 1];
        let [height, width] = shape.size_out();
        (!empty && !product && height * width >= LEAST_PIXELS).then_some(Self(shape))
    }

    fn shape_out(&self) -> Shape {
        let Self(shape) = self;
        let [height, width] = shape.size_out();
        Shape::new([shape.images, shape.channels_out, height, width])
    }

    fn convolve(
        self,
        x: FloatTensor<Flex>,
        weight: FloatTensor<Flex>,
        bias: FloatTensor<Flex>,
        added: Option<FloatTensor<Flex>>,
        rectifier: Rectifier,
    ) -> FloatTensor<Flex> {
        let Self(shape) = self;
        let [x, weight, bias] = [x, weight, bias].map(|it| it.to_contiguous());
        let then = Then {
            bias: Some(bias.storage()),
            added: added.is_some(),
            rectifier: match rectifier {
                Rectifier::Identity => Last::Identity,
                Rectifier::Relu => Last::Relu,
                Rectifier::Relu6 => Last::Relu6,
            },
        };
        if let Some(added) = added {
            // Where nobody else holds what is added, the value takes its place.
            let mut out = added.to_contiguous();
            drop(added);
            let numbers = out.storage_mut::<f32>();
            convolve(&shape, x.storage(), weight.storage(), then, numbers);
            return out;
        }
        let mut out = vec![0.0; shape.numbers_out()];
        convolve(&shape, x.storage(), weight.storage(), then, &mut out);
        FloatTensor::<Flex>::from_data(TensorData::new(out, self.shape_out()))
    }
}
