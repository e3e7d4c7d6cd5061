//! Samples to edit on, to choose on and to measure on.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ndarray::ArrayView1;
use neuroinspect_core::{Error as CoreError, FeatureTable, Seed, check_option};

use crate::{ChosenOn, Error, Result, Samples};

/// Activations of namesakes that are compared at a time.
const PAIRED: usize = 1 << 20;

/// Share of the training samples that are held out for validation.
const VALIDATION_SHARE: f64 = 0.15;

/// Samples for an edit, by the same classifier and of the same classes.
///
/// What is measured should not have been trained on; [`also_trained_on`](Self::also_trained_on)
/// counts what was.
#[derive(Clone, Debug)]
pub struct EditData {
    train: Samples,
    validation: Samples,
    evaluation: Samples,
    /// Whether the validation samples are held out of the training samples.
    held_out_of_training: bool,
}

impl EditData {
    /// Samples for each purpose.
    ///
    /// # Errors
    ///
    /// When a part is empty, or they are of other classes, or by another classifier, than each
    /// other.
    pub fn of_parts(
        train: impl Into<Samples>,
        validation: impl Into<Samples>,
        evaluation: impl Into<Samples>,
    ) -> Result<Self> {
        let data = Self {
            train: train.into(),
            validation: validation.into(),
            evaluation: evaluation.into(),
            held_out_of_training: false,
        };
        for (what, samples) in [
            ("samples to edit on", &data.train),
            ("samples to validate an edit on", &data.validation),
            ("samples to measure an edit on", &data.evaluation),
        ] {
            if samples.is_empty() {
                return Err(CoreError::empty(what).into());
            }
            // Sizes alone do not tell one classifier's features, or one order of classes, from
            // another's.
            data.train.table().check_alike(samples.table())?;
        }
        Ok(data)
    }

    /// Edit on `training` samples, 15 % of each class held out for validation, and measure on
    /// `evaluation`.
    ///
    /// # Errors
    ///
    /// As [`of_parts`](Self::of_parts); [`Error::NoneHeldOut`] when no class has samples enough.
    pub fn new(
        training: impl Into<Samples>,
        evaluation: impl Into<Samples>,
        seed: Seed,
    ) -> Result<Self> {
        let training = training.into();
        let [validation, train] = training.split(VALIDATION_SHARE, seed)?;
        if validation.is_empty() && !training.is_empty() {
            let samples = training.len();
            return Err(Error::NoneHeldOut { samples });
        }
        Ok(Self {
            held_out_of_training: true,
            ..Self::of_parts(train, validation, evaluation)?
        })
    }

    /// The parts of one table by the names they have in its [split](FeatureTable::split): those to
    /// edit on, to validate on and to measure on.
    ///
    /// # Errors
    ///
    /// [`Error::NoSplit`] when the table is not split; when it has no part of a name, or one comes
    /// out empty.
    pub fn of_split(
        table: &Arc<FeatureTable>,
        [train, validation, evaluation]: [&str; 3],
    ) -> Result<Self> {
        let split = table.split().ok_or(Error::NoSplit)?;
        let part = |name: &str| Samples::of_rows(table, split.samples_of(name)?);
        Self::of_parts(part(train)?, part(validation)?, part(evaluation)?)
    }

    /// Where there is only one set of samples: edit on one half of each class, measure on the
    /// other.
    ///
    /// # Errors
    ///
    /// When a part comes out empty.
    pub fn halves(samples: impl Into<Samples>, seed: Seed) -> Result<Self> {
        let [training, evaluation] = samples.into().split(0.5, seed)?;
        Self::new(training, evaluation, seed)
    }

    /// The same, but that augmented views of the training samples are learnt from as well. A view's id is that of
    /// its sample with `#` and anything behind it, `cat/7.png#2`. Of those given, the ones of samples that are
    /// chosen or measured on are left out, by their ids: where training samples are of another table than these and
    /// both have an id, the views given have to be of training samples.
    ///
    /// # Errors
    ///
    /// [`Error::NoViews`] when none is of a training sample; when they are of other classes, or by another
    /// classifier.
    pub fn with_views(self, views: &Arc<FeatureTable>) -> Result<Self> {
        let train = (0..self.train.len()).map(|sample| self.train.id(sample));
        let train: HashSet<&str> = train.collect();
        let is_of_train = |id: &str| {
            let image = id.rsplit_once('#').map(|(image, _)| image);
            image.is_some_and(|image| train.contains(image))
        };
        let rows: Vec<_> = (0..views.len())
            .filter(|&row| is_of_train(&views.sample_ids()[row]))
            .collect();
        if rows.is_empty() {
            return Err(Error::NoViews { views: views.len() });
        }
        let views = Samples::of_rows(views, rows)?;
        let known = self.train.len() - self.train.without_views();
        let train = self.train.joined(&views)?;
        Ok(Self {
            train: train.with_last_as_views(known + views.len()),
            ..self
        })
    }

    /// The same, but that there is a share of the samples to learn from and of those to validate on: of each class and
    /// each group in it that share, rounded, and one at least. Measured is on the same samples.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](CoreError::InvalidOption) when the share is not above 0 or above 1.
    pub fn part(&self, share: f64, seed: Seed) -> Result<Self> {
        let allowed = share > 0.0 && share <= 1.0;
        check_option("share of the samples", share, allowed, "above 0, at most 1")?;
        Ok(Self {
            train: self.train.part(share, seed)?,
            validation: self.validation.part(share, seed)?,
            ..self.clone()
        })
    }

    /// The decision layer learns from these.
    pub fn train(&self) -> &Samples {
        &self.train
    }

    /// What is chosen while it learns, the epoch above all, is chosen on these.
    pub fn validation(&self) -> &Samples {
        &self.validation
    }

    /// What a [recommendation](crate::EditSession::recommend) is chosen on: the validation samples; or, where these
    /// are held out of the training samples and not of an origin of their own, those measured on: a false
    /// correlation of the training samples is one of the validation samples then.
    pub fn chosen_on(&self) -> (ChosenOn, &Samples) {
        match self.held_out_of_training {
            true => (ChosenOn::Evaluation, &self.evaluation),
            false => (ChosenOn::Validation, &self.validation),
        }
    }

    /// Metrics before and after are measured on these.
    pub fn evaluation(&self) -> &Samples {
        &self.evaluation
    }

    /// How many of the samples measured on are also trained or validated on: they bear the same id
    /// there and have the same features. Folders of other images may use the same ids.
    ///
    /// # Errors
    ///
    /// When a table's file cannot be read.
    pub fn also_trained_on(&self) -> Result<usize> {
        let all = |samples: &Samples| (0..samples.len()).map(|it| samples.row(it)).collect();
        let parts: [(&FeatureTable, Vec<usize>); 2] =
            [&self.train, &self.validation].map(|it| (&**it.table(), all(it)));
        self.among(&parts)
    }

    /// How many of the samples measured on are among the rows of a table: they bear the id of one and have its
    /// features.
    ///
    /// # Errors
    ///
    /// When there is no such row, or a table's file cannot be read.
    pub fn evaluated_among(&self, table: &FeatureTable, rows: &[usize]) -> Result<usize> {
        if let Some(&index) = rows.iter().find(|&&row| row >= table.len()) {
            return Err(CoreError::sample(index, table.len()).into());
        }
        self.among(&[(table, rows.to_vec())])
    }

    fn among(&self, others: &[(&FeatureTable, Vec<usize>)]) -> Result<usize> {
        let evaluation = &self.evaluation;
        let mut measured: HashMap<&str, Vec<usize>> = HashMap::new();
        for sample in 0..evaluation.len() {
            let of_id = measured.entry(evaluation.id(sample)).or_default();
            of_id.push(sample);
        }
        let mut among = vec![false; evaluation.len()];
        for (table, rows) in others {
            // One row is the same as itself without a look at it.
            let is_table = std::ptr::eq(&**evaluation.table(), *table);
            let mut pairs = Vec::new();
            for &row in rows {
                let namesakes = measured.get(&*table.sample_ids()[row]);
                for &sample in namesakes.into_iter().flatten() {
                    match is_table && evaluation.row(sample) == row {
                        true => among[sample] = true,
                        false => pairs.push((sample, row)),
                    }
                }
            }
            let width = evaluation.table().neurons().max(1);
            for pairs in pairs.chunks((PAIRED / width).max(1)) {
                let [ours, theirs]: [Vec<usize>; 2] = [
                    pairs.iter().map(|pair| pair.0).collect(),
                    pairs.iter().map(|pair| pair.1).collect(),
                ];
                let (ours, theirs) = (
                    evaluation.features(&ours)?,
                    table.activations().rows(&theirs)?,
                );
                let both = ours.rows().into_iter().zip(theirs.rows());
                for (&(sample, _), (a, b)) in pairs.iter().zip(both) {
                    among[sample] |= is_near(a, b);
                }
            }
        }
        Ok(among.into_iter().filter(|&it| it).count())
    }
}

/// Whether two vectors of features are of one image: but for the last bits, which an image's place
/// in its batch may change.
fn is_near(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> bool {
    let largest = a.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    a.len() == b.len()
        && a.iter()
            .zip(&b)
            .all(|(a, b)| (a - b).abs() <= 1e-4 * largest)
}
