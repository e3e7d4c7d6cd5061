//! Convolution.

use burn::tensor::{Tensor, module::conv2d, ops::ConvOptions};
use derive_setters::Setters;
use neuroinspect_core::{Convolution, is_flex};

use super::{map, product, sum, value};
use crate::graph::{
    InitialValues, Slot, Value, he_normal, op::Operation, pytorch_uniform, run::NodeParameters,
};

/// How many zeros lie around a map before a window slides over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// `(before, after)` of height and width.
    Explicit([(usize, usize); 2]),
    /// TensorFlow's: as many as make `ceil(size / stride)` outputs, the odd one at the end.
    Same,
}

impl Padding {
    /// As many zeros before as after, along both axes.
    pub fn both(size: usize) -> Self {
        Self::Explicit([(size, size); 2])
    }

    /// The zeros around a map of this size.
    ///
    /// # Errors
    ///
    /// For a window, stride or dilation of 0, or one out of all bounds.
    pub(super) fn around(
        self,
        size: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
    ) -> Result<[(usize, usize); 2], String> {
        let padding = match self {
            Self::Explicit(padding) => return Ok(padding),
            Self::Same => |axis: usize| {
                let reach = reach(kernel[axis], stride[axis], dilation[axis])?;
                let before_last = size[axis].saturating_sub(1) / stride[axis] * stride[axis];
                let total = sum([before_last, reach])?.saturating_sub(size[axis]);
                Ok::<_, String>((total / 2, total - total / 2))
            },
        };
        Ok([padding(0)?, padding(1)?])
    }
}

/// How many pixels a window reaches over, from its first to its last.
fn reach(kernel: usize, stride: usize, dilation: usize) -> Result<usize, String> {
    if kernel == 0 || stride == 0 || dilation == 0 {
        return Err(format!(
            "expected a window, stride and dilation of at least 1, found {kernel}, {stride} and {dilation}"
        ));
    }
    sum([product([dilation, kernel - 1])?, 1])
}

/// How many positions a window has along one axis.
pub(super) fn positions(
    size: usize,
    (before, after): (usize, usize),
    kernel: usize,
    stride: usize,
    dilation: usize,
) -> Result<usize, String> {
    let reach = reach(kernel, stride, dilation)?;
    let padded = sum([size, before, after])?;
    if reach > padded {
        return Err(format!(
            "expected a window of at most {padded} pixels, padding included, found one of {reach} (kernel {kernel}, dilation {dilation})"
        ));
    }
    Ok((padded - reach) / stride + 1)
}

/// Convolution over height and width: `[N, C, h, w]` to `[N, channels, h', w']`.
///
/// Parameters: `weight` `[channels, C / groups, kernel, kernel]`, and `bias` `[channels]` where it has
/// one.
#[derive(Clone, Debug, PartialEq, Setters)]
#[setters(prefix = "with_", generate = false)]
pub struct Conv2d {
    /// Channels of its value.
    pub channels: usize,
    /// Height and width of its window.
    pub kernel: [usize; 2],
    /// Pixels between windows.
    pub stride: [usize; 2],
    /// Zeros around the map.
    #[setters(generate)]
    pub padding: Padding,
    /// Pixels between a window's weights.
    pub dilation: [usize; 2],
    /// Into how many groups the channels are divided.
    #[setters(generate)]
    pub groups: usize,
    /// Whether it has a bias.
    #[setters(generate)]
    pub bias: bool,
}

impl Conv2d {
    /// A square window, stride 1, half the window as padding, no bias.
    pub fn new(channels: usize, kernel: usize) -> Self {
        Self {
            channels,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: Padding::both(kernel / 2),
            dilation: [1; 2],
            groups: 1,
            bias: false,
        }
    }

    /// Sets the stride of both axes.
    pub fn with_stride(mut self, stride: usize) -> Self {
        self.stride = [stride; 2];
        self
    }

    /// Sets the pixels between a window's weights.
    pub fn with_dilation(mut self, dilation: usize) -> Self {
        self.dilation = [dilation; 2];
        self
    }

    fn padding_around(&self, height: usize, width: usize) -> Result<[(usize, usize); 2], String> {
        let size = [height, width];
        self.padding
            .around(size, self.kernel, self.stride, self.dilation)
    }

    /// Burn's options for a map.
    pub(super) fn options(&self, x: &Tensor<4>) -> Result<ConvOptions<2>, String> {
        let [_, _, height, width] = x.dims();
        Ok(ConvOptions {
            padding: self.padding_around(height, width)?,
            ..ConvOptions::new(self.stride, [0, 0], self.dilation, self.groups)
        })
    }

    fn convolved(
        &self,
        inputs: Vec<Value>,
        weight: Tensor<4>,
        bias: Option<Tensor<1>>,
    ) -> Result<Value, String> {
        let x = value(inputs)?.rank4()?;
        let options = self.options(&x)?;
        Ok(match is_flex(&x.device()) {
            true => Convolution::new(options).apply(x, weight, bias, None),
            false => conv2d(x, weight, bias, options),
        }
        .into())
    }
}

impl Operation for Conv2d {
    fn parameters(&self, inputs: &[&[usize]]) -> Result<Vec<Slot>, String> {
        let [_, channels_in, ..] = map(inputs)?;
        let (groups, channels) = (self.groups, self.channels);
        if groups == 0 || !channels_in.is_multiple_of(groups) || !channels.is_multiple_of(groups) {
            return Err(format!(
                "expected a number of groups that divides {channels_in} channels in and {channels} out, found {groups}"
            ));
        }
        let [height, width] = self.kernel;
        let window = product([height, width])?;
        let fan_in = product([channels_in / groups, window])?;
        let fan_out = product([channels / groups, window])?;
        let shape = [channels, channels_in / groups, height, width];
        let weight = Slot::new(
            "weight",
            shape,
            InitialValues::random(he_normal(), fan_in, fan_out),
        );
        let start = || InitialValues::random(pytorch_uniform(), fan_in, fan_out);
        let bias = self.bias.then(|| Slot::new("bias", [channels], start()));
        Ok([weight].into_iter().chain(bias).collect())
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [images, _, height, width] = map(inputs)?;
        let padding = self.padding_around(height, width)?;
        let mut shape = vec![images, self.channels];
        for (axis, size) in [height, width].into_iter().enumerate() {
            let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
            let dilation = self.dilation[axis];
            shape.push(positions(size, padding[axis], kernel, stride, dilation)?);
        }
        Ok(shape)
    }

    fn apply(&self, inputs: Vec<Value>, parameters: &NodeParameters<'_>) -> Result<Value, String> {
        let bias = match self.bias {
            true => Some(parameters.rank1(1)?),
            false => None,
        };
        self.convolved(inputs, parameters.rank4(0)?, bias)
    }
}

/// A convolution whose weights are kept as their product with a scale for each output channel, and
/// divided by it when it is computed: one that was folded into, where it is asked for by itself.
///
/// Parameters: `weight` as that of [`Conv2d`], but multiplied; `scale` `[channels]`; and `bias`
/// `[channels]` where it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledConv2d {
    /// The convolution.
    pub convolution: Conv2d,
}

impl Operation for ScaledConv2d {
    fn parameters(&self, inputs: &[&[usize]]) -> Result<Vec<Slot>, String> {
        let mut slots = self.convolution.parameters(inputs)?;
        let scale = Slot::new("scale", [self.convolution.channels], InitialValues::ones());
        slots.insert(1, scale);
        Ok(slots)
    }

    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        self.convolution.shape(inputs)
    }

    fn apply(&self, inputs: Vec<Value>, parameters: &NodeParameters<'_>) -> Result<Value, String> {
        let bias = match self.convolution.bias {
            true => Some(parameters.rank1(2)?),
            false => None,
        };
        let scale = parameters.rank1(1)?.reshape([-1, 1, 1, 1]);
        let weight = parameters.rank4(0)? / scale;
        self.convolution.convolved(inputs, weight, bias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_tensorflows() {
        // (size, kernel, stride) -> what tf.nn.conv2d(padding="SAME") pads.
        let same = |size, kernel, stride| {
            let padding = Padding::Same.around([size; 2], [kernel; 2], [stride; 2], [1; 2]);
            padding.unwrap()[0]
        };
        assert_eq!(same(224, 3, 2), (0, 1));
        assert_eq!(same(225, 3, 2), (1, 1));
        assert_eq!(same(56, 5, 2), (1, 2));
        assert_eq!(same(28, 5, 1), (2, 2));
        assert_eq!(same(7, 1, 1), (0, 0));
    }

    #[test]
    fn zeros_are_refused_before_padding() {
        for [kernel, stride, dilation] in [[0, 1, 1], [3, 0, 1], [3, 1, 0]] {
            let found = Padding::Same.around([8; 2], [kernel; 2], [stride; 2], [dilation; 2]);
            assert!(found.unwrap_err().contains("at least 1"));
        }
    }

    #[test]
    fn a_window_larger_than_the_map_is_refused() {
        assert_eq!(positions(8, (1, 1), 3, 2, 1), Ok(4));
        assert_eq!(positions(2, (0, 0), 2, 1, 1), Ok(1));
        assert!(positions(2, (0, 0), 3, 1, 1).is_err());
        assert!(positions(2, (0, 0), 1, 0, 1).is_err());
        assert!(positions(2, (usize::MAX, 0), 1, 1, 1).is_err());
        assert!(positions(2, (0, 0), 2, 1, usize::MAX).is_err());
    }
}
