//! CLIP and SigLIP, exactly as open_clip has them.
//!
//! CLIP (Radford et al. 2021, arXiv 2103.00020) maps images and texts into one space. The image
//! tower cuts an image into patches, embeds each by a linear map, puts a learned class token in
//! front, adds learned positions, and runs a pre-norm transformer; the class token, normalised
//! and projected, is the image's embedding. Or it is a ResNet, whose last map's mean attends to the
//! map's pixels. The text tower embeds byte-pair tokens, adds learned
//! positions, runs a transformer in which a token sees only those before it, and projects the
//! end-of-text token. Training pulls matching pairs together in cosine similarity, multiplied by
//! `exp(logit_scale)`.
//!
//! SigLIP has towers of the same kind, trained by another loss: see [`SiglipConfig`].
//!
//! Parameters carry open_clip's names, so its safetensors and PyTorch checkpoints load as they
//! are, and those of transformers' `CLIPModel` do, too; so do the layers of the image tower, which can be listed and read. [`ClipConfig`] is
//! open_clip's model config.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use neuroinspect_core::{ImageTextEncoder, LayerValues};
//! use neuroinspect_models::clip::{ClipBlocks, ClipConfig, ClipTextConfig, ClipVisionConfig, Gelu};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ClipConfig {
//!     embed_dim: 16,
//!     gelu: Gelu::Exact,
//!     vision: ClipVisionConfig {
//!         image_size: 16,
//!         patch_size: 8,
//!         width: 16,
//!         head_width: 8,
//!         layers: ClipBlocks::Transformer(1),
//!         ..Default::default()
//!     },
//!     text: ClipTextConfig { width: 16, heads: 2, layers: 1, ..Default::default() },
//!     input: None,
//!     siglip: None,
//! };
//! let device = Device::flex();
//! let clip = config.init(&device)?;
//! let images = clip.encode_images(Tensor::zeros([2, 3, 16, 16], &device));
//! let texts = clip.encode_texts(&["a photo of a steak.".into()])?;
//! assert_eq!((images.dims(), texts.dims()), ([2, 16], [1, 16]));
//!
//! // The class token and four patches of two images, after the first block's attention.
//! let layers = ["visual.transformer.resblocks.0.attn"];
//! let values = clip.activations_at(Tensor::zeros([2, 3, 16, 16], &device), &layers)?;
//! let LayerValues::Tokens(tokens) = &values[0] else { panic!("attention is of tokens") };
//! assert_eq!(tokens.dims(), [2, 5, 16]);
//! # Ok(())
//! # }
//! ```

mod bounds;
mod config;
mod file;
mod hugging_face;
mod resnet;
mod siglip;
mod siglip_tokenizer;
mod siglip_tower;
mod tokenizer;
mod towers;
mod weights;

pub use config::{ClipBlocks, ClipConfig, ClipTextConfig, ClipVisionConfig, Gelu};
pub use siglip::SiglipConfig;
#[cfg(feature = "hub")]
pub(crate) use siglip_tokenizer::OPTIONS;
pub(crate) use siglip_tokenizer::TOKENIZER;
pub use tokenizer::tokenize;

use std::{path::Path, sync::Arc};

use burn::tensor::{Device, Int, Tensor, TensorData};
use neuroinspect_core::{ImageTextEncoder, InputSpec, LayerInfo, LayerValues, Precision};

use crate::{
    Error, Result,
    families::IMAGES,
    graph::{
        Network, Value, ValueId, module_of_network,
        passes::{fold_batch_norm, join_rectifiers, only_tokens_read},
    },
    layers::Layers,
};
use siglip_tokenizer::SiglipTokenizer;
use towers::{LOGIT_SCALE, TOKENS, Towers, VISUAL};

/// A CLIP: two towers and the scale of their similarities.
///
/// Both towers are one graph ([`network`](Self::network)), of which a call computes what it needs.
#[derive(Clone, Debug)]
pub struct Clip {
    network: Network,
    /// What comes out of the towers.
    image: ValueId,
    text: ValueId,
    logit_scale: ValueId,
    /// A SigLIP's; of a CLIP there is but one.
    tokenizer: Option<Arc<SiglipTokenizer>>,
    name: String,
    config: ClipConfig,
    input: InputSpec,
}

module_of_network!(Clip, network);

impl Clip {
    /// `config` is valid.
    fn init(config: &ClipConfig, device: &Device) -> Result<Self> {
        let Towers { graph, image, text } = Towers::new(config)?;
        Ok(Self {
            logit_scale: graph.find(LOGIT_SCALE)?,
            network: Network::new(graph, device)?,
            image,
            text,
            tokenizer: None,
            name: "clip".to_owned(),
            config: config.clone(),
            input: config.input(),
        })
    }

    /// The shape of the model.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// Sets the name the model goes by in reports.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets which pixels the model wants to see; [`ClipConfig::input`] unless set.
    ///
    /// [`save`](Self::save) writes them beside the config.
    ///
    /// # Errors
    ///
    /// [`neuroinspect_core::Error::InvalidOption`] for an input of another size than the image
    /// tower's, or one that cannot be followed.
    pub fn with_input(mut self, input: InputSpec) -> Result<Self> {
        self.config = self.config.with_input(input);
        self.config.validate()?;
        self.input = self.config.input();
        Ok(self)
    }

    /// Gives a SigLIP the `tokenizer.json` that cuts texts into its tokens, with the `tokenizer_config.json`
    /// beside it, both of transformers. [`load`](Self::load) takes those that lie beside the weights. A
    /// CLIP needs none, and keeps its own.
    ///
    /// Texts are taken in lower case and without punctuation, as open_clip takes them.
    ///
    /// # Errors
    ///
    /// [`neuroinspect_core::Error::Read`] when a file cannot be read, [`Error::Tokenizer`] when it is no
    /// tokenizer, and in a build without the feature `siglip`.
    pub fn with_tokenizer(mut self, path: impl AsRef<Path>) -> Result<Self> {
        if self.config.siglip.is_some() {
            let length = self.config.text.context_length;
            let tokenizer = SiglipTokenizer::open(path.as_ref(), length)?;
            self.tokenizer = Some(Arc::new(tokenizer));
        }
        Ok(self)
    }

    /// The model in another number format, to which its weights are rounded: a copy for evaluation, on the
    /// device without autodiff, and not to be trained.
    ///
    /// # Errors
    ///
    /// [`neuroinspect_core::Error::Precision`] where the device does not compute in it.
    pub fn with_precision(self, precision: Precision) -> Result<Self> {
        match precision {
            Precision::F32 => Ok(self),
            _ => Ok(precision.copy_of(&self, &ImageTextEncoder::device(&self))?),
        }
    }

    /// Both towers as a graph, with their weights.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Embeds images, as [`ImageTextEncoder::encode_images`]; not normalised.
    ///
    /// # Shapes
    ///
    /// Normalised images `[N, 3, S, S]` to `[N, E]`.
    ///
    /// # Panics
    ///
    /// For images of another size, as Burn's operations do.
    #[track_caller]
    pub fn image_features(&self, images: Tensor<4>) -> Tensor<2> {
        self.value(self.image, vec![(IMAGES, images.into())], Value::rank2)
    }

    /// Embeds texts given as tokens, for instance of [`tokens`](Self::tokens); not normalised, and in the
    /// number format of the weights.
    ///
    /// A text is read at its token of highest id, the end of text. What follows is padding, and
    /// as no token sees those after it, the padding may be left out: `L` need not be the model's
    /// context length. A SigLIP's texts are of its context length, all of them.
    ///
    /// # Shapes
    ///
    /// Tokens `[T, L]`, `L` at most the context length, to `[T, E]`.
    ///
    /// # Panics
    ///
    /// For texts of more tokens, as Burn's operations do.
    #[track_caller]
    pub fn text_features(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        self.value(self.text, vec![(TOKENS, tokens.into())], Value::rank2)
    }

    /// Tokens of texts, zeros after the shorter ones.
    ///
    /// # Shapes
    ///
    /// `T` texts to `[T, L]`, where `L` is the length of the longest and at most the context
    /// length; of a SigLIP the context length.
    ///
    /// # Errors
    ///
    /// Of a SigLIP, [`Error::NoTokenizer`] where it was given none, and [`Error::Tokenizer`] for a text
    /// that its tokenizer does not take, or where that is another model's.
    pub fn tokens(&self, texts: &[String]) -> Result<Tensor<2, Int>> {
        let rows = texts.iter().map(|text| self.token_row(text));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let length = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut tokens = vec![0i32; rows.len() * length];
        for (padded, row) in tokens.chunks_mut(length.max(1)).zip(&rows) {
            padded[..row.len()].copy_from_slice(row);
        }
        let tokens = TensorData::new(tokens, [rows.len(), length]);
        Ok(Tensor::from_data(tokens, &ImageTextEncoder::device(self)))
    }

    fn token_row(&self, text: &str) -> Result<Vec<i32>> {
        let ClipTextConfig {
            context_length,
            vocab_size,
            ..
        } = self.config.text;
        let Some(siglip) = &self.config.siglip else {
            let tokens = tokenize(text, context_length);
            return Ok(tokens.into_iter().map(i32::from).collect());
        };
        let tokenizer = self.tokenizer.as_ref().ok_or_else(|| Error::NoTokenizer {
            model: self.name.clone(),
            repository: siglip.tokenizer.clone(),
        })?;
        let known = |id: u32| {
            i32::try_from(id)
                .ok()
                .filter(|_| (id as usize) < vocab_size)
        };
        let tokens = tokenizer.tokenize(text)?.into_iter().map(|id| {
            known(id).ok_or_else(|| Error::Tokenizer {
                file: TOKENIZER.to_owned(),
                reason: format!(
                    "it has a token {id}, and '{}' has {vocab_size}: it is another model's; take that of \
                     {}",
                    self.name, siglip.tokenizer
                ),
            })
        });
        tokens.collect()
    }

    /// Logarithm of the factor on cosine similarities in training: `[1]`.
    pub fn logit_scale(&self) -> Tensor<1> {
        self.value(self.logit_scale, vec![], Value::rank1)
    }

    /// The modules of the image tower, in the order in which they are computed, under open_clip's
    /// names: `visual.transformer.resblocks.3.attn`.
    pub fn layers(&self) -> Vec<LayerInfo> {
        self.image_layers().list()
    }

    /// Values of some of the [`layers`](Self::layers), in one pass.
    ///
    /// Tokens are those of the class, then of the patches, row by row.
    ///
    /// # Shapes
    ///
    /// Normalised images `[N, 3, S, S]`; each layer's values as [`LayerInfo::kind`] says.
    ///
    /// # Errors
    ///
    /// [`neuroinspect_core::Error::UnknownLayer`] for a name that is no layer of the image tower,
    /// [`neuroinspect_core::Error::Shape`] for images of another size.
    pub fn activations_at(
        &self,
        images: Tensor<4>,
        layers: &[&str],
    ) -> neuroinspect_core::Result<Vec<LayerValues>> {
        self.image_layers().read(images, layers)
    }

    fn image_layers(&self) -> Layers<'_> {
        Layers {
            model: &self.name,
            network: &self.network,
            within: VISUAL,
        }
    }

    /// One value of the graph, of the rank that `ranked` takes it for.
    #[track_caller]
    #[expect(
        clippy::panic,
        reason = "Burn's operations panic on shapes, and embedding is such an operation"
    )]
    fn value<T>(
        &self,
        tap: ValueId,
        inputs: Vec<(&str, Value)>,
        ranked: impl Fn(Value) -> Result<T, String>,
    ) -> T {
        let name = &self.network.graph().node(tap).name;
        let value = self.network.evaluate(inputs, &[tap]).and_then(|values| {
            let value = values.into_iter().next();
            let missing = || Error::node(name, "it has no value");
            ranked(value.ok_or_else(missing)?).map_err(|reason| Error::node(name, reason))
        });
        value.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

impl ImageTextEncoder for Clip {
    fn name(&self) -> &str {
        &self.name
    }

    fn input(&self) -> &InputSpec {
        &self.input
    }

    fn encode_images(&self, images: Tensor<4>) -> Tensor<2> {
        self.image_features(images)
    }

    fn encode_texts(&self, texts: &[String]) -> neuroinspect_core::Result<Tensor<2>> {
        if texts.is_empty() {
            return Err(neuroinspect_core::Error::empty("texts to embed"));
        }
        let tokens = self.tokens(texts);
        let tokens = tokens.map_err(|error| error.of_model(&self.name))?;
        Ok(self.text_features(tokens))
    }

    fn device(&self) -> Device {
        self.logit_scale().device()
    }

    /// Computes of the image tower's last block no more than its class token needs, and batch normalisation
    /// with the convolution before it.
    fn fold(&mut self) -> neuroinspect_core::Result<()> {
        let graph = self.network.graph();
        let names = [self.image, self.text, self.logit_scale].map(|id| &graph.node(id).name[..]);
        let folded = fold_batch_norm(&self.network);
        let folded = folded.and_then(|network| only_tokens_read(&network, &names));
        let folded = folded.and_then(|network| join_rectifiers(&network));
        let folded = folded.and_then(|network| {
            let find = |name| network.graph().find(name);
            let [image, text, scale] = names.map(find);
            Ok((image?, text?, scale?, network))
        });
        let folded = folded.map_err(|error| error.of_model(&self.name))?;
        (self.image, self.text, self.logit_scale, self.network) = folded;
        Ok(())
    }
}
