//! The three stages chained: explain the mistakes of a class, edit them away, picture the neurons.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use ndarray::Array2;
use neuroinspect_core::{
    ClassId, DecisionLayer, Error as CoreError, FeatureTable, NeuronId, Observer, is_cancellation,
};
use neuroinspect_counterfactual::{Explainer, Explanation, RankedNeuron, Ranking, rank};
use neuroinspect_editing::{
    ChosenOn, Control, EditData, EditScope, EditSession, Edited, Mend, RatioEdit,
};
use neuroinspect_illusion::{
    Illusion, Networks, Pair, Request, Trust, core_relevance, visualize_each,
};
use neuroinspect_report::{Findings, NeuronPicture};

#[cfg(feature = "datasets")]
use crate::trust::Comparison;
use crate::{DebugConfig, DebugInputs, Kept, NeuronChoice, Result};

/// Neighbouring classes a core relevance score is measured against, as in the paper's code.
const RELEVANCE_NEIGHBOURS: usize = 20;

/// What is noted where it fails.
#[cfg(feature = "datasets")]
const TRUSTING: &str = "measuring how far pictures can be trusted";

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
/// the ranking is there, [`CoreError::Cancelled`]; afterwards the findings so far come back with
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
            return Err(CoreError::length(what, expected, found).into());
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
                result.chosen_from =
                    chosen_from(inputs.table, &findings.explanation, session.data());
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
    findings.recommendation_left_out = left_out(session);
    if findings.recommendation_left_out.is_some() {
        return false;
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
fn left_out(session: &EditSession) -> Option<String> {
    let (data, layer) = (session.data(), session.layer());
    let (which, chosen_on) = data.chosen_on();
    let samples = data.train().len() + chosen_on.len();
    let (neurons, classes) = (layer.neurons(), layer.classes());
    if samples * neurons * classes > MOST_PRODUCTS {
        return Some(format!(
            "of {samples} samples, {neurons} neurons and {classes} classes it takes long; \
             `neuroinspect mend` makes it"
        ));
    }
    let both = match which {
        ChosenOn::Evaluation => data.also_trained_on(),
        ChosenOn::Validation => 0,
    };
    (both > 0).then(|| format!("{both} of the samples to choose on are trained on as well"))
}

/// How many of the samples an edit is measured on are mistakes that its neurons were chosen from, by the explanation of
/// samples of `table`.
pub fn chosen_from(table: &FeatureTable, explanation: &Explanation, data: &EditData) -> usize {
    let mistakes = explanation.counterfactuals.iter().map(|counterfactual| {
        let sample = counterfactual.sample;
        (table.sample_ids()[sample].as_str(), table.feature(sample))
    });
    data.evaluated_among(mistakes)
}

/// The pictures under way.
struct Picturing<'a> {
    inputs: &'a DebugInputs<'a>,
    config: &'a DebugConfig,
    findings: &'a mut Findings,
    keep: &'a mut dyn FnMut(&Findings),
    /// Batches still to be handed over.
    to_come: usize,
    /// How long `keep` has taken.
    keeping: Duration,
}

impl<'a> Picturing<'a> {
    fn new(
        inputs: &'a DebugInputs<'a>,
        config: &'a DebugConfig,
        findings: &'a mut Findings,
        keep: &'a mut dyn FnMut(&Findings),
    ) -> Self {
        Self {
            inputs,
            config,
            to_come: findings.pairs.len().div_ceil(config.execution.batch_size),
            findings,
            keep,
            keeping: Duration::ZERO,
        }
    }

    /// Pictures the pairs, once their classes' texts are embedded; how long keeping them took.
    fn run(mut self, observer: &mut dyn Observer) -> Duration {
        match self.pictures(observer) {
            Ok(kept) => {
                self.findings.interrupted = kept.shortfall.interrupted;
                self.findings.pictures_reused = kept.reused;
                self.findings.pictures_resumed_at = kept.resumed_at;
                for diverged in &kept.shortfall.diverged {
                    self.findings.fail_with("visualizing", diverged);
                }
            }
            Err(error) => {
                self.findings.interrupted = is_cancellation(&error);
                if !self.findings.interrupted {
                    self.findings.fail_with("visualizing", &error);
                }
            }
        }
        self.keeping
    }

    fn pictures(&mut self, observer: &mut dyn Observer) -> Result<Kept> {
        let inputs = self.inputs;
        let classes: Vec<_> = self.findings.pairs.iter().map(|pair| pair.class).collect();
        let recipe = self.findings.recipe.clone();
        let guide = match inputs.guide {
            Some(source) if recipe.objective.needs_guide() => {
                Some(source.guide(&classes, observer)?)
            }
            _ => None,
        };
        let device = inputs.classifier.device();
        let networks = Networks::new(inputs.classifier, guide.as_ref(), &device, recipe.precision)?;
        let request =
            Request::new(self.findings.pairs.clone(), recipe).with_execution(self.config.execution);
        let means = class_means(inputs.table)?;
        #[cfg(feature = "datasets")]
        let comparison = match Comparison::new(&networks, inputs.judge, &[], inputs.images) {
            Ok(comparison) => Some(comparison),
            Err(error) => {
                self.findings.fail_with(TRUSTING, &error);
                None
            }
        };
        let mut on_batch = |mut batch: Vec<Illusion>| {
            for illusion in &mut batch {
                illusion.compare_unmoved(inputs.table);
            }
            #[cfg(feature = "datasets")]
            let trusts = self.trusts(comparison.as_ref(), &networks, &batch);
            #[cfg(not(feature = "datasets"))]
            let trusts = batch.iter().map(Trust::without_real).map(Some).collect();
            self.add(&networks, &means, batch, trusts);
        };
        Ok(match inputs.pictures {
            Some(folder) => folder.visualize(&networks, &request, observer, &mut on_batch)?,
            None => visualize_each(&networks, &request, observer, &mut on_batch)?.into(),
        })
    }

    /// How far each picture can be trusted; that it cannot be measured is noted.
    #[cfg(feature = "datasets")]
    fn trusts(
        &mut self,
        comparison: Option<&Comparison>,
        networks: &Networks,
        batch: &[Illusion],
    ) -> Vec<Option<Trust>> {
        let measured = comparison.map(|it| it.trust(networks, batch));
        match measured {
            Some(Ok(trusts)) => trusts.into_iter().map(Some).collect(),
            Some(Err(error)) => {
                if !self.findings.failures.iter().any(|it| it.stage == TRUSTING) {
                    self.findings.fail_with(TRUSTING, &error);
                }
                vec![None; batch.len()]
            }
            None => vec![None; batch.len()],
        }
    }

    /// Adds a batch of pictures to the findings, scored.
    fn add(
        &mut self,
        networks: &Networks,
        means: &Array2<f32>,
        batch: Vec<Illusion>,
        trusts: Vec<Option<Trust>>,
    ) {
        const SCORING: &str = "scoring core relevance";
        let scored = core_relevance(
            &networks.classifier,
            &batch,
            means.view(),
            RELEVANCE_NEIGHBOURS,
        );
        let scores: Vec<_> = match scored {
            _ if batch.is_empty() => Vec::new(),
            Ok(scored) => scored.into_iter().map(|one| one.score).collect(),
            Err(error) => {
                if !self.findings.failures.iter().any(|it| it.stage == SCORING) {
                    self.findings.fail_with(SCORING, &error);
                }
                vec![None; batch.len()]
            }
        };
        for ((illusion, core_relevance), trust) in batch.into_iter().zip(scores).zip(trusts) {
            let Pair { neuron, class } = illusion.pair;
            let top_real_activation = self.top_real_activation(neuron);
            if class == self.findings.class
                && let Some(recommendation) = &mut self.findings.recommendation
            {
                let suspects = recommendation.suspects.iter_mut();
                for suspect in suspects.filter(|suspect| suspect.neuron == neuron) {
                    suspect.core_relevance = core_relevance;
                }
            }
            self.findings.pictures.push(NeuronPicture {
                top_real_activation,
                core_relevance,
                trust,
                ..NeuronPicture::new(illusion)
            });
        }
        self.to_come = self.to_come.saturating_sub(1);
        if self.to_come > 0 {
            let start = Instant::now();
            (self.keep)(self.findings);
            self.keeping += start.elapsed();
        }
    }

    fn top_real_activation(&self, neuron: NeuronId) -> Option<f32> {
        let features = self.inputs.table.features();
        features.column(neuron.0).iter().copied().reduce(f32::max)
    }
}

/// Mean features of each class, `[K, D]`; not a number for a class that has no samples, as one that
/// was predicted but is not in the data.
pub(crate) fn class_means(table: &FeatureTable) -> Result<Array2<f32>> {
    let mut means = Array2::from_elem((table.classes(), table.neurons()), f32::NAN);
    for (class, mut row) in means.rows_mut().into_iter().enumerate() {
        match table.class_mean(ClassId(class)) {
            Ok(mean) => row.assign(&mean),
            Err(CoreError::EmptyClass { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(means)
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
    for (counterfactual, shift) in explanation.counterfactuals.iter().zip(shifts) {
        *excess.entry(counterfactual.predicted).or_default() -= shift;
    }
    let most = excess.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let class = match most {
        Some((class, _)) if is_excessive => class,
        _ => explanation.class,
    };
    Pair { neuron, class }
}

#[cfg(test)]
mod tests {
    use neuroinspect_counterfactual::Counterfactual;

    use super::*;

    fn line(neuron: usize, votes: usize) -> RankedNeuron {
        RankedNeuron {
            neuron: NeuronId(neuron),
            prec_at_k: votes as f64 / 4.0,
            votes,
            importance: 1.0,
        }
    }

    /// Four mistakes of class 0: three taken for class 1, one for class 2.
    #[test]
    fn a_neuron_is_pictured_where_the_ranking_puts_it() {
        let explanation = Explanation {
            class: ClassId(0),
            counterfactuals: [1, 1, 1, 2]
                .into_iter()
                .enumerate()
                .map(|(sample, predicted)| Counterfactual {
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
            top: 5,
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
        // Of both lists the larger share, and of neither none: it may be any below the least that is listed.
        let shares = [0, 1, 2].map(|neuron| prec_at_k(&ranking, NeuronId(neuron)));
        assert_eq!(shares, [Some(0.75), Some(0.75), None]);
    }
}
