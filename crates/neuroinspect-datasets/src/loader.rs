//! Batches of preprocessed images, decoded by several threads.

use std::{
    collections::BTreeMap,
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, Scope},
};

use derive_setters::Setters;
use ndarray::{Array3, Array4, Axis};
use neuroinspect_core::{InputSpec, catch_panic, check_option, with_causes};
use serde::{Deserialize, Serialize};

use crate::{Error, ImageDataset, Result, preprocess};

/// Most threads that decode, whatever the config says.
const MOST_WORKERS: usize = 256;

/// How images are loaded. Which images come, and in which order, depends on none of the numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_")]
pub struct LoaderConfig {
    /// Images in a batch; 64 by default.
    pub batch_size: usize,
    /// Threads that decode; by default as many as the machine runs at once. No more are started than
    /// there are images, or than 256.
    pub workers: usize,
    /// Batches decoded ahead of the one being assembled; 2 by default.
    ///
    /// Beyond the batches handed out, at most `(prefetch + 1) * batch_size` images are decoded.
    pub prefetch: usize,
    /// What to do with an image that cannot be read or decoded; fail by default.
    pub on_corrupt: OnCorrupt,
}

/// What to do with an image that cannot be read or decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnCorrupt {
    /// End with the error.
    #[default]
    Fail,
    /// Leave it out and list it in [`Batches::skipped`].
    Skip,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch_size: 64,
            workers: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            prefetch: 2,
            on_corrupt: OnCorrupt::Fail,
        }
    }
}

impl LoaderConfig {
    /// Checks the options.
    ///
    /// # Errors
    ///
    /// When `batch_size` or `workers` is zero.
    pub fn validate(&self) -> Result<()> {
        for (option, value) in [("batch_size", self.batch_size), ("workers", self.workers)] {
            check_option(option, value, value > 0, "at least 1")?;
        }
        Ok(())
    }
}

/// Some samples of a data set, ready for a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Which samples these are, as indices into the data set.
    pub indices: Vec<usize>,
    /// Their images, not yet normalised: `[N, 3, S, S]` in `[0, 1]`.
    pub images: Array4<f32>,
}

/// A sample left out because its image could not be read or decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Index of the sample in the data set.
    pub index: usize,
    /// Id of the sample.
    pub id: String,
    /// The error, with its causes.
    pub reason: String,
}

/// Streams preprocessed batches of a data set, decoded by threads of `scope`.
///
/// `indices` names the samples wanted, in the order wanted; `None` is all of them. Every batch is
/// full but the last: a skipped image is made up for by the next one. Samples come in the same
/// order whatever the number of threads.
///
/// Decoding starts with the first batch and runs at most [`LoaderConfig::prefetch`] batches ahead,
/// so memory does not grow with the data set. Dropping the iterator stops the threads; `scope` then
/// waits for the images they are at.
///
/// ```
/// # use neuroinspect_core::{ClassId, InputSpec};
/// # use neuroinspect_datasets::{ImageDataset, LoaderConfig, Result, Sample, batches};
/// # fn count(dataset: &dyn ImageDataset) -> Result<usize> {
/// let config = LoaderConfig::default().with_batch_size(32);
/// std::thread::scope(|scope| {
///     let mut count = 0;
///     for batch in batches(scope, dataset, None, &InputSpec::imagenet(224), &config)? {
///         count += batch?.indices.len();
///     }
///     Ok(count)
/// })
/// # }
/// ```
///
/// # Errors
///
/// When an option or an index is out of range, `spec` cannot be followed
/// ([`InputSpec::validate`]), or no thread can be started. The iterator yields an error when an image
/// is corrupt and the caller chose [`OnCorrupt::Fail`], and ends after it.
pub fn batches<'scope>(
    scope: &'scope Scope<'scope, '_>,
    dataset: &'scope dyn ImageDataset,
    indices: Option<&[usize]>,
    spec: &InputSpec,
    config: &LoaderConfig,
) -> Result<Batches<'scope>> {
    config.validate()?;
    spec.validate()?;
    let indices = match indices {
        Some(indices) => indices.to_vec(),
        None => (0..dataset.samples().len()).collect(),
    };
    for &index in &indices {
        dataset.sample(index)?;
    }

    let (jobs, waiting) = channel();
    let (finished, results) = channel();
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..config.workers.min(indices.len()).min(MOST_WORKERS) {
        let (waiting, finished, spec) = (Arc::clone(&waiting), finished.clone(), spec.clone());
        thread::Builder::new()
            .name("decode".to_owned())
            .spawn_scoped(scope, move || work(dataset, &spec, &waiting, &finished))
            .map_err(|error| Error::Threads {
                reason: error.to_string(),
            })?;
    }
    Ok(Batches {
        dataset,
        indices,
        size: spec.size,
        batch_size: config.batch_size,
        ahead: config
            .batch_size
            .saturating_mul(config.prefetch.saturating_add(1)),
        on_corrupt: config.on_corrupt,
        jobs,
        results,
        early: BTreeMap::new(),
        requested: 0,
        received: 0,
        skipped: Vec::new(),
        failed: false,
    })
}

/// An image to decode: its place in the order wanted, and its index in the data set.
type Job = (usize, usize);
/// A place in the order wanted, and what became of the image there.
type Outcome = (usize, Result<Array3<f32>>);

/// What a worker does until nobody can ask for images any more.
fn work(
    dataset: &dyn ImageDataset,
    spec: &InputSpec,
    jobs: &Mutex<Receiver<Job>>,
    finished: &Sender<Outcome>,
) {
    loop {
        let job = match jobs.lock() {
            Ok(jobs) => jobs.recv(),
            Err(_) => return,
        };
        let Ok((place, index)) = job else { return };
        if finished.send((place, load(dataset, index, spec))).is_err() {
            return;
        }
    }
}

/// One image, preprocessed.
///
/// A decoder that panics at a damaged image must not take its worker along: the iterator would
/// wait for that image for ever.
fn load(dataset: &dyn ImageDataset, index: usize, spec: &InputSpec) -> Result<Array3<f32>> {
    let refused = |reason: String| {
        let sample = dataset.sample(index)?.id.clone();
        Err(Error::Sample { sample, reason })
    };
    catch_panic(|| {
        let image = dataset.image(index)?;
        // What cannot be resized does not know where it is from.
        preprocess(&image, spec).or_else(|error| refused(error.to_string()))
    })
    .unwrap_or_else(|_| refused("the decoder panicked".to_owned()))
}

/// The batches of a data set, in order. Made by [`batches`].
///
/// Workers never wait for room: an image is only asked for once there is room for it.
pub struct Batches<'a> {
    dataset: &'a dyn ImageDataset,
    indices: Vec<usize>,
    size: usize,
    batch_size: usize,
    /// Most images asked for and not yet handed out in a batch.
    ahead: usize,
    on_corrupt: OnCorrupt,
    jobs: Sender<Job>,
    results: Receiver<Outcome>,
    /// Images that came before their turn, by place.
    early: BTreeMap<usize, Result<Array3<f32>>>,
    requested: usize,
    received: usize,
    skipped: Vec<Skipped>,
    failed: bool,
}

impl Batches<'_> {
    /// The samples left out so far, under [`OnCorrupt::Skip`].
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let most = self.batch_size.min(self.indices.len() - self.received);
        let mut images = Array4::zeros((most, 3, self.size, self.size));
        let mut indices = Vec::with_capacity(most);
        while indices.len() < most && self.received < self.indices.len() {
            self.request(indices.len())?;
            let index = self.indices[self.received];
            let image = self.receive()?;
            self.received += 1;
            match (image, self.on_corrupt) {
                (Ok(image), _) => {
                    images.index_axis_mut(Axis(0), indices.len()).assign(&image);
                    indices.push(index);
                }
                (Err(error), OnCorrupt::Fail) => return Err(error),
                (Err(error), OnCorrupt::Skip) => self.skipped.push(Skipped {
                    index,
                    id: self.dataset.sample(index)?.id.clone(),
                    reason: with_causes(&error),
                }),
            }
        }
        // The batch leaves now: its room goes to images decoded while the caller works on it.
        self.request(0)?;
        if indices.is_empty() {
            return Ok(None);
        }
        images.slice_axis_inplace(Axis(0), (..indices.len()).into());
        Ok(Some(Batch { indices, images }))
    }

    /// Asks for images until they and the `held` ones of an unfinished batch fill the room.
    fn request(&mut self, held: usize) -> Result<()> {
        let end = self.received.saturating_add(self.ahead - held);
        let end = end.min(self.indices.len());
        for place in self.requested..end {
            self.jobs
                .send((place, self.indices[place]))
                .map_err(|_| stopped())?;
        }
        self.requested = self.requested.max(end);
        Ok(())
    }

    /// Waits for the image whose turn it is.
    fn receive(&mut self) -> Result<Result<Array3<f32>>> {
        loop {
            if let Some(image) = self.early.remove(&self.received) {
                return Ok(image);
            }
            let (place, image) = self.results.recv().map_err(|_| stopped())?;
            self.early.insert(place, image);
        }
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let batch = self.next_batch().transpose();
        self.failed = matches!(batch, Some(Err(_)));
        batch
    }
}

impl std::iter::FusedIterator for Batches<'_> {}

impl fmt::Debug for Batches<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches")
            .field("dataset", &self.dataset.name())
            .field("samples", &self.indices.len())
            .field("received", &self.received)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}

fn stopped() -> Error {
    Error::Threads {
        reason: "all of them stopped".to_owned(),
    }
}
