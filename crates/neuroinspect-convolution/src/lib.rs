//! Convolutions of maps in `f32` on a CPU: direct ones, without a matrix of unrolled windows.
//!
//! A map's channels are copied once, with zeros around them, so that each weight of a window meets its pixels at one
//! distance from where the window starts. A block of output channels by some vectors of pixels is then summed in
//! registers, over channels and weights, and stored with what follows the convolution done to it: a bias, a sum, an
//! activation. Each number is summed in one order, whatever the threads and the instructions' width.

mod gradient;
mod kernel;
mod layout;
mod machine;
mod shape;
mod tiles;
mod weights;

pub use gradient::maps_gradient;
pub use shape::{Convolution, Rectifier, Then};

use kernel::Image;
use layout::Layout;
use rayon::prelude::*;
use tiles::Tiles;
use weights::{Weights, Window};

/// Fewer products than these are summed by the thread that asks: to wake another one takes as long.
const SMALL: usize = 1 << 18;

/// Whether this machine sums several numbers at a time.
pub fn has_vectors() -> bool {
    machine::dispatch(kernel::Widths).lanes > 1
}

/// Convolves maps `[N, C, h, w]` by weights `[channels, C / groups, kernel, kernel]` into `out`, `[N, channels, h', w']`.
///
/// What `out` holds counts only where it is to be added ([`Then::added`]).
///
/// # Panics
///
/// Where the shape is not [valid](Convolution::is_valid), a slice does not have its numbers, or the maps have none.
pub fn convolve(shape: &Convolution, x: &[f32], weight: &[f32], then: Then<'_>, out: &mut [f32]) {
    assert!(shape.is_valid(), "no convolution can be {shape:?}");
    assert_eq!(x.len(), shape.numbers_in(), "numbers of the maps");
    assert_eq!(weight.len(), shape.weights(), "numbers of the weights");
    assert_eq!(out.len(), shape.numbers_out(), "numbers of the values");
    if let Some(bias) = then.bias {
        assert_eq!(bias.len(), shape.channels_out, "numbers of the bias");
    }
    assert!(!x.is_empty(), "maps of no numbers");
    sum(shape, &Window::of(shape), x, weight, then, out);
}

/// The sums, whichever way the weights lie.
fn sum(
    shape: &Convolution,
    window: &Window,
    x: &[f32],
    weight: &[f32],
    then: Then<'_>,
    out: &mut [f32],
) {
    if out.is_empty() {
        return;
    }
    let widths = machine::dispatch(kernel::Widths);
    let layout = Layout::new(shape, window, widths.lanes);
    let tiles = Tiles::new(&layout, widths.lanes);
    let weights = Weights::new(shape, window, weight, widths.channels);
    // A group of an image is one convolution of its own.
    let channels_in = shape.channels_in / shape.groups;
    let plane_out = shape.plane_out();
    let group_in = channels_in * shape.size[0] * shape.size[1];
    let group_out = shape.channels_out / shape.groups * plane_out;
    let block = |planes: &[f32], group: usize, index: usize, out: &mut [f32]| {
        let image = Image {
            planes,
            layout: &layout,
            tiles: &tiles,
        };
        machine::dispatch(kernel::Run {
            image,
            block: weights.block(group, index),
            width: weights.width,
            then,
            out,
        });
    };
    let padded = || vec![0.0; layout.numbers()];
    let whole = |scratch: &mut Vec<f32>, unit: usize, x: &[f32], out: &mut [f32]| {
        layout.fill(x, scratch);
        let parts = out.chunks_mut(weights.width * plane_out);
        for (index, out) in parts.enumerate() {
            block(scratch, unit % shape.groups, index, out);
        }
    };
    let threads = match shape.products() < SMALL {
        true => 1,
        false => rayon::current_num_threads(),
    };
    if threads == 1 {
        let mut scratch = padded();
        let units = x.chunks(group_in).zip(out.chunks_mut(group_out));
        for (unit, (x, out)) in units.enumerate() {
            whole(&mut scratch, unit, x, out);
        }
    } else if shape.images * shape.groups >= 2 * threads {
        x.par_chunks(group_in)
            .zip(out.par_chunks_mut(group_out))
            .enumerate()
            .for_each_init(padded, |scratch, (unit, (x, out))| {
                whole(scratch, unit, x, out);
            });
    } else {
        // Few of them: the blocks of each are shared out.
        let mut scratch = padded();
        let units = x.chunks(group_in).zip(out.chunks_mut(group_out));
        for (unit, (x, out)) in units.enumerate() {
            layout.fill_in_parallel(x, &mut scratch);
            out.par_chunks_mut(weights.width * plane_out)
                .enumerate()
                .for_each(|(index, out)| block(&scratch, unit % shape.groups, index, out));
        }
    }
}
