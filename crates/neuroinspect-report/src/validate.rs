//! What findings must be like before they are written or shown.

use std::path::{Component, Path};

use neuroinspect_core::{Error as CoreError, Metrics};
use neuroinspect_counterfactual::{Certified, RankedNeuron, Stability};
use neuroinspect_editing::MendResult;

use crate::{ContextEffect, Error, Evaluation, Findings, NeuronPicture, Result, Run};

impl Evaluation {
    /// Checks that names and metrics fit each other and that numbers are finite (JSON knows no
    /// NaN).
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, by name.
    pub fn validate(&self) -> Result<()> {
        check_metrics(&self.metrics, &self.class_names, &self.group_names)?;
        check_run(&self.run)
    }
}

#[cfg(feature = "html")]
impl crate::CheckReport {
    /// Checks that names, metrics and ids fit each other and that numbers are finite (JSON knows no NaN).
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, by name.
    pub fn validate(&self) -> Result<()> {
        let classes = self.class_names.len();
        check_metrics(&self.metrics, &self.class_names, &self.group_names)?;
        if let Some(group) = self.metrics.worst_group
            && group >= self.group_names.len()
        {
            let (index, length) = (group, self.group_names.len());
            let what = "worst group".to_owned();
            return Err(CoreError::OutOfRange {
                what,
                index,
                length,
            }
            .into());
        }
        for of_class in &self.classes {
            of_class.class.check(classes)?;
            let lists = of_class.ranking.iter();
            for ranked in lists.flat_map(|it| it.insufficient.iter().chain(&it.excessive)) {
                check_ranked(ranked)?;
            }
            if let Some(stability) = &of_class.stability {
                check_stability(stability)?;
            }
            for reliance in &of_class.relies_on {
                let of = format!("importance of neuron {}", reliance.neuron);
                finite(of, [reliance.importance])?;
            }
        }
        for change in &self.changes {
            change.class.check(classes)?;
            let values = change.before.into_iter().chain(change.after);
            finite(format!("a change of neuron {}", change.neuron), values)?;
        }
        check_run(&self.run)
    }
}

impl Findings {
    /// Checks that ids are in range, lengths fit, counts agree and numbers are finite (JSON knows
    /// no NaN).
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, by name.
    pub fn validate(&self) -> Result<()> {
        let classes = self.class_names.len();
        self.class.check(classes)?;
        for counterfactual in &self.explanation.counterfactuals {
            counterfactual.predicted.check(classes)?;
        }
        let (mistakes, samples) = (self.mistakes(), self.samples);
        if mistakes > samples {
            return Err(Error::Mistakes { mistakes, samples });
        }
        check_metrics(&self.metrics, &self.class_names, &self.group_names)?;
        for ranked in self
            .ranking
            .insufficient
            .iter()
            .chain(&self.ranking.excessive)
        {
            check_ranked(ranked)?;
        }
        if let Some(certified) = &self.certified {
            check_certified(certified, classes)?;
        }
        for (neuron, effect) in self.context_effects.iter().enumerate() {
            check_effect(neuron, effect)?;
        }
        for label in &self.labels {
            let scores = label.labels.iter().map(|it| f64::from(it.score));
            finite(format!("a label of neuron {}", label.unit), scores)?;
        }
        for pair in &self.pairs {
            pair.class.check(classes)?;
        }
        for picture in &self.pictures {
            picture.illusion.pair.class.check(classes)?;
            check_picture(picture)?;
        }
        for unit in &self.units {
            unit.validate(classes)?;
        }
        if let Some(edit) = &self.edit {
            let after = [&edit.comparison.before, &edit.comparison.after];
            for metrics in after.into_iter().chain(edit.control_metrics()) {
                check_metrics(metrics, &self.class_names, &self.group_names)?;
            }
        }
        if let Some(recommendation) = &self.recommendation {
            check_recommendation(recommendation, classes)?;
        }
        check_run(&self.run)
    }
}

/// Checks that a frontier's points are of its candidates and finite, and that its class is one of `classes`.
pub(crate) fn check_recommendation(result: &MendResult, classes: usize) -> Result<()> {
    if let Some(class) = result.class {
        class.check(classes)?;
    }
    let candidates = result.candidates.len();
    let out_of = |what: &str, index, length| CoreError::OutOfRange {
        what: what.to_owned(),
        index,
        length,
    };
    for point in &result.frontier {
        if point.candidate >= candidates {
            return Err(out_of("candidate of a frontier", point.candidate, candidates).into());
        }
        let of_class = point.class.into_iter().chain(point.class_by_groups);
        let all = of_class.chain([point.bias, point.mean, point.mean_by_groups]);
        finite("an accuracy of the frontier", all)?;
    }
    for gain in [&result.gain, &result.gain_by_the_other] {
        let intervals = gain.class.iter().chain([&gain.mean]);
        let ends = intervals.flat_map(|it| [it.low, it.estimate, it.high]);
        finite("a gain", ends)?;
    }
    for suspect in &result.suspects {
        let shares = [suspect.share_of_deficit, suspect.contrast];
        let optional = [
            suspect.importance,
            suspect.prec_at_k,
            suspect.outside_object,
        ];
        let relevance = suspect.core_relevance.map(f64::from);
        let all = shares.into_iter().chain(optional.into_iter().flatten());
        finite(
            format!("a number of suspect {}", suspect.neuron),
            all.chain(relevance),
        )?;
    }
    let points = result.frontier.len();
    match result.recommended_at {
        Some(at) if at >= points => Err(out_of("point of a frontier", at, points).into()),
        _ => Ok(()),
    }
}

fn check_certified(certified: &Certified, classes: usize) -> Result<()> {
    let Certified {
        explanation,
        ranking,
        times_as_long,
        stability,
    } = certified;
    if let Some(rival) = explanation.rival {
        rival.check(classes)?;
    }
    for certificate in &explanation.certificates {
        certificate.predicted.check(classes)?;
        let lengths = certificate.length.into_iter().chain([certificate.at_least]);
        finite(
            format!("the length of the change of sample {}", certificate.sample),
            lengths,
        )?;
    }
    for ranked in ranking.insufficient.iter().chain(&ranking.excessive) {
        check_ranked(ranked)?;
    }
    finite("how long the shifts are", *times_as_long)?;
    check_stability(stability)
}

fn check_stability(stability: &Stability) -> Result<()> {
    let drawn = stability.insufficient.iter().chain(&stability.excessive);
    let of_neurons = drawn.flat_map(|it| it.prec_at_k.into_iter().chain([it.in_first]));
    finite(
        "the stability of the ranking",
        of_neurons.chain([stability.same_first]),
    )
}

fn check_ranked(ranked: &RankedNeuron) -> Result<()> {
    let neuron = ranked.neuron;
    finite(format!("prec@K of neuron {neuron}"), [ranked.prec_at_k])?;
    finite(
        format!("importance of neuron {neuron}"),
        [ranked.importance],
    )
}

fn check_effect(neuron: usize, effect: &ContextEffect) -> Result<()> {
    let values = [effect.present, effect.absent, effect.effect].map(f64::from);
    finite(format!("context effect of neuron {neuron}"), values)
}

fn check_picture(picture: &NeuronPicture) -> Result<()> {
    let illusion = &picture.illusion;
    let of = |what: &str| format!("{what} of neuron {}", illusion.pair.neuron);
    let optional = |value: Option<f32>| value.map(f64::from);
    let scores = [illusion.activation, illusion.logit, illusion.probability];
    finite(
        of("activation, logit or probability"),
        scores.map(f64::from),
    )?;
    finite(
        of("top real activation"),
        optional(picture.top_real_activation),
    )?;
    finite(of("CLIP similarity"), optional(illusion.clip_similarity))?;
    finite(of("core relevance"), optional(picture.core_relevance))?;
    let mut files = [&picture.file].into_iter().chain(&picture.masked_file);
    files.try_for_each(|path| check_file(path))
}

/// Checks that a path is inside the folder that it is relative to.
pub(crate) fn check_file(path: &str) -> Result<()> {
    let inside = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    match path.is_empty() || !inside {
        true => Err(Error::FileName {
            path: path.to_owned(),
        }),
        false => Ok(()),
    }
}

fn check_run(run: &Run) -> Result<()> {
    run.timings
        .iter()
        .try_for_each(|timing| finite(format!("the time of {}", timing.stage), [timing.seconds]))
}

pub(crate) fn finite(what: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Result<()> {
    match values.into_iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(value) => Err(CoreError::NotFinite {
            what: what.into(),
            value: value as f32,
        }
        .into()),
    }
}

fn check_metrics(metrics: &Metrics, classes: &[String], groups: &[String]) -> Result<()> {
    let same = |what: &str, expected: usize, found: usize| {
        if found == expected {
            return Ok(());
        }
        Err(CoreError::length(what, expected, found))
    };
    same(
        "accuracies of classes",
        classes.len(),
        metrics.class_accuracy.len(),
    )?;
    if let Some(accuracies) = &metrics.group_accuracy {
        same("accuracies of groups", groups.len(), accuracies.len())?;
    }
    let groups = metrics.group_accuracy.iter().flatten().flatten();
    let accuracies = metrics.class_accuracy.iter().flatten().chain(groups);
    let worst = [metrics.accuracy, metrics.worst_class_accuracy];
    let worst_group = metrics.worst_group_accuracy;
    finite(
        "an accuracy",
        accuracies.copied().chain(worst).chain(worst_group),
    )?;
    Ok(metrics.worst_class.check(classes.len())?)
}
