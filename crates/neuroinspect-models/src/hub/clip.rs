//! CLIPs and SigLIPs of open_clip and transformers on the hub.

use std::path::PathBuf;

use neuroinspect_core::{Observer, io::read_text};

use super::{CONFIG, Hub, HubError, HubName, transformers};
use crate::{
    Error, Result,
    clip::{ClipConfig, OPTIONS, TOKENIZER},
};

const OPEN_CLIP: &str = "open_clip_config.json";
const PREPROCESSOR: &str = "preprocessor_config.json";

/// Weights by open_clip's and transformers' names, the safe ones first.
const WEIGHTS_OF_OPEN_CLIP: [&str; 2] =
    ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"];
const WEIGHTS_OF_TRANSFORMERS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// A CLIP on the hub, by its config; its weights are yet to be [asked for](Self::weights).
#[derive(Clone, Debug)]
pub struct HubClip {
    /// Its towers and its input.
    pub config: ClipConfig,
    files: [&'static str; 2],
    /// At the commit of its config.
    name: HubName,
    hub: Hub,
}

impl Hub {
    /// A CLIP: of open_clip where the repository has an `open_clip_config.json`, else transformers'
    /// `CLIPModel` or `SiglipModel` by its `config.json`, with the preprocessing in its `preprocessor_config.json`. Nothing
    /// else is downloaded.
    ///
    /// # Errors
    ///
    /// [`Error::ClipConfig`] for a config of open_clip that cannot be followed; [`Error::Hub`]:
    /// [`HubError::ModelConfig`] for one of transformers, and those of the way to it.
    /// [`neuroinspect_core::Error::Cancelled`] when the observer asks to stop.
    pub fn clip(&self, name: &HubName, observer: &mut dyn Observer) -> Result<HubClip> {
        let found = |config, files, commit| HubClip {
            config,
            files,
            name: name.at(commit),
            hub: self.clone(),
        };
        if let Some(kept) = self.config_file(name, OPEN_CLIP, observer)? {
            let origin = format!("'{OPEN_CLIP}' of {name}");
            let config = ClipConfig::from_json(&read_text(&kept.path)?, &origin)?;
            return Ok(found(config, WEIGHTS_OF_OPEN_CLIP, kept.commit));
        }
        let kept = self.config_file(name, CONFIG, observer)?;
        let kept = kept.ok_or_else(|| self.missing(name, &[OPEN_CLIP, CONFIG]))?;
        let wrong = |file| {
            move |reason: String| HubError::ModelConfig {
                file,
                repository: name.to_string(),
                reason,
            }
        };
        let json = read_text(&kept.path)?;
        let config = transformers::clip_config(&json, &name.to_string());
        let mut config = config.map_err(wrong(CONFIG))?;
        let at_commit = name.at(kept.commit.clone());
        if let Some(kept) = self.config_file(&at_commit, PREPROCESSOR, observer)? {
            let json = read_text(&kept.path)?;
            let input = transformers::input(&json).map_err(wrong(PREPROCESSOR))?;
            config = config.with_input(input);
        }
        let valid = config.validate();
        valid.map_err(|error: Error| wrong(CONFIG)(error.to_string()))?;
        Ok(found(config, WEIGHTS_OF_TRANSFORMERS, kept.commit))
    }
}

impl HubClip {
    /// Its weights as a file in the cache, downloaded if they are not there: those of the commit that the
    /// config is of. A SigLIP's tokenizer comes with them.
    ///
    /// # Errors
    ///
    /// [`Error::Hub`], and [`neuroinspect_core::Error::Cancelled`] when the observer asks to stop.
    pub fn weights(&self, observer: &mut dyn Observer) -> Result<PathBuf> {
        if self.config.siglip.is_some() {
            for file in [TOKENIZER, OPTIONS] {
                // Tens of megabytes, where there are many words.
                self.hub.weights(&self.name, &[file], observer)?;
            }
        }
        self.hub.weights(&self.name, &self.files, observer)
    }
}
