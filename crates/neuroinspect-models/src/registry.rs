//! The classifiers by name.

use std::path::Path;

use burn::tensor::Device;
use neuroinspect_core::{InputSpec, Interpolation, nearest_name};
use serde::{Deserialize, Serialize};

use crate::{
    Checkpoint, CifarResNet, CifarResNetConfig, EfficientNetLite0, Error, LoadReport,
    PretrainedClassifier, ResNet, ResNetDepth, Result, Strictness,
    layers::check_classes,
    pretrained::{INPUT, MODEL},
};

/// What is known of a registered classifier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelInfo {
    /// Name, as [`load_classifier`] takes it.
    pub name: &'static str,
    /// The kind of network.
    pub family: &'static str,
    /// Number of neurons `D`.
    pub neurons: usize,
    /// The pixels it wants to see unless told otherwise.
    pub input: InputSpec,
    /// Whose implementation it computes the same as, and whose checkpoints it reads.
    pub source: &'static str,
    /// Published weights whose input is known: [`load_classifier`] takes `name.tag`, too. There are
    /// more, to be loaded by the name alone and with an [input](LoadConfig::input) of one's own.
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadConfig {
    /// What to do about weights that do not fit; strict by default.
    pub strictness: Strictness,
    /// The number of classes the checkpoint must have; by default whatever it has.
    pub classes: Option<usize>,
    /// The pixels the model wants to see, if not those of its name's tag ([`ModelTag::input`]) or,
    /// without a tag, those [saved](PretrainedClassifier::save) with the weights or, without any,
    /// [`ModelInfo::input`].
    pub input: Option<InputSpec>,
}

impl LoadConfig {
    /// Sets what to do about weights that do not fit.
    pub fn with_strictness(mut self, strictness: Strictness) -> Self {
        self.strictness = strictness;
        self
    }

    /// Sets the number of classes the checkpoint must have.
    pub fn with_classes(mut self, classes: usize) -> Self {
        self.classes = Some(classes);
        self
    }

    /// Sets the pixels the model wants to see.
    pub fn with_input(mut self, input: InputSpec) -> Self {
        self.input = Some(input);
        self
    }

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
pub fn classifiers() -> Vec<ModelInfo> {
    let info = |(name, architecture): (_, Architecture)| architecture.info(name);
    ARCHITECTURES.map(info).to_vec()
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
/// checkpoint has another number of classes than [`LoadConfig::classes`], [`Error::SavedInput`] when
/// the input saved with it is needed and wrong, and as
/// [`LoadConfig::validate`], [`Checkpoint::open`] and [`Checkpoint::apply`].
pub fn load_classifier(
    name: &str,
    weights: impl AsRef<Path>,
    config: &LoadConfig,
    device: &Device,
) -> Result<LoadedClassifier> {
    let named = Named::parse(name)?;
    named.load(&Checkpoint::open(weights)?, config, device)
}

/// Loads a classifier from safetensors in memory.
///
/// # Errors
///
/// As [`load_classifier`].
pub fn load_classifier_from_bytes(
    name: &str,
    weights: &[u8],
    config: &LoadConfig,
    device: &Device,
) -> Result<LoadedClassifier> {
    let named = Named::parse(name)?;
    let label = format!("weights of {name} in memory");
    named.load(&Checkpoint::from_bytes(label, weights)?, config, device)
}

/// The registry.
const ARCHITECTURES: [(&str, Architecture); 10] = [
    ("cifar_resnet20", Architecture::CifarResNet { depth: 20 }),
    ("cifar_resnet32", Architecture::CifarResNet { depth: 32 }),
    ("cifar_resnet44", Architecture::CifarResNet { depth: 44 }),
    ("cifar_resnet56", Architecture::CifarResNet { depth: 56 }),
    ("resnet18", Architecture::ResNet(ResNetDepth::ResNet18)),
    ("resnet34", Architecture::ResNet(ResNetDepth::ResNet34)),
    ("resnet50", Architecture::ResNet(ResNetDepth::ResNet50)),
    ("resnet101", Architecture::ResNet(ResNetDepth::ResNet101)),
    ("resnet152", Architecture::ResNet(ResNetDepth::ResNet152)),
    ("tf_efficientnet_lite0", Architecture::EfficientNetLite0),
];

/// A registered network, before its number of classes is known.
#[derive(Clone, Copy)]
enum Architecture {
    CifarResNet { depth: usize },
    ResNet(ResNetDepth),
    EfficientNetLite0,
}

/// What a name stands for.
struct Named {
    /// Without the tag.
    model: &'static str,
    architecture: Architecture,
    /// The input that goes with the name's tag, where it has one.
    input: Option<InputSpec>,
}

impl Named {
    fn parse(name: &str) -> Result<Self> {
        let (base, tag) = match name.split_once('.') {
            Some((base, tag)) => (base, Some(tag)),
            None => (name, None),
        };
        let mut known = ARCHITECTURES.into_iter();
        let Some((model, architecture)) = known.find(|(known, _)| *known == base) else {
            return Err(unknown(name, base));
        };
        let input = match tag {
            Some(tag) => Some(architecture.input_of(model, tag)?),
            None => None,
        };
        Ok(Self {
            model,
            architecture,
            input,
        })
    }

    fn load(
        self,
        checkpoint: &Checkpoint,
        config: &LoadConfig,
        device: &Device,
    ) -> Result<LoadedClassifier> {
        let input = match config.input.clone().or(self.input) {
            Some(input) => Some(input),
            None => saved_input(checkpoint, self.model)?,
        };
        self.architecture.load(checkpoint, config, input, device)
    }
}

/// The input that was [saved](PretrainedClassifier::save) with the weights of `model`, where one was.
/// In other programs' files the key may mean anything.
fn saved_input(checkpoint: &Checkpoint, model: &str) -> Result<Option<InputSpec>> {
    let metadata = checkpoint.metadata();
    if metadata.get(MODEL).is_none_or(|saved| saved != model) {
        return Ok(None);
    }
    let wrong = |reason: String| Error::SavedInput {
        file: checkpoint.file().to_owned(),
        reason,
    };
    let Some(json) = metadata.get(INPUT) else {
        return Ok(None);
    };
    let input: InputSpec = serde_json::from_str(json).map_err(|error| wrong(error.to_string()))?;
    input.validate().map_err(|error| wrong(error.to_string()))?;
    Ok(Some(input))
}

/// The refusal of a name whose part before the tag is `base`.
fn unknown(name: &str, base: &str) -> Error {
    let names = ARCHITECTURES.map(|(name, _)| name);
    Error::UnknownModel {
        name: name.to_owned(),
        nearest: nearest_name(base, names).map(str::to_owned),
        known: names.join(", "),
    }
}

impl Architecture {
    fn info(self, name: &'static str) -> ModelInfo {
        match self {
            Self::CifarResNet { .. } => ModelInfo {
                name,
                family: "CIFAR ResNet",
                neurons: CifarResNet::NEURONS,
                input: CifarResNet::default_input(),
                source: "akamaster/pytorch_resnet_cifar10",
                tags: self.tags(),
            },
            Self::ResNet(depth) => ModelInfo {
                name,
                family: "ResNet",
                neurons: depth.neurons(),
                input: ResNet::torchvision_input(),
                source: "torchvision, timm",
                tags: self.tags(),
            },
            Self::EfficientNetLite0 => ModelInfo {
                name,
                family: "EfficientNet-Lite",
                neurons: EfficientNetLite0::NEURONS,
                input: EfficientNetLite0::default_input(),
                source: "timm",
                tags: self.tags(),
            },
        }
    }

    /// Name of the decision layer's weight, and the classes of the data set the weights are
    /// usually of.
    fn head(self) -> (&'static str, usize) {
        match self {
            Self::CifarResNet { .. } => ("linear.weight", 10),
            Self::ResNet(_) => ("fc.weight", 1000),
            Self::EfficientNetLite0 => ("classifier.weight", 1000),
        }
    }

    /// The input that goes with one of the [`tags`](Self::tags).
    ///
    /// An unknown tag is not answered with another one like it: weights by another recipe load just
    /// as well, and want other images.
    fn input_of(self, model: &'static str, tag: &str) -> Result<InputSpec> {
        let tags = self.tags();
        let found = tags.iter().find(|known| known.tag == tag);
        found
            .map(|known| known.input.clone())
            .ok_or_else(|| Error::UnknownTag {
                model,
                tag: tag.to_owned(),
                known: match tags.is_empty() {
                    true => "none".to_owned(),
                    false => tags.iter().map(|it| it.tag).collect::<Vec<_>>().join(", "),
                },
            })
    }

    /// Some of timm's tags, and the inputs of their `default_cfgs`; for `tv2_in1k` the one to test
    /// with. timm has many more.
    fn tags(self) -> Vec<ModelTag> {
        let tags = match self {
            Self::CifarResNet { .. } => vec![],
            Self::ResNet(depth) => {
                let gluon = ResNet::torchvision_input().with_interpolation(Interpolation::Bicubic);
                let mut tags = vec![
                    ("a1_in1k", ResNet::timm_a1_input()),
                    ("a2_in1k", ResNet::timm_a1_input()),
                    ("a3_in1k", ResNet::timm_a3_input()),
                    ("gluon_in1k", gluon),
                    ("tv_in1k", ResNet::torchvision_input()),
                ];
                if depth.has_second_weights() {
                    tags.push(("tv2_in1k", ResNet::torchvision_v2_input()));
                }
                tags
            }
            Self::EfficientNetLite0 => vec![("in1k", EfficientNetLite0::default_input())],
        };
        let tags = tags.into_iter();
        tags.map(|(tag, input)| ModelTag { tag, input }).collect()
    }

    /// Rows of the checkpoint's decision layer, if it has one of this network's name and number of
    /// neurons.
    fn classes_in(self, checkpoint: &Checkpoint, device: &Device) -> Result<Option<usize>> {
        let (head, usual_classes) = self.head();
        let report = self.init(usual_classes, None, device)?.compare(checkpoint);
        if report.applied.iter().any(|name| name == head) {
            return Ok(Some(usual_classes));
        }
        let mismatch = report.mismatched.iter().find(|it| it.name == head);
        Ok(
            mismatch.and_then(|it| match (&it.found[..], &it.expected[..]) {
                (&[classes, found], &[_, neurons]) if classes > 0 && found == neurons => {
                    Some(classes)
                }
                _ => None,
            }),
        )
    }

    fn load(
        self,
        checkpoint: &Checkpoint,
        config: &LoadConfig,
        input: Option<InputSpec>,
        device: &Device,
    ) -> Result<LoadedClassifier> {
        config.validate()?;
        let (head, usual_classes) = self.head();
        let found = self.classes_in(checkpoint, device)?;
        let classes = match (config.classes, found) {
            (Some(expected), Some(found)) if expected != found => {
                return Err(Error::ClassCount {
                    file: checkpoint.file().to_owned(),
                    tensor: head.to_owned(),
                    expected,
                    found,
                });
            }
            (expected, found) => found.or(expected).unwrap_or(usual_classes),
        };
        let mut model = self.init(classes, input, device)?;
        let report = model
            .load(checkpoint, config.strictness)
            .map_err(|error| with_look_alike(error, checkpoint, device))?;
        Ok(LoadedClassifier {
            model,
            report,
            weights_sha256: checkpoint.sha256().to_owned(),
        })
    }

    fn init(
        self,
        classes: usize,
        input: Option<InputSpec>,
        device: &Device,
    ) -> Result<Box<dyn PretrainedClassifier>> {
        Ok(match self {
            Self::CifarResNet { depth } => {
                let model = CifarResNetConfig::new(depth, classes).init(device)?;
                Box::new(model.with_input(input.unwrap_or_else(CifarResNet::default_input))?)
            }
            Self::ResNet(depth) => {
                let model = ResNet::new(depth, classes, device)?;
                Box::new(model.with_input(input.unwrap_or_else(ResNet::torchvision_input))?)
            }
            Self::EfficientNetLite0 => {
                let model = EfficientNetLite0::new(classes, device)?;
                Box::new(model.with_input(input.unwrap_or_else(EfficientNetLite0::default_input))?)
            }
        })
    }
}

/// Adds to [`Error::WeightsDoNotFit`] the registered model that they do fit.
fn with_look_alike(error: Error, checkpoint: &Checkpoint, device: &Device) -> Error {
    let fits = |architecture: Architecture| {
        let classes = architecture.classes_in(checkpoint, device).ok()??;
        let model = architecture.init(classes, None, device).ok()?;
        Some(model.compare(checkpoint).is_complete())
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
            looks_like: ARCHITECTURES
                .into_iter()
                .find(|(_, architecture)| fits(*architecture) == Some(true))
                .map(|(name, _)| name),
            report,
        },
        other => other,
    }
}
