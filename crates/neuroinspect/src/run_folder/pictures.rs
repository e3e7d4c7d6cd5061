//! Pictures kept as they are finished, and taken up again.
//!
//! A file holds a batch: its pictures are finished together, so that either all of them are kept or
//! none. A run that was killed is then taken up at a batch, its further batches are the very ones that
//! it would have gone on with, and what comes out is the same to the last bit. Of the batch under way a
//! second file holds where its optimisation stood at the last checkpoint.

mod files;

use std::{
    cell::Cell,
    ops::{ControlFlow, Range},
    path::{Path, PathBuf},
    slice,
    sync::Arc,
};

use neuroinspect_core::{ClassId, DeviceName, InputSpec, Observer, Progress, io::sha256_of_bytes};
use neuroinspect_illusion::{
    BatchKeeper, Error as IllusionError, Execution, Illusion, Illusions, Networks,
    OptimizationState, Pair, PreparedGuide, Request, Shortfall, Work, visualize_batches,
    visualize_each,
};
use serde::Serialize;

use self::files::{BatchFiles, is_file_name};
use super::{RunFolder, lock::Lock, program_state, remove_from};
use crate::{Error, Result};

pub(super) const FOLDER: &str = "pictures";

/// What pictures are made with, as far as the networks themselves do not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PictureOrigin {
    /// SHA-256 of the classifier's weights.
    pub classifier_sha256: String,
    /// SHA-256 of the encoder's weights, where pictures are guided.
    pub encoder_sha256: Option<String>,
    /// SHA-256 of the encoder's config as JSON: weights of the same shapes serve several, such as
    /// heads of another width.
    pub encoder_config_sha256: Option<String>,
    /// The device computed on: devices differ in the last bits.
    pub device: DeviceName,
    /// Whether all weights are known by these hashes. Pictures of networks that were partly loaded,
    /// their other weights drawn at random, are not taken up again.
    #[serde(skip)]
    pub complete: bool,
}

/// Where finished pictures are kept in full precision, and taken from when the same are asked for
/// again.
///
/// The same are those of the same recipe, pairs, classifier, guide, device and program, in the same
/// batch: beside other pairs, a picture may differ in its last bits. It holds the run's folder as
/// [`RunFolder`] does, for as long as it lives.
#[derive(Clone, Debug)]
pub struct PictureFolder {
    folder: PathBuf,
    _lock: Arc<Lock>,
    origin: PictureOrigin,
    /// None when it, or the weights, cannot be told; then nothing is taken up.
    program: Option<String>,
}

/// What [`PictureFolder::visualize`] has handed over, and what not.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// The pairs without a picture, and why.
    pub shortfall: Shortfall,
    /// How many of the pictures had been made before.
    pub reused: usize,
    /// After how many steps pictures that had been under way went on, where some did.
    pub resumed_at: Option<usize>,
}

impl From<Shortfall> for Kept {
    /// Of pictures that were all made now.
    fn from(shortfall: Shortfall) -> Self {
        Self {
            shortfall,
            ..Self::default()
        }
    }
}

impl RunFolder {
    /// Where the runs of a command, or of whatever else has a name that serves as a folder's, keep
    /// their pictures: those of others that use the same run folder stay.
    pub fn pictures(&self, command: &str, origin: PictureOrigin) -> PictureFolder {
        PictureFolder {
            folder: self.pictures_path(command),
            _lock: Arc::clone(&self.lock),
            program: program_state().filter(|_| origin.complete),
            origin,
        }
    }

    /// Where [`pictures`](Self::pictures) of this name are kept.
    pub(crate) fn pictures_path(&self, command: &str) -> PathBuf {
        self.join(FOLDER).join(command)
    }
}

impl PictureFolder {
    /// The pictures of a request's batches that are finished; none are made.
    ///
    /// # Errors
    ///
    /// When an option of the execution is out of range, or the request's parts do not go together.
    pub fn finished(&self, networks: &Networks, request: &Request) -> Result<Vec<Illusion>> {
        let Some(program) = &self.program else {
            return Ok(Vec::new());
        };
        let batches = self.batches(program, networks, request)?;
        let finished = batches.iter().filter_map(BatchFiles::load);
        Ok(finished.flat_map(|batch| batch.finished).collect())
    }

    /// [`visualize_each`](neuroinspect_illusion::visualize_each), taking the batches that are
    /// finished from the folder and keeping the others there as they come, before they are handed
    /// over.
    ///
    /// A batch is finished when each of its pairs has its picture or has diverged. Of the batch under
    /// way, where it stands is kept every
    /// [`checkpoint_every`](neuroinspect_illusion::Execution::checkpoint_every) steps and when the
    /// observer stops it, and it goes on from there.
    ///
    /// Batches that are not asked for are removed as soon as one that is has been finished.
    ///
    /// # Errors
    ///
    /// As [`visualize_each`](neuroinspect_illusion::visualize_each), and when a batch cannot be kept.
    pub fn visualize(
        &self,
        networks: &Networks,
        request: &Request,
        observer: &mut dyn Observer,
        on_batch: &mut dyn FnMut(Vec<Illusion>),
    ) -> Result<Kept> {
        let kept = self.visualize_any(networks, request, observer, on_batch)?;
        Ok(Kept {
            shortfall: kept.shortfall.refuse_all_diverged(request.pairs.len())?,
            ..kept
        })
    }

    /// [`visualize`](Self::visualize) of pairs that may all diverge, as they are some of many.
    pub(crate) fn visualize_any(
        &self,
        networks: &Networks,
        request: &Request,
        observer: &mut dyn Observer,
        on_batch: &mut dyn FnMut(Vec<Illusion>),
    ) -> Result<Kept> {
        let Some(program) = &self.program else {
            return Ok(visualize_each(networks, request, observer, on_batch)?.into());
        };
        let batches = self.batches(program, networks, request)?;
        let mut work = Visualizing {
            folder: &self.folder,
            networks,
            request,
            batches: &batches,
            others_removed: false,
            kept: Kept::default(),
        };
        let mut missing = 0..0;
        for (index, files) in batches.iter().enumerate() {
            let Some(batch) = files.load() else {
                missing.end = index + 1;
                continue;
            };
            if !work.make(missing, observer, on_batch)? {
                return Ok(work.kept);
            }
            missing = index + 1..index + 1;
            files.remove_state()?;
            work.kept.reused += batch.finished.len();
            work.kept.shortfall.diverged.extend(batch.diverged);
            work.remove_others()?;
            on_batch(batch.finished);
        }
        work.make(missing, observer, on_batch)?;
        Ok(work.kept)
    }

    /// The files of a request's batches, be they there or not.
    fn batches<'a>(
        &self,
        program: &str,
        networks: &Networks,
        request: &'a Request,
    ) -> Result<Vec<BatchFiles<'a>>> {
        request.execution.validate()?;
        let key = Key::new(program, &self.origin, networks, request);
        let size = request.execution.batch_size;
        let batches = request.pairs.chunks(size).enumerate();
        let files = batches.map(|(index, pairs)| {
            let first = index * size;
            let hash = key.hash(request, first..first + pairs.len())?;
            Ok(BatchFiles::new(&self.folder, &hash, pairs))
        });
        files.collect()
    }
}

/// The batches of a request, on their way.
struct Visualizing<'a> {
    folder: &'a Path,
    networks: &'a Networks,
    request: &'a Request,
    batches: &'a [BatchFiles<'a>],
    others_removed: bool,
    kept: Kept,
}

impl Visualizing<'_> {
    /// Makes the batches of a range; whether the work may go on.
    fn make(
        &mut self,
        range: Range<usize>,
        observer: &mut dyn Observer,
        on_batch: &mut dyn FnMut(Vec<Illusion>),
    ) -> Result<bool> {
        let size = self.request.execution.batch_size;
        let pairs = range.start * size..self.request.pairs.len().min(range.end * size);
        let (networks, batches) = (self.networks, &self.batches[range]);
        if batches.is_empty() {
            return Ok(true);
        }
        let request = self.request.part(pairs)?;
        let stop = Cell::new(false);
        let mut watched = |progress: Progress<'_>| match stop.get() {
            true => ControlFlow::Break(()),
            false => observer.update(progress),
        };
        let mut keeper = Keeper {
            work: self,
            waiting: batches.iter(),
            under_way: None,
            failed: None,
            stop: &stop,
            on_batch,
        };
        let made = visualize_batches(networks, &request, &mut watched, &mut keeper);
        if let Some(error) = keeper.failed {
            return Err(error);
        }
        if let (Err(IllusionError::OtherState { .. }), Some(files)) = (&made, keeper.under_way) {
            // It would end every later run, too.
            files.remove_state()?;
        }
        let shortfall = made?;
        self.kept.shortfall.diverged.extend(shortfall.diverged);
        self.kept.shortfall.interrupted = shortfall.interrupted;
        Ok(!shortfall.interrupted)
    }

    /// Removes what other requests have left: a folder holds the pictures of one run.
    fn remove_others(&mut self) -> Result<()> {
        if self.others_removed {
            return Ok(());
        }
        self.others_removed = true;
        remove_from(self.folder, |name| {
            let mut asked_for = self.batches.iter();
            is_file_name(name) && !asked_for.any(|files| files.are_called(name))
        })
    }
}

/// Keeps the batches of a range as they come.
struct Keeper<'a, 'b> {
    work: &'a mut Visualizing<'b>,
    waiting: slice::Iter<'a, BatchFiles<'b>>,
    under_way: Option<&'a BatchFiles<'b>>,
    /// Why something could not be kept.
    failed: Option<Error>,
    /// Stops the work: there is no sense in pictures that cannot be kept.
    stop: &'a Cell<bool>,
    on_batch: &'a mut dyn FnMut(Vec<Illusion>),
}

impl Keeper<'_, '_> {
    fn try_to(&mut self, keep: impl FnOnce(&mut Self, &BatchFiles<'_>) -> Result<()>) {
        if let (Some(files), None) = (self.under_way, &self.failed) {
            self.failed = keep(self, files).err();
            self.stop.set(self.failed.is_some());
        }
    }
}

impl BatchKeeper for Keeper<'_, '_> {
    fn go_on(&mut self, _: &[Pair]) -> Option<OptimizationState> {
        self.under_way = self.waiting.next();
        let state = self.under_way?.load_state()?;
        self.work.kept.resumed_at = Some(state.steps);
        Some(state)
    }

    fn checkpoint(&mut self, state: OptimizationState) {
        self.try_to(|_, files| files.save_state(&state));
    }

    fn finish(&mut self, batch: Illusions) {
        if !batch.interrupted {
            self.try_to(|keeper, files| {
                files.save(&batch)?;
                keeper.work.remove_others()
            });
        }
        (self.on_batch)(batch.finished);
    }
}

/// What decides a batch of pictures beside its pairs.
#[derive(Serialize)]
struct Key<'a> {
    program: &'a str,
    origin: &'a PictureOrigin,
    classifier: &'a str,
    input: &'a InputSpec,
    layer_sha256: String,
    /// The layer of the map, which masks are of, where one was chosen.
    map: Option<&'a str>,
    encoder: Option<(&'a str, &'a InputSpec)>,
    execution: Execution,
    #[serde(skip)]
    guide: Option<&'a PreparedGuide>,
}

impl<'a> Key<'a> {
    fn new(
        program: &'a str,
        origin: &'a PictureOrigin,
        networks: &'a Networks,
        request: &Request,
    ) -> Self {
        let Networks { classifier, guide } = networks;
        Self {
            program,
            origin,
            classifier: classifier.name(),
            input: classifier.input(),
            layer_sha256: classifier.decision_layer().sha256(),
            map: classifier.map_layer(),
            encoder: guide.as_ref().map(|guide| (guide.name(), guide.input())),
            // But for what decides no bit of a picture.
            execution: Execution {
                augmentations_ahead: 0,
                checkpoint_every: 1,
                ..request.execution
            },
            guide: guide.as_ref(),
        }
    }

    /// Names the batch of these pairs.
    fn hash(&self, request: &Request, pairs: Range<usize>) -> Result<String> {
        let classifier = json(self)?;
        let works = pairs.map(|index| {
            let pair = request.pairs[index];
            let text = self.guide.map(|guide| text_of(guide, pair.class));
            let text = text.transpose()?;
            let initial = request.part(index..index + 1)?.initial.sha256();
            let work = Work {
                recipe: &request.recipe,
                pair,
                unit: request.units.get(index),
                classifier: &classifier,
                guide: text.as_deref(),
                initial: initial.as_deref(),
            };
            Ok(work.sha256()?)
        });
        let works: Vec<String> = works.collect::<Result<_>>()?;
        Ok(sha256_of_bytes(json(&works)?.as_bytes()))
    }
}

/// What tells a class's text embedding from others.
fn text_of(guide: &PreparedGuide, class: ClassId) -> Result<String> {
    let embedding = guide.class_embeddings().get(class)?;
    let bytes: Vec<u8> = embedding.iter().flat_map(|it| it.to_le_bytes()).collect();
    Ok(sha256_of_bytes(&bytes))
}

fn json(value: &impl Serialize) -> Result<String> {
    let json = serde_json::to_string(value);
    Ok(json.map_err(|source| neuroinspect_report::Error::Json {
        schema: "the name of kept pictures",
        source,
    })?)
}
