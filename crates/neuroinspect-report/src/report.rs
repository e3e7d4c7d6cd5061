//! A debugged class as a folder of files.

use std::path::Path;

use image::RgbImage;
use neuroinspect_core::{ClassId, io::write_atomically};
use neuroinspect_editing::MendResult;
use neuroinspect_illusion::Pair;

use crate::{
    Error, Findings, NeuronPicture, Result, Run, Schema, StageFailure, contact_sheet, html,
    picture::save_png, to_rgb_image, validate::check_recommendation, write_json,
};

/// How many real images of a neuron stand in its row of the contact sheet.
const REAL_PER_ROW: usize = 4;

/// [`Findings`] with the real images that go with them.
///
/// Images are scaled down where they are embedded in the HTML; hand in only as many as are to be
/// shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Report<'a> {
    /// All results.
    pub findings: &'a Findings,
    /// The real images to show.
    pub images: RealImages,
}

/// A recommendation as a page of its own: one HTML file that loads nothing from anywhere.
///
/// # Errors
///
/// When a point of the frontier is of no candidate, or not finite.
pub fn recommendation_html(
    result: &MendResult,
    class_names: &[String],
    run: &Run,
) -> Result<String> {
    check_recommendation(result, class_names.len())?;
    Ok(html::recommendation(result, class_names, run).into_string())
}

/// The frontier of a recommendation, accuracy of the class against the mean, as an SVG file.
///
/// # Errors
///
/// As [`recommendation_html`].
pub fn recommendation_svg(result: &MendResult, class_names: &[String]) -> Result<String> {
    check_recommendation(result, class_names.len())?;
    Ok(html::recommendation_drawing(result, class_names).into_string())
}

/// The real images of a report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RealImages {
    /// The mistakes to show; the report says how many more there are.
    pub mistakes: Vec<RealImage>,
    /// One card each, in this order.
    pub neurons: Vec<NeuronImages>,
    /// Images that should be here and cannot be read.
    pub failures: Vec<StageFailure>,
}

impl RealImages {
    /// How many mistakes a report shows.
    pub const MISTAKES_SHOWN: usize = 24;
}

/// A real image and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RealImage {
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
    /// The part where that neuron is most active, as the classifier sees it; `None` among mistakes, and where
    /// the classifier does not say.
    pub crop: Option<RgbImage>,
}

/// What activates a neuron.
#[derive(Clone, Debug, PartialEq)]
pub struct NeuronImages {
    /// The neuron, and the class it is looked at within.
    pub pair: Pair,
    /// The real images of that class that activate it most, strongest first.
    pub top_of_class: Vec<RealImage>,
    /// The real images of any class that activate it most, strongest first.
    pub top_overall: Vec<RealImage>,
}

/// A picture of a neuron as it is shown.
pub(crate) struct Shown {
    /// The picture.
    pub(crate) image: RgbImage,
    /// The picture times the neuron's mask, where there is one.
    pub(crate) masked_image: Option<RgbImage>,
}

impl Shown {
    pub(crate) fn new(picture: &NeuronPicture) -> Result<Self> {
        let illusion = &picture.illusion;
        if illusion.image.is_empty() {
            let Pair { neuron, class } = illusion.pair;
            return Err(Error::MissingPixels { neuron, class });
        }
        let masked = illusion.masked_image();
        Ok(Self {
            image: to_rgb_image(illusion.image.view())?,
            masked_image: masked.map(|image| to_rgb_image(image.view())).transpose()?,
        })
    }
}

impl Report<'_> {
    /// Writes the PNGs that the findings name, the contact sheet `neurons.png`, `report.html` and,
    /// last, `summary.json` into a folder, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// When the findings are not valid, a picture has no pixels, or a file cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        let html = self.html()?;
        for picture in &self.findings.pictures {
            let shown = Shown::new(picture)?;
            save_png(folder.join(&picture.file), &shown.image)?;
            if let (Some(file), Some(image)) = (&picture.masked_file, &shown.masked_image) {
                save_png(folder.join(file), image)?;
            }
        }
        if !self.images.neurons.is_empty() {
            save_png(folder.join(Findings::SHEET_FILE), &self.contact_sheet()?)?;
        }
        write_atomically(folder.join(Findings::HTML_FILE), |out| {
            out.write_all(html.as_bytes())
        })?;
        write_json(
            folder.join(Findings::JSON_FILE),
            Schema::FINDINGS,
            self.findings,
        )
    }

    /// The report as one HTML file that loads nothing from anywhere.
    ///
    /// # Errors
    ///
    /// When the findings are not valid, or an image is empty.
    pub fn html(&self) -> Result<String> {
        self.validate()?;
        Ok(html::page(self)?.into_string())
    }

    /// One row per neuron: the real images of the class that activate it most, its picture, the same
    /// masked.
    ///
    /// # Errors
    ///
    /// When a picture has no pixels.
    pub fn contact_sheet(&self) -> Result<RgbImage> {
        let shown = |neuron: &NeuronImages| {
            let picture = self.findings.picture(neuron.pair);
            picture.map(Shown::new).transpose()
        };
        let pictures: Vec<_> = self
            .images
            .neurons
            .iter()
            .map(shown)
            .collect::<Result<_>>()?;
        let rows = self.images.neurons.iter().zip(&pictures);
        Ok(contact_sheet(rows.map(|(neuron, shown)| {
            let real = neuron.top_of_class.iter().take(REAL_PER_ROW);
            let pictures = shown
                .iter()
                .flat_map(|shown| std::iter::once(&shown.image).chain(shown.masked_image.as_ref()));
            real.map(|sample| &sample.image).chain(pictures)
        })))
    }

    fn validate(&self) -> Result<()> {
        self.findings.validate()?;
        let classes = self.findings.class_names.len();
        let top = |neuron: &'_ NeuronImages| {
            let samples = neuron.top_of_class.iter().chain(&neuron.top_overall);
            let ids = samples.flat_map(|sample| [sample.label, sample.prediction]);
            ids.chain([neuron.pair.class]).collect::<Vec<_>>()
        };
        let mistakes = self.images.mistakes.iter();
        mistakes
            .flat_map(|sample| [sample.label, sample.prediction])
            .chain(self.images.neurons.iter().flat_map(top))
            .try_for_each(|class| Ok(class.check(classes)?))
    }
}
