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
mod fine_grained;
mod markdown;
mod measured;
mod modes;
mod pictures;
mod published_parts;
mod result;
mod run;
mod scenarios;
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
use neuroinspect_editing::Keep;
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
        Beside, Cell, Chart, ExperimentPicture, ExperimentResult, Ledger, LedgerRow, ResultColumn,
        ResultRow, ResultTable,
    },
    switches::{Guard, Mode, Prompts, ScoredMistakes, Switch, Switches},
};
use crate::{Error, Result, RunFolder, leaderboard::Estimate};

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
    /// The numbers in which disagreements are worth something.
    #[serde(skip)]
    headlines: &'static [Headline],
    /// The column that is drawn, where tables and no pictures are what it is about.
    #[serde(skip)]
    drawn: Option<Column>,
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
    "Which of equal epochs is kept, and whether the first ones can be (`ties`, `skips_epochs`), decides nothing where \
     the last epoch is kept: their lines are in modes `paper` and `code`.",
    "The code leaves the backbone in training mode (B5-2), so that every batch normalisation in it takes the \
     statistics of the batch, and drifts: the backbone would have to be run for every batch of every epoch, where \
     features are computed once here.",
    "CON cannot be run in the published code, whose branch for it is dead (B5-6): it is as the paper prints it.",
    "The code finds mistakes on images scaled to the network's size and explains them on images scaled and cropped \
     (B5-7): where images are of that size, as scenes and those of CIFAR-10 are, both are the same, and other images \
     would have to be read twice.",
    "The code's descent of a counterfactual has no limit on its steps and may never end (B5-14): the limit is 1000 in \
     all modes.",
    "One of the README's commands edits another class than the one that it is about (B5-9): here a rule says which.",
    "The code writes over the published split of Food-101, and the paper's counts of Flowers-102 are not of all of it \
     (B5-10, 11): no file of a data set is changed here.",
    "The code saves no epoch up to a validation accuracy that it sets (B5-17): as it keeps the most accurate, that \
     decides whether there is a number, and not which.",
    "The code augments images while it edits, in every epoch otherwise: features would have to be computed in every \
     epoch, where they are computed once here, of each image as it is.",
    "The code does not seed all that it draws (B5-18), and the weights that a name stands for have changed since \
     (B5-21): here all is drawn by the repetition's seed, with the weights that are given.",
    "Commands that do not run (B5-8), pictures (B5-12, 13, 19) and packaging (B5-20) change no number of an edit.",
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

/// A number, and the disagreements whose worth in it is measured.
#[derive(Debug)]
struct Headline {
    column: Column,
    switches: &'static [Switch],
}

impl Headline {
    /// The mode's switches with each of them flipped that can change anything.
    fn flips(&self, mode: Mode) -> impl Iterator<Item = (Switch, Switches)> {
        let keeps_last = mode.switches().keep == Keep::Last;
        let of_epochs = [Switch::Ties, Switch::SkipsEpochs];
        let switches = self.switches.iter();
        let switches = switches.filter(move |switch| !(keeps_last && of_epochs.contains(switch)));
        switches.filter_map(move |&switch| Some((switch, Switches::flipped(mode, switch)?)))
    }
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Source {
    /// The samples and networks, in words.
    pub data: String,
    /// Whether the samples are those of the paper, or others that stand in for them.
    pub published: bool,
    /// What of the paper's data they are, as its numbers name it; `None`: all of its numbers stand beside.
    pub paper: Option<&'static str>,
    /// Whether repetitions measure on the same samples.
    pub measured_on: MeasuredOn,
    /// What there is to know of them, in sentences.
    pub notes: Vec<String>,
    /// What tells them from others, beside the options; `None` where nothing can.
    pub fingerprint: Option<String>,
}

/// Whether repetitions measure on the same samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MeasuredOn {
    /// Each on others.
    #[default]
    Others,
    /// Each on a random half of the same samples. What half-means have in common is not seen in how they differ:
    /// the variance of one is that of the mean of all samples, and so intervals are those of repetitions times
    /// `sqrt(N + 1)` for `N` repetitions.
    Halves,
    /// All on the same, or with the same networks and neurons: intervals are of what else differs.
    Same,
}

impl Source {
    /// The mean of a number over repetitions, with its interval; `None` of none.
    fn estimate(&self, values: &[f64]) -> Option<Estimate> {
        let mut estimate = Estimate::of_any(values)?;
        if self.measured_on == MeasuredOn::Halves {
            let factor = (values.len() as f64 + 1.0).sqrt();
            estimate.margin = estimate.margin.map(|margin| margin * factor);
        }
        Some(estimate)
    }
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

    /// Whether flipping a switch can change anything on these samples.
    fn concerns(&self, _switch: Switch) -> bool {
        true
    }

    /// A [headline](Experiment::headlines) of a repetition; `None` where there is none.
    fn headline(
        &mut self,
        _column: Column,
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
