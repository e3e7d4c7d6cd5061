//! One batch of pairs, optimised together.

use std::{collections::BTreeMap, iter::zip};

use burn::tensor::{Tensor, TensorData};
use neuroinspect_core::{ClassId, LayerValues, Unit, among_workers, read_back, unknown_layer};

use crate::{
    BatchKeeper, Diverged, Error, Illusion, Illusions, Pair, Request, Result, TracePoint,
    context::Context,
    objective::{Response, similarity},
    optimization::Optimization,
    towers::{Leaves, Outputs},
    view::{View, ViewConstants, made_ahead},
    visualize::StepCount,
};

/// What has become of a pair, or that it left the finite numbers.
pub(crate) type OfPair<T> = std::result::Result<T, Diverged>;

/// What has become of a batch.
pub(crate) struct Optimized {
    /// Of each pair, in their order.
    pub(crate) of_pairs: Vec<OfPair<Illusion>>,
    /// Whether the observer stopped the work before its last step.
    pub(crate) interrupted: bool,
}

impl From<Optimized> for Illusions {
    fn from(batch: Optimized) -> Self {
        let mut illusions = Self {
            interrupted: batch.interrupted,
            ..Self::default()
        };
        for of_pair in batch.of_pairs {
            match of_pair {
                Ok(illusion) => illusions.finished.push(illusion),
                Err(diverged) => illusions.diverged.push(diverged),
            }
        }
        illusions
    }
}

/// A batch of pairs, with each pair's part of the decision layer and its class text.
pub(crate) struct Batch<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) pairs: &'a [Pair],
    pub(crate) subjects: Subjects<'a>,
    /// `W_c` of the pair's class: `[N, D]`.
    class_weight: Tensor<2>,
    /// `b_c` of the pair's class: `[N]`.
    class_bias: Tensor<1>,
    /// `t_c` of the pair's class: `[N, E]`.
    class_text: Option<Tensor<2>>,
}

/// What the pictures of a batch are of.
#[expect(clippy::large_enum_variant, reason = "one for each batch")]
pub(crate) enum Subjects<'a> {
    /// The pairs' neurons, 1 at each: `[N, D]`.
    Neurons(Tensor<2>),
    /// A unit for each pair.
    Units(Vec<&'a Unit>),
}

impl Subjects<'_> {
    /// Activation of each image's own: `[N]`, by features `[N, D]` and the values of layers by name.
    fn activation(
        &self,
        features: &Tensor<2>,
        layers: &BTreeMap<String, LayerValues>,
    ) -> Result<Tensor<1>> {
        let units = match self {
            Self::Neurons(one_hot) => return Ok(dot(features, one_hot)),
            Self::Units(units) => units.iter().enumerate(),
        };
        let own = units.map(|(image, unit)| Ok(unit.activation(&values_of(layers, unit, image)?)?));
        Ok(Tensor::cat(own.collect::<Result<_>>()?, 0))
    }
}

/// The values of a unit's layer for one image.
pub(crate) fn values_of(
    layers: &BTreeMap<String, LayerValues>,
    unit: &Unit,
    image: usize,
) -> Result<LayerValues> {
    let known = layers.keys().map(String::as_str);
    match layers.get(&unit.layer) {
        Some(values) => Ok(values.image(image)),
        None => Err(unknown_layer("the classifier", &unit.layer, known).into()),
    }
}

/// The inner products of rows: twice `[N, D]`, or once `[1, D]`, to `[N]`.
fn dot(features: &Tensor<2>, rows: &Tensor<2>) -> Tensor<1> {
    (features.clone() * rows.clone()).sum_dim(1).squeeze_dim(1)
}

/// A gradient, with what was computed on the way to it.
pub(crate) struct Evaluation {
    /// Of the losses' sum with respect to the parameter: `[N, ..]`.
    pub(crate) gradient: Tensor<4>,
    pub(crate) scores: Scores,
}

/// What a step's pictures come to.
pub(crate) struct Scores {
    /// As [`Objective::losses`](crate::Objective) gives them.
    pub(crate) losses: Tensor<1>,
    /// Of each image's own neuron: `[N]`.
    pub(crate) activation: Tensor<1>,
    /// Of each image's own class: `[N]`.
    pub(crate) logit: Tensor<1>,
    /// With the class text, where there is a guide: `[N]`.
    pub(crate) similarity: Option<Tensor<1>>,
}

impl<'a> Batch<'a> {
    /// `units` are those of the pairs, or none where their neurons are pictured.
    pub(crate) fn new(
        context: &'a Context<'a>,
        pairs: &'a [Pair],
        units: Vec<&'a Unit>,
    ) -> Result<Self> {
        let device = context.device();
        let classes: Vec<ClassId> = pairs.iter().map(|pair| pair.class).collect();
        let subjects = match units.is_empty() {
            true => {
                let shape = [pairs.len(), context.layer().neurons()];
                let mut one_hot = vec![0.0_f32; shape[0] * shape[1]];
                for (row, pair) in pairs.iter().enumerate() {
                    one_hot[row * shape[1] + pair.neuron.0] = 1.0;
                }
                Subjects::Neurons(Tensor::from_data(TensorData::new(one_hot, shape), device))
            }
            false => Subjects::Units(units),
        };
        let (class_weight, class_bias) = context.class_rows(&classes);
        let guide = context.networks.guide.as_ref();
        let texts = guide.map(|guide| guide.class_embeddings().rows(&classes, device));
        Ok(Self {
            context,
            pairs,
            subjects,
            class_weight,
            class_bias,
            class_text: texts.transpose()?,
        })
    }

    /// Runs the steps from `parameter`, or from where an earlier run stood, until the last one, or
    /// until the observer stops the work or every pair has diverged, and looks at what has become of
    /// each pair.
    ///
    /// A pair that diverges leaves the others as they are: every operation keeps images apart.
    pub(crate) fn optimize(
        &self,
        parameter: Tensor<4>,
        progress: &mut StepCount<'_>,
        keeper: &mut dyn BatchKeeper,
    ) -> Result<Optimized> {
        let request = self.context.request;
        let (pairs, size) = (self.pairs, self.context.pictures.size());
        let optimization = match keeper.go_on(pairs) {
            Some(state) => Optimization::go_on(self, state)?,
            None => Optimization::new(self, parameter),
        };
        let first = optimization.steps;
        progress.skip(first);
        let view = |index| ViewConstants::new(&request.recipe, pairs, size, first + index);
        let (count, ahead) = (
            request.recipe.steps - first,
            request.execution.augmentations_ahead,
        );
        made_ahead(count, ahead, view, |views| {
            self.optimize_through(views, optimization, progress, keeper)
        })
    }

    fn optimize_through(
        &self,
        views: &mut dyn Iterator<Item = ViewConstants>,
        mut optimization: Optimization<'_>,
        progress: &mut StepCount<'_>,
        keeper: &mut dyn BatchKeeper,
    ) -> Result<Optimized> {
        let Request {
            recipe, execution, ..
        } = self.context.request;
        let keeps = keeper.keeps_checkpoints();
        let mut interrupted = false;
        for view in views {
            let device = self.context.device();
            let parameter = optimization.parameter.clone();
            let evaluation = among_workers(device, || {
                self.evaluate_within_memory(parameter, view, optimization.steps)
            })?;
            let steps = optimization.steps;
            if steps.is_multiple_of(execution.trace_every) {
                self.trace(steps, evaluation.scores, &mut optimization.traces)?;
                if optimization.traces.iter().all(OfPair::is_err) {
                    progress.advance(recipe.steps - steps);
                    break;
                }
            }
            let gradient = evaluation.gradient;
            among_workers(device, || optimization.step(gradient));
            let steps = optimization.steps;
            let under_way = steps < recipe.steps;
            let due = steps.is_multiple_of(execution.checkpoint_every);
            if keeps && under_way && due {
                keeper.checkpoint(optimization.state(self)?);
            }
            progress.advance(1);
            if progress.stopped {
                if keeps && under_way && !due {
                    keeper.checkpoint(optimization.state(self)?);
                }
                interrupted = under_way;
                break;
            }
        }
        let Optimization {
            parameter,
            steps,
            traces,
            ..
        } = optimization;
        Ok(Optimized {
            of_pairs: among_workers(self.context.device(), || {
                self.finish_within_memory(parameter, steps, traces)
            })?,
            interrupted,
        })
    }

    /// The gradient at `parameter`, seen through `view`.
    ///
    /// The view is linear and the parametrization has its pull-back, so that autodiff records the
    /// networks and the objective alone, in a graph each: the chain rule is walked from the losses back to what the
    /// networks gave, from there to what they see, through both at the same time, and from there by hand.
    pub(crate) fn evaluate(&self, parameter: Tensor<4>, view: &View) -> Result<Evaluation> {
        let pictures = &self.context.pictures;
        let objective = &self.context.request.recipe.objective;
        let drawn = pictures.draw(parameter);
        let mut picture = drawn.images.clone();
        let of_picture = objective.sees_total_variation();
        if of_picture {
            picture = picture.autodiff().require_grad();
        }
        let towers = self.towers(&view.apply(drawn.images.clone()))?;
        let leaves = towers.leaves();
        let response = self.response(&leaves, picture.clone())?;
        let losses = objective.losses(&response, self.context.request.recipe.coupling)?;

        let no_gradient = || Error::NoGradient {
            network: self.context.networks.classifier.name().to_owned(),
        };
        let loss = losses.clone().sum();
        if !loss.is_tracked() {
            return Err(no_gradient());
        }
        let mut gradients = loss.backward();
        let of_picture = of_picture.then(|| picture.grad_remove(&mut gradients));
        let of_seen = towers.pull_back(&leaves, &mut gradients);
        let of_seen = of_seen.map(|gradient| view.adjoint(gradient));
        let gradient = of_seen
            .into_iter()
            .chain(of_picture.flatten())
            .reduce(|sum, gradient| sum + gradient)
            .ok_or_else(no_gradient)?;
        let Response {
            activation,
            logit,
            similarity,
            ..
        } = response;
        Ok(Evaluation {
            gradient: pictures.pull_back(drawn, gradient),
            scores: Scores {
                losses,
                activation,
                logit,
                similarity,
            },
        })
    }

    /// What an objective asks for: from the networks' values, and the pictures `[N, 3, S, S]` before augmentation.
    fn response(&self, values: &Leaves, picture: Tensor<4>) -> Result<Response> {
        let context = self.context;
        let Outputs { features, layers } = values.classifier.clone();
        let logits = context
            .class_rows
            .iter()
            .map(|(&class, (weight, bias))| (class, dot(&features, weight) + bias.clone()));
        Ok(Response {
            activation: self.subjects.activation(&features, &layers)?,
            logit: dot(&features, &self.class_weight) + self.class_bias.clone(),
            similarity: values.similarity.clone(),
            logits: logits.collect(),
            layers,
            picture,
        })
    }

    /// Features of the classifier's input `[N, 3, s, s]`, and the values of the layers asked for.
    pub(crate) fn features_and_layers(
        &self,
        images: Tensor<4>,
    ) -> Result<(Tensor<2>, BTreeMap<String, LayerValues>)> {
        let names = &self.context.layers;
        let classifier = &self.context.networks.classifier;
        let (features, values) = classifier.features_and_layers(images, names)?;
        let names = names.iter().map(|&name| name.to_owned());
        Ok((features, zip(names, values).collect()))
    }

    /// Similarity of pictures `[N, 3, S, S]` and their class texts, if there is a guide: `[N]`.
    pub(crate) fn similarity(&self, images: Tensor<4>) -> Option<Tensor<1>> {
        let (guide, input) = self.context.guide()?;
        let embeddings = guide.encode(input.apply(images));
        Some(similarity(embeddings, self.class_text.clone()?))
    }

    /// Appends a step to the traces of the pairs that have not diverged: one read from the device.
    fn trace(
        &self,
        step: usize,
        scores: Scores,
        traces: &mut [OfPair<Vec<TracePoint>>],
    ) -> Result<()> {
        let n = self.pairs.len();
        let guided = scores.similarity.is_some();
        let columns = [scores.losses.expand([n]), scores.activation, scores.logit]
            .into_iter()
            .chain(scores.similarity)
            .map(Tensor::without_autodiff)
            .collect();
        let values = read_back(Tensor::cat(columns, 0), "the trace of the optimisation")?;
        for (index, of_pair) in traces.iter_mut().enumerate() {
            let Ok(trace) = of_pair else { continue };
            let point = TracePoint {
                step,
                loss: values[index],
                activation: values[n + index],
                logit: values[2 * n + index],
                clip_similarity: guided.then(|| values[3 * n + index]),
            };
            let similarity = point.clip_similarity.unwrap_or_default();
            let scores = [point.loss, point.activation, point.logit, similarity];
            match scores.into_iter().all(f32::is_finite) {
                true => trace.push(point),
                false => *of_pair = Err(self.diverged(index, step)),
            }
        }
        Ok(())
    }

    pub(crate) fn diverged(&self, index: usize, step: usize) -> Diverged {
        let pair = self.pairs[index];
        Diverged { pair, step }
    }
}
