//! Options of training, and of making images to train on.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use neuroinspect::{datasets::corrupted::CorruptionGroups, editing::Keep, training::TrainConfig};

use super::{
    DataArgs,
    values::{at_least_1, epoch_kept, not_negative, one_of, positive},
};

#[derive(Args, Debug)]
pub(crate) struct TrainArgs {
    /// Model name, as `neuroinspect models` lists it, or a model of the hub (hf://OWNER/NAME), with its weights
    #[arg(long, value_name = "NAME", help_heading = "Model")]
    pub(crate) model: String,
    /// Checkpoint to start from: safetensors, or PyTorch (.pt, .pth, .th); of another number of classes,
    /// its decision layer is left out. Without one, weights are drawn at random from --seed
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    pub(crate) weights: Option<PathBuf>,
    /// How images are prepared: see `debug`
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    pub(crate) input: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Images to measure on after each epoch; unless given, the validation part of a published data set, and
    /// of folders a tenth of every class, which is not trained on
    #[arg(long, value_name = "DIR", help_heading = "Images")]
    pub(crate) validation: Option<PathBuf>,
    /// A recipe of the paper's to begin with; the other options come before it
    #[arg(long, value_enum)]
    pub(crate) recipe: Option<RecipeName>,
    /// Train the decision layer alone: the backbone stays as it is to the last bit
    #[arg(long)]
    pub(crate) decision_layer: bool,
    /// How gradients become steps; adam-w unless given
    #[arg(long, value_enum)]
    pub(crate) optimizer: Option<OptimizerName>,
    /// Learning rate; 0.001 unless given. Unless a recipe or --config says otherwise, it rises over a
    /// tenth of all steps, and falls to 0 along a cosine
    #[arg(long, value_name = "X", value_parser = positive)]
    pub(crate) learning_rate: Option<f64>,
    /// Weight decay; 0 unless given
    #[arg(long, value_name = "X", value_parser = not_negative)]
    pub(crate) weight_decay: Option<f64>,
    /// Passes over the images; 20 unless given
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) epochs: Option<usize>,
    /// Mirror every other image
    #[arg(long)]
    pub(crate) flip: bool,
    /// Shift images by up to so many pixels along each axis, black coming in; 0 unless given
    #[arg(long, value_name = "N")]
    pub(crate) shift: Option<usize>,
    /// Which epoch is kept, by the validation images; last unless given
    #[arg(long, value_parser = epoch_kept())]
    pub(crate) keep: Option<Keep>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RecipeName {
    /// Decision layer, Adam at 0.002 along a cosine to 0.0002, 20 epochs, batches of 8
    Metashift,
    /// Whole network, Adam at 0.0001, weight decay 0.0001, 50 epochs, batches of 32
    Waterbirds,
    /// As metashift, in batches of 128 (Flowers-102, Food-101)
    FineGrained,
}

impl From<RecipeName> for TrainConfig {
    fn from(name: RecipeName) -> Self {
        match name {
            RecipeName::Metashift => Self::metashift(),
            RecipeName::Waterbirds => Self::waterbirds(),
            RecipeName::FineGrained => Self::fine_grained(),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OptimizerName {
    /// Stochastic gradient descent with a momentum of 0.9
    Sgd,
    /// Adam; weight decay is added to the gradient
    Adam,
    /// AdamW; weight decay is apart from the gradient
    AdamW,
}

#[derive(Args, Debug)]
pub(crate) struct CorruptArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Share of every class's images with the corruption of another class; 0.02 unless given
    #[arg(long, value_name = "X", conflicts_with = "unbiased")]
    pub(crate) conflicting: Option<f64>,
    /// Give every class all corruptions equally often: images to measure on
    #[arg(long)]
    pub(crate) unbiased: bool,
    /// What the groups tell apart within each class; aligned unless given
    #[arg(long, value_parser = one_of::<CorruptionGroups>([
        ("aligned", "Whether the corruption is the class's own"),
        ("corruption", "Which corruption it is"),
    ]))]
    pub(crate) groups: Option<CorruptionGroups>,
}
