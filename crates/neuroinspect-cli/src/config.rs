//! `--config FILE`: options by stage, as every output file records them.
//!
//! The file is read as what it is to be first, so that a key that is unknown, or a value of the
//! wrong kind, is named with its line. What it says is then laid over the options that the command
//! has by itself, key by key; the command line comes last.

use std::path::Path;

use anyhow::{Context, Error, Result, bail};
use neuroinspect::{
    DebugConfig, UnitsConfig,
    atlas::AtlasConfig,
    concepts::{ConceptCounterfactualConfig, LabelConfig, LearningConfig, TcavConfig},
    core::{InputSpec, Precision, Seed, Unit, io::read_text},
    counterfactual::{CertifiedConfig, CounterfactualConfig, RankingConfig},
    datasets::{LoaderConfig, corrupted::CorruptedConfig},
    editing::EditConfig,
    illusion::{Execution, Recipe},
    models::prompts::PromptTemplates,
    training::TrainConfig,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// The stages that `debug` chains: each stands by itself in a file or within `debug`.
const STAGES: [&str; 6] = [
    "counterfactual",
    "ranking",
    "certified",
    "editing",
    "recipe",
    "execution",
];

/// What stands in a configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sections {
    seed: Option<Seed>,
    precision: Option<Precision>,
    input: Option<InputSpec>,
    loader: Option<LoaderConfig>,
    prompts: Option<Prompts>,
    counterfactual: Option<CounterfactualConfig>,
    ranking: Option<RankingConfig>,
    certified: Option<CertifiedConfig>,
    editing: Option<EditConfig>,
    recipe: Option<Recipe>,
    execution: Option<Execution>,
    training: Option<TrainConfig>,
    corruption: Option<CorruptedConfig>,
    labels: Option<LabelConfig>,
    concept_learning: Option<LearningConfig>,
    concept_counterfactual: Option<ConceptCounterfactualConfig>,
    tcav: Option<TcavConfig>,
    debug: Option<DebugConfig>,
    units: Option<UnitChoice>,
    atlas: Option<AtlasChoice>,
}

/// Which units of layers are looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UnitChoice {
    pub(crate) units: Vec<Unit>,
    /// How many real images of each.
    pub(crate) top: usize,
}

impl Default for UnitChoice {
    fn default() -> Self {
        let UnitsConfig { units, top, .. } = UnitsConfig::default();
        Self { units, top }
    }
}

/// Which units an atlas is of, and within how many classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AtlasChoice {
    pub(crate) layer: Option<String>,
    pub(crate) classes: usize,
}

impl Default for AtlasChoice {
    fn default() -> Self {
        let AtlasConfig { layer, classes, .. } = AtlasConfig::default();
        Self { layer, classes }
    }
}

/// What an image-text encoder is asked with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Prompts {
    /// What kind of thing the classes are.
    pub(crate) domain: Option<String>,
    /// Prompts with `{}` for the class.
    pub(crate) templates: PromptTemplates,
}

impl Default for Prompts {
    fn default() -> Self {
        Self {
            domain: None,
            templates: PromptTemplates::parts32(),
        }
    }
}

/// An output file; its configuration is read where it stands, so that lines are those of the file.
#[derive(Deserialize)]
struct OutputFile {
    run: OutputRun,
}

#[derive(Deserialize)]
struct OutputRun {
    configs: Sections,
}

/// The options that a configuration file gives; none without a file.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) seed: Option<Seed>,
    pub(crate) precision: Option<Precision>,
    pub(crate) input: Option<InputSpec>,
    /// The sections by name, with the keys that are there and no others.
    sections: Map<String, Value>,
}

impl Config {
    /// Reads the file that `--config` names, if it names one.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        match path {
            Some(path) => {
                Self::read(path).with_context(|| format!("configuration '{}'", path.display()))
            }
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        match path.extension() {
            Some(extension) if extension == "toml" => Self::from_toml(&text),
            _ => Self::from_json(&text),
        }
    }

    fn from_toml(text: &str) -> Result<Self> {
        let given: toml::Table = toml::from_str(text).map_err(of_toml)?;
        let sections = toml::from_str(text).map_err(of_toml)?;
        Self::new(serde_json::to_value(given)?, &sections)
    }

    fn from_json(text: &str) -> Result<Self> {
        let mut given: Value = serde_json::from_str(text)?;
        let sections = match given.pointer_mut("/run/configs") {
            Some(configs) => {
                given = configs.take();
                serde_json::from_str::<OutputFile>(text)?.run.configs
            }
            None => serde_json::from_str(text)?,
        };
        Self::new(given, &sections)
    }

    fn new(given: Value, sections: &Sections) -> Result<Self> {
        let Value::Object(mut given) = given else {
            bail!("expected sections by name");
        };
        sections.validate()?;
        if let Some(Value::Object(mut debug)) = given.remove("debug") {
            for stage in STAGES {
                let Some(options) = debug.remove(stage) else {
                    continue;
                };
                if given.insert(stage.to_owned(), options).is_some() {
                    bail!("'{stage}' stands there twice: by itself, and within 'debug'");
                }
            }
            given.insert("debug".to_owned(), Value::Object(debug));
        }
        let recipe = given
            .get("recipe")
            .and_then(|recipe| recipe.get("precision"));
        if let (Some(networks), Some(Value::String(recipe))) = (sections.precision, recipe)
            && networks.to_string() != *recipe
        {
            bail!(
                "'precision' is {networks}, but that of 'recipe' is {recipe}: all networks of a run \
                 compute in one"
            );
        }
        Ok(Self {
            seed: sections.seed,
            precision: sections.precision(),
            input: sections.input.clone(),
            sections: given,
        })
    }

    /// A stage's options: `base`, but for what the file says.
    pub(crate) fn section<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        base: T,
    ) -> Result<T> {
        let Some(Value::Object(given)) = self.sections.get(name) else {
            return Ok(base);
        };
        let mut options = serde_json::to_value(base)?;
        if let Value::Object(options) = &mut options {
            lay_over(options, given);
        }
        serde_json::from_value(options).with_context(|| format!("section '{name}'"))
    }

    /// Whether the file has a section.
    pub(crate) fn has(&self, section: &str) -> bool {
        self.sections.contains_key(section)
    }

    /// The value of a key of a section, where the file has it.
    pub(crate) fn get(&self, section: &str, key: &str) -> Option<&Value> {
        self.sections.get(section)?.get(key)
    }
}

impl Sections {
    /// What networks compute in: one number format for all of a run.
    fn precision(&self) -> Option<Precision> {
        let within_debug = self.debug.as_ref().map(|debug| &debug.recipe);
        let recipe = self.recipe.as_ref().or(within_debug);
        self.precision.or(recipe.map(|recipe| recipe.precision))
    }

    /// Refuses what no command takes, for the file's name to stand beside it.
    fn validate(&self) -> Result<()> {
        /// A section that is there, valid or not.
        fn of<T, E: Into<Error>>(
            section: Option<&T>,
            validate: impl FnOnce(&T) -> Result<(), E>,
        ) -> Result<()> {
            section.map_or(Ok(()), |section| validate(section).map_err(Into::into))
        }
        for (name, valid) in [
            ("input", of(self.input.as_ref(), InputSpec::validate)),
            ("loader", of(self.loader.as_ref(), LoaderConfig::validate)),
            (
                "counterfactual",
                of(self.counterfactual.as_ref(), CounterfactualConfig::validate),
            ),
            (
                "ranking",
                of(self.ranking.as_ref(), RankingConfig::validate),
            ),
            (
                "certified",
                of(self.certified.as_ref(), CertifiedConfig::validate),
            ),
            ("editing", of(self.editing.as_ref(), EditConfig::validate)),
            ("recipe", of(self.recipe.as_ref(), Recipe::validate)),
            (
                "execution",
                of(self.execution.as_ref(), Execution::validate),
            ),
            (
                "training",
                of(self.training.as_ref(), TrainConfig::validate),
            ),
            (
                "corruption",
                of(self.corruption.as_ref(), CorruptedConfig::validate),
            ),
            ("labels", of(self.labels.as_ref(), LabelConfig::validate)),
            (
                "concept_learning",
                of(self.concept_learning.as_ref(), LearningConfig::validate),
            ),
            (
                "concept_counterfactual",
                of(
                    self.concept_counterfactual.as_ref(),
                    ConceptCounterfactualConfig::validate,
                ),
            ),
            ("tcav", of(self.tcav.as_ref(), TcavConfig::validate)),
            ("debug", of(self.debug.as_ref(), DebugConfig::validate)),
        ] {
            valid.with_context(|| format!("section '{name}'"))?;
        }
        Ok(())
    }
}

/// Puts what is given in the place of what is there. Of a group of options, those given: it is one
/// where all that is given has its place, and else the value of an option, of which nothing is to be
/// left.
fn lay_over(options: &mut Map<String, Value>, given: &Map<String, Value>) {
    for (key, value) in given {
        match (options.get_mut(key), value) {
            (Some(Value::Object(group)), Value::Object(given))
                if given.keys().all(|key| group.contains_key(key)) =>
            {
                lay_over(group, given);
            }
            _ => {
                options.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The message of TOML's parser shows the line, over several lines that end with a line break.
fn of_toml(error: toml::de::Error) -> Error {
    Error::msg(error.to_string().trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_readmes_file_is_one() {
        let readme = include_str!("../../../README.md");
        let (_, file) = readme.split_once("```toml\n").unwrap();
        let (file, _) = file.split_once("```").unwrap();
        let config = Config::from_toml(file).unwrap();
        assert_eq!(config.seed, Some(Seed(7)));
        let ranking = config.section("ranking", RankingConfig::default()).unwrap();
        assert_eq!(ranking.top, 3);
        let editing = config.section("editing", EditConfig::default()).unwrap();
        assert_eq!(editing.training.epochs, 20);
        let recipe = config.section("recipe", Recipe::default()).unwrap();
        assert_eq!((recipe.steps, recipe.size), (300, Some(160)));
    }

    /// Groups of options are laid over, values of options are not mixed.
    #[test]
    fn what_is_given_is_laid_over_what_is_there() {
        let laid_over = |options: Value, given: Value| {
            let (Value::Object(mut options), Value::Object(given)) = (options, given) else {
                panic!("objects");
            };
            lay_over(&mut options, &given);
            Value::Object(options)
        };
        assert_eq!(
            laid_over(
                json!({"training": {"epochs": 20, "seed": 9}, "lambda3": 0.5}),
                json!({"training": {"epochs": 3}})
            ),
            json!({"training": {"epochs": 3, "seed": 9}, "lambda3": 0.5})
        );
        for (there, given) in [
            (json!({"auto": {"count": 5}}), json!({"given": [1]})),
            (json!({"auto": {"count": 5}}), json!("listed")),
            (json!("auto"), json!({"fixed": 1.5})),
            (json!({"sum": ["neuron"]}), json!({"product": ["neuron"]})),
            (
                json!({"sum": ["neuron", "logit"]}),
                json!({"sum": ["neuron"]}),
            ),
        ] {
            let expected = json!({"choice": given});
            assert_eq!(
                laid_over(json!({"choice": there}), expected.clone()),
                expected
            );
        }
    }
}
