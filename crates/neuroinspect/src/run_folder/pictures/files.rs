//! The files of a batch of pictures: what it came to, and where it stands until then.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3, Array4};
use neuroinspect_core::io::{NamedTensor, TensorFile, TensorFormat, write_tensors};
use neuroinspect_illusion::{Diverged, Illusion, Illusions, OptimizationState, Pair};
use serde::Serialize;

use crate::{Result, run_folder::remove};

const PICTURES: &str = ".safetensors";
const STATE: &str = ".state.safetensors";

const PICTURES_FORMAT: TensorFormat = TensorFormat {
    name: "neuroinspect.pictures",
    // The first with the pairs that diverged.
    version: 3,
    expected: "pictures kept by neuroinspect",
};

const STATE_FORMAT: TensorFormat = TensorFormat {
    name: "neuroinspect.optimization",
    // The first that is written as one description.
    version: 2,
    expected: "the state of an optimisation kept by neuroinspect",
};

/// Names of a state's arrays.
const ARRAYS: [&str; 3] = ["parameter", "first_moment", "second_moment"];

/// A batch and where it is kept.
pub(super) struct BatchFiles<'a> {
    pub(super) pairs: &'a [Pair],
    pictures: PathBuf,
    state: PathBuf,
}

impl<'a> BatchFiles<'a> {
    /// `hash` names the batch.
    pub(super) fn new(folder: &Path, hash: &str, pairs: &'a [Pair]) -> Self {
        Self {
            pairs,
            pictures: folder.join(hash.to_owned() + PICTURES),
            state: folder.join(hash.to_owned() + STATE),
        }
    }

    /// Whether one of them is called so.
    pub(super) fn are_called(&self, name: &str) -> bool {
        self.pictures.ends_with(name) || self.state.ends_with(name)
    }

    /// Keeps a batch that has ended, scores as JSON, images and masks as tensors, and removes where
    /// it stood.
    pub(super) fn save(&self, batch: &Illusions) -> Result<()> {
        #[derive(Serialize)]
        struct Description<'a> {
            illusions: &'a [Illusion],
            diverged: &'a [Diverged],
        }
        let mut tensors = Vec::new();
        for (index, illusion) in batch.finished.iter().enumerate() {
            let (image, mask) = (&illusion.image, &illusion.mask);
            let (name, shape) = (format!("image.{index}"), image.shape());
            tensors.push(NamedTensor::f32(name, shape, image.iter().copied()));
            if let Some(mask) = mask {
                let (name, shape) = (format!("mask.{index}"), mask.shape());
                tensors.push(NamedTensor::f32(name, shape, mask.iter().copied()));
            }
        }
        let description = Description {
            illusions: &batch.finished,
            diverged: &batch.diverged,
        };
        write_tensors(&self.pictures, &PICTURES_FORMAT, &tensors, &description)?;
        self.remove_state()
    }

    /// Removes where the batch stood before it ended.
    pub(super) fn remove_state(&self) -> Result<()> {
        remove(&self.state)
    }

    /// The batch; `None` when the file is not there or is not whole, and it is made again.
    pub(super) fn load(&self) -> Option<Illusions> {
        let file = TensorFile::read(&self.pictures, &PICTURES_FORMAT).ok()?;
        let mut illusions: Vec<Illusion> = file.json("illusions").ok()?;
        let diverged: Vec<Diverged> = file.json("diverged").ok()?;
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
        let batch = Illusions {
            finished: illusions,
            diverged,
            interrupted: false,
        };
        self.is_whole(&batch).then_some(batch)
    }

    /// Whether every pair, in its order, has its picture or has diverged.
    fn is_whole(&self, batch: &Illusions) -> bool {
        let mut finished = batch.finished.iter().map(|one| one.pair).peekable();
        let mut diverged = batch.diverged.iter().map(|one| one.pair).peekable();
        let accounted = self
            .pairs
            .iter()
            .all(|pair| finished.next_if_eq(pair).is_some() || diverged.next_if_eq(pair).is_some());
        accounted && finished.next().is_none() && diverged.next().is_none()
    }

    /// Keeps where the batch stands.
    pub(super) fn save_state(&self, state: &OptimizationState) -> Result<()> {
        #[derive(Serialize)]
        struct Description<'a> {
            state: &'a OptimizationState,
        }
        let arrays = [&state.parameter, &state.first_moment, &state.second_moment];
        let tensors = ARRAYS
            .into_iter()
            .zip(arrays)
            .map(|(name, array)| NamedTensor::f32(name, array.shape(), array.iter().copied()));
        let tensors: Vec<NamedTensor> = tensors.collect();
        Ok(write_tensors(
            &self.state,
            &STATE_FORMAT,
            &tensors,
            &Description { state },
        )?)
    }

    /// Where the batch stands; `None` when the file is not there or is not whole, and it begins
    /// anew.
    pub(super) fn load_state(&self) -> Option<OptimizationState> {
        let file = TensorFile::read(&self.state, &STATE_FORMAT).ok()?;
        let mut state: OptimizationState = file.json("state").ok()?;
        let arrays = [
            &mut state.parameter,
            &mut state.first_moment,
            &mut state.second_moment,
        ];
        for (name, array) in ARRAYS.into_iter().zip(arrays) {
            let &[n, channels, height, width] = file.shape(name).ok()? else {
                return None;
            };
            let values = file.f32(name, &[n, channels, height, width]).ok()?;
            *array = Array4::from_shape_vec((n, channels, height, width), values).ok()?;
        }
        Some(state)
    }
}

/// Whether a file is called as those of a batch are.
pub(super) fn is_file_name(name: &str) -> bool {
    let hash = name.strip_suffix(STATE).or(name.strip_suffix(PICTURES));
    hash.is_some_and(|hash| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
