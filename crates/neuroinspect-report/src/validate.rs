//! What a summary must be like before it is written or shown.

use std::path::{Component, Path};

use neuroinspect_core::{ClassId, Error as CoreError, Metrics};

use crate::{DebugSummary, Error, EvaluationSummary, RankedNeuron, Result, Run, Visualization};

impl EvaluationSummary {
    /// Checks that names and metrics fit each other and that numbers are finite (JSON knows no
    /// NaN).
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, by name.
    pub fn validate(&self) -> Result<()> {
        check_metrics(&self.metrics, &self.class_names, &self.group_names)?;
        self.run.validate()
    }
}

impl DebugSummary {
    /// Checks that ids are in range, lengths fit, counts agree and numbers are finite (JSON knows
    /// no NaN).
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, by name.
    pub fn validate(&self) -> Result<()> {
        self.check_class(self.class)?;
        for confusion in &self.confusions {
            self.check_class(confusion.class)?;
        }
        if self.mistakes > self.samples {
            let expected = format!("at most {}, the samples of the class", self.samples);
            return Err(CoreError::shape("mistakes", expected, self.mistakes).into());
        }
        check_metrics(&self.metrics, &self.class_names, &self.group_names)?;
        for ranked in self
            .ranking
            .insufficient
            .iter()
            .chain(&self.ranking.excessive)
        {
            ranked.validate()?;
        }
        for visualization in &self.visualizations {
            self.check_class(visualization.class)?;
            visualization.validate()?;
        }
        if let Some(edit) = &self.edit {
            for metrics in [&edit.before, &edit.after].into_iter().chain(&edit.control) {
                check_metrics(metrics, &self.class_names, &self.group_names)?;
            }
            finite("the target of the edit", edit.target)?;
        }
        self.run.validate()
    }

    fn check_class(&self, class: ClassId) -> Result<()> {
        let classes = self.class_names.len();
        if class.0 < classes {
            return Ok(());
        }
        Err(CoreError::ClassOutOfRange { class, classes }.into())
    }
}

impl RankedNeuron {
    fn validate(&self) -> Result<()> {
        let neuron = self.neuron;
        finite(format!("prec@5 of neuron {neuron}"), [self.prec_at_5])?;
        finite(format!("importance of neuron {neuron}"), [self.importance])?;
        if let Some(response) = &self.context_response {
            let values = [response.present, response.absent].map(f64::from);
            finite(format!("context response of neuron {neuron}"), values)?;
        }
        Ok(())
    }
}

impl Visualization {
    fn validate(&self) -> Result<()> {
        let of = |what: &str| format!("{what} of neuron {}", self.neuron);
        let optional = |value: Option<f32>| value.map(f64::from);
        finite(of("activation"), [f64::from(self.activation)])?;
        finite(
            of("top real activation"),
            optional(self.top_real_activation),
        )?;
        finite(of("CLIP similarity"), optional(self.clip_similarity))?;
        finite(of("core relevance"), optional(self.core_relevance))?;
        for path in [&self.image, &self.masked_image] {
            let inside = Path::new(path)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            if path.is_empty() || !inside {
                return Err(Error::FileName { path: path.clone() });
            }
        }
        Ok(())
    }
}

impl Run {
    fn validate(&self) -> Result<()> {
        self.timings.iter().try_for_each(|timing| {
            finite(format!("the time of {}", timing.stage), [timing.seconds])
        })
    }
}

fn finite(what: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Result<()> {
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
        Err(CoreError::shape(what, expected, found))
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
    if metrics.worst_class.0 >= classes.len() {
        return Err(CoreError::ClassOutOfRange {
            class: metrics.worst_class,
            classes: classes.len(),
        }
        .into());
    }
    Ok(())
}
