//! The command line of `check`.

use std::path::PathBuf;

use clap::Args;
use neuroinspect::check::Limit;

use super::{SourceArgs, values::not_negative};

#[derive(Args, Debug)]
pub(crate) struct GuardArgs {
    /// Least accuracies: `average`, `worst_class`, `worst_group`, `class.NAME` or `group.NAME`, each with '='
    /// and a share up to 1; of a name with a comma, its index. Several with commas, or given again
    #[arg(long, value_name = "WHAT=SHARE,..", value_delimiter = ',')]
    pub(crate) fail_below: Vec<Limit>,
    /// Folder that an earlier `check` wrote into, or its check.json: no accuracy may have fallen, no mistakes
    /// be owed to a neuron and no class rely on one more than then
    #[arg(long, value_name = "DIR")]
    pub(crate) against: Option<PathBuf>,
    /// By how much an accuracy may have fallen against the earlier check; 0.02 unless given
    #[arg(long, value_name = "SHARE", value_parser = not_negative, requires = "against")]
    pub(crate) tolerance: Option<f64>,
    /// Classes whose neurons are looked at: name or index; all unless given
    #[arg(long, value_name = "NAME_OR_INDEX")]
    pub(crate) class: Vec<String>,
    /// Write the checks as JUnit's XML, too
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Of a table that is split, the part to check on; all samples unless given
    #[arg(long, value_name = "NAME", help_heading = "Table", requires = "table")]
    pub(crate) part: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}
