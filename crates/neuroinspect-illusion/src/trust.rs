//! How far a picture can be trusted, by measurements that do not rest on looking at it.

mod continuity;
mod layer;
mod look;
pub(crate) mod real;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Illusion, Restart, SeedAgreement};

pub use self::{continuity::Continuity, real::RealImages};

/// Where the real images that activate a unit most are less like its picture than others are, by this chance, both in
/// its own layer and in the one before, the picture is made by another way. Of honest units few come below; at 0.5,
/// one in fifteen.
const LEAST_LIKENESS: f32 = 0.35;
/// A chance that says nothing.
const NO_LIKENESS: f32 = 0.5;
/// A second network that takes a picture for what others show rather than for what these images do does not
/// recognise it.
const LEAST_RECOGNITION: f32 = 0.5;
/// An activation that changes by more, as a share of its range over real images, between two mixtures that are
/// almost the same is not that of one continuous function. Of honest units of the network that this was chosen on the
/// largest change was 0.008, of fooling circuits the smallest 0.18, and 0.07 where they change over gently.
const MOST_JUMP: f32 = 0.05;
/// What a jump leaves of the change of a step that is halved again and again; of a slope far less is left.
const LEAST_LEFT: f32 = 0.25;
/// A picture that activates the unit less than this percentage of real images shows less than they do.
const LEAST_PERCENTILE: f32 = 90.0;

/// How far a picture can be trusted: what speaks for it and against it, each as a number, and a verdict in
/// words.
///
/// A picture is optimised for one number, and may reach it by a way that no real image takes: then it says
/// nothing of what the unit answers to in real images (Geirhos, Zimmermann, Bilodeau, Brendel and Kim, "Don't
/// trust your eyes: on the (un)reliability of feature visualizations", arXiv 2306.04719).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Trust {
    /// All of it in a word.
    pub verdict: Verdict,
    /// What speaks against the picture, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
    /// How many real images it was compared with.
    pub real_images: usize,
    /// Percentage of them that activate the unit as much or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentile: Option<f32>,
    /// Whether the classifier sees it as it sees the real images that activate the unit most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathLikeness>,
    /// Whether the unit's activation changes continuously from those to the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuity: Option<Continuity>,
    /// How far pictures of other seeds agree with it, which is no part of the verdict: made with few steps,
    /// they may differ for that alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement: Option<SeedAgreement>,
    /// Percentage of the real images that are less like it than pictures of other seeds, by the same
    /// correlation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement_percentile: Option<f32>,
    /// What a second network makes of it, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recognition: Option<Recognition>,
    /// Percentage of the real images that have as high a logit of the picture's class or a lower one; that
    /// on the picture is the [picture's](Illusion::logit). `None` of a unit that is pictured by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit_percentile: Option<f32>,
}

/// Whether a picture can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "TrustVerdict")
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing that was measured speaks against it.
    Trusted,
    /// Something does.
    Doubtful,
    /// No step moved the unit: the picture says nothing of it.
    Nothing,
    /// There was nothing to compare it with.
    NotChecked,
}

/// How like the real images that activate a unit most a picture is, layer by layer, to the classifier.
///
/// Likeness of two images in a layer is Spearman's rank correlation over its channels, each the mean over
/// positions, less its mean over the real images and over their standard deviation: without that, all
/// images are alike in the channels that are always large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PathLikeness {
    /// The higher [`chance`](LayerLikeness::chance) of the last two layers, of which the one before the
    /// unit's own may have the same values, the unit's among them: 1 where the real images that activate the
    /// unit most are those that are most like the picture, 0.5 where they are as like it as any. Early layers
    /// say little: an optimised picture is unlike all real images there.
    pub score: f32,
    /// How many real images they are.
    pub strongest: usize,
    /// The layers, in the order in which they are computed, the unit's own the last.
    pub layers: Vec<LayerLikeness>,
}

/// How like the real images that activate a unit most a picture is in a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LayerLikeness {
    /// Name of the layer.
    pub layer: String,
    /// The chance that one of these images is more like the picture than another real image.
    pub chance: f32,
    /// Their mean likeness to the picture, on a scale where that among themselves is 1 and that to other
    /// real images is 0, as in the paper; `None` where the two are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalised: Option<f32>,
}

/// What a second network, which had no part in it, makes of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Recognition {
    /// Name of the network.
    pub judge: String,
    /// The chance that a real image that activates the unit much is more like the picture than another
    /// real image, to the second network, in the layer before its decision layer.
    pub chance: f32,
    /// The probability that it gives the picture's class, where there is one and it has as many classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f32>,
    /// Whether it takes the picture for its class before all others, where it gives a probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recognised: Option<bool>,
}

impl Trust {
    /// What is known of a picture without real images.
    pub fn without_real(illusion: &Illusion) -> Self {
        Self {
            verdict: Verdict::NotChecked,
            doubts: Vec::new(),
            real_images: 0,
            percentile: None,
            path: None,
            continuity: None,
            agreement: illusion.agreement,
            agreement_percentile: None,
            recognition: None,
            logit_percentile: None,
        }
        .judged(illusion)
    }

    /// Without what was measured of the class, of a unit that is pictured by itself.
    pub fn without_class(mut self) -> Self {
        self.logit_percentile = None;
        if let Some(recognition) = &mut self.recognition {
            recognition.probability = None;
            recognition.recognised = None;
        }
        self
    }

    /// With its doubts and its verdict, by the numbers that it has.
    fn judged(mut self, illusion: &Illusion) -> Self {
        let images = self.real_images;
        let unmoved = illusion.unmoved.as_ref();
        if let Some(unmoved) = unmoved.filter(|it| it.restart != Restart::Moved) {
            self.doubts = vec![unmoved.to_string()];
            self.verdict = Verdict::Nothing;
            return self;
        }
        if let Some(path) = self
            .path
            .as_ref()
            .filter(|path| path.score < LEAST_LIKENESS)
        {
            self.doubts.push(format!(
                "the real images that activate it most take another path through the layers: one of them is \
                 more like the picture than another image is with a chance of {:.2} at most",
                path.score
            ));
        }
        let jumps = |it: &Continuity| it.jump > MOST_JUMP && it.left > LEAST_LEFT;
        if let Some(continuity) = self.continuity.filter(jumps) {
            self.doubts.push(format!(
                "on the way from a real image that activates it most to the picture, its activation jumps, by \
                 {:.2} of its range over real images: to pictures it may answer by another function than to \
                 real images",
                continuity.jump
            ));
        }
        if let Some(judge) = self.recognition.as_ref()
            && judge.chance < LEAST_RECOGNITION
        {
            self.doubts.push(format!(
                "'{}' does not recognise in it the real images that activate it most: they are more like \
                 it than others are with a chance of {:.2}",
                judge.judge, judge.chance
            ));
        }
        if let Some(percentile) = self.percentile.filter(|it| *it < LEAST_PERCENTILE) {
            self.doubts.push(format!(
                "of {images} real images, {:.0} % activate it more than the picture does",
                100.0 - percentile
            ));
        }
        self.verdict = match (self.doubts.is_empty(), self.path.is_some()) {
            (false, _) => Verdict::Doubtful,
            (true, true) => Verdict::Trusted,
            (true, false) => Verdict::NotChecked,
        };
        self
    }
}

/// The verdict with its reason: `doubtful: of 128 real images, 12 % activate it more than the picture does`.
impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verdict.fmt(f)?;
        match (self.verdict, &self.path) {
            (Verdict::Trusted, Some(path)) => {
                let (images, chance) = (self.real_images, path.score);
                match chance < NO_LIKENESS {
                    true => write!(
                        f,
                        ": nothing speaks clearly against it, though of {images} real images those that activate it most are \
                         no more like it than others (by a chance of {chance:.2})"
                    )?,
                    false => write!(
                        f,
                        ": of {images} real images, one of those that activate it most is more like it than another with \
                         a chance of {chance:.2}"
                    )?,
                }
                match self.continuity {
                    Some(_) => {
                        f.write_str(", and no jump of the activation was found between them and it")
                    }
                    None => Ok(()),
                }
            }
            (Verdict::NotChecked, _) if self.real_images > 0 => write!(
                f,
                ": its activation is the same on all {} real images",
                self.real_images
            ),
            (Verdict::NotChecked, _) => {
                f.write_str(": there are too few real images to compare it with, or none")
            }
            _ => write!(f, ": {}", self.doubts.join("; ")),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trusted => "trusted",
            Self::Doubtful => "doubtful",
            Self::Nothing => "shows nothing",
            Self::NotChecked => "not checked",
        })
    }
}
