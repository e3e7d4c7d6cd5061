//! The random geometry the networks see a picture through.

use neuroinspect_core::check_option;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::Result;

/// Ranges of the random geometry, drawn anew at every step.
///
/// In this order: rotation about the centre and shift by whole pixels, both at once, nearest pixel
/// and zero fill; bilinear resize, height and width by independent factors; centre crop or zero
/// pad back to the picture's size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Largest rotation either way, in degrees. Default 15.
    pub rotation: f64,
    /// Largest shift either way, as a share of the side, in `[0, 1)`. Default 0.15.
    pub shift: f64,
    /// Least and largest factor of the resize, above 0. Default (0.6, 1.2).
    pub scale: (f64, f64),
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            rotation: 15.0,
            shift: 0.15,
            scale: (0.6, 1.2),
        }
    }
}

impl Augmentation {
    /// The networks see the picture as it is.
    pub fn off() -> Self {
        Self {
            rotation: 0.0,
            shift: 0.0,
            scale: (1.0, 1.0),
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption), naming the option.
    pub fn validate(&self) -> Result<()> {
        let (rotation, shift) = (self.rotation, self.shift);
        let allowed = (0.0..=180.0).contains(&rotation);
        let expected = "degrees from 0 to 180";
        check_option("augmentation.rotation", rotation, allowed, expected)?;
        let allowed = (0.0..1.0).contains(&shift);
        let expected = "a share of the side from 0 to below 1";
        check_option("augmentation.shift", shift, allowed, expected)?;
        let (least, largest) = self.scale;
        let allowed = least > 0.0 && least <= largest && largest.is_finite();
        let expected = "two finite factors above 0, the smaller first";
        let given = format!("{:?}", self.scale);
        check_option("augmentation.scale", given, allowed, expected)?;
        Ok(())
    }
}

/// One draw of the geometry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Transform {
    /// Clockwise, in degrees.
    pub(crate) angle: f64,
    /// To the right and down, in pixels.
    pub(crate) shift: [i64; 2],
    /// Of height and width.
    pub(crate) scale: [f64; 2],
}

impl Transform {
    pub(crate) fn draw(ranges: &Augmentation, size: usize, rng: &mut impl Rng) -> Self {
        let mut within = |least: f64, largest: f64| rng.random_range(least..=largest);
        let reach = ranges.shift * size as f64;
        let (least, largest) = ranges.scale;
        Self {
            angle: within(-ranges.rotation, ranges.rotation),
            shift: [(); 2].map(|()| within(-reach, reach).round() as i64),
            scale: [(); 2].map(|()| within(least, largest)),
        }
    }

    /// For each pixel of the rotated and shifted picture, row by row, the pixel it shows.
    pub(crate) fn sources(&self, size: usize) -> Vec<Option<usize>> {
        let (sin, cos) = self.angle.to_radians().sin_cos();
        let centre = size as f64 / 2.0 - 0.5;
        let inside = |position: f64| {
            let pixel = (position + centre).round_ties_even();
            (0.0..size as f64)
                .contains(&pixel)
                .then_some(pixel as usize)
        };
        let mut sources = Vec::with_capacity(size * size);
        for row in 0..size {
            let y = row as f64 - centre - self.shift[1] as f64;
            for column in 0..size {
                let x = column as f64 - centre - self.shift[0] as f64;
                let source = inside(cos * y - sin * x).zip(inside(cos * x + sin * y));
                sources.push(source.map(|(row, column)| row * size + column));
            }
        }
        sources
    }
}
