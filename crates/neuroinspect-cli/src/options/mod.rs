//! The options of the stages: those a command has by itself, those that `--config` gives, and those
//! of the command line; the later ones come before the earlier.

mod concepts;
mod method;
mod neurons;

use std::path::Path;

use anyhow::{Context, Result, bail};
use neuroinspect::{
    DebugConfig,
    core::{ClassId, Classifier, InputSpec, Precision, Seed, io::read_text},
    counterfactual::{CertifiedConfig, CounterfactualConfig, RankingConfig},
    datasets::{LoaderConfig, corrupted::CorruptedConfig},
    demo::Demo,
    editing::{EditConfig, Keep},
    illusion::{Execution, ImageParameter, Objective, Recipe},
    models::prompts::PromptTemplates,
    training::{Optimizer, TrainConfig, TrainedPart},
};

pub(crate) use self::{
    method::method,
    neurons::{NEURON_COUNT, neuron_choice, neurons},
};

use crate::{
    args::{
        ClipArgs, Common, CorruptArgs, EditingArgs, FormatArgs, IllusionArgs, MakeArgs,
        ObjectiveName, OptimizerName, ParameterName, ReadingArgs, TrainArgs, UnitArgs,
    },
    commands::{magnitudes, units},
    config::{AtlasChoice, Config, Prompts, UnitChoice},
};

/// Weight of the class's logit in the program's objectives.
const CLASS_GAMMA: f64 = 0.5;
/// What is added to the similarity in CLIP-Illusion.
const DOMAIN_EPS: f64 = 0.05;

/// The options of a run.
#[derive(Debug)]
pub(crate) struct Options {
    config: Config,
    /// `--seed`.
    given_seed: Option<Seed>,
    /// The seed of all that has none of its own.
    pub(crate) seed: Seed,
}

impl Options {
    /// Reads the file that `--config` names.
    pub(crate) fn open(common: &Common) -> Result<Self> {
        let config = Config::open(common.config.as_deref())?;
        let given_seed = common.seed.map(Seed);
        Ok(Self {
            seed: given_seed.or(config.seed).unwrap_or_default(),
            given_seed,
            config,
        })
    }

    /// What networks compute in.
    pub(crate) fn precision(&self, args: &FormatArgs) -> Precision {
        args.precision.or(self.config.precision).unwrap_or_default()
    }

    /// The number format of a command whose networks compute in this one alone.
    pub(crate) fn fixed_precision(&self, precision: Precision) -> Result<Precision> {
        match self.config.precision {
            Some(other) if other != precision => bail!(
                "the configuration asks for the precision {other}, but this command computes in \
                 {precision} alone: leave it out",
            ),
            _ => Ok(precision),
        }
    }

    /// How images are prepared: from `--input`, or the configuration.
    pub(crate) fn input(&self, file: Option<&Path>) -> Result<Option<InputSpec>> {
        let Some(file) = file else {
            return Ok(self.config.input.clone());
        };
        serde_json::from_str(&read_text(file)?)
            .with_context(|| format!("'{}' holds no model input", file.display()))
    }

    /// How images are read.
    pub(crate) fn loader(&self, args: &ReadingArgs) -> Result<LoaderConfig> {
        let mut loader = self.config.section("loader", LoaderConfig::default())?;
        if let Some(size) = args.batch_size {
            loader.batch_size = size;
        }
        if let Some(on_corrupt) = args.on_corrupt {
            loader.on_corrupt = on_corrupt;
        }
        Ok(loader)
    }

    /// What the image-text encoder is asked with, about classes that are of the kind `domain`.
    pub(crate) fn prompts(&self, args: &ClipArgs, domain: Option<&str>) -> Result<Prompts> {
        let by_default = Prompts {
            domain: domain.map(str::to_owned),
            ..Prompts::default()
        };
        let mut prompts = self.config.section("prompts", by_default)?;
        if let Some(domain) = &args.domain {
            prompts.domain = Some(domain.clone());
        }
        if let Some(file) = &args.prompts {
            prompts.templates = PromptTemplates::from_file(file)?;
        }
        Ok(prompts)
    }

    /// Options of explanation and ranking; the original's are all its own, beside which none are
    /// given.
    pub(crate) fn explaining(
        &self,
        original: bool,
    ) -> Result<(CounterfactualConfig, RankingConfig)> {
        if original {
            for section in ["counterfactual", "ranking"] {
                if self.config.has(section) {
                    bail!(
                        "--original takes the original's options, but --config gives '{section}': \
                         leave one of them out"
                    );
                }
            }
            return Ok((CounterfactualConfig::original(), RankingConfig::original()));
        }
        Ok((
            self.config
                .section("counterfactual", CounterfactualConfig::default())?,
            self.config.section("ranking", RankingConfig::default())?,
        ))
    }

    /// Options of the smallest changes, and of the stability of a ranking.
    pub(crate) fn certified(&self) -> Result<CertifiedConfig> {
        self.stage_of_certified(CertifiedConfig::default())
    }

    fn stage_of_certified(&self, mut base: CertifiedConfig) -> Result<CertifiedConfig> {
        base.stability.seed = self.seed;
        let mut config = self.config.section("certified", base)?;
        if let Some(seed) = self.given_seed {
            config.stability.seed = seed;
        }
        Ok(config)
    }

    /// Options of editing.
    pub(crate) fn editing(&self, args: &EditingArgs) -> Result<EditConfig> {
        let mut config = self.stage_of_edit(EditConfig::default())?;
        if let Some(target) = args.target {
            config = config.with_target(target.0);
        }
        if let Some(ratio) = args.ratio {
            config.ratio_form = ratio;
        }
        if let Some(lambda) = args.lambda {
            config = config.with_lambda3(lambda);
        }
        let training = &mut config.training;
        if let Some(epochs) = args.epochs {
            training.epochs = epochs;
        }
        if let Some(rate) = args.learning_rate {
            training.learning_rate = rate;
        }
        if let Some(keep) = args.keep {
            training.keep = keep;
        }
        if let Some(patience) = args.patience {
            if training.keep == Keep::Last {
                bail!(
                    "--patience does nothing where the last epoch is kept, as it is unless --keep \
                     says otherwise: all epochs are run"
                );
            }
            training.patience = Some(patience);
        }
        config.validate()?;
        Ok(config)
    }

    fn stage_of_edit(&self, mut base: EditConfig) -> Result<EditConfig> {
        base.training.seed = self.seed;
        let mut config = self.config.section("editing", base)?;
        if let Some(seed) = self.given_seed {
            config.training.seed = seed;
        }
        Ok(config)
    }

    /// Options of visualization. Without a guide, the objective by default is the one that needs
    /// none. `class_named` finds the classes that an expression names.
    pub(crate) fn illusion(
        &self,
        args: &IllusionArgs,
        guided: bool,
        precision: Precision,
        class_named: &dyn Fn(&str) -> Result<ClassId>,
    ) -> Result<(Recipe, Execution)> {
        let base = match args.objective {
            Some(ObjectiveName::Feature) => Recipe::feature_visualization(),
            _ => Recipe::default(),
        };
        let mut recipe = self.recipe(base, precision)?;
        if let Some(objective) = self.objective(args, guided, class_named)? {
            recipe = recipe.with_objective(objective);
        }
        if recipe.objective.needs_guide() && !guided {
            bail!(
                "the objective {} needs --clip-weights FILE",
                recipe.objective
            );
        }
        if let Some(parameter) = args.parameter {
            self.set_parameter(parameter, args.magnitudes.as_deref(), &mut recipe)?;
        }
        if let Some(steps) = args.iterations {
            recipe = recipe.with_steps(steps);
        }
        if let Some(size) = args.size {
            recipe = recipe.with_size(size);
        }
        recipe.validate()?;
        let mut execution = self.config.section("execution", Execution::default())?;
        if let Some(size) = args.picture_batch {
            execution.batch_size = size;
        }
        if let Some(seeds) = args.other_seeds {
            execution.other_seeds = seeds;
        }
        execution.validate()?;
        Ok((recipe, execution))
    }

    /// What is optimised, and at a rate that serves it, unless the configuration gives one.
    fn set_parameter(
        &self,
        parameter: ParameterName,
        magnitudes: Option<&Path>,
        recipe: &mut Recipe,
    ) -> Result<()> {
        if magnitudes.is_some() && parameter != ParameterName::Maco {
            bail!("--magnitudes is for --parameter maco");
        }
        recipe.parameter = match parameter {
            ParameterName::Spectrum => ImageParameter::Spectrum,
            ParameterName::Pixels => ImageParameter::Pixels,
            ParameterName::Maco => {
                let magnitudes = match magnitudes {
                    Some(file) => magnitudes::read(file)?,
                    None => Demo::magnitudes()?,
                };
                let maco = Recipe::maco(magnitudes);
                if self.config.get("recipe", "learning_rate").is_none() {
                    recipe.learning_rate = maco.learning_rate;
                }
                maco.parameter
            }
        };
        Ok(())
    }

    /// Which units of layers are looked at; `None` where none are named.
    pub(crate) fn units(
        &self,
        args: &UnitArgs,
        classifier: &dyn Classifier,
    ) -> Result<Option<UnitChoice>> {
        let mut choice = self.config.section("units", UnitChoice::default())?;
        let given = units::named(args, classifier)?;
        if !given.is_empty() {
            choice.units = given;
        }
        if let Some(top) = args.top {
            choice.top = top;
        }
        match choice.units.is_empty() {
            true if args.layer.is_some() || args.top.is_some() => {
                bail!("--layer and --top go with --unit or --direction")
            }
            empty => Ok((!empty).then_some(choice)),
        }
    }

    /// Which units an atlas is of, and within how many classes.
    pub(crate) fn atlas(&self, args: &MakeArgs) -> Result<AtlasChoice> {
        let mut choice = self.config.section("atlas", AtlasChoice::default())?;
        if let Some(layer) = &args.layer {
            choice.layer = Some(layer.clone());
        }
        if let Some(classes) = args.top_classes {
            choice.classes = classes;
        }
        Ok(choice)
    }

    fn recipe(&self, base: Recipe, precision: Precision) -> Result<Recipe> {
        let base = base.with_seed(self.seed);
        let recipe = self.config.section("recipe", base)?;
        let recipe = recipe.with_precision(precision);
        Ok(match self.given_seed {
            Some(seed) => recipe.with_seed(seed),
            None => recipe,
        })
    }

    /// The objective of the command line, or the one by default; `None` where the configuration's
    /// holds.
    fn objective(
        &self,
        args: &IllusionArgs,
        guided: bool,
        class_named: &dyn Fn(&str) -> Result<ClassId>,
    ) -> Result<Option<Objective>> {
        let gamma = args.class_gamma.unwrap_or(CLASS_GAMMA);
        Ok(Some(match &args.objective {
            Some(ObjectiveName::Clip) if !guided => {
                bail!("--objective clip needs --clip-weights FILE")
            }
            Some(ObjectiveName::Feature) if args.class_gamma.is_some() => bail!(
                "--class-gamma does nothing with --objective feature: feature visualization weighs \
                 the class's logit by a constant of its own"
            ),
            Some(ObjectiveName::Expression(_)) if args.class_gamma.is_some() => bail!(
                "--class-gamma does nothing where --objective is an expression: write \
                 'neuron + X * logit'"
            ),
            None if self.config.get("recipe", "objective").is_some() => {
                if args.class_gamma.is_some() {
                    bail!(
                        "--class-gamma belongs to the objectives of --objective, but --config gives \
                         one: give --objective, too, or change the weight in the file"
                    );
                }
                return Ok(None);
            }
            Some(ObjectiveName::Clip) => Objective::clip_illusion(gamma, DOMAIN_EPS),
            None if guided => Objective::clip_illusion(gamma, DOMAIN_EPS),
            Some(ObjectiveName::Class) | None => Objective::without_clip(gamma),
            Some(ObjectiveName::Feature) => Recipe::feature_visualization().objective,
            Some(ObjectiveName::Expression(text)) => {
                let class = |name: &str| class_named(name).map_err(|error| error.to_string());
                Objective::parse(text, class)?
            }
        }))
    }

    /// Options of training.
    pub(crate) fn training(&self, args: &TrainArgs) -> Result<TrainConfig> {
        if args.data.reading.on_corrupt.is_some() {
            bail!("--on-corrupt: training stops at an image that cannot be read; remove the image");
        }
        let mut base = args.recipe.map_or_else(TrainConfig::default, Into::into);
        base.seed = self.seed;
        let mut config = self.config.section("training", base)?;
        config.seed = self.given_seed.unwrap_or(config.seed);
        if args.decision_layer {
            config.part = TrainedPart::DecisionLayer;
        }
        if let Some(optimizer) = args.optimizer {
            config.optimizer = match optimizer {
                OptimizerName::Sgd => Optimizer::Sgd { momentum: 0.9 },
                OptimizerName::Adam => Optimizer::Adam,
                OptimizerName::AdamW => Optimizer::AdamW,
            };
        }
        if let Some(rate) = args.learning_rate {
            config.learning_rate = rate;
        }
        if let Some(decay) = args.weight_decay {
            config.weight_decay = decay;
        }
        if let Some(size) = args.data.reading.batch_size {
            config.batch_size = size;
        }
        if let Some(epochs) = args.epochs {
            config.epochs = epochs;
        }
        config.augmentation.flip |= args.flip;
        if let Some(shift) = args.shift {
            config.augmentation.shift = shift;
        }
        if let Some(keep) = args.keep {
            config.keep = keep;
        }
        config.validate()?;
        Ok(config)
    }

    /// How images are corrupted.
    pub(crate) fn corruption(&self, args: &CorruptArgs) -> Result<CorruptedConfig> {
        let base = CorruptedConfig::default().with_seed(self.seed);
        let mut config = self.config.section("corruption", base)?;
        config.seed = self.given_seed.unwrap_or(config.seed);
        if let Some(share) = args.conflicting {
            config.conflicting = share;
        }
        if let Some(groups) = args.groups {
            config.groups = groups;
        }
        Ok(config)
    }

    /// What of `debug` is of no stage: which neurons, and how many of them are pictured.
    pub(crate) fn debug(&self, base: DebugConfig) -> Result<DebugConfig> {
        self.config.section("debug", base)
    }

    /// Options of the three stages, by themselves and by the configuration.
    pub(crate) fn stages(&self, base: DebugConfig, precision: Precision) -> Result<DebugConfig> {
        let base = self.debug(base)?;
        Ok(DebugConfig {
            counterfactual: self.config.section("counterfactual", base.counterfactual)?,
            ranking: self.config.section("ranking", base.ranking)?,
            certified: self.stage_of_certified(base.certified)?,
            editing: self.stage_of_edit(base.editing)?,
            recipe: self.recipe(base.recipe, precision)?,
            execution: self.config.section("execution", base.execution)?,
            ..base
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The program's objectives are the library's where nothing else is said.
    #[test]
    fn objectives_are_those_of_the_recipes() {
        let ours = Objective::clip_illusion(CLASS_GAMMA, DOMAIN_EPS);
        assert_eq!(ours, Recipe::default().objective);
        assert_eq!(
            ours.without_guide(),
            Some(Objective::without_clip(CLASS_GAMMA))
        );
    }
}
