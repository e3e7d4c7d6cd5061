//! The activations of one layer.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use super::Provenance;
use crate::{Error, Result};

/// The activations of a layer's channels or neurons for each sample of a data set, computed once.
///
/// Every value is finite.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationTable {
    values: Array2<f32>,
    sample_ids: Vec<String>,
    provenance: Provenance,
}

impl ActivationTable {
    /// A table of `values` `[N, D]`, whose samples are called `"0"`, `"1"`, ...
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] for a value that is not finite.
    pub fn new(values: Array2<f32>, provenance: Provenance) -> Result<Self> {
        let sample_ids = (0..values.nrows()).map(|index| index.to_string());
        Self::of_samples(sample_ids.collect(), values, provenance)
    }

    /// [`new`](Self::new) with what each sample is called, e.g. its path below the data set's
    /// folder, which errors then name.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`Error::Length`] when there is not one id for each sample.
    pub fn of_samples(
        sample_ids: Vec<String>,
        values: Array2<f32>,
        provenance: Provenance,
    ) -> Result<Self> {
        let (expected, found) = (values.nrows(), sample_ids.len());
        if expected != found {
            return Err(Error::length("sample ids", expected, found));
        }
        check_finite(values.view(), |row| format!("'{}'", sample_ids[row]))?;
        let values = match values.is_standard_layout() {
            true => values,
            false => values.as_standard_layout().into_owned(),
        };
        Ok(Self {
            values,
            sample_ids,
            provenance,
        })
    }

    /// Number of samples `N`.
    pub fn len(&self) -> usize {
        self.values.nrows()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.values.nrows() == 0
    }

    /// Number of channels or neurons `D`.
    pub fn width(&self) -> usize {
        self.values.ncols()
    }

    /// The activations `[N, D]`, in standard layout.
    pub fn values(&self) -> ArrayView2<'_, f32> {
        self.values.view()
    }

    /// The activations for one sample: `[D]`.
    ///
    /// # Panics
    ///
    /// When `sample` is not below [`len`](Self::len).
    pub fn of_sample(&self, sample: usize) -> ArrayView1<'_, f32> {
        self.values.row(sample)
    }

    /// What each sample is called.
    pub fn sample_ids(&self) -> &[String] {
        &self.sample_ids
    }

    /// Where the table came from.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Mean activation over some samples, summed in double precision: `[D]`.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] when there are no samples, [`Error::OutOfRange`] for one that does not exist.
    pub fn mean_of(&self, samples: impl IntoIterator<Item = usize>) -> Result<Array1<f32>> {
        let mut sum = Array1::<f64>::zeros(self.width());
        let mut count = 0_usize;
        for sample in samples {
            self.check_sample(sample)?;
            sum.zip_mut_with(&self.of_sample(sample), |sum, &value| {
                *sum += f64::from(value);
            });
            count += 1;
        }
        match count {
            0 => Err(Error::empty("samples to average")),
            count => Ok((sum / count as f64).mapv(|mean| mean as f32)),
        }
    }

    /// The rows at `samples`, in that order.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a sample that does not exist.
    pub fn select(&self, samples: &[usize]) -> Result<Self> {
        for &sample in samples {
            self.check_sample(sample)?;
        }
        let ids = samples
            .iter()
            .map(|&sample| self.sample_ids[sample].clone());
        Ok(Self {
            values: self.values.select(Axis(0), samples),
            sample_ids: ids.collect(),
            provenance: self.provenance.clone(),
        })
    }

    fn check_sample(&self, index: usize) -> Result<()> {
        let length = self.len();
        match index < length {
            true => Ok(()),
            false => Err(Error::sample(index, length)),
        }
    }

    /// The `count` samples of `among` with the highest activation of a column, the highest first
    /// and the earlier sample first among equals.
    pub(super) fn highest(&self, column: usize, mut among: Vec<usize>, count: usize) -> Vec<usize> {
        let activation = |sample: usize| self.values[[sample, column]];
        among.sort_by(|&a, &b| activation(b).total_cmp(&activation(a)).then(a.cmp(&b)));
        among.truncate(count);
        among
    }
}

/// Checks that activations `[N, D]` are finite; `sample` says what the sample of a row is called.
///
/// # Errors
///
/// [`Error::NotFinite`] naming the first neuron and sample that are not.
pub fn check_finite(
    activations: ArrayView2<'_, f32>,
    sample: impl Fn(usize) -> String,
) -> Result<()> {
    // The test of all values at once is quick; the search for the culprit need not be.
    if activations.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    let mut values = activations.indexed_iter();
    match values.find(|(_, value)| !value.is_finite()) {
        Some(((row, neuron), &value)) => {
            let what = format!("activation of neuron {neuron} on sample {}", sample(row));
            Err(Error::NotFinite { what, value })
        }
        None => Ok(()),
    }
}
