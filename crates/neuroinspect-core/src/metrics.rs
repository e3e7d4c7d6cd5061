//! What predictions are worth: accuracy on average, per class and per group.

use serde::{Deserialize, Serialize};

use crate::{ClassId, Error, Groups, Result};

/// Accuracy on average, per class, and per group where groups exist. All values are in `[0, 1]`.
///
/// The average is the plain mean over samples. A class or group without samples has no accuracy
/// and takes no part in the worst.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Metrics {
    /// Share of samples predicted right.
    pub accuracy: f64,
    /// The same within each class; `None` for a class without samples.
    pub class_accuracy: Vec<Option<f64>>,
    /// The least of `class_accuracy`.
    pub worst_class_accuracy: f64,
    /// The class it belongs to; the first among equals.
    pub worst_class: ClassId,
    /// The same within each group, in the order of the groups' [names](Groups::names).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_accuracy: Option<Vec<Option<f64>>>,
    /// The least of `group_accuracy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_group_accuracy: Option<f64>,
    /// The group it belongs to, an index into the groups' [names](Groups::names).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_group: Option<usize>,
    /// Number of samples.
    pub samples: usize,
}

impl Metrics {
    /// Metrics of predictions against labels, over `classes` classes.
    ///
    /// # Errors
    ///
    /// When there are no samples, lengths differ, or a label is out of range.
    pub fn new(
        labels: &[ClassId],
        predictions: &[ClassId],
        classes: usize,
        groups: Option<&Groups>,
    ) -> Result<Self> {
        if labels.is_empty() {
            return Err(Error::empty("samples to measure accuracy on"));
        }
        if labels.len() != predictions.len() {
            return Err(Error::length(
                "predictions",
                labels.len(),
                predictions.len(),
            ));
        }
        let mut of_class = Counts::new(classes);
        for (&label, &prediction) in labels.iter().zip(predictions) {
            label.check(classes)?;
            of_class.add(label.0, label == prediction);
        }
        let (worst_class, worst_class_accuracy) = of_class.worst();
        let mut metrics = Self {
            accuracy: of_class.right.iter().sum::<usize>() as f64 / labels.len() as f64,
            class_accuracy: of_class.accuracy(),
            worst_class_accuracy,
            worst_class: ClassId(worst_class),
            group_accuracy: None,
            worst_group_accuracy: None,
            worst_group: None,
            samples: labels.len(),
        };
        if let Some(groups) = groups {
            let of_sample = groups.of_sample();
            if of_sample.len() != labels.len() {
                return Err(Error::length("group labels", labels.len(), of_sample.len()));
            }
            let mut of_group = Counts::new(groups.names().len());
            for (index, &group) in of_sample.iter().enumerate() {
                of_group.add(group, labels[index] == predictions[index]);
            }
            let (worst_group, accuracy) = of_group.worst();
            metrics.group_accuracy = Some(of_group.accuracy());
            metrics.worst_group_accuracy = Some(accuracy);
            metrics.worst_group = Some(worst_group);
        }
        Ok(metrics)
    }
}

/// The 95 % interval of a share, of which `hits` of `samples` were seen: Wilson's score interval ("Probable inference,
/// the law of succession, and statistical inference", 1927), which stays within `[0, 1]` and has a length where all or
/// none were hits. `[0, 1]` of no samples.
///
/// ```
/// let [low, high] = neuroinspect_core::share_interval(8, 10);
/// assert!((low - 0.4902).abs() < 1e-4 && (high - 0.9433).abs() < 1e-4);
/// ```
pub fn share_interval(hits: usize, samples: usize) -> [f64; 2] {
    // Of the normal distribution, 97.5 % lies below.
    const Z: f64 = 1.959_963_984_540_054;
    if samples == 0 {
        return [0.0, 1.0];
    }
    let (hits, samples) = (hits.min(samples) as f64, samples as f64);
    let share = hits / samples;
    let centre = share + Z * Z / (2.0 * samples);
    let spread = Z * (share * (1.0 - share) / samples + Z * Z / (4.0 * samples * samples)).sqrt();
    let scale = 1.0 + Z * Z / samples;
    [
        ((centre - spread) / scale).max(0.0),
        ((centre + spread) / scale).min(1.0),
    ]
}

/// Samples and hits per bucket.
struct Counts {
    right: Vec<usize>,
    all: Vec<usize>,
}

impl Counts {
    fn new(buckets: usize) -> Self {
        Self {
            right: vec![0; buckets],
            all: vec![0; buckets],
        }
    }

    fn add(&mut self, bucket: usize, right: bool) {
        self.all[bucket] += 1;
        self.right[bucket] += usize::from(right);
    }

    fn accuracy(&self) -> Vec<Option<f64>> {
        let share = |(&right, &all): (&usize, &usize)| (all > 0).then(|| right as f64 / all as f64);
        self.right.iter().zip(&self.all).map(share).collect()
    }

    /// Bucket of least accuracy and that accuracy. Some bucket holds a sample.
    fn worst(&self) -> (usize, f64) {
        let mut worst = (0, f64::INFINITY);
        for (bucket, accuracy) in self.accuracy().into_iter().enumerate() {
            if let Some(accuracy) = accuracy
                && accuracy < worst.1
            {
                worst = (bucket, accuracy);
            }
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_hand() {
        let labels = [0, 0, 1, 1, 1, 3].map(ClassId);
        let predictions = [0, 1, 1, 1, 0, 3].map(ClassId);
        let names = vec!["a".into(), "b".into(), "c".into()];
        let groups = Groups::new(names, vec![0, 0, 0, 1, 1, 1]).unwrap();
        let metrics = Metrics::new(&labels, &predictions, 4, Some(&groups)).unwrap();
        assert_eq!(metrics.accuracy, 4.0 / 6.0);
        assert_eq!(
            metrics.class_accuracy,
            [Some(0.5), Some(2.0 / 3.0), None, Some(1.0)]
        );
        assert_eq!(
            (metrics.worst_class, metrics.worst_class_accuracy),
            (ClassId(0), 0.5)
        );
        assert_eq!(
            metrics.group_accuracy,
            Some(vec![Some(2.0 / 3.0), Some(2.0 / 3.0), None])
        );
        assert_eq!(
            (metrics.worst_group, metrics.worst_group_accuracy),
            (Some(0), Some(2.0 / 3.0))
        );
    }

    #[test]
    fn nothing_to_measure_is_an_error() {
        assert!(Metrics::new(&[], &[], 2, None).is_err());
        assert!(Metrics::new(&[ClassId(2)], &[ClassId(0)], 2, None).is_err());
        assert!(Metrics::new(&[ClassId(0)], &[], 2, None).is_err());
    }
}
