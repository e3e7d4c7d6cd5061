//! CLIP with a vision transformer, exactly as open_clip has it.
//!
//! CLIP (Radford et al. 2021, arXiv 2103.00020) maps images and texts into one space. The image
//! tower cuts an image into patches, embeds each by a linear map, puts a learned class token in
//! front, adds learned positions, and runs a pre-norm transformer; the class token, normalised
//! and projected, is the image's embedding. The text tower embeds byte-pair tokens, adds learned
//! positions, runs a transformer in which a token sees only those before it, and projects the
//! end-of-text token. Training pulls matching pairs together in cosine similarity, multiplied by
//! `exp(logit_scale)`.
//!
//! Parameters carry open_clip's names, so its safetensors and PyTorch checkpoints load as they
//! are. [`ClipConfig`] is open_clip's model config.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use neuroinspect_core::ImageTextEncoder;
//! use neuroinspect_models::clip::{ClipConfig, ClipTextConfig, ClipVisionConfig, Gelu};
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
//!         layers: 1,
//!         ..Default::default()
//!     },
//!     text: ClipTextConfig { width: 16, heads: 2, layers: 1, ..Default::default() },
//!     input: None,
//! };
//! let device = Device::flex();
//! let clip = config.init(&device)?;
//! let images = clip.encode_images(Tensor::zeros([2, 3, 16, 16], &device));
//! let texts = clip.encode_texts(&["a photo of a steak.".into()])?;
//! assert_eq!((images.dims(), texts.dims()), ([2, 16], [1, 16]));
//! # Ok(())
//! # }
//! ```

mod config;
mod file;
mod tokenizer;
mod transformer;
mod vision;
mod weights;

pub use config::{ClipConfig, ClipTextConfig, ClipVisionConfig};
pub use tokenizer::tokenize;
pub use transformer::Gelu;

use burn::{
    module::{Module, Param},
    nn::{Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig},
    tensor::{Device, Int, Tensor, TensorData},
};
use neuroinspect_core::{ImageTextEncoder, InputSpec};

use crate::Result;
use config::hidden_width;
use transformer::{BlockWeights, Transformer, TransformerConfig, normal};
use vision::VisionTransformer;

/// A CLIP: two towers and the scale of their similarities.
#[derive(Module, Debug)]
pub struct Clip {
    visual: VisionTransformer,
    transformer: Transformer,
    token_embedding: Embedding,
    positional_embedding: Param<Tensor<2>>,
    ln_final: LayerNorm,
    text_projection: Param<Tensor<2>>,
    logit_scale: Param<Tensor<1>>,
    #[module(skip)]
    name: String,
    #[module(skip)]
    config: ClipConfig,
    #[module(skip)]
    input: InputSpec,
}

impl Clip {
    /// `config` is valid.
    fn init(config: &ClipConfig, device: &Device) -> Self {
        let text = &config.text;
        let width = text.width;
        let attention = (width as f64).powf(-0.5);
        let projection = attention * (2.0 * text.layers as f64).powf(-0.5);
        let transformer = TransformerConfig {
            layers: text.layers,
            width,
            heads: text.heads,
            hidden: hidden_width(width, text.mlp_ratio),
            gelu: config.gelu,
            weights: BlockWeights {
                in_proj: normal(attention),
                out_proj: normal(projection),
                c_fc: normal((2.0 * width as f64).powf(-0.5)),
                c_proj: normal(projection),
            },
        };
        Self {
            visual: VisionTransformer::init(config, device),
            transformer: Transformer::init(&transformer, device),
            token_embedding: EmbeddingConfig::new(text.vocab_size, width)
                .with_initializer(normal(0.02))
                .init(device),
            positional_embedding: normal(0.01).init([text.context_length, width], device),
            ln_final: LayerNormConfig::new(width).init(device),
            text_projection: normal(attention).init([width, config.embed_dim], device),
            logit_scale: Initializer::Constant {
                value: (1.0f64 / 0.07).ln(),
            }
            .init([1], device),
            name: "clip".to_owned(),
            config: config.clone(),
            input: config.input(),
        }
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

    /// Embeds images, as [`ImageTextEncoder::encode_images`]; not normalised.
    ///
    /// # Shapes
    ///
    /// Normalised images `[N, 3, S, S]` to `[N, E]`.
    pub fn image_features(&self, images: Tensor<4>) -> Tensor<2> {
        self.visual.forward(images)
    }

    /// Embeds texts given as tokens, for instance of [`tokens`](Self::tokens); not normalised.
    ///
    /// A text is read at its token of highest id, the end of text. What follows is padding, and
    /// as no token sees those after it, the padding may be left out: `L` need not be the model's
    /// context length.
    ///
    /// # Shapes
    ///
    /// Tokens `[T, L]`, `L` at most the context length, to `[T, E]`.
    pub fn text_features(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let [texts, length] = tokens.dims();
        let width = self.config.text.width;
        let end = tokens.clone().argmax(1);
        let x = self.token_embedding.forward(tokens)
            + self
                .positional_embedding
                .val()
                .narrow(0, 0, length)
                .unsqueeze();
        // Minus infinity above the diagonal: a token sees itself and those before it.
        let device = x.device().without_autodiff();
        let mask = Tensor::full([length, length], f32::NEG_INFINITY, &device).triu(1);
        let x = self.transformer.forward(x, Some(&mask));
        let end = end.unsqueeze_dim::<3>(2).expand([texts, 1, width]);
        let x = x.gather(1, end).reshape([texts, width]);
        self.ln_final.forward(x).matmul(self.text_projection.val())
    }

    /// Tokens of texts, zeros after the shorter ones.
    ///
    /// # Shapes
    ///
    /// `T` texts to `[T, L]`, where `L` is the length of the longest and at most the context
    /// length.
    pub fn tokens(&self, texts: &[String]) -> Tensor<2, Int> {
        let context = self.config.text.context_length;
        let rows: Vec<_> = texts.iter().map(|text| tokenize(text, context)).collect();
        let length = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut tokens = vec![0i32; rows.len() * length];
        for (padded, row) in tokens.chunks_mut(length.max(1)).zip(&rows) {
            for (token, &id) in padded.iter_mut().zip(row) {
                *token = id.into();
            }
        }
        let device = self.visual.device();
        Tensor::from_data(TensorData::new(tokens, [rows.len(), length]), &device)
    }

    /// Logarithm of the factor on cosine similarities in training: `[1]`.
    pub fn logit_scale(&self) -> Tensor<1> {
        self.logit_scale.val()
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
            return Err(neuroinspect_core::Error::shape(
                "texts to embed",
                "at least 1",
                0,
            ));
        }
        Ok(self.text_features(self.tokens(texts)))
    }

    fn device(&self) -> Device {
        self.visual.device()
    }
}
