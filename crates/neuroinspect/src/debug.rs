//! The three stages chained: explain the mistakes of a class, mend them, picture the neurons.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use ndarray::Array2;
use neuroinspect_core::{
    ClassId, Classifier, Error as CoreError, FeatureTable, Metrics, NeuronId, Observer, Seed,
};
use neuroinspect_counterfactual::{
    CounterfactualConfig, Explanation, Ranking, RankingConfig, explain, rank,
};
use neuroinspect_editing::{Comparison, Edit, EditConfig, EditScope, Edited, edit};
use neuroinspect_illusion::{
    Guide, Illusion, IllusionConfig, Objective, Pair, core_relevance, visualize,
};
use serde::{Deserialize, Serialize};

use crate::Result;

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
    /// The first of the ranking, by the rule of [`Ranking::first`].
    Auto {
        /// How many.
        count: usize,
    },
    /// All that the ranking lists, in the order of [`Ranking::first`].
    Listed,
    /// These.
    Given(Vec<NeuronId>),
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
    /// The image-text encoder that guides the pictures, if there is one.
    pub guide: Option<&'a Guide<'a>>,
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

/// Feature tables for an edit: disjoint, so that what is measured was not trained on.
#[derive(Clone, Debug)]
pub struct EditData {
    /// The decision layer learns from these samples.
    pub train: FeatureTable,
    /// The best epoch is chosen on these.
    pub validation: FeatureTable,
    /// Accuracy before and after is measured on these.
    pub evaluation: FeatureTable,
}

impl EditData {
    /// Share of the training samples that the best epoch is chosen on.
    const VALIDATION_SHARE: f64 = 0.15;

    /// Edit on `training` samples, 15 % of each class held out for validation, and measure on
    /// `evaluation`.
    ///
    /// # Errors
    ///
    /// When a part comes out empty.
    pub fn new(training: &FeatureTable, evaluation: &FeatureTable, seed: Seed) -> Result<Self> {
        let (validation, train) = training.split(Self::VALIDATION_SHARE, seed)?;
        let data = Self {
            train,
            validation,
            evaluation: evaluation.clone(),
        };
        for (what, table) in [
            ("samples to edit on", &data.train),
            ("samples to validate an edit on", &data.validation),
            ("samples to measure an edit on", &data.evaluation),
        ] {
            if table.is_empty() {
                return Err(CoreError::shape(what, "at least 1", 0).into());
            }
        }
        Ok(data)
    }

    /// Where there is only one set of samples: edit on one half of each class, measure on the
    /// other.
    ///
    /// # Errors
    ///
    /// When a part comes out empty.
    pub fn halves(table: &FeatureTable, seed: Seed) -> Result<Self> {
        let (training, evaluation) = table.split(0.5, seed)?;
        Self::new(&training, &evaluation, seed)
    }
}

/// What [`debug`] found and did.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The class debugged.
    pub class: ClassId,
    /// The counterfactual of each mistake.
    pub explanation: Explanation,
    /// The neurons that recur in them.
    pub ranking: Ranking,
    /// The neurons edited.
    pub neurons: Vec<NeuronId>,
    /// Those pictured, with the class each is pictured within: the class debugged where the neuron was
    /// insufficient for it, otherwise the class that it pulled the mistakes to.
    pub pairs: Vec<Pair>,
    /// The edit, where there was data to edit on and the edit ran to its end.
    pub mending: Option<Mending>,
    /// The pictures finished, one per pair in their order.
    pub illusions: Vec<Illusion>,
    /// Core relevance score of each picture; `None` where it is not defined.
    pub core_relevance: Vec<Option<f32>>,
    /// Wall-clock time of each stage.
    pub timings: Vec<(&'static str, Duration)>,
    /// Whether the observer stopped the work before its end.
    pub interrupted: bool,
}

/// An edit and what it did.
#[derive(Clone, Debug)]
pub struct Mending {
    /// The new decision layer and how it was found.
    pub edited: Edited,
    /// The difference to the old one, to be saved, applied and reverted.
    pub edit: Edit,
    /// Metrics before and after it, on [`EditData::evaluation`].
    pub comparison: Comparison,
    /// Metrics there of the control: the same training without the ratio
    /// ([`EditConfig::control`]). What it gains too, the ratio cannot claim.
    pub control: Metrics,
}

/// Finds the neurons behind a class's mistakes, weakens their hold on the class, and pictures
/// them.
///
/// The edit comes before the pictures because it takes seconds and they take minutes: a run that
/// is stopped while picturing has everything else.
///
/// # Errors
///
/// When the class has no samples or no mistakes, a neuron is out of range, or a stage fails. When
/// the observer asks to stop before the ranking is there, [`CoreError::Cancelled`]; afterwards the
/// findings so far come back with [`Findings::interrupted`] set.
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
    let mut timings = Vec::new();

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
    timings.push(("explaining", start.elapsed()));
    let neurons = match &config.neurons {
        NeuronChoice::Auto { count } => ranking.first(*count),
        NeuronChoice::Listed => ranking.first(usize::MAX),
        NeuronChoice::Given(neurons) => neurons.clone(),
    };
    for &neuron in &neurons {
        table.check_neuron(neuron)?;
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
        illusions: Vec::new(),
        core_relevance: Vec::new(),
        timings,
        interrupted: false,
    };
    if findings.neurons.is_empty() {
        return Ok(findings);
    }

    if let Some(data) = subject.edit_data {
        let start = Instant::now();
        match mend(subject, data, class, &findings.neurons, config, observer) {
            Ok(mending) => findings.mending = Some(mending),
            Err(error) if error.is_cancellation() => {
                findings.interrupted = true;
                return Ok(findings);
            }
            Err(error) => return Err(error),
        }
        findings.timings.push(("editing", start.elapsed()));
    }

    let start = Instant::now();
    let mut illusion = config.illusion.clone();
    if subject.guide.is_none() && illusion.objective == Objective::Guided {
        illusion.objective = Objective::ClassConditional;
    }
    let illusions = visualize(
        classifier,
        subject.guide,
        &findings.pairs,
        &illusion,
        observer,
    )?;
    findings.illusions = illusions.finished;
    findings.interrupted = illusions.interrupted;
    findings.core_relevance = relevance(subject, &findings.illusions)?;
    findings.timings.push(("visualizing", start.elapsed()));
    Ok(findings)
}

fn mend(
    subject: Subject<'_>,
    data: &EditData,
    class: ClassId,
    neurons: &[NeuronId],
    config: &DebugConfig,
    observer: &mut dyn Observer,
) -> Result<Mending> {
    let layer = subject.classifier.decision_layer()?;
    let scope = EditScope::Class(class);
    let device = subject.classifier.device();
    let EditData {
        train,
        validation,
        evaluation,
    } = data;
    let mut train_layer = |config: &EditConfig| {
        edit(
            train, validation, &layer, neurons, scope, config, &device, observer,
        )
    };
    let edited = train_layer(&config.editing)?;
    let control = train_layer(&config.editing.control())?;
    Ok(Mending {
        edit: Edit::between(&layer, &edited.layer, edited.recipe())?,
        comparison: Comparison::new(evaluation, &layer, &edited.layer)?,
        control: Comparison::new(evaluation, &layer, &control.layer)?.after,
        edited,
    })
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

/// Core relevance of each picture. A class without samples has no mean and is nobody's neighbour.
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
    let relevance = core_relevance(classifier, illusions, means.view(), RELEVANCE_NEIGHBOURS)?;
    Ok(relevance
        .into_iter()
        .map(|relevance| relevance.score)
        .collect())
}
