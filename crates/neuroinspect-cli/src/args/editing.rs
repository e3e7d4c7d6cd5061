//! Options of the commands that make decision layers, compare them and apply them.

use std::path::PathBuf;

use clap::{Args, builder::PossibleValuesParser};
use neuroinspect::editing::{METHODS, Mend, RatioEdit, YardstickChoice};

use super::{
    EditingArgs, HeadArgs, NamedValue, Network, SourceArgs,
    values::{at_least_1, one_of},
};

/// What is learnt from beside the images themselves.
#[derive(Args, Debug)]
pub(crate) struct ViewsArgs {
    /// Augmented views to learn from, too, made of the images that are learnt from: so many of each, mirrored at
    /// random and shifted by up to an eighth of their sides; or, with --table, a table of views
    #[arg(long, value_name = "N|FILE")]
    pub(crate) views: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct EditArgs {
    /// Images to edit on, or, with --table, a table; without it, half of the data edits and the other
    /// half measures, unless the table is split into parts named train, validation and test
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) train: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) views: ViewsArgs,
    /// Class to be helped, whose probability the neurons are to influence less: name or index; without
    /// it, the mean of all classes' ratios is brought to the target
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) class: Option<String>,
    /// The neurons to be corrected, where the method corrects neurons
    #[arg(long, value_name = "N,N,..", value_delimiter = ',')]
    pub(crate) neurons: Vec<usize>,
    /// How: a method that `neuroinspect methods` lists
    #[arg(
        long,
        value_name = "NAME",
        default_value = RatioEdit::NAME,
        value_parser = PossibleValuesParser::new(METHODS),
        hide_possible_values = true
    )]
    pub(crate) method: String,
    /// An option of the method in place of its default, e.g. `factor=20` or `training.epochs=5`;
    /// what is no JSON is a text. `concepts=FILE` of `disc` takes a bank that `concepts learn` made, all of
    /// whose concepts may mislead to the class
    #[arg(long = "option", value_name = "KEY=JSON")]
    pub(crate) options: Vec<NamedValue>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) editing: EditingArgs,
}

#[derive(Args, Debug)]
pub(crate) struct MendArgs {
    /// How the mend is found; `auto` chooses among simple ones
    #[arg(long, value_name = "NAME", default_value = Mend::NAME, value_parser = [Mend::NAME])]
    pub(crate) method: String,
    /// Images that the classifier was trained on, or, with --table, a table of them. Half of each class
    /// of the other samples is then to choose on, and the other half measures; without it, a third each
    /// is to learn from, to choose on and to measure on, unless the table is split into parts named
    /// train, validation and test
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) train: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) views: ViewsArgs,
    /// Class to be helped: name or index; without it, all classes alike
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) class: Option<String>,
    /// The objects' outlines in the images of --data: a folder of PNG files called as the images are, white on
    /// the object and black elsewhere. Suspected neurons then have one reason more: which share of where they
    /// are active lies outside of the object
    #[arg(long, value_name = "DIR", requires = "data")]
    pub(crate) outlines: Option<PathBuf>,
    /// By what to choose; automatic unless given
    #[arg(long, value_parser = one_of::<YardstickChoice>([
        ("automatic", "By groups where mistakes are blamed on a shortcut, and else by data"),
        ("groups", "By groups that mistakes suggest: for who knows of a shortcut"),
        ("data", "By accuracy on data like the samples to choose on"),
    ]))]
    pub(crate) by: Option<YardstickChoice>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Args, Debug)]
pub(crate) struct LeaderboardArgs {
    /// Features, labels and decision layer, as docs/tables.md has them; several, with commas between
    /// them, are repetitions in turn. Given again, another setting. Without parts named train,
    /// validation and test, half of each class is learnt from, a different one for every seed
    #[arg(long, value_name = "FILE,FILE,..", required_unless_present_any = ["scenes", "cifar"])]
    pub(crate) table: Vec<String>,
    /// CIFAR-10, or images like it, as folders `train` and `test`, for each --network: the first 1000
    /// training images of every class to learn from, and of the test images, a different one for every
    /// seed, a half to choose on and the other half to measure on
    #[arg(long, value_name = "DIR", requires = "network")]
    pub(crate) cifar: Option<PathBuf>,
    /// A classifier of --cifar: its model name and weights. With a share, one of Corrupted CIFAR-10: such a
    /// share of the images to learn from and to choose on conflict, and the others are measured on with
    /// class and corruption independent. Given again, another setting
    #[arg(long, value_name = "MODEL=FILE[,SHARE]", requires = "cifar")]
    pub(crate) network: Vec<Network>,
    /// The demo's classifier, on scenes that it has not seen: the correlation total in its training scenes,
    /// and 95 % in those to choose on, too
    #[arg(long)]
    pub(crate) scenes: bool,
    /// Class to be helped in all settings: name or index; without it, in each setting the one that is
    /// worst on the validation samples
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) class: Option<String>,
    /// Methods that `neuroinspect methods` lists; all unless given
    #[arg(
        long,
        value_name = "NAME,NAME,..",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(METHODS),
        hide_possible_values = true
    )]
    pub(crate) methods: Vec<String>,
    /// Repetitions, each with a seed of its own, from --seed on
    #[arg(long, value_name = "N", default_value = "5", value_parser = at_least_1)]
    pub(crate) seeds: usize,
    /// How many neurons, from the first of the ranking, are suspected
    #[arg(long, value_name = "N", default_value = "5", value_parser = at_least_1)]
    pub(crate) count: usize,
    /// Leave all options at the methods' defaults, rather than choose on the samples to choose on among
    /// those that `methods --json` lists as worth trying
    #[arg(long)]
    pub(crate) defaults: bool,
    /// Ask `auto` for each class in turn, too, and say what becomes of the class: whether it does harm
    #[arg(long)]
    pub(crate) each_class: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ApplyArgs {
    /// Edit file, as `edit`, `mend`, `debug` or `demo` wrote it
    #[arg(long, value_name = "FILE")]
    pub(crate) edit: PathBuf,
    /// Model name of the checkpoint, or an ONNX file (.onnx) or model of the hub (hf://OWNER/NAME) to apply the
    /// edit to; without it, the edit file is only shown
    #[arg(long, value_name = "NAME_OR_FILE")]
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
    #[command(flatten)]
    pub(crate) head: HeadArgs,
    /// Take the edit back instead
    #[arg(long, requires = "model")]
    pub(crate) revert: bool,
}
