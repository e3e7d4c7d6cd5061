//! Pools.

use burn::tensor::{
    module::{avg_pool2d, max_pool2d},
    ops::{AvgPoolOptions, MaxPoolOptions, PadMode},
};
use derive_setters::Setters;

use super::{conv::Padding, conv::positions, map, value};
use crate::graph::{Value, op::Operation, run::NodeParameters};

/// Largest value of each window of a map.
#[derive(Clone, Debug, PartialEq, Setters)]
#[setters(prefix = "with_", generate = false)]
pub struct MaxPool2d {
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Pixels between windows.
    pub stride: [usize; 2],
    /// Around the map, where nothing is: what is there is never the largest.
    #[setters(generate)]
    pub padding: Padding,
}

/// Mean of each window of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct AvgPool2d {
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Pixels between windows.
    pub stride: [usize; 2],
    /// Zeros around the map.
    pub padding: Padding,
    /// Whether the zeros count in the mean.
    pub count_padding: bool,
}

/// Mean over height and width: `[N, C, h, w]` to `[N, C]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GlobalMean {}

impl MaxPool2d {
    /// A square window without padding.
    pub fn new(kernel: usize, stride: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: Padding::both(0),
        }
    }
}

impl AvgPool2d {
    /// A square window without padding.
    pub fn new(kernel: usize, stride: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: Padding::both(0),
            count_padding: true,
        }
    }

    /// Sets the padding, and whether it counts in the mean.
    pub fn with_padding(mut self, padding: Padding, counts: bool) -> Self {
        self.padding = padding;
        self.count_padding = counts;
        self
    }
}

fn pooled(
    inputs: &[&[usize]],
    [kernel, stride]: [[usize; 2]; 2],
    padding: Padding,
) -> Result<Vec<usize>, String> {
    let [images, channels, height, width] = map(inputs)?;
    let size = [height, width];
    let padding = padding.around(size, kernel, stride, [1; 2])?;
    let mut shape = vec![images, channels];
    for axis in 0..2 {
        let (kernel, stride) = (kernel[axis], stride[axis]);
        shape.push(positions(size[axis], padding[axis], kernel, stride, 1)?);
    }
    Ok(shape)
}

impl Operation for MaxPool2d {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        pooled(inputs, [self.kernel, self.stride], self.padding)
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        let x = value(inputs)?.rank4()?;
        let [_, _, height, width] = x.dims();
        let size = [height, width];
        let padding = self
            .padding
            .around(size, self.kernel, self.stride, [1; 2])?;
        let mut options = MaxPoolOptions::new(self.kernel).with_stride(self.stride);
        options.padding = padding;
        Ok(max_pool2d(x, options).into())
    }
}

impl Operation for AvgPool2d {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        pooled(inputs, [self.kernel, self.stride], self.padding)
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        let mut x = value(inputs)?.rank4()?;
        let [_, _, height, width] = x.dims();
        let size = [height, width];
        let padding = self
            .padding
            .around(size, self.kernel, self.stride, [1; 2])?;
        let mut options = AvgPoolOptions::new(self.kernel).with_stride(self.stride);
        if self.count_padding && padding != [(0, 0); 2] {
            x = x.pad(padding, PadMode::Constant(0.0));
        } else {
            options.padding = padding;
            options.count_include_pad = false;
        }
        Ok(avg_pool2d(x, options).into())
    }
}

impl Operation for GlobalMean {
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [images, channels, ..] = map(inputs)?;
        Ok(vec![images, channels])
    }

    fn apply(&self, inputs: Vec<Value>, _: &NodeParameters<'_>) -> Result<Value, String> {
        let x = value(inputs)?.rank4()?;
        let [images, channels, height, width] = x.dims();
        let rows = x.reshape([images, channels, height * width]);
        Ok(rows.mean_dim(2).reshape([images, channels]).into())
    }
}
