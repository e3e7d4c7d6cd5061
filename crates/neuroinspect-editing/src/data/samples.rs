//! Samples of a table that several parties share.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use ndarray::{Array1, Array2, ArrayView1, CowArray, Ix1};
use neuroinspect_core::{
    ActivationTable, ClassId, Error as CoreError, FeatureTable, Groups, MemoryLimit, NeuronId,
    Seed, Split,
};
use rand::seq::SliceRandom;

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
/// assert_eq!(second.feature(0)?, table.feature(1)?);
/// # Ok::<(), neuroinspect_editing::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Samples {
    table: Arc<FeatureTable>,
    /// The rows, where it is not all of them.
    rows: Option<Arc<[usize]>>,
    /// The groups of the rows, where there are both.
    groups: Option<Arc<Groups>>,
    /// How many of the last are augmented views of others.
    views: usize,
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
            views: 0,
        })
    }

    /// The same, of which so many more of the last are [augmented views](crate::EditData::with_views) of others.
    pub(crate) fn with_last_as_views(self, views: usize) -> Self {
        Self {
            views: self.views + views,
            ..self
        }
    }

    /// How many there are before the [augmented views](crate::EditData::with_views).
    pub(crate) fn without_views(&self) -> usize {
        self.len() - self.views
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

    /// Activations of a sample: `[D]`. To look at many, [`visit`](Self::visit) them.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    ///
    /// # Panics
    ///
    /// When there is no such sample.
    pub fn feature(&self, sample: usize) -> Result<CowArray<'_, f32, Ix1>> {
        Ok(self.table.feature(self.row(sample))?)
    }

    /// Activations of some samples, in that order: `[S, D]`.
    ///
    /// # Errors
    ///
    /// When the table stays in its file and they take more than may be in memory, or they cannot be read.
    ///
    /// # Panics
    ///
    /// When one is not there.
    pub fn features(&self, samples: &[usize]) -> Result<Array2<f32>> {
        let rows: Vec<usize> = samples.iter().map(|&sample| self.row(sample)).collect();
        Ok(self.table.activations().rows(&rows)?)
    }

    /// Shows `see` samples in the order given, each with its activations `[D]`; from a file some at a time.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    ///
    /// # Panics
    ///
    /// When one is not there.
    pub fn visit(
        &self,
        samples: impl IntoIterator<Item = usize>,
        mut see: impl FnMut(usize, ArrayView1<'_, f32>),
    ) -> Result<()> {
        let samples: Vec<usize> = samples.into_iter().collect();
        let rows = samples.iter().map(|&sample| self.row(sample));
        let mut order = samples.iter();
        let see = |_: usize, row: ArrayView1<'_, f32>| {
            if let Some(&sample) = order.next() {
                see(sample, row);
            }
        };
        Ok(self.table.activations().visit(rows, see)?)
    }

    /// What of them may be read into memory at once; that of a table that is in memory by default.
    pub(crate) fn memory_limit(&self) -> MemoryLimit {
        self.table.activations().memory_limit().unwrap_or_default()
    }

    /// Activations of some neurons for some samples: `[S, P]`.
    pub(crate) fn columns(&self, samples: &[usize], neurons: &[NeuronId]) -> Result<Array2<f32>> {
        let mut values = Vec::with_capacity(samples.len() * neurons.len());
        self.visit(samples.iter().copied(), |_, row| {
            values.extend(neurons.iter().map(|neuron| row[neuron.0]));
        })?;
        let shape = [samples.len(), neurons.len()];
        let found = values.len();
        Ok(Array2::from_shape_vec(shape, values)
            .map_err(|_| CoreError::length("activations", shape[0] * shape[1], found))?)
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
    /// When there are no samples, or the table's file cannot be read.
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
        let mut squares = Array1::<f64>::zeros(mean.len());
        self.visit(0..self.len(), |_, row| {
            squares += &(&row - &mean).mapv(|it| f64::from(it).powi(2));
        })?;
        let deviations = (squares / self.len() as f64).mapv(f64::sqrt);
        Ok(deviations.mapv(|it| if it > 0.0 { it } else { 1.0 }))
    }

    /// These and others after them, in a table of their own, for which [few](ActivationTable::select) are copied; with groups,
    /// by their names, where both have them.
    ///
    /// # Errors
    ///
    /// When they are of other classes, or by another classifier, than each other, or cannot be read.
    pub fn joined(&self, others: &Self) -> Result<Self> {
        let (table, parts) = (self.table(), [self, others]);
        table.check_alike(others.table())?;
        let activations = self.activations()?.joined(&others.activations()?)?;
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

    /// Their activations as a table.
    fn activations(&self) -> Result<ActivationTable> {
        let all = self.table.activations();
        Ok(match &self.rows {
            None => all.clone(),
            Some(rows) => all.select(rows)?,
        })
    }

    /// A part of them, in their order: `share` of each class, and of each group in it, rounded; of each one at least. Views
    /// come with what they are of.
    pub(crate) fn part(&self, share: f64, seed: Seed) -> Result<Self> {
        let labels = self.table.labels();
        let groups = self.groups().map(Groups::of_sample);
        let mut strata = BTreeMap::<[usize; 2], Vec<usize>>::new();
        for sample in 0..self.without_views() {
            let group = groups.map_or(0, |groups| groups[sample]);
            let stratum = [labels[self.row(sample)].0, group];
            strata.entry(stratum).or_default().push(sample);
        }
        let mut part: Vec<usize> = Vec::new();
        for ([class, group], mut samples) in strata {
            samples.shuffle(&mut seed.rng("part", &[class as u64, group as u64]));
            let count = (samples.len() as f64 * share).round() as usize;
            part.extend(samples.iter().take(count.max(1)));
        }
        part.sort_unstable();
        let drawn: HashSet<&str> = part.iter().map(|&sample| self.id(sample)).collect();
        let views = self.without_views()..self.len();
        let of_drawn =
            |&view: &usize| image_of_view(self.id(view)).any(|image| drawn.contains(image));
        let views: Vec<usize> = views.filter(of_drawn).collect();
        let count = views.len();
        let rows = part.into_iter().chain(views).map(|sample| self.row(sample));
        Ok(Self::of_rows(&self.table, rows.collect())?.with_last_as_views(count))
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
            views: 0,
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

/// What a view may be of by its id: what stands before the last `#`, before the one before that, and so on.
pub(crate) fn image_of_view(id: &str) -> impl Iterator<Item = &str> {
    let mut id = id;
    std::iter::from_fn(move || {
        (id, _) = id.rsplit_once('#')?;
        Some(id)
    })
}
