//! Samples of a table that several parties share.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView1};
use neuroinspect_core::{
    ActivationTable, ClassId, Error as CoreError, FeatureTable, Groups, Seed, Split,
};

use crate::Result;

/// All samples of a feature table, or some of its rows.
///
/// The table is shared and never copied: those of ImageNet's training images are 10 GB, and what is
/// held out of them for validation is rows, not another table.
///
/// ```
/// use std::sync::Arc;
/// use neuroinspect_editing::Samples;
/// # use neuroinspect_core::{ActivationTable, ClassId, FeatureTable, InputSpec, Provenance};
/// # let activations = ActivationTable::new(ndarray::array![[1.0], [2.0]], Provenance::new("toy", InputSpec::new(8)))?;
/// # let table = FeatureTable::new(activations, vec![ClassId(0); 2], vec!["cat".into()])?;
/// let table = Arc::new(table);
/// let all = Samples::from(&table);
/// let second = Samples::of_rows(&table, vec![1])?;
/// assert_eq!((all.len(), second.len()), (2, 1));
/// assert_eq!(second.feature(0), table.feature(1));
/// # Ok::<(), neuroinspect_editing::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Samples {
    table: Arc<FeatureTable>,
    /// The rows, where it is not all of them.
    rows: Option<Arc<[usize]>>,
    /// The groups of the rows, where there are both.
    groups: Option<Arc<Groups>>,
}

impl Samples {
    /// Some rows of a table, in the order given.
    ///
    /// # Errors
    ///
    /// When the table has no such row.
    pub fn of_rows(table: &Arc<FeatureTable>, rows: Vec<usize>) -> Result<Self> {
        let length = table.len();
        if let Some(&index) = rows.iter().find(|&&row| row >= length) {
            return Err(CoreError::sample(index, length).into());
        }
        let groups = table.groups().map(|groups| groups.select(&rows));
        Ok(Self {
            table: Arc::clone(table),
            rows: Some(rows.into()),
            groups: groups.transpose()?.map(Arc::new),
        })
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.rows
            .as_ref()
            .map_or(self.table.len(), |rows| rows.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The table.
    pub fn table(&self) -> &Arc<FeatureTable> {
        &self.table
    }

    /// Row of a sample in the table.
    ///
    /// # Panics
    ///
    /// Where there are only some rows: when `sample` is not below [`len`](Self::len).
    pub fn row(&self, sample: usize) -> usize {
        self.rows.as_ref().map_or(sample, |rows| rows[sample])
    }

    /// What a sample is called.
    ///
    /// # Panics
    ///
    /// When `sample` is not below [`len`](Self::len).
    pub fn id(&self, sample: usize) -> &str {
        &self.table.sample_ids()[self.row(sample)]
    }

    /// Activations of a sample: `[D]`.
    ///
    /// # Panics
    ///
    /// When `sample` is not below [`len`](Self::len).
    pub fn feature(&self, sample: usize) -> ArrayView1<'_, f32> {
        self.table.feature(self.row(sample))
    }

    /// The true class of each sample.
    pub fn labels(&self) -> Vec<ClassId> {
        let labels = self.table.labels();
        (0..self.len())
            .map(|sample| labels[self.row(sample)])
            .collect()
    }

    /// The groups of the samples, where the table has groups.
    pub fn groups(&self) -> Option<&Groups> {
        match self.rows {
            None => self.table.groups(),
            Some(_) => self.groups.as_deref(),
        }
    }

    /// Mean activation of each neuron: `[D]`.
    ///
    /// # Errors
    ///
    /// When there are no samples.
    pub fn mean_features(&self) -> Result<Array1<f32>> {
        let rows = (0..self.len()).map(|sample| self.row(sample));
        Ok(self.table.activations().mean_of(rows)?)
    }

    /// The same over the samples of a class: `[D]`.
    ///
    /// # Errors
    ///
    /// When the class has no samples.
    pub(crate) fn class_mean(&self, class: ClassId) -> Result<Array1<f32>> {
        let rows = (0..self.len()).map(|sample| self.row(sample));
        let of_class = rows.filter(|&row| self.table.labels()[row] == class);
        Ok(self.table.activations().mean_of(of_class)?)
    }

    /// Standard deviation of each neuron, 1 where it does not vary: `[D]`.
    pub(crate) fn deviations(&self) -> Result<Array1<f64>> {
        let mean = self.mean_features()?;
        let rows = (0..self.len()).map(|sample| self.feature(sample));
        let squares = rows.fold(Array1::<f64>::zeros(mean.len()), |sum, row| {
            sum + (&row - &mean).mapv(|it| f64::from(it).powi(2))
        });
        let deviations = (squares / self.len() as f64).mapv(f64::sqrt);
        Ok(deviations.mapv(|it| if it > 0.0 { it } else { 1.0 }))
    }

    /// These and others after them, in a table of their own; with groups, by their names, where both have them.
    ///
    /// # Errors
    ///
    /// When they are of other classes, or by another classifier, than each other.
    pub fn joined(&self, others: &Self) -> Result<Self> {
        let (table, parts) = (self.table(), [self, others]);
        table.check_alike(others.table())?;
        let rows = parts.map(|part| (0..part.len()).map(|sample| part.feature(sample).to_vec()));
        let values: Vec<f32> = rows.into_iter().flatten().flatten().collect();
        let shape = (self.len() + others.len(), table.neurons());
        let features = Array2::from_shape_vec(shape, values)
            .map_err(|error| CoreError::shape("joined features", [shape.0, shape.1], error))?;
        let ids = parts
            .iter()
            .flat_map(|part| (0..part.len()).map(|sample| part.id(sample).to_owned()));
        let provenance = table.provenance().clone();
        let activations = ActivationTable::of_samples(ids.collect(), features, provenance)?;
        let labels = parts.map(Self::labels).concat();
        let joined = FeatureTable::new(activations, labels, table.class_names().to_vec())?;
        let (Some(ours), Some(theirs)) = (self.groups(), others.groups()) else {
            return Ok(joined.into());
        };
        // Two tables may list their groups in other orders.
        let mut names = ours.names().to_vec();
        let mut index = |name: &String| {
            let known = names.iter().position(|known| known == name);
            known.unwrap_or_else(|| {
                names.push(name.clone());
                names.len() - 1
            })
        };
        let of_theirs: Vec<_> = theirs.names().iter().map(&mut index).collect();
        let of_theirs = theirs.of_sample().iter().map(|&group| of_theirs[group]);
        let of_sample = ours.of_sample().iter().copied().chain(of_theirs).collect();
        Ok(joined.with_groups(Groups::new(names, of_sample)?)?.into())
    }

    /// Two parts, the first with `share` of each class.
    pub(crate) fn split(&self, share: f64, seed: Seed) -> Result<[Self; 2]> {
        let parts = [("first", share), ("second", 1.0 - share)];
        let split = Split::stratified(&self.labels(), &parts, seed)?;
        let part = |name: &str| -> Result<Self> {
            let samples = split.samples_of(name)?.into_iter();
            let rows = samples.map(|sample| self.row(sample)).collect();
            Self::of_rows(&self.table, rows)
        };
        Ok([part("first")?, part("second")?])
    }
}

impl From<Arc<FeatureTable>> for Samples {
    fn from(table: Arc<FeatureTable>) -> Self {
        Self {
            table,
            rows: None,
            groups: None,
        }
    }
}

impl From<&Arc<FeatureTable>> for Samples {
    fn from(table: &Arc<FeatureTable>) -> Self {
        Arc::clone(table).into()
    }
}

impl From<FeatureTable> for Samples {
    fn from(table: FeatureTable) -> Self {
        Arc::new(table).into()
    }
}
