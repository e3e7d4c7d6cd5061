//! Which weights are read together.

use crate::Convolution;

/// How a window's weights lie, and which of them meet which pixels.
pub(crate) struct Window {
    /// Whether the input channels are the outer ones, as in the gradient of a convolution.
    pub(crate) transposed: bool,
    /// How many weights lie from a window to the next.
    pub(crate) numbers: usize,
    /// A weight, and the row and column of its pixel after the window's first.
    pub(crate) places: Vec<(usize, [usize; 2])>,
}

impl Window {
    pub(crate) fn of(shape: &Convolution) -> Self {
        let [height, width] = shape.kernel;
        let places = (0..height * width).map(|weight| {
            let place = [weight / width, weight % width];
            (
                weight,
                [0, 1].map(|axis| place[axis] * shape.dilation[axis]),
            )
        });
        Self {
            transposed: false,
            numbers: shape.window(),
            places: places.collect(),
        }
    }
}

/// The weights as they lie, in blocks of output channels.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    numbers: &'a [f32],
    /// Output channels of a block.
    pub(crate) width: usize,
    channels_of_group: usize,
    group: usize,
    outside: usize,
    inside: usize,
    window: usize,
}

/// The weights of output channels that are summed together.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    /// From the first weight on.
    pub(crate) weights: &'a [f32],
    /// The first output channel, and how many there are.
    pub(crate) first: usize,
    pub(crate) channels: usize,
    /// Numbers from an output channel to the next, and from an input channel to the next.
    pub(crate) outside: usize,
    pub(crate) inside: usize,
    pub(crate) window: usize,
}

impl<'a> Weights<'a> {
    pub(crate) fn new(
        shape: &Convolution,
        window: &Window,
        numbers: &'a [f32],
        width: usize,
    ) -> Self {
        let channels_of_group = shape.channels_out / shape.groups;
        let channels_in = shape.channels_in / shape.groups;
        let (outside, inside) = match window.transposed {
            true => (1, channels_of_group),
            false => (channels_in, 1),
        };
        Self {
            numbers,
            width: match channels_of_group {
                1 => 1,
                2..=4 => 4,
                _ => width,
            },
            channels_of_group,
            group: channels_of_group * channels_in * window.numbers,
            outside: outside * window.numbers,
            inside: inside * window.numbers,
            window: window.numbers,
        }
    }

    pub(crate) fn block(&self, group: usize, block: usize) -> Block<'a> {
        let first = block * self.width;
        Block {
            weights: &self.numbers[group * self.group + first * self.outside..],
            first: group * self.channels_of_group + first,
            channels: self.width.min(self.channels_of_group - first),
            outside: self.outside,
            inside: self.inside,
            window: self.window,
        }
    }
}
