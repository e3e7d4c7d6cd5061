//! The error of the facade: whichever crate's it was.

use std::path::PathBuf;

use neuroinspect_core::DeviceName;

use crate::FolderHolder;

/// `Result` with the facade's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in any of neuroinspect's crates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The shared data structures, files and devices.
    #[error(transparent)]
    Core(#[from] neuroinspect_core::Error),
    /// Models and their weights.
    #[error(transparent)]
    Models(#[from] neuroinspect_models::Error),
    /// Data sets and their images.
    #[cfg(feature = "datasets")]
    #[error(transparent)]
    Datasets(#[from] neuroinspect_datasets::Error),
    /// Counterfactual explanation.
    #[error(transparent)]
    Counterfactual(#[from] neuroinspect_counterfactual::Error),
    /// Concepts and labels.
    #[error(transparent)]
    Concepts(#[from] neuroinspect_concepts::Error),
    /// CLIP-Illusion.
    #[error(transparent)]
    Illusion(#[from] neuroinspect_illusion::Error),
    /// Editing.
    #[error(transparent)]
    Editing(#[from] neuroinspect_editing::Error),
    /// Reports.
    #[error(transparent)]
    Report(#[from] neuroinspect_report::Error),
    /// A folder that results cannot be written into.
    #[error("cannot write results into '{}'; choose another folder", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder that another run writes into.
    #[error(
        "'{}' is held by {}; wait for it, or choose another folder",
        path.display(),
        holder.as_ref().map_or_else(|| "another program".to_owned(), ToString::to_string)
    )]
    FolderHeld {
        /// The folder.
        path: PathBuf,
        /// Who holds it, where that could be read.
        holder: Option<FolderHolder>,
    },
    /// A file of an earlier run that cannot be removed.
    #[error("cannot remove '{}', which an earlier run left", path.display())]
    Remove {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder whose pictures cannot be read.
    #[cfg(feature = "datasets")]
    #[error("the pictures in '{}' cannot be read", path.display())]
    ReadPictures {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A folder without pictures of neurons.
    #[cfg(feature = "datasets")]
    #[error(
        "'{}' has no picture called as neuron-3-class-7.png or neuron-3-class-7-seed-1.png, nor has a folder \
         in it",
        path.display()
    )]
    NoPictures {
        /// The folder.
        path: PathBuf,
    },
    /// A limit of a check that cannot be looked at.
    #[cfg(feature = "report")]
    #[error("'{limit}' cannot be checked: {reason}")]
    Limit {
        /// The limit.
        limit: String,
        /// Why, and what to do about it.
        reason: String,
    },
    /// An earlier check of other classes.
    #[cfg(feature = "report")]
    #[error(
        "the earlier check is of {theirs} classes ({their_names}), this one of {ours} ({our_names}): \
         compare with one of the same classes"
    )]
    OtherCheck {
        /// How many classes it is of.
        theirs: usize,
        /// The first of them.
        their_names: String,
        /// How many this one is of.
        ours: usize,
        /// The first of them.
        our_names: String,
    },
    /// An earlier check with other options.
    #[cfg(feature = "report")]
    #[error(
        "the earlier check was made with {option} = {theirs}, this one is with {ours}: give the same options \
         (--config of the program), or check that classifier again with these"
    )]
    OtherCheckOptions {
        /// The option, as a configuration calls it.
        option: String,
        /// Its value then.
        theirs: String,
        /// And now.
        ours: String,
    },
    /// Two tables whose samples are to be halved alike.
    #[error(
        "the samples to choose on and those to measure on differ by their ids, order or classes; make both \
         tables of the same images"
    )]
    OtherSamples,
    /// A folder that another training is kept in.
    #[error(
        "'{}' keeps another training: its {what} is {theirs}, and here it is {ours}; choose another \
         folder, or remove that one to begin anew",
        path.display()
    )]
    OtherTraining {
        /// The folder.
        path: PathBuf,
        /// What differs, such as `config.learning_rate`.
        what: String,
        /// What it is in the training asked for.
        ours: String,
        /// What it is in the one that is kept.
        theirs: String,
    },
    /// A data set whose classes are not the model's.
    #[error(
        "'{dataset}' has {found} classes ({names}), but {model} decides between {expected}; give \
         the names of all {expected}, in the model's order, so that folders can be matched to them (--classes \
         FILE of the program, ImageFolderConfig::with_class_order in code)"
    )]
    ClassCount {
        /// The data set.
        dataset: String,
        /// The model.
        model: String,
        /// How many classes the model has.
        expected: usize,
        /// How many the data set has.
        found: usize,
        /// The first of them.
        names: String,
    },
    /// An experiment that there is not.
    #[cfg(feature = "experiments")]
    #[error(
        "no experiment is called '{name}';{} there are: {known}",
        nearest.map_or_else(String::new, |name| format!(" did you mean '{name}'?"))
    )]
    UnknownExperiment {
        /// The name given.
        name: String,
        /// The name most like it, if one is like enough to be meant.
        nearest: Option<&'static str>,
        /// The names there are.
        known: String,
    },
    /// What an experiment on published data lacks.
    #[cfg(feature = "experiments")]
    #[error("experiment '{experiment}' on published data needs {what}")]
    ExperimentNeeds {
        /// The experiment.
        experiment: &'static str,
        /// What it needs.
        what: &'static str,
    },
    /// A loss that is no number.
    #[error("training diverged: the loss of epoch {epoch} is not finite; lower the learning rate")]
    TrainingDiverged {
        /// The epoch, from 1.
        epoch: usize,
    },
    /// No images to train on, or none to validate on.
    #[error("no image of '{dataset}' is given to be {part}; training needs some of both")]
    NoneToTrainOn {
        /// The data set.
        dataset: String,
        /// For what: "trained on" or "validated on".
        part: &'static str,
    },
    /// No part of an atlas, or of a data set's features.
    #[error(
        "'{text}' is no shard: expected I/N, with I counted from 0 and below N (of a Slurm array for N \
         shards, --array=0-(N-1))"
    )]
    Shard {
        /// What was given.
        text: String,
    },
    /// What an atlas lacks.
    #[error("an atlas needs {what}")]
    AtlasNeeds {
        /// What it needs.
        what: String,
    },
    /// A folder that holds another atlas.
    #[error(
        "'{}' holds another atlas, of which {changed} is not as it is here; choose another folder, or \
         remove that one to begin anew",
        path.display()
    )]
    OtherAtlas {
        /// The folder.
        path: PathBuf,
        /// What differs.
        changed: String,
    },
    /// An atlas of which not all has been made.
    #[error(
        "{missing} pictures of the atlas in '{}' are missing, of the shards {shards}; make those first",
        path.display()
    )]
    AtlasIncomplete {
        /// The folder.
        path: PathBuf,
        /// How many pictures are missing.
        missing: usize,
        /// Of which shards, as [`array_expression`](crate::array_expression) writes them.
        shards: String,
    },
    /// A folder that holds shards of other features.
    #[cfg(feature = "datasets")]
    #[error(
        "'{}' holds shards of other features, of which {changed} is not as it is here; choose another folder, or remove \
         that one to begin anew",
        path.display()
    )]
    OtherFeatureShards {
        /// The shards' folder.
        path: PathBuf,
        /// What differs.
        changed: String,
    },
    /// Shards of features that were joined meanwhile.
    #[cfg(feature = "datasets")]
    #[error("the shards are joined by now: the features are in '{}'", path.display())]
    FeatureShardsJoined {
        /// The table's file.
        path: PathBuf,
    },
    /// A shard without an image.
    #[cfg(feature = "datasets")]
    #[error(
        "none of the images of shard {shard} can be read; mend or remove them, or remove '{}' and plan fewer shards",
        path.display()
    )]
    FeatureShardUnreadable {
        /// The shards' folder.
        path: PathBuf,
        /// The shard.
        shard: usize,
    },
    /// Features of which not all have been computed.
    #[cfg(feature = "datasets")]
    #[error("shards {shards} of the features in '{}' are missing, or not as they were written; make those first", path.display())]
    FeatureShardsIncomplete {
        /// The shards' folder.
        path: PathBuf,
        /// Which, as [`array_expression`](crate::array_expression) writes them.
        shards: String,
    },
    /// A shard that is not of what was planned.
    #[cfg(feature = "datasets")]
    #[error(
        "shard {shard} is of something else than was planned, by {changed}; remove '{}' and make it again",
        path.display()
    )]
    FeatureShardDiffers {
        /// The shard's folder.
        path: PathBuf,
        /// The shard.
        shard: usize,
        /// What differs.
        changed: String,
    },
    /// Features that could not be told from others.
    #[error(
        "features in shards are joined by what they were computed from, which cannot be told here: they need a model all of \
         whose weights come from its checkpoint (not --partial with some left out), and images with a fingerprint"
    )]
    FeaturesUntold,
    /// A device that failed.
    #[error("device {device} failed: {reason}")]
    DeviceFailed {
        /// The device.
        device: DeviceName,
        /// What it says.
        reason: String,
    },
    /// Nothing is left of a data set.
    #[error("'{dataset}' has no readable image")]
    NoImages {
        /// The data set.
        dataset: String,
    },
}

#[cfg(test)]
mod tests {
    use neuroinspect_core::{Error as CoreError, is_cancellation};

    use super::*;

    /// However many errors are around it.
    #[test]
    fn being_stopped_is_seen_through_every_crates_error() {
        let stopped = || CoreError::cancelled("working");
        let errors: [Error; 5] = [
            stopped().into(),
            neuroinspect_counterfactual::Error::from(stopped()).into(),
            neuroinspect_concepts::Error::from(stopped()).into(),
            neuroinspect_illusion::Error::from(stopped()).into(),
            neuroinspect_editing::Error::from(stopped()).into(),
        ];
        for error in &errors {
            assert!(is_cancellation(error), "{error:?}");
        }
        let other = Error::from(CoreError::empty("samples"));
        assert!(!is_cancellation(&other));
    }
}
