//! The core relevance score: a hint at which neurons are spurious.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};
use ndarray::{ArrayView1, ArrayView2, Axis};
use neuroinspect_core::{ClassId, check_option, read_back};
use serde::{Deserialize, Serialize};

use crate::{Error, Illusion, PreparedClassifier, Result, adapter::InputAdapter, select::highest};

/// Pictures the classifier looks at in one go, each whole and masked.
const BATCH: usize = 8;

/// How much of what makes a picture resemble its class is the neuron's own feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreRelevance {
    /// `q_c` over the mean of `q` over the neighbours. Low: the neuron's feature is not core to
    /// the class. `None` where the picture has no mask, or a cosine similarity it needs is zero or
    /// undefined, as on a picture none of whose neurons fires, or of a class without a mean.
    pub score: Option<f32>,
    /// The classes whose mean is most similar to the picture's features, most similar first.
    pub neighbours: Vec<ClassId>,
}

/// The core relevance score of pictures (limitations section of the paper).
///
/// With `v` a picture of neuron `n` and class `c`, and `m_k` the mean feature vector of class
/// `k`'s validation images,
///
/// ```text
/// q_k = cos(h_b(v * mask), m_k) / cos(h_b(v), m_k)
/// ```
///
/// is the share of the similarity to class `k` that is left when only the neuron's region is
/// shown. The score is `q_c` divided by the mean of `q` over the `neighbours` classes (the paper
/// takes 20) whose mean is most similar to `h_b(v)`, or over all if there are fewer.
///
/// **It is a hint, not a verdict.** It was found useful for fine-grained classes. It misleads
/// where a feature and a class correlate by nature: water is no part of a waterbird and still
/// scores high.
///
/// # Shapes
///
/// `class_means` is `[K, D]`. A class without images may have a mean of zero or NaN; it is then
/// nobody's neighbour, and its own pictures have no score.
///
/// # Errors
///
/// When `class_means` does not have the classifier's shape, `neighbours` is 0, the classifier has no
/// class of a picture's number, a picture is not square or its mask not of its size, or a device
/// fails.
pub fn core_relevance(
    classifier: &PreparedClassifier,
    illusions: &[Illusion],
    class_means: ArrayView2<'_, f32>,
    neighbours: usize,
) -> Result<Vec<CoreRelevance>> {
    let layer = classifier.decision_layer();
    let expected = [layer.classes(), layer.neurons()];
    if class_means.shape() != expected {
        return Err(Error::shape("class means", expected, class_means.shape()));
    }
    check_option("neighbours", neighbours, neighbours > 0, "at least 1")?;
    for Illusion { pair, .. } in illusions {
        layer.check_class(pair.class)?;
    }
    let mut inputs = BTreeMap::new();
    let device = classifier.device();
    let mut scores = Vec::with_capacity(illusions.len());
    for batch in illusions
        .chunk_by(|a, b| a.image.dim() == b.image.dim())
        .flat_map(|same_size| same_size.chunks(BATCH))
    {
        let size = side(batch)?;
        let input = inputs
            .entry(size)
            .or_insert_with(|| InputAdapter::new(classifier.input(), size, device));
        let whole = batch.iter().flat_map(|one| one.image.iter().copied());
        let masked = |one: &Illusion| one.masked_image().unwrap_or_else(|| one.image.clone());
        let pixels: Vec<f32> = whole.chain(batch.iter().flat_map(masked)).collect();
        let pixels = TensorData::new(pixels, [2 * batch.len(), 3, size, size]);
        let images = Tensor::<4>::from_data(pixels, device);
        let features = classifier.activations(input.apply(images)).features;
        let seen = [2 * batch.len(), layer.neurons()];
        let features = read_back(features, "the features")?;
        let features = ArrayView2::from_shape(seen, &features)
            .map_err(|_| Error::shape("features read back", seen, features.len()))?;
        let (whole, masked) = features.split_at(Axis(0), batch.len());
        for (illusion, (whole, masked)) in batch
            .iter()
            .zip(whole.rows().into_iter().zip(masked.rows()))
        {
            let class = illusion.pair.class;
            let masked = illusion.mask.is_some().then_some(masked);
            scores.push(score(whole, masked, class, class_means, neighbours));
        }
    }
    Ok(scores)
}

/// The side of pictures of one size.
fn side(pictures: &[Illusion]) -> Result<usize> {
    let mut side = 0;
    for Illusion { image, mask, .. } in pictures {
        side = image.dim().1;
        let square = image.dim() == (3, side, side) && side > 0;
        if !square {
            let expected = ["3", "side", "side"];
            return Err(Error::shape("a picture to score", expected, image.shape()));
        }
        if let Some(mask) = mask
            && mask.dim() != (side, side)
        {
            let what = "the mask of a picture to score";
            return Err(Error::shape(what, [side, side], mask.shape()));
        }
    }
    Ok(side)
}

fn score(
    whole: ArrayView1<'_, f32>,
    masked: Option<ArrayView1<'_, f32>>,
    class: ClassId,
    class_means: ArrayView2<'_, f32>,
    neighbours: usize,
) -> CoreRelevance {
    let similarities: Vec<Option<f32>> = class_means
        .rows()
        .into_iter()
        .map(|mean| cosine(whole, mean))
        .collect();
    let comparable = |&class: &usize| similarities[class].is_some();
    let ranked = highest(
        similarities
            .iter()
            .map(|similarity| similarity.unwrap_or(f32::NEG_INFINITY)),
        similarities.len(),
    );
    let nearest: Vec<usize> = ranked
        .into_iter()
        .filter(comparable)
        .take(neighbours)
        .collect();
    let kept = |class: usize| {
        let whole = similarities[class].filter(|&similarity| similarity != 0.0)?;
        Some(cosine(masked?, class_means.row(class))? / whole)
    };
    let shares: Option<Vec<f32>> = nearest.iter().map(|&class| kept(class)).collect();
    let score = shares
        .filter(|shares| !shares.is_empty())
        .and_then(|shares| {
            let mean = shares.iter().sum::<f32>() / shares.len() as f32;
            Some(kept(class.0)? / mean).filter(|score| score.is_finite())
        });
    CoreRelevance {
        score,
        neighbours: nearest.into_iter().map(ClassId).collect(),
    }
}

/// Cosine similarity; `None` where a vector is zero or not finite.
fn cosine(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> Option<f32> {
    let cosine = a.dot(&b) / (a.dot(&a).sqrt() * b.dot(&b).sqrt());
    cosine.is_finite().then_some(cosine)
}
