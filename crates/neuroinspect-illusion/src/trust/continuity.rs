//! Whether a unit answers continuously between its picture and real images.

use std::cmp::Ordering;

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array3, Zip};
use neuroinspect_core::{Precision, Unit, read_back};
use serde::{Deserialize, Serialize};

use super::look::{BATCH, look};
use crate::{Error, Illusion, PreparedClassifier, Result, adapter::Resize};

/// Real images that a picture is mixed with.
const MIXED: usize = 4;
/// Equal parts of the way from one of them to the picture. In few, an activation changes by more than a small jump
/// anyway, and the jump is passed over.
const STEPS: usize = 32;
/// How often the part of the largest change is halved. More tell a jump from a slope even better, and miss another
/// function that takes over in a short part of the way rather than at a point.
const HALVINGS: usize = 6;

/// An activation is off by as many roundings, in the precision that it is computed in.
const ROUNDINGS: f32 = 4.0;

/// Whether a unit's activation changes continuously from the real images that activate it most to its picture.
///
/// The picture `P` is mixed with each of these images `R`, pixel by pixel: `x(t) = (1 - t) R + t P`. The
/// activation is looked at in equal steps of `t`, and between the two neighbours that differ most by halves, each
/// time of the half that differs more. A continuous function's values come together; where another function
/// answers to pictures than to real images, as in a fooling circuit (arXiv 2306.04719, Fig. 3), they stay apart,
/// however near to each other the two mixtures are. The paper does not measure this.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Continuity {
    /// The change of the activation that is left, the largest over all these images, as a share of the unit's range over
    /// the real images: near 0 where it is continuous.
    pub jump: f32,
    /// The same as a share of the change of the step before it was halved: near 1 of a jump, and `2^-halvings` of a slope,
    /// however steep.
    pub left: f32,
    /// Where that is: the picture's share `t` in the mixture.
    pub at: f32,
    /// How many real images the picture was mixed with.
    pub images: usize,
    /// How many steps each way was divided into.
    pub steps: usize,
    /// How often the step of the largest change was halved.
    pub halvings: usize,
}

/// A picture, with the real images to mix it with.
pub(super) struct Asked<'a> {
    pub(super) illusion: &'a Illusion,
    /// Those that activate the unit most, in this order; empty where nothing is to be measured.
    pub(super) strongest: &'a [usize],
    /// The unit's range over all real images.
    pub(super) range: f32,
}

/// Of each picture, all in the same passes, with real images of one size: `None` where nothing was asked.
pub(super) fn continuity(
    classifier: &PreparedClassifier,
    images: &[Array3<u8>],
    asked: &[Asked<'_>],
) -> Result<Vec<Option<Continuity>>> {
    let side = images.first().map_or(0, |image| image.dim().1);
    let pictures = asked
        .iter()
        .map(|one| resized(classifier, &one.illusion.image, side));
    let pictures: Vec<Array3<f32>> = pictures.collect::<Result<_>>()?;
    let pairs = asked.iter().enumerate().flat_map(|(picture, one)| {
        let strongest = one.strongest.iter().take(MIXED);
        strongest.map(move |&image| (picture, image))
    });
    let pairs: Vec<(usize, usize)> = pairs.collect();
    let ways = ways(pairs.len(), &mut |points| {
        let mut activations = Vec::with_capacity(points.len());
        for batch in points.chunks(BATCH) {
            let mixed = batch.iter().map(|&(way, t)| {
                let (picture, image) = pairs[way];
                mixture(&images[image], &pictures[picture], t)
            });
            let mixed: Vec<Array3<f32>> = mixed.collect();
            let illusions = batch.iter().map(|(way, _)| asked[pairs[*way].0].illusion);
            activations.extend(activations_of(classifier, &mixed, illusions.collect())?);
        }
        Ok(activations)
    })?;
    let of_picture = |(picture, one): (usize, &Asked<'_>)| {
        let own = ways.iter().zip(&pairs);
        let own: Vec<&Way> = own
            .filter_map(|(way, pair)| (pair.0 == picture).then_some(way))
            .collect();
        let largest = own
            .iter()
            .max_by(|a, b| a.change().total_cmp(&b.change()))?;
        let rounding = ROUNDINGS * epsilon(classifier.precision()) * largest.magnitude();
        let change = (largest.change() - rounding).max(0.0);
        let jump = change / one.range;
        // Where a network gives out no numbers, nothing can be said.
        let is_number = jump.is_finite() && largest.change().is_finite();
        is_number.then_some(Continuity {
            jump,
            left: if change > 0.0 {
                change / largest.before
            } else {
                0.0
            },
            at: largest.middle(),
            images: own.len(),
            steps: STEPS,
            halvings: HALVINGS,
        })
    };
    Ok(asked.iter().enumerate().map(of_picture).collect())
}

/// The two nearest points looked at of a way between which the activation changes most: of each the picture's
/// share, and the activation.
struct Way {
    lower: [f32; 2],
    upper: [f32; 2],
    /// The change of the step that was halved.
    before: f32,
}

impl Way {
    fn change(&self) -> f32 {
        (self.upper[1] - self.lower[1]).abs()
    }

    fn magnitude(&self) -> f32 {
        self.lower[1].abs().max(self.upper[1].abs())
    }

    fn middle(&self) -> f32 {
        (self.lower[0] + self.upper[0]) / 2.0
    }

    /// Of the two halves the one in which the activation changes more; the first of equals.
    fn halved(self, activation: f32) -> Self {
        let middle = [self.middle(), activation];
        let before = self.before;
        let [first, second] =
            [(self.lower, middle), (middle, self.upper)].map(|(lower, upper)| Self {
                lower,
                upper,
                before,
            });
        if second.change() > first.change() {
            second
        } else {
            first
        }
    }
}

/// A way, and the picture's share there.
type Point = (usize, f32);

/// Looks for the largest change along as many ways. `activations` tells the activation at points, each a way and
/// the picture's share.
fn ways(
    count: usize,
    activations: &mut dyn FnMut(&[Point]) -> Result<Vec<f32>>,
) -> Result<Vec<Way>> {
    let share = |step: usize| step as f32 / STEPS as f32;
    let points: Vec<Point> = (0..count)
        .flat_map(|way| (0..=STEPS).map(move |step| (way, share(step))))
        .collect();
    let found = activations(&points)?;
    let largest = |found: &[f32]| {
        let steps = found.windows(2).enumerate().map(|(step, pair)| Way {
            lower: [share(step), pair[0]],
            upper: [share(step + 1), pair[1]],
            before: (pair[1] - pair[0]).abs(),
        });
        // The first of equals, and what is no number before all.
        steps.reduce(|most, next| match next.change().total_cmp(&most.change()) {
            Ordering::Greater => next,
            _ => most,
        })
    };
    let mut ways: Vec<Way> = found.chunks(STEPS + 1).filter_map(largest).collect();
    for _ in 0..HALVINGS {
        let middles = ways.iter().map(Way::middle).enumerate();
        let found = activations(&middles.collect::<Vec<_>>())?;
        let halved = ways.into_iter().zip(found);
        ways = halved
            .map(|(way, activation)| way.halved(activation))
            .collect();
    }
    Ok(ways)
}

/// The distance from 1 to the next number.
fn epsilon(precision: Precision) -> f32 {
    match precision {
        Precision::F32 => f32::EPSILON,
        Precision::F16 => 2.0_f32.powi(-10),
        // The coarsest that there is.
        _ => 2.0_f32.powi(-7),
    }
}

/// `(1 - t) R + t P` of a real image and a picture.
fn mixture(image: &Array3<u8>, picture: &Array3<f32>, t: f32) -> Array3<f32> {
    Zip::from(image)
        .and(picture)
        .map_collect(|&real, &made| (1.0 - t) * f32::from(real) / 255.0 + t * made)
}

/// The activation, on each image, of what the picture in its place is of.
fn activations_of(
    classifier: &PreparedClassifier,
    images: &[Array3<f32>],
    illusions: Vec<&Illusion>,
) -> Result<Vec<f32>> {
    let mut units: Vec<Unit> = Vec::new();
    for unit in illusions.iter().filter_map(|it| it.unit.as_ref()) {
        if !units.contains(unit) {
            units.push(unit.clone());
        }
    }
    let mut layers: Vec<&str> = units.iter().map(|unit| &*unit.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    let views: Vec<_> = images.iter().map(|image| image.view()).collect();
    let looked = look(classifier, &views, &layers, &units)?;
    let activations = illusions.iter().enumerate().map(|(row, illusion)| {
        let place = units
            .iter()
            .position(|unit| Some(unit) == illusion.unit.as_ref());
        match place {
            Some(column) => looked.units[[row, column]],
            None => looked.features[[row, illusion.pair.neuron.0]],
        }
    });
    Ok(activations.collect())
}

/// A picture as large as real images are.
fn resized(
    classifier: &PreparedClassifier,
    picture: &Array3<f32>,
    side: usize,
) -> Result<Array3<f32>> {
    let from = picture.dim().1;
    if from == side {
        return Ok(picture.clone());
    }
    let device = classifier.device();
    let pixels: Vec<f32> = picture.iter().copied().collect();
    let pixels = Tensor::from_data(TensorData::new(pixels, [1, 3, from, from]), device);
    let pixels = Resize::new(from, side, device).apply(pixels);
    let pixels = read_back(pixels, "a resized picture")?;
    let (shape, found) = ((3, side, side), pixels.len());
    Array3::from_shape_vec(shape, pixels)
        .map_err(|_| Error::shape("a resized picture", shape, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The change left of functions of the picture's share.
    fn changes(functions: &[fn(f32) -> f32]) -> Vec<[f32; 2]> {
        let mut looked = 0;
        let found = ways(functions.len(), &mut |points| {
            looked += points.len();
            Ok(points.iter().map(|&(way, t)| functions[way](t)).collect())
        });
        assert_eq!(looked, functions.len() * (STEPS + 1 + HALVINGS));
        let found = found.unwrap();
        found
            .iter()
            .map(|way| [way.change(), way.middle()])
            .collect()
    }

    /// Of a slope of 8 is left the smallest part of the way times 8; of a jump all.
    #[test]
    fn what_is_continuous_comes_together_and_a_jump_stays() {
        let smallest = 0.5_f32.powi(HALVINGS as i32) / STEPS as f32;
        let [flat, slope, jump, both] = changes(&[
            |_| 2.0,
            |t| (8.0 * (t - 0.4)).clamp(0.0, 1.0),
            |t| if t < 0.3 { 3.0 } else { 1.0 },
            |t| if t < 0.7 { t } else { t - 0.5 },
        ])
        .try_into()
        .unwrap();
        assert_eq!(flat[0], 0.0);
        assert!((slope[0] - 8.0 * smallest).abs() < 1e-6, "{slope:?}");
        assert_eq!(jump[0], 2.0);
        assert!((jump[1] - 0.3).abs() < smallest, "{jump:?}");
        assert!((both[0] - 0.5).abs() < 2.0 * smallest, "{both:?}");
        assert!((both[1] - 0.7).abs() < smallest, "{both:?}");
        assert!(changes(&[]).is_empty());
    }

    #[test]
    fn mixtures_by_hand() {
        let image = Array3::from_elem((3, 2, 2), 255);
        let picture = Array3::from_elem((3, 2, 2), 0.5);
        for (t, expected) in [(0.0, 1.0), (0.5, 0.75), (1.0, 0.5)] {
            let mixed = mixture(&image, &picture, t);
            assert!(mixed.iter().all(|it| *it == expected), "{t}");
        }
    }
}
