//! The pictures that have been made, written as they come.

use std::fmt;

use anyhow::Result;
use image::RgbImage;
use ndarray::Array3;
use neuroinspect::{
    ActiveParts, ImageSource, RunFolder,
    core::FeatureTable,
    illusion::{Diverged, Illusion, Pair, Shortfall, Trust},
    report::{NeuronPicture, Run, contact_sheet, save_animation, save_png, to_rgb_image},
};
use serde::Serialize;

use super::{SCHEMA, animation::Frames};

const RECORD_FILE: &str = "visualizations.json";
/// Not `neurons.png`, which `debug` writes into the same folder.
const SHEET_FILE: &str = "visualizations.png";
/// Real images beside each picture on the sheet.
const REAL_PER_ROW: usize = 4;

/// `visualizations.json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::commands) struct Record {
    /// The pictures.
    pub(super) visualizations: Vec<Visualization>,
    /// Whether the work was stopped before its end.
    pub(super) interrupted: bool,
    /// Pairs without a picture, because their optimisation left the finite numbers.
    pub(super) diverged: Vec<Diverged>,
    /// How it was made.
    run: Run,
}

impl Record {
    pub(super) fn new(run: Run) -> Self {
        Self {
            visualizations: Vec::new(),
            interrupted: true,
            diverged: Vec::new(),
            run,
        }
    }
}

/// A picture, and where it is.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Visualization {
    #[serde(flatten)]
    illusion: Illusion,
    /// The name of the pair's class.
    class_name: Option<String>,
    /// Activation on the real image that activates the neuron most, and which that is.
    top_real_activation: Option<f32>,
    /// How far the picture can be trusted.
    trust: Trust,
    /// The image of that activation.
    top_real_image: Option<String>,
    /// Optimisation steps it was to have.
    steps_planned: usize,
    /// The picture, relative to this file.
    image: String,
    /// The same, grey where the neuron is not active.
    masked_image: Option<String>,
    /// What has changed in the image that the picture starts from, grey where nothing has or the neuron is
    /// not active.
    #[serde(skip_serializing_if = "Option::is_none")]
    change_image: Option<String>,
    /// The optimisation as an animated PNG.
    #[serde(skip_serializing_if = "Option::is_none")]
    animation: Option<String>,
}

/// Real images, whose parts stand beside the pictures on the sheet.
pub(super) struct RealImages<'a> {
    pub(super) source: ImageSource<'a>,
    pub(super) parts: ActiveParts,
    /// What counts as active.
    pub(super) threshold: f64,
}

/// The pictures so far, written batch by batch: a run that is killed leaves those it has made.
pub(super) struct Album<'a> {
    pub(super) folder: &'a RunFolder,
    pub(super) table: Option<&'a FeatureTable>,
    pub(super) names: Option<&'a [String]>,
    pub(super) steps_planned: usize,
    /// The image that pictures start from, where one is given: `[3, S, S]`.
    pub(super) start: Option<Array3<f32>>,
    /// The images of the table, where there is one.
    pub(super) real: Option<RealImages<'a>>,
    /// The pictures on their way, where they are to be shown.
    pub(super) frames: &'a Frames,
    /// Whether the pictures that an earlier run left are gone.
    pub(super) cleared: bool,
    /// Rows of the sheet: a picture whole, masked where there is a mask, its change where it starts from an
    /// image, and parts of real images of its class.
    pub(super) pictures: Vec<Vec<RgbImage>>,
    pub(super) record: Record,
}

impl Album<'_> {
    pub(super) fn add(&mut self, batch: &[Illusion], trusts: Vec<Trust>) -> Result<()> {
        let finished = batch.iter().all(|it| it.steps == self.steps_planned);
        if batch.is_empty() || (!finished && self.others_stand()) {
            return Ok(());
        }
        self.clear()?;
        for (illusion, trust) in batch.iter().zip(trusts) {
            self.add_one(illusion, trust)?;
        }
        match self.pictures.is_empty() {
            true => Ok(()),
            false => self.write(),
        }
    }

    /// Writes the record of all that there is.
    pub(super) fn finish(&mut self, shortfall: Shortfall) -> Result<()> {
        self.record.interrupted = shortfall.interrupted;
        self.record.diverged = shortfall.diverged;
        if self.record.interrupted && self.others_stand() {
            return Ok(());
        }
        self.clear()?;
        self.write()
    }

    /// Whether an earlier run's results are still there: they stand until a batch is finished.
    fn others_stand(&self) -> bool {
        !self.cleared && self.folder.join(RECORD_FILE).exists()
    }

    /// Removes the pictures that an earlier run left, once: they would pass for this one's.
    fn clear(&mut self) -> Result<()> {
        if !self.cleared {
            self.folder.remove_pictures("")?;
            self.cleared = true;
        }
        Ok(())
    }

    /// Writes what there is beside the pictures themselves.
    fn write(&self) -> Result<()> {
        match self.pictures.is_empty() {
            true => self.folder.remove(&[SHEET_FILE])?,
            false => save_png(self.folder.join(SHEET_FILE), &contact_sheet(&self.pictures))?,
        }
        Ok(self.folder.write_json(RECORD_FILE, SCHEMA, &self.record)?)
    }

    /// Half of what a picture has more than what it starts from, around grey, where the neuron is active.
    fn change(&self, illusion: &Illusion) -> Option<Array3<f32>> {
        let mut change = (&illusion.image - self.start.as_ref()?) * 0.5;
        if let Some(mask) = &illusion.mask {
            change = change * mask.mapv(|active| if active < 1.0 { 0.0 } else { 1.0 });
        }
        Some(change + 0.5)
    }

    /// Where the images of the pair's class that activate its neuron most activate it.
    fn real_parts(&self, Pair { neuron, class }: Pair) -> Result<Vec<RgbImage>> {
        let (Some(table), Some(real)) = (self.table, &self.real) else {
            return Ok(Vec::new());
        };
        let ImageSource { dataset, indices } = real.source;
        let rows = table.top_activating(neuron, Some(class), REAL_PER_ROW)?;
        let part = |row: usize| {
            let image = dataset.image(indices[row])?;
            Ok(real.parts.part(&image, neuron, real.threshold)?)
        };
        rows.into_iter().map(part).collect()
    }

    fn add_one(&mut self, illusion: &Illusion, trust: Trust) -> Result<()> {
        let Pair { neuron, class } = illusion.pair;
        let image = NeuronPicture::file_name(illusion.pair);
        let mut pictures = vec![to_rgb_image(illusion.image.view())?];
        save_png(self.folder.join(&image), &pictures[0])?;
        let masked_image = match illusion.masked_image() {
            Some(masked) => {
                let name = NeuronPicture::masked_file_name(illusion.pair);
                let masked = to_rgb_image(masked.view())?;
                save_png(self.folder.join(&name), &masked)?;
                pictures.push(masked);
                Some(name)
            }
            None => None,
        };
        let change_image = match self.change(illusion) {
            Some(change) => {
                let name = NeuronPicture::change_file_name(illusion.pair);
                let change = to_rgb_image(change.view())?;
                save_png(self.folder.join(&name), &change)?;
                pictures.push(change);
                Some(name)
            }
            None => None,
        };
        let animation = match self.frames.borrow_mut().remove(&illusion.pair) {
            Some(mut frames) => {
                let name = NeuronPicture::animation_file_name(illusion.pair);
                frames.push(pictures[0].clone());
                save_animation(self.folder.join(&name), &frames)?;
                Some(name)
            }
            None => None,
        };
        pictures.extend(self.real_parts(illusion.pair)?);
        self.pictures.push(pictures);
        let top = match self.table {
            Some(table) => {
                let rows = table.top_activating(neuron, None, 1)?;
                rows.first().map(|&row| (row, table))
            }
            None => None,
        };
        let activation = |(row, table): (usize, &FeatureTable)| -> Result<f32> {
            Ok(table.feature(row)?[neuron.0])
        };
        let top_real_activation = top.map(activation).transpose()?;
        self.record.visualizations.push(Visualization {
            illusion: illusion.clone(),
            class_name: self.names.map(|names| names[class.0].clone()),
            top_real_activation,
            trust,
            top_real_image: top.map(|(row, table)| table.sample_ids()[row].clone()),
            steps_planned: self.steps_planned,
            image,
            masked_image,
            change_image,
            animation,
        });
        Ok(())
    }
}

impl fmt::Display for Visualization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Illusion {
            pair: Pair { neuron, class },
            activation,
            steps,
            ..
        } = &self.illusion;
        write!(f, "neuron {neuron} in ")?;
        match &self.class_name {
            Some(name) => write!(f, "{name}")?,
            None => write!(f, "{class}")?,
        }
        write!(f, ": activation {activation:.2}")?;
        if let Some(top) = self.top_real_activation {
            write!(f, ", {top:.2} on the top real image")?;
        }
        if *steps < self.steps_planned {
            write!(f, ", stopped at step {steps} of {}", self.steps_planned)?;
        }
        writeln!(f, ": {}", self.image)?;
        writeln!(f, "  {}", self.trust)
    }
}
