//! The gradient of the maps: a convolution of the values' gradient.

use rayon::prelude::*;

use crate::{Convolution, Then, convolve};

/// The gradient of a convolution's maps, of that of its values and its weights; none of a convolution whose zeros reach
/// further than its window, or that has both a stride and a dilation.
///
/// # Panics
///
/// Where a slice does not have the shape's numbers.
pub fn maps_gradient(of: &Convolution, gradient: &[f32], weight: &[f32]) -> Option<Vec<f32>> {
    assert_eq!(gradient.len(), of.numbers_out(), "numbers of the gradient");
    assert_eq!(weight.len(), of.weights(), "numbers of the weights");
    if of.stride != [1, 1] && of.dilation != [1, 1] {
        return None;
    }
    let phases = |axis: usize| {
        let phases = (0..of.stride[axis]).map(|phase| Phase::new(of, axis, phase));
        phases.collect::<Option<Vec<_>>>()
    };
    let (rows, columns) = (phases(0)?, phases(1)?);
    let mut out = vec![0.0; of.numbers_in()];
    let [height, width] = of.size;
    let channels = weight.len() / of.window();
    for row in &rows {
        for column in &columns {
            let count = [row.count, column.count];
            let kernel = [row.kernel, column.kernel];
            if count.contains(&0) || kernel.contains(&0) {
                continue;
            }
            let shape = Convolution {
                images: of.images,
                channels_in: of.channels_out,
                channels_out: of.channels_in,
                groups: of.groups,
                size: of.size_out(),
                kernel,
                stride: [1, 1],
                dilation: of.dilation,
                padding: [row.padding, column.padding],
                transposed: true,
            };
            if of.stride == [1, 1] {
                convolve(&shape, gradient, weight, Then::default(), &mut out);
                return Some(out);
            }
            // The weights that meet these pixels.
            let mut own = Vec::with_capacity(channels * shape.window());
            for window in weight.chunks(of.window()) {
                for line in window
                    .chunks(of.kernel[1])
                    .skip(row.phase)
                    .step_by(of.stride[0])
                {
                    own.extend(line.iter().skip(column.phase).step_by(of.stride[1]));
                }
            }
            let mut values = vec![0.0; shape.numbers_out()];
            convolve(&shape, gradient, &own, Then::default(), &mut values);
            out.par_chunks_mut(height * width)
                .zip(values.par_chunks(shape.plane_out()))
                .for_each(|(plane, values)| {
                    let lines = plane
                        .chunks_mut(width)
                        .skip(row.first)
                        .step_by(of.stride[0]);
                    for (line, values) in lines.zip(values.chunks(count[1])) {
                        let line = line.iter_mut().skip(column.first).step_by(of.stride[1]);
                        for (to, from) in line.zip(values) {
                            *to = *from;
                        }
                    }
                });
        }
    }
    Some(out)
}

/// Along one axis, the pixels that meet each `stride`-th weight from one on: pixel `i` and weight `k` meet where
/// `i + padding - k` is a multiple of the stride, and so all such pixels the same weights.
struct Phase {
    phase: usize,
    /// How many weights.
    kernel: usize,
    /// The first pixel, and how many there are.
    first: usize,
    count: usize,
    padding: (usize, usize),
}

impl Phase {
    fn new(of: &Convolution, axis: usize, phase: usize) -> Option<Self> {
        let (stride, padding) = (of.stride[axis], of.padding[axis].0);
        let kernel = of.kernel[axis].saturating_sub(phase).div_ceil(stride);
        // Pixel `stride j + phase - padding` is of windows from `j` back.
        let window = padding.saturating_sub(phase).div_ceil(stride);
        let first = window * stride + phase - padding;
        let count = of.size[axis].saturating_sub(first).div_ceil(stride);
        let none = Self {
            phase,
            kernel,
            first,
            count,
            padding: (0, 0),
        };
        if kernel == 0 || count == 0 {
            return Some(none);
        }
        let reach = of.dilation[axis] * (kernel - 1);
        let before = reach.checked_sub(window)?;
        let after = (count + reach).checked_sub(before + of.size_out()[axis])?;
        Some(Self {
            padding: (before, after),
            ..none
        })
    }
}
