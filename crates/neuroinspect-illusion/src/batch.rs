//! One batch of pairs, optimised together.

use std::mem;

use burn::tensor::{Tensor, TensorData};
use ndarray::{Array3, ArrayView2};
use neuroinspect_core::{Activations, host};

use crate::{
    Augmentation, Diverged, Error, Illusion, Objective, Pair, Result, Squash, TracePoint,
    TransformDraw, activation_mask,
    augment::{Transform, Warp},
    objective::{Response, losses, similarity},
    optimizer::AdamW,
    visualize::{Guide, StepCount, Studio},
};

/// What a pair has come to, or that it left the finite numbers.
pub(crate) type Outcome<T> = std::result::Result<T, Diverged>;

/// A batch of pairs, with each pair's part of the decision layer and its class text.
pub(crate) struct Batch<'a> {
    studio: &'a Studio<'a>,
    pairs: &'a [Pair],
    /// 1 at the pair's neuron: `[N, D]`.
    neuron: Tensor<2>,
    /// `W_c` of the pair's class: `[N, D]`.
    class_weight: Tensor<2>,
    /// `b_c` of the pair's class: `[N]`.
    class_bias: Tensor<1>,
    /// `t_c` of the pair's class: `[N, E]`.
    class_text: Option<Tensor<2>>,
}

/// What a step's augmentation and smoothing make of the pictures.
pub(crate) struct View {
    warp: Option<Warp>,
    /// `[N, 3, 1, 1]`.
    offsets: Option<Tensor<4>>,
}

/// A gradient, with what was computed on the way to it.
pub(crate) struct Slope {
    /// Of the losses' sum with respect to the parameter: `[N, 3, S, S]`.
    pub(crate) gradient: Tensor<4>,
    /// As [`losses`] gives them.
    pub(crate) losses: Tensor<1>,
    pub(crate) response: Response,
}

impl View {
    fn apply(&self, mut images: Tensor<4>) -> Tensor<4> {
        if let Some(warp) = &self.warp {
            images = warp.apply(images);
        }
        if let Some(offsets) = &self.offsets {
            images = images + offsets.clone();
        }
        images
    }

    fn adjoint(&self, gradient: Tensor<4>) -> Tensor<4> {
        match &self.warp {
            Some(warp) => warp.adjoint(gradient),
            None => gradient,
        }
    }
}

impl<'a> Batch<'a> {
    pub(crate) fn new(studio: &'a Studio<'a>, pairs: &'a [Pair]) -> Result<Self> {
        let (layer, device) = (&studio.layer, &studio.device);
        let shape = [pairs.len(), layer.neurons()];
        let mut one_hot = vec![0.0_f32; shape[0] * shape[1]];
        for (row, pair) in pairs.iter().enumerate() {
            one_hot[row * shape[1] + pair.neuron.0] = 1.0;
        }
        let classes = || pairs.iter().map(|pair| pair.class.0);
        let weights = classes().flat_map(|class| layer.weight().row(class).to_vec());
        let biases = classes().map(|class| layer.bias()[class]);
        let class_text = studio.guide.as_ref().map(|(guide, _)| {
            let rows = classes().map(|class| class as i32).collect();
            let rows = Tensor::from_data(TensorData::new::<i32, _>(rows, [pairs.len()]), device);
            guide
                .class_embeddings
                .clone()
                .to_device(device)
                .select(0, rows)
        });
        Ok(Self {
            studio,
            pairs,
            neuron: Tensor::from_data(TensorData::new(one_hot, shape), device),
            class_weight: Tensor::from_data(
                TensorData::new(weights.collect::<Vec<f32>>(), shape),
                device,
            ),
            class_bias: Tensor::from_data(
                TensorData::new(biases.collect::<Vec<f32>>(), [pairs.len()]),
                device,
            ),
            class_text,
        })
    }

    /// Runs the steps from `parameter` until the last one, or until the observer stops the work or
    /// every pair has diverged, and looks at what each pair has come to.
    ///
    /// A pair that diverges leaves the others as they are: every operation keeps images apart.
    pub(crate) fn optimize(
        &self,
        mut parameter: Tensor<4>,
        squash: Squash,
        progress: &mut StepCount<'_>,
    ) -> Result<Vec<Outcome<Illusion>>> {
        let config = self.studio.config;
        let mut optimizer = AdamW::new(config);
        let mut courses = vec![Ok(Vec::new()); self.pairs.len()];
        let mut steps = 0;
        while steps < config.steps {
            let view = self.view(steps);
            let slope = self.slope(parameter.clone(), squash, &view)?;
            if steps.is_multiple_of(config.trace_every) {
                self.trace(steps, slope.losses, slope.response, &mut courses)?;
                if courses.iter().all(Outcome::is_err) {
                    progress.advance(config.steps - steps);
                    break;
                }
            }
            parameter = optimizer.step(parameter, slope.gradient);
            steps += 1;
            progress.advance(1);
            if progress.stopped {
                break;
            }
        }
        self.finish(parameter, squash, steps, courses)
    }

    /// The augmentation and smoothing of a step.
    pub(crate) fn view(&self, step: usize) -> View {
        let (studio, config) = (self.studio, self.studio.config);
        let size = studio.size();
        let draw = |keys: &[u64]| {
            let mut rng = config.seed.rng("transform", keys);
            Transform::draw(&config.augmentation, size, &mut rng)
        };
        let warp = (config.augmentation != Augmentation::off()).then(|| {
            let step = step as u64;
            let transforms: Vec<Transform> = match config.transform_draw {
                TransformDraw::PerStep => vec![draw(&[step])],
                TransformDraw::PerImage => self
                    .pairs
                    .iter()
                    .map(|pair| draw(&[pair.neuron.0 as u64, pair.class.0 as u64, step]))
                    .collect(),
            };
            Warp::new(&transforms, size, &studio.device)
        });
        let remaining = (config.steps - step) as f64 / config.steps as f64;
        let std = config.smoothing * remaining;
        let offsets = (config.smoothing > 0.0).then(|| {
            let of_pair = |pair| {
                let normals = studio.normals("smoothing", pair, Some(step)).take(3);
                normals.map(|value| (value * std) as f32)
            };
            let offsets = self.pairs.iter().flat_map(of_pair).collect();
            let data = TensorData::new::<f32, _>(offsets, [self.pairs.len(), 3, 1, 1]);
            Tensor::from_data(data, &studio.device)
        });
        View { warp, offsets }
    }

    /// Where `parameter` goes downhill, seen through `view`.
    ///
    /// The view is linear and spells out its own adjoint, so the chain rule is walked in two
    /// parts: from the losses back to what the networks see, and, through the adjoint, from the
    /// pictures back to the parameter.
    pub(crate) fn slope(&self, parameter: Tensor<4>, squash: Squash, view: &View) -> Result<Slope> {
        let parameter = parameter.autodiff().require_grad();
        let images = self.studio.images(parameter.clone(), squash);

        let seen = view.apply(images.clone().without_autodiff());
        let seen = seen.autodiff().require_grad();
        let response = self.response(seen.clone())?;
        let losses = losses(&response, self.studio.config)?;
        let of_seen = self.gradient(losses.clone().sum(), &seen)?;

        let downstream = images * view.adjoint(of_seen);
        Ok(Slope {
            gradient: self.gradient(downstream.sum(), &parameter)?,
            losses,
            response,
        })
    }

    fn gradient(&self, of: Tensor<1>, with_respect_to: &Tensor<4>) -> Result<Tensor<4>> {
        of.is_tracked()
            .then(|| of.backward())
            .and_then(|mut gradients| with_respect_to.grad_remove(&mut gradients))
            .ok_or_else(|| Error::NoGradient {
                classifier: self.studio.classifier.name().to_owned(),
            })
    }

    /// What the networks make of pictures `[N, 3, S, S]`, as far as the objective asks.
    fn response(&self, seen: Tensor<4>) -> Result<Response> {
        let similarity = match self.studio.config.objective {
            Objective::Guided => self.similarity(seen.clone())?,
            Objective::ClassConditional | Objective::FeatureVisualization { .. } => None,
        };
        let features = self.activations(seen)?.features;
        let dot = |rows: &Tensor<2>| (features.clone() * rows.clone()).sum_dim(1).squeeze_dim(1);
        Ok(Response {
            activation: dot(&self.neuron),
            logit: dot(&self.class_weight) + self.class_bias.clone(),
            similarity,
        })
    }

    /// What the classifier makes of pictures `[N, 3, S, S]`.
    fn activations(&self, images: Tensor<4>) -> Result<Activations> {
        let (classifier, eye) = (self.studio.classifier, &self.studio.classifier_eye);
        let activations = classifier.activations(eye.look(images));
        let expected = self.neuron.dims();
        if activations.features.dims() != expected {
            let what = format!("features of classifier '{}'", classifier.name());
            return Err(Error::shape(what, expected, activations.features.dims()));
        }
        Ok(activations)
    }

    /// Similarity of pictures `[N, 3, S, S]` and their class texts, if there is a guide: `[N]`.
    fn similarity(&self, images: Tensor<4>) -> Result<Option<Tensor<1>>> {
        let (Some((Guide { encoder, .. }, eye)), Some(texts)) =
            (&self.studio.guide, &self.class_text)
        else {
            return Ok(None);
        };
        let embeddings = encoder.encode_images(eye.look(images));
        if embeddings.dims() != texts.dims() {
            let what = format!("image embeddings of encoder '{}'", encoder.name());
            return Err(Error::shape(what, texts.dims(), embeddings.dims()));
        }
        Ok(Some(similarity(embeddings, texts.clone())))
    }

    /// Appends a step to the courses of the pairs that have not diverged: one read from the device.
    fn trace(
        &self,
        step: usize,
        losses: Tensor<1>,
        response: Response,
        courses: &mut [Outcome<Vec<TracePoint>>],
    ) -> Result<()> {
        let n = self.pairs.len();
        let guided = response.similarity.is_some();
        let columns = [losses.expand([n]), response.activation, response.logit]
            .into_iter()
            .chain(response.similarity)
            .map(Tensor::without_autodiff)
            .collect();
        let values = host(Tensor::cat(columns, 0), "the course of the optimisation")?;
        for (index, course) in courses.iter_mut().enumerate() {
            let Ok(trace) = course else { continue };
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
                false => *course = Err(self.diverged(index, step)),
            }
        }
        Ok(())
    }

    /// Looks at the pictures of the pairs that have not diverged, without augmentation.
    fn finish(
        &self,
        parameter: Tensor<4>,
        squash: Squash,
        steps: usize,
        mut courses: Vec<Outcome<Vec<TracePoint>>>,
    ) -> Result<Vec<Outcome<Illusion>>> {
        let mut images = self.studio.images(parameter.clone(), squash);
        let whole = finite_rows(parameter)?
            .into_iter()
            .zip(finite_rows(images.clone())?)
            .map(|(parameter, image)| parameter && image);
        for (index, (course, whole)) in courses.iter_mut().zip(whole).enumerate() {
            if course.is_ok() && !whole {
                *course = Err(self.diverged(index, steps));
            }
        }
        let mut kept = Vec::new();
        let mut traces = Vec::new();
        for (index, course) in courses.iter_mut().enumerate() {
            if let Ok(trace) = course {
                kept.push(index);
                traces.push(mem::take(trace));
            }
        }
        let looked_at = match kept.len() {
            0 => Vec::new(),
            all if all == self.pairs.len() => self.look(images, steps, traces)?,
            some => {
                let rows = kept.iter().map(|&index| index as i32).collect();
                let rows = TensorData::new::<i32, _>(rows, [some]);
                images = images.select(0, Tensor::from_data(rows, &self.studio.device));
                let pairs: Vec<Pair> = kept.iter().map(|&index| self.pairs[index]).collect();
                Batch::new(self.studio, &pairs)?.look(images, steps, traces)?
            }
        };
        let mut looked_at = looked_at.into_iter();
        let outcomes = courses.into_iter().filter_map(|course| match course {
            Ok(_) => looked_at.next(),
            Err(diverged) => Some(Err(diverged)),
        });
        Ok(outcomes.collect())
    }

    /// Looks at pictures `[N, 3, S, S]`; a picture that the networks make no numbers of has
    /// diverged.
    fn look(
        &self,
        images: Tensor<4>,
        steps: usize,
        traces: Vec<Vec<TracePoint>>,
    ) -> Result<Vec<Outcome<Illusion>>> {
        let (config, layer, size) = (self.studio.config, &self.studio.layer, self.studio.size());
        let activations = self.activations(images.clone())?;
        let similarities = match self.similarity(images.clone())? {
            Some(similarity) => host(similarity, "the similarities")?
                .into_iter()
                .map(Some)
                .collect(),
            None => vec![None; self.pairs.len()],
        };
        let [n, neurons, height, width] = activations.map.dims();
        let one_hot = self.neuron.clone().reshape([n, neurons, 1, 1]);
        let maps = host((activations.map * one_hot).sum_dim(1), "the feature maps")?;
        let features = host(activations.features, "the features")?;
        let images = host(images, "the pictures")?;
        let logits = layer.logits(rows_of(&features, neurons)?)?;

        let pixels = 3 * size * size;
        let mut finished = Vec::with_capacity(n);
        for (index, (&pair, trace)) in self.pairs.iter().zip(traces).enumerate() {
            let image = images[index * pixels..(index + 1) * pixels].to_vec();
            let map = &maps[index * height * width..(index + 1) * height * width];
            let activation = features[index * neurons + pair.neuron.0];
            let logit = logits[[index, pair.class.0]];
            let clip_similarity = similarities[index];
            let scores = [activation, logit, clip_similarity.unwrap_or_default()];
            let mut values = image.iter().chain(map).copied().chain(scores);
            if !values.all(f32::is_finite) {
                finished.push(Err(self.diverged(index, steps)));
                continue;
            }
            finished.push(Ok(Illusion {
                pair,
                image: Array3::from_shape_vec((3, size, size), image)
                    .map_err(|_| Error::shape("a picture", [3, size, size], pixels))?,
                mask: activation_mask(
                    rows_of(map, width)?,
                    size,
                    config.mask_threshold,
                    config.mask_reduction,
                ),
                activation,
                logit,
                probability: logits
                    .row(index)
                    .iter()
                    .map(|other| (other - logit).exp())
                    .sum::<f32>()
                    .recip(),
                clip_similarity,
                steps,
                trace,
            }));
        }
        Ok(finished)
    }

    fn diverged(&self, index: usize, step: usize) -> Diverged {
        let pair = self.pairs[index];
        Diverged { pair, step }
    }
}

/// Which rows of `[N, 3, S, S]` hold finite numbers alone.
fn finite_rows(tensor: Tensor<4>) -> Result<Vec<bool>> {
    let [n, channels, height, width] = tensor.dims();
    let finite = tensor.is_finite().float();
    let least = finite.reshape([n, channels * height * width]).min_dim(1);
    let least = host(least, "which pictures are finite")?;
    Ok(least.into_iter().map(|least| least > 0.0).collect())
}

/// Rows of `width` values.
fn rows_of(values: &[f32], width: usize) -> Result<ArrayView2<'_, f32>> {
    let rows = values.len().checked_div(width).unwrap_or(0);
    ArrayView2::from_shape((rows, width), values)
        .map_err(|_| Error::shape("values read back", [rows, width], values.len()))
}
