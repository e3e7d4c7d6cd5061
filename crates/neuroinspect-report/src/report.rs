//! A debugged class as a folder of files.

use std::path::Path;

use image::RgbImage;
use neuroinspect_core::{ClassId, NeuronId, write_atomically};

use crate::{DebugSummary, Error, Result, contact_sheet, html, picture::save_png};

/// How many real images of a neuron stand in its row of the contact sheet.
const REAL_PER_ROW: usize = 4;

/// A [`DebugSummary`] with the pictures that go with it.
///
/// Pictures are scaled down where they are embedded in the HTML; hand in only as many as are to be
/// shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// All numbers and names.
    pub summary: DebugSummary,
    /// The mistakes to show; the report says how many more there are.
    pub mistakes: Vec<Sample>,
    /// One card each, in this order.
    pub neurons: Vec<NeuronPictures>,
}

/// A real image and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The sample's id, such as its path.
    pub id: String,
    /// Its true class.
    pub label: ClassId,
    /// The class predicted.
    pub prediction: ClassId,
    /// Activation of the neuron it stands under; `None` among mistakes.
    pub activation: Option<f32>,
    /// The pixels.
    pub image: RgbImage,
}

/// What there is to see of a neuron.
#[derive(Clone, Debug, PartialEq)]
pub struct NeuronPictures {
    /// The neuron.
    pub neuron: NeuronId,
    /// The class it is looked at within.
    pub class: ClassId,
    /// Its visualization; `None` when none was made.
    pub illusion: Option<IllusionPictures>,
    /// The real images of `class` that activate it most, strongest first.
    pub top_of_class: Vec<Sample>,
    /// The real images of any class that activate it most, strongest first.
    pub top_overall: Vec<Sample>,
}

/// A visualization, whole and masked.
#[derive(Clone, Debug, PartialEq)]
pub struct IllusionPictures {
    /// The picture.
    pub image: RgbImage,
    /// The picture times the neuron's mask.
    pub masked_image: RgbImage,
}

impl Report {
    /// The numbers, for other programs.
    pub const SUMMARY_FILE: &str = "summary.json";
    /// The report for people.
    pub const HTML_FILE: &str = "report.html";
    /// The pictures of the neurons, those that a summary made by
    /// [`Visualization::new`](crate::Visualization::new) names.
    pub const PICTURES_FOLDER: &str = "neurons";
    /// The contact sheet of all neurons.
    pub const SHEET_FILE: &str = "neurons.png";

    /// Writes `report.html`, the PNGs that the summary names, the contact sheet `neurons.png` and,
    /// last, `summary.json` into a folder, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// When the summary is not valid, a picture is missing or empty, or a file cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        let html = self.html()?;
        write_atomically(folder.join(Self::HTML_FILE), |out| {
            out.write_all(html.as_bytes())
        })?;
        for visualization in &self.summary.visualizations {
            let pictures = self.illusion(visualization.neuron, visualization.class)?;
            save_png(folder.join(&visualization.image), &pictures.image)?;
            save_png(
                folder.join(&visualization.masked_image),
                &pictures.masked_image,
            )?;
        }
        if !self.neurons.is_empty() {
            save_png(folder.join(Self::SHEET_FILE), &self.contact_sheet())?;
        }
        self.summary.save(folder.join(Self::SUMMARY_FILE))
    }

    /// The report as one HTML file that loads nothing from anywhere.
    ///
    /// # Errors
    ///
    /// When the summary is not valid, or a picture is missing or empty.
    pub fn html(&self) -> Result<String> {
        self.validate()?;
        Ok(html::page(self)?.into_string())
    }

    /// One row per neuron: the real images of the class that activate it most, its visualization,
    /// the same masked.
    pub fn contact_sheet(&self) -> RgbImage {
        contact_sheet(self.neurons.iter().map(|neuron| {
            let real = neuron.top_of_class.iter().take(REAL_PER_ROW);
            let illusion = neuron.illusion.iter();
            real.map(|sample| &sample.image)
                .chain(illusion.flat_map(|pictures| [&pictures.image, &pictures.masked_image]))
        }))
    }

    fn validate(&self) -> Result<()> {
        self.summary.validate()?;
        for visualization in &self.summary.visualizations {
            self.illusion(visualization.neuron, visualization.class)?;
        }
        let classes = self.summary.class_names.len();
        let top = |neuron: &'_ NeuronPictures| {
            let samples = neuron.top_of_class.iter().chain(&neuron.top_overall);
            let ids = samples.flat_map(|sample| [sample.label, sample.prediction]);
            ids.chain([neuron.class]).collect::<Vec<_>>()
        };
        let mistakes = self.mistakes.iter();
        mistakes
            .flat_map(|sample| [sample.label, sample.prediction])
            .chain(self.neurons.iter().flat_map(top))
            .find(|class| class.0 >= classes)
            .map_or(Ok(()), |class| {
                Err(neuroinspect_core::Error::ClassOutOfRange { class, classes }.into())
            })
    }

    fn illusion(&self, neuron: NeuronId, class: ClassId) -> Result<&IllusionPictures> {
        self.neurons
            .iter()
            .filter(|pictures| pictures.neuron == neuron && pictures.class == class)
            .find_map(|pictures| pictures.illusion.as_ref())
            .ok_or(Error::MissingPictures { neuron, class })
    }
}
