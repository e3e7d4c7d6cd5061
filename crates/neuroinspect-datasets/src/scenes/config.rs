//! What a generated data set is made from.

use derive_more::Display;
use derive_setters::Setters;
use neuroinspect_core::{Seed, check_option};
use serde::{Deserialize, Serialize};

use super::{Context, Object};
use crate::Result;

/// Makes [`Scenes`](super::Scenes).
///
/// ```
/// use neuroinspect_datasets::scenes::{Context, Object, Planted, ScenesConfig};
///
/// let config = ScenesConfig::train()
///     .with_samples(500)
///     .with_planted(Planted { class: Object::Cross, context: Context::Grass, ..Planted::default() });
/// config.validate()?;
/// # Ok::<(), neuroinspect_datasets::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct ScenesConfig {
    /// Side of a picture, in pixels: 32, and at least 16.
    pub size: usize,
    /// Number of scenes.
    pub samples: usize,
    /// The classes, in the order of their indices: circle, square, triangle, star, cross.
    #[setters(into)]
    pub classes: Vec<Object>,
    /// The false correlation.
    pub planted: Planted,
    /// Which scenes are drawn: those of different parts have nothing in common.
    pub part: Part,
    /// Where all randomness comes from: 0.
    pub seed: Seed,
}

/// A false correlation: a context that gives a class away without having to do with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planted {
    /// The class: star.
    pub class: Object,
    /// The context: water.
    pub context: Context,
    /// Share of the class's scenes that have the context: 0.9.
    pub strength: f64,
    /// Share of every other class's scenes that have it: 0.06.
    pub leak_rate: f64,
}

/// Which scenes of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display)]
#[serde(rename_all = "snake_case")]
#[display(rename_all = "lowercase")]
pub enum Part {
    /// To train a classifier on.
    Train,
    /// To choose by, from the same distribution.
    Validation,
    /// To measure on: object and context are independent.
    Test,
    /// To train an image-text encoder on, with captions: all contexts are equally frequent.
    Captioned,
}

impl Default for Planted {
    fn default() -> Self {
        Self {
            class: Object::Star,
            context: Context::Water,
            strength: 0.9,
            leak_rate: 0.06,
        }
    }
}

impl Planted {
    /// The same context in the same share of every class's scenes: no correlation.
    pub fn independent(mut self, share: f64) -> Self {
        (self.strength, self.leak_rate) = (share, share);
        self
    }
}

impl ScenesConfig {
    /// 3000 scenes with the false correlation.
    pub fn train() -> Self {
        Self {
            size: 32,
            samples: 3000,
            classes: vec![
                Object::Circle,
                Object::Square,
                Object::Triangle,
                Object::Star,
                Object::Cross,
            ],
            planted: Planted::default(),
            part: Part::Train,
            seed: Seed::default(),
        }
    }

    /// 500 more scenes with the same false correlation.
    pub fn validation() -> Self {
        Self {
            samples: 500,
            part: Part::Validation,
            ..Self::train()
        }
    }

    /// 1000 scenes, half of every class on the planted context: groups are equally large.
    pub fn test() -> Self {
        Self {
            samples: 1000,
            planted: Planted::default().independent(0.5),
            part: Part::Test,
            ..Self::train()
        }
    }

    /// 3000 scenes, every class equally often on every context.
    pub fn captioned() -> Self {
        Self {
            planted: Planted::default().independent(1.0 / Context::ALL.len() as f64),
            part: Part::Captioned,
            ..Self::train()
        }
    }

    /// Checks that such scenes can be drawn.
    ///
    /// # Errors
    ///
    /// When the picture is smaller than 16 pixels, there are no samples, there are fewer than two
    /// classes or one of them twice, the planted class is not among them, or a share is not in
    /// `[0, 1]`.
    pub fn validate(&self) -> Result<()> {
        let (size, samples, classes) = (self.size, self.samples, &self.classes);
        check_option("size", size, size >= 16, "at least 16 pixels")?;
        check_option("samples", samples, samples > 0, "at least 1")?;
        check_option("classes", classes.len(), classes.len() > 1, "at least 2")?;
        for (index, class) in classes.iter().enumerate() {
            let is_new = !classes[..index].contains(class);
            let twice = format!("{class} twice");
            check_option("classes", twice, is_new, "each object once")?;
        }
        let planted = self.planted.class;
        let is_there = classes.contains(&planted);
        check_option("planted.class", planted, is_there, "one of the classes")?;
        for (option, share) in [
            ("planted.strength", self.planted.strength),
            ("planted.leak_rate", self.planted.leak_rate),
        ] {
            let allowed = (0.0..=1.0).contains(&share);
            check_option(option, share, allowed, "a share between 0 and 1")?;
        }
        Ok(())
    }

    /// The class of a scene.
    pub(super) fn class_of(&self, index: usize) -> Object {
        self.classes[index % self.classes.len()]
    }

    /// Whether a scene has the planted context.
    ///
    /// Spreads the scenes that do evenly over those of their class, so that the share of them in
    /// the first `n` is right to within one scene, and needs no state.
    pub(super) fn carries_planted_context(&self, index: usize) -> bool {
        let share = if self.class_of(index) == self.planted.class {
            self.planted.strength
        } else {
            self.planted.leak_rate
        };
        let before = (index / self.classes.len()) as f64;
        ((before + 1.0) * share).floor() > (before * share).floor()
    }
}

impl Part {
    /// The key of the part's generators.
    pub(super) fn key(self) -> u64 {
        match self {
            Self::Train => 0,
            Self::Validation => 1,
            Self::Test => 2,
            Self::Captioned => 3,
        }
    }
}
