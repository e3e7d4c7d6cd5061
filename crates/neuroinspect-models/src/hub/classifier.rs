//! Classifiers of timm on the hub.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use neuroinspect_core::{InputSpec, Observer, io::read_text};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{CONFIG, Hub, HubError, HubName};
use crate::{Error, Result, families::Pretrained, registry::check_name};

/// Weights by timm's names, the safe ones first.
const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// What a registered architecture takes its features from, as timm calls it: transformers from their class token, but for
/// those whose name has `gap` (`timm/models/vision_transformer.py`, `deit.py`), and the others from the mean of a map. So it
/// is of all that are registered, by timm 1.0.31.
fn pooling(architecture: &str) -> &'static str {
    let is_transformer = ["vit_", "flexivit_", "deit"]
        .iter()
        .any(|family| architecture.starts_with(family));
    match is_transformer && !architecture.contains("_gap_") {
        true => "token",
        false => "avg",
    }
}

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
        config.check_options(&json).map_err(wrong)?;
        let mut cfg = match json.get("pretrained_cfg") {
            Some(Value::Object(cfg)) => cfg.clone(),
            // Of before 2023, when all was side by side.
            _ => json.clone(),
        };
        // Of a network trained at another size, the rest may still say that of the weights it began with.
        let size = json.get("model_args").and_then(|it| it.get("img_size"));
        if let (Some(size), Some(Value::Bool(true))) = (size, cfg.get("fixed_input_size")) {
            let [height, width] = match size {
                Value::Array(sides) if sides.len() == 2 => [sides[0].clone(), sides[1].clone()],
                side => [side.clone(), side.clone()],
            };
            if !size.is_null() {
                cfg.insert("input_size".to_owned(), json!([3, height, width]));
                cfg.remove("test_input_size");
            }
        }
        let input =
            Pretrained::of_timm(&cfg).map_err(|it| wrong(format!("pretrained_cfg.{it}")))?;
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
        Ok(config)
    }

    /// Refuses options of timm's builders that make another network than the registered one. timm writes some with the
    /// values that it has by itself, too.
    fn check_options(&self, json: &Map<String, Value>) -> Result<(), String> {
        let pooling = pooling(&self.architecture);
        let arguments = json.get("model_args").and_then(Value::as_object);
        for (option, value) in arguments.into_iter().flatten() {
            let is_its_own = match option.as_str() {
                // What the weights and the input say, too.
                "num_classes" | "img_size" => true,
                "in_chans" => *value == 3,
                "global_pool" => *value == pooling,
                // Of training alone.
                "drop_rate" | "drop_path_rate" | "proj_drop_rate" | "attn_drop_rate"
                | "pos_drop_rate" => true,
                _ => false,
            };
            if !is_its_own && !value.is_null() {
                return Err(format!(
                    "model_args: {option:?} = {value} makes another network of '{}' than the one here",
                    self.architecture
                ));
            }
        }
        match json.get("global_pool") {
            Some(Value::String(found)) if !found.is_empty() && found != pooling => Err(format!(
                "global_pool = {found:?} makes another network of '{}' than the one here, which has {pooling:?}",
                self.architecture
            )),
            _ => Ok(()),
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
