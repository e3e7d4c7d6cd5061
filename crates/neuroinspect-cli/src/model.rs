//! Models as the command line names them.

use anyhow::{Context, Result, bail};
use neuroinspect::{
    ClassTexts,
    burn::tensor::Device,
    core::{DecisionLayer, InputSpec, NeuronId, Seed},
    editing::{EditConfig, Keep, RatioForm, RatioNorm, Target},
    illusion::{IllusionConfig, Objective},
    models::{
        LoadConfig, LoadedClassifier, Strictness,
        clip::{Clip, ClipConfig},
        load_classifier,
        prompts::{PromptTemplates, class_text},
    },
};

use crate::{
    args::{
        ClipArgs, KeepName, ModelArgs, ObjectiveName, PictureArgs, RatioName, TargetName,
        TrainingArgs,
    },
    output,
};

/// Loads the classifier; says on standard error what a partial load left out. Weights that are not
/// in the checkpoint are drawn from the seed.
pub(crate) fn classifier(
    args: &ModelArgs,
    device: &Device,
    seed: Seed,
) -> Result<LoadedClassifier> {
    device.seed(seed.0);
    let strictness = if args.partial {
        Strictness::Partial
    } else {
        Strictness::Strict
    };
    let mut config = LoadConfig::default().with_strictness(strictness);
    if let Some(file) = &args.input {
        let json = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read '{}'", file.display()))?;
        let input: InputSpec = serde_json::from_str(&json)
            .with_context(|| format!("'{}' says no model input", file.display()))?;
        config = config.with_input(input);
    }
    let loaded = load_classifier(&args.model, &args.weights, &config, device)?;
    if !loaded.report.is_complete() {
        output::tell(&loaded.report);
    }
    Ok(loaded)
}

/// An image-text encoder and the prompts to ask it with.
pub(crate) struct TextGuide {
    clip: Clip,
    templates: PromptTemplates,
    domain: Option<String>,
}

impl TextGuide {
    /// The encoder the options name; `None` without weights for one.
    pub(crate) fn load(args: &ClipArgs, device: &Device) -> Result<Option<Self>> {
        let Some(weights) = &args.clip_weights else {
            return Ok(None);
        };
        let config = match &args.clip {
            None => None,
            Some(name) if name.ends_with(".json") => {
                let json = std::fs::read_to_string(name)
                    .with_context(|| format!("cannot read '{name}'"))?;
                Some(ClipConfig::from_json(&json, name)?)
            }
            Some(name) => Some(ClipConfig::preset(name)?),
        };
        let templates = match &args.prompts {
            Some(file) => PromptTemplates::from_file(file)?,
            None => PromptTemplates::parts32(),
        };
        let clip = Clip::load(weights, config.as_ref(), device)?;
        Ok(Some(Self {
            clip,
            templates,
            domain: args.domain.clone(),
        }))
    }

    /// The texts for classes of these names, to be embedded as they are needed.
    pub(crate) fn texts(&self, names: &[String]) -> ClassTexts<'_> {
        let text = |name: &String| class_text(self.domain.as_deref(), name);
        ClassTexts {
            encoder: &self.clip,
            templates: &self.templates,
            texts: names.iter().map(text).collect(),
        }
    }
}

/// Options of visualization. Without a guide, the default objective is the one that needs none.
pub(crate) fn illusion(args: &PictureArgs, guided: bool, seed: Seed) -> Result<IllusionConfig> {
    let objective = match args.objective {
        Some(ObjectiveName::Clip) if !guided => bail!("--objective clip needs --clip-weights FILE"),
        Some(objective) => objective,
        None if guided => ObjectiveName::Clip,
        None => ObjectiveName::Class,
    };
    let config = match objective {
        ObjectiveName::Clip => IllusionConfig::new(),
        ObjectiveName::Class => IllusionConfig::new().with_objective(Objective::ClassConditional),
        ObjectiveName::Feature => IllusionConfig::feature_visualization(),
    };
    let config = config
        .with_steps(args.iterations)
        .with_class_gamma(args.class_gamma)
        .with_batch_size(args.picture_batch)
        .with_seed(seed);
    let config = match args.size {
        Some(size) => config.with_size(size),
        None => config,
    };
    config.validate()?;
    Ok(config)
}

/// The neurons of a list, all of them there in the model.
pub(crate) fn neurons(numbers: &[usize], layer: &DecisionLayer) -> Result<Vec<NeuronId>> {
    let neurons: Vec<_> = numbers.iter().copied().map(NeuronId).collect();
    for &neuron in &neurons {
        layer.check_neuron(neuron)?;
    }
    Ok(neurons)
}

/// Options of editing.
pub(crate) fn editing(args: &TrainingArgs, seed: Seed) -> Result<EditConfig> {
    let default = EditConfig::default();
    let patience = match (args.patience, args.keep) {
        (Some(_), KeepName::Last) => {
            bail!("--patience does nothing with --keep last: all epochs are run")
        }
        (patience, _) => patience.or(default.patience),
    };
    let mut config = default
        .with_target(match args.target {
            TargetName::Auto => Target::Auto,
            TargetName::Fixed(ratio) => Target::Fixed(ratio),
        })
        .with_ratio(
            match args.ratio {
                RatioName::Joint => RatioForm::Joint,
                RatioName::PerNeuron => RatioForm::PerNeuron,
            },
            RatioNorm::L2,
        )
        .with_epochs(args.epochs, patience)
        .with_keep(match args.keep {
            KeepName::Accuracy => Keep::Accuracy,
            KeepName::WorstClass => Keep::WorstClass,
            KeepName::Last => Keep::Last,
        })
        .with_seed(seed);
    if let Some(lambda) = args.lambda {
        config = config.with_lambda3(lambda);
    }
    if let Some(rate) = args.learning_rate {
        config = config.with_learning_rate(rate);
    }
    Ok(config)
}
