//! The pictures of a debug run: which class each neuron is pictured within, the pictures, what is measured of them.

use std::{
    collections::BTreeMap,
    error::Error,
    time::{Duration, Instant},
};

use ndarray::Array2;
use neuroinspect_core::{
    ClassId, Error as CoreError, FeatureTable, NeuronId, Observer, is_cancellation,
};
use neuroinspect_counterfactual::{Explanation, RankedNeuron, Ranking};
use neuroinspect_illusion::{
    Illusion, Networks, Pair, Request, Trust, core_relevance, visualize_each,
};
use neuroinspect_report::{Findings, NeuronPicture};

#[cfg(feature = "datasets")]
use crate::trust::Comparison;
use crate::{DebugConfig, DebugInputs, Kept, Result};

/// Neighbouring classes a core relevance score is measured against, as in the paper's code.
const RELEVANCE_NEIGHBOURS: usize = 20;

/// What is noted where it fails.
const COMPARING: &str = "comparing pictures with real images";

/// What is noted where it fails.
#[cfg(feature = "datasets")]
const TRUSTING: &str = "measuring how far pictures can be trusted";

/// The pictures under way.
pub(super) struct Picturing<'a> {
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
    pub(super) fn new(
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
    pub(super) fn run(mut self, observer: &mut dyn Observer) -> Duration {
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
            let highest = self.compare(&mut batch);
            #[cfg(feature = "datasets")]
            let trusts = self.trusts(comparison.as_ref(), &networks, &batch);
            #[cfg(not(feature = "datasets"))]
            let trusts: Vec<_> = batch.iter().map(Trust::without_real).map(Some).collect();
            let measured = highest.into_iter().zip(trusts).collect();
            self.add(&networks, &means, batch, measured);
        };
        Ok(match inputs.pictures {
            Some(folder) => folder.visualize(&networks, &request, observer, &mut on_batch)?,
            None => visualize_each(&networks, &request, observer, &mut on_batch)?.into(),
        })
    }

    /// The highest activation of real images for each picture's neuron; neurons that no step moved are compared with them.
    /// That it cannot be done is noted.
    fn compare(&mut self, batch: &mut [Illusion]) -> Vec<Option<f32>> {
        if batch.is_empty() {
            return Vec::new();
        }
        let neurons: Vec<NeuronId> = batch.iter().map(|it| it.pair.neuron).collect();
        let table = self.inputs.table;
        let summaries = match table.summaries(&neurons) {
            Ok(summaries) => summaries,
            Err(error) => {
                self.fail_once(COMPARING, &error);
                return vec![None; batch.len()];
            }
        };
        for (illusion, real) in batch.iter_mut().zip(&summaries) {
            if let Some(unmoved) = &mut illusion.unmoved {
                unmoved.on_real(real.highest, real.mean, table.len());
            }
        }
        summaries.iter().map(|real| Some(real.highest)).collect()
    }

    /// Notes what fails of every batch alike, once.
    fn fail_once(&mut self, stage: &str, error: &dyn Error) {
        if !self.findings.failures.iter().any(|it| it.stage == stage) {
            self.findings.fail_with(stage, error);
        }
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
                self.fail_once(TRUSTING, &error);
                vec![None; batch.len()]
            }
            None => vec![None; batch.len()],
        }
    }

    /// Adds a batch of pictures to the findings, scored, each with the highest activation of real images and its trust.
    fn add(
        &mut self,
        networks: &Networks,
        means: &Array2<f32>,
        batch: Vec<Illusion>,
        measured: Vec<(Option<f32>, Option<Trust>)>,
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
                self.fail_once(SCORING, &error);
                vec![None; batch.len()]
            }
        };
        for ((illusion, core_relevance), measured) in batch.into_iter().zip(scores).zip(measured) {
            let (top_real_activation, trust) = measured;
            let Pair { neuron, class } = illusion.pair;
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
pub(super) fn pair(ranking: &Ranking, explanation: &Explanation, neuron: NeuronId) -> Pair {
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
    }
}
