//! The activations of one layer.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, CowArray, Ix1, Ix2, Slice};

use super::{MemoryLimit, Provenance, memory::bytes_of, values::Values};
use crate::{Error, NeuronId, Result};

/// The activations of a layer's channels or neurons for each sample of a data set, computed once.
///
/// They are in memory, or stay in a file where they take more than a [`MemoryLimit`]: then rows are read when they
/// are asked for, and what is asked for all of them at once is refused. Every value that is given is finite.
#[derive(Clone, Debug)]
pub struct ActivationTable {
    values: Values,
    sample_ids: Vec<String>,
    provenance: Provenance,
}

impl ActivationTable {
    /// Values that are read at a time: 4 MiB.
    const AT_ONCE: usize = 1 << 20;

    /// Rows of so many bytes are given whatever the limit is: less is not worth a refusal.
    const ALWAYS: MemoryLimit = MemoryLimit::of_bytes(32 << 20);

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
        let table = Self::of_values(sample_ids, Values::of(values), provenance)?;
        if let Some(values) = table.values.in_memory() {
            check_finite(values, |row| table.quoted(row))?;
        }
        Ok(table)
    }

    /// A table of values that are not looked at: of those in a file each is when it is read.
    pub(super) fn of_values(
        sample_ids: Vec<String>,
        values: Values,
        provenance: Provenance,
    ) -> Result<Self> {
        let (expected, found) = (values.len(), sample_ids.len());
        match expected == found {
            true => Ok(Self {
                values,
                sample_ids,
                provenance,
            }),
            false => Err(Error::length("sample ids", expected, found)),
        }
    }

    /// Number of samples `N`.
    pub fn len(&self) -> usize {
        self.sample_ids.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.sample_ids.is_empty()
    }

    /// Number of channels or neurons `D`.
    pub fn width(&self) -> usize {
        self.values.width()
    }

    /// What of the activations may be read into memory at once; `None` where all of them are in memory.
    pub fn memory_limit(&self) -> Option<MemoryLimit> {
        self.values.limit()
    }

    /// All activations at once, `[N, D]`, in standard layout. Of a table that may be larger than memory ask for
    /// [chunks](Self::chunks), for [rows](Self::rows) or for a [column](Self::column).
    ///
    /// # Errors
    ///
    /// [`Error::LargerThanMemory`], or when they cannot be read.
    pub fn values(&self) -> Result<CowArray<'_, f32, Ix2>> {
        match self.values.in_memory() {
            Some(values) => Ok(values.into()),
            None => Ok(self.rows(&(0..self.len()).collect::<Vec<_>>())?.into()),
        }
    }

    /// The activations for some samples, in that order: `[S, D]`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a sample that does not exist, [`Error::LargerThanMemory`] for more than may be in
    /// memory at once and more than 32 MiB, or when they cannot be read.
    pub fn rows(&self, samples: &[usize]) -> Result<Array2<f32>> {
        samples.iter().try_for_each(|&it| self.check_sample(it))?;
        let (count, width) = (samples.len(), self.width());
        let refuses = |limit: &MemoryLimit| !limit.max(&Self::ALWAYS).holds(count, width);
        if let Some(limit) = self.memory_limit().filter(refuses) {
            return Err(Error::LargerThanMemory {
                what: format!("activations of {count} samples and {width} neurons"),
                size: MemoryLimit::of_bytes(bytes_of(count, width)),
                limit,
            });
        }
        self.read(samples)
    }

    /// Those that exist, however many.
    fn read(&self, samples: &[usize]) -> Result<Array2<f32>> {
        let values = self.values.gather(samples)?;
        self.check_read(&values.view(), |row| samples[row])?;
        Ok(values)
    }

    /// The activations for one sample: `[D]`. To look at many, [`visit`](Self::visit) them.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] when there is no such sample, or when they cannot be read.
    pub fn of_sample(&self, sample: usize) -> Result<CowArray<'_, f32, Ix1>> {
        self.check_sample(sample)?;
        let row = self.values.row(sample)?;
        self.check_read(&row.view().insert_axis(Axis(0)), |_| sample)?;
        Ok(row)
    }

    /// All activations in order, some rows at a time, `[R, D]`: 4 MiB of them, or a row.
    pub fn chunks(&self) -> impl Iterator<Item = Result<CowArray<'_, f32, Ix2>>> {
        self.chunks_of(self.rows_at_once())
    }

    /// The same, so many rows at a time; the last chunk has what is left.
    pub fn chunks_of(&self, rows: usize) -> impl Iterator<Item = Result<CowArray<'_, f32, Ix2>>> {
        let (rows, samples) = (rows.max(1), self.len());
        let chunk = move |start: usize| -> Result<CowArray<'_, f32, Ix2>> {
            let range = start..samples.min(start + rows);
            match self.values.in_memory() {
                Some(values) => Ok(values.slice_axis_move(Axis(0), Slice::from(range)).into()),
                None => Ok(self.read(&range.collect::<Vec<_>>())?.into()),
            }
        };
        (0..samples).step_by(rows).map(chunk)
    }

    /// Shows `see` samples in the order given, each with its activations `[D]`; from a file some at a time.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a sample that does not exist, or when they cannot be read. It is not shown those
    /// after it.
    pub fn visit(
        &self,
        samples: impl IntoIterator<Item = usize>,
        mut see: impl FnMut(usize, ArrayView1<'_, f32>),
    ) -> Result<()> {
        let mut samples = samples.into_iter();
        if let Some(values) = self.values.in_memory() {
            return samples.try_for_each(|sample| {
                self.check_sample(sample)?;
                see(sample, values.row(sample));
                Ok(())
            });
        }
        loop {
            let some: Vec<usize> = samples.by_ref().take(self.rows_at_once()).collect();
            if some.is_empty() {
                return Ok(());
            }
            some.iter().try_for_each(|&it| self.check_sample(it))?;
            let rows = self.read(&some)?;
            for (&sample, row) in some.iter().zip(rows.rows()) {
                see(sample, row);
            }
        }
    }

    /// The activation of one channel or neuron for each sample: `[N]`. From a file, all of it is read for that.
    ///
    /// # Errors
    ///
    /// When it is out of range, or the file cannot be read.
    pub fn column(&self, neuron: NeuronId) -> Result<Array1<f32>> {
        neuron.check(self.width())?;
        let mut column = Vec::with_capacity(self.len());
        self.visit(0..self.len(), |_, row| column.push(row[neuron.0]))?;
        Ok(column.into())
    }

    fn rows_at_once(&self) -> usize {
        (Self::AT_ONCE / self.width().max(1)).max(1)
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
    /// [`Error::Empty`] when there are no samples, [`Error::OutOfRange`] for one that does not exist, or when they
    /// cannot be read.
    pub fn mean_of(&self, samples: impl IntoIterator<Item = usize>) -> Result<Array1<f32>> {
        let mut sum = Array1::<f64>::zeros(self.width());
        let mut count = 0_usize;
        self.visit(samples, |_, row| {
            sum.zip_mut_with(&row, |sum, &value| *sum += f64::from(value));
            count += 1;
        })?;
        match count {
            0 => Err(Error::empty("samples to average")),
            count => Ok((sum / count as f64).mapv(|mean| mean as f32)),
        }
    }

    /// The rows at `samples`, in that order. They are copied, unless they take more than an eighth of the table's
    /// [limit](Self::memory_limit), or of 2 GiB where it is in memory: then they stay where they are.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a sample that does not exist, or when they cannot be read.
    pub fn select(&self, samples: &[usize]) -> Result<Self> {
        samples.iter().try_for_each(|&it| self.check_sample(it))?;
        let ids = samples
            .iter()
            .map(|&sample| self.sample_ids[sample].clone());
        let selected = Self {
            values: self.values.select(samples)?,
            sample_ids: ids.collect(),
            provenance: self.provenance.clone(),
        };
        if let Some(values) = selected.values.in_memory() {
            self.check_read(&values, |row| samples[row])?;
        }
        Ok(selected)
    }

    /// The samples of this table and then those of another, with this one's provenance. No value is copied.
    ///
    /// # Errors
    ///
    /// As [`check_alike`](Self::check_alike).
    pub fn joined(&self, other: &Self) -> Result<Self> {
        self.check_alike(other)?;
        let parts = [self.values.clone(), other.values.clone()];
        Ok(Self {
            values: Values::Joined(Arc::new(parts)),
            sample_ids: [&self.sample_ids[..], &other.sample_ids].concat(),
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

    /// Checks rows that have just been read, of the samples that `sample` says; those in memory have been.
    fn check_read(
        &self,
        rows: &ArrayView2<'_, f32>,
        sample: impl Fn(usize) -> usize,
    ) -> Result<()> {
        if self.memory_limit().is_none() {
            return Ok(());
        }
        check_finite(rows.view(), |row| self.quoted(sample(row))).map_err(|error| {
            // The first that is not finite, to say in which file it is.
            let bad = rows.rows().into_iter().position(|row| !is_finite(row));
            match bad.and_then(|row| self.values.file_of(sample(row))) {
                Some(file) => Error::Format {
                    path: file.path.clone(),
                    expected: file.expected,
                    reason: error.to_string(),
                },
                None => error,
            }
        })
    }

    fn quoted(&self, row: usize) -> String {
        format!("'{}'", self.sample_ids[row])
    }
}

/// Whether all that is in them is the same, wherever it is; what cannot be read is the same as nothing.
impl PartialEq for ActivationTable {
    fn eq(&self, other: &Self) -> bool {
        let same = || -> Result<bool> {
            if let (Some(one), Some(two)) = (self.values.in_memory(), other.values.in_memory()) {
                return Ok(one == two);
            }
            let rows = self.rows_at_once();
            for (one, two) in self.chunks_of(rows).zip(other.chunks_of(rows)) {
                if one? != two? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        self.sample_ids == other.sample_ids
            && self.provenance == other.provenance
            && self.width() == other.width()
            && same().unwrap_or(false)
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
    if activations.rows().into_iter().all(is_finite) {
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

/// Whether all values of a row are finite.
fn is_finite(row: ArrayView1<'_, f32>) -> bool {
    row.fold(true, |all, value| all & value.is_finite())
}
