//! PIL's resampling, bit for bit.
//!
//! PIL's `Image.resize` (`src/libImaging/Resample.c`) resizes 8-bit images in two passes, rows
//! first, then columns, and stores 8 bits in between. Each output pixel is a weighted sum over
//! the input pixels under a filter that is widened by the scale factor when shrinking
//! (antialiasing); the weights are fixed-point integers with 22 fractional bits. SIMD resizers use
//! 16-bit weights and differ in the last bit, which is why this is spelled out here.
//!
//! Pillow 13 (its pull request 9549) resizes columns first where the height shrinks more than the
//! width. As values are rounded and clipped between the passes, such images come out slightly
//! otherwise. We keep the order of all versions before, which the published models were trained and
//! measured with.
//!
//! Only the window of the resized image that is asked for is computed, so a centre crop costs what
//! its own pixels cost. Between the passes there is an image of the window's width and of as many
//! rows as the window is made from: all of the input's where it is squashed, which is why the caller
//! must bound the sides of both.

use image::RgbImage;
use neuroinspect_core::Interpolation;

/// What an output pixel is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Filter {
    /// The mean of the pixels under it.
    Box,
    /// What an input may ask for.
    Smooth(Interpolation),
}

const PRECISION_BITS: u32 = 32 - 8 - 2;

/// A stretch of one axis of the resized image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Length of the whole axis after resizing, in pixels.
    pub(crate) resized: u64,
    /// First pixel wanted.
    pub(crate) start: u64,
    /// Number of pixels wanted.
    pub(crate) len: usize,
}

/// The window `columns` x `rows` of `image` resized to `columns.resized` x `rows.resized`.
///
/// The image and both resized lengths must not be empty.
pub(crate) fn resize_window(
    image: &RgbImage,
    columns: Span,
    rows: Span,
    filter: Filter,
) -> RgbImage {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let columns = AxisWeights::new(width, columns, filter);
    let rows = AxisWeights::new(height, rows, filter);

    // Only the input rows under some output row's filter are worth resizing.
    let first = rows.taps.first().map_or(0, |tap| tap.first);
    let last = rows
        .taps
        .last()
        .map_or(0, |tap| tap.first + tap.weights.len());
    let stride = columns.taps.len() * 3;
    let mut narrowed = vec![0; (last - first) * stride];
    if stride > 0 {
        let input = image.as_raw().chunks_exact(width * 3).skip(first);
        for (output, input) in narrowed.chunks_exact_mut(stride).zip(input) {
            columns.resize_row(input, output);
        }
    }

    let mut resized = RgbImage::new(columns.taps.len() as u32, rows.taps.len() as u32);
    if stride > 0 {
        let outputs = resized.chunks_exact_mut(stride);
        for (output, tap) in outputs.zip(&rows.taps) {
            tap.sum_rows(&narrowed[(tap.first - first) * stride..], output);
        }
    }
    resized
}

/// For each output pixel along an axis, the input pixels it is made of.
struct AxisWeights {
    taps: Vec<Tap>,
}

/// The input pixels under the filter of one output pixel.
struct Tap {
    first: usize,
    /// Fixed point with [`PRECISION_BITS`] fractional bits, summing to one up to rounding.
    weights: Vec<i32>,
}

impl AxisWeights {
    fn new(input: usize, span: Span, filter: Filter) -> Self {
        let outputs = span.start..span.start + span.len as u64;
        // PIL leaves out the pass of an axis that keeps its length.
        if span.resized == input as u64 {
            let taps = outputs.map(|output| Tap {
                first: output as usize,
                weights: vec![1 << PRECISION_BITS],
            });
            return Self {
                taps: taps.collect(),
            };
        }
        let scale = input as f64 / span.resized as f64;
        let filter_scale = scale.max(1.0);
        let support = filter.support() * filter_scale;
        let inverse = 1.0 / filter_scale;
        let taps = outputs.map(|output| {
            let center = (output as f64 + 0.5) * scale;
            // Casts truncate towards zero and saturate at zero, as PIL's cast and clamp do.
            let first = (center - support + 0.5) as usize;
            let last = ((center + support + 0.5) as usize).min(input);
            let weights: Vec<f64> = (first..last)
                .map(|x| filter.weight((x as f64 - center + 0.5) * inverse))
                .collect();
            let sum: f64 = weights.iter().sum();
            let weights = weights.iter().map(|&weight| {
                let weight = if sum == 0.0 { weight } else { weight / sum };
                let fixed = weight * f64::from(1 << PRECISION_BITS);
                (fixed + 0.5_f64.copysign(fixed)) as i32
            });
            Tap {
                first,
                weights: weights.collect(),
            }
        });
        Self {
            taps: taps.collect(),
        }
    }

    /// Resizes one row of interleaved RGB pixels.
    fn resize_row(&self, input: &[u8], output: &mut [u8]) {
        for (pixel, tap) in output.chunks_exact_mut(3).zip(&self.taps) {
            let mut sums = [HALF; 3];
            for (source, &weight) in input[tap.first * 3..].chunks_exact(3).zip(&tap.weights) {
                for (sum, &value) in sums.iter_mut().zip(source) {
                    *sum += i32::from(value) * weight;
                }
            }
            for (value, sum) in pixel.iter_mut().zip(sums) {
                *value = clip8(sum);
            }
        }
    }
}

impl Tap {
    /// Weighted sum of the first rows of `rows`, which has as many columns as `output`.
    fn sum_rows(&self, rows: &[u8], output: &mut [u8]) {
        let mut sums = vec![HALF; output.len()];
        for (row, &weight) in rows.chunks_exact(output.len()).zip(&self.weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        for (value, sum) in output.iter_mut().zip(sums) {
            *value = clip8(sum);
        }
    }
}

/// One half in fixed point: makes the shift in [`clip8`] round to nearest.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

fn clip8(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

impl Filter {
    /// Half the width, in pixels, before widening.
    fn support(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Smooth(Interpolation::Bilinear) => 1.0,
            Self::Smooth(Interpolation::Bicubic) => 2.0,
        }
    }

    /// The weight of what lies `x` pixels from the centre.
    fn weight(self, x: f64) -> f64 {
        let distance = x.abs();
        match self {
            Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Smooth(Interpolation::Bilinear) => (1.0 - distance).max(0.0),
            Self::Smooth(Interpolation::Bicubic) => {
                // Keys' cubic convolution kernel.
                let a = -0.5;
                if distance < 1.0 {
                    ((a + 2.0) * distance - (a + 3.0)) * distance * distance + 1.0
                } else if distance < 2.0 {
                    (((distance - 5.0) * distance + 8.0) * distance - 4.0) * a
                } else {
                    0.0
                }
            }
        }
    }
}
