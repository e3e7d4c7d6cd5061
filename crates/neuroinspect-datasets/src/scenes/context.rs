//! What a scene is set on.

use std::f32::consts::TAU;

use derive_more::Display;
use serde::{Deserialize, Serialize};

/// Red, green and blue in `[0, 1]`.
pub(super) type Rgb = [f32; 3];

/// The textured background of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display)]
#[serde(rename_all = "snake_case")]
#[display(rename_all = "lowercase")]
pub enum Context {
    /// Blue waves.
    Water,
    /// Green blades.
    Grass,
    /// Pale grains.
    Sand,
    /// Courses of red brick.
    Brick,
}

impl Context {
    /// Every context.
    pub const ALL: [Self; 4] = [Self::Water, Self::Grass, Self::Sand, Self::Brick];

    /// The texture's colour at a point of the unit square; `texture` tells apart the textures of
    /// different scenes.
    pub(super) fn colour_at(self, texture: u32, [u, v]: [f32; 2]) -> Rgb {
        let noise = |salt: u32, x: f32, y: f32| value_noise(texture.wrapping_add(salt), x, y);
        match self {
            Self::Water => {
                let swell = noise(1, 3.0 * u, 3.0 * v) + 0.12 * libm::sinf(TAU * 2.0 * u);
                let wave = 0.5 + 0.5 * libm::sinf(TAU * (5.0 * v + 0.9 * swell + phase(texture)));
                mix([0.10, 0.33, 0.62], [0.52, 0.76, 0.92], wave * wave)
            }
            Self::Grass => {
                let blade = noise(2, 18.0 * u + 2.0 * v, 3.5 * v);
                mix([0.10, 0.30, 0.08], [0.56, 0.76, 0.30], blade)
            }
            Self::Sand => {
                let grain = 0.55 * noise(3, 4.0 * u, 4.0 * v) + 0.45 * noise(4, 20.0 * u, 20.0 * v);
                mix([0.66, 0.53, 0.33], [0.97, 0.88, 0.68], grain)
            }
            Self::Brick => {
                let (across, up) = (3.0 * u + phase(texture), 5.0 * v + phase(texture));
                let course = up.floor();
                let shifted = across + 0.5 * (course * 0.5).fract() * 2.0;
                let (x, y) = (shifted.fract(), up - course);
                if x < 0.1 || y < 0.18 {
                    return [0.80, 0.75, 0.70];
                }
                let burn = lattice(texture, shifted.floor() as i32, course as i32);
                mix([0.50, 0.18, 0.13], [0.76, 0.36, 0.25], burn)
            }
        }
    }
}

/// From `a` at 0 to `b` at 1.
pub(super) fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    std::array::from_fn(|channel| a[channel] + (b[channel] - a[channel]) * t)
}

fn phase(texture: u32) -> f32 {
    lattice(texture, -1, -1)
}

/// Random values at whole coordinates, smoothly joined between them: in `[0, 1]`.
fn value_noise(texture: u32, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (column, row) = (left as i32, top as i32);
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (s, t) = (smooth(x - left), smooth(y - top));
    let line = |row: i32| {
        let (a, b) = (
            lattice(texture, column, row),
            lattice(texture, column + 1, row),
        );
        a + (b - a) * s
    };
    let (above, below) = (line(row), line(row + 1));
    above + (below - above) * t
}

/// A random value in `[0, 1)` for each whole coordinate.
pub(super) fn lattice(texture: u32, column: i32, row: i32) -> f32 {
    let mut bits = texture
        ^ (column as u32).wrapping_mul(0x9E37_79B9)
        ^ (row as u32).wrapping_mul(0x85EB_CA77);
    // Each round spreads every bit over the higher half and folds it back.
    for _ in 0..3 {
        bits = (bits ^ (bits >> 15)).wrapping_mul(0x2C1B_3C6D);
    }
    ((bits ^ (bits >> 13)) >> 8) as f32 / (1 << 24) as f32
}
