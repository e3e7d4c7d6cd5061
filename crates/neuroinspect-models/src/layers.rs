//! What the convolutional networks share.

use burn::{
    nn::{
        BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    tensor::{Device, Tensor, module::conv2d, ops::ConvOptions},
};
use neuroinspect_core::{Error, Result};

/// Convolution and batch normalisation: [`conv_bn`] or [`conv_bn_training`].
pub(crate) type ConvBn = fn(&Conv2d, &BatchNorm, Tensor<4>) -> Tensor<4>;

/// A square convolution without bias, padded by half its kernel, initialised as He et al. 2015.
pub(crate) fn conv(
    [channels_in, channels_out]: [usize; 2],
    kernel: usize,
    stride: usize,
    groups: usize,
    device: &Device,
) -> Conv2d {
    let pad = kernel / 2;
    Conv2dConfig::new([channels_in, channels_out], [kernel, kernel])
        .with_stride([stride, stride])
        .with_groups(groups)
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(false)
        .with_initializer(Initializer::KaimingNormal {
            gain: 2.0_f64.sqrt(),
            fan_out_only: true,
        })
        .init(device)
}

/// Batch normalisation with PyTorch's constants.
pub(crate) fn batch_norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels).init(device)
}

/// Convolution, then batch normalisation by *running* statistics, whatever the images are.
///
/// Burn's [`BatchNorm`] takes the statistics of the batch as soon as its input can be
/// differentiated, and ours are whenever a picture is optimised. The normalisation is affine in
/// the convolution's output, so it is folded into the weights: cheaper than a pass over the
/// activations from the first image on, and twice so with a backward pass.
pub(crate) fn conv_bn(conv: &Conv2d, bn: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    let pad = conv.kernel_size.map(|side| (side / 2, side / 2));
    conv_bn_padded(conv, bn, x, pad)
}

/// [`conv_bn`] with explicit `(begin, end)` padding of height and width.
pub(crate) fn conv_bn_padded(
    conv: &Conv2d,
    bn: &BatchNorm,
    x: Tensor<4>,
    padding: [(usize, usize); 2],
) -> Tensor<4> {
    let variance = bn.running_var.value_sync().add_scalar(bn.epsilon);
    let scale = bn.gamma.val() / variance.sqrt();
    let shift = bn.beta.val() - bn.running_mean.value_sync() * scale.clone();
    let weight = conv.weight.val();
    let [channels, ..] = weight.dims();
    let options = ConvOptions {
        padding,
        ..ConvOptions::new(conv.stride, [0, 0], conv.dilation, conv.groups)
    };
    conv2d(
        x,
        weight * scale.reshape([channels, 1, 1, 1]),
        Some(shift),
        options,
    )
}

/// Convolution, then batch normalisation as Burn has it: by the statistics of the batch, which
/// update the running ones, if the images are on a training device.
pub(crate) fn conv_bn_training(conv: &Conv2d, bn: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    bn.forward(conv.forward(x))
}

/// Checks that there is a class.
pub(crate) fn check_classes(classes: usize) -> Result<()> {
    if classes == 0 {
        return Err(Error::InvalidOption {
            option: "classes",
            value: "0".into(),
            expected: "at least 1",
        });
    }
    Ok(())
}
