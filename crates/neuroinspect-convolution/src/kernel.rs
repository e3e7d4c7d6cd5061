//! The sums.

use pulp::{Simd, WithSimd};

use crate::{
    layout::Layout,
    shape::{Rectifier, Then},
    tiles::{Tiles, Vector},
    weights::Block,
};

/// Lanes of the widest vectors that there are.
const MOST_LANES: usize = 16;

/// At least so many products are summed by themselves before they are added to the rest: of a long sum in one go more is
/// rounded away.
const LEAST_PART: usize = 64;

/// Of how many products a part is: the sums of as many parts are as exact as each of them.
fn part(products: usize) -> usize {
    products.isqrt().max(LEAST_PART)
}

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

/// All pixels of a block.
pub(crate) struct Run<'a> {
    pub(crate) image: Image<'a>,
    pub(crate) block: Block<'a>,
    /// Output channels that are summed together, of which some may be none.
    pub(crate) width: usize,
    pub(crate) then: Then<'a>,
    /// `[channels of the block, pixels]`.
    pub(crate) out: &'a mut [f32],
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (self.width, S::REGISTER_COUNT) {
            (1, _) => tiles::<S, 1, 8>(simd, self),
            (4, 32..) => tiles::<S, 4, 6>(simd, self),
            (_, 32..) => tiles::<S, 8, 3>(simd, self),
            _ => tiles::<S, 4, 3>(simd, self),
        }
    }
}

#[inline(always)]
fn tiles<S: Simd, const M: usize, const V: usize>(simd: S, run: Run<'_>) {
    let Run {
        image,
        block,
        then,
        out,
        ..
    } = run;
    let (whole, rest) = image.tiles.vectors.as_chunks::<V>();
    for vectors in whole {
        tile::<S, M, V>(simd, image, block, then, vectors, out);
    }
    let (pairs, rest) = rest.as_chunks::<2>();
    for vectors in pairs {
        tile::<S, M, 2>(simd, image, block, then, vectors, out);
    }
    for vector in rest {
        tile::<S, M, 1>(simd, image, block, then, &[*vector], out);
    }
}

#[inline(always)]
fn tile<S: Simd, const M: usize, const V: usize>(
    simd: S,
    image: Image<'_>,
    block: Block<'_>,
    then: Then<'_>,
    vectors: &[Vector; V],
    out: &mut [f32],
) {
    let mut totals = [[simd.splat_f32s(0.0); V]; M];
    let mut sums = totals;
    let mut summed = 0;
    let taps = image.layout.taps.as_slice();
    let part = part(image.layout.rounds * taps.len());
    let mut rows = [0; M];
    for (m, row) in rows.iter_mut().enumerate() {
        *row = m.min(block.channels - 1) * block.outside;
    }
    for channel in 0..image.layout.rounds {
        let planes = &image.planes[channel * image.layout.plane..];
        let weights = &block.weights[channel * block.inside..];
        let mut windows = [&weights[..block.window]; M];
        for m in 0..M {
            windows[m] = &weights[rows[m]..][..block.window];
        }
        for taps in taps.chunks(part) {
            if summed + taps.len() > part {
                for m in 0..M {
                    for v in 0..V {
                        totals[m][v] = simd.add_f32s(totals[m][v], sums[m][v]);
                        sums[m][v] = simd.splat_f32s(0.0);
                    }
                }
                summed = 0;
            }
            summed += taps.len();
            for tap in taps {
                let mut x = [simd.splat_f32s(0.0); V];
                for v in 0..V {
                    x[v] = load::<S>(&planes[vectors[v].base + tap.pixel..]);
                }
                for m in 0..M {
                    let weight = simd.splat_f32s(windows[m][tap.weight]);
                    for v in 0..V {
                        sums[m][v] = simd.mul_add_f32s(weight, x[v], sums[m][v]);
                    }
                }
            }
        }
    }
    let [height, width] = image.layout.size_out;
    let sums = totals.into_iter().zip(sums);
    for (m, (plane, (totals, sums))) in out.chunks_mut(height * width).zip(sums).enumerate() {
        let bias = then.bias.map_or(0.0, |bias| bias[block.first + m]);
        for v in 0..V {
            let sum = simd.add_f32s(totals[v], sums[v]);
            let sum = simd.add_f32s(sum, simd.splat_f32s(bias));
            store(simd, image.tiles, vectors[v], then, sum, plane);
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
    // No number is less than another, nor more, where one of them is none: NaN stays.
    let [zero, six] = [0.0, 6.0].map(|it| simd.splat_f32s(it));
    let positive = |x| simd.select_f32s(simd.less_than_f32s(x, zero), zero, x);
    match then.rectifier {
        Rectifier::Identity => sum,
        Rectifier::Relu => positive(sum),
        Rectifier::Relu6 => {
            let sum = positive(sum);
            simd.select_f32s(simd.less_than_f32s(six, sum), six, sum)
        }
    }
}
