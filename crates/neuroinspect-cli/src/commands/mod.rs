//! One file per command.

use anyhow::Result;

use crate::{
    args::{Cli, Command},
    session::Outcome,
};

mod apply;
mod debug;
mod demo;
mod devices;
mod edit;
mod evaluate;
mod explain;
mod models;
mod visualize;

pub(crate) fn run(cli: &Cli) -> Result<Outcome> {
    let common = &cli.common;
    match &cli.command {
        Command::Demo(args) => demo::run(common, args),
        Command::Debug(args) => debug::run(common, args),
        Command::Evaluate(args) => evaluate::run(common, args),
        Command::Explain(args) => explain::run(common, args),
        Command::Visualize(args) => visualize::run(common, args),
        Command::Edit(args) => edit::run(common, args),
        Command::Apply(args) => apply::run(common, args),
        Command::Devices => devices::run(common),
        Command::Models => models::run(common),
    }
}
