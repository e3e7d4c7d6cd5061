//! What layers are worth over repetitions, with intervals.

use neuroinspect_core::{ClassId, Metrics};
use neuroinspect_editing::EditData;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::Result;

/// A mean over repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Half the width of its 95 % interval, by Student's distribution; `None` of one repetition.
    pub margin: Option<f64>,
}

/// What a layer is worth: accuracies from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Scores {
    /// Of all samples.
    pub average: Estimate,
    /// Of the groups, each as heavy as it is among the training samples; `None` without groups.
    pub train_weighted: Option<Estimate>,
    /// Of the class to be helped.
    pub class: Estimate,
    /// Of the worst class.
    pub worst_class: Estimate,
    /// Of the worst group; `None` without groups.
    pub worst_group: Option<Estimate>,
}

/// What a layer is worth in one repetition.
pub(super) struct Measured {
    average: f64,
    train_weighted: Option<f64>,
    class: f64,
    worst_class: f64,
    worst_group: Option<f64>,
}

impl Measured {
    pub(super) fn new(metrics: &Metrics, data: &EditData, class: ClassId) -> Result<Self> {
        let of_class = metrics.class_accuracy.get(class.0).copied().flatten();
        let empty = || {
            let name = data.evaluation().table().class_names()[class.0].clone();
            neuroinspect_core::Error::EmptyClass { class, name }
        };
        Ok(Self {
            average: metrics.accuracy,
            train_weighted: train_weighted(metrics, data),
            class: of_class.ok_or_else(empty)?,
            worst_class: metrics.worst_class_accuracy,
            worst_group: metrics.worst_group_accuracy,
        })
    }
}

/// The groups' accuracies, weighted by the groups' shares of the training samples; groups are told by
/// their names. `None` unless all groups that are trained on are measured.
pub(crate) fn train_weighted(metrics: &Metrics, data: &EditData) -> Option<f64> {
    let (train, measured) = (data.train().groups()?, data.evaluation().groups()?);
    let accuracies = metrics.group_accuracy.as_ref()?;
    let mut sum = 0.0;
    for &group in train.of_sample() {
        let name = &train.names()[group];
        let group = measured.names().iter().position(|known| known == name)?;
        sum += accuracies[group]?;
    }
    Some(sum / train.of_sample().len() as f64)
}

impl Scores {
    /// The means of some repetitions, at least one.
    pub(super) fn of(measured: &[Measured]) -> Self {
        let all = |value: &dyn Fn(&Measured) -> f64| {
            Estimate::of(&measured.iter().map(value).collect::<Vec<_>>())
        };
        let some = |value: &dyn Fn(&Measured) -> Option<f64>| {
            let values: Option<Vec<f64>> = measured.iter().map(value).collect();
            values.map(|values| Estimate::of(&values))
        };
        Self {
            average: all(&|it| it.average),
            train_weighted: some(&|it| it.train_weighted),
            class: all(&|it| it.class),
            worst_class: all(&|it| it.worst_class),
            worst_group: some(&|it| it.worst_group),
        }
    }
}

impl Estimate {
    /// Of no values there is none.
    #[cfg(feature = "experiments")]
    pub(crate) fn of_any(values: &[f64]) -> Option<Self> {
        (!values.is_empty()).then(|| Self::of(values))
    }

    pub(super) fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        // There is no distribution of no degrees of freedom.
        let student = StudentsT::new(0.0, 1.0, values.len().saturating_sub(1) as f64);
        let margin = student.ok().map(|student| {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            student.inverse_cdf(0.975) * (squares / student.freedom() / count).sqrt()
        });
        Self { mean, margin }
    }
}
