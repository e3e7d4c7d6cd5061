//! What a decision layer is edited and measured on.

use std::collections::HashMap;

use ndarray::ArrayView1;
use neuroinspect_core::{Error as CoreError, FeatureTable, Seed, check_same_classes};

use crate::Result;

/// Feature tables for an edit, by the same classifier and of the same classes.
///
/// What is measured should not have been trained on;
/// [`evaluated_and_trained_on`](Self::evaluated_and_trained_on) counts what was.
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
    /// When the tables are of other classes, or by another classifier, than each other, or a part
    /// comes out empty.
    pub fn new(training: &FeatureTable, evaluation: &FeatureTable, seed: Seed) -> Result<Self> {
        training.check_alike(evaluation)?;
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

    /// Checks that data sets to edit on and to measure on have the same classes in the same order,
    /// before features are computed from them.
    ///
    /// # Errors
    ///
    /// [`DifferentTables`](CoreError::DifferentTables) naming the first difference.
    pub fn check_class_names(training: &[String], evaluation: &[String]) -> Result<()> {
        Ok(check_same_classes(training, evaluation)?)
    }

    /// How many samples of `evaluation` are also in `train` or `validation`: they bear the same id
    /// there and have the same features. Folders of other images may use the same ids.
    pub fn evaluated_and_trained_on(&self) -> usize {
        let tables = [&self.train, &self.validation];
        self.evaluated_among(tables.into_iter().flat_map(|table| {
            let ids = table.sample_ids().iter().enumerate();
            ids.map(|(sample, id)| (id.as_str(), table.feature(sample)))
        }))
    }

    /// How many samples of `evaluation` are among these, given by id and features `[D]`.
    pub(crate) fn evaluated_among<'a>(
        &self,
        samples: impl IntoIterator<Item = (&'a str, ArrayView1<'a, f32>)>,
    ) -> usize {
        let mut namesakes: HashMap<&str, Vec<ArrayView1<'_, f32>>> = HashMap::new();
        for (id, features) in samples {
            namesakes.entry(id).or_default().push(features);
        }
        let known = |sample: usize| {
            let features = self.evaluation.feature(sample);
            let namesakes = namesakes.get(self.evaluation.sample_ids()[sample].as_str());
            namesakes.is_some_and(|rows| rows.iter().any(|row| is_near(features, *row)))
        };
        (0..self.evaluation.len())
            .filter(|&sample| known(sample))
            .count()
    }
}

/// Whether two vectors of features are of one image: but for the last bits, which an image's place
/// in its batch may change.
fn is_near(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> bool {
    let largest = a.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    a.iter()
        .zip(&b)
        .all(|(a, b)| (a - b).abs() <= 1e-4 * largest)
}
