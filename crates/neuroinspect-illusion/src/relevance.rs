//! The core relevance score: a hint at which neurons are spurious.

use ndarray::{Array3, ArrayView1, ArrayView2, ArrayView3};
use neuroinspect_core::{ClassId, check_option};
use serde::{Deserialize, Serialize};

use crate::{Error, Illusion, PreparedClassifier, Result, select::highest};

/// How much of what makes a picture resemble its class is the neuron's own feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoreRelevance {
    /// `q_c` over the mean of `q` over the neighbours. Low: the neuron's feature is not core to
    /// the class. `None` where the picture has no mask, or a cosine similarity it needs is zero or
    /// undefined, as on a picture none of whose neurons fires, or of a class without a mean.
    pub score: Option<f32>,
    /// The same by differences in place of quotients, as an earlier version of the authors' code has
    /// it: `d_c` less the mean of `d` over the neighbours, with
    /// `d_k = cos(h_b(v * mask), m_k) - cos(h_b(v), m_k)`. Low, too, where the feature is not core;
    /// `None` as the score, but a similarity may be zero.
    pub difference: Option<f32>,
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
    let masked: Vec<Array3<f32>> = illusions.iter().map(masked).collect::<Result<_>>()?;
    let pictures = illusions.iter().zip(&masked);
    let pictures = pictures.flat_map(|(whole, masked)| [whole.image.view(), masked.view()]);
    let features = classifier.features_of(&pictures.collect::<Vec<ArrayView3<'_, f32>>>())?;
    let of_picture = |(index, illusion): (usize, &Illusion)| {
        let (whole, masked) = (features.row(2 * index), features.row(2 * index + 1));
        let masked = illusion.mask.is_some().then_some(masked);
        let class = illusion.pair.class;
        score(whole, masked, class, class_means, neighbours)
    };
    Ok(illusions.iter().enumerate().map(of_picture).collect())
}

/// A picture times its mask; the picture itself where it has none.
fn masked(illusion: &Illusion) -> Result<Array3<f32>> {
    let (_, height, width) = illusion.image.dim();
    match &illusion.mask {
        Some(mask) if mask.dim() != (height, width) => {
            let what = "the mask of a picture to score";
            Err(Error::shape(what, [height, width], mask.shape()))
        }
        Some(mask) => Ok(&illusion.image * mask),
        None => Ok(illusion.image.clone()),
    }
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
        let whole = similarities[class]?;
        Some((cosine(masked?, class_means.row(class))?, whole))
    };
    // What is left of the similarity to the class, against what is left of that to its neighbours.
    let against = |left: &dyn Fn(usize) -> Option<f32>| {
        let of_neighbours: Option<Vec<f32>> = nearest.iter().map(|&class| left(class)).collect();
        let of_neighbours = of_neighbours.filter(|left| !left.is_empty())?;
        let mean = of_neighbours.iter().sum::<f32>() / of_neighbours.len() as f32;
        Some((left(class.0)?, mean))
    };
    let quotient = |class: usize| {
        let (masked, whole) = kept(class)?;
        (whole != 0.0).then_some(masked / whole)
    };
    let score = against(&quotient).map(|(own, mean)| own / mean);
    let difference = against(&|class| kept(class).map(|(masked, whole)| masked - whole));
    CoreRelevance {
        score: score.filter(|score| score.is_finite()),
        difference: difference.map(|(own, mean)| own - mean),
        neighbours: nearest.into_iter().map(ClassId).collect(),
    }
}

/// Cosine similarity; `None` where a vector is zero or not finite.
fn cosine(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> Option<f32> {
    let cosine = a.dot(&b) / (a.dot(&a).sqrt() * b.dot(&b).sqrt());
    cosine.is_finite().then_some(cosine)
}
