//! Pictures kept as they are finished, and taken up again.
//!
//! A file holds a batch: its pictures are finished together, so that either all of them are kept or
//! none. A run that was killed is then taken up at a batch, its further batches are the very ones that
//! it would have gone on with, and what comes out is the same to the last bit.

use std::{
    cell::Cell,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use ndarray::{Array2, Array3};
use neuroinspect_core::{
    ClassId, DeviceName, InputSpec, Observer, Progress,
    io::{NamedTensor, TensorFile, TensorFormat, sha256_of_bytes, write_tensors},
};
use neuroinspect_illusion::{
    Error as IllusionError, Execution, Illusion, Initial, Networks, Pair, PreparedGuide, Request,
    Shortfall, Work, visualize_each,
};
use serde::Serialize;

use super::{RunFolder, program_state, remove_from};
use crate::Result;

pub(super) const FOLDER: &str = "pictures";
const EXTENSION: &str = ".safetensors";

const FORMAT: TensorFormat = TensorFormat {
    name: "neuroinspect.pictures",
    // The first that is written as one description.
    version: 2,
    expected: "pictures kept by neuroinspect",
};

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
}

/// Where finished pictures are kept in full precision, and taken from when the same are asked for
/// again.
///
/// The same are those of the same recipe, pairs, classifier, guide, device and program, in the same
/// batch: beside other pairs, a picture may differ in its last bits.
#[derive(Clone, Debug)]
pub struct PictureFolder {
    folder: PathBuf,
    origin: PictureOrigin,
    /// None when it cannot be told; then nothing is taken up.
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
}

impl RunFolder {
    /// Where the runs of a command, or of whatever else has a name that serves as a folder's, keep
    /// their pictures: those of others that use the same run folder stay.
    pub fn pictures(&self, command: &str, origin: PictureOrigin) -> PictureFolder {
        PictureFolder {
            folder: self.join(FOLDER).join(command),
            origin,
            program: program_state(),
        }
    }
}

impl PictureFolder {
    /// [`visualize_each`], taking the batches that are finished from the folder and keeping the
    /// others there as they come, before they are handed over.
    ///
    /// Pictures that start from something else than noise are neither taken from the folder nor
    /// kept; those of a batch that was stopped, or some of whose pairs diverged, are not kept.
    /// Batches that are not asked for are removed as soon as there is one that is.
    ///
    /// # Errors
    ///
    /// As [`visualize_each`], and when a batch cannot be kept.
    pub fn visualize(
        &self,
        networks: &Networks,
        request: &Request,
        observer: &mut dyn Observer,
        on_batch: &mut dyn FnMut(Vec<Illusion>),
    ) -> Result<Kept> {
        let (Some(program), Initial::Noise) = (&self.program, &request.initial) else {
            let shortfall = visualize_each(networks, request, observer, on_batch)?;
            return Ok(Kept {
                shortfall,
                reused: 0,
            });
        };
        request.execution.validate()?;
        let key = Key::new(program, &self.origin, networks, request)?;
        let batches: Vec<(PathBuf, &[Pair])> = request
            .pairs
            .chunks(request.execution.batch_size)
            .map(|pairs| Ok((self.folder.join(key.file_name(pairs, request)?), pairs)))
            .collect::<Result<_>>()?;
        let mut work = Visualizing {
            folder: self,
            networks,
            request,
            batches: &batches,
            others_removed: false,
            kept: Kept::default(),
        };
        let mut missing = 0..0;
        for (index, (path, pairs)) in batches.iter().enumerate() {
            let Some(illusions) = load(path, pairs) else {
                missing.end = index + 1;
                continue;
            };
            if !work.make(missing, observer, on_batch)? {
                return Ok(work.kept);
            }
            missing = index + 1..index + 1;
            work.kept.reused += illusions.len();
            work.remove_others()?;
            on_batch(illusions);
        }
        work.make(missing, observer, on_batch)?;
        Ok(work.kept)
    }
}

/// The batches of a request, on their way.
struct Visualizing<'a> {
    folder: &'a PictureFolder,
    networks: &'a Networks,
    request: &'a Request,
    batches: &'a [(PathBuf, &'a [Pair])],
    others_removed: bool,
    kept: Kept,
}

impl Visualizing<'_> {
    /// Makes the batches of a range; whether the work may go on.
    fn make(
        &mut self,
        range: std::ops::Range<usize>,
        observer: &mut dyn Observer,
        on_batch: &mut dyn FnMut(Vec<Illusion>),
    ) -> Result<bool> {
        let (networks, batches) = (self.networks, &self.batches[range]);
        if batches.is_empty() {
            return Ok(true);
        }
        let pairs: Vec<_> = batches
            .iter()
            .flat_map(|(_, pairs)| *pairs)
            .copied()
            .collect();
        let request = Request {
            pairs,
            ..self.request.clone()
        };
        let mut of_batch = batches.iter();
        let mut failed = None;
        let stop = Cell::new(false);
        let mut keep = |illusions: Vec<Illusion>| {
            if let Some((path, pairs)) = of_batch.next()
                && failed.is_none()
                && is_finished(&illusions, pairs.len(), request.recipe.steps)
            {
                failed = save(path, &illusions)
                    .and_then(|()| self.remove_others())
                    .err();
            }
            // There is no sense in pictures that cannot be kept.
            stop.set(failed.is_some());
            on_batch(illusions);
        };
        let mut watched = |progress: Progress<'_>| match stop.get() {
            true => ControlFlow::Break(()),
            false => observer.update(progress),
        };
        let made = visualize_each(networks, &request, &mut watched, &mut keep);
        if let Some(error) = failed {
            return Err(error);
        }
        match made {
            Ok(shortfall) => {
                self.kept.shortfall.diverged.extend(shortfall.diverged);
                self.kept.shortfall.interrupted = shortfall.interrupted;
            }
            // All of these have diverged, but not all pairs.
            Err(IllusionError::Diverged(diverged)) if batches.len() < self.batches.len() => {
                self.kept.shortfall.diverged.push(diverged);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(!self.kept.shortfall.interrupted)
    }

    /// Removes what other requests have left: a folder holds the pictures of one run.
    fn remove_others(&mut self) -> Result<()> {
        if self.others_removed {
            return Ok(());
        }
        self.others_removed = true;
        remove_from(&self.folder.folder, |name| {
            let mut asked_for = self.batches.iter().map(|(path, _)| path);
            is_hash(name) && !asked_for.any(|path| path.ends_with(name))
        })
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
    ) -> Result<Self> {
        let Networks { classifier, guide } = networks;
        Ok(Self {
            program,
            origin,
            classifier: classifier.name(),
            input: classifier.input(),
            layer_sha256: classifier.decision_layer().sha256(),
            encoder: guide.as_ref().map(|guide| (guide.name(), guide.input())),
            execution: request.execution,
            guide: guide.as_ref(),
        })
    }

    fn file_name(&self, pairs: &[Pair], request: &Request) -> Result<String> {
        let classifier = json(self)?;
        let works = pairs.iter().map(|&pair| {
            let text = self.guide.map(|guide| text_of(guide, pair.class));
            let text = text.transpose()?;
            let work = Work {
                recipe: &request.recipe,
                pair,
                classifier: &classifier,
                guide: text.as_deref(),
                start: None,
            };
            Ok(work.sha256()?)
        });
        let works: Vec<String> = works.collect::<Result<_>>()?;
        Ok(sha256_of_bytes(json(&works)?.as_bytes()) + EXTENSION)
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

/// Whether a file is called as kept pictures are.
fn is_hash(name: &str) -> bool {
    let hash = name.strip_suffix(EXTENSION).unwrap_or_default();
    hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether every pair of a batch has a picture that has had all its steps.
fn is_finished(illusions: &[Illusion], pairs: usize, steps: usize) -> bool {
    illusions.len() == pairs && illusions.iter().all(|illusion| illusion.steps == steps)
}

/// Scores as JSON, images and masks as tensors.
fn save(path: &Path, illusions: &[Illusion]) -> Result<()> {
    #[derive(Serialize)]
    struct Description<'a> {
        illusions: &'a [Illusion],
    }
    let mut tensors = Vec::new();
    for (index, illusion) in illusions.iter().enumerate() {
        let (image, mask) = (&illusion.image, &illusion.mask);
        let (name, shape) = (format!("image.{index}"), image.shape());
        tensors.push(NamedTensor::f32(name, shape, image.iter().copied()));
        if let Some(mask) = mask {
            let (name, shape) = (format!("mask.{index}"), mask.shape());
            tensors.push(NamedTensor::f32(name, shape, mask.iter().copied()));
        }
    }
    Ok(write_tensors(
        path,
        &FORMAT,
        &tensors,
        &Description { illusions },
    )?)
}

/// The pictures of these pairs; `None` when the file is not there or is not whole, and they are made
/// again.
fn load(path: &Path, pairs: &[Pair]) -> Option<Vec<Illusion>> {
    let file = TensorFile::read(path, &FORMAT).ok()?;
    let mut illusions: Vec<Illusion> = file.json("illusions").ok()?;
    for (index, illusion) in illusions.iter_mut().enumerate() {
        let name = format!("image.{index}");
        let &[channels, height, width] = file.shape(&name).ok()? else {
            return None;
        };
        let shape = (channels, height, width);
        let values = file.f32(&name, &[channels, height, width]).ok()?;
        illusion.image = Array3::from_shape_vec(shape, values).ok()?;
        let name = format!("mask.{index}");
        if file.has_tensor(&name) {
            let values = file.f32(&name, &[height, width]).ok()?;
            illusion.mask = Some(Array2::from_shape_vec((height, width), values).ok()?);
        }
    }
    let found = illusions.iter().map(|illusion| illusion.pair);
    found.eq(pairs.iter().copied()).then_some(illusions)
}
