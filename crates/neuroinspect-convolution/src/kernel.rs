//! The sums.

use pulp::{Simd, WithSimd};

use crate::{
    layout::Layout,
    shape::{Activation, Then},
    tiles::{Tiles, Vector},
};

/// Lanes of the widest vectors that there are.
const MOST_LANES: usize = 16;

/// How wide this machine's instructions are.
pub(crate) struct Widths;

/// Numbers in a vector, and output channels in a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes {
    pub(crate) lanes: usize,
    pub(crate) channels: usize,
}

impl WithSimd for Widths {
    type Output = Lanes;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Lanes {
        Lanes {
            lanes: S::F32_LANES,
            channels: match S::REGISTER_COUNT {
                32.. => 8,
                _ => 4,
            },
        }
    }
}

/// The channels that a group of output channels reads.
#[derive(Clone, Copy)]
pub(crate) struct Image<'a> {
    pub(crate) planes: &'a [f32],
    pub(crate) layout: &'a Layout,
    pub(crate) tiles: &'a Tiles,
}

/// Output channels that are summed together.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) weights: &'a [f32],
    pub(crate) channels_in: usize,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) then: Then<'a>,
}

/// All pixels of a block.
pub(crate) struct Run<'a> {
    pub(crate) image: Image<'a>,
    pub(crate) block: Block<'a>,
    /// `[channels of the block, pixels]`.
    pub(crate) out: &'a mut [f32],
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { image, block, out } = self;
        let window = block.channels_in * image.layout.taps.len();
        let depthwise = block.weights.len() == window;
        if depthwise {
            tiles::<S, 1, 8>(simd, image, block, out);
        } else if S::REGISTER_COUNT >= 32 {
            tiles::<S, 8, 3>(simd, image, block, out);
        } else {
            tiles::<S, 4, 3>(simd, image, block, out);
        }
    }
}

#[inline(always)]
fn tiles<S: Simd, const M: usize, const V: usize>(
    simd: S,
    image: Image<'_>,
    block: Block<'_>,
    out: &mut [f32],
) {
    let (whole, rest) = image.tiles.vectors.as_chunks::<V>();
    for vectors in whole {
        tile::<S, M, V>(simd, image, block, vectors, out);
    }
    let (pairs, rest) = rest.as_chunks::<2>();
    for vectors in pairs {
        tile::<S, M, 2>(simd, image, block, vectors, out);
    }
    for vector in rest {
        tile::<S, M, 1>(simd, image, block, &[*vector], out);
    }
}

#[inline(always)]
fn tile<S: Simd, const M: usize, const V: usize>(
    simd: S,
    image: Image<'_>,
    block: Block<'_>,
    vectors: &[Vector; V],
    out: &mut [f32],
) {
    let mut sums = [[simd.splat_f32s(0.0); V]; M];
    let (weights, _) = block.weights.as_chunks::<M>();
    let taps = image.layout.taps.as_slice();
    let mut planes = image.planes;
    for weights in weights.chunks_exact(taps.len()) {
        for (tap, weights) in taps.iter().zip(weights) {
            let mut x = [simd.splat_f32s(0.0); V];
            for v in 0..V {
                x[v] = load::<S>(&planes[vectors[v].base + tap..]);
            }
            for m in 0..M {
                let weight = simd.splat_f32s(weights[m]);
                for v in 0..V {
                    sums[m][v] = simd.mul_add_f32s(weight, x[v], sums[m][v]);
                }
            }
        }
        planes = &planes[image.layout.plane..];
    }
    let [height, width] = image.layout.size_out;
    for (m, (plane, sums)) in out.chunks_mut(height * width).zip(sums).enumerate() {
        let bias = block.bias.map_or(0.0, |bias| bias[m]);
        for v in 0..V {
            let sum = simd.add_f32s(sums[v], simd.splat_f32s(bias));
            store(simd, image.tiles, vectors[v], block.then, sum, plane);
        }
    }
}

#[inline(always)]
fn load<S: Simd>(numbers: &[f32]) -> S::f32s {
    S::as_simd_f32s(&numbers[..S::F32_LANES]).0[0]
}

/// Stores the lanes that are pixels.
#[inline(always)]
fn store<S: Simd>(
    simd: S,
    tiles: &Tiles,
    vector: Vector,
    then: Then<'_>,
    sum: S::f32s,
    plane: &mut [f32],
) {
    let runs = tiles.runs(vector);
    if let [run] = runs
        && run.length == S::F32_LANES
    {
        let to = &mut plane[run.pixel..][..S::F32_LANES];
        let to = &mut S::as_mut_simd_f32s(to).0[0];
        *to = finished(simd, then, sum, *to);
        return;
    }
    let mut lanes = [0.0; MOST_LANES];
    if then.added {
        for run in runs {
            let there = &plane[run.pixel..][..run.length];
            lanes[run.lane..][..run.length].copy_from_slice(there);
        }
    }
    let all = &mut S::as_mut_simd_f32s(&mut lanes[..S::F32_LANES]).0[0];
    *all = finished(simd, then, sum, *all);
    for run in runs {
        let there = &mut plane[run.pixel..][..run.length];
        there.copy_from_slice(&lanes[run.lane..][..run.length]);
    }
}

#[inline(always)]
fn finished<S: Simd>(simd: S, then: Then<'_>, sum: S::f32s, there: S::f32s) -> S::f32s {
    let sum = match then.added {
        true => simd.add_f32s(sum, there),
        false => sum,
    };
    let zero = simd.splat_f32s(0.0);
    // Of two numbers one of which is none, the second: NaN stays.
    match then.activation {
        Activation::Identity => sum,
        Activation::Relu => simd.max_f32s(zero, sum),
        Activation::Relu6 => simd.min_f32s(simd.splat_f32s(6.0), simd.max_f32s(zero, sum)),
    }
}
