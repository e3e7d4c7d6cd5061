//! The classes that a unit is pictured within.

use burn::tensor::Tensor;
use ndarray::Array2;
use neuroinspect_core::{ClassId, Classifier, Error as CoreError, NeuronId, Observer};
use neuroinspect_datasets::Skipped;
use neuroinspect_illusion::classes_of_neuron;

use super::AtlasInputs;
use crate::{Error, Extraction, Result};

/// For each unit of a layer its classes, the first before the others, and the images that were left out.
pub(super) fn top_classes(
    inputs: &AtlasInputs<'_>,
    layer: &str,
    count: usize,
    observer: &mut dyn Observer,
) -> Result<(Vec<Vec<ClassId>>, Vec<Skipped>)> {
    let decision = inputs.classifier.decision_layer()?;
    if layer == inputs.classifier.penultimate() {
        let neurons = (0..decision.neurons()).map(NeuronId);
        let classes = neurons.map(|neuron| Ok(classes_of_neuron(&decision, neuron, count)?));
        return Ok((classes.collect::<Result<_>>()?, Vec::new()));
    }
    let images = inputs.images.ok_or_else(|| Error::AtlasNeeds {
        what: format!(
            "images to picture units of layer '{layer}' within classes, which are those whose images \
             activate a unit most; give images (`--data`), or picture the units by themselves, within 0 classes \
             (`--top-classes 0`)"
        ),
    })?;
    of_images(images, layer, count, decision.classes(), observer)
}

/// The classes whose images activate a unit most on average, among those that have images; the lower index
/// first among equals. Memory grows with classes and units, not with the images.
fn of_images(
    extraction: &Extraction<'_>,
    layer: &str,
    count: usize,
    classes: usize,
    observer: &mut dyn Observer,
) -> Result<(Vec<Vec<ClassId>>, Vec<Skipped>)> {
    let read = |copy: &dyn Classifier, images: Tensor<4>| {
        let values = copy.activations_at(images, &[layer])?;
        let missing = || CoreError::length("layers of the classifier", 1, 0);
        Ok(values.first().ok_or_else(missing)?.pooled())
    };
    let mut sums: Array2<f64> = Array2::zeros((classes, 0));
    let mut images = vec![0_usize; classes];
    let samples = extraction.dataset.samples();
    let mut take = |indices: &[usize], values: &[f32]| {
        let width = values.len() / indices.len().max(1);
        if sums.ncols() == 0 {
            sums = Array2::zeros((classes, width));
        }
        for (&index, row) in indices.iter().zip(values.chunks(width.max(1))) {
            let class = samples[index].label;
            class.check(classes)?;
            images[class.0] += 1;
            for (sum, &value) in sums.row_mut(class.0).iter_mut().zip(row) {
                if !value.is_finite() {
                    let id = &samples[index].id;
                    let what = format!("activation of layer '{layer}' on sample '{id}'");
                    return Err(CoreError::NotFinite { what, value }.into());
                }
                *sum += f64::from(value);
            }
        }
        Ok(())
    };
    let skipped = extraction.stream(layer, &read, &mut take, observer)?;
    if sums.ncols() == 0 {
        return Err(Error::NoImages {
            dataset: extraction.dataset.name().to_owned(),
        });
    }
    let units = sums.columns().into_iter().map(|sums| {
        let means = sums.iter().zip(&images).enumerate();
        let means = means.filter(|(_, (_, images))| **images > 0);
        let mut means: Vec<(usize, f64)> = means
            .map(|(class, (sum, &images))| (class, sum / images as f64))
            .collect();
        means.sort_by(|one, other| other.1.total_cmp(&one.1));
        let highest = means.into_iter().take(count);
        highest.map(|(class, _)| ClassId(class)).collect()
    });
    Ok((units.collect(), skipped))
}
