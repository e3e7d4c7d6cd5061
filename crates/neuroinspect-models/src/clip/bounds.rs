//! Whether a CLIP of some shape can be built.

use std::ops::RangeInclusive;

use neuroinspect_core::{InputSpec, ResizeRule, check_option};

use super::{
    SiglipConfig,
    config::{ClipBlocks, ClipConfig, ClipVisionConfig, Gelu, hidden_width},
    tokenizer::VOCABULARY,
};
use crate::Result;

impl ClipConfig {
    /// Checks that a CLIP of this shape can be built.
    ///
    /// Sizes are bounded far above any CLIP there is, as a config may come out of a file that
    /// somebody else has written: at most 256 blocks, widths of 16384, hidden layers of 64 times the
    /// width, images of 4096 pixels, 64 patches a side, 8192 tokens a text and a million of
    /// vocabulary. The attention weights of one image or text, `heads * tokens^2` numbers a block,
    /// take 1 GiB at most.
    ///
    /// # Errors
    ///
    /// [`neuroinspect_core::Error::InvalidOption`] naming the first field out of range, or a part of
    /// the input that does not go with the image tower.
    pub fn validate(&self) -> Result<()> {
        let Self { vision, text, .. } = self;
        width("embed_dim", self.embed_dim)?;
        match vision.layers {
            ClipBlocks::Transformer(blocks) => vision.check_transformer(blocks)?,
            ClipBlocks::ResNet(stages) => vision.check_resnet(stages)?,
        }

        layers("text_cfg.layers", text.layers)?;
        width("text_cfg.width", text.width)?;
        let expected = "a divisor of text_cfg.width";
        divides("text_cfg.heads", text.heads, text.width, expected)?;
        ratio("text_cfg.mlp_ratio", text.mlp_ratio, text.width)?;
        let expected = "2, the start and the end of a text, to 8192";
        within(
            2..=8192,
            "text_cfg.context_length",
            text.context_length,
            expected,
        )?;
        let expected = "so few tokens, or so few heads, that attention weights take at most 1 GiB";
        let fits = attention_fits(text.heads, text.context_length);
        check(
            fits,
            "text_cfg.context_length",
            text.context_length,
            expected,
        )?;
        let option = "text_cfg.vocab_size";
        match &self.siglip {
            None => {
                let expected = "49408, the tokens of CLIP's vocabulary, to 1000000";
                within(VOCABULARY..=1_000_000, option, text.vocab_size, expected)?;
                let expected = "the exact or the quick one";
                check(self.gelu != Gelu::Tanh, "gelu", "tanh", expected)?;
            }
            Some(siglip) => {
                within(1..=1_000_000, option, text.vocab_size, "1 to 1000000")?;
                self.check_siglip(siglip)?;
            }
        }

        match &self.input {
            Some(input) => self.check_input(input),
            None => Ok(()),
        }
    }

    fn check_siglip(&self, siglip: &SiglipConfig) -> Result<()> {
        let transformer = matches!(self.vision.layers, ClipBlocks::Transformer(_));
        let expected = "a number of blocks, as it is a SigLIP";
        check(
            transformer,
            "vision_cfg.layers",
            "those of a ResNet",
            expected,
        )?;
        let expected = "the exact one or tanh's, as it is a SigLIP";
        let quick = [self.gelu, siglip.text_gelu].contains(&Gelu::Quick);
        check(!quick, "gelu", "quick", expected)?;
        let (embed, text) = (self.embed_dim, self.text.width);
        let expected = "vision_cfg.width, as it is a SigLIP";
        check(embed == self.vision.width, "embed_dim", embed, expected)?;
        let expected = "text_cfg.width, as no projection follows";
        let fits = siglip.text_projection || embed == text;
        check(fits, "embed_dim", embed, expected)
    }

    /// Checks that an input is one of the image tower's, and one that open_clip's JSON can say.
    fn check_input(&self, input: &InputSpec) -> Result<()> {
        input.validate()?;
        let size = self.vision.image_size;
        let fits = input.size == size;
        check(fits, "input size", input.size, "vision_cfg.image_size")?;
        match input.resize {
            ResizeRule::ShorterSide { to } => {
                check(to == size, "shorter side", to, "vision_cfg.image_size")
            }
            ResizeRule::Squash => Ok(()),
        }
    }
}

impl ClipVisionConfig {
    fn check_transformer(&self, blocks: usize) -> Result<()> {
        layers("vision_cfg.layers", blocks)?;
        width("vision_cfg.width", self.width)?;
        let (patch, image) = (self.patch_size, self.image_size);
        let expected = "1 to 4096";
        let largest = InputSpec::MAX_SIZE;
        within(1..=largest, "vision_cfg.patch_size", patch, expected)?;
        let expected = "patch_size to 4096, and at most 64 times patch_size";
        let sizes = patch..=largest.min(64 * patch);
        within(sizes, "vision_cfg.image_size", image, expected)?;
        let expected = "a divisor of vision_cfg.width";
        let option = "vision_cfg.head_width";
        divides(option, self.head_width, self.width, expected)?;
        ratio("vision_cfg.mlp_ratio", self.mlp_ratio, self.width)?;
        self.check_attention(self.width, image / patch)
    }

    fn check_resnet(&self, stages: [usize; 4]) -> Result<()> {
        for blocks in stages {
            layers("vision_cfg.layers", blocks)?;
        }
        let fits = (2..=512).contains(&self.width) && self.width.is_multiple_of(2);
        let expected = "an even number from 2 to 512";
        check(fits, "vision_cfg.width", self.width, expected)?;
        let image = self.image_size;
        let fits = (32..=2048).contains(&image) && image.is_multiple_of(32);
        let expected = "a multiple of 32, to 2048";
        check(fits, "vision_cfg.image_size", image, expected)?;
        let (option, width) = ("vision_cfg.head_width", 32 * self.width);
        divides(option, self.head_width, width, "a divisor of 32 widths")?;
        self.check_attention(width, image / 32)
    }

    /// Checks the attention over a square of tokens and one more.
    fn check_attention(&self, width: usize, side: usize) -> Result<()> {
        let expected =
            "so few patches, or heads so wide, that attention weights take at most 1 GiB";
        let fits = attention_fits(width / self.head_width, side * side + 1);
        check(fits, "vision_cfg.image_size", self.image_size, expected)
    }
}

fn width(option: &'static str, value: usize) -> Result<()> {
    within(1..=16_384, option, value, "1 to 16384")
}

fn layers(option: &'static str, value: usize) -> Result<()> {
    within(1..=256, option, value, "1 to 256")
}

/// Whether the attention weights of one image or text are of a size to compute with.
fn attention_fits(heads: usize, tokens: usize) -> bool {
    (heads * size_of::<f32>()).saturating_mul(tokens * tokens) <= 1 << 30
}

fn within(
    range: RangeInclusive<usize>,
    option: &'static str,
    value: usize,
    expected: &'static str,
) -> Result<()> {
    check(range.contains(&value), option, value, expected)
}

/// Checks that `part` divides `whole`.
fn divides(option: &'static str, part: usize, whole: usize, expected: &'static str) -> Result<()> {
    let fits = part > 0 && whole.is_multiple_of(part);
    check(fits, option, part, expected)
}

/// Checks that the hidden layer has some width, and not too much.
fn ratio(option: &'static str, ratio: f64, width: usize) -> Result<()> {
    let fits = ratio <= 64.0 && hidden_width(width, ratio) > 0;
    let expected = "at most 64, and enough to give the hidden layer 1 unit";
    check(fits, option, ratio, expected)
}

fn check(
    fits: bool,
    option: &'static str,
    value: impl ToString,
    expected: &'static str,
) -> Result<()> {
    Ok(check_option(option, value, fits, expected)?)
}
