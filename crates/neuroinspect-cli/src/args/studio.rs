//! Options of `studio`.

use std::{net::IpAddr, path::PathBuf};

use clap::Args;

use super::{ClipArgs, LoadingArgs, ReadingArgs};

#[derive(Args, Debug)]
pub(crate) struct StudioArgs {
    /// Folder of an earlier `debug` or `demo`, to look at what it worked on; it is opened with the options of that
    /// run, from the directory that it was started in, and beside it only options of the server are taken
    #[arg(value_name = "RUN_FOLDER")]
    pub(crate) run: Option<PathBuf>,
    /// Model name, as `neuroinspect models` lists it, or an ONNX file (.onnx), or a model of the hub
    /// (hf://OWNER/NAME), which hold their weights; without a model or a folder, the built-in demo is looked at
    #[arg(
        long,
        value_name = "NAME_OR_FILE",
        help_heading = "Model",
        requires = "data"
    )]
    pub(crate) model: Option<String>,
    /// Checkpoint: safetensors, or PyTorch (.pt, .pth, .th)
    #[arg(long, value_name = "FILE", help_heading = "Model", requires = "model")]
    pub(crate) weights: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) loading: LoadingArgs,
    /// Folder of images, one folder per class; or a published data set, NAME:PATH, or a part of it,
    /// NAME/PART:PATH, as `neuroinspect data list` names them
    #[arg(long, value_name = "DIR", help_heading = "Images", requires = "model")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    /// Images to edit on; without it, half of --data edits and the other half measures
    #[arg(long, value_name = "DIR", requires = "data")]
    pub(crate) train: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) clip: ClipArgs,
    /// Port to listen on; that of the last time in this folder unless given, or else any that is free
    #[arg(long, value_name = "N", help_heading = "Server")]
    pub(crate) port: Option<u16>,
    /// Address to listen on; 127.0.0.1 unless given, which no other machine reaches. Whoever is to look in needs the
    /// token of the printed address; what is sent is not encrypted
    #[arg(long, value_name = "ADDRESS", help_heading = "Server")]
    pub(crate) listen: Option<IpAddr>,
}
