//! The experiments of the paper (arXiv 2310.07184), each by one name.
//!
//! [`experiments`] lists them. [`Experiment::run`] repeats one over several seeds and gives an
//! [`ExperimentResult`]: means with 95 % intervals, the paper's numbers beside them, whether these data support
//! the paper's claims, and what each disagreement of paper and code is worth. It runs on the published data where
//! [`ExperimentConfig::data`] has them, and otherwise on a stand-in of the same structure, made of the scenes of
//! [`demo`](crate::demo), that takes minutes.
//!
//! ```no_run
//! use neuroinspect::{RunFolder, core::Silent, experiments::{ExperimentConfig, experiment_named}};
//!
//! # fn main() -> neuroinspect::Result<()> {
//! let folder = RunFolder::open("results", None)?;
//! let result = experiment_named("table-4")?.run(&ExperimentConfig::default(), &folder, None, &mut Silent)?;
//! for claim in &result.claims {
//!     println!("{}: {:?}", claim.claim, claim.verdict);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Nothing is chosen on samples that are measured on: classes, neurons and epochs come from validation samples, by
//! rules that every page states.

mod case;
mod claims;
mod config;
mod core_relevance;
mod figure_3;
mod figure_8;
mod figure_9;
mod markdown;
mod measured;
mod pictures;
mod result;
mod run;
mod scenarios;
mod scene_concepts;
mod scenes;
mod switches;
mod table_1;
mod table_2;
mod table_3;
mod table_4;
mod table_5;

use std::fmt;

use burn::tensor::Device;
use neuroinspect_core::{Observer, Seed, nearest_name};
use serde::Serialize;

use self::{
    claims::ClaimRule,
    measured::{Column, Measured},
};
pub use self::{
    claims::{Claim, ClaimTest, ClaimVerdict},
    config::ExperimentConfig,
    measured::Unit,
    result::{
        Beside, Cell, ExperimentPicture, ExperimentResult, LedgerRow, ResultColumn, ResultRow,
        ResultTable,
    },
    switches::{Guard, Mode, Prompts, ScoredMistakes, Switch, Switches},
};
use crate::{Error, Result, RunFolder};

/// An experiment of the paper.
#[derive(Clone, Copy, Serialize)]
pub struct Experiment {
    /// Its name: `table-4`.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What of the paper it is.
    pub paper: &'static str,
    /// What is done, and by which rules classes, neurons and epochs are chosen, in paragraphs.
    pub protocol: &'static str,
    /// What it needs to be run on published data.
    pub needs: &'static str,
    /// What it runs on without.
    pub stand_in: &'static str,
    /// The disagreements that its ledger has.
    pub switches: &'static [Switch],
    /// The number that its ledger compares; `None` without one.
    #[serde(skip)]
    headline: Option<Column>,
    /// Disagreements that concern it and are no switch, each with the reason.
    #[serde(skip)]
    not_switched: &'static [&'static str],
    #[serde(skip)]
    published: fn() -> Vec<Published>,
    #[serde(skip)]
    claims: &'static [ClaimRule],
    #[serde(skip)]
    open: Open,
}

/// All experiments, by name.
static EXPERIMENTS: &[&Experiment] = &[
    &core_relevance::EXPERIMENT,
    &figure_3::EXPERIMENT,
    &figure_8::EXPERIMENT,
    &figure_9::EXPERIMENT,
    &table_1::EXPERIMENT,
    &table_2::EXPERIMENT,
    &table_3::EXPERIMENT,
    &table_4::EXPERIMENT,
    &table_5::EXPERIMENT,
];

/// Disagreements that concern editing, and are no switch.
const NOT_SWITCHED: &[&str] = &[
    "The code leaves the backbone in training mode, so that its batch normalisation drifts (B5-2): features are \
     computed once here, by a backbone that stays as it is.",
    "CON cannot be run in the published code, whose branch for it is dead (B5-6): it is as the paper prints it.",
    "The code finds mistakes by one preprocessing and explains them by another (B5-7): here both are of the same \
     features.",
    "The code's descent of a counterfactual has no limit on its steps and may never end (B5-14): the limit is 1000 in \
     all modes.",
    "Importances, and with them the automatic target, are taken at the mean features of all classes, as in the code \
     (B5-15): the paper does not say of which.",
    "In the code some samples measured on were chosen on, and training samples are drawn with replacement (B5-16): \
     no two parts have a sample in common here.",
    "The split of Food-101, statistics of Flowers-102 and commands of the README (B5-9 to 11) concern files that \
     these data do not have.",
];

/// The mean of some numbers; `None` of none.
fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_usize);
    for value in values {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

type Open = fn(&Setup<'_>, &mut dyn Observer) -> Result<Box<dyn Protocol>>;

/// A number of the paper's, and its place in our tables.
#[derive(Clone, Copy, Debug)]
struct Published {
    /// What it is of: "Flowers-102, class 3".
    of: &'static str,
    /// Our table; `None`: each that has such a row and column.
    table: Option<&'static str>,
    row: &'static str,
    column: &'static str,
    value: f64,
}

/// What a protocol is opened with.
struct Setup<'a> {
    config: &'a ExperimentConfig,
    /// Where features of real networks are kept.
    folder: &'a RunFolder,
    device: Device,
}

/// What an experiment runs on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// The samples and networks, in words.
    pub data: String,
    /// Whether they are those of the paper, or a stand-in.
    pub published: bool,
    /// What there is to know of them, in sentences.
    pub notes: Vec<String>,
    /// What tells them from others, beside the options; `None` where nothing can.
    pub fingerprint: Option<String>,
}

/// How an experiment goes, its data and networks at hand.
trait Protocol {
    /// What it runs on.
    fn source(&self) -> Source;

    /// All that one repetition measures.
    fn measure(
        &mut self,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Measured>;

    /// The one number of a repetition that the ledger compares; `None` where there is none.
    fn headline(
        &mut self,
        _seed: Seed,
        _switches: &Switches,
        _observer: &mut dyn Observer,
    ) -> Result<Option<f64>> {
        Ok(None)
    }
}

impl fmt::Debug for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Experiment")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// All experiments, by name.
pub fn experiments() -> &'static [&'static Experiment] {
    EXPERIMENTS
}

/// The experiment of a name.
///
/// # Errors
///
/// [`Error::UnknownExperiment`] with the names there are.
pub fn experiment_named(name: &str) -> Result<&'static Experiment> {
    let found = experiments().iter().find(|it| it.name == name);
    found.copied().ok_or_else(|| {
        let known: Vec<_> = experiments().iter().map(|it| it.name).collect();
        Error::UnknownExperiment {
            name: name.to_owned(),
            nearest: nearest_name(name, known.iter().copied()),
            known: known.join(", "),
        }
    })
}

#[cfg(test)]
mod tests;
