//! Models by their names on the Hugging Face hub: `hf://timm/resnet18.a1_in1k`.
//!
//! A classifier is one of timm's, whose `config.json` decides architecture, classes and preprocessing; a
//! CLIP one of open_clip's or transformers'. Only configs and weights are downloaded, safetensors rather than
//! pickles, and pickles are read without running anything in them.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use neuroinspect_core::Silent;
//! use neuroinspect_models::{LoadConfig, hub::{Hub, HubConfig}, load_classifier};
//!
//! # fn main() -> neuroinspect_models::Result<()> {
//! let hub = Hub::new(HubConfig::from_env()?)?;
//! let found = hub.classifier(&"hf://timm/resnet18.a1_in1k".parse()?, &mut Silent)?;
//! let weights = found.weights(&mut Silent)?;
//! let config = LoadConfig::default().with_input(found.input);
//! let loaded = load_classifier(&found.architecture, weights, &config, &Device::flex())?;
//! # let _ = loaded;
//! # Ok(())
//! # }
//! ```
//!
//! Files lie in the cache that Python's `huggingface_hub` uses ([`HubConfig::from_env`]), and each is
//! downloaded once, whoever does it. A download that was interrupted goes on where it ended, also in
//! another process; two processes that want the same file take turns. Of a file in git-lfs, as weights are, the
//! hub announces the SHA-256: content is checked against it each time before it is used, downloaded just now or
//! long ago; where the cache cannot have links (Windows), when it is downloaded.

mod cache;
mod classifier;
mod clip;
mod config;
mod error;
mod name;
mod transfer;
mod transformers;

use std::{fs, path::PathBuf};

use neuroinspect_core::Observer;
use ureq::Agent;

use cache::{Cache, Kept, check, is_commit, written};
pub use classifier::HubClassifier;
pub use clip::HubClip;
pub use config::HubConfig;
pub use error::HubError;
pub use name::{HubName, SCHEME};
pub use transfer::download;
use transfer::{Wanted, agent};

use crate::{Error, Result};

/// The config of timm's models and of transformers'.
const CONFIG: &str = "config.json";

/// A hub of models.
#[derive(Clone, Debug)]
pub struct Hub {
    config: HubConfig,
    agent: Agent,
}

impl Hub {
    /// A hub; nothing is asked of it yet.
    ///
    /// # Errors
    ///
    /// As [`HubConfig::validate`].
    pub fn new(config: HubConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            agent: agent(&config),
            config,
        })
    }

    /// A small file, a config; none where the repository is known to have no such file.
    fn config_file(
        &self,
        name: &HubName,
        file: &'static str,
        observer: &mut dyn Observer,
    ) -> Result<Option<Kept>> {
        let limit = 4 << 20;
        let found = self.file(name, Wanted { file, limit }, observer)?;
        let cache = Cache::of(&self.config.cache, name);
        // That it was never downloaded does not say that there is none.
        if found.is_none() && self.config.offline && !cache.lacks(name.revision(), file) {
            return Err(self.missing(name, &[file]));
        }
        Ok(found)
    }

    /// The first of several files of weights that the repository has.
    fn weights(
        &self,
        name: &HubName,
        files: &[&'static str],
        observer: &mut dyn Observer,
    ) -> Result<PathBuf> {
        let limit = 64 << 30;
        for file in files {
            if let Some(kept) = self.file(name, Wanted { file, limit }, observer)? {
                return Ok(kept.path);
            }
        }
        Err(self.missing(name, files))
    }

    /// A file of the revision, downloaded if it is not in the cache; none where the repository, or offline
    /// the cache, has no such file.
    fn file(
        &self,
        name: &HubName,
        wanted: Wanted,
        observer: &mut dyn Observer,
    ) -> Result<Option<Kept>> {
        let cache = Cache::of(&self.config.cache, name);
        let kept = cache.find(name.revision(), wanted.file);
        if self.config.offline {
            if let Some(kept) = &kept {
                check(&kept.path, "delete it, and download it again")?;
            }
            return Ok(kept);
        }
        // What a commit holds never changes; a branch may have moved on.
        if let Some(kept) = kept
            && is_commit(name.revision())
            && check(&kept.path, "").is_ok()
        {
            return Ok(Some(kept));
        }
        let Some(announced) = self.announced(name, wanted)? else {
            return Ok(None);
        };
        let (blob, part) = (cache.blob(&announced.etag), cache.part(&announced.etag));
        let _lock = cache.lock(&announced.etag, observer)?;
        let there = fs::metadata(&blob).is_ok_and(|it| it.len() == announced.size);
        if !there || check(&blob, "").is_err() {
            if let Some(folder) = part.parent() {
                fs::create_dir_all(folder).map_err(|error| written(folder, error))?;
            }
            self.download(name, wanted, &announced, &part, observer)?;
            let advice = "it was thrown away; the same command downloads it again";
            if let Err(error) = check(&part, advice) {
                fs::remove_file(&part).map_err(|error| written(&part, error))?;
                return Err(error);
            }
            fs::rename(&part, &blob).map_err(|error| written(&blob, error))?;
        }
        let path = cache.link(&announced.etag, &announced.commit, wanted.file)?;
        cache.note(name.revision(), &announced.commit)?;
        Ok(Some(Kept {
            path,
            commit: announced.commit,
        }))
    }

    /// That there is none of these files.
    fn missing(&self, name: &HubName, files: &[&str]) -> Error {
        let repository = name.to_string();
        let files = files.join(" or ");
        match self.config.offline {
            true => HubError::NotInCache {
                repository,
                files,
                cache: self.config.cache.display().to_string(),
            },
            false => HubError::NotFound {
                repository,
                reason: format!(
                    "it has no {files}; it is to be a model of timm, or for --clip one of open_clip or transformers; others are downloaded by hand, and given as --model NAME --weights FILE or --model FILE.onnx"
                ),
            },
        }
        .into()
    }
}
