//! Where in real images neurons are active.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use axum::body::Bytes;
use ndarray::{Array2, Array3};
use neuroinspect::{
    around_peak,
    burn::tensor::{Tensor, TensorData},
    core::{
        Classifier, Error as CoreError, NeuronId, Precision, among_workers, read_back, with_causes,
    },
    datasets::preprocess,
    illusion::activation_mask,
    report::to_rgb_image,
};

use crate::{Opened, pages::images::encoded, recent::Recent, refusal::Refusal, session::Session};

/// Where in real images neurons are active, looked up as it is asked for.
#[derive(Default)]
pub(crate) struct Places {
    /// A copy to ask, folded once; why there is none.
    copy: OnceLock<Result<Mutex<Box<dyn Classifier>>, String>>,
    /// Whether it says where its neurons are active.
    told: OnceLock<bool>,
    /// By row of the table and neuron.
    seen: Recent<(usize, NeuronId), Place>,
}

/// Where in an image a neuron is active, as files.
#[derive(Clone)]
pub(crate) struct Place {
    /// The image as the classifier sees it, dimmed where the neuron is not active.
    pub(crate) whole: Bytes,
    /// The part around the place where it is most active; none where no place stands out.
    pub(crate) part: Option<Bytes>,
}

impl Places {
    /// Whether the classifier says where its neurons are active.
    pub(crate) fn are_told(&self, opened: &Opened) -> Result<bool, Refusal> {
        if let Some(told) = self.told.get() {
            return Ok(*told);
        }
        let size = opened.classifier.input().size;
        let copy = self.copy(opened)?;
        let map = map(copy.as_ref(), &Array3::zeros((3, size, size)), NeuronId(0))?;
        Ok(*self.told.get_or_init(|| map.is_some()))
    }

    /// Where a neuron is active in the image of a row.
    pub(crate) fn look(
        &self,
        opened: &Opened,
        session: &Session,
        (row, neuron): (usize, NeuronId),
    ) -> Result<Place, Refusal> {
        if let Some(place) = self.seen.get((row, neuron)) {
            return Ok(place);
        }
        let index = session.indices.get(row);
        let index = *index.ok_or_else(|| Refusal::NotFound(format!("there is no image {row}")))?;
        let spec = opened.classifier.input();
        let pixels = preprocess(&opened.dataset.image(index)?, spec)?;
        let copy = self.copy(opened)?;
        // The whole and its part are asked for at once: the second finds what the first has looked up.
        if let Some(place) = self.seen.get((row, neuron)) {
            return Ok(place);
        }
        let Some(map) = map(copy.as_ref(), &pixels, neuron)? else {
            let reason = "this classifier does not say where in an image its neurons are active";
            return Err(Refusal::NotFound(reason.to_owned()));
        };
        let recipe = &opened.config.recipe;
        let (threshold, reduction) = (recipe.mask_threshold, recipe.mask_reduction);
        let mask = activation_mask(map.view(), spec.size, threshold, reduction);
        let part = around_peak(&map, &mask).and_then(|crop| crop.of(pixels.view()));
        let part = part.map(to_rgb_image).transpose()?;
        let place = Place {
            whole: encoded(&to_rgb_image((&pixels * &mask).view())?)?,
            part: part.map(|part| encoded(&part)).transpose()?,
        };
        let bytes = place.whole.len() + place.part.as_ref().map_or(0, Bytes::len);
        self.seen.keep((row, neuron), place.clone(), bytes);
        Ok(place)
    }

    /// The copy, for whoever looks next.
    fn copy(&self, opened: &Opened) -> Result<MutexGuard<'_, Box<dyn Classifier>>, Refusal> {
        let copy = self.copy.get_or_init(|| {
            let device = opened.device().without_autodiff();
            let copy = opened.classifier.evaluation_copy(&device, Precision::F32);
            let copy = copy.and_then(|mut copy| {
                copy.fold()?;
                Ok(Mutex::new(copy))
            });
            copy.map_err(|error| with_causes(&error))
        });
        match copy {
            Ok(copy) => Ok(copy.lock().unwrap_or_else(PoisonError::into_inner)),
            Err(reason) => Err(Refusal::Failed(reason.clone())),
        }
    }
}

/// The map of a neuron for pixels `[3, S, S]`: `[h, w]`.
fn map(
    classifier: &dyn Classifier,
    pixels: &Array3<f32>,
    neuron: NeuronId,
) -> Result<Option<Array2<f32>>, Refusal> {
    let (_, height, width) = pixels.dim();
    let values: Vec<f32> = pixels.iter().copied().collect();
    let data = TensorData::new(values, [1, 3, height, width]);
    let images = Tensor::from_data(data, &classifier.device());
    let images = classifier.input().normalize(images);
    let device = classifier.device();
    let Some(map) = among_workers(&device, || classifier.activations(images).map) else {
        return Ok(None);
    };
    let [_, neurons, height, width] = map.dims();
    neuron.check(neurons)?;
    let values = read_back(map.narrow(1, neuron.0, 1), "the feature map")?;
    let found = values.len();
    let map = Array2::from_shape_vec((height, width), values)
        .map_err(|_| CoreError::length("a feature map", height * width, found))?;
    Ok(Some(map))
}
