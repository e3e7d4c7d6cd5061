//! Magnitudes of the spectra of real images.

use std::f64::consts::TAU;

use ndarray::{Array2, Array3, Axis};
use neuroinspect_core::Error as CoreError;
use serde::{Deserialize, Serialize};

use super::{check_size, spectrum::decorrelation};
use crate::{Error, Result};

/// How many frequencies there are, four an octave.
const FREQUENCIES: usize = 31;
/// Of these the last, that of a checkerboard: `2^-0.5` cycles a pixel.
const HIGHEST: f64 = -0.5;
/// Colours nearer to black or white than this would be of any size before the squash.
const MARGIN: f32 = 0.02;

/// Mean magnitudes of the spectra of real images, for pictures that have the same
/// ([`ImageParameter::Maco`](crate::ImageParameter::Maco)).
///
/// They are of what the logistic function makes the images of, in the decorrelated colour space, and are taken
/// over all orientations of a frequency, so that they are for pictures of any size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Magnitudes {
    /// Of each colour channel the mean size of an image's mean over its pixels.
    pub mean: [f32; 3],
    /// Of each colour channel the mean magnitude, under orthonormal scaling, at frequencies of `2^-8`,
    /// `2^-7.75` and so on to `2^-0.5` cycles a pixel.
    pub channels: [Vec<f32>; 3],
}

impl Magnitudes {
    /// Measures images `[3, S, S]` in `[0, 1]` of even sides. Where they are too small to have low
    /// frequencies, those go on as `1 / f` from the lowest that they have.
    ///
    /// # Errors
    ///
    /// When there are no images, or one is not square or of another size than pictures can have.
    pub fn measure(images: impl IntoIterator<Item = Array3<f32>>) -> Result<Self> {
        let decorrelation = decorrelation();
        let mut sums = [[(0.0, 0.0); FREQUENCIES]; 3];
        let mut means = [0.0; 3];
        let mut count = 0.0;
        for image in images {
            let (channels, height, width) = image.dim();
            if channels != 3 || height != width {
                let what = "an image to measure magnitudes of";
                return Err(Error::shape(what, ["3", "S", "S"], image.shape()));
            }
            check_size(width)?;
            count += 1.0;
            let logits = image.mapv(|value| {
                let value = f64::from(value.clamp(MARGIN, 1.0 - MARGIN));
                (value / (1.0 - value)).ln()
            });
            for (channel, weights) in decorrelation.iter().enumerate() {
                let planes = logits.axis_iter(Axis(0)).zip(weights);
                let mut decorrelated = Array2::<f64>::zeros((height, width));
                for (plane, &weight) in planes {
                    decorrelated.scaled_add(weight, &plane);
                }
                means[channel] += decorrelated.mean().unwrap_or_default().abs();
                add(&decorrelated, &mut sums[channel]);
            }
        }
        if count == 0.0 {
            return Err(CoreError::empty("images to measure magnitudes of").into());
        }
        Ok(Self {
            mean: means.map(|sum| (sum / count) as f32),
            channels: sums.map(|sums| filled(&sums)),
        })
    }

    /// The magnitude of a channel at a frequency in cycles a pixel, above 0: straight between those that are
    /// known, of logarithms over logarithms.
    pub(super) fn at(&self, channel: usize, frequency: f64) -> f64 {
        let known = &self.channels[channel];
        let place = place(frequency).clamp(0.0, (FREQUENCIES - 1) as f64);
        let below = (place as usize).min(FREQUENCIES - 2);
        let [low, high] = [below, below + 1].map(|place| f64::from(known[place]).ln());
        (low + (high - low) * (place - below as f64)).exp()
    }

    /// Checks that there are as many magnitudes as frequencies, all above 0.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](CoreError::InvalidOption).
    pub fn validate(&self) -> Result<()> {
        let good = |value: &f32| value.is_finite() && *value > 0.0;
        let lengths = self.channels.iter().all(|it| it.len() == FREQUENCIES);
        let numbers = self.channels.iter().flatten().chain(&self.mean).all(good);
        let given = format!("{:?}", self.channels.each_ref().map(Vec::len));
        let expected = "31 numbers above 0 for each of three channels";
        Ok(neuroinspect_core::check_option(
            "magnitudes",
            given,
            lengths && numbers,
            expected,
        )?)
    }
}

/// Where among the frequencies one stands, from 0.
fn place(frequency: f64) -> f64 {
    (FREQUENCIES - 1) as f64 + 4.0 * (frequency.log2() - HIGHEST)
}

/// Magnitudes of a square plane's spectrum, under orthonormal scaling.
pub(crate) fn spectrum_magnitudes(plane: &Array2<f64>) -> Array2<f64> {
    let size = plane.nrows();
    let angle = |(one, other): (usize, usize)| TAU * (one * other % size) as f64 / size as f64;
    let cos = Array2::from_shape_fn((size, size), |at| angle(at).cos());
    let sin = Array2::from_shape_fn((size, size), |at| angle(at).sin());
    let (rows_cos, rows_sin) = (cos.dot(plane), sin.dot(plane));
    let real = rows_cos.dot(&cos) - rows_sin.dot(&sin);
    let imaginary = rows_sin.dot(&cos) + rows_cos.dot(&sin);
    Array2::from_shape_fn((size, size), |at| {
        real[at].hypot(imaginary[at]) / size as f64
    })
}

/// Adds the magnitudes of a plane's spectrum, and their number, to those of the nearest frequencies.
fn add(plane: &Array2<f64>, sums: &mut [(f64, f64); FREQUENCIES]) {
    let size = plane.nrows();
    for ((row, column), magnitude) in spectrum_magnitudes(plane).indexed_iter() {
        let away = |index: usize| index.min(size - index) as f64 / size as f64;
        let frequency = away(row).hypot(away(column));
        if frequency > 0.0 {
            let place = place(frequency)
                .round()
                .clamp(0.0, (FREQUENCIES - 1) as f64) as usize;
            sums[place].0 += magnitude;
            sums[place].1 += 1.0;
        }
    }
}

/// The means, and where there is none that of the nearest frequency, as `1 / f`.
fn filled(sums: &[(f64, f64); FREQUENCIES]) -> Vec<f32> {
    let known = |place: &usize| sums[*place].1 > 0.0;
    let fill = |place: usize| {
        let nearest = (0..FREQUENCIES)
            .filter(known)
            .min_by_key(|it| it.abs_diff(place));
        let nearest = nearest.unwrap_or(place);
        let (sum, count) = sums[nearest];
        let octaves = (nearest as f64 - place as f64) / 4.0;
        // A colour that no image has is no reason for a magnitude of 0, of which there is no logarithm.
        (sum / count.max(1.0) * octaves.exp2()).max(1e-6) as f32
    };
    (0..FREQUENCIES).map(fill).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(size: usize, cycles: usize, amplitude: f64) -> Array3<f32> {
        Array3::from_shape_fn((3, size, size), |(_, row, _)| {
            let value = amplitude * (TAU * (cycles * row) as f64 / size as f64).cos();
            (1.0 / (1.0 + (-value).exp())) as f32
        })
    }

    /// A grey wave of amplitude `a` before the squash: two of the spectrum's numbers are `a S / 2` each, times
    /// what decorrelation makes of grey, and those of the same frequency are S's four and more.
    #[test]
    fn a_wave_has_its_frequency_alone() {
        let size = 32;
        let found = Magnitudes::measure([wave(size, 8, 1.5)]).unwrap();
        found.validate().unwrap();
        let quarter = place(0.25) as usize;
        for channel in 0..3 {
            let others = found.channels[channel].iter().enumerate();
            let others =
                others.filter(|(it, _)| *it != quarter && *it >= place(1.0 / 32.0) as usize);
            let largest = others.map(|(_, &value)| value).fold(0.0, f32::max);
            assert!(
                found.channels[channel][quarter] > 1e3 * largest,
                "{channel}"
            );
        }
        let twice = Magnitudes::measure([wave(size, 8, 3.0)]).unwrap();
        let [one, two] = [&found, &twice].map(|it| it.channels[0][quarter]);
        assert!((two / one - 2.0).abs() < 1e-4, "{one} {two}");
        assert!((found.at(0, 0.25) as f32 - one).abs() < 1e-4 * one);
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        assert!(Magnitudes::measure([]).is_err());
        assert!(Magnitudes::measure([Array3::zeros((3, 8, 6))]).is_err());
        assert!(Magnitudes::measure([Array3::zeros((3, 7, 7))]).is_err());
        let mut short = Magnitudes::measure([wave(8, 2, 1.0)]).unwrap();
        short.validate().unwrap();
        short.channels[1].pop();
        assert!(short.validate().is_err());
    }

    /// Below what 8 pixels have, half the frequency has twice the magnitude.
    #[test]
    fn low_frequencies_go_on() {
        let found = Magnitudes::measure([wave(8, 1, 1.0)]).unwrap();
        let at = |frequency: f64| found.at(0, frequency);
        let ratio = at(1.0 / 32.0) / at(1.0 / 8.0);
        assert!((ratio - 4.0).abs() < 1e-3, "{ratio}");
    }
}
