//! `concepts`: learned from images, lacked by mistakes, swaying a class.

pub(super) mod explain;
pub(super) mod learn;
pub(super) mod tcav;

use anyhow::Result;

use crate::{
    args::{Common, ConceptsCommand},
    exit::Exit,
    options::Options,
};

pub(super) fn run(common: &Common, options: &Options, command: &ConceptsCommand) -> Result<Exit> {
    match command {
        ConceptsCommand::Learn(args) => learn::run(common, options, args),
        ConceptsCommand::Explain(args) => explain::run(common, options, args),
        ConceptsCommand::Tcav(args) => tcav::run(common, options, args),
    }
}
