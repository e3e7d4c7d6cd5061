//! One file per command.

use anyhow::{Result, bail};

use crate::{
    args::{Cli, Command},
    exit::Exit,
    options::Options,
};

mod apply;
mod atlas;
mod check;
mod concepts;
mod corrupt;
mod data;
mod debug;
mod demo;
mod devices;
mod edit;
mod evaluate;
mod explain;
mod features;
mod label;
mod leaderboard;
pub(crate) mod magnitudes;
mod mend;
mod methods;
mod models;
mod repro;
#[cfg(test)]
mod schemas;
mod shards;
mod shell;
#[cfg(feature = "studio")]
mod studio;
mod train;
mod trust;
pub(crate) mod units;
mod visualize;

pub(crate) fn run(cli: &Cli) -> Result<Exit> {
    let common = &cli.common;
    if common.devices.len() > 1 && !matches!(cli.command, Command::Atlas(_)) {
        bail!("this command computes on one device; --device names several for `atlas` alone");
    }
    if common.memory.is_some() && !heeds_memory(&cli.command) {
        bail!(
            "this command, as it is asked for, holds no table that may stay in its file, and so does not heed \
             --memory: leave it out"
        );
    }
    let options = Options::open(common)?;
    match &cli.command {
        Command::Demo(args) => demo::run(common, &options, args),
        Command::Debug(args) => debug::run(common, &options, args),
        #[cfg(feature = "studio")]
        Command::Studio(args) => studio::run(common, &options, args),
        Command::Evaluate(args) => evaluate::run(common, &options, args),
        Command::Check(args) => check::run(common, &options, args),
        Command::Explain(args) => explain::run(common, &options, args),
        Command::Visualize(args) => visualize::run(common, &options, args),
        Command::Trust(args) => trust::run(common, &options, args),
        Command::Label(args) => label::run(common, &options, args),
        Command::Concepts(command) => concepts::run(common, &options, command),
        Command::Edit(args) => edit::run(common, &options, args),
        Command::Mend(args) => mend::run(common, &options, args),
        Command::Atlas(args) => atlas::run(common, &options, args),
        Command::Features(args) => features::run(common, &options, args),
        Command::Apply(args) => apply::run(common, &options, args),
        Command::Train(args) => train::run(common, &options, args),
        Command::Corrupt(args) => corrupt::run(common, &options, args),
        Command::Magnitudes(args) => magnitudes::run(common, &options, args),
        Command::Data(command) => data::run(common, &options, command),
        Command::Devices => devices::run(common),
        Command::Models(args) => models::run(common, args),
        Command::Methods => methods::run(common),
        Command::Leaderboard(args) => leaderboard::run(common, &options, args),
        Command::Completions { shell } => shell::completions(*shell),
        Command::Man { command } => shell::man(command),
        Command::Repro(args) => repro::run(common, &options, args),
    }
}

/// Whether a command computes from a table of features that may stay in its file.
fn heeds_memory(command: &Command) -> bool {
    match command {
        #[cfg(feature = "studio")]
        Command::Studio(_) => true,
        // Scenes and CIFAR-10 are held whole.
        Command::Leaderboard(args) => !args.table.is_empty(),
        Command::Debug(_)
        | Command::Evaluate(_)
        | Command::Check(_)
        | Command::Explain(_)
        | Command::Visualize(_)
        | Command::Label(_)
        | Command::Concepts(_)
        | Command::Edit(_)
        | Command::Mend(_)
        | Command::Atlas(_)
        | Command::Features(_) => true,
        _ => false,
    }
}
