//! The real images that activate units most.

use burn::tensor::Tensor;
use ndarray::{Array2, Array4, Axis};
use neuroinspect_core::{
    Classifier, Error as CoreError, LayerValues, Observer, Unit, UnitKind, read_back,
};
use neuroinspect_datasets::{ImageDataset, Skipped, preprocess};
use neuroinspect_illusion::{Recipe, activation_mask};
use neuroinspect_report::{TopImage, TopImages};

use super::{
    config::{check_units, layers_of},
    crop::around_peak,
};
use crate::{Error, Extraction, Result, extract::images_on};

/// Which top images are looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TopRequest<'a> {
    /// Of which units.
    pub units: &'a [Unit],
    /// How many of each.
    pub count: usize,
}

/// For each unit, the [`count`](TopRequest::count) images of a data set that activate it most, and the samples that could not
/// be read.
///
/// Images are streamed: memory grows with the units and with the count, not with the data set. Where in
/// the images the units are active is not looked at here: see [`look_at_units`](super::look_at_units).
///
/// ```no_run
/// use neuroinspect::{TopRequest, core::{Unit, UnitKind}, prelude::*, top_images};
///
/// # fn of(model: &dyn Classifier, photos: &dyn ImageDataset) -> neuroinspect::Result<()> {
/// let units = &[Unit::new("layer3.5", UnitKind::Channel(17))];
/// let request = TopRequest { units, count: 6 };
/// let (top, _) = top_images(&Extraction::new(model, photos), request, &mut Silent)?;
/// for image in &top[0].top {
///     println!("{} {:.2}, percentile {:.1}", image.id, image.activation, image.percentile);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`UnitsConfig::check`](crate::UnitsConfig::check) of the units, [`Error::NoImages`], [`CoreError::NotFinite`] for an activation that is no number,
/// when an image is corrupt and the loader was told to fail, and when the observer asks to stop.
pub fn top_images(
    extraction: &Extraction<'_>,
    TopRequest { units, count }: TopRequest<'_>,
    observer: &mut dyn Observer,
) -> Result<(Vec<TopImages>, Vec<Skipped>)> {
    check_units(units, extraction.classifier)?;
    let layers = layers_of(units);
    let read = |copy: &dyn Classifier, images| {
        let values = copy.activations_at(images, &layers)?;
        // Once for all units of a layer.
        let pooled = values.iter().map(LayerValues::pooled);
        let pooled: Vec<_> = pooled.map(LayerValues::Features).collect();
        let columns = units.iter().map(|unit| {
            let values = match unit.kind {
                UnitKind::Position { .. } => &values,
                _ => &pooled,
            };
            let activation = unit.activation(own(unit, &layers, values)?)?;
            Ok(activation.unsqueeze_dim::<2>(1))
        });
        Ok(Tensor::cat(columns.collect::<Result<_>>()?, 1))
    };
    let mut highest = vec![Highest::new(count); units.len()];
    let samples = extraction.dataset.samples();
    let mut take = |indices: &[usize], values: &[f32]| {
        for (&index, row) in indices.iter().zip(values.chunks(units.len())) {
            for ((highest, &value), unit) in highest.iter_mut().zip(row).zip(units) {
                if !value.is_finite() {
                    let what = format!("activation of {unit} on sample '{}'", samples[index].id);
                    return Err(CoreError::NotFinite { what, value }.into());
                }
                highest.take(index, value);
            }
        }
        Ok(())
    };
    let skipped = extraction.stream(&layers.join(", "), &read, &mut take, observer)?;
    if highest.iter().any(|it| it.images == 0) {
        return Err(Error::NoImages {
            dataset: extraction.dataset.name().to_owned(),
        });
    }
    let top = highest.iter().map(|it| it.top_images(extraction.dataset));
    Ok((top.collect(), skipped))
}

/// The values of a unit's layer among those of all layers.
fn own<'a>(unit: &Unit, layers: &[&str], values: &'a [LayerValues]) -> Result<&'a LayerValues> {
    let place = layers.iter().position(|layer| *layer == unit.layer);
    let found = place.and_then(|place| values.get(place));
    let missing = || CoreError::length("layers of the classifier", layers.len(), values.len());
    Ok(found.ok_or_else(missing)?)
}

/// The highest values of a stream.
#[derive(Clone)]
struct Highest {
    count: usize,
    /// Value and sample, the highest first and the earlier first among equals.
    highest: Vec<(f32, usize)>,
    images: usize,
    sum: f64,
}

impl Highest {
    fn new(count: usize) -> Self {
        Self {
            count,
            highest: Vec::new(),
            images: 0,
            sum: 0.0,
        }
    }

    fn take(&mut self, index: usize, value: f32) {
        self.images += 1;
        self.sum += f64::from(value);
        let place = self.highest.partition_point(|&(other, _)| other >= value);
        if place < self.count {
            self.highest.insert(place, (value, index));
            self.highest.truncate(self.count);
        }
    }

    fn top_images(&self, dataset: &dyn ImageDataset) -> TopImages {
        let higher_than = |value: f32| self.highest.partition_point(|&(other, _)| other > value);
        let top = self.highest.iter().map(|&(activation, index)| {
            let sample = &dataset.samples()[index];
            let as_high_or_lower = self.images - higher_than(activation);
            TopImage {
                index,
                id: sample.id.clone(),
                label: sample.label,
                activation,
                percentile: (100.0 * as_high_or_lower as f64 / self.images as f64) as f32,
                crop: None,
                image: Default::default(),
                mask: None,
            }
        });
        TopImages {
            images: self.images,
            mean: (self.sum / self.images as f64) as f32,
            top: top.collect(),
        }
    }
}

/// Looks for where units are active in their top images.
pub(super) struct Looker<'a> {
    extraction: &'a Extraction<'a>,
    copy: Box<dyn Classifier>,
    recipe: &'a Recipe,
}

impl<'a> Looker<'a> {
    /// The recipe says what counts as active.
    pub(super) fn new(extraction: &'a Extraction<'a>, recipe: &'a Recipe) -> Result<Self> {
        let device = extraction.classifier.device().without_autodiff();
        let mut copy = extraction
            .classifier
            .evaluation_copy(&device, extraction.precision)?;
        copy.fold()?;
        Ok(Self {
            extraction,
            copy,
            recipe,
        })
    }

    /// The top images with their pixels, masks and parts.
    pub(super) fn look(&mut self, unit: &Unit, top: &TopImages) -> Result<TopImages> {
        let mut seen = top.clone();
        let (dataset, spec) = (self.extraction.dataset, self.copy.input());
        for top in &mut seen.top {
            top.image = preprocess(&dataset.image(top.index)?, spec)?;
        }
        let views = seen.top.iter().map(|top| top.image.view());
        let images = ndarray::stack(Axis(0), &Vec::from_iter(views));
        let images = images.map_err(|_| CoreError::empty("top images of a unit"))?;
        for (top, map) in seen.top.iter_mut().zip(self.maps(unit, images)?) {
            let Recipe {
                mask_threshold,
                mask_reduction,
                ..
            } = *self.recipe;
            let mask = activation_mask(map.view(), spec.size, mask_threshold, mask_reduction);
            top.crop = around_peak(&map, &mask);
            top.mask = Some(mask);
        }
        Ok(seen)
    }

    /// Where the unit is active in images `[N, 3, S, S]`: `[h, w]` each, or none where that is not known.
    fn maps(&self, unit: &Unit, images: Array4<f32>) -> Result<Vec<Array2<f32>>> {
        let device = self.copy.device();
        let images = self
            .copy
            .input()
            .normalize(images_on(images.view(), &device));
        let images = self.extraction.precision.cast(images);
        let values = self.copy.activations_at(images, &[&unit.layer])?;
        let Some(map) = unit.map(own(unit, &[&unit.layer], &values)?)? else {
            return Ok(Vec::new());
        };
        let [n, height, width] = map.dims();
        let values = read_back(map, "the feature maps")?;
        let maps = values.chunks(height * width).map(|map| {
            Array2::from_shape_vec((height, width), map.to_vec())
                .map_err(|_| CoreError::length("a feature map", height * width, map.len()).into())
        });
        maps.take(n).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_are_kept_the_earlier_first_among_equals() {
        let mut highest = Highest::new(3);
        for (index, value) in [1.0, 5.0, 3.0, 5.0, -2.0, 3.0].into_iter().enumerate() {
            highest.take(index, value);
        }
        assert_eq!(highest.highest, [(5.0, 1), (5.0, 3), (3.0, 2)]);
        assert_eq!((highest.images, highest.sum), (6, 15.0));
    }
}
