//! How far the colours and the spectrum of a picture are from those of real images.

use std::f64::consts::TAU;

use ndarray::{Array2, ArrayView3};
use neuroinspect_core::Error as CoreError;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, parameter::spectrum_magnitudes};

/// Places at which two distributions are compared.
const QUANTILES: usize = 256;
/// Added to a magnitude before its logarithm is taken, far below what rounding to 8 bits leaves: a picture
/// of one colour has none.
const LEAST_MAGNITUDE: f64 = 1e-4;

/// Colours and spectrum of real images, which a picture's are compared with.
#[derive(Clone, Debug)]
pub struct RealAppearance {
    side: usize,
    /// Of each [axis](axes), that of all images' pixels.
    quantiles: [Vec<f32>; 3],
    /// Of each frequency, the mean over the images.
    magnitudes: Vec<f64>,
    /// What real images have, each beside all of them.
    typical: AppearanceDistance,
}

/// How far a picture's colours and spectrum are from those of real images; 0 is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppearanceDistance {
    /// Wasserstein's distance of the picture's pixels from those of all real images, in brightness, in red
    /// against green and in yellow against blue, the mean of the three; values of pixels are in `[0, 1]`.
    pub colour: f32,
    /// Root mean square over the frequencies, each octave weighing as much, of the difference between the
    /// natural logarithms of the magnitudes of the picture's brightness and of real images', under Hann's window.
    pub spectrum: f32,
}

impl RealAppearance {
    /// Measures images `[3, S, S]` in `[0, 1]`, all of one side of 4 pixels or more.
    ///
    /// # Errors
    ///
    /// When there are no images, or one has another shape.
    pub fn measure<'a>(images: impl IntoIterator<Item = ArrayView3<'a, f32>>) -> Result<Self> {
        let mut pooled: [Vec<f32>; 3] = Default::default();
        let mut each = Vec::new();
        let mut side = 0;
        for image in images {
            let found = image.dim();
            side = if each.is_empty() { found.1 } else { side };
            check(image, side)?;
            let own = axes(image);
            for (pooled, own) in pooled.iter_mut().zip(&own) {
                pooled.extend(own);
            }
            each.push((own.map(quantiles), magnitudes(image)));
        }
        if each.is_empty() {
            return Err(CoreError::empty("images to measure colours and spectra of").into());
        }
        let mut means = vec![0.0; side / 2];
        for (_, magnitudes) in &each {
            for (mean, magnitude) in means.iter_mut().zip(magnitudes) {
                *mean += magnitude / each.len() as f64;
            }
        }
        let mut real = Self {
            side,
            quantiles: pooled.map(quantiles),
            magnitudes: means,
            typical: AppearanceDistance::default(),
        };
        let distances = each.iter().map(|(own, spectrum)| real.of(own, spectrum));
        let (mut colour, mut spectrum) = (0.0, 0.0);
        for distance in distances {
            colour += distance.colour / each.len() as f32;
            spectrum += distance.spectrum / each.len() as f32;
        }
        real.typical = AppearanceDistance { colour, spectrum };
        Ok(real)
    }

    /// The side of the images.
    pub fn side(&self) -> usize {
        self.side
    }

    /// How far a real image is from all of them, on average: what a picture can be measured by.
    pub fn typical(&self) -> AppearanceDistance {
        self.typical
    }

    /// How far a picture of the images' shape is from them.
    ///
    /// # Errors
    ///
    /// When it has another shape.
    pub fn distance(&self, picture: ArrayView3<'_, f32>) -> Result<AppearanceDistance> {
        check(picture, self.side)?;
        Ok(self.of(&axes(picture).map(quantiles), &magnitudes(picture)))
    }

    fn of(&self, own: &[Vec<f32>; 3], spectrum: &[f64]) -> AppearanceDistance {
        let apart = |(own, real): (&Vec<f32>, &Vec<f32>)| {
            let pairs = own.iter().zip(real);
            pairs.map(|(own, real)| (own - real).abs()).sum::<f32>() / QUANTILES as f32
        };
        let colour = own.iter().zip(&self.quantiles).map(apart).sum::<f32>() / 3.0;
        let (mut sum, mut weights) = (0.0, 0.0);
        for (index, (own, real)) in spectrum.iter().zip(&self.magnitudes).enumerate() {
            let log = |magnitude: &f64| (magnitude + LEAST_MAGNITUDE).ln();
            let weight = ((index + 1) as f64).recip();
            sum += weight * (log(own) - log(real)).powi(2);
            weights += weight;
        }
        let spectrum = (sum / weights).sqrt() as f32;
        AppearanceDistance { colour, spectrum }
    }
}

fn check(image: ArrayView3<'_, f32>, side: usize) -> Result<()> {
    if image.dim() != (3, side, side) || side < 4 {
        let what = "an image to measure colours and a spectrum of";
        let expected = [3, side.max(4), side.max(4)];
        return Err(Error::shape(what, expected, image.shape()));
    }
    if let Some(&value) = image.iter().find(|value| !value.is_finite()) {
        let what = "a pixel".to_owned();
        return Err(CoreError::NotFinite { what, value }.into());
    }
    Ok(())
}

/// Of each pixel its brightness, red against green, and yellow against blue.
fn axes(image: ArrayView3<'_, f32>) -> [Vec<f32>; 3] {
    let (_, height, width) = image.dim();
    let mut axes: [Vec<f32>; 3] = Default::default();
    for row in 0..height {
        for column in 0..width {
            let [red, green, blue] = [0, 1, 2].map(|channel| image[[channel, row, column]]);
            axes[0].push((red + green + blue) / 3.0);
            axes[1].push(red - green);
            axes[2].push((red + green) / 2.0 - blue);
        }
    }
    axes
}

/// The values at the middles of [`QUANTILES`] equal parts of a distribution.
fn quantiles(mut values: Vec<f32>) -> Vec<f32> {
    values.sort_by(f32::total_cmp);
    let place = |part: usize| (2 * part + 1) * values.len() / (2 * QUANTILES);
    (0..QUANTILES).map(|part| values[place(part)]).collect()
}

/// The mean magnitude of brightness at frequencies of 1, 2 and so on to `S / 2` cycles a side, in whichever
/// direction.
fn magnitudes(image: ArrayView3<'_, f32>) -> Vec<f64> {
    let (_, side, _) = image.dim();
    let bright = Array2::from_shape_fn((side, side), |(row, column)| {
        let [red, green, blue] = [0, 1, 2].map(|channel| f64::from(image[[channel, row, column]]));
        (red + green + blue) / 3.0
    });
    let mean = bright.mean().unwrap_or_default();
    let window = |place: usize| 0.5 - 0.5 * (TAU * (place as f64 + 0.5) / side as f64).cos();
    let plane = Array2::from_shape_fn((side, side), |(row, column)| {
        (bright[[row, column]] - mean) * window(row) * window(column)
    });
    let mut sums = vec![(0.0, 0.0); side / 2];
    for ((row, column), magnitude) in spectrum_magnitudes(&plane).indexed_iter() {
        let away = |index: usize| index.min(side - index) as f64;
        let cycles = away(row).hypot(away(column)).round() as usize;
        if let Some((sum, count)) = cycles.checked_sub(1).and_then(|it| sums.get_mut(it)) {
            *sum += magnitude;
            *count += 1.0;
        }
    }
    sums.into_iter().map(|(sum, count)| sum / count).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    /// Of pixels `value` and `1 - value` in turn, along one direction.
    fn stripes(value: f32, width: usize) -> Array3<f32> {
        Array3::from_shape_fn((3, 16, 16), |(_, row, _)| match row / width % 2 {
            0 => value,
            _ => 1.0 - value,
        })
    }

    fn real(images: &[Array3<f32>]) -> RealAppearance {
        RealAppearance::measure(images.iter().map(|it| it.view())).unwrap()
    }

    /// By hand: half of the pixels are 0.1 further, half as far the other way; a red one is 0.8 / 3 brighter
    /// than black, 0.8 more red and 0.4 more yellow, the mean of which is 1.4667 / 3.
    #[test]
    fn colours_are_as_far_as_their_pixels_are() {
        let of_stripes = real(&[stripes(0.2, 4)]);
        let typical = of_stripes.typical();
        assert_eq!((typical.colour, typical.spectrum), (0.0, 0.0));
        let far = of_stripes.distance(stripes(0.3, 4).view()).unwrap();
        assert!((far.colour - 0.1 / 3.0).abs() < 1e-6, "{far:?}");
        let black = real(&[Array3::zeros((3, 16, 16))]);
        let mut red = Array3::zeros((3, 16, 16));
        red.index_axis_mut(ndarray::Axis(0), 0).fill(0.8);
        let far = black.distance(red.view()).unwrap();
        assert!((far.colour - 4.4 / 9.0).abs() < 1e-6, "{far:?}");
        assert!(far.spectrum < 1e-6, "{far:?}");
    }

    #[test]
    fn magnitudes_are_as_large_as_the_contrast() {
        let [once, twice] = [0.4, 0.3].map(|value| magnitudes(stripes(value, 4).view()));
        assert_eq!(once.len(), 8);
        // The stripes come back after eight rows: twice a side.
        assert!(once.iter().all(|it| *it <= once[1]), "{once:?}");
        for (once, twice) in once.iter().zip(&twice) {
            assert!((2.0 * once - twice).abs() < 1e-5, "{once} {twice}");
        }
    }

    /// Hann's window leaves the mean's part at one cycle a side, and a point is as strong at all others.
    #[test]
    fn each_frequency_of_a_point_is_as_strong() {
        let at = |place| if place == (8, 7) { 0.9 } else { 0.0 };
        let point = Array3::from_shape_fn((3, 16, 16), |(_, row, column)| at((row, column)));
        let magnitudes = magnitudes(point.view());
        for magnitude in &magnitudes[2..] {
            assert!(*magnitude > 1e-3, "{magnitudes:?}");
            assert!((magnitude - magnitudes[2]).abs() < 1e-6, "{magnitudes:?}");
        }
    }

    /// Twice the contrast is `ln 2` at each frequency that there is; another width moves frequencies and
    /// leaves colours as they are.
    #[test]
    fn spectra_are_as_far_as_their_frequencies_are() {
        let of_stripes = real(&[stripes(0.4, 4)]);
        let twice = of_stripes.distance(stripes(0.3, 4).view()).unwrap();
        assert!((0.3..=2.0_f32.ln()).contains(&twice.spectrum), "{twice:?}");
        let finer = of_stripes.distance(stripes(0.4, 2).view()).unwrap();
        assert!(finer.colour < 1e-6 && finer.spectrum > 1.0, "{finer:?}");
    }

    #[test]
    fn real_images_differ_from_their_mean() {
        let both = real(&[stripes(0.2, 4), stripes(0.4, 2)]);
        let typical = both.typical();
        assert!(
            typical.colour > 0.01 && typical.spectrum > 0.1,
            "{typical:?}"
        );
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        assert!(RealAppearance::measure([]).is_err());
        let short = Array3::zeros((3, 8, 6));
        assert!(RealAppearance::measure([short.view()]).is_err());
        let of_stripes = real(&[stripes(0.2, 4)]);
        assert!(
            of_stripes
                .distance(Array3::zeros((3, 8, 8)).view())
                .is_err()
        );
        assert!(
            of_stripes
                .distance(Array3::from_elem((3, 16, 16), f32::NAN).view())
                .is_err()
        );
    }
}
