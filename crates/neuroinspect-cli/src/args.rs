//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use neuroinspect::core::DeviceName;

/// Why an image classifier is wrong, what its neurons mean, and how to mend it.
///
/// Implements NeuroInspect (arXiv 2310.07184). Start with `neuroinspect demo`.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done; 1 something was not as needed (see the message); \
                        2 command line not understood; 130 stopped by Ctrl-C, finished work kept."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

fn at_least_1(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= 1 => Ok(number),
        _ => Err("expected a whole number from 1".into()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
        _ => Err("expected 0 or a positive number".into()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    not_negative(text).and_then(|number| match number > 0.0 {
        true => Ok(number),
        false => Err("expected a positive number".into()),
    })
}

/// Options every command takes.
#[derive(Args, Debug)]
#[command(next_help_heading = "General")]
pub(crate) struct Common {
    /// Where to compute: flex, tch, tch:cuda:0, wgpu, wgpu:discrete:0, cuda:0, ... as built in
    #[arg(long, global = true, value_name = "NAME", default_value_t)]
    pub(crate) device: DeviceName,
    /// Seed of all random numbers
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Folder for results; made if missing
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "neuroinspect-out"
    )]
    pub(crate) out: PathBuf,
    /// Print the result as JSON on standard output instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show all three stages on the built-in scenes with a planted false correlation
    Demo(DemoArgs),
    /// Explain a class's mistakes, edit the decision layer, picture the neurons, write a report
    #[command(
        after_help = "Example: neuroinspect debug --model resnet50 --weights resnet50.pth \
                            --data photos/val --train photos/train --class heron"
    )]
    Debug(DebugArgs),
    /// Measure accuracy: average, per class, worst class
    #[command(
        after_help = "Example: neuroinspect evaluate --model resnet50 --weights resnet50.pth \
                            --data photos/val"
    )]
    Evaluate(EvaluateArgs),
    /// Rank the neurons behind a class's mistakes
    #[command(
        after_help = "Example: neuroinspect explain --model resnet50 --weights resnet50.pth \
                            --data photos/val --class heron"
    )]
    Explain(ExplainArgs),
    /// Picture neurons within classes
    #[command(
        after_help = "Example: neuroinspect visualize --model resnet50 --weights resnet50.pth \
                            --data photos/val --neurons 17,240 --class heron"
    )]
    Visualize(VisualizeArgs),
    /// Edit the decision layer so that given neurons lose their hold on a class
    #[command(
        after_help = "Example: neuroinspect edit --model resnet50 --weights resnet50.pth \
                            --data photos/val --train photos/train --neurons 17,240 --class heron"
    )]
    Edit(EditArgs),
    /// Apply an edit file to a checkpoint, revert it, or show what it holds
    #[command(
        after_help = "Example: neuroinspect apply --edit neuroinspect-out/report-edit.safetensors \
                            --model resnet50 --weights resnet50.pth"
    )]
    Apply(ApplyArgs),
    /// List the devices of this build, and whether they answer
    Devices,
    /// List the models that checkpoints can be loaded for
    Models,
}

/// Which classifier.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// Model name, as `neuroinspect models` lists it
    #[arg(long, value_name = "NAME")]
    pub(crate) model: String,
    /// Checkpoint: safetensors, or PyTorch (.pt, .pth, .th)
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: PathBuf,
    /// How images are prepared, instead of what is known of the model: JSON as `run.configs.input` of
    /// every output file has it
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Accept a checkpoint with missing, unused or mis-shaped tensors; what is missing is drawn at
    /// random from --seed
    #[arg(long)]
    pub(crate) partial: bool,
}

/// Which images.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Images")]
pub(crate) struct DataArgs {
    /// Folder of images, one folder per class
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
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
    /// What to do with an image that cannot be read
    #[arg(long, value_enum, default_value_t = OnCorrupt::Fail)]
    pub(crate) on_corrupt: OnCorrupt,
    /// Images per batch
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_1)]
    pub(crate) batch_size: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnCorrupt {
    /// End with an error that names it
    Fail,
    /// Leave it out, and list it in the summary
    Skip,
}

/// Which image-text encoder guides the pictures.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "CLIP")]
pub(crate) struct ClipArgs {
    /// CLIP by open_clip's name (ViT-B-32, ...), or an open_clip config file; not needed when the
    /// weight file carries its config
    #[arg(long, value_name = "NAME", requires = "clip_weights")]
    pub(crate) clip: Option<String>,
    /// CLIP checkpoint in open_clip's names; without it, pictures are made without CLIP
    #[arg(long, value_name = "FILE")]
    pub(crate) clip_weights: Option<PathBuf>,
    /// What kind of thing the classes are: puts "flower, " before each class name
    #[arg(long, value_name = "WORD", requires = "clip_weights")]
    pub(crate) domain: Option<String>,
    /// Prompt templates, one a line with {} for the class, instead of the built-in 32
    #[arg(long, value_name = "FILE", requires = "clip_weights")]
    pub(crate) prompts: Option<PathBuf>,
}

/// How pictures are optimised.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct PictureArgs {
    /// Optimisation steps per picture
    #[arg(long, value_name = "N", default_value_t = 450, value_parser = at_least_1)]
    pub(crate) iterations: usize,
    /// What is maximised; `clip`, which needs --clip-weights, or else `class` unless given
    #[arg(long, value_enum)]
    pub(crate) objective: Option<ObjectiveName>,
    /// Weight of the class's logit beside the neuron's activation
    #[arg(long, value_name = "X", default_value_t = 0.5)]
    pub(crate) class_gamma: f64,
    /// Side of the pictures in pixels; the model's input size unless given
    #[arg(long, value_name = "N")]
    pub(crate) size: Option<usize>,
    /// Pictures optimised at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = at_least_1)]
    pub(crate) picture_batch: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectiveName {
    /// CLIP-Illusion: neuron, class and image-text similarity
    Clip,
    /// Neuron and class, without CLIP
    Class,
    /// Plain feature visualization
    Feature,
}

/// How the decision layer is edited.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Edit")]
pub(crate) struct TrainingArgs {
    /// Probability ratio aimed at, at least 1; 1 removes the neurons' influence; `auto` leaves a
    /// third of the least influence among them
    #[arg(long, value_name = "X|auto", default_value = "auto")]
    pub(crate) target: TargetName,
    /// Of what the probability ratio is taken when there are several neurons
    #[arg(long, value_enum, default_value_t = RatioName::Joint)]
    pub(crate) ratio: RatioName,
    /// Weight of the ratio beside the cross entropy; 0.01 unless given
    #[arg(long, value_name = "X", value_parser = not_negative)]
    pub(crate) lambda: Option<f64>,
    /// Epochs at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = at_least_1)]
    pub(crate) epochs: usize,
    /// Stop after so many epochs without a better validation accuracy; 5 unless given, not with
    /// `--keep last`
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) patience: Option<usize>,
    /// Learning rate of Adam; 0.001 unless given
    #[arg(long, value_name = "X", value_parser = positive)]
    pub(crate) learning_rate: Option<f64>,
    /// Which epoch is kept
    #[arg(long, value_enum, default_value_t = KeepName::Accuracy)]
    pub(crate) keep: KeepName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RatioName {
    /// One per image, all neurons silenced at once
    Joint,
    /// One per image and neuron, that neuron alone silenced: where many neurons carry the
    /// correlation, each loses its hold
    PerNeuron,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum TargetName {
    Auto,
    Fixed(f64),
}

impl std::str::FromStr for TargetName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => match text.parse::<f64>() {
                Ok(ratio) if ratio >= 1.0 && ratio.is_finite() => Ok(Self::Fixed(ratio)),
                _ => Err("expected a number from 1, or 'auto'".into()),
            },
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KeepName {
    /// The one of best validation accuracy
    Accuracy,
    /// The one of best worst-class validation accuracy: the paper's "(C)"
    WorstClass,
    /// The last: where validation images share the false correlation, accuracy on them picks the
    /// least edited epoch
    Last,
}

/// Which neurons.
#[derive(Clone, Debug)]
pub(crate) enum NeuronList {
    Auto,
    All,
    Given(Vec<usize>),
}

impl std::str::FromStr for NeuronList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => return Ok(Self::Auto),
            "all" => return Ok(Self::All),
            _ => {}
        }
        let parse = |part: &str| {
            part.trim()
                .parse()
                .map_err(|_| format!("'{part}' is not a neuron number, nor 'auto'"))
        };
        let neurons: Vec<usize> = text.split(',').map(parse).collect::<Result<_, String>>()?;
        if let Some(twice) = (1..neurons.len()).find(|&at| neurons[..at].contains(&neurons[at])) {
            return Err(format!("neuron {} stands there twice", neurons[twice]));
        }
        Ok(Self::Given(neurons))
    }
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Optimisation steps per picture
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = at_least_1)]
    pub(crate) iterations: usize,
}

#[derive(Args, Debug)]
pub(crate) struct DebugArgs {
    /// The class whose mistakes are debugged: name or index
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) class: String,
    /// Images to edit on; without it, half of --data edits and the other half measures
    #[arg(long, value_name = "DIR")]
    pub(crate) train: Option<PathBuf>,
    /// Neurons to edit and picture; `auto` takes the first --count of the ranking: both lists
    /// merged, those in the top 5 of most mistakes first, among equals the insufficient one, then
    /// the lower number; `all` takes the whole ranking
    #[arg(long, value_name = "auto|all|N,N,..", default_value = "auto")]
    pub(crate) neurons: NeuronList,
    /// How many neurons `--neurons auto` takes; 5 unless given
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) count: Option<usize>,
    /// How many of the neurons, from the first, are pictured; all unless given
    #[arg(long, value_name = "N")]
    pub(crate) pictures: Option<usize>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) clip: ClipArgs,
    #[command(flatten)]
    pub(crate) picture: PictureArgs,
    #[command(flatten)]
    pub(crate) training: TrainingArgs,
}

#[derive(Args, Debug)]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// The class whose mistakes are explained: name or index
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) class: String,
    /// Reproduce the original code's counterfactuals and votes
    #[arg(long)]
    pub(crate) original: bool,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

#[derive(Args, Debug)]
pub(crate) struct VisualizeArgs {
    /// Neurons; `auto` takes those of largest weight for --class
    #[arg(long, value_name = "auto|N,N,..", default_value = "auto")]
    pub(crate) neurons: NeuronList,
    /// Class, by name or index; without it, each neuron is pictured in the classes it speaks for
    /// most
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) class: Option<String>,
    /// How many neurons `auto` takes, or how many classes a neuron is pictured in without --class; 4
    /// unless given
    #[arg(long, value_name = "N", value_parser = at_least_1)]
    pub(crate) count: Option<usize>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Folder of images: gives class names, and the real images to compare with
    #[arg(long, value_name = "DIR", help_heading = "Images")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    #[command(flatten)]
    pub(crate) clip: ClipArgs,
    #[command(flatten)]
    pub(crate) picture: PictureArgs,
}

#[derive(Args, Debug)]
pub(crate) struct EditArgs {
    /// Images to edit on; without it, half of --data edits and the other half measures
    #[arg(long, value_name = "DIR")]
    pub(crate) train: Option<PathBuf>,
    /// Class whose probability the neurons lose hold of: name or index; without it, all classes
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) class: Option<String>,
    /// The neurons
    #[arg(long, value_name = "N,N,..", value_delimiter = ',', required = true)]
    pub(crate) neurons: Vec<usize>,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) training: TrainingArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ApplyArgs {
    /// Edit file, as `edit`, `debug` or `demo` wrote it
    #[arg(long, value_name = "FILE")]
    pub(crate) edit: PathBuf,
    /// Model name of the checkpoint; without it, the edit file is only shown
    #[arg(long, value_name = "NAME", requires = "weights")]
    pub(crate) model: Option<String>,
    /// Checkpoint to apply the edit to
    #[arg(long, value_name = "FILE", requires = "model")]
    pub(crate) weights: Option<PathBuf>,
    /// How images are prepared, to be saved with the weights: see `debug`
    #[arg(long, value_name = "FILE", requires = "model")]
    pub(crate) input: Option<PathBuf>,
    /// Accept a checkpoint with unused tensors
    #[arg(long, requires = "model")]
    pub(crate) partial: bool,
    /// Take the edit back instead
    #[arg(long, requires = "model")]
    pub(crate) revert: bool,
}
