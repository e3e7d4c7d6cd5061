//! Units of layers by themselves, as a folder of files.

use std::path::Path;

use image::RgbImage;
use ndarray::Array3;
use neuroinspect_core::io::write_atomically;
use serde::Serialize;

use crate::{
    Findings, Result, Run, Schema, StageFailure, TopImage, UnitFindings, UnitPicture,
    contact_sheet, html, picture::save_png, to_rgb_image, write_json,
};

/// What was found of units of layers, in the order in which they were asked for.
///
/// Pages and sheets show the [first](Self::SHOWN) of them; of the others there are the files of their
/// pictures and what the JSON says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnitReport {
    /// The units.
    pub units: Vec<UnitFindings>,
    /// Names of the classes that they may be pictured within and that real images are of.
    pub class_names: Vec<String>,
    /// Whether there is more to come: the work was stopped, or goes on.
    pub interrupted: bool,
    /// What failed, such as a picture that left the finite numbers.
    pub failures: Vec<StageFailure>,
    /// How it was made.
    pub run: Run,
}

impl UnitReport {
    /// Name of the file of the findings themselves.
    pub const JSON_FILE: &str = "units.json";
    /// Name of the file of the page for people.
    pub const HTML_FILE: &str = "units.html";
    /// Name of the file of the contact sheet.
    pub const SHEET_FILE: &str = "units.png";
    /// How many units are shown.
    pub const SHOWN: usize = 32;

    /// Folder of the pictures, within that of the JSON.
    pub const FOLDER: &str = "units";

    /// Takes a unit, and writes its pictures into the folder, which is made if it is missing. Pixels of a
    /// unit that is not shown are not kept.
    ///
    /// # Errors
    ///
    /// When the unit is not valid, or a file cannot be written.
    pub fn add(&mut self, unit: UnitFindings, folder: impl AsRef<Path>) -> Result<()> {
        add(
            &mut self.units,
            unit,
            self.class_names.len(),
            folder.as_ref(),
        )
    }

    /// Writes the contact sheet, the page and, last, the JSON.
    ///
    /// # Errors
    ///
    /// When an image is empty, or a file cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        let page = html::unit_page(self)?.into_string();
        save_png(folder.join(Self::SHEET_FILE), &unit_sheet(&self.units)?)?;
        write_atomically(folder.join(Self::HTML_FILE), |out| {
            out.write_all(page.as_bytes())
        })?;
        write_json(folder.join(Self::JSON_FILE), Schema::UNITS, self)
    }
}

impl Findings {
    /// Takes a unit, as [`UnitReport::add`] does.
    ///
    /// # Errors
    ///
    /// As [`UnitReport::add`].
    pub fn add_unit(&mut self, unit: UnitFindings, folder: impl AsRef<Path>) -> Result<()> {
        add(
            &mut self.units,
            unit,
            self.class_names.len(),
            folder.as_ref(),
        )
    }
}

fn add(
    units: &mut Vec<UnitFindings>,
    mut unit: UnitFindings,
    classes: usize,
    folder: &Path,
) -> Result<()> {
    unit.validate(classes)?;
    unit.save_pictures(folder)?;
    if units.len() >= UnitReport::SHOWN {
        forget_pixels(&mut unit);
    }
    units.push(unit);
    Ok(())
}

/// Forgets the pixels, which JSON does not hold either.
fn forget_pixels(unit: &mut UnitFindings) {
    if let Some(picture) = &mut unit.picture {
        (picture.image, picture.mask) = (Array3::default((0, 0, 0)), None);
    }
    for image in unit.real.iter_mut().flat_map(|real| &mut real.top) {
        (image.image, image.mask) = (Array3::default((0, 0, 0)), None);
    }
}

/// One row per unit that has pixels: its picture, the same masked, the real images that activate it most,
/// masked, and the parts of them where it is most active.
fn unit_sheet(units: &[UnitFindings]) -> Result<RgbImage> {
    let row = |unit: &UnitFindings| {
        let mut row = Vec::new();
        if let Some(picture) = &unit.picture {
            row.extend(picture.shown()?);
        }
        let top = unit.real.iter().flat_map(|real| &real.top);
        let seen = top.map(TopImage::shown);
        let seen: Vec<_> = seen.collect::<Result<Vec<_>>>()?;
        let (mut images, mut crops) = (Vec::new(), Vec::new());
        for ShownImage { image, crop } in seen.into_iter().flatten() {
            images.push(image);
            crops.extend(crop);
        }
        row.extend(images);
        row.extend(crops);
        Ok(row)
    };
    let rows: Vec<Vec<RgbImage>> = units.iter().map(row).collect::<Result<_>>()?;
    Ok(contact_sheet(&rows))
}

impl UnitFindings {
    /// Writes the PNGs that it names into a folder, where it has their pixels.
    ///
    /// # Errors
    ///
    /// When an image is empty, or a file cannot be written.
    pub fn save_pictures(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        let Some(picture) = &self.picture else {
            return Ok(());
        };
        let files = [&picture.file].into_iter().chain(&picture.masked_file);
        for (file, image) in files.zip(picture.shown()?) {
            save_png(folder.join(file), &image)?;
        }
        Ok(())
    }
}

impl UnitPicture {
    /// The picture, and the same masked where there is a mask; nothing where the pixels were not kept.
    pub(crate) fn shown(&self) -> Result<Vec<RgbImage>> {
        if self.image.is_empty() {
            return Ok(Vec::new());
        }
        let mut shown = vec![to_rgb_image(self.image.view())?];
        if let Some(mask) = &self.mask {
            shown.push(to_rgb_image((&self.image * mask).view())?);
        }
        Ok(shown)
    }
}

/// A real image as it is shown.
pub(crate) struct ShownImage {
    /// Dimmed where the unit is not active, if that is known.
    pub(crate) image: RgbImage,
    /// Where it is most active.
    pub(crate) crop: Option<RgbImage>,
}

impl TopImage {
    /// `None` where the pixels were not kept.
    pub(crate) fn shown(&self) -> Result<Option<ShownImage>> {
        if self.image.is_empty() {
            return Ok(None);
        }
        let image = match &self.mask {
            Some(mask) => to_rgb_image((&self.image * mask).view())?,
            None => to_rgb_image(self.image.view())?,
        };
        let part = self.crop.and_then(|crop| crop.of(self.image.view()));
        Ok(Some(ShownImage {
            image,
            crop: part.map(to_rgb_image).transpose()?,
        }))
    }
}
