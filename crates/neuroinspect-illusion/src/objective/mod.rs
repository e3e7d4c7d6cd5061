//! What is maximised: an expression, kept as data.

mod evaluate;
mod parse;

use std::{
    collections::BTreeSet,
    fmt,
    ops::{Add, Mul},
};

use neuroinspect_core::{ClassId, Unit, check_option};
use serde::{Deserialize, Serialize};

pub(crate) use self::evaluate::{Response, similarity};
use crate::Result;

/// What is maximised, for each image by itself: terms under sums, products and factors.
///
/// CLIP-Illusion and its ablations are three such expressions; others are built from terms with `+`
/// and `*`, [written by hand](Objective::parse), and written in JSON as they are nested.
///
/// ```
/// use neuroinspect_core::{Unit, UnitKind};
/// use neuroinspect_illusion::Objective;
///
/// let clip_illusion = Objective::clip_illusion(0.5, 0.05);
/// assert_eq!(clip_illusion.to_string(), "(s + 0.05) * (a_n + 0.5 * z_c)");
///
/// // A channel of an earlier layer, in a smooth picture.
/// let channel = Unit::new("layer3", UnitKind::Channel(17));
/// let objective = Objective::Unit(channel) + Objective::TotalVariation * -0.5;
/// assert_eq!(objective.to_string(), "a[channel 17 of layer layer3] + -0.5 * TV");
/// assert_eq!(objective.layers(), ["layer3"]);
/// assert!(!objective.needs_guide());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Objective {
    /// Activation `a_n` of the pair's neuron, or of the unit that is
    /// [pictured](crate::Request::of_units) in its place.
    Neuron,
    /// Activation of a unit of any layer that the classifier gives out, whatever is pictured.
    Unit(Unit),
    /// Logit `z_c` of the pair's class.
    ClassLogit,
    /// Logit of a given class.
    Logit(ClassId),
    /// Similarity `s` of the image and the text of the pair's class (Eq. 3); needs a
    /// [`Guide`](crate::Guide).
    Similarity,
    /// Total variation of the picture itself, before augmentation: the mean absolute difference of
    /// horizontal neighbours plus that of vertical ones. A negative weight makes pictures smoother.
    TotalVariation,
    /// A number.
    Constant(f64),
    /// The sum of at least one expression.
    Sum(Vec<Self>),
    /// The product of at least one expression.
    Product(Vec<Self>),
    /// An expression times a number.
    Scale(f64, Box<Self>),
    /// An expression held between two numbers, the smaller first; beyond them it has no gradient.
    Clamp(f64, f64, Box<Self>),
}

impl Default for Objective {
    /// CLIP-Illusion with the paper's weights, `clip_illusion(0.5, 0.05)`.
    fn default() -> Self {
        Self::clip_illusion(0.5, 0.05)
    }
}

impl Objective {
    /// CLIP-Illusion, `(s + eps) (a_n + gamma z_c)` (Eq. 2, 4, 10); needs a
    /// [`Guide`](crate::Guide).
    ///
    /// `gamma` weighs the class's logit against the neuron: 0.5 in the paper, 0.45 for Food-101.
    /// `eps`, 0.05 in the paper, keeps the signal when the encoder does not know the domain.
    pub fn clip_illusion(gamma: f64, eps: f64) -> Self {
        (Self::Similarity + Self::Constant(eps)) * Self::without_clip(gamma)
    }

    /// The paper's "w/o CLIP", `a_n + gamma z_c`.
    pub fn without_clip(gamma: f64) -> Self {
        Self::Neuron + Self::ClassLogit * gamma
    }

    /// Feature visualization (FV), `a_n + logit_weight z_c`: the original has 0.1; weight 0 is the
    /// neuron alone.
    pub fn feature_visualization(logit_weight: f64) -> Self {
        match logit_weight == 0.0 {
            true => Self::Neuron,
            false => Self::without_clip(logit_weight),
        }
    }

    /// The expression held between `least` and `most`.
    pub fn clamped(self, least: f64, most: f64) -> Self {
        Self::Clamp(least, most, Box::new(self))
    }

    /// Whether an image-text encoder is asked.
    pub fn needs_guide(&self) -> bool {
        self.any(&|term| matches!(term, Self::Similarity))
    }

    /// Whether it asks for the class that a picture is made within.
    pub fn needs_class(&self) -> bool {
        self.needs_guide() || self.any(&|term| matches!(term, Self::ClassLogit))
    }

    /// The layers whose units it reads, each once, in order of their names.
    pub fn layers(&self) -> Vec<&str> {
        let mut layers = BTreeSet::new();
        for unit in self.units() {
            layers.insert(unit.layer.as_str());
        }
        layers.into_iter().collect()
    }

    /// What is left without an image-text encoder: terms of sums and factors of products that need
    /// one are left out, but for the numbers that these are multiplied by, so that CLIP-Illusion becomes "w/o CLIP" with the same weight of the
    /// class. `None` where nothing is left.
    pub fn without_guide(&self) -> Option<Self> {
        let joined = |mut parts: Vec<Self>, join: fn(Vec<Self>) -> Self| match parts.len() {
            0 | 1 => parts.pop(),
            _ => Some(join(parts)),
        };
        let rest = match self {
            Self::Similarity => None,
            Self::Sum(terms) => joined(
                terms.iter().filter_map(Self::without_guide).collect(),
                Self::Sum,
            ),
            Self::Product(_) => {
                let (number, rest) = self.factors_without_guide();
                let rest = joined(rest, Self::Product);
                match number {
                    1.0 => rest,
                    number => rest.map(|rest| rest * number),
                }
            }
            Self::Scale(factor, of) => of.without_guide().map(|rest| rest * *factor),
            Self::Clamp(least, most, of) => {
                let rest = of.without_guide();
                rest.map(|rest| rest.clamped(*least, *most))
            }
            term => Some(term.clone()),
        };
        rest.filter(Self::sees_the_picture)
    }

    /// The factors that need no encoder, and the numbers that stood before those that do: above all their signs.
    fn factors_without_guide(&self) -> (f64, Vec<Self>) {
        match self {
            whole if !whole.needs_guide() => (1.0, vec![whole.clone()]),
            Self::Product(factors) => {
                let factors = factors.iter().map(Self::factors_without_guide);
                factors.fold((1.0, Vec::new()), |(number, mut all), (of_it, factors)| {
                    all.extend(factors);
                    (number * of_it, all)
                })
            }
            Self::Scale(number, of) => {
                let (of_it, factors) = of.factors_without_guide();
                (number * of_it, factors)
            }
            _ => (1.0, Vec::new()),
        }
    }

    /// Checks that it has numbers that are finite, clamps whose smaller number is the first, no empty
    /// sum or product, and a term that depends on the picture.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption).
    pub fn validate(&self) -> Result<()> {
        let not_finite = |part: &Self| match part {
            Self::Constant(number) | Self::Scale(number, _) => !number.is_finite(),
            Self::Clamp(least, most, _) => !least.is_finite() || !most.is_finite(),
            _ => false,
        };
        let reversed = |part: &Self| matches!(part, Self::Clamp(least, most, _) if least > most);
        let empty = |part: &Self| match part {
            Self::Sum(parts) | Self::Product(parts) => parts.is_empty(),
            _ => false,
        };
        for (allowed, expected) in [
            (!self.any(&not_finite), "finite numbers"),
            (
                !self.any(&reversed),
                "the smaller number of a clamp before the larger",
            ),
            (
                !self.any(&empty),
                "at least one part in each sum and product",
            ),
            (
                self.sees_the_picture(),
                "a term that depends on the picture",
            ),
        ] {
            check_option("objective", self, allowed, expected)?;
        }
        Ok(())
    }

    /// Whether a term of it is the neuron, or the unit, that is pictured.
    pub fn sees_neuron(&self) -> bool {
        self.any(&|term| matches!(term, Self::Neuron))
    }

    pub(crate) fn sees_total_variation(&self) -> bool {
        self.any(&|term| matches!(term, Self::TotalVariation))
    }

    pub(crate) fn units(&self) -> Vec<&Unit> {
        let mut units = Vec::new();
        self.visit(&mut |part| {
            if let Self::Unit(unit) = part {
                units.push(unit);
            }
        });
        units
    }

    /// The classes whose logits are asked for by number.
    pub(crate) fn classes(&self) -> BTreeSet<ClassId> {
        let mut classes = BTreeSet::new();
        self.visit(&mut |part| {
            if let Self::Logit(class) = part {
                classes.insert(*class);
            }
        });
        classes
    }

    fn sees_the_picture(&self) -> bool {
        self.any(&|part| {
            !matches!(
                part,
                Self::Constant(_)
                    | Self::Sum(_)
                    | Self::Product(_)
                    | Self::Scale(..)
                    | Self::Clamp(..)
            )
        })
    }

    fn any(&self, is: &dyn Fn(&Self) -> bool) -> bool {
        let mut any = false;
        self.visit(&mut |part| any |= is(part));
        any
    }

    /// Visits the expression and all its parts.
    fn visit<'a>(&'a self, visitor: &mut dyn FnMut(&'a Self)) {
        visitor(self);
        match self {
            Self::Sum(parts) | Self::Product(parts) => {
                for part in parts {
                    part.visit(visitor);
                }
            }
            Self::Scale(_, of) | Self::Clamp(_, _, of) => of.visit(visitor),
            _ => {}
        }
    }
}

impl Add for Objective {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::Sum(vec![self, other])
    }
}

impl Mul for Objective {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self::Product(vec![self, other])
    }
}

impl Mul<f64> for Objective {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self::Scale(factor, Box::new(self))
    }
}

/// As in a paper: `(s + 0.05) * (a_n + 0.5 * z_c)`.
impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], by: &str, is_product: bool| {
            for (index, part) in parts.iter().enumerate() {
                let by = if index == 0 { "" } else { by };
                match part {
                    Self::Sum(_) if is_product => write!(f, "{by}({part})")?,
                    _ => write!(f, "{by}{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Neuron => f.write_str("a_n"),
            Self::Unit(unit) => write!(f, "a[{unit}]"),
            Self::ClassLogit => f.write_str("z_c"),
            Self::Logit(class) => write!(f, "z_{class}"),
            Self::Similarity => f.write_str("s"),
            Self::TotalVariation => f.write_str("TV"),
            Self::Constant(number) => number.fmt(f),
            Self::Sum(terms) => joined(f, terms, " + ", false),
            Self::Product(factors) => joined(f, factors, " * ", true),
            Self::Clamp(least, most, of) => write!(f, "clamp({of}, {least}, {most})"),
            Self::Scale(factor, of) => {
                write!(f, "{factor} * ")?;
                joined(f, std::slice::from_ref(of), "", true)
            }
        }
    }
}
