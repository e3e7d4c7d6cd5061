//! The three stages chained: explain the mistakes of a class, edit them away, picture the neurons.

mod pictures;

use std::time::Instant;

use neuroinspect_core::{
    ClassId, DecisionLayer, FeatureTable, NeuronId, Observer, is_cancellation,
};
use neuroinspect_counterfactual::{Explainer, Explanation, Ranking, rank};
use neuroinspect_editing::{
    ChosenOn, Control, EditData, EditScope, EditSession, Edited, Mend, RatioEdit,
};
use neuroinspect_report::Findings;

#[cfg(feature = "experiments")]
pub(crate) use self::pictures::class_means;
use self::pictures::{Picturing, pair};
use crate::{DebugConfig, DebugInputs, NeuronChoice, Result};

/// Samples times neurons times classes of a recommendation, at most; the demo's are 1.3 million. The time that it
/// takes grows with them.
const MOST_PRODUCTS: usize = 50_000_000;

/// Finds the neurons behind a class's mistakes, weakens their hold on the class, and pictures
/// them.
///
/// The edit comes before the pictures because it takes seconds and they take minutes: a run that
/// is stopped while picturing has everything else.
///
/// # Errors
///
/// When an option or a neuron is out of range, tables are of different classifiers, the class has no
/// samples or no mistakes, or the mistakes cannot be explained. When the observer asks to stop before
/// the ranking is there, [`neuroinspect_core::Error::Cancelled`]; afterwards the findings so far come back with
/// [`Findings::interrupted`] set. Nor is it an error when a later stage fails: the others'
/// findings come back, and what failed stands in [`Findings::failures`].
pub fn debug(
    inputs: &DebugInputs<'_>,
    class: ClassId,
    config: &DebugConfig,
    observer: &mut dyn Observer,
) -> Result<Findings> {
    debug_each(inputs, class, config, observer, &mut |_| {})
}

/// [`debug`], handing over the findings as they grow.
///
/// `keep` is shown them after the ranking, after the smallest changes, after the edit, after the
/// recommendation, and after each [batch](neuroinspect_illusion::Execution::batch_size) of pictures but
/// the last, so that a run that is killed loses no more than what was under way.
/// [`Findings::interrupted`] is set in what it is shown.
///
/// # Errors
///
/// As [`debug`].
pub fn debug_each(
    inputs: &DebugInputs<'_>,
    class: ClassId,
    config: &DebugConfig,
    observer: &mut dyn Observer,
    keep: &mut dyn FnMut(&Findings),
) -> Result<Findings> {
    let mut findings = explain(inputs, class, config, observer)?;
    let layer = inputs.classifier.decision_layer()?;
    keep(&findings);
    if certify(inputs, &layer, config, &mut findings, observer)? {
        return Ok(findings);
    }
    keep(&findings);

    if let Some(data) = inputs.edit_data
        && !findings.neurons.is_empty()
    {
        match EditSession::new(data.clone(), &layer, &inputs.classifier.device()) {
            Ok(session) => {
                if edit(inputs, &session, config, &mut findings, observer) {
                    return Ok(findings);
                }
                keep(&findings);
                if recommend(&session, config, &mut findings, observer) {
                    return Ok(findings);
                }
                #[cfg(feature = "datasets")]
                if crate::outside::look(inputs, &mut findings, observer) {
                    return Ok(findings);
                }
            }
            Err(error) => findings.fail_with("editing", &error),
        }
        keep(&findings);
    }
    if findings.pairs.is_empty() {
        findings.interrupted = false;
        return Ok(findings);
    }
    let start = Instant::now();
    let kept = Picturing::new(inputs, config, &mut findings, keep).run(observer);
    findings
        .run
        .add_timing("visualizing", start.elapsed().saturating_sub(kept));
    Ok(findings)
}

/// The first part of [`debug`] alone: explains the mistakes and ranks the neurons, what all else goes by.
/// [`Findings::interrupted`] is set, as there is more to come.
///
/// # Errors
///
/// As [`debug`], before the ranking is there.
pub fn explain(
    inputs: &DebugInputs<'_>,
    class: ClassId,
    config: &DebugConfig,
    observer: &mut dyn Observer,
) -> Result<Findings> {
    let layer = inputs.classifier.decision_layer()?;
    config.validate()?;
    config.neurons.check(&layer)?;
    let table = inputs.table;
    #[cfg(feature = "datasets")]
    if let Some(images) = inputs.images {
        let (expected, found) = (table.len(), images.indices.len());
        if expected != found {
            let what = "images of the samples that are debugged";
            return Err(neuroinspect_core::Error::length(what, expected, found).into());
        }
    }
    if let Some(data) = inputs.edit_data {
        for samples in [data.train(), data.evaluation()] {
            table.check_alike(samples.table())?;
        }
    }
    let start = Instant::now();
    let predicted = table.predicted_by(&layer)?;
    let explanation = Explainer::new(&inputs.classifier.device())
        .with_config(config.counterfactual.clone())
        .explain(&predicted, class, observer)?;
    let mean = table.mean_features()?;
    let ranking = rank(&explanation, &layer, mean.view(), &config.ranking)?;
    let neurons = match &config.neurons {
        NeuronChoice::Auto { count } => ranking.first(*count),
        NeuronChoice::Listed => ranking.first(usize::MAX),
        NeuronChoice::Given(neurons) => neurons.clone(),
    };
    let mut recipe = config.recipe.clone();
    if inputs.guide.is_none()
        && recipe.objective.needs_guide()
        && let Some(objective) = recipe.objective.without_guide()
    {
        recipe.objective = objective;
    }
    let groups = table.groups();
    let mut findings = Findings {
        class,
        class_names: table.class_names().to_vec(),
        group_names: groups.map_or_else(Vec::new, |groups| groups.names().to_vec()),
        samples: table.samples_of(class)?.len(),
        metrics: predicted.metrics()?,
        pairs: neurons
            .iter()
            .take(config.pictures.unwrap_or(usize::MAX))
            .map(|&neuron| pair(&ranking, &explanation, neuron))
            .collect(),
        explanation,
        ranking,
        certified: None,
        edit: None,
        patch: None,
        edit_file: None,
        recommendation: None,
        recommendation_left_out: None,
        recipe,
        pictures: Vec::new(),
        pictures_reused: 0,
        pictures_resumed_at: None,
        units: Vec::new(),
        context_effects: inputs.context_effects.to_vec(),
        labels: (inputs.labels.iter())
            .filter(|label| neurons.contains(&NeuronId(label.unit)))
            .cloned()
            .collect(),
        neurons,
        interrupted: true,
        failures: inputs.failures.clone(),
        run: inputs.run.clone(),
    };
    findings.run.add_timing("explaining", start.elapsed());
    Ok(findings)
}

/// Adds the smallest changes of the mistakes, which are proved, or why they are not there; whether the
/// observer asked to stop.
fn certify(
    inputs: &DebugInputs<'_>,
    layer: &DecisionLayer,
    config: &DebugConfig,
    findings: &mut Findings,
    observer: &mut dyn Observer,
) -> Result<bool> {
    let start = Instant::now();
    let predicted = inputs.table.predicted_by(layer)?;
    let certified =
        config
            .certified
            .beside(&findings.explanation, &predicted, &config.ranking, observer);
    findings.run.add_timing("certifying", start.elapsed());
    match certified {
        Ok(certified) => findings.certified = Some(certified),
        Err(error) if is_cancellation(&error) => return Ok(true),
        Err(error) => findings.fail_with("certifying", &error),
    }
    Ok(false)
}

/// Edits the decision layer; whether the observer asked to stop.
fn edit(
    inputs: &DebugInputs<'_>,
    session: &EditSession,
    config: &DebugConfig,
    findings: &mut Findings,
    observer: &mut dyn Observer,
) -> bool {
    let start = Instant::now();
    let method = RatioEdit::new(findings.neurons.clone(), EditScope::Class(findings.class))
        .with_config(config.editing.clone());
    let edited = session.edit(&method, observer);
    findings.run.add_timing("editing", start.elapsed());
    match edited {
        Ok(Edited {
            patch, mut result, ..
        }) => {
            if !matches!(config.neurons, NeuronChoice::Given(_)) {
                match chosen_from(inputs.table, &findings.explanation, session.data()) {
                    Ok(count) => result.chosen_from = count,
                    Err(error) => findings.fail_with("editing", &error),
                }
            }
            let stopped = matches!(result.control, Some(Control::Stopped));
            if let Some(Control::Failed(reason)) = &result.control {
                findings.fail("training the control", reason);
            }
            findings.patch = Some(patch);
            findings.edit = Some(result);
            findings.edit_file = inputs.edit_file.clone();
            stopped
        }
        Err(error) if is_cancellation(&error) => true,
        Err(error) => {
            findings.fail_with("editing", &error);
            false
        }
    }
}

/// Recommends a mend, or notes why there is no recommendation; whether the observer asked to stop.
fn recommend(
    session: &EditSession,
    config: &DebugConfig,
    findings: &mut Findings,
    observer: &mut dyn Observer,
) -> bool {
    const STAGE: &str = "choosing a mend";
    if !config.recommendation {
        return false;
    }
    match left_out(session) {
        Ok(None) => {}
        Ok(reason) => {
            findings.recommendation_left_out = reason;
            return false;
        }
        Err(error) => {
            findings.fail_with(STAGE, &error);
            return false;
        }
    }
    let start = Instant::now();
    let mend = Mend::new(Some(findings.class)).with_training(config.editing.training.clone());
    let recommended = session.recommend(&mend, observer);
    findings.run.add_timing(STAGE, start.elapsed());
    match recommended {
        Ok(mut result) => {
            for suspect in &mut result.suspects {
                suspect.prec_at_k = prec_at_k(&findings.ranking, suspect.neuron);
            }
            findings.recommendation = Some(result);
        }
        Err(error) if is_cancellation(&error) => return true,
        Err(error) => findings.fail_with(STAGE, &error),
    }
    false
}

/// The share of the mistakes whose counterfactual has a neuron among its K largest shifts, or its K smallest,
/// whichever is larger; none of a neuron that the ranking does not list.
fn prec_at_k(ranking: &Ranking, neuron: NeuronId) -> Option<f64> {
    let lines = ranking.insufficient.iter().chain(&ranking.excessive);
    let shares = lines.filter(|line| line.neuron == neuron);
    shares.map(|line| line.prec_at_k).reduce(f64::max)
}

/// Why no mend is recommended, where none is.
fn left_out(session: &EditSession) -> Result<Option<String>> {
    let (data, layer) = (session.data(), session.layer());
    let (which, chosen_on) = data.chosen_on();
    let samples = data.train().len() + chosen_on.len();
    let (neurons, classes) = (layer.neurons(), layer.classes());
    if samples * neurons * classes > MOST_PRODUCTS {
        return Ok(Some(format!(
            "of {samples} samples, {neurons} neurons and {classes} classes it takes long; \
             `neuroinspect mend` makes it"
        )));
    }
    let both = match which {
        ChosenOn::Evaluation => data.also_trained_on()?,
        ChosenOn::Validation => 0,
    };
    let reason = || format!("{both} of the samples to choose on are trained on as well");
    Ok((both > 0).then(reason))
}

/// How many of the samples an edit is measured on are mistakes that its neurons were chosen from, by the explanation of
/// samples of `table`.
///
/// # Errors
///
/// When the explanation is of samples that the table does not have, or a table's file cannot be read.
pub fn chosen_from(
    table: &FeatureTable,
    explanation: &Explanation,
    data: &EditData,
) -> Result<usize> {
    let mistakes = explanation.counterfactuals.iter().map(|it| it.sample);
    Ok(data.evaluated_among(table, &mistakes.collect::<Vec<_>>())?)
}

#[cfg(test)]
mod tests {
    use neuroinspect_counterfactual::RankedNeuron;

    use super::*;

    #[test]
    fn a_share_is_the_larger_of_both_lists() {
        let line = |neuron, prec_at_k| RankedNeuron {
            neuron: NeuronId(neuron),
            prec_at_k,
            votes: 1,
            importance: 1.0,
        };
        let ranking = Ranking {
            class: ClassId(0),
            top: 5,
            mistakes: 4,
            unflipped: 0,
            insufficient: vec![line(0, 0.75), line(1, 0.25)],
            excessive: vec![line(1, 0.75), line(0, 0.25)],
        };
        // Of neither list none: it may be any below the least that is listed.
        let shares = [0, 1, 2].map(|neuron| prec_at_k(&ranking, NeuronId(neuron)));
        assert_eq!(shares, [Some(0.75), Some(0.75), None]);
    }
}
