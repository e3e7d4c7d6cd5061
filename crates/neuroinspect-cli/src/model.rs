//! Models as the command line names them.

use std::path::Path;

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
    args::{ClipArgs, HeadArgs, ModelArgs},
    config::Prompts,
    console::warn,
    images,
    options::Options,
};

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
        if decision_layer.is_some() || map.is_some() {
            bail!("--decision-layer and --map are for ONNX files, and '{model}' is none");
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
    args: &ModelArgs,
    options: &Options,
    device: &Device,
) -> Result<LoadedClassifier> {
    device.seed(options.seed.0);
    let strictness = match args.loading.partial {
        true => Strictness::Partial,
        false => Strictness::Strict,
    };
    let mut config = LoadConfig::default().with_strictness(strictness);
    config.input = options.input(args.loading.input.as_deref())?;
    let onnx = onnx(&args.model, &args.loading.head, config.input.as_ref())?;
    let loaded = match (onnx, &args.weights) {
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
        (Some(_), Some(_)) => bail!("'{}' holds its weights: leave --weights out", args.model),
        (None, Some(weights)) => load_classifier(&args.model, weights, &config, device)?,
        (None, None) => bail!("--model {} needs --weights FILE", args.model),
    };
    if !loaded.report.is_complete() {
        warn(&loaded.report);
    }
    Ok(loaded)
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
    clip: Clip,
    /// SHA-256 of the weights as they were read.
    weights_sha256: String,
    pub(crate) prompts: Prompts,
}

impl TextGuide {
    /// The encoder the options name, asked about classes of `data`; `None` without weights for one.
    pub(crate) fn load(
        args: &ClipArgs,
        data: Option<&Path>,
        options: &Options,
        device: &Device,
    ) -> Result<Option<Self>> {
        let Some(weights) = &args.clip_weights else {
            return Ok(None);
        };
        let config = match &args.clip {
            None => None,
            Some(name) if name.ends_with(".json") => {
                Some(ClipConfig::from_json(&read_text(name)?, name)?)
            }
            Some(name) => Some(ClipConfig::preset(name)?),
        };
        let domain = data.map(images::domain).transpose()?.flatten();
        let prompts = options.prompts(args, domain)?;
        let checkpoint = Checkpoint::open(weights)?;
        Ok(Some(Self {
            clip: Clip::from_checkpoint(&checkpoint, config.as_ref(), device)?,
            weights_sha256: checkpoint.sha256().to_owned(),
            prompts,
        }))
    }

    /// The encoder.
    pub(crate) fn encoder(&self) -> &Clip {
        &self.clip
    }

    /// The texts for classes of these names, to be embedded as they are needed.
    pub(crate) fn texts(&self, names: &[String]) -> ClassTexts<'_> {
        let domain = self.prompts.domain.as_deref();
        let text = |name: &String| class_text(domain, name);
        ClassTexts {
            encoder: &self.clip,
            templates: &self.prompts.templates,
            texts: names.iter().map(text).collect(),
        }
    }
}
