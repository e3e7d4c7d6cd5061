//! Models as the command line names them.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use neuroinspect::{
    ClassTexts, PictureOrigin,
    burn::tensor::Device,
    core::{
        DeviceName, InputSpec,
        io::{read_text, sha256_of_bytes},
    },
    models::{
        Checkpoint, LoadConfig, LoadedClassifier, Strictness,
        clip::{Clip, ClipConfig},
        load_classifier,
        onnx::{OnnxConfig, OnnxModel},
        prompts::class_text,
    },
};

use crate::{
    args::{ClipArgs, Common, HeadArgs, JudgeArgs, LoadingArgs},
    config::Prompts,
    console::warn,
    hub, images,
    inputs::ModelSetup,
    options::Options,
};

/// What `--model` and `--weights` name.
pub(crate) struct Named {
    /// Name of a registered model, or an ONNX file.
    pub(crate) model: String,
    pub(crate) weights: Option<PathBuf>,
    /// What the hub says of it, if it is from there.
    pub(crate) input: Option<InputSpec>,
    pub(crate) classes: Option<usize>,
    /// The classes in the model's order, where the hub names them; else none.
    pub(crate) class_names: Vec<String>,
}

impl Named {
    /// A model as it is given, or of the hub with its weights in a file.
    pub(crate) fn open(common: &Common, model: &str, weights: Option<&Path>) -> Result<Self> {
        match (hub::is_name(model), weights) {
            (false, _) => Ok(Self {
                model: model.to_owned(),
                weights: weights.map(Path::to_owned),
                input: None,
                classes: None,
                class_names: Vec::new(),
            }),
            (true, None) => hub::classifier(common, model, true),
            (true, Some(_)) => bail!("'{model}' brings its weights: leave --weights out"),
        }
    }
}

/// The model that an ONNX file holds; none where the model is given by its name.
pub(crate) fn onnx(
    model: &str,
    head: &HeadArgs,
    input: Option<&InputSpec>,
) -> Result<Option<OnnxModel>> {
    let HeadArgs {
        decision_layer,
        map,
    } = head.clone();
    if Path::new(model).extension().is_none_or(|it| it != "onnx") {
        if decision_layer.is_some() {
            bail!("--decision-layer is for ONNX files, and '{model}' is none");
        }
        return Ok(None);
    }
    let config = OnnxConfig {
        size: input.map(|input| input.size),
        decision_layer,
        map,
    };
    Ok(Some(OnnxModel::read(model, &config)?))
}

/// Loads the classifier; says on standard error what a partial load left out, and which nodes of an ONNX
/// file were taken for its head. Weights that are not in the checkpoint are drawn from the seed.
pub(crate) fn classifier(
    named: &Named,
    loading: &LoadingArgs,
    options: &Options,
    device: &Device,
) -> Result<LoadedClassifier> {
    device.seed(options.seed.0);
    let strictness = match loading.partial {
        true => Strictness::Partial,
        false => Strictness::Strict,
    };
    let mut config = LoadConfig::default().with_strictness(strictness);
    config.classes = named.classes;
    config.input = options.input(loading.input.as_deref())?;
    let onnx = onnx(&named.model, &loading.head, config.input.as_ref())?;
    config.input = config.input.or_else(|| named.input.clone());
    let loaded = match (onnx, &named.weights) {
        (Some(onnx), None) => {
            let head = onnx.head();
            warn(format_args!(
                "decision layer '{}', features '{}', {}",
                head.decision_layer,
                head.features,
                match head.map {
                    Some(map) => format!("map '{map}'"),
                    None => "no map (--map NODE names one)".to_owned(),
                }
            ));
            onnx.load(&config, device)?
        }
        (Some(_), Some(_)) => bail!("'{}' holds its weights: leave --weights out", named.model),
        (None, Some(weights)) => {
            config.map = loading.head.map.clone();
            load_classifier(&named.model, weights, &config, device)?
        }
        (None, None) => bail!("--model {} needs --weights FILE", named.model),
    };
    if !loaded.report.is_complete() {
        warn(&loaded.report);
    }
    Ok(loaded)
}

/// Loads the classifier that judges pictures, where one is named.
pub(crate) fn judge(
    common: &Common,
    args: &JudgeArgs,
    device: &Device,
) -> Result<Option<LoadedClassifier>> {
    let Some(judge) = &args.judge else {
        return Ok(None);
    };
    let named = Named::open(common, judge, args.judge_weights.as_deref())?;
    let config = LoadConfig {
        classes: named.classes,
        input: named.input.clone(),
        ..LoadConfig::default()
    };
    let loaded = match (onnx(judge, &HeadArgs::default(), None)?, &named.weights) {
        (Some(onnx), None) => onnx.load(&config, device)?,
        (Some(_), Some(_)) => bail!("'{judge}' holds its weights: leave --judge-weights out"),
        (None, Some(weights)) => load_classifier(&named.model, weights, &config, device)?,
        (None, None) => bail!("--judge {judge} needs --judge-weights FILE"),
    };
    Ok(Some(loaded))
}

/// Whether all weights of the classifier are the checkpoint's: none are random.
pub(crate) fn has_all_weights(loaded: &LoadedClassifier) -> bool {
    loaded.report.missing.is_empty() && loaded.report.mismatched.is_empty()
}

/// What kept pictures are made with.
pub(crate) fn picture_origin(
    loaded: &LoadedClassifier,
    guide: Option<&TextGuide>,
    device: DeviceName,
) -> PictureOrigin {
    PictureOrigin {
        classifier_sha256: loaded.weights_sha256.clone(),
        encoder_sha256: guide.map(|guide| guide.weights_sha256.clone()),
        encoder_config_sha256: guide
            .map(|guide| sha256_of_bytes(guide.clip.config().to_json().as_bytes())),
        device,
        complete: loaded.report.is_complete(),
    }
}

/// An image-text encoder and the prompts to ask it with.
pub(crate) struct TextGuide {
    pub(crate) clip: Clip,
    /// SHA-256 of the weights as they were read.
    weights_sha256: String,
    pub(crate) prompts: Prompts,
}

impl TextGuide {
    /// The encoder the options name, asked about classes of `data`; `None` where they name none.
    pub(crate) fn load(
        setup: &ModelSetup<'_>,
        args: &ClipArgs,
        data: Option<&Path>,
    ) -> Result<Option<Self>> {
        // Before anything is downloaded.
        let domain = data.map(images::domain).transpose()?.flatten();
        let prompts = setup.options.prompts(args, domain)?;
        let (config, weights) = match (&args.clip, args.clip_weights.clone()) {
            (None, None) => return Ok(None),
            (None, Some(weights)) => (None, weights),
            (Some(name), None) if hub::is_name(name) => {
                let (config, weights) = hub::clip(setup.common, name)?;
                (Some(config), weights)
            }
            (Some(name), Some(_)) if hub::is_name(name) => {
                bail!("'{name}' brings its weights: leave --clip-weights out")
            }
            (Some(name), None) => bail!("--clip {name} needs --clip-weights FILE"),
            (Some(name), Some(weights)) if name.ends_with(".json") => {
                let config = ClipConfig::from_json(&read_text(name)?, name)?;
                (Some(config), weights)
            }
            (Some(name), Some(weights)) => (Some(ClipConfig::preset(name)?), weights),
        };
        let checkpoint = Checkpoint::open(&weights)?;
        let clip = Clip::from_checkpoint(&checkpoint, config.as_ref(), &setup.device)?;
        // A SigLIP without its tokenizer is told now, not after hours of pictures.
        clip.tokens(&[String::new()])?;
        Ok(Some(Self {
            clip,
            weights_sha256: checkpoint.sha256().to_owned(),
            prompts,
        }))
    }

    /// The encoder.
    pub(crate) fn encoder(&self) -> &Clip {
        &self.clip
    }

    /// A text for each class of these names.
    pub(crate) fn class_texts(&self, names: &[String]) -> Vec<String> {
        let domain = self.prompts.domain.as_deref();
        names.iter().map(|name| class_text(domain, name)).collect()
    }

    /// The texts for classes of these names, to be embedded as they are needed.
    pub(crate) fn texts(&self, names: &[String]) -> ClassTexts<'_> {
        ClassTexts {
            encoder: &self.clip,
            templates: &self.prompts.templates,
            texts: self.class_texts(names),
        }
    }
}
