//! Values of options: what the command line says, and which of it is refused at once.

use std::str::FromStr;

use clap::ValueEnum;
use neuroinspect::{
    core::Precision,
    datasets::OnCorrupt,
    editing::{Keep, RatioForm, Target},
};

pub(super) fn at_least_1(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= 1 => Ok(number),
        _ => Err("expected a whole number from 1".into()),
    }
}

pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
        _ => Err("expected 0 or a positive number".into()),
    }
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    not_negative(text).and_then(|number| match number > 0.0 {
        true => Ok(number),
        false => Err("expected a positive number".into()),
    })
}

/// Number format of the networks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PrecisionName {
    /// 32-bit floats
    F32,
    /// bfloat16: the range of f32, 8 significant bits
    Bf16,
    /// Half precision: 11 significant bits
    F16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::Bf16 => Self::Bf16,
            PrecisionName::F16 => Self::F16,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnCorruptName {
    /// End with an error that names it
    Fail,
    /// Leave it out, and list it in the summary
    Skip,
}

impl From<OnCorruptName> for OnCorrupt {
    fn from(name: OnCorruptName) -> Self {
        match name {
            OnCorruptName::Fail => Self::Fail,
            OnCorruptName::Skip => Self::Skip,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectiveName {
    /// CLIP-Illusion: neuron, class and image-text similarity
    Clip,
    /// Neuron and class, without CLIP
    Class,
    /// Plain feature visualization
    Feature,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RatioName {
    /// One per image, all neurons zeroed at once
    Joint,
    /// One per image and neuron, that neuron alone zeroed: where many neurons carry the
    /// correlation, the influence of each is reduced
    PerNeuron,
}

impl From<RatioName> for RatioForm {
    fn from(name: RatioName) -> Self {
        match name {
            RatioName::Joint => Self::Joint,
            RatioName::PerNeuron => Self::PerNeuron,
        }
    }
}

/// `auto`, or a probability ratio.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TargetName(pub(crate) Target);

impl FromStr for TargetName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self(Target::Auto)),
            _ => match text.parse::<f64>() {
                Ok(ratio) if ratio >= 1.0 && ratio.is_finite() => Ok(Self(Target::Fixed(ratio))),
                _ => Err("expected a number from 1, or 'auto'".into()),
            },
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KeepName {
    /// The one of best validation accuracy
    Accuracy,
    /// The one of best worst-class validation accuracy: the paper's "(C)"
    WorstClass,
    /// The last: validation images that share the false correlation would pick the least edited one
    Last,
}

impl From<KeepName> for Keep {
    fn from(name: KeepName) -> Self {
        match name {
            KeepName::Accuracy => Self::Accuracy,
            KeepName::WorstClass => Self::WorstClass,
            KeepName::Last => Self::Last,
        }
    }
}

/// Which neurons.
#[derive(Clone, Debug)]
pub(crate) enum NeuronList {
    Auto,
    All,
    Given(Vec<usize>),
}

impl FromStr for NeuronList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => return Ok(Self::Auto),
            "all" => return Ok(Self::All),
            _ => {}
        }
        let parse = |part: &str| {
            part.trim()
                .parse()
                .map_err(|_| format!("'{part}' is not a neuron number, nor 'auto'"))
        };
        let neurons: Vec<usize> = text.split(',').map(parse).collect::<Result<_, String>>()?;
        if let Some(twice) = (1..neurons.len()).find(|&at| neurons[..at].contains(&neurons[at])) {
            return Err(format!("neuron {} stands there twice", neurons[twice]));
        }
        Ok(Self::Given(neurons))
    }
}
