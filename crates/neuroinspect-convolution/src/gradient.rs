//! The gradient of the maps: a convolution of the values' gradient.

use rayon::prelude::*;

use crate::{Convolution, Then, sum, weights::Window};

/// The gradient of a convolution's maps, of that of its values and its weights; none of a convolution whose zeros reach
/// further than its window, or that has both a stride and a dilation.
///
/// # Panics
///
/// Where the shape is not [valid](Convolution::is_valid), or a slice does not have its numbers.
pub fn maps_gradient(of: &Convolution, gradient: &[f32], weight: &[f32]) -> Option<Vec<f32>> {
    assert!(of.is_valid(), "no convolution can be {of:?}");
    assert_eq!(gradient.len(), of.numbers_out(), "numbers of the gradient");
    assert_eq!(weight.len(), of.weights(), "numbers of the weights");
    if gradient.is_empty() || of.numbers_in() == 0 {
        return Some(vec![0.0; of.numbers_in()]);
    }
    if of.stride != [1, 1] && of.dilation != [1, 1] {
        return None;
    }
    let phases = |axis: usize| {
        let phases = (0..of.stride[axis]).map(|phase| Phase::new(of, axis, phase));
        phases.collect::<Option<Vec<_>>>()
    };
    let (rows, columns) = (phases(0)?, phases(1)?);
    let [height, width] = of.size;
    let mut pairs = Vec::new();
    for row in &rows {
        pairs.extend(columns.iter().map(|column| [row, column]));
    }
    pairs.retain(|pair| pair.iter().all(|phase| phase.count * phase.kernel > 0));
    // A window of few channels is too little for several threads, its phases are not.
    let values = pairs.par_iter().map(|pair| {
        let shape = Convolution {
            images: of.images,
            channels_in: of.channels_out,
            channels_out: of.channels_in,
            groups: of.groups,
            size: of.size_out(),
            kernel: pair.map(|phase| phase.kernel),
            stride: [1, 1],
            dilation: of.dilation,
            padding: pair.map(|phase| phase.padding),
        };
        let mut values = vec![0.0; shape.numbers_out()];
        let window = meeting(of, *pair);
        sum(
            &shape,
            &window,
            gradient,
            weight,
            Then::default(),
            &mut values,
        );
        values
    });
    let mut values: Vec<_> = values.collect();
    if of.stride == [1, 1]
        && let Some(only) = values.pop()
    {
        return Some(only);
    }
    let mut out = vec![0.0; of.numbers_in()];
    out.par_chunks_mut(height * width)
        .enumerate()
        .for_each(|(plane, out)| {
            for ([row, column], values) in pairs.iter().zip(&values) {
                let count = row.count * column.count;
                let values = &values[plane * count..][..count];
                let lines = out.chunks_mut(width).skip(row.first).step_by(of.stride[0]);
                for (line, values) in lines.zip(values.chunks(column.count)) {
                    let line = line.iter_mut().skip(column.first).step_by(of.stride[1]);
                    line.zip(values).for_each(|(to, from)| *to = *from);
                }
            }
        });
    Some(out)
}

/// The weights that meet a phase's pixels, the last of them first.
fn meeting(of: &Convolution, phases: [&Phase; 2]) -> Window {
    let along = |axis: usize| {
        let Phase { phase, kernel, .. } = *phases[axis];
        let weights = (0..kernel)
            .rev()
            .map(move |index| phase + index * of.stride[axis]);
        weights.zip((0..kernel).map(move |index| index * of.dilation[axis]))
    };
    let mut places = Vec::new();
    for (row, down) in along(0) {
        let weights = along(1).map(|(column, right)| (row * of.kernel[1] + column, [down, right]));
        places.extend(weights);
    }
    Window {
        transposed: true,
        numbers: of.window(),
        places,
    }
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
