//! Options of `repro`.

use std::path::PathBuf;

use clap::{Args, builder::PossibleValuesParser};
use neuroinspect::{
    experiments::{Mode, experiments},
    leaderboard::NetworkFile,
};

use super::values::{at_least_1, network_file, one_of, share};

#[derive(Args, Debug)]
pub(crate) struct ReproArgs {
    /// The experiment
    #[arg(
        value_name = "NAME",
        required_unless_present = "list",
        value_parser = PossibleValuesParser::new(experiments().iter().map(|it| it.name))
    )]
    pub(crate) name: Option<String>,
    /// List the experiments: what each needs to be run on the published data, and what it runs on without
    #[arg(long, conflicts_with = "name")]
    pub(crate) list: bool,
    /// The published data, where --list says what; without it, the stand-in
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<PathBuf>,
    /// Names of the classes of --data, where it is a folder of images and neurons are pictured: one a line, in the
    /// order of the folders, or lines of a folder and its name. Without it, they are called as their folders are
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) class_names: Option<PathBuf>,
    /// A network of --data: its model name and weights. Given again, another
    #[arg(long, value_name = "MODEL=FILE", value_parser = network_file, requires = "data")]
    pub(crate) network: Vec<NetworkFile>,
    /// Weights of the image-text encoder for --data
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) clip_weights: Option<PathBuf>,
    /// A bank of concepts of the network, as `concepts learn` makes them
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) concepts: Option<PathBuf>,
    /// Where paper and code disagree, whose way; `fixed` unless given
    #[arg(long, value_parser = one_of::<Mode>([
        ("paper", "As the paper writes it"),
        ("code", "As its authors' code does it"),
        ("fixed", "As it should be: what is an error in either is mended"),
    ]))]
    pub(crate) mode: Option<Mode>,
    /// Repetitions, each with a seed of its own, from --seed on
    #[arg(long, value_name = "N", default_value = "5", value_parser = at_least_1)]
    pub(crate) seeds: usize,
    /// Share of the stand-in's samples, and of the steps of pictures, for a trial
    #[arg(long, value_name = "SHARE", default_value = "1", value_parser = share)]
    pub(crate) scale: f64,
}
