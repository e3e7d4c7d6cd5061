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

    /// Numbers from an output channel's weights to the next one's, and from an input channel's to the next one's.
    pub(crate) fn distances(&self, shape: &Convolution) -> [usize; 2] {
        let [inside, outside] = [shape.channels_in, shape.channels_out].map(|it| it / shape.groups);
        let [from_out, from_in] = match self.transposed {
            true => [1, outside],
            false => [inside, 1],
        };
        [from_out * self.numbers, from_in * self.numbers]
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
    /// How many numbers the weights that all taps are of lie within.
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
        let [outside, inside] = window.distances(shape);
        Self {
            numbers,
            width: match channels_of_group {
                1 => 1,
                2..=4 => 4,
                _ => width,
            },
            channels_of_group,
            group: channels_of_group * channels_in * window.numbers,
            outside,
            inside,
            window: match window.places.len() {
                1 => (channels_in - 1) * inside + window.numbers,
                _ => window.numbers,
            },
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
