//! Conceptual counterfactuals: which concepts would have made a mistake right.

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};
use derive_setters::Setters;
use ndarray::{Array1, Array2, ArrayView2, Axis};
use neuroinspect_core::{
    ClassId, DecisionLayer, Observer, Predicted, Progress, check_finite, check_option, read_back,
};
use serde::{Deserialize, Serialize};

use crate::{ConceptBank, Error, Result};

const STAGE: &str = "explaining by concepts";

/// Options of a [`ConceptExplainer`]: the objective of CCE and its descent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Setters)]
#[serde(default, deny_unknown_fields)]
#[setters(prefix = "with_", generate = false)]
pub struct ConceptCounterfactualConfig {
    /// Weight of `|w|_1 / C`; 0.1.
    pub alpha: f64,
    /// Weight of `|w|_2 / C`, the norm and not its square; 0.01.
    pub beta: f64,
    /// Steps, all of which are taken; 100.
    #[setters(generate)]
    pub steps: usize,
    /// Step size of the descent; 0.01.
    pub learning_rate: f64,
    /// Momentum of the descent, as PyTorch's SGD has it; 0.9.
    pub momentum: f64,
    /// How far a concept can be added to a sample or taken from it.
    #[setters(generate)]
    pub validity: Validity,
    /// What the cross-entropy is taken of.
    #[setters(generate)]
    pub objective: CounterfactualObjective,
    /// Samples on the device at a time; 1024. But for rounding the result does not depend on it.
    #[setters(generate)]
    pub batch_size: usize,
}

/// How far a concept can be added to a sample or taken from it: no further than it is in any of the samples
/// that it was learned from; and, by kappa, not at all where it is there, or is missing, already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// Not added where the sample's distance is above the mean of those on the positive side, and not taken
    /// away where it is below the mean of those on the negative side: kappa "mean", the published program's
    /// default.
    #[default]
    KappaMean,
    /// Not added where the sample is on the positive side, not taken away where it is on the negative one:
    /// kappa "zero".
    KappaZero,
    /// No bounds at all.
    Unbounded,
}

/// What the cross-entropy is taken of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CounterfactualObjective {
    /// The logits, as NeuroInspect's experiments have it.
    #[default]
    Logits,
    /// The probabilities, as if they were logits: CCE's program puts a softmax into the layer and another
    /// one into the loss. Gradients are smaller, and with them the weights; they do not compare with the
    /// others'.
    Probabilities,
}

impl Default for ConceptCounterfactualConfig {
    fn default() -> Self {
        Self {
            alpha: 0.1,
            beta: 0.01,
            steps: 100,
            learning_rate: 0.01,
            momentum: 0.9,
            validity: Validity::KappaMean,
            objective: CounterfactualObjective::Logits,
            batch_size: 1024,
        }
    }
}

impl ConceptCounterfactualConfig {
    /// The settings of CCE's program, which takes the softmax twice. The default is what NeuroInspect's
    /// experiments make of it.
    pub fn original() -> Self {
        Self::default().with_objective(CounterfactualObjective::Probabilities)
    }

    /// Sets the weights of `|w|_1` and `|w|_2`.
    pub fn with_penalties(mut self, alpha: f64, beta: f64) -> Self {
        (self.alpha, self.beta) = (alpha, beta);
        self
    }

    /// Sets the step size and the momentum of the descent.
    pub fn with_descent(mut self, learning_rate: f64, momentum: f64) -> Self {
        (self.learning_rate, self.momentum) = (learning_rate, momentum);
        self
    }

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`](neuroinspect_core::Error::InvalidOption) naming the option.
    pub fn validate(&self) -> Result<()> {
        let not_negative = |value: f64| value >= 0.0 && value.is_finite();
        for (option, weight) in [("alpha", self.alpha), ("beta", self.beta)] {
            let expected = "0 or a positive number";
            check_option(option, weight, not_negative(weight), expected)?;
        }
        let rate = self.learning_rate;
        let positive = rate > 0.0 && rate.is_finite();
        check_option("learning_rate", rate, positive, "a number above 0")?;
        let momentum = self.momentum;
        let below_1 = (0.0..1.0).contains(&momentum);
        check_option("momentum", momentum, below_1, "from 0 to below 1")?;
        check_option("steps", self.steps, self.steps > 0, "at least 1")?;
        let size = self.batch_size;
        Ok(check_option("batch_size", size, size > 0, "at least 1")?)
    }
}

/// For each mistake of a class, how much of each concept it lacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConceptExplanation {
    /// The class the samples belong to.
    pub class: ClassId,
    /// The names of the `C` concepts.
    pub concepts: Vec<String>,
    /// What came of each sample; one for each row of `weights`.
    pub counterfactuals: Vec<ConceptCounterfactual>,
    /// The weights `w`, `[M, C]`. Above 0: more of the concept would have helped; below 0: less of it. Not
    /// part of its JSON, which would be as long as a table.
    #[serde(skip)]
    pub weights: Array2<f32>,
}

/// What adding concepts made of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConceptCounterfactual {
    /// Row of the sample in the table it came from.
    pub sample: usize,
    /// What the decision layer says of the sample as it is.
    pub predicted: ClassId,
    /// Whether the weights make the decision layer say the class. The published program's `success` says
    /// whether it did so before, which for a mistake it never does.
    pub flipped: bool,
}

/// Explains mistakes by concepts, on a device (Abid, Yuksekgonul and Zou 2022).
///
/// For a sample with features `f` of class `y`, with `v_k` the vector of concept `k` and `m_k` its
/// [largest margin](crate::Margins::max),
///
/// ```text
/// L(w) = CE(h_t(f + sum_k w_k m_k v_k / |v_k|), y) + alpha |w|_1 / C + beta |w|_2 / C
/// ```
///
/// is descended from `w = 0` with momentum, `w` put back between its [bounds](Validity) after each step.
///
/// All samples descend together: as the features do not change, a step is two products of the matrices
/// `[M, C]` and `[C, K]`, and nothing is read from the device before the last.
///
/// ```
/// use burn::tensor::Device;
/// use ndarray::array;
/// use neuroinspect_concepts::{
///     ConceptBank, ConceptExplainer, ConceptRequest, LearningConfig, learn_concept,
/// };
/// use neuroinspect_core::{ClassId, DecisionLayer, Silent};
///
/// // Neuron 0 sees a star, neuron 1 water, and the layer says "star" (class 0) for water alone.
/// let layer = DecisionLayer::new(array![[0.0, 2.0], [0.0, 0.0]], array![-1.0, 0.0])?;
/// let wet = array![[0.1, 1.0], [0.9, 1.2], [0.2, 1.1]];
/// let dry = array![[0.2, 0.1], [1.0, 0.0], [0.1, 0.2]];
/// let water = ConceptRequest { name: "water", positives: wet.view(), negatives: dry.view() };
/// let water = learn_concept(&water, &LearningConfig::default(), &mut Silent)?;
/// let bank = ConceptBank::new(vec![water])?;
/// let star_on_land = array![[1.0, 0.1]];
/// let explanation = ConceptExplainer::new(&bank, &Device::flex())
///     .explain_features(star_on_land.view(), &layer, ClassId(0), &mut Silent)?;
/// assert!(explanation.weights[[0, 0]] > 0.0, "water is missing");
/// # Ok::<(), neuroinspect_concepts::Error>(())
/// ```
#[derive(Clone, Debug, Setters)]
#[setters(prefix = "with_")]
pub struct ConceptExplainer<'a> {
    /// The concepts.
    #[setters(skip)]
    pub bank: &'a ConceptBank,
    /// Where the descent is computed.
    #[setters(skip)]
    pub device: Device,
    /// The options.
    pub config: ConceptCounterfactualConfig,
}

impl<'a> ConceptExplainer<'a> {
    /// With default options.
    pub fn new(bank: &'a ConceptBank, device: &Device) -> Self {
        Self {
            bank,
            device: device.clone(),
            config: ConceptCounterfactualConfig::default(),
        }
    }

    /// Explains every mistake that a decision layer makes on a table's samples of a class.
    ///
    /// The observer hears of samples done, batch by batch, and can stop the work between two.
    ///
    /// # Errors
    ///
    /// [`Error::NoMistakes`] when there is nothing to explain, [`Error::OtherLayer`] when the concepts are of
    /// another layer; when the class is out of range or has no samples, an option is out of range, the
    /// descent diverges, or the observer asks to stop.
    pub fn explain(
        &self,
        predicted: &Predicted<'_>,
        class: ClassId,
        observer: &mut dyn Observer,
    ) -> Result<ConceptExplanation> {
        let table = predicted.table();
        self.bank.check_table(table.activations())?;
        let samples = predicted.mistakes(class)?;
        if samples.is_empty() {
            let name = table.class_names()[class.0].clone();
            return Err(Error::NoMistakes { class, name });
        }
        let features = table.activations().rows(&samples)?;
        let mut explanation =
            self.explain_features(features.view(), predicted.layer(), class, observer)?;
        for (counterfactual, sample) in explanation.counterfactuals.iter_mut().zip(samples) {
            counterfactual.sample = sample;
        }
        Ok(explanation)
    }

    /// Explains features that come from no table, `[M, D]`, all with the same class as target; those that are
    /// right, too. [`ConceptCounterfactual::sample`] is the row.
    ///
    /// # Errors
    ///
    /// As [`explain`](Self::explain), save that no rows are no error; and when the features are not the
    /// layer's, or not finite.
    pub fn explain_features(
        &self,
        features: ArrayView2<'_, f32>,
        layer: &DecisionLayer,
        class: ClassId,
        observer: &mut dyn Observer,
    ) -> Result<ConceptExplanation> {
        let config = &self.config;
        config.validate()?;
        layer.check_class(class)?;
        self.bank.check_layer(layer)?;
        check_finite(features, |row| row.to_string())?;
        let predicted = layer.predict(features)?;
        let descent = Descent::new(self, layer, class);
        let (total, concepts) = (features.nrows(), self.bank.concepts().len());
        let mut weights = Array2::zeros((total, concepts));
        let mut counterfactuals = Vec::with_capacity(total);
        for batch in features.axis_chunks_iter(Axis(0), config.batch_size) {
            let first = counterfactuals.len();
            let values = descent.run(batch)?;
            for (row, end) in values.chunks_exact(concepts + 1).enumerate() {
                let sample = first + row;
                let (weight, flipped) = end.split_at(concepts);
                if weight.iter().any(|value| !value.is_finite()) {
                    return Err(Error::Diverged { sample, class });
                }
                let weight = Array1::from(weight.to_vec());
                weights.row_mut(sample).assign(&weight);
                counterfactuals.push(ConceptCounterfactual {
                    sample,
                    predicted: predicted[sample],
                    flipped: flipped == [1.0],
                });
            }
            let done = counterfactuals.len();
            let stage = STAGE;
            observer.proceed_unless_done(Progress { stage, done, total })?;
        }
        Ok(ConceptExplanation {
            class,
            concepts: self.bank.names(),
            counterfactuals,
            weights,
        })
    }
}

/// The descent for one bank, decision layer and class. All tensors are on the device.
struct Descent<'a> {
    config: &'a ConceptCounterfactualConfig,
    device: &'a Device,
    class: ClassId,
    /// `W^T`: `[D, K]`.
    weight: Tensor<2>,
    /// `b`: `[1, K]`.
    bias: Tensor<2>,
    /// `e_y`: `[1, K]`.
    one_hot: Tensor<2>,
    /// What a concept's weight of 1 adds to the logits, `(m_k v_k / |v_k|) W^T`: `[C, K]`.
    effects: Tensor<2>,
    /// `v_k^T`: `[D, C]`.
    vectors: Tensor<2>,
    /// Numbers of each concept.
    rows: Rows,
}

/// Numbers of each concept: `[1, C]`.
struct Rows {
    norm: Tensor<2>,
    intercept: Tensor<2>,
    max: Tensor<2>,
    min: Tensor<2>,
    /// Above it a concept is not added.
    present: Tensor<2>,
    /// Below it a concept is not taken away.
    absent: Tensor<2>,
}

impl<'a> Descent<'a> {
    fn new(explainer: &'a ConceptExplainer<'_>, layer: &DecisionLayer, class: ClassId) -> Self {
        let ConceptExplainer {
            bank,
            device,
            config,
        } = explainer;
        let concepts = bank.concepts();
        let row = |value: &dyn Fn(usize) -> f32| {
            let values: Vec<f32> = (0..concepts.len()).map(value).collect();
            Tensor::<2>::from_data(TensorData::new(values, [1, concepts.len()]), device)
        };
        // A mean that is not known bounds nothing: no distance is above or below infinity.
        let kappa = |mean: Option<f32>, unknown: f32| match config.validity {
            Validity::KappaMean => mean.unwrap_or(unknown),
            Validity::KappaZero | Validity::Unbounded => 0.0,
        };
        let rows = Rows {
            norm: row(&|it| concepts[it].norm()),
            intercept: row(&|it| concepts[it].intercept),
            max: row(&|it| concepts[it].margins.max),
            min: row(&|it| concepts[it].margins.min),
            present: row(&|it| kappa(concepts[it].margins.pos_mean, f32::INFINITY)),
            absent: row(&|it| kappa(concepts[it].margins.neg_mean, f32::NEG_INFINITY)),
        };
        let vectors = on_device(bank.vectors().view(), device);
        let weight = layer.weight_on(device).transpose();
        let scale = (rows.max.clone() / rows.norm.clone()).transpose();
        let mut one_hot = vec![0.0_f32; layer.classes()];
        one_hot[class.0] = 1.0;
        Self {
            config,
            device,
            class,
            effects: (vectors.clone() * scale).matmul(weight.clone()),
            vectors: vectors.transpose(),
            weight,
            bias: layer.bias_on(device).unsqueeze(),
            one_hot: Tensor::from_data(TensorData::new(one_hot, [1, layer.classes()]), device),
            rows,
        }
    }

    /// Descends for a batch of features `[B, D]`; `[B, C + 1]`: the weights, and 1 where they make the layer
    /// say the class.
    fn run(&self, features: ArrayView2<'_, f32>) -> Result<Vec<f32>> {
        let features = on_device(features, self.device);
        let start = features.clone().matmul(self.weight.clone()) + self.bias.clone();
        let bounds = self.bounds(features);
        let concepts = self.effects.dims()[0];
        let logits =
            |weights: &Tensor<2>| start.clone() + weights.clone().matmul(self.effects.clone());
        let mut weights = Tensor::<2>::zeros([start.dims()[0], concepts], self.device);
        let mut velocity = weights.clone();
        for _ in 0..self.config.steps {
            let gradient = self
                .residual(logits(&weights))
                .matmul(self.effects.clone().transpose())
                + self.penalty_gradient(&weights);
            // PyTorch's first step takes the gradient itself as the buffer: from a buffer of 0 that comes
            // out the same. What is put back between the bounds are the weights alone.
            velocity = velocity * self.config.momentum + gradient;
            weights = weights - velocity.clone() * self.config.learning_rate;
            if let Some((low, high)) = &bounds {
                weights = weights.max_pair(low.clone()).min_pair(high.clone());
            }
        }
        let says = logits(&weights)
            .argmax(1)
            .equal_elem(self.class.0 as i64)
            .float();
        Ok(read_back(
            Tensor::cat(vec![weights, says], 1),
            "the concept weights",
        )?)
    }

    /// The gradient of the cross-entropy with respect to the logits: `[B, K]`.
    fn residual(&self, logits: Tensor<2>) -> Tensor<2> {
        let probabilities = softmax(logits, 1);
        match self.config.objective {
            CounterfactualObjective::Logits => probabilities - self.one_hot.clone(),
            CounterfactualObjective::Probabilities => {
                let outer = softmax(probabilities.clone(), 1) - self.one_hot.clone();
                let mean = (outer.clone() * probabilities.clone()).sum_dim(1);
                probabilities * (outer - mean)
            }
        }
    }

    /// `alpha sign(w) + beta w / |w|_2`, both over `C`, and 0 at `w = 0`: `[B, C]`.
    fn penalty_gradient(&self, weights: &Tensor<2>) -> Tensor<2> {
        let concepts = weights.dims()[1] as f64;
        let norm = weights.clone().square().sum_dim(1).sqrt();
        let direction = weights.clone() / norm.clamp_min(1e-12);
        weights.clone().sign() * (self.config.alpha / concepts)
            + direction * (self.config.beta / concepts)
    }

    /// The least and the largest weights of each sample, at most and at least 0: both `[B, C]`.
    fn bounds(&self, features: Tensor<2>) -> Option<(Tensor<2>, Tensor<2>)> {
        if self.config.validity == Validity::Unbounded {
            return None;
        }
        let Rows {
            norm,
            intercept,
            max,
            min,
            present,
            absent,
        } = &self.rows;
        let product = features.matmul(self.vectors.clone()) + intercept.clone();
        let scale = max.clone() * norm.clone();
        let bound =
            |margin: &Tensor<2>| (margin.clone() * norm.clone() - product.clone()) / scale.clone();
        let distance = product.clone() / norm.clone();
        let is_present = (distance.clone() - present.clone()).greater_elem(0.0);
        let is_absent = (distance - absent.clone()).lower_elem(0.0);
        let high = bound(max).mask_fill(is_present, 0.0);
        let low = bound(min).mask_fill(is_absent, 0.0);
        Some((low.clamp_max(0.0), high.clamp_min(0.0)))
    }
}

/// A matrix on a device.
fn on_device(values: ArrayView2<'_, f32>, device: &Device) -> Tensor<2> {
    let (rows, columns) = values.dim();
    let data = values.iter().copied().collect::<Vec<f32>>();
    Tensor::from_data(TensorData::new(data, [rows, columns]), device)
}
