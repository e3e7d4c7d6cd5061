//! The five similarities of CLIP-Dissect, by their options.

use neuroinspect_core::check_option;
use serde::{Deserialize, Serialize};

use crate::Result;

/// How the images in which a word is seen are compared with a unit's activations: the five functions of
/// CLIP-Dissect (Oikarinen and Weng 2023, section 3.2 and appendix), with the settings of its program.
///
/// Throughout, `q_k` is a unit's activation on each of `N` images, `P_m` the cosine similarity of each image
/// with word `m`, and `B_k` the images that activate the unit most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Similarity {
    /// `cos(q_k, P_m)`. 0 for a unit or word that is 0 on all images.
    CosSimilarity,
    /// `cos((q_k - mean q_k)^3, (P_m - mean P_m)^3)`: large values count for more. Norms are at least 1e-3, as
    /// in the program.
    CosSimilarityCubed,
    /// How little the unit's order of `B_k` changes when they are put in the word's order.
    RankReorder(RankReorder),
    /// Weighted pointwise mutual information of word and `B_k`.
    Wpmi(Wpmi),
    /// The same with images in `B_k` by a probability; the paper's choice.
    SoftWpmi(SoftWpmi),
}

/// Options of rank reorder.
///
/// With `s` the unit's activations on `B_k`, and `s'` the same put in the order of `P_m`, the score is
/// `- (mean |s - s'|^p / d) / (mean of P_m on B_k)^scale_p`, where `d` is what `mean |s - s'|^p` would be for a random
/// order. The program takes `d` from five random orders; here it is what they are on average, so that nothing
/// is random. A mean similarity below 1e-3 counts as 1e-3: the program takes a root of it, which negative
/// ones do not have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RankReorder {
    /// The exponent of differences; 3.
    pub p: f64,
    /// The share of all images that are in `B_k`, at least two of them; 0.05.
    pub top_share: f64,
    /// The exponent of the mean similarity; 0.5.
    pub scale_p: f64,
}

/// Options of WPMI.
///
/// The score is `log p(m | B_k) - lambda log p(m)`, with `log p(m | B_k)` the sum over `B_k` of
/// `log softmax_m(a P)`, and `p(m)` its mean over all units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wpmi {
    /// Images in `B_k`; 28.
    pub top_images: usize,
    /// The inverse temperature; 2.
    pub a: f64,
    /// The weight of how common a word is; 0.6.
    pub lambda: f64,
}

/// Options of soft-WPMI.
///
/// As [`Wpmi`], but that the `i`-th image of `B_k`, from 0, is in it with a probability that falls from `p_start`
/// to `p_end`: `log p(m | B_k)` is the sum of `log(1 + p_i (softmax_m(a P) - 1))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoftWpmi {
    /// Images in `B_k`; 100.
    pub top_images: usize,
    /// The inverse temperature; 10.
    pub a: f64,
    /// The weight of how common a word is; 1.
    pub lambda: f64,
    /// The probability of the first image; 0.998.
    pub p_start: f64,
    /// The probability that the last comes near to; 0.97.
    pub p_end: f64,
}

impl Default for Similarity {
    fn default() -> Self {
        Self::SoftWpmi(SoftWpmi::default())
    }
}

impl Default for RankReorder {
    fn default() -> Self {
        Self {
            p: 3.0,
            top_share: 0.05,
            scale_p: 0.5,
        }
    }
}

impl Default for Wpmi {
    fn default() -> Self {
        Self {
            top_images: 28,
            a: 2.0,
            lambda: 0.6,
        }
    }
}

impl Default for SoftWpmi {
    fn default() -> Self {
        Self {
            top_images: 100,
            a: 10.0,
            lambda: 1.0,
            p_start: 0.998,
            p_end: 0.97,
        }
    }
}

impl Similarity {
    /// How many of the images that activate a unit most are looked at, where it is a number.
    pub fn top_images(&self) -> Option<usize> {
        match self {
            Self::Wpmi(options) => Some(options.top_images),
            Self::SoftWpmi(options) => Some(options.top_images),
            Self::CosSimilarity | Self::CosSimilarityCubed | Self::RankReorder(_) => None,
        }
    }

    /// The same, looking at another number of images.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption) for a similarity that does not look at a number
    /// of images.
    pub fn with_top_images(mut self, count: usize) -> Result<Self> {
        let expected = "nothing, as the similarity looks at all images or at a share of them";
        match &mut self {
            Self::Wpmi(options) => options.top_images = count,
            Self::SoftWpmi(options) => options.top_images = count,
            Self::CosSimilarity | Self::CosSimilarityCubed | Self::RankReorder(_) => {
                check_option("top_images", count, false, expected)?;
            }
        }
        Ok(self)
    }

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption) naming the option.
    pub fn validate(&self) -> Result<()> {
        let positive = |option, value: f64| {
            let allowed = value > 0.0 && value.is_finite();
            check_option(option, value, allowed, "a number above 0")
        };
        let not_negative = |option, value: f64| {
            let allowed = value >= 0.0 && value.is_finite();
            check_option(option, value, allowed, "0 or a positive number")
        };
        let share = |option, value: f64| {
            let allowed = value > 0.0 && value <= 1.0;
            check_option(option, value, allowed, "a number above 0 and at most 1")
        };
        let count = |option, value: usize| check_option(option, value, value > 0, "at least 1");
        match self {
            Self::CosSimilarity | Self::CosSimilarityCubed => {}
            Self::RankReorder(RankReorder {
                p,
                top_share,
                scale_p,
            }) => {
                positive("p", *p)?;
                share("top_share", *top_share)?;
                not_negative("scale_p", *scale_p)?;
            }
            Self::Wpmi(Wpmi {
                top_images,
                a,
                lambda,
            }) => {
                count("top_images", *top_images)?;
                positive("a", *a)?;
                not_negative("lambda", *lambda)?;
            }
            Self::SoftWpmi(SoftWpmi {
                top_images,
                a,
                lambda,
                p_start,
                p_end,
            }) => {
                count("top_images", *top_images)?;
                positive("a", *a)?;
                not_negative("lambda", *lambda)?;
                share("p_start", *p_start)?;
                share("p_end", *p_end)?;
            }
        }
        Ok(())
    }
}
