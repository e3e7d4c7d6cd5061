//! Whether pictures of other seeds agree with a picture.

use burn::tensor::{Tensor, TensorData};
use ndarray::Array3;
use neuroinspect_core::{Seed, read_back};
use serde::{Deserialize, Serialize};

use crate::{
    Illusion, Initial, Request, Result,
    batch::{Batch, OfPair, Subjects, values_of},
    likeness::spearman,
    visualize::{StepCount, optimize_beside},
};

/// How far pictures of other seeds, made with fewer steps, agree with a picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SeedAgreement {
    /// How many other seeds.
    pub seeds: usize,
    /// Steps that their pictures had.
    pub steps: usize,
    /// Spearman's rank correlation of the picture and theirs, over the channels of the layer that is
    /// pictured, its mean over the seeds: in `[-1, 1]`.
    pub similarity: f32,
}

impl Batch<'_> {
    /// Makes the pictures of [other seeds](crate::Execution::other_seeds) of each pair that has one from
    /// noise, and compares. `first` is the place of the batch's first pair in the request. Whether the
    /// observer stopped it.
    pub(crate) fn compare_seeds(
        &self,
        first: usize,
        made: &mut [OfPair<Illusion>],
        progress: &mut StepCount<'_>,
    ) -> Result<bool> {
        let Request {
            recipe,
            execution,
            initial,
            ..
        } = self.context.request;
        let has_picture = |illusion: &OfPair<Illusion>| {
            let found = illusion.as_ref().ok();
            found.is_some_and(|found| found.unmoved.is_none())
        };
        let places: Vec<usize> = (0..made.len())
            .filter(|&it| has_picture(&made[it]))
            .collect();
        if execution.other_seeds == 0 || places.is_empty() || *initial != Initial::Noise {
            return Ok(false);
        }
        if progress.stopped {
            return Ok(true);
        }
        let of_request: Vec<usize> = places.iter().map(|place| first + place).collect();
        let mut request = self.context.request.rows(&of_request)?;
        request.recipe.steps = recipe.steps.div_ceil(execution.other_seed_part);
        let mut own = Vec::with_capacity(places.len());
        for &place in &places {
            if let Ok(illusion) = &made[place] {
                own.push(self.layer_of(place, &illusion.image)?);
            }
        }
        let mut similarities = vec![Vec::new(); places.len()];
        for other in 1..=execution.other_seeds as u64 {
            request.recipe.seed = Seed(recipe.seed.0.wrapping_add(other));
            let others = optimize_beside(self.context.networks, &request, progress)?;
            if others.interrupted {
                return Ok(true);
            }
            for (index, other) in others.of_pairs.into_iter().enumerate() {
                if let Ok(other) = other {
                    let other = self.layer_of(places[index], &other.image)?;
                    similarities[index].push(spearman(&own[index], &other));
                }
            }
        }
        for (place, similarities) in places.into_iter().zip(similarities) {
            if let (Ok(illusion), false) = (&mut made[place], similarities.is_empty()) {
                let mean = similarities.iter().sum::<f32>() / similarities.len() as f32;
                illusion.agreement = Some(SeedAgreement {
                    seeds: similarities.len(),
                    steps: request.recipe.steps,
                    similarity: mean,
                });
            }
        }
        Ok(false)
    }

    /// What a picture makes of the layer that is pictured, one number for each of its channels.
    fn layer_of(&self, place: usize, image: &Array3<f32>) -> Result<Vec<f32>> {
        let (channels, height, width) = image.dim();
        let pixels = TensorData::new(
            image.iter().copied().collect::<Vec<f32>>(),
            [1, channels, height, width],
        );
        let image = Tensor::from_data(pixels, self.context.device());
        let (features, layers) =
            self.features_and_layers(self.context.classifier_input.apply(image))?;
        let values = match &self.subjects {
            Subjects::Neurons(_) => features,
            Subjects::Units(units) => values_of(&layers, units[place], 0)?.pooled(),
        };
        Ok(read_back(values, "the values of a layer")?)
    }
}
