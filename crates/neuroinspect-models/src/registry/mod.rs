//! The classifiers by name.

mod table;

use std::path::Path;

use burn::tensor::Device;
use derive_setters::Setters;
use neuroinspect_core::{InputSpec, Precision, nearest_name};
use serde::{Deserialize, Serialize};

use crate::{
    Checkpoint, Error, GraphClassifier, LoadReport, PretrainedClassifier, Result, Strictness,
    checkpoint::Mismatch,
    classifier::Head,
    families::{Architecture, Size, check_classes, pretrained},
    graph::{InitialValues, ParameterSpec},
    pretrained::Saved,
};
use table::{ALIASES, ROWS, Row};

/// What is known of a registered classifier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelInfo {
    /// Name, as [`load_classifier`] takes it.
    pub name: &'static str,
    /// The kind of network.
    pub family: &'static str,
    /// Number of trained weights, with so many [classes](Self::classes).
    pub parameters: usize,
    /// Number of neurons `D`.
    pub neurons: usize,
    /// Number of classes of the weights that the name stands for; 0 where those have no decision layer, as
    /// DINO's.
    pub classes: usize,
    /// The pixels it wants to see unless told otherwise.
    pub input: InputSpec,
    /// Whose implementation it computes the same as, and whose checkpoints it reads.
    pub source: &'static str,
    /// timm's published weights, whose input is known: [`load_classifier`] takes `name.tag`, too. Others
    /// are loaded by the name alone, with an [input](LoadConfig::input) of one's own.
    pub tags: Vec<ModelTag>,
}

/// Published weights of a classifier, by timm's tag.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelTag {
    /// The tag, what follows the dot in timm's names: `a1_in1k` of `resnet50.a1_in1k`.
    pub tag: &'static str,
    /// The pixels a network with these weights wants to see.
    pub input: InputSpec,
}

/// How to load a classifier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_", strip_option)]
pub struct LoadConfig {
    /// What to do about weights that do not fit; strict by default.
    pub strictness: Strictness,
    /// The number of classes the checkpoint must have; by default whatever it has.
    pub classes: Option<usize>,
    /// The pixels the model wants to see, if not those of its name's tag ([`ModelTag::input`]) or,
    /// without a tag, those [saved](PretrainedClassifier::save) with the weights or, without any,
    /// [`ModelInfo::input`].
    pub input: Option<InputSpec>,
    /// The layer that shows where in the image the neurons are active, if not the one that the family
    /// has ([`GraphClassifier::with_map`]).
    #[setters(into)]
    pub map: Option<String>,
    /// The number format of the weights, to which they are rounded; what is saved is `f32` in any case. In
    /// another format than `f32` the model is a copy for evaluation, on the device without autodiff, and is
    /// not to be trained.
    pub precision: Precision,
}

impl LoadConfig {
    /// Checks the options.
    ///
    /// # Errors
    ///
    /// [`neuroinspect_core::Error::InvalidOption`] for no classes, or an input that cannot be
    /// followed.
    pub fn validate(&self) -> Result<()> {
        if let Some(classes) = self.classes {
            check_classes(classes)?;
        }
        if let Some(input) = &self.input {
            input.validate()?;
        }
        Ok(())
    }
}

/// A classifier fresh from its checkpoint.
pub struct LoadedClassifier {
    /// The classifier.
    pub model: Box<dyn PretrainedClassifier>,
    /// What of the checkpoint went into it.
    pub report: LoadReport,
    /// SHA-256 of the checkpoint, for provenance.
    pub weights_sha256: String,
}

impl std::fmt::Debug for LoadedClassifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedClassifier")
            .field("model", &self.model.name())
            .field("report", &self.report)
            .field("weights_sha256", &self.weights_sha256)
            .finish()
    }
}

/// All registered classifiers.
///
/// # Errors
///
/// [`Error::PretrainedConfig`] or [`Error::Node`] when a row of the table names weights that are not
/// known or makes no graph; none does.
pub fn classifiers() -> Result<Vec<ModelInfo>> {
    ROWS.iter().map(Row::info).collect()
}

/// A classifier by its name, as in [`load_classifier`], with random weights for a number of classes:
/// to be trained, or loaded into.
///
/// # Errors
///
/// [`Error::UnknownModel`], [`Error::UnknownTag`], and
/// [`neuroinspect_core::Error::InvalidOption`] for no classes.
pub fn init_classifier(name: &str, classes: usize, device: &Device) -> Result<GraphClassifier> {
    let Named { row, input } = Named::parse(name)?;
    row.init(Some(classes), input, device)
}

/// Loads a classifier from a safetensors or PyTorch file.
///
/// The number of classes is the checkpoint's. With timm's tag after the name, as
/// `resnet50.a1_in1k`, the model gets the input that these weights were evaluated with; without, the
/// one that was [saved](PretrainedClassifier::save) with them, if it was.
///
/// # Errors
///
/// [`Error::UnknownModel`] for a name that is not registered, [`Error::UnknownTag`] for a tag that is
/// none of its [tags](ModelInfo::tags), [`Error::ClassCount`] when the
/// checkpoint has another number of classes than [`LoadConfig::classes`], [`Error::NoDecisionLayer`] when
/// neither says how many there are, [`Error::SavedInput`] when
/// the input saved with it is needed and wrong, and as [`GraphClassifier::with_map`],
/// [`LoadConfig::validate`], [`Checkpoint::open`] and [`Checkpoint::apply`];
/// [`neuroinspect_core::Error::Precision`] where the device does not compute in the precision.
pub fn load_classifier(
    name: &str,
    weights: impl AsRef<Path>,
    config: &LoadConfig,
    device: &Device,
) -> Result<LoadedClassifier> {
    let named = Named::parse(name)?;
    named.load(&Checkpoint::open(weights)?, config, device)
}

/// Loads a classifier from safetensors in memory; bytes given as a vector are not copied.
///
/// # Errors
///
/// As [`load_classifier`].
pub fn load_classifier_from_bytes(
    name: &str,
    weights: impl Into<Vec<u8>>,
    config: &LoadConfig,
    device: &Device,
) -> Result<LoadedClassifier> {
    let named = Named::parse(name)?;
    let label = format!("weights of {name} in memory");
    named.load(&Checkpoint::from_bytes(label, weights)?, config, device)
}

/// Checks that a name is one of [`load_classifier`]'s.
#[cfg(feature = "hub")]
pub(crate) fn check_name(name: &str) -> Result<()> {
    Named::parse(name).map(|_| ())
}

/// What a name stands for.
struct Named {
    row: &'static Row,
    /// The input that goes with the name's tag, where it has one.
    input: Option<InputSpec>,
}

impl Named {
    fn parse(name: &str) -> Result<Self> {
        let (base, tag) = match name.split_once('.') {
            Some((base, tag)) => (base, Some(tag)),
            None => (name, None),
        };
        let alias = ALIASES.iter().find(|(alias, _)| *alias == base);
        let known = alias.map_or(base, |(_, known)| known);
        let row = ROWS.iter().find(|row| row.name == known);
        let row = row.ok_or_else(|| unknown(name, base))?;
        let input = tag.map(|tag| row.input_of(tag)).transpose()?;
        Ok(Self { row, input })
    }

    fn load(
        self,
        checkpoint: &Checkpoint,
        config: &LoadConfig,
        device: &Device,
    ) -> Result<LoadedClassifier> {
        config.validate()?;
        config.precision.check(device)?;
        let row = self.row;
        let input = match config.input.clone().or(self.input) {
            Some(input) => Some(input),
            None => Saved::input_in(checkpoint, row.name)?,
        };
        let found = row.classes_in(checkpoint, device)?;
        let classes = match (config.classes, found) {
            (Some(expected), Some(found)) if expected != found.classes => {
                return Err(Error::ClassCount {
                    file: checkpoint.file().to_owned(),
                    tensor: found.tensor,
                    expected,
                    found: found.classes,
                });
            }
            (None, None) if row.defaults()?.1 == 0 => {
                return Err(Error::NoDecisionLayer {
                    file: checkpoint.file().to_owned(),
                    model: row.name,
                });
            }
            (expected, found) => found.map(|it| it.classes).or(expected),
        };
        let mut model = row.init(classes, input, device)?;
        if let Some(layer) = &config.map {
            model = model.with_map(layer)?;
        }
        let report = model
            .load(checkpoint, config.strictness)
            .map_err(|error| with_look_alike(error, checkpoint, device))?;
        if config.precision != Precision::F32 {
            model = config.precision.copy_of(&model, device)?;
        }
        Ok(LoadedClassifier {
            model: Box::new(model),
            report,
            weights_sha256: checkpoint.sha256().to_owned(),
        })
    }
}

/// The refusal of a name whose part before the tag is `base`.
fn unknown(name: &str, base: &str) -> Error {
    let names = ROWS.iter().map(|row| row.name);
    Error::UnknownModel {
        name: name.to_owned(),
        nearest: nearest_name(base, names).map(str::to_owned),
    }
}

/// The decision layer in a checkpoint.
struct FoundHead {
    /// Its weight's name.
    tensor: String,
    classes: usize,
}

impl Row {
    fn info(&self) -> Result<ModelInfo> {
        let (input, classes) = self.defaults()?;
        let graph = (self.graph)(Size {
            classes: classes.max(1),
            image: input.size,
        })?;
        let head = Head::of(&graph)?;
        let trained = |spec: &&ParameterSpec| matches!(spec.initial, InitialValues::Random { .. });
        let trained = graph.parameters().iter().filter(trained);
        let of_head = match classes {
            0 => &graph.node(head.layer()).parameters[..],
            _ => &[],
        };
        let counted = trained.filter(|spec| !of_head.contains(&spec.name));
        let tags = pretrained(self.name)?.map(Architecture::tags);
        let tags = tags.into_iter().flatten();
        Ok(ModelInfo {
            name: self.name,
            family: self.family.name,
            parameters: counted
                .map(|spec| spec.shape.iter().product::<usize>())
                .sum(),
            neurons: head.neurons(&graph),
            classes,
            input,
            source: self.family.source,
            tags: tags
                .map(|(tag, pretrained)| ModelTag {
                    tag,
                    input: pretrained.input(),
                })
                .collect(),
        })
    }

    /// What goes with the weights that the name alone stands for: the input and the number of classes.
    fn defaults(&self) -> Result<(InputSpec, usize)> {
        if let Some((size, classes)) = self.family.own {
            return Ok((InputSpec::imagenet(size), classes));
        }
        let found = pretrained(self.name)?.and_then(Architecture::default);
        let found = found.ok_or_else(|| Error::PretrainedConfig {
            reason: format!(
                "expected weights of '{}' and its default, found none",
                self.name
            ),
        })?;
        Ok((found.input(), found.num_classes))
    }

    /// The input that goes with a tag.
    ///
    /// An unknown tag is not answered with another one like it: weights by another recipe load just
    /// as well, and want other images.
    fn input_of(&self, tag: &str) -> Result<InputSpec> {
        let tags = pretrained(self.name)?.map(Architecture::tags);
        if let Some(found) = tags.and_then(|tags| tags.get(tag)) {
            return Ok(found.input());
        }
        let known: Vec<_> = tags
            .into_iter()
            .flatten()
            .map(|(tag, _)| &tag[..])
            .collect();
        Err(Error::UnknownTag {
            model: self.name,
            tag: tag.to_owned(),
            known: match known.is_empty() {
                true => "none".to_owned(),
                false => known.join(", "),
            },
        })
    }

    /// The checkpoint's decision layer, if it has one of this network's name and number of neurons.
    fn classes_in(&self, checkpoint: &Checkpoint, device: &Device) -> Result<Option<FoundHead>> {
        let (_, classes) = self.defaults()?;
        let model = self.init(Some(classes.max(1)), None, device)?;
        let report = model.compare(checkpoint);
        let Some(head) = model.head().parameters.first() else {
            return Ok(None);
        };
        let found = |classes| {
            let tensor = head.clone();
            FoundHead { tensor, classes }
        };
        if report.applied.contains(head) {
            return Ok(Some(found(classes.max(1))));
        }
        let mismatch = report.mismatched.iter().find(|it| it.name == *head);
        Ok(
            mismatch.and_then(|it| match (&it.found[..], &it.expected[..]) {
                (&[classes, width], &[_, neurons]) if classes > 0 && width == neurons => {
                    Some(found(classes))
                }
                _ => None,
            }),
        )
    }

    /// The classifier with random weights; the default classes and input where none are given.
    fn init(
        &self,
        classes: Option<usize>,
        input: Option<InputSpec>,
        device: &Device,
    ) -> Result<GraphClassifier> {
        let (default_input, default_classes) = self.defaults()?;
        let input = input.unwrap_or(default_input);
        input.validate()?;
        let graph = (self.graph)(Size {
            classes: classes.unwrap_or(default_classes),
            image: input.size,
        })?;
        GraphClassifier::new(self.name, graph, input, device)
    }
}

/// Adds to [`Error::WeightsDoNotFit`] the registered models that they do fit: several, where models
/// differ in what no shape shows.
fn with_look_alike(error: Error, checkpoint: &Checkpoint, device: &Device) -> Error {
    let fits = |row: &&Row| {
        let (_, classes) = row.defaults().ok()?;
        let model = row.init(Some(classes.max(1)), None, device).ok()?;
        let report = model.compare(checkpoint);
        let head = &model.head().parameters;
        // Of another number of classes, as it may be.
        let is_head =
            |it: &Mismatch| head.contains(&it.name) && it.found.get(1..) == it.expected.get(1..);
        let rest = report.missing.is_empty() && report.unused.is_empty();
        Some(rest && report.mismatched.iter().all(is_head))
    };
    match error {
        Error::WeightsDoNotFit {
            file,
            model,
            report,
            ..
        } => Error::WeightsDoNotFit {
            file,
            model,
            looks_like: ROWS
                .iter()
                .filter(|row| fits(row) == Some(true))
                .map(|row| row.name)
                .collect(),
            report,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_are_not_in_the_dump_are_an_error() {
        let row = ROWS.iter().find(|row| row.name == "resnet18").unwrap();
        assert!(row.defaults().is_ok());
        let other = Row {
            name: "resnet19",
            ..*row
        };
        let error = other.init(None, None, &Device::flex()).unwrap_err();
        assert!(matches!(error, Error::PretrainedConfig { .. }), "{error:?}");
        assert!(error.to_string().contains("'resnet19'"), "{error}");
    }
}
