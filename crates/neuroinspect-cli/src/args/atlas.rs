//! Options of atlases.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use neuroinspect::Shard;

use super::{ClipArgs, IllusionArgs, LoadingArgs, ReadingArgs, values::at_least_1};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct AtlasArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AtlasCommand>,
    #[command(flatten)]
    pub(crate) make: MakeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AtlasCommand {
    /// Say how much of an atlas there is, and which shards are missing
    Status(StatusArgs),
    /// Check that an atlas is whole, and write its index and its page
    Merge(MergeArgs),
}

#[derive(Args, Debug)]
pub(crate) struct MakeArgs {
    /// The layer, all of whose channels or neurons are visualized: a name that `neuroinspect models
    /// --layers MODEL` lists; the one that the decision layer reads unless given
    #[arg(long, value_name = "NAME")]
    pub(crate) layer: Option<String>,
    /// How many classes each unit is visualized within, 0 for each by itself; 3 unless given. Of a layer
    /// other than the last they are those whose images in --data activate the unit most
    #[arg(long, value_name = "N")]
    pub(crate) top_classes: Option<usize>,
    /// Only plan the atlas, for so many shards
    #[arg(long, value_name = "SHARDS", value_parser = at_least_1, conflicts_with = "shard")]
    pub(crate) plan: Option<usize>,
    /// Only make shard I of N, counted from 0; in a job of a Slurm array or of an indexed job of Kubernetes
    /// that of the job's number (0/1 makes all there, too), and else all that no other process is making
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Model name, as `neuroinspect models` lists it, or an ONNX file (.onnx), or a model of the hub
    /// (hf://OWNER/NAME), which hold their weights
    #[arg(
        long,
        value_name = "NAME_OR_FILE",
        help_heading = "Model",
        required = true
    )]
    pub(crate) model: Option<String>,
    /// Checkpoint: safetensors, or PyTorch (.pt, .pth, .th)
    #[arg(long, value_name = "FILE", help_heading = "Model")]
    pub(crate) weights: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) loading: LoadingArgs,
    /// Folder of images: gives class names, and the top classes of units of a layer other than the last
    #[arg(long, value_name = "DIR", help_heading = "Images")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    #[command(flatten)]
    pub(crate) clip: ClipArgs,
    #[command(flatten)]
    pub(crate) illusion: IllusionArgs,
}

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// Print the shards that are missing alone, as `sbatch --array=` takes them: nothing where none is
    #[arg(long)]
    pub(crate) array: bool,
}

#[derive(Args, Debug)]
pub(crate) struct MergeArgs {
    /// Other folders of the same atlas, from machines that share no files: what is missing is copied from
    /// there
    #[arg(value_name = "DIR")]
    pub(crate) from: Vec<PathBuf>,
    /// Words for the units, which the page can be searched for: `labels.json` that `label` wrote for the
    /// same layer
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
}
