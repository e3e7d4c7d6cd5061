//! Values of options: what the command line says, and which of it is refused at once.

use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use neuroinspect::{
    core::{ClassId, NeuronId, UnitKind, nearest_name},
    editing::{Keep, Target},
    illusion::Objective,
    leaderboard::NetworkFile,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

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

pub(super) fn share(text: &str) -> Result<f64, String> {
    match positive(text) {
        Ok(share) if share <= 1.0 => Ok(share),
        _ => Err("expected a share above 0, 1 at most".into()),
    }
}

/// A model's name and a file of weights.
pub(super) fn network_file(text: &str) -> Result<NetworkFile, String> {
    let (model, file) = text
        .split_once('=')
        .ok_or("expected a model's name, '=' and a file of weights")?;
    Ok(NetworkFile {
        model: model.to_owned(),
        weights: file.into(),
    })
}

/// A value of the library's by its name there, words joined by hyphens: names with their help.
pub(super) fn one_of<T>(
    names: impl IntoIterator<Item = (&'static str, &'static str)>,
) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    let named = |(name, help)| PossibleValue::new(name).help(help);
    PossibleValuesParser::new(names.into_iter().map(named))
        .try_map(|name| serde_json::from_value::<T>(Value::String(name.replace('-', "_"))))
}

/// Which epoch is kept.
pub(super) fn epoch_kept() -> impl TypedValueParser<Value = Keep> {
    one_of::<Keep>([
        ("accuracy", "The one of best validation accuracy"),
        (
            "worst-class",
            "The one of best worst-class validation accuracy: the paper's \"(C)\"",
        ),
        (
            "worst-group",
            "The one of best worst-group validation accuracy, where images have groups",
        ),
        (
            "last",
            "The last: validation images that share the false correlation would pick the one that \
             leans on it most",
        ),
    ])
}

/// What pictures maximise, by a name or as an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ObjectiveName {
    /// CLIP-Illusion: neuron, class and image-text similarity.
    Clip,
    /// Neuron and class, without CLIP.
    Class,
    /// Plain feature visualization.
    Feature,
    /// An [`Objective`]; its classes are looked up when their names are known.
    Expression(String),
}

impl FromStr for ObjectiveName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "clip" => Self::Clip,
            "class" => Self::Class,
            "feature" => Self::Feature,
            _ => {
                // That it is well formed is told before anything is opened.
                Objective::parse(text, |_| Ok(ClassId(0))).map_err(|error| {
                    let meant = nearest_name(text, ["clip", "class", "feature"]);
                    match meant {
                        Some(meant) => format!("did you mean '{meant}'? {error}"),
                        None => format!("expected clip, class, feature or an expression; {error}"),
                    }
                })?;
                Self::Expression(text.to_owned())
            }
        })
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

/// A unit of a layer, or all of its channels or neurons.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UnitName {
    /// The layer, where it stands before the unit.
    pub(crate) layer: Option<String>,
    /// None for all.
    pub(crate) kind: Option<UnitKind>,
}

impl FromStr for UnitName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (layer, unit) = match text.rsplit_once('/') {
            Some((layer, unit)) => (Some(layer.to_owned()), unit),
            None => (None, text),
        };
        let number = |text: &str| text.trim().parse::<usize>().ok();
        let kind = match unit.split_once(':') {
            Some(("channel", channel)) => number(channel).map(UnitKind::Channel),
            Some(("neuron", neuron)) => number(neuron).map(NeuronId).map(UnitKind::Feature),
            Some(_) => None,
            None if unit == "all" => return Ok(Self { layer, kind: None }),
            None => match unit.split(',').map(number).collect::<Option<Vec<_>>>() {
                Some(numbers) => match numbers[..] {
                    [channel, row, column] => Some(UnitKind::Position {
                        channel,
                        row,
                        column,
                    }),
                    _ => None,
                },
                None => None,
            },
        };
        let refuse = || {
            let written = unit.split(':').next().unwrap_or_default();
            let meant = nearest_name(written, ["channel", "neuron", "all"]);
            let meant = meant.filter(|meant| *meant != written);
            let meant = meant.map_or(String::new(), |meant| format!("did you mean '{meant}'? "));
            format!(
                "{meant}expected channel:N, neuron:N of a layer of features, CHANNEL,ROW,COLUMN \
                 or all, with LAYER/ before it or --layer"
            )
        };
        match kind {
            Some(kind) => Ok(Self {
                layer,
                kind: Some(kind),
            }),
            None => Err(refuse()),
        }
    }
}

/// A classifier of a comparison: model, weights, and the share of conflicting images where it is one of
/// corrupted images.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Network {
    pub(crate) file: NetworkFile,
    pub(crate) conflicting: Option<f64>,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (file, conflicting) = match text.rsplit_once(',') {
            Some((file, share)) => match positive(share) {
                Ok(share) if share < 1.0 => (file, Some(share)),
                _ => return Err(format!("'{share}' is no share between 0 and 1")),
            },
            None => (text, None),
        };
        Ok(Self {
            file: network_file(file)?,
            conflicting,
        })
    }
}

/// An option of a method or of a data set: its name, with dots between those of groups, and its value.
#[derive(Clone, Debug)]
pub(crate) struct NamedValue {
    pub(crate) name: String,
    pub(crate) value: Value,
}

impl FromStr for NamedValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .ok_or("expected an option's name, '=' and its value")?;
        Ok(Self {
            name: name.to_owned(),
            value: serde_json::from_str(value).unwrap_or_else(|_| value.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_named_in_four_ways() {
        let position = UnitKind::Position {
            channel: 17,
            row: 3,
            column: 4,
        };
        for (text, layer, kind) in [
            ("channel:17", None, Some(UnitKind::Channel(17))),
            ("17,3,4", None, Some(position.clone())),
            ("neuron:5", None, Some(UnitKind::Feature(NeuronId(5)))),
            ("all", None, None),
            ("layer3.5/17,3,4", Some("layer3.5"), Some(position)),
            (
                "/fc/Gemm:0/neuron:5",
                Some("/fc/Gemm:0"),
                Some(UnitKind::Feature(NeuronId(5))),
            ),
        ] {
            let layer = layer.map(str::to_owned);
            assert_eq!(text.parse(), Ok(UnitName { layer, kind }), "{text}");
        }
        for text in [
            "17",
            "17,3",
            "channel:x",
            "channel:",
            "layer3.5",
            "1,2,3,4",
            "",
        ] {
            let error = text.parse::<UnitName>().unwrap_err();
            assert!(error.starts_with("expected channel:N"), "{text}: {error}");
        }
        let error = "chanel:3".parse::<UnitName>().unwrap_err();
        assert!(error.starts_with("did you mean 'channel'?"), "{error}");
    }

    #[test]
    fn a_network_is_a_model_with_weights_and_perhaps_a_share() {
        let parsed = |text: &str| text.parse::<Network>();
        let network = |conflicting| Network {
            file: NetworkFile {
                model: "cifar_resnet20".to_owned(),
                weights: "a=b.th".into(),
            },
            conflicting,
        };
        assert_eq!(parsed("cifar_resnet20=a=b.th"), Ok(network(None)));
        assert_eq!(
            parsed("cifar_resnet20=a=b.th,0.05"),
            Ok(network(Some(0.05)))
        );
        for refused in [
            "cifar_resnet20",
            "cifar_resnet20=a.th,half",
            "a=b,0",
            "a=b,1",
        ] {
            assert!(parsed(refused).is_err(), "{refused}");
        }
    }
}
