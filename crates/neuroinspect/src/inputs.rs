//! What is debugged, and what there is to debug it with.

use std::{error::Error as StdError, fmt};

use derive_setters::Setters;
use neuroinspect_concepts::UnitLabel;
use neuroinspect_core::{Classifier, FeatureTable, Seed};
#[cfg(feature = "datasets")]
use neuroinspect_datasets::ImageDataset;
use neuroinspect_editing::EditData;
use neuroinspect_report::{ContextEffect, EditFile, Run, StageFailure};

use crate::{GuideSource, PictureFolder};

/// What is debugged, and what there is to debug it with.
#[derive(Clone, Setters)]
#[setters(prefix = "with_", generate = false, strip_option)]
pub struct DebugInputs<'a> {
    /// The classifier. It is not changed: features and pictures are computed on copies.
    pub classifier: &'a dyn Classifier,
    /// The samples whose mistakes are explained.
    pub table: &'a FeatureTable,
    /// What guides the pictures, if anything does: a [`Guide`](neuroinspect_illusion::Guide), or
    /// [`ClassTexts`](crate::ClassTexts) to embed only those that are pictured.
    #[setters(generate)]
    pub guide: Option<&'a dyn GuideSource>,
    /// A second network that has no part in the pictures, to say whether it recognises in them what the
    /// neurons answer to.
    #[setters(generate)]
    pub judge: Option<&'a dyn Classifier>,
    /// What the decision layer is edited on; without it, it is not edited.
    #[setters(generate)]
    pub edit_data: Option<&'a EditData>,
    /// Where finished pictures are kept, and taken from when they were made before.
    #[setters(generate)]
    pub pictures: Option<&'a PictureFolder>,
    /// The images that the table was computed from, to be shown in a report.
    #[cfg(feature = "datasets")]
    pub images: Option<ImageSource<'a>>,
    /// Where the edit will be written to, where it will: it stands in the findings.
    #[setters(generate)]
    pub edit_file: Option<EditFile>,
    /// How each of `D` neurons answers to a context that was planted, where one was; empty
    /// otherwise.
    #[setters(generate)]
    pub context_effects: &'a [ContextEffect],
    /// Labels of neurons, of which those of the neurons shown go into the findings.
    #[setters(generate)]
    pub labels: &'a [UnitLabel],
    /// What failed before: the findings' failures begin with it.
    pub failures: Vec<StageFailure>,
    /// How the findings are made; the time of each stage is added.
    #[setters(generate)]
    pub run: Run,
}

/// Images of a data set: those that a table was computed from, or that are trained on.
#[cfg(feature = "datasets")]
#[derive(Clone, Copy)]
pub struct ImageSource<'a> {
    /// The data set.
    pub dataset: &'a dyn ImageDataset,
    /// The index of each sample in the data set, in the order of a table's rows:
    /// [`Extracted::indices`](crate::Extracted::indices).
    pub indices: &'a [usize],
}

impl<'a> DebugInputs<'a> {
    /// A classifier and the samples whose mistakes are explained; no more.
    pub fn new(classifier: &'a dyn Classifier, table: &'a FeatureTable) -> Self {
        let provenance = table.provenance();
        let data = provenance.dataset.as_deref().unwrap_or("unknown data");
        let device = format!("{:?}", classifier.device());
        let mut run = Run::new(classifier.name(), data, device, Seed::default());
        run.weights_sha256 = provenance.weights_sha256.clone();
        Self {
            classifier,
            table,
            guide: None,
            judge: None,
            edit_data: None,
            pictures: None,
            #[cfg(feature = "datasets")]
            images: None,
            edit_file: None,
            context_effects: &[],
            labels: &[],
            failures: Vec::new(),
            run,
        }
    }

    /// Sets the images that the table was computed from.
    #[cfg(feature = "datasets")]
    pub fn with_images(mut self, dataset: &'a dyn ImageDataset, indices: &'a [usize]) -> Self {
        self.images = Some(ImageSource { dataset, indices });
        self
    }

    /// Notes that something failed which a stage needed, such as data to edit on: the other stages
    /// go on without it.
    pub fn with_failure(mut self, stage: &str, error: &dyn StdError) -> Self {
        self.failures.push(StageFailure::of(stage, error));
        self
    }
}

impl fmt::Debug for DebugInputs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DebugInputs")
            .field("classifier", &self.classifier.name())
            .field("samples", &self.table.len())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "datasets")]
impl fmt::Debug for ImageSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageSource")
            .field("dataset", &self.dataset.name())
            .field("rows", &self.indices.len())
            .finish()
    }
}
