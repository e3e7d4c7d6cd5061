//! Options of commands on published data sets.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::NamedValue;

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// List the published data sets that are read: parts, classes, groups, options and files
    List,
    /// Compare what is there of a data set with what was published: checksums, counts, missing images
    Check(CheckArgs),
    /// Download a data set's files, compare them with their checksums and extract its archives
    #[command(
        after_help = "The same command after it was stopped goes on where it was. What is there is not downloaded \
                            again. Files without an address have to be fetched from their pages: see \
                            `neuroinspect data list`."
    )]
    Get(GetArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Its name, as `neuroinspect data list` has it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Its archive, the folder of its files, or the folder extracted of them
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// An option of the data set, e.g. `context=dog(chair)` or `label=Smiling`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) data_option: Vec<NamedValue>,
}

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// Its name, as `neuroinspect data list` has it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Folder for its files; made if missing
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Address that has the files under their names, instead of the published addresses
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mirror: Option<String>,
}
