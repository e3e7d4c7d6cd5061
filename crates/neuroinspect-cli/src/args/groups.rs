//! Options that several commands share.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use neuroinspect::{
    core::{DeviceName, MemoryLimit, Precision},
    datasets::OnCorrupt,
    editing::{Keep, RatioForm},
    illusion::Recipe,
};

use super::values::{
    NamedValue, ObjectiveName, TargetName, UnitName, at_least_1, epoch_kept, not_negative, one_of,
    positive,
};

/// Options every command takes.
#[derive(Args, Debug)]
#[command(next_help_heading = "General")]
pub(crate) struct Common {
    /// Where to compute: flex, tch, tch:cuda:0, wgpu, wgpu:discrete:0, cuda:0, ... as built in; of
    /// `atlas` several, with commas between them
    #[arg(
        long = "device",
        global = true,
        value_name = "NAME",
        value_delimiter = ',',
        default_values_t = [DeviceName::default()]
    )]
    pub(crate) devices: Vec<DeviceName>,
    /// Seed of all random numbers; 0 unless given
    #[arg(long, global = true, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Folder for results; made if missing
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "neuroinspect-out"
    )]
    pub(crate) out: PathBuf,
    /// How much of a table of features may be in memory, as 512MiB or 4G: a larger one stays in its file, and what is
    /// computed from it is the same; 2GiB unless given. Of leaderboard, those of --table; demo, repro, train and what has
    /// no table refuse it
    #[arg(long, global = true, value_name = "SIZE")]
    pub(crate) memory: Option<MemoryLimit>,
    /// Options by stage, in JSON or (FILE.toml) TOML: an output file of an earlier run, or what one
    /// has under run.configs. Options of the command line come before it
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Download nothing: models of the hub (hf://) come from its cache; as HF_HUB_OFFLINE=1
    #[cfg(feature = "hub")]
    #[arg(long, global = true)]
    pub(crate) offline: bool,
    /// Print the result as JSON on standard output instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show no progress on standard error: no bar on a terminal, and elsewhere no line when a stage
    /// begins and every ten seconds
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

impl Common {
    /// Where to compute, of a command on one device: the first.
    pub(crate) fn device(&self) -> DeviceName {
        self.devices.first().copied().unwrap_or_default()
    }

    /// How much of a table may be in memory.
    pub(crate) fn memory(&self) -> MemoryLimit {
        self.memory.unwrap_or_default()
    }
}

/// Which classifier.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// Model name, as `neuroinspect models` lists it, or an ONNX file (.onnx), or a model of the hub
    /// (hf://OWNER/NAME), which hold their weights
    #[arg(long, value_name = "NAME_OR_FILE")]
    pub(crate) model: String,
    /// Checkpoint: safetensors, or PyTorch (.pt, .pth, .th)
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) loading: LoadingArgs,
}

/// How a classifier is loaded.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub(crate) struct LoadingArgs {
    /// How images are prepared, instead of what is known of the model: JSON as `run.configs.input` of
    /// every output file has it
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Accept a checkpoint with missing, unused or mis-shaped tensors; what is missing is drawn at
    /// random from --seed
    #[arg(long)]
    pub(crate) partial: bool,
    #[command(flatten)]
    pub(crate) head: HeadArgs,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// Where a model decides.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct HeadArgs {
    /// Node of an ONNX file that is its decision layer, if not the linear layer before the output
    #[arg(long, value_name = "NODE", requires = "model")]
    pub(crate) decision_layer: Option<String>,
    /// Layer, or node of an ONNX file, whose value is the map that masks are of, if not what the pooling
    /// before the features reads: a map, or the tokens of patches, with a channel for each neuron
    #[arg(long, value_name = "LAYER", requires = "model")]
    pub(crate) map: Option<String>,
}

/// What networks compute in.
#[derive(Args, Clone, Debug)]
pub(crate) struct FormatArgs {
    /// Number format that networks compute in, where the device has it; f32 unless given
    #[arg(long, value_name = "FORMAT", value_parser = one_of::<Precision>([
        ("f32", "32-bit floats"),
        ("bf16", "bfloat16: the range of f32, 8 significant bits"),
        ("f16", "Half precision: 11 significant bits"),
    ]))]
    pub(crate) precision: Option<Precision>,
}

/// Which images.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Images")]
pub(crate) struct DataArgs {
    /// Folder of images, one folder per class; or a published data set, NAME:PATH, or a part of it,
    /// NAME/PART:PATH, as `neuroinspect data list` names them
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
}

/// What commands on features alone work from: a model and images, or a table made elsewhere.
#[derive(Args, Clone, Debug)]
pub(crate) struct SourceArgs {
    /// Features, labels and decision layer in a safetensors file, instead of a model and images: see
    /// docs/tables.md
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Table",
        conflicts_with_all = [
            "model", "weights", "input", "partial", "decision_layer", "map", "precision", "data", "class_names", "classes",
            "images_per_class", "on_corrupt", "batch_size", "data_option",
        ]
    )]
    pub(crate) table: Option<PathBuf>,
    /// The decision layer in a file of its own, weight and bias, instead of the table's
    #[arg(long, value_name = "FILE", help_heading = "Table", requires = "table")]
    pub(crate) layer_file: Option<PathBuf>,
    /// Model name, as `neuroinspect models` lists it, or an ONNX file (.onnx), or a model of the hub
    /// (hf://OWNER/NAME), which hold their weights
    #[arg(
        long,
        value_name = "NAME_OR_FILE",
        help_heading = "Model",
        required_unless_present = "table"
    )]
    pub(crate) model: Option<String>,
    /// Checkpoint: safetensors, or PyTorch (.pt, .pth, .th)
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    pub(crate) weights: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) loading: LoadingArgs,
    /// Folder of images, one folder per class; or a published data set, NAME:PATH, or a part of it,
    /// NAME/PART:PATH, as `neuroinspect data list` names them
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Images",
        required_unless_present = "table"
    )]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
}

/// How image folders are read.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Images")]
pub(crate) struct ReadingArgs {
    /// What the class folders are called: a name a line for the folders in byte order, or lines
    /// of `folder<TAB>name` or `index<TAB>folder<TAB>name`
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) class_names: Option<PathBuf>,
    /// The model's classes in its order, a folder or a name a line, where there are folders for
    /// some of them only or their byte order is another
    #[arg(long, value_name = "FILE")]
    pub(crate) classes: Option<PathBuf>,
    /// An option of a published data set, e.g. `context=dog(chair)` or `label=Smiling`
    #[arg(long, value_name = "KEY=VALUE", requires = "data")]
    pub(crate) data_option: Vec<NamedValue>,
    /// Only so many images of each class, the first by name, which is no random choice; all unless given
    #[arg(long, value_name = "N", value_parser = at_least_1, requires = "data")]
    pub(crate) images_per_class: Option<usize>,
    /// What to do with an image that cannot be read; fail unless given
    #[arg(long, value_parser = one_of::<OnCorrupt>([
        ("fail", "End with an error that names it"),
        ("skip", "Leave it out, and list it in the summary"),
    ]))]
    pub(crate) on_corrupt: Option<OnCorrupt>,
    /// Images per batch; 64 unless given
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) batch_size: Option<usize>,
}

/// Which image-text encoder guides the visualizations.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "CLIP")]
#[command(group = ArgGroup::new("encoder").args(["clip", "clip_weights"]).multiple(true))]
pub(crate) struct ClipArgs {
    /// CLIP by open_clip's name (ViT-B-32, ...), or an open_clip config file, for --clip-weights; not needed
    /// when the weight file carries its config. Or a CLIP of the hub (hf://OWNER/NAME), with its weights
    #[arg(long, value_name = "NAME")]
    pub(crate) clip: Option<String>,
    /// CLIP checkpoint in open_clip's names; without it, neurons are visualized without CLIP. A SigLIP's
    /// tokenizer.json is to lie beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) clip_weights: Option<PathBuf>,
    /// What kind of thing the classes are: puts "flower, " before each class name
    #[arg(long, value_name = "WORD", requires = "encoder")]
    pub(crate) domain: Option<String>,
    /// Prompt templates, one a line with {} for the class, instead of the built-in 32
    #[arg(long, value_name = "FILE", requires = "encoder")]
    pub(crate) prompts: Option<PathBuf>,
}

impl ClipArgs {
    /// Whether there is one.
    pub(crate) fn is_named(&self) -> bool {
        self.clip.is_some() || self.clip_weights.is_some()
    }
}

/// Which units of layers are looked at.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Layers")]
pub(crate) struct UnitArgs {
    /// The layer of --unit and --direction: a name that `neuroinspect models --layers MODEL` lists
    #[arg(long, value_name = "NAME")]
    pub(crate) layer: Option<String>,
    /// A unit of a layer: channel:N (the mean over its map), CHANNEL,ROW,COLUMN (one position of it),
    /// neuron:N (of a layer of features), or all of them; LAYER/UNIT names a layer of its own. May be
    /// given again
    #[arg(long = "unit", value_name = "[LAYER/]UNIT")]
    pub(crate) units: Vec<UnitName>,
    /// A direction among the channels of --layer: a file with a number for each, safetensors or a list in
    /// JSON (.json); taken as it is, normalised or not. May be given again
    #[arg(long = "direction", value_name = "FILE", requires = "layer")]
    pub(crate) directions: Vec<PathBuf>,
    /// How many of the real images that activate a unit most are shown; 6 unless given
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) top: Option<usize>,
}

/// What is optimised in place of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ParameterName {
    /// A spectrum, whose frequencies are as easy to change
    Spectrum,
    /// The pixels themselves
    Pixels,
    /// Phases, at the magnitudes of real images (MACO)
    Maco,
}

/// How visualizations are optimised.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Visualization")]
pub(crate) struct IllusionArgs {
    /// Optimisation steps per picture; 450 unless given
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) iterations: Option<usize>,
    /// What is maximised: `clip` (CLIP-Illusion: neuron, class and image-text similarity), `class`
    /// (neuron and class, without CLIP), `feature` (plain feature visualization), or an expression:
    /// 'neuron + 0.5 * logit(heron) - 2 * total_variation'. `clip`, which needs --clip-weights, or
    /// else `class` unless given
    #[arg(long, value_name = "NAME|EXPRESSION", allow_hyphen_values = true)]
    pub(crate) objective: Option<ObjectiveName>,
    /// What is optimised in place of the pixels; spectrum unless given
    #[arg(long, value_enum)]
    pub(crate) parameter: Option<ParameterName>,
    /// Magnitudes that `neuroinspect magnitudes` wrote, for `maco`; the demo's scenes' unless given
    #[arg(long, value_name = "FILE", requires = "parameter")]
    pub(crate) magnitudes: Option<PathBuf>,
    /// Weight of the class's logit beside the neuron's activation; 0.5 unless given; with `clip` and
    /// `class` alone
    #[arg(long, value_name = "X")]
    pub(crate) class_gamma: Option<f64>,
    /// Side of the pictures in pixels; the model's input size unless given
    #[arg(long, value_name = "N")]
    pub(crate) size: Option<usize>,
    /// Pictures optimised at once; 8 unless given
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) picture_batch: Option<usize>,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    /// How many other seeds make a picture of each unit as well, with an eighth of the steps, to see whether
    /// they agree; 1 unless given, 0 saves the time
    #[arg(long, value_name = "N")]
    pub(crate) other_seeds: Option<usize>,
}

/// Which network judges pictures.
#[derive(Args, Clone, Debug)]
pub(crate) struct JudgeArgs {
    /// A second classifier that has no part in the pictures, by name, ONNX file or model of the hub as
    /// --model: it says of each picture whether it recognises in it what the unit answers to in --data
    #[arg(long, value_name = "NAME_OR_FILE", requires = "data")]
    pub(crate) judge: Option<String>,
    /// The judge's checkpoint
    #[arg(long, value_name = "FILE", requires = "judge")]
    pub(crate) judge_weights: Option<PathBuf>,
}

impl IllusionArgs {
    /// Whether the command line asks for an objective with a class.
    pub(crate) fn weighs_class(&self, recipe: &Recipe) -> bool {
        let named = !matches!(self.objective, Some(ObjectiveName::Feature) | None);
        self.class_gamma.is_some() || named && recipe.objective.needs_class()
    }
}

/// How the decision layer is edited.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Edit")]
pub(crate) struct EditingArgs {
    /// Probability ratio that training pulls the neurons' to, at least 1; at 1 they influence the
    /// class no more. `auto`, which holds unless given, is a third of the way from 1 to the ratio of
    /// the neuron that influences the class least
    #[arg(long, value_name = "X|auto")]
    pub(crate) target: Option<TargetName>,
    /// Of what the probability ratio is taken when there are several neurons; joint unless given
    #[arg(long, value_parser = one_of::<RatioForm>([
        ("joint", "One per image, all neurons zeroed at once"),
        (
            "per-neuron",
            "One per image and neuron, that neuron alone zeroed: where many neurons carry the \
             correlation, the influence of each is reduced",
        ),
    ]))]
    pub(crate) ratio: Option<RatioForm>,
    /// Weight of the ratio beside the cross entropy; 0.01 unless given
    #[arg(long, value_name = "X", value_parser = not_negative)]
    pub(crate) lambda: Option<f64>,
    /// Epochs at most; 20 unless given
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) epochs: Option<usize>,
    /// Stop after so many epochs without a better validation accuracy; 5 unless given; with `--keep
    /// accuracy`, `--keep worst-class` or `--keep worst-group` alone
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) patience: Option<usize>,
    /// Learning rate of Adam; 0.001 unless given
    #[arg(long, value_name = "X", value_parser = positive)]
    pub(crate) learning_rate: Option<f64>,
    /// Which epoch is kept; last unless given
    #[arg(long, value_parser = epoch_kept())]
    pub(crate) keep: Option<Keep>,
}
