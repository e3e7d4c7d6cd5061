//! What has become of the pictures of a batch.

use std::mem;

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array2, Array3, ArrayView2};
use neuroinspect_core::read_back;

use crate::{
    Error, Illusion, Pair, Result, TracePoint, activation_mask,
    batch::{Batch, OfPair, Subjects, values_of},
};

impl Batch<'_> {
    /// Looks at the pictures of the pairs that have not diverged, without augmentation.
    pub(crate) fn finish(
        &self,
        parameter: Tensor<4>,
        steps: usize,
        mut traces: Vec<OfPair<Vec<TracePoint>>>,
    ) -> Result<Vec<OfPair<Illusion>>> {
        let mut images = self.context.pictures.images(parameter.clone());
        let whole = finite_rows(parameter)?
            .into_iter()
            .zip(finite_rows(images.clone())?)
            .map(|(parameter, image)| parameter && image);
        for (index, (of_pair, whole)) in traces.iter_mut().zip(whole).enumerate() {
            if of_pair.is_ok() && !whole {
                *of_pair = Err(self.diverged(index, steps));
            }
        }
        let mut kept = Vec::new();
        let mut kept_traces = Vec::new();
        for (index, of_pair) in traces.iter_mut().enumerate() {
            if let Ok(trace) = of_pair {
                kept.push(index);
                kept_traces.push(mem::take(trace));
            }
        }
        let finished = match kept.len() {
            0 => Vec::new(),
            all if all == self.pairs.len() => self.look(images, steps, kept_traces)?,
            some => {
                let rows = kept.iter().map(|&index| index as i32).collect();
                let rows = TensorData::new::<i32, _>(rows, [some]);
                images = images.select(0, Tensor::from_data(rows, self.context.device()));
                let pairs: Vec<Pair> = kept.iter().map(|&index| self.pairs[index]).collect();
                let units = match &self.subjects {
                    Subjects::Neurons(_) => Vec::new(),
                    Subjects::Units(units) => kept.iter().map(|&index| units[index]).collect(),
                };
                Batch::new(self.context, &pairs, units)?.look(images, steps, kept_traces)?
            }
        };
        let mut finished = finished.into_iter();
        let all = traces.into_iter().filter_map(|of_pair| match of_pair {
            Ok(_) => finished.next(),
            Err(diverged) => Some(Err(diverged)),
        });
        Ok(all.collect())
    }

    /// Looks at pictures `[N, 3, S, S]`, one for each pair; a picture that the networks make no numbers of has
    /// diverged.
    pub(crate) fn look(
        &self,
        images: Tensor<4>,
        steps: usize,
        traces: Vec<Vec<TracePoint>>,
    ) -> Result<Vec<OfPair<Illusion>>> {
        let (context, recipe) = (self.context, &self.context.request.recipe);
        let (layer, size) = (context.layer(), context.pictures.size());
        let n = self.pairs.len();
        let similarities = match self.similarity(images.clone()) {
            Some(similarity) => read_back(similarity, "the similarities")?
                .into_iter()
                .map(Some)
                .collect(),
            None => vec![None; n],
        };
        let Seen {
            features,
            activations,
            maps,
        } = self.seen(context.classifier_input.apply(images.clone()))?;
        let images = read_back(images, "the pictures")?;
        let logits = layer.logits(rows_of(&features, layer.neurons())?)?;

        let pixels = 3 * size * size;
        let mut finished = Vec::with_capacity(n);
        for (index, (&pair, trace)) in self.pairs.iter().zip(traces).enumerate() {
            let image = images[index * pixels..(index + 1) * pixels].to_vec();
            let (activation, map) = (activations[index], &maps[index]);
            let logit = logits[[index, pair.class.0]];
            let clip_similarity = similarities[index];
            let shares = logits.row(index).mapv(|other| (other - logit).exp());
            let probability = shares.sum().recip();
            let similarity = clip_similarity.unwrap_or_default();
            let scores = [activation, logit, probability, similarity];
            let pixels_of_map = map.iter().flatten();
            let mut values = image.iter().chain(pixels_of_map).copied().chain(scores);
            if !values.all(f32::is_finite) {
                finished.push(Err(self.diverged(index, steps)));
                continue;
            }
            let mask = |map: &Array2<f32>| {
                let (threshold, reduction) = (recipe.mask_threshold, recipe.mask_reduction);
                activation_mask(map.view(), size, threshold, reduction)
            };
            finished.push(Ok(Illusion {
                pair,
                unit: match &self.subjects {
                    Subjects::Neurons(_) => None,
                    Subjects::Units(units) => Some(units[index].clone()),
                },
                image: Array3::from_shape_vec((3, size, size), image)
                    .map_err(|_| Error::shape("a picture", [3, size, size], pixels))?,
                mask: map.as_ref().map(mask),
                activation,
                logit,
                probability,
                clip_similarity,
                agreement: None,
                unmoved: self.unmoved(&trace, activation, steps),
                steps,
                trace,
            }));
        }
        Ok(finished)
    }
}

/// What the classifier makes of pictures.
struct Seen {
    /// Of each picture all neurons': `N * D` numbers.
    features: Vec<f32>,
    /// Of each picture its own neuron's, or unit's.
    activations: Vec<f32>,
    /// Where each picture's own is active: `[h, w]`, if that is known and asked for.
    maps: Vec<Option<Array2<f32>>>,
}

impl Batch<'_> {
    /// Looks at the classifier's input `[N, 3, s, s]`.
    fn seen(&self, input: Tensor<4>) -> Result<Seen> {
        const FEATURES: &str = "the features";
        const MAPS: &str = "the feature maps";
        let n = self.pairs.len();
        // Of a picture made for something else a mask would hide what that is.
        let masked = self.context.request.recipe.objective.sees_neuron();
        let units = match &self.subjects {
            Subjects::Units(units) => units,
            Subjects::Neurons(one_hot) => {
                let activations = self.context.networks.classifier.activations(input);
                let maps = match activations.map.filter(|_| masked) {
                    Some(map) => {
                        let [_, neurons, _, width] = map.dims();
                        let one_hot = one_hot.clone().reshape([n, neurons, 1, 1]);
                        let maps = read_back((map * one_hot).sum_dim(1), MAPS)?;
                        let maps = maps.chunks(maps.len() / n);
                        let maps = maps.map(|map| Ok(Some(rows_of(map, width)?.to_owned())));
                        maps.collect::<Result<_>>()?
                    }
                    None => vec![None; n],
                };
                let features = read_back(activations.features, FEATURES)?;
                let neurons = features.len() / n;
                let of_pair = |(row, pair): (usize, &Pair)| features[row * neurons + pair.neuron.0];
                return Ok(Seen {
                    activations: self.pairs.iter().enumerate().map(of_pair).collect(),
                    features,
                    maps,
                });
            }
        };
        let (features, layers) = self.features_and_layers(input)?;
        let (mut activations, mut maps) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for (image, unit) in units.iter().enumerate() {
            let values = values_of(&layers, unit, image)?;
            activations.extend(read_back(unit.activation(&values)?, "the activations")?);
            let map = unit.map(&values)?.filter(|_| masked);
            let map = map.map(|map| {
                let [_, _, width] = map.dims();
                Ok::<_, Error>(rows_of(&read_back(map, MAPS)?, width)?.to_owned())
            });
            maps.push(map.transpose()?);
        }
        Ok(Seen {
            features: read_back(features, FEATURES)?,
            activations,
            maps,
        })
    }
}

/// Which rows of `[N, ..]` hold finite numbers alone.
fn finite_rows(tensor: Tensor<4>) -> Result<Vec<bool>> {
    let [n, channels, height, width] = tensor.dims();
    let finite = tensor.is_finite().float();
    let least = finite.reshape([n, channels * height * width]).min_dim(1);
    let least = read_back(least, "which pictures are finite")?;
    Ok(least.into_iter().map(|least| least > 0.0).collect())
}

/// Rows of `width` values.
fn rows_of(values: &[f32], width: usize) -> Result<ArrayView2<'_, f32>> {
    let rows = values.len().checked_div(width).unwrap_or(0);
    ArrayView2::from_shape((rows, width), values)
        .map_err(|_| Error::shape("values read back", [rows, width], values.len()))
}
