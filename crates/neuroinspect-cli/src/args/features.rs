//! Options of computing features.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use neuroinspect::Shard;

use super::{LoadingArgs, ReadingArgs, StatusArgs, values::at_least_1};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct FeaturesArgs {
    #[command(subcommand)]
    pub(crate) command: Option<FeaturesCommand>,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FeaturesCommand {
    /// Say which shards are missing
    Status(FeaturesStatusArgs),
    /// Join the shards to the table that other commands take up
    Merge(TableArgs),
}

/// Which of a folder's tables.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct TableArgs {
    /// They are those of images to learn from, which other commands name by --train
    #[arg(long)]
    pub(crate) training: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ComputeArgs {
    #[command(flatten)]
    pub(crate) table: TableArgs,
    /// Only plan so many shards, which processes and machines that share the folder then compute
    #[arg(long, value_name = "SHARDS", value_parser = at_least_1, conflicts_with = "shard")]
    pub(crate) plan: Option<usize>,
    /// Only compute shard I of N, counted from 0; in a job of a Slurm array or of an indexed job of Kubernetes
    /// that of the job's number, and else all that no other process is computing
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
    /// Folder of images, one folder per class; or a published data set, NAME:PATH, or a part of it,
    /// NAME/PART:PATH, as `neuroinspect data list` names them
    #[arg(long, value_name = "DIR", help_heading = "Images", required = true)]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
}

#[derive(Args, Debug)]
pub(crate) struct FeaturesStatusArgs {
    #[command(flatten)]
    pub(crate) table: TableArgs,
    #[command(flatten)]
    pub(crate) status: StatusArgs,
}
