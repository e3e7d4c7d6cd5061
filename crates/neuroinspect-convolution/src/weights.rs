//! Weights in the order in which they are read.

use crate::Convolution;

/// Blocks of output channels: for each input channel and place of the window, a weight of each channel of the block.
pub(crate) struct Packed {
    weights: Vec<f32>,
    /// Output channels of a block.
    pub(crate) width: usize,
    /// Numbers of a block.
    numbers: usize,
    channels_of_group: usize,
}

impl Packed {
    pub(crate) fn new(shape: &Convolution, weight: &[f32], width: usize) -> Self {
        let channels_of_group = shape.channels_out / shape.groups;
        let channels_in = shape.channels_in / shape.groups;
        let width = match channels_of_group {
            1 => 1,
            _ => width,
        };
        let window = shape.window();
        let each = channels_in * window;
        let mut packed = Self {
            weights: Vec::new(),
            width,
            numbers: width * each,
            channels_of_group,
        };
        let blocks = packed.blocks_of_group() * shape.groups;
        packed.weights = vec![0.0; blocks * packed.numbers];
        if packed.numbers == 0 {
            return packed;
        }
        let blocks = packed.blocks_of_group();
        for (index, block) in packed.weights.chunks_mut(packed.numbers).enumerate() {
            let (group, first) = (index / blocks, index % blocks * width);
            for lane in 0..width.min(channels_of_group - first) {
                let inside = first + lane;
                let channel = group * channels_of_group + inside;
                let to = block.iter_mut().skip(lane).step_by(width);
                if !shape.transposed {
                    for (to, from) in to.zip(&weight[channel * each..][..each]) {
                        *to = *from;
                    }
                } else {
                    let from = (0..channels_in).flat_map(|channel| {
                        let row = group * channels_in + channel;
                        let start = (row * channels_of_group + inside) * window;
                        weight[start..][..window].iter().rev()
                    });
                    for (to, from) in to.zip(from) {
                        *to = *from;
                    }
                }
            }
        }
        packed
    }

    fn blocks_of_group(&self) -> usize {
        self.channels_of_group.div_ceil(self.width)
    }

    /// The first output channel of a group's block.
    pub(crate) fn first_channel(&self, group: usize, block: usize) -> usize {
        group * self.channels_of_group + block * self.width
    }

    pub(crate) fn block(&self, group: usize, block: usize) -> &[f32] {
        let index = group * self.blocks_of_group() + block;
        &self.weights[index * self.numbers..][..self.numbers]
    }
}
