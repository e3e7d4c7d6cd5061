//! The networks side by side: there, and back to the pixels.

use std::collections::BTreeMap;

use burn::tensor::{Gradients, Tensor};
use neuroinspect_core::{LayerValues, side_by_side};

use crate::{Result, batch::Batch};

/// What guide and classifier make of pictures that they see. Each is differentiated separately: they share no node of a
/// graph, which a thread that goes back through one of them has locked.
pub(crate) struct Towers {
    guide: Option<Tower<Tensor<1>>>,
    classifier: Tower<Outputs>,
}

/// What a network makes of pictures, and the pictures that its gradient is asked for.
struct Tower<T> {
    /// `[N, 3, S, S]`
    seen: Tensor<4>,
    outputs: T,
}

/// What a classifier makes of pictures.
#[derive(Clone)]
pub(crate) struct Outputs {
    /// `[N, D]`
    pub(crate) features: Tensor<2>,
    /// By name.
    pub(crate) layers: BTreeMap<String, LayerValues>,
}

/// Values of the networks as an objective begins from them: leaves of its own graph.
pub(crate) struct Leaves {
    /// `[N]`
    pub(crate) similarity: Option<Tensor<1>>,
    pub(crate) classifier: Outputs,
}

impl Batch<'_> {
    /// What the networks make of pictures `[N, 3, S, S]`, as far as the objective asks.
    pub(crate) fn towers(&self, seen: &Tensor<4>) -> Result<Towers> {
        let asked = self.context.request.recipe.objective.needs_guide();
        let guide = || {
            let seen = leaf(seen);
            let similarity = asked.then(|| self.similarity(seen.clone())).flatten();
            similarity.map(|outputs| Tower { seen, outputs })
        };
        let classifier = || -> Result<_> {
            let seen = leaf(seen);
            let images = self.context.classifier_input.apply(seen.clone());
            let (features, layers) = self.features_and_layers(images)?;
            let outputs = Outputs { features, layers };
            Ok(Tower { seen, outputs })
        };
        let (guide, classifier) = side_by_side(self.context.device(), guide, classifier);
        Ok(Towers {
            guide,
            classifier: classifier?,
        })
    }
}

impl Towers {
    /// What an objective begins from.
    pub(crate) fn leaves(&self) -> Leaves {
        let Outputs { features, layers } = &self.classifier.outputs;
        let layers = layers.iter().map(|(name, values)| {
            let values = match values {
                LayerValues::Map(map) => LayerValues::Map(leaf(map)),
                LayerValues::Tokens(tokens) => LayerValues::Tokens(leaf(tokens)),
                LayerValues::Features(features) => LayerValues::Features(leaf(features)),
            };
            (name.clone(), values)
        });
        Leaves {
            similarity: self.guide.as_ref().map(|guide| leaf(&guide.outputs)),
            classifier: Outputs {
                features: leaf(features),
                layers: layers.collect(),
            },
        }
    }

    /// The gradient of the pictures seen, of those of the [leaves](Self::leaves); none where nothing that the objective takes
    /// depends on them.
    pub(crate) fn pull_back(self, leaves: &Leaves, gradients: &mut Gradients) -> Option<Tensor<4>> {
        let device = leaves.classifier.features.device();
        let Self { guide, classifier } = self;
        let similarity = leaves.similarity.as_ref().zip(guide);
        let of_guide = similarity.and_then(|(leaf, guide)| {
            let sum = weighted(guide.outputs, leaf, gradients)?;
            Some((guide.seen, sum))
        });
        let Outputs { features, layers } = classifier.outputs;
        let mut sums = Vec::from_iter(weighted(features, &leaves.classifier.features, gradients));
        for (values, leaf) in layers.into_values().zip(leaves.classifier.layers.values()) {
            sums.extend(match (values, leaf) {
                (LayerValues::Map(map), LayerValues::Map(leaf)) => weighted(map, leaf, gradients),
                (LayerValues::Tokens(tokens), LayerValues::Tokens(leaf)) => {
                    weighted(tokens, leaf, gradients)
                }
                (LayerValues::Features(features), LayerValues::Features(leaf)) => {
                    weighted(features, leaf, gradients)
                }
                // A leaf is of its values' kind.
                (LayerValues::Map(_) | LayerValues::Tokens(_) | LayerValues::Features(_), _) => {
                    None
                }
            });
        }
        let sum = sums.into_iter().reduce(|sum, other| sum + other);
        let of_classifier = sum.map(|sum| (classifier.seen, sum));
        let back = |of_network: Option<(Tensor<4>, Tensor<1>)>| {
            let (seen, sum) = of_network?;
            seen.grad_remove(&mut sum.backward())
        };
        let (one, other) = side_by_side(&device, || back(of_guide), || back(of_classifier));
        one.into_iter()
            .chain(other)
            .reduce(|sum, other| sum + other)
    }
}

/// Values from which a graph begins.
fn leaf<const D: usize>(values: &Tensor<D>) -> Tensor<D> {
    let values = values.clone();
    values.without_autodiff().autodiff().require_grad()
}

/// Values, each times the gradient of its leaf, summed: its gradient goes on from there. None where the leaf has no gradient, or
/// the values depend on no pictures.
fn weighted<const D: usize>(
    values: Tensor<D>,
    leaf: &Tensor<D>,
    gradients: &mut Gradients,
) -> Option<Tensor<1>> {
    let gradient = leaf.grad_remove(gradients)?;
    values
        .is_tracked()
        .then(|| (values * gradient.autodiff()).sum())
}
