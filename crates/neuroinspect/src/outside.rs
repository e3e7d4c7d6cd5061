//! How much of where neurons are active lies outside of the objects that images show.

use ndarray::{Array2, Array3, ArrayView2, Axis};
use neuroinspect_core::{Classifier, Observer, Precision, Progress, is_cancellation, read_back};
use neuroinspect_datasets::{Error as DatasetError, ImageDataset, preprocess};
use neuroinspect_editing::Suspect;
use neuroinspect_illusion::{Recipe, activation_mask};

use crate::{
    DebugInputs, Findings, ImageSource, Result,
    extract::{images_on, map_of_one},
};

const STAGE: &str = "looking outside of objects";

/// Adds to suspects how much of where they are active lies [outside of the object](Suspect::outside_object), by
/// those of the images that have an [outline](ImageDataset::outline).
///
/// Of neuron `n` it is
///
/// ```text
/// sum_i a_i |M_i (1 - O_i)|_1 / |M_i|_1  /  sum_i a_i
/// ```
///
/// over images `i` in which the neuron is active: `a_i` its activation, where it is above 0; `M_i` its
/// [mask](activation_mask) at the threshold of a [`Recipe`], 1 where it is active and 0 elsewhere; `O_i` how
/// much of each pixel the object covers, both as the classifier sees the image: `[S, S]`. A neuron that answers
/// to what is behind objects is near 1; so is one whose map has too few cells to tell, where the object is
/// small. Where a classifier gives no map, or a neuron is active in none of these images, there is no number.
///
/// # Errors
///
/// When an image or an outline cannot be read, an outline is not as large as its image, the classifier
/// fails or has no such neuron, or the observer asks to stop.
pub fn look_outside_objects(
    classifier: &dyn Classifier,
    images: ImageSource<'_>,
    suspects: &mut [Suspect],
    observer: &mut dyn Observer,
) -> Result<()> {
    let device = classifier.device().without_autodiff();
    let mut copy = classifier.evaluation_copy(&device, Precision::F32)?;
    copy.fold()?;
    let mut shares = vec![Share::default(); suspects.len()];
    for (done, &index) in images.indices.iter().enumerate() {
        if let Some((image, object)) = seen(images.dataset, index, copy.as_ref())? {
            for (share, suspect) in shares.iter_mut().zip(&*suspects) {
                suspect.neuron.check(image.features.len())?;
                share.add(&image, object.view(), suspect.neuron.0);
            }
        }
        observer.proceed_unless_done(Progress {
            stage: STAGE,
            done: done + 1,
            total: images.indices.len(),
        })?;
    }
    for (suspect, share) in suspects.iter_mut().zip(shares) {
        suspect.outside_object = (share.weight > 0.0).then(|| share.outside / share.weight);
    }
    Ok(())
}

/// The same for the suspects of findings, by the images of their class, or a note of why not; whether the observer
/// asked to stop.
pub(crate) fn look(
    inputs: &DebugInputs<'_>,
    findings: &mut Findings,
    observer: &mut dyn Observer,
) -> bool {
    let (Some(ImageSource { dataset, indices }), Some(recommendation)) =
        (inputs.images, &mut findings.recommendation)
    else {
        return false;
    };
    let labels = inputs.table.labels().iter().zip(indices);
    let of_class = labels.filter(|(label, _)| **label == findings.class);
    let images = ImageSource {
        dataset,
        indices: &of_class.map(|(_, &index)| index).collect::<Vec<_>>(),
    };
    let suspects = &mut recommendation.suspects;
    match look_outside_objects(inputs.classifier, images, suspects, observer) {
        Err(error) if is_cancellation(&error) => return true,
        Err(error) => findings.fail_with(STAGE, &error),
        Ok(()) => {}
    }
    false
}

/// What a classifier makes of an image.
struct Seen {
    /// `[D]`
    features: Vec<f32>,
    /// `[D, h, w]`
    map: Array3<f32>,
    /// Side of the image, as the classifier sees it.
    size: usize,
}

/// What a classifier makes of an image, and how much of each pixel the object covers: `[S, S]`. None where there is
/// no outline or no map.
fn seen(
    dataset: &dyn ImageDataset,
    index: usize,
    classifier: &dyn Classifier,
) -> Result<Option<(Seen, Array2<f32>)>> {
    let Some(outline) = dataset.outline(index)? else {
        return Ok(None);
    };
    let image = dataset.image(index)?;
    if image.dimensions() != outline.dimensions() {
        let ((width, height), (across, down)) = (image.dimensions(), outline.dimensions());
        let reason = format!(
            "its outline has {across} x {down} pixels, and the image {width} x {height}; \
             both have to be of one size"
        );
        let sample = dataset.sample(index)?.id.clone();
        return Err(DatasetError::Sample { sample, reason }.into());
    }
    let spec = classifier.input();
    let object = preprocess(&outline, spec)?.index_axis_move(Axis(0), 0);
    let pixels = preprocess(&image, spec)?.insert_axis(Axis(0));
    let images = spec.normalize(images_on(pixels.view(), &classifier.device()));
    let activations = classifier.activations(images);
    let Some(map) = activations.map else {
        return Ok(None);
    };
    let seen = Seen {
        features: read_back(activations.features, "features")?,
        map: map_of_one(map)?,
        size: spec.size,
    };
    Ok(Some((seen, object)))
}

/// The sums of a neuron's share.
#[derive(Clone, Copy, Default)]
struct Share {
    outside: f64,
    weight: f64,
}

impl Share {
    fn add(&mut self, image: &Seen, object: ArrayView2<'_, f32>, neuron: usize) {
        let activation = f64::from(image.features[neuron]);
        if activation <= 0.0 {
            return;
        }
        let map = image.map.index_axis(Axis(0), neuron);
        let mask = activation_mask(map, image.size, Recipe::default().mask_threshold, 0.0);
        let active = f64::from(mask.sum());
        // Nothing stands out of a map that is the same everywhere.
        if active > 0.0 {
            let on_object = f64::from((&mask * &object).sum());
            self.outside += activation * (1.0 - on_object / active);
            self.weight += activation;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// A map of one row of two cells, resized to 2 x 2: the mask is the column of the larger.
    #[test]
    fn shares_are_weighed_by_activation() {
        let image = |features: [f32; 2], left: f32| Seen {
            features: features.to_vec(),
            map: array![[[left, 1.0]], [[1.0, 1.0]]],
            size: 2,
        };
        let mut share = Share::default();
        // Active on the left, all of which the object covers; then on the right, a quarter of which it does.
        share.add(
            &image([1.0, 5.0], 3.0),
            array![[1.0, 0.0], [1.0, 0.0]].view(),
            0,
        );
        share.add(
            &image([3.0, 5.0], 0.0),
            array![[1.0, 0.5], [1.0, 0.0]].view(),
            0,
        );
        // Silent: not looked at.
        share.add(
            &image([0.0, 5.0], 0.0),
            array![[0.0, 0.0], [0.0, 0.0]].view(),
            0,
        );
        assert_eq!((share.outside, share.weight), (3.0 * 0.75, 4.0));
        // A constant map has no place that stands out.
        let mut constant = Share::default();
        constant.add(
            &image([1.0, 5.0], 0.0),
            array![[0.0, 0.0], [0.0, 0.0]].view(),
            1,
        );
        assert_eq!(constant.weight, 0.0);
    }
}
