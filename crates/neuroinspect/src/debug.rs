//! The three stages chained: explain the mistakes of a class, mend them, picture the neurons.

use std::{collections::BTreeMap, fmt, time::Instant};

use ndarray::Array2;
use neuroinspect_core::{
    ClassId, Classifier, DecisionLayer, Error as CoreError, FeatureTable, Metrics, NeuronId,
    Observer, Seed,
};
use neuroinspect_counterfactual::{
    CounterfactualConfig, Explanation, RankingConfig, explain, rank,
};
use neuroinspect_editing::{Comparison, Edit, EditConfig, EditScope, edit};
use neuroinspect_illusion::{
    Illusion, IllusionConfig, Illusions, Objective, Pair, core_relevance, visualize,
};
use serde::{Deserialize, Serialize};

use crate::{EditData, Findings, GuideSource, Mending, Result};

/// Neighbouring classes a core relevance score is measured against, as in the paper's code.
const RELEVANCE_NEIGHBOURS: usize = 20;

/// Options of [`debug`]: those of each stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DebugConfig {
    /// Which neurons are edited. Default: the first five of the ranking.
    pub neurons: NeuronChoice,
    /// How many of them, from the first, are pictured. Default: all, `None`.
    pub pictures: Option<usize>,
    /// How mistakes are explained.
    pub counterfactual: CounterfactualConfig,
    /// How neurons are ranked.
    pub ranking: RankingConfig,
    /// How the decision layer is edited.
    pub editing: EditConfig,
    /// How neurons are pictured. Without a guide, [`Objective::Guided`] falls back to
    /// [`Objective::ClassConditional`].
    pub illusion: IllusionConfig,
}

/// Which neurons are edited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeuronChoice {
    /// The first of the ranking, by the rule of
    /// [`Ranking::first`](neuroinspect_counterfactual::Ranking::first).
    Auto {
        /// How many.
        count: usize,
    },
    /// All that the ranking lists, in the order of
    /// [`Ranking::first`](neuroinspect_counterfactual::Ranking::first).
    Listed,
    /// These.
    Given(Vec<NeuronId>),
}

impl NeuronChoice {
    /// Checks that the choice names at least one neuron, each once, and only neurons of `layer`.
    ///
    /// # Errors
    ///
    /// The first of these that does not hold.
    pub fn check(&self, layer: &DecisionLayer) -> Result<()> {
        let Self::Given(neurons) = self else {
            return Ok(());
        };
        if neurons.is_empty() {
            return Err(neuroinspect_editing::Error::NoNeurons.into());
        }
        for (index, &neuron) in neurons.iter().enumerate() {
            layer.check_neuron(neuron)?;
            if neurons[..index].contains(&neuron) {
                return Err(neuroinspect_editing::Error::DuplicateNeuron { neuron }.into());
            }
        }
        Ok(())
    }
}

impl Default for DebugConfig {
    fn default() -> Self {
        Self {
            neurons: NeuronChoice::Auto { count: 5 },
            pictures: None,
            counterfactual: CounterfactualConfig::default(),
            ranking: RankingConfig::default(),
            editing: EditConfig::default(),
            illusion: IllusionConfig::default(),
        }
    }
}

impl DebugConfig {
    /// The paper's options for every stage, five neurons.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets which neurons are edited.
    pub fn with_neurons(mut self, neurons: NeuronChoice) -> Self {
        self.neurons = neurons;
        self
    }

    /// Sets how many of them, from the first, are pictured.
    pub fn with_pictures(mut self, count: usize) -> Self {
        self.pictures = Some(count);
        self
    }

    /// Sets how mistakes are explained.
    pub fn with_counterfactual(mut self, counterfactual: CounterfactualConfig) -> Self {
        self.counterfactual = counterfactual;
        self
    }

    /// Sets how neurons are ranked.
    pub fn with_ranking(mut self, ranking: RankingConfig) -> Self {
        self.ranking = ranking;
        self
    }

    /// Sets how the decision layer is edited.
    pub fn with_editing(mut self, editing: EditConfig) -> Self {
        self.editing = editing;
        self
    }

    /// Sets how neurons are pictured.
    pub fn with_illusion(mut self, illusion: IllusionConfig) -> Self {
        self.illusion = illusion;
        self
    }

    /// Checks every option of every stage.
    ///
    /// # Errors
    ///
    /// The first option that is out of range, by name.
    pub fn validate(&self) -> Result<()> {
        self.counterfactual.validate()?;
        self.ranking.validate()?;
        self.editing.validate()?;
        self.illusion.validate()?;
        Ok(())
    }

    /// Sets the seed of every stage that draws random numbers.
    pub fn with_seed(mut self, seed: Seed) -> Self {
        self.editing = self.editing.with_seed(seed);
        self.illusion = self.illusion.with_seed(seed);
        self
    }
}

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
            .map(|&neuron| pair(&explanation, neuron))
            .collect(),
        explanation,
        ranking,
        neurons,
        mending: None,
        objective: illusion.objective,
        illusions: Vec::new(),
        core_relevance: Vec::new(),
        timings: vec![("explaining", start.elapsed())],
        interrupted: false,
        failures: Vec::new(),
    };
    if findings.neurons.is_empty() {
        return Ok(findings);
    }

    if let Some(data) = subject.edit_data {
        let start = Instant::now();
        mend(
            subject,
            &layer,
            data,
            &config.editing,
            &mut findings,
            observer,
        );
        findings.timings.push(("editing", start.elapsed()));
        if findings.interrupted {
            return Ok(findings);
        }
    }

    let start = Instant::now();
    let illusions = picture(subject, &findings.pairs, &illusion, observer);
    if let Some(illusions) = findings.settle("visualizing", illusions) {
        findings.interrupted = illusions.interrupted;
        findings.illusions = illusions.finished;
        for diverged in &illusions.diverged {
            findings.fail("visualizing", diverged);
        }
        let relevance = relevance(subject, &findings.illusions);
        findings.core_relevance = findings
            .settle("scoring core relevance", relevance)
            .unwrap_or_else(|| vec![None; findings.illusions.len()]);
    }
    findings.timings.push(("visualizing", start.elapsed()));
    Ok(findings)
}

/// Edits the decision layer, then trains the control; without the control the edit still stands.
fn mend(
    subject: Subject<'_>,
    layer: &DecisionLayer,
    data: &EditData,
    config: &EditConfig,
    findings: &mut Findings,
    observer: &mut dyn Observer,
) {
    let scope = EditScope::Class(findings.class);
    let device = subject.classifier.device();
    let neurons = findings.neurons.clone();
    let EditData {
        train, validation, ..
    } = data;
    let mut train_layer = |config: &EditConfig| -> Result<_> {
        Ok(edit(
            train, validation, layer, &neurons, scope, config, &device, observer,
        )?)
    };
    let compare = |after: &DecisionLayer| -> Result<Comparison> {
        Ok(Comparison::new(&data.evaluation, layer, after)?)
    };
    let mended = train_layer(config).and_then(|edited| {
        Ok(Mending {
            edit: Edit::between(layer, &edited.layer, edited.recipe())?,
            comparison: compare(&edited.layer)?,
            trained_on: data.evaluated_and_trained_on(),
            control: None,
            edited,
        })
    });
    let Some(mut mending) = findings.settle("editing", mended) else {
        return;
    };
    let control =
        train_layer(&config.control()).and_then(|control| Ok(compare(&control.layer)?.after));
    mending.control = findings.settle::<Metrics>("training the control", control);
    findings.mending = Some(mending);
}

/// The pictures, once their classes' texts are embedded.
fn picture(
    subject: Subject<'_>,
    pairs: &[Pair],
    config: &IllusionConfig,
    observer: &mut dyn Observer,
) -> Result<Illusions> {
    let classes: Vec<_> = pairs.iter().map(|pair| pair.class).collect();
    let guide = match subject.guide {
        Some(source) => Some(source.guide(&classes, observer)?),
        None => None,
    };
    let classifier = subject.classifier;
    Ok(visualize(
        classifier,
        guide.as_ref(),
        pairs,
        config,
        observer,
    )?)
}

/// The class a neuron is pictured within.
///
/// An excessive neuron speaks against the class debugged: pictured within that class, it would stay
/// silent. What it does is seen in the class that it made of the mistakes.
fn pair(explanation: &Explanation, neuron: NeuronId) -> Pair {
    let shifts = explanation.shifts.column(neuron.0);
    let mut excess = BTreeMap::<ClassId, f32>::new();
    for (outcome, shift) in explanation.outcomes.iter().zip(shifts) {
        *excess.entry(outcome.predicted).or_default() -= shift;
    }
    let most = excess.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let class = match most {
        Some((class, _)) if shifts.sum() < 0.0 => class,
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
