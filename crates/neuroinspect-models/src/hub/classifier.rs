//! Classifiers of timm on the hub.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use neuroinspect_core::{InputSpec, Observer, io::read_text};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{CONFIG, Hub, HubError, HubName};
use crate::{Error, Result, families::Pretrained, registry::check_name};

/// Weights by timm's names, the safe ones first.
const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// Options of timm's builders that only say what config and weights say, too.
const HARMLESS: [&str; 2] = ["img_size", "num_classes"];

/// A classifier on the hub, by its config; its weights are yet to be [asked for](Self::weights).
#[derive(Clone, Debug)]
pub struct HubClassifier {
    /// Name of the registered model that it is.
    pub architecture: String,
    /// Number of classes; 0 for weights without a decision layer, as DINO's.
    pub classes: usize,
    /// The pixels it wants to see.
    pub input: InputSpec,
    /// What the classes are called, in the model's order; empty where the config does not give a name of its
    /// own to each.
    pub class_names: Vec<String>,
    /// At the commit of its config.
    name: HubName,
    hub: Hub,
}

impl Hub {
    /// A classifier of timm. Its `config.json` is downloaded and nothing else.
    ///
    /// The input is that of the same rule as all tags' here ([`ModelTag::input`](crate::ModelTag)): what
    /// timm tests the weights with.
    ///
    /// # Errors
    ///
    /// [`Error::Hub`]: [`HubError::Architecture`] for an architecture that is not registered,
    /// [`HubError::ModelConfig`] for a config that cannot be followed, and those of the way to it.
    /// [`neuroinspect_core::Error::Cancelled`] when the observer asks to stop.
    pub fn classifier(&self, name: &HubName, observer: &mut dyn Observer) -> Result<HubClassifier> {
        let kept = self.config_file(name, CONFIG, observer)?;
        let kept = kept.ok_or_else(|| self.missing(name, &[CONFIG]))?;
        let wrong = |reason: String| HubError::ModelConfig {
            file: CONFIG,
            repository: name.to_string(),
            reason,
        };
        let json: Map<String, Value> = serde_json::from_str(&read_text(&kept.path)?)
            .map_err(|error| wrong(error.to_string()))?;
        let config = TimmConfig::of(&json).map_err(wrong)?;
        if let Err(error) = check_name(&config.architecture) {
            let nearest = match error {
                Error::UnknownModel { nearest, .. } => nearest,
                _ => None,
            };
            return Err(HubError::Architecture {
                repository: name.to_string(),
                architecture: config.architecture,
                nearest,
            }
            .into());
        }
        let cfg = match json.get("pretrained_cfg") {
            Some(Value::Object(cfg)) => cfg,
            // Of before 2023, when all was side by side.
            _ => &json,
        };
        let input = Pretrained::of_timm(cfg).map_err(|it| wrong(format!("pretrained_cfg.{it}")))?;
        let input = input.input();
        input.validate().map_err(|error| wrong(error.to_string()))?;
        let class_names = config.class_names();
        Ok(HubClassifier {
            architecture: config.architecture,
            classes: config.num_classes,
            input,
            class_names,
            name: name.at(kept.commit),
            hub: self.clone(),
        })
    }
}

impl HubClassifier {
    /// Its weights as a file in the cache, downloaded if they are not there: those of the commit that the
    /// config is of.
    ///
    /// # Errors
    ///
    /// [`Error::Hub`], and [`neuroinspect_core::Error::Cancelled`] when the observer asks to stop.
    pub fn weights(&self, observer: &mut dyn Observer) -> Result<PathBuf> {
        self.hub.weights(&self.name, &WEIGHTS, observer)
    }
}

/// What timm's `save_config_for_hf` writes, so far as it decides something.
#[derive(Debug, Deserialize)]
struct TimmConfig {
    architecture: String,
    num_classes: usize,
    #[serde(default)]
    label_names: Option<Labels>,
}

/// Names of classes: by number, or in order.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Labels {
    List(Vec<String>),
    ByNumber(BTreeMap<String, String>),
}

impl TimmConfig {
    fn of(json: &Map<String, Value>) -> Result<Self, String> {
        let of_transformers = json.get("architectures").or_else(|| json.get("model_type"));
        if let (None, Some(kind)) = (json.get("architecture"), of_transformers) {
            let kind: String = kind.to_string().chars().take(80).collect();
            return Err(format!(
                "expected a model of timm, found transformers' {kind}"
            ));
        }
        let config = Value::Object(json.clone());
        let config: Self = serde_json::from_value(config).map_err(|error| error.to_string())?;
        if config.architecture.len() > 100 {
            return Err("its architecture is no name".to_owned());
        }
        if config.num_classes > 1_000_000 {
            let classes = config.num_classes;
            return Err(format!("num_classes = {classes}: expected 1000000 at most"));
        }
        let arguments = json.get("model_args").and_then(Value::as_object);
        let mut options = arguments.into_iter().flat_map(Map::keys);
        match options.find(|option| !HARMLESS.contains(&&option[..])) {
            Some(option) => Err(format!(
                "model_args: {option:?} makes another network of '{}' than the one here",
                config.architecture
            )),
            None => Ok(config),
        }
    }

    /// A name for every class, none twice; or none.
    fn class_names(&self) -> Vec<String> {
        let names: Vec<String> = match &self.label_names {
            None => Vec::new(),
            Some(Labels::List(names)) => names.clone(),
            Some(Labels::ByNumber(names)) => {
                let name = |class: usize| names.get(&class.to_string()).cloned();
                (0..self.num_classes).map_while(name).collect()
            }
        };
        let different: BTreeSet<_> = names.iter().collect();
        match [names.len(), different.len()] == [self.num_classes; 2] {
            true => names,
            false => Vec::new(),
        }
    }
}
