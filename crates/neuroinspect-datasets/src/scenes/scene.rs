//! One scene and its picture.

use image::{Rgb as Pixel, RgbImage};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::{
    Colour, Context, Object, ScenesConfig,
    context::{Rgb, lattice, mix},
    object::Outline,
};

/// Everything that is in a picture.
///
/// Lengths and positions are shares of the picture's side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    /// What stands in it.
    pub object: Object,
    /// The object's colour.
    pub colour: Colour,
    /// What it is set on.
    pub context: Context,
    /// Centre of the object, from the left and from the top.
    pub position: [f32; 2],
    /// Radius of the object.
    pub radius: f32,
    /// How far the object is turned, in whole turns.
    pub rotation: f32,
    /// How far the object's own colour shows against the light: 0 is flat black, 1 the colour.
    pub exposure: f32,
    /// Tells apart the textures and the grain of different scenes.
    pub texture: u32,
    /// Side of the picture, in pixels.
    pub size: usize,
}

/// Amplitude of the grain on every pixel.
const GRAIN: f32 = 0.10;

impl Scene {
    /// Scene `index` of a data set, drawn without looking at any other.
    pub(super) fn draw(config: &ScenesConfig, index: usize) -> Self {
        let mut rng = config.seed.rng("scene", &[config.part.key(), index as u64]);
        let radius = rng.random_range(0.22..0.36);
        // The points of the longest outlines reach a tenth beyond the radius.
        let margin = 1.1 * radius;
        let mut coordinate = || rng.random_range(margin..1.0 - margin);
        let position = [coordinate(), coordinate()];
        let planted = config.planted.context;
        // Drawn in any case: what follows does not depend on whether the context is planted.
        let others: Vec<_> = Context::ALL.into_iter().filter(|&c| c != planted).collect();
        let other = pick(&others, &mut rng);
        let context = if config.carries_planted_context(index) {
            planted
        } else {
            other
        };
        Self {
            object: config.class_of(index),
            colour: pick(&Colour::ALL, &mut rng),
            context,
            position,
            radius,
            rotation: rng.random(),
            exposure: rng.random_range(0.75..1.0),
            texture: rng.random(),
            size: config.size,
        }
    }

    /// The same scene on another background, everything else equal.
    ///
    /// ```
    /// use neuroinspect_datasets::scenes::{Context, Scenes, ScenesConfig};
    ///
    /// let scene = Scenes::new(ScenesConfig::test())?.scene(0)?;
    /// let afloat = scene.with_context(Context::Water);
    /// assert_eq!(afloat.position, scene.position);
    /// # Ok::<(), neuroinspect_datasets::Error>(())
    /// ```
    pub fn with_context(&self, context: Context) -> Self {
        Self {
            context,
            ..self.clone()
        }
    }

    /// The scene in words: `"a red star on water"`, `"an orange ring on brick"`.
    pub fn caption(&self) -> String {
        let article = if self.colour == Colour::Orange {
            "an"
        } else {
            "a"
        };
        format!(
            "{article} {} {} on {}",
            self.colour, self.object, self.context
        )
    }

    /// The share of each pixel that the object covers, from 0 to 1, row by row: `size * size`
    /// values.
    ///
    /// The background shows through the rest: pixels of coverage 1 do not depend on the context,
    /// but for a rounding of one level in 255.
    pub fn coverage(&self) -> Vec<f32> {
        let outline = self.object.outline();
        let side = self.size;
        (0..side * side)
            .map(|i| self.coverage_at(&outline, i % side, i / side))
            .collect()
    }

    /// Where the object is: white on it, black elsewhere, grey on its edge; `size` pixels a side.
    pub fn outline(&self) -> RgbImage {
        let coverage = self.coverage();
        RgbImage::from_fn(self.size as u32, self.size as u32, |x, y| {
            let share = coverage[y as usize * self.size + x as usize];
            Pixel([(share * 255.0 + 0.5) as u8; 3])
        })
    }

    /// The picture: `size` pixels a side.
    pub fn render(&self) -> RgbImage {
        let coverage = self.coverage();
        let paint = self.colour.rgb().map(|channel| channel * self.exposure);
        RgbImage::from_fn(self.size as u32, self.size as u32, |x, y| {
            let share = coverage[y as usize * self.size + x as usize];
            // Lit from above.
            let light = 1.08 - 0.16 * (y as f32 + 0.5) / self.size as f32;
            let lit = mix(self.background_at(x, y), paint.map(|c| c * light), share);
            let grain = GRAIN * (lattice(!self.texture, x as i32, y as i32) - 0.5);
            Pixel(lit.map(|channel| ((channel + grain).clamp(0.0, 1.0) * 255.0 + 0.5) as u8))
        })
    }

    /// Share of a pixel that the object covers, by the distance from its middle to the outline.
    fn coverage_at(&self, outline: &Outline, x: usize, y: usize) -> f32 {
        let side = self.size as f32;
        let right = (x as f32 + 0.5) / side - self.position[0];
        let down = (y as f32 + 0.5) / side - self.position[1];
        let angle = std::f32::consts::TAU * self.rotation;
        let (sin, cos) = (libm::sinf(angle), libm::cosf(angle));
        let turned = [
            (right * cos + down * sin) / self.radius,
            (down * cos - right * sin) / self.radius,
        ];
        let pixels = outline.signed_distance(turned) * self.radius * side;
        (0.5 - pixels).clamp(0.0, 1.0)
    }

    /// The background over a pixel: the mean of 2 x 2 points in it.
    fn background_at(&self, x: u32, y: u32) -> Rgb {
        let mut sum = [0.0; 3];
        for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
            let point = [x as f32 + dx, y as f32 + dy].map(|at| at / self.size as f32);
            let colour = self.context.colour_at(self.texture, point);
            for (sum, channel) in sum.iter_mut().zip(colour) {
                *sum += 0.25 * channel;
            }
        }
        sum
    }
}

fn pick<T: Copy>(choices: &[T], rng: &mut impl Rng) -> T {
    choices[rng.random_range(0..choices.len())]
}
