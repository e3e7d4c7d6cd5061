//! The core relevance score: a hint at which neurons are spurious.

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array3, ArrayView1, ArrayView2};
use neuroinspect_core::{ClassId, Classifier, host};
use serde::{Deserialize, Serialize};

use crate::{Error, Illusion, Result, resample::Eye, select::highest};

/// Pictures the classifier looks at in one go.
const BATCH: usize = 16;

/// How much of what makes a picture resemble its class is the neuron's own feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreRelevance {
    /// `q_c` over the mean of `q` over the neighbours. Low: the neuron's feature is not core to
    /// the class. `None` where a cosine similarity it needs is zero or undefined, as on a picture
    /// none of whose neurons fires.
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
/// nobody's neighbour.
///
/// # Errors
///
/// When `class_means` does not have the classifier's shape, `neighbours` is 0, or a picture's own
/// class has no mean.
pub fn core_relevance(
    classifier: &dyn Classifier,
    illusions: &[Illusion],
    class_means: ArrayView2<'_, f32>,
    neighbours: usize,
) -> Result<Vec<CoreRelevance>> {
    let layer = classifier.decision_layer()?;
    let expected = [layer.classes(), layer.neurons()];
    if class_means.shape() != expected {
        return Err(Error::shape("class means", expected, class_means.shape()));
    }
    if neighbours == 0 {
        return Err(Error::option("neighbours", neighbours, "at least 1"));
    }
    for Illusion { pair, .. } in illusions {
        layer.check_class(pair.class)?;
        let mean = class_means.row(pair.class.0);
        if cosine(mean, mean).is_none() {
            return Err(Error::NoClassMean { class: pair.class });
        }
    }
    let mut scores = Vec::with_capacity(illusions.len());
    for batch in illusions.chunks(BATCH) {
        let whole: Vec<_> = batch.iter().map(|one| one.image.clone()).collect();
        let masked: Vec<_> = batch.iter().map(Illusion::masked_image).collect();
        let whole = features(classifier, &whole)?;
        let masked = features(classifier, &masked)?;
        for (illusion, (whole, masked)) in batch.iter().zip(whole.iter().zip(&masked)) {
            scores.push(score(
                ArrayView1::from(whole),
                ArrayView1::from(masked),
                illusion.pair.class,
                class_means,
                neighbours,
            ));
        }
    }
    Ok(scores)
}

fn score(
    whole: ArrayView1<'_, f32>,
    masked: ArrayView1<'_, f32>,
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
        Some(cosine(masked, class_means.row(class))? / whole)
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

/// Feature vectors of pictures, each resized to the classifier's input.
fn features(classifier: &dyn Classifier, images: &[Array3<f32>]) -> Result<Vec<Vec<f32>>> {
    let device = classifier.device().without_autodiff();
    let seen = |image: &Array3<f32>| {
        let (channels, height, width) = image.dim();
        let values: Vec<f32> = image.iter().copied().collect();
        let data = TensorData::new(values, [1, channels, height, width]);
        let image = Tensor::<4>::from_data(data, &device);
        Eye::new(classifier.input(), height, &device).look(image)
    };
    let images = Tensor::cat(images.iter().map(seen).collect(), 0);
    let features = classifier.activations(images).features;
    let width = features.dims()[1];
    let values = host(features, "the features")?;
    Ok(values.chunks(width).map(<[f32]>::to_vec).collect())
}
