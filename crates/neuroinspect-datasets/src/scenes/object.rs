//! What stands in a scene.

use derive_more::Display;
use serde::{Deserialize, Serialize};

use super::context::Rgb;

/// The object of a scene, which is its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display)]
#[serde(rename_all = "snake_case")]
#[display(rename_all = "lowercase")]
pub enum Object {
    /// A disc.
    Circle,
    /// A square.
    Square,
    /// An equilateral triangle.
    Triangle,
    /// A star of five points.
    Star,
    /// A cross of four equal arms.
    Cross,
    /// A disc with a hole.
    Ring,
}

/// The colour of an object, independent of what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display)]
#[serde(rename_all = "snake_case")]
#[display(rename_all = "lowercase")]
pub enum Colour {
    /// Red.
    Red,
    /// Orange.
    Orange,
    /// Yellow.
    Yellow,
    /// Green.
    Green,
    /// Blue.
    Blue,
    /// Purple.
    Purple,
    /// White.
    White,
    /// Black.
    Black,
}

impl Object {
    /// Every object.
    pub const ALL: [Self; 6] = [
        Self::Circle,
        Self::Square,
        Self::Triangle,
        Self::Star,
        Self::Cross,
        Self::Ring,
    ];

    /// Its outline at radius 1 around the origin. Sizes are chosen so that areas are alike.
    pub(super) fn outline(self) -> Outline {
        match self {
            Self::Circle => Outline::Disc { radius: 0.8 },
            Self::Ring => Outline::Ring {
                radius: 0.72,
                half_width: 0.2,
            },
            Self::Square => Outline::star_shaped(4, &[1.0]),
            Self::Triangle => Outline::star_shaped(3, &[1.1]),
            Self::Star => Outline::star_shaped(5, &[1.1, 0.5]),
            Self::Cross => Outline::cross(0.95, 0.3),
        }
    }
}

impl Colour {
    /// Every colour.
    pub const ALL: [Self; 8] = [
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Blue,
        Self::Purple,
        Self::White,
        Self::Black,
    ];

    pub(super) fn rgb(self) -> Rgb {
        match self {
            Self::Red => [0.80, 0.12, 0.14],
            Self::Orange => [0.93, 0.52, 0.12],
            Self::Yellow => [0.95, 0.86, 0.20],
            Self::Green => [0.15, 0.60, 0.25],
            Self::Blue => [0.16, 0.28, 0.78],
            Self::Purple => [0.52, 0.20, 0.62],
            Self::White => [0.94, 0.94, 0.94],
            Self::Black => [0.08, 0.08, 0.10],
        }
    }
}

/// A closed outline in the plane.
pub(super) enum Outline {
    Disc { radius: f32 },
    Ring { radius: f32, half_width: f32 },
    Polygon { vertices: Vec<[f32; 2]> },
}

impl Outline {
    /// A polygon whose vertices lie at equal angles around the origin, at radii that repeat
    /// `points` times.
    fn star_shaped(points: usize, radii: &[f32]) -> Self {
        let count = points * radii.len();
        let vertices = (0..count)
            .map(|index| {
                let angle = std::f32::consts::TAU * index as f32 / count as f32;
                let radius = radii[index % radii.len()];
                [radius * libm::cosf(angle), radius * libm::sinf(angle)]
            })
            .collect();
        Self::Polygon { vertices }
    }

    /// Four arms of length `arm` and half width `half`: one arm's three corners, turned four times.
    fn cross(arm: f32, half: f32) -> Self {
        let turn = |[x, y]: [f32; 2], quarters: usize| match quarters {
            0 => [x, y],
            1 => [-y, x],
            2 => [-x, -y],
            _ => [y, -x],
        };
        let corners = [[arm, -half], [arm, half], [half, half]];
        let vertices = (0..4)
            .flat_map(|quarters| corners.map(|corner| turn(corner, quarters)))
            .collect();
        Self::Polygon { vertices }
    }

    /// Distance of a point to the outline, negative inside.
    pub(super) fn signed_distance(&self, [x, y]: [f32; 2]) -> f32 {
        let from_origin = (x * x + y * y).sqrt();
        match self {
            Self::Disc { radius } => from_origin - radius,
            Self::Ring { radius, half_width } => (from_origin - radius).abs() - half_width,
            Self::Polygon { vertices } => polygon_distance(vertices, [x, y]),
        }
    }
}

/// The distance to the nearest edge; its sign by counting the edges a ray to the right crosses.
fn polygon_distance(vertices: &[[f32; 2]], [x, y]: [f32; 2]) -> f32 {
    let mut nearest = f32::INFINITY;
    let mut inside = false;
    for (index, &[ax, ay]) in vertices.iter().enumerate() {
        let [bx, by] = vertices[(index + 1) % vertices.len()];
        let (dx, dy) = (bx - ax, by - ay);
        let along = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
        let (ex, ey) = (ax + along * dx - x, ay + along * dy - y);
        nearest = nearest.min(ex * ex + ey * ey);
        if (ay > y) != (by > y) && x < ax + (y - ay) / dy * dx {
            inside = !inside;
        }
    }
    if inside {
        -nearest.sqrt()
    } else {
        nearest.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_to_a_square_by_hand() {
        let half = 0.5_f32.sqrt();
        let square = Object::Square.outline();
        // Vertices on the axes at 1: the edges are sqrt(1/2) from the origin.
        for (point, distance) in [
            ([0.0, 0.0], -half),
            ([1.0, 1.0], half),
            ([2.0, 0.0], 1.0),
            ([0.5, 0.0], -0.5 * half),
        ] {
            let found = square.signed_distance(point);
            // A handful of f32 operations on numbers near 1.
            assert!(
                (found - distance).abs() < 1e-6,
                "{point:?}: {found} against {distance}"
            );
        }
    }

    #[test]
    fn objects_have_like_areas() {
        for object in Object::ALL {
            let outline = object.outline();
            let cell = 0.02_f32;
            let inside = (0..120 * 120)
                .filter(|i| {
                    let at = |k: i32| (k as f32 - 59.5) * cell;
                    outline.signed_distance([at(i % 120), at(i / 120)]) < 0.0
                })
                .count();
            let area = inside as f32 * cell * cell;
            assert!((1.4..2.3).contains(&area), "{object}: {area}");
        }
    }
}
