//! The three stages chained: explain the mistakes of a class, mend them, picture the neurons.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use ndarray::Array2;
use neuroinspect_core::{
    ClassId, Classifier, Error as CoreError, FeatureTable, NeuronId, Observer,
};
use neuroinspect_counterfactual::{Explanation, RankedNeuron, Ranking, explain, rank};
use neuroinspect_editing::EditScope;
use neuroinspect_illusion::{Illusion, Initial, Objective, Pair, core_relevance, visualize_each};

use crate::{Control, DebugConfig, EditData, Findings, GuideSource, NeuronChoice, Result, mend};

/// Neighbouring classes a core relevance score is measured against, as in the paper's code.
const RELEVANCE_NEIGHBOURS: usize = 20;

/// What is debugged, and what there is to debug it with.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The classifier.
    pub classifier: &'a dyn Classifier,
    /// The samples whose mistakes are explained.
    pub table: &'a FeatureTable,
    /// What guides the pictures, if anything does: a [`Guide`](neuroinspect_illusion::Guide), or
    /// [`ClassTexts`](crate::ClassTexts) to embed only those that are pictured.
    pub guide: Option<&'a dyn GuideSource>,
    /// What the decision layer is edited on; without it, it is not edited.
    pub edit_data: Option<&'a EditData>,
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = self.classifier.name();
        f.debug_struct("Subject")
            .field("classifier", &model)
            .finish_non_exhaustive()
    }
}

/// Finds the neurons behind a class's mistakes, weakens their hold on the class, and pictures
/// them.
///
/// The edit comes before the pictures because it takes seconds and they take minutes: a run that
/// is stopped while picturing has everything else.
///
/// # Errors
///
/// When an option or a neuron is out of range, the class has no samples or no mistakes, or the
/// mistakes cannot be explained. When the observer asks to stop before the ranking is there,
/// [`CoreError::Cancelled`]; afterwards the findings so far come back with
/// [`Findings::interrupted`] set. Nor is it an error when a later stage fails: the others'
/// findings come back, and what failed stands in [`Findings::failures`].
pub fn debug(
    subject: Subject<'_>,
    class: ClassId,
    config: &DebugConfig,
    observer: &mut dyn Observer,
) -> Result<Findings> {
    debug_each(subject, class, config, observer, &mut |_| {})
}

/// [`debug`], handing over the findings as they grow.
///
/// `keep` is shown them after the ranking, after the edit, and after each
/// [batch](neuroinspect_illusion::IllusionConfig::batch_size) of pictures but the last, so that a run
/// that is killed loses no more than what was under way. [`Findings::interrupted`] is set in what it
/// is shown.
///
/// # Errors
///
/// As [`debug`].
pub fn debug_each(
    subject: Subject<'_>,
    class: ClassId,
    config: &DebugConfig,
    observer: &mut dyn Observer,
    keep: &mut dyn FnMut(&Findings),
) -> Result<Findings> {
    let Subject {
        classifier, table, ..
    } = subject;
    let layer = classifier.decision_layer()?;
    let device = classifier.device();
    config.validate()?;
    config.neurons.check(&layer)?;

    let start = Instant::now();
    let explanation = explain(
        table,
        &layer,
        class,
        &config.counterfactual,
        &device,
        observer,
    )?;
    let ranking = rank(
        &explanation,
        &layer,
        table.mean_features()?.view(),
        &config.ranking,
    )?;
    let neurons = match &config.neurons {
        NeuronChoice::Auto { count } => ranking.first(*count),
        NeuronChoice::Listed => ranking.first(usize::MAX),
        NeuronChoice::Given(neurons) => neurons.clone(),
    };
    let mut illusion = config.illusion.clone();
    if subject.guide.is_none() && illusion.objective == Objective::Guided {
        illusion.objective = Objective::ClassConditional;
    }
    let mut findings = Findings {
        class,
        pairs: neurons
            .iter()
            .take(config.pictures.unwrap_or(usize::MAX))
            .map(|&neuron| pair(&ranking, &explanation, neuron))
            .collect(),
        explanation,
        ranking,
        neurons,
        mending: None,
        illusion_config: illusion,
        illusions: Vec::new(),
        core_relevance: Vec::new(),
        timings: vec![("explaining", start.elapsed())],
        interrupted: true,
        failures: Vec::new(),
    };
    keep(&findings);

    if let Some(data) = subject.edit_data
        && !findings.neurons.is_empty()
    {
        let start = Instant::now();
        let scope = EditScope::Class(class);
        let mended = mend(
            &layer,
            data,
            &findings.neurons,
            scope,
            &config.editing,
            &device,
            observer,
        );
        findings.timings.push(("editing", start.elapsed()));
        let stopped = match &mended {
            Ok(mending) => matches!(mending.control, Control::Stopped),
            Err(error) => error.is_cancellation(),
        };
        match mended {
            Ok(mut mending) => {
                if !matches!(config.neurons, NeuronChoice::Given(_)) {
                    mending.chosen_from = chosen_from(table, &findings.explanation, data);
                }
                if let Control::Failed(reason) = &mending.control {
                    findings.fail("training the control", reason);
                }
                findings.mending = Some(mending);
            }
            Err(error) if !stopped => findings.fail_with("editing", &error),
            Err(_) => {}
        }
        if stopped {
            return Ok(findings);
        }
        keep(&findings);
    }

    if !findings.pairs.is_empty() {
        picture(subject, &mut findings, observer, keep);
    } else {
        findings.interrupted = false;
    }
    Ok(findings)
}

/// How many of the samples an edit is measured on are mistakes that its neurons were chosen from.
fn chosen_from(table: &FeatureTable, explanation: &Explanation, data: &EditData) -> usize {
    let mistakes: Vec<_> = explanation
        .outcomes
        .iter()
        .map(|outcome| {
            (
                table.sample_ids()[outcome.sample].as_str(),
                table.feature(outcome.sample),
            )
        })
        .collect();
    data.evaluated_among(mistakes)
}

/// Pictures the pairs, once their classes' texts are embedded.
fn picture(
    subject: Subject<'_>,
    findings: &mut Findings,
    observer: &mut dyn Observer,
    keep: &mut dyn FnMut(&Findings),
) {
    let start = Instant::now();
    let (pairs, config) = (findings.pairs.clone(), findings.illusion_config.clone());
    let classes: Vec<_> = pairs.iter().map(|pair| pair.class).collect();
    let guide = match subject.guide {
        Some(source) => match source.guide(&classes, observer) {
            Ok(guide) => Some(guide),
            Err(error) => {
                findings.interrupted = error.is_cancellation();
                if !findings.interrupted {
                    findings.fail_with("visualizing", &error);
                }
                return;
            }
        },
        None => None,
    };
    let mut to_come = pairs.len().div_ceil(config.batch_size);
    let mut keeping = Duration::ZERO;
    let mut finished = |batch: Vec<Illusion>| {
        findings.illusions.extend(batch);
        findings
            .core_relevance
            .resize(findings.illusions.len(), None);
        to_come -= 1;
        if to_come > 0 {
            let start = Instant::now();
            keep(findings);
            keeping += start.elapsed();
        }
    };
    let shortfall = visualize_each(
        subject.classifier,
        guide.as_ref(),
        &pairs,
        &Initial::Noise,
        &config,
        observer,
        &mut finished,
    );
    match shortfall {
        Ok(shortfall) => {
            findings.interrupted = shortfall.interrupted;
            for diverged in &shortfall.diverged {
                findings.fail_with("visualizing", diverged);
            }
        }
        Err(error) => {
            findings.interrupted = false;
            findings.fail_with("visualizing", &error);
        }
    }
    match relevance(subject, &findings.illusions) {
        Ok(relevance) => findings.core_relevance = relevance,
        Err(error) => findings.fail_with("scoring core relevance", &error),
    }
    let time = start.elapsed().saturating_sub(keeping);
    findings.timings.push(("visualizing", time));
}

/// The class a neuron is pictured within.
///
/// An excessive neuron speaks against the class debugged: pictured within that class, it would stay
/// silent. What it does is seen in the class that it made of the mistakes. A neuron that stands in
/// both lists goes by the one where more mistakes put it, and one in neither by the sum of its
/// shifts.
fn pair(ranking: &Ranking, explanation: &Explanation, neuron: NeuronId) -> Pair {
    let shifts = explanation.shifts.column(neuron.0);
    let votes = |list: &[RankedNeuron]| {
        let line = list.iter().find(|line| line.neuron == neuron);
        line.map_or(0, |line| line.votes)
    };
    let (insufficient, excessive) = (votes(&ranking.insufficient), votes(&ranking.excessive));
    let is_excessive = match insufficient.max(excessive) {
        0 => shifts.sum() < 0.0,
        _ => excessive > insufficient,
    };
    let mut excess = BTreeMap::<ClassId, f32>::new();
    for (outcome, shift) in explanation.outcomes.iter().zip(shifts) {
        *excess.entry(outcome.predicted).or_default() -= shift;
    }
    let most = excess.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let class = match most {
        Some((class, _)) if is_excessive => class,
        _ => explanation.class,
    };
    Pair { neuron, class }
}

/// Core relevance of each picture; `None` where it is not defined, as for a class that was predicted
/// but has no samples, and so no mean.
fn relevance(subject: Subject<'_>, illusions: &[Illusion]) -> Result<Vec<Option<f32>>> {
    let Subject {
        classifier, table, ..
    } = subject;
    let mut means = Array2::from_elem((table.classes(), table.neurons()), f32::NAN);
    for (class, mut row) in means.rows_mut().into_iter().enumerate() {
        match table.class_mean(ClassId(class)) {
            Ok(mean) => row.assign(&mean),
            Err(CoreError::EmptyClass { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let scored = core_relevance(classifier, illusions, means.view(), RELEVANCE_NEIGHBOURS)?;
    Ok(scored.into_iter().map(|one| one.score).collect())
}

#[cfg(test)]
mod tests {
    use neuroinspect_counterfactual::Outcome;

    use super::*;

    fn line(neuron: usize, votes: usize) -> RankedNeuron {
        RankedNeuron {
            neuron: NeuronId(neuron),
            prec_at_5: votes as f64 / 4.0,
            votes,
            importance: 1.0,
        }
    }

    /// Four mistakes of class 0: three taken for class 1, one for class 2.
    #[test]
    fn a_neuron_is_pictured_where_the_ranking_puts_it() {
        let explanation = Explanation {
            class: ClassId(0),
            outcomes: [1, 1, 1, 2]
                .into_iter()
                .enumerate()
                .map(|(sample, predicted)| Outcome {
                    sample,
                    predicted: ClassId(predicted),
                    steps: 1,
                    flipped: true,
                })
                .collect(),
            shifts: ndarray::array![
                [0.1, -0.1, -0.2, 0.1, -0.1],
                [0.1, -0.1, -0.2, 0.1, -0.1],
                [0.1, -0.1, -0.2, 0.1, 0.1],
                [-9.0, 9.0, -0.1, 0.1, -0.5],
            ],
        };
        let ranking = Ranking {
            class: ClassId(0),
            mistakes: 4,
            unflipped: 0,
            insufficient: vec![line(0, 3), line(1, 1)],
            excessive: vec![line(1, 3), line(0, 1)],
        };
        let class = |neuron| pair(&ranking, &explanation, NeuronId(neuron)).class;
        // Three mistakes blame 0 as insufficient, though one shift outweighs theirs.
        assert_eq!(class(0), ClassId(0));
        assert_eq!(class(1), ClassId(1));
        // In neither list: by the sum, within the class it did most for.
        assert_eq!(class(2), ClassId(1));
        assert_eq!(class(3), ClassId(0));
        assert_eq!(class(4), ClassId(2));
    }
}
