//! A CLIP's weights in files, under open_clip's names or those of transformers.

use std::path::Path;

use burn::tensor::Device;

use super::{Clip, ClipConfig, TOKENIZER, hugging_face::under_open_clips_names};
use crate::{
    Checkpoint, Error, Result, Strictness,
    checkpoint::{Precision, save},
};

/// Key of a safetensors file's metadata that holds the config, as open_clip's JSON.
const CONFIG: &str = "config";

impl Clip {
    /// Loads a safetensors or PyTorch checkpoint of open_clip, or one of transformers' `CLIPModel` or `SiglipModel`, with the
    /// [tokenizer](Self::with_tokenizer) that lies beside a SigLIP's weights, if one does; every
    /// weight must be there in its shape, and nothing else. What lies beside them in a `config.json` of
    /// transformers is not read: weights with `quick_gelu` there, as OpenAI's, need a `-quickgelu` preset.
    ///
    /// The config is the one given or, without, the one in the file's metadata under `config`,
    /// where [`save`](Self::save) puts it. The model is named after the file. It computes in `f32`;
    /// [`with_precision`](Self::with_precision) makes one of another number format of it.
    ///
    /// # Errors
    ///
    /// [`Error::NoClipConfig`] when neither has a config, [`Error::ClipConfig`] when the file's
    /// is wrong, [`Error::Tokenizer`] for a SigLIP's tokenizer that cannot be read, otherwise as [`Checkpoint::open`] and [`Checkpoint::apply`].
    pub fn load(
        path: impl AsRef<Path>,
        config: Option<&ClipConfig>,
        device: &Device,
    ) -> Result<Self> {
        Self::from_checkpoint(&Checkpoint::open(path)?, config, device)
    }

    /// [`load`](Self::load) from an open checkpoint, for instance of bytes in memory
    /// ([`Checkpoint::from_bytes`]).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn from_checkpoint(
        checkpoint: &Checkpoint,
        config: Option<&ClipConfig>,
        device: &Device,
    ) -> Result<Self> {
        let file = checkpoint.file();
        let config = match (config, checkpoint.metadata().get(CONFIG)) {
            (Some(config), _) => config.clone(),
            (None, Some(json)) => {
                ClipConfig::from_json(json, &format!("'{CONFIG}' in the metadata of '{file}'"))?
            }
            (None, None) => {
                return Err(Error::NoClipConfig {
                    file: file.to_owned(),
                    known: ClipConfig::PRESETS.join(", "),
                });
            }
        };
        let name = Path::new(file)
            .file_stem()
            .map_or_else(|| file.into(), |stem| stem.to_string_lossy());
        let mut clip = config.init(device)?.with_name(name);
        let beside = checkpoint.path().map(|it| it.with_file_name(TOKENIZER));
        if let Some(tokenizer) = beside.filter(|it| it.exists()) {
            clip = clip.with_tokenizer(tokenizer)?;
        }
        under_open_clips_names(checkpoint).apply(
            &mut clip,
            "a CLIP of this config",
            Strictness::Strict,
        )?;
        Ok(clip)
    }

    /// Writes the weights as safetensors under open_clip's names, with the config as metadata.
    ///
    /// # Errors
    ///
    /// As [`save`](save()).
    pub fn save(&self, path: impl AsRef<Path>, precision: Precision) -> Result<()> {
        save(
            self,
            Some((CONFIG, &self.config.to_json())),
            precision,
            path,
        )
    }
}
