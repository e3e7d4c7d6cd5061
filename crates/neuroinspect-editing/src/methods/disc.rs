//! DISC: concepts that speak for a class in one place only are mixed into the other classes.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};
use ndarray::{Array1, ArrayView1, ArrayView2};
use neuroinspect_core::{ClassId, Observer, Seed, check_option, read_back};
use rand::{
    Rng, RngExt,
    distr::{Distribution, weighted::WeightedIndex},
    seq::SliceRandom,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{FromArguments, MethodArguments, STAGE};
use crate::{
    Citation, CrossEntropy, DecisionMethod, DeviceTable, Error, Fitted, LayerTensors,
    LayerTraining, Loss, LossAndGradient, MethodInput, Result, SampleBatch, Shuffled,
    TrainingConfig, train, training::CrossEntropyTerms,
};

/// Discover and Cure (Wu et al. 2023) on the last layer, for concepts given as vectors of features.
///
/// The training samples of each class are clustered by their features, by k-means; the clusters of equal
/// number are an environment. In each the gradient of the cross-entropy says how much a concept speaks for a
/// class, `softmax_c(-r (v_k . dW_c / |v_k| + db_c))` with `r` ten times the learning rate. Its standard
/// deviation over the environments says how unstable the concept is for the class, and how often it is
/// mixed into the features of *other* classes' samples, `t f + (1 - t) v_k` with `t` from Beta(2, 2): there
/// it cannot be learnt.
///
/// The authors mix images, and look for unstable concepts anew in each
/// epoch; their vectors `v_k` in the score are normals of support vector machines times the largest margin,
/// their clusters are of two dimensions of the features and of whether a sample is right, and their gradient
/// is that of one batch. Here all is done with mean features, once, by the layer given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disc {
    /// The concepts that may mislead, each of the class that it may stand for.
    pub concepts: Vec<Concept>,
    /// Environments; the authors' 2 for MetaShift (3 for Waterbirds).
    pub clusters: usize,
    /// How it is trained.
    pub training: TrainingConfig,
}

/// Something that can be seen in images of a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Concept {
    /// The class whose images it may be in, and mislead to.
    pub class: ClassId,
    /// The mean features of images of it: `[D]`.
    pub features: Vec<f32>,
}

/// Samples of a class that are divided into environments, at most.
const SAMPLES: usize = 4096;

/// Classes into whose rivals concepts are mixed in a step, at most; of more some are drawn.
const CLASSES: usize = 10;

impl Disc {
    /// The name it is recorded under.
    pub const NAME: &'static str = "disc";
    /// What it does, in a sentence.
    pub const ABOUT: &'static str = "Mixes concepts that mislead into the samples of other classes, so that they cannot be learnt.";

    fn check(&self, input: &MethodInput<'_>) -> Result<()> {
        check_option("clusters", self.clusters, self.clusters > 1, "at least 2")?;
        let (neurons, classes) = (input.layer().neurons(), input.layer().classes());
        let fits = |concept: &Concept| {
            let features = &concept.features;
            let varies = features.iter().any(|&value| value != 0.0);
            let is_finite = features.iter().all(|value| value.is_finite());
            concept.class.0 < classes && features.len() == neurons && varies && is_finite
        };
        match !self.concepts.is_empty() && self.concepts.iter().all(fits) {
            true => Ok(()),
            false => Err(Error::NotApplicable {
                method: Self::NAME,
                reason: format!(
                    "it needs concepts of classes below {classes}, each of {neurons} features, not all of them 0"
                ),
            }),
        }
    }

    /// How unstable each concept is for each class, 0 for those it is not of: `[K][C]`.
    fn instabilities(
        &self,
        input: &MethodInput<'_>,
        concepts: &Tensor<2>,
    ) -> Result<Vec<Vec<f64>>> {
        let layer = LayerTensors::of(input.layer(), input.device());
        let norms = concepts.clone().square().sum_dim(1).sqrt();
        let (units, rate) = (concepts.clone() / norms, 10.0 * self.training.learning_rate);
        let mut scores = Vec::new();
        for samples in environments(input.train(), self.clusters, self.training.seed)? {
            let (weight, bias) = gradient(&layer, input.train(), &samples)?;
            let of_concepts = units.clone().matmul(weight.transpose());
            let of_concepts = (of_concepts + bias.unsqueeze()) * -rate;
            let of_concepts = burn::tensor::activation::softmax(of_concepts, 1);
            scores.push(read_back(of_concepts, "the scores of concepts")?);
        }
        let classes = input.layer().classes();
        let instability = |class: usize, concept: usize| {
            if self.concepts[concept].class.0 != class {
                return 0.0;
            }
            let of_environments = scores
                .iter()
                .map(|it| f64::from(it[concept * classes + class]));
            let unstable = match scores.len() {
                0 | 1 => 0.0,
                _ => Array1::from_iter(of_environments).std(1.0),
            };
            // A little for all: where none is unstable any of them will do.
            unstable + 1e-12
        };
        let of_class = |class| {
            (0..self.concepts.len())
                .map(|it| instability(class, it))
                .collect()
        };
        Ok((0..classes).map(of_class).collect())
    }
}

impl FromArguments for Disc {
    fn from_arguments(arguments: &MethodArguments) -> Result<Self> {
        Ok(Self {
            concepts: arguments.concepts.clone(),
            clusters: 2,
            training: arguments.training.clone(),
        })
    }

    fn grid() -> Value {
        // The authors' 2 for MetaShift and 3 for Waterbirds.
        json!({"clusters": [2, 3], "training": {"learning_rate": [1e-3, 1e-2]}})
    }
}

impl DecisionMethod for Disc {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn citation(&self) -> Option<Citation> {
        Some(Citation {
            text: "Wu et al., Discover and Cure: Concept-aware Mitigation of Spurious Correlation, ICML \
                   2023",
            url: "https://arxiv.org/abs/2305.00650",
        })
    }

    fn describe(&self) -> String {
        format!(
            "mixes unstable ones of {} concepts into other classes",
            self.concepts.len()
        )
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.training)
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        self.check(input)?;
        let shape = [self.concepts.len(), input.layer().neurons()];
        let features = self.concepts.iter().flat_map(|concept| &concept.features);
        let concepts = TensorData::new::<f32, _>(features.copied().collect(), shape);
        let concepts = Tensor::<2>::from_data(concepts, input.device());
        let instabilities = self
            .instabilities(input, &concepts)?
            .into_iter()
            .enumerate();
        // A class without concepts has none to draw from.
        let choices = instabilities
            .filter_map(|(class, weights)| Some((class, WeightedIndex::new(weights).ok()?)));
        let training = LayerTraining {
            input,
            loss: &mut MixedLoss {
                concepts,
                choices: choices.collect(),
                seed: self.training.seed,
                step: 0,
            },
            sampling: &Shuffled {
                samples: input.train().len(),
            },
            config: &self.training,
            stage: STAGE,
        };
        train(training, observer)
    }
}

/// The cross-entropy of a batch, and that of its samples with concepts of other classes mixed in.
pub(super) struct MixedLoss {
    /// `[C, D]`
    pub(super) concepts: Tensor<2>,
    /// The classes that have concepts, and how often each is drawn.
    pub(super) choices: Vec<(usize, WeightedIndex<f64>)>,
    pub(super) seed: Seed,
    pub(super) step: u64,
}

impl Loss for MixedLoss {
    fn evaluate(&mut self, layer: &LayerTensors, batch: &SampleBatch) -> LossAndGradient {
        let mut rng = self.seed.rng("concepts", &[self.step]);
        self.step += 1;
        let mut drawn: Vec<usize> = (0..self.choices.len()).collect();
        drawn.shuffle(&mut rng);
        drawn.truncate(CLASSES);
        let mut all = CrossEntropy.evaluate(layer, batch);
        for index in drawn {
            let (class, choice) = &self.choices[index];
            let class = *class;
            let (samples, device) = (batch.len(), batch.features.device());
            let ids = (0..samples).map(|_| choice.sample(&mut rng) as i64);
            let ids = TensorData::new::<i64, _>(ids.collect(), [samples]);
            let concepts = self
                .concepts
                .clone()
                .select(0, Tensor::<1, Int>::from_data(ids, &device));
            let shares = (0..samples).map(|_| beta_2_2(&mut rng));
            let shares = TensorData::new::<f32, _>(shares.collect(), [samples, 1]);
            let shares = Tensor::<2>::from_data(shares, &device);
            let mixed = (batch.features.clone() - concepts.clone()) * shares + concepts;
            let others = -batch.one_hot().slice_dim(1, class..class + 1) + 1.0;
            let weights = others.clone() / others.sum().clamp_min(1.0).unsqueeze();
            let terms = CrossEntropyTerms::weighted(layer.logits(mixed.clone()), batch, weights);
            let result = LossAndGradient::through_logits(terms.loss, terms.gradient, &mixed);
            all.loss = all.loss + result.loss;
            all.weight = all.weight + result.weight;
            all.bias = all.bias + result.bias;
        }
        all
    }
}

/// A draw from Beta(2, 2): the second of three uniform ones.
fn beta_2_2(rng: &mut impl Rng) -> f32 {
    let mut draws: [f32; 3] = [rng.random(), rng.random(), rng.random()];
    draws.sort_unstable_by(f32::total_cmp);
    draws[1]
}

/// The gradient of the mean cross-entropy of samples, of one chunk of them after another: `[C, D]` and `[C]`.
fn gradient(
    layer: &LayerTensors,
    table: &DeviceTable,
    samples: &[usize],
) -> Result<(Tensor<2>, Tensor<1>)> {
    let mut sum = (layer.weight.zeros_like(), layer.bias.zeros_like());
    for chunk in samples.chunks(table.chunk_len()) {
        let gradient = CrossEntropy.evaluate(layer, &table.batch(chunk)?);
        let share = chunk.len() as f64 / samples.len() as f64;
        sum.0 = sum.0 + gradient.weight * share;
        sum.1 = sum.1 + gradient.bias * share;
    }
    Ok(sum)
}

/// The samples of each environment: cluster `i` of every class, some of them where they are many.
fn environments(table: &DeviceTable, clusters: usize, seed: Seed) -> Result<Vec<Vec<usize>>> {
    let mut environments = vec![Vec::new(); clusters];
    for class in 0..table.classes() {
        let labels = table.labels().iter().enumerate();
        let samples = labels.filter(|&(_, &label)| label == ClassId(class));
        let mut samples: Vec<usize> = samples.map(|(sample, _)| sample).collect();
        samples.shuffle(&mut seed.rng("environments", &[class as u64]));
        samples.truncate(SAMPLES);
        let features = table.samples().features(&samples)?;
        let of_samples = clustered(features.view(), 0..clusters.min(samples.len()));
        for (sample, cluster) in samples.into_iter().zip(of_samples) {
            environments[cluster].push(sample);
        }
    }
    environments.retain(|samples| !samples.is_empty());
    Ok(environments)
}

/// The cluster of each row, by twenty rounds of Lloyd's algorithm from the first rows.
fn clustered(rows: ArrayView2<'_, f32>, clusters: Range<usize>) -> Vec<usize> {
    let mut centres: Vec<Array1<f32>> = clusters
        .clone()
        .map(|cluster| rows.row(cluster).to_owned())
        .collect();
    let nearest = |centres: &[Array1<f32>], row: ArrayView1<'_, f32>| {
        let distance = |centre: &Array1<f32>| (&row - centre).mapv(|it| it * it).sum();
        let distances: Vec<f32> = centres.iter().map(distance).collect();
        let nearest = clusters
            .clone()
            .min_by(|&a, &b| distances[a].total_cmp(&distances[b]));
        nearest.unwrap_or(0)
    };
    let assign = |centres: &[Array1<f32>]| -> Vec<usize> {
        let rows = rows.rows().into_iter();
        rows.map(|row| nearest(centres, row)).collect()
    };
    for _ in 0..20 {
        let assigned = assign(&centres);
        for (cluster, centre) in centres.iter_mut().enumerate() {
            let members = assigned
                .iter()
                .zip(rows.rows())
                .filter(|(of, _)| **of == cluster);
            let members: Vec<_> = members.map(|(_, row)| row).collect();
            if !members.is_empty() {
                let sum = members
                    .iter()
                    .fold(Array1::zeros(centre.len()), |sum, member| sum + member);
                *centre = sum / members.len() as f32;
            }
        }
    }
    assign(&centres)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ndarray::Array2;
    use neuroinspect_core::DecisionLayer;
    use neuroinspect_testing::{assert_close, fill, tables::table};

    use super::*;
    use crate::Storage;

    /// Of so many neurons that a chunk is of 64 samples.
    #[test]
    fn a_gradient_by_chunks_is_that_of_all() {
        let (samples, neurons) = (130, 1 << 14);
        let features = fill::normal("features", samples * neurons);
        let features = Array2::from_shape_vec((samples, neurons), features).unwrap();
        let labels: Vec<usize> = (0..samples).map(|sample| sample % 3).collect();
        let table = table(features, &labels, 3);
        let device = Device::flex();
        let table = DeviceTable::new(table, &device, Storage::Device).unwrap();
        assert_eq!(table.chunk_len(), 64);
        let weight = fill::normal("weight", 3 * neurons);
        let weight = Array2::from_shape_vec((3, neurons), weight).unwrap() / 100.0;
        let layer = DecisionLayer::new(weight, Array1::zeros(3)).unwrap();
        let layer = LayerTensors::of(&layer, &device);
        let all: Vec<usize> = (0..samples).collect();
        let (weight, bias) = gradient(&layer, &table, &all).unwrap();
        let whole = CrossEntropy.evaluate(&layer, &table.batch(&all).unwrap());
        let values = |tensor: Tensor<2>| -> Vec<f32> { tensor.try_into_vec_as().unwrap() };
        assert_close(values(weight), values(whole.weight), 1e-5, 1e-6);
        let bias: [Vec<f32>; 2] = [bias, whole.bias].map(|it| it.try_into_vec_as().unwrap());
        assert_close(&bias[0], &bias[1], 1e-5, 1e-6);
    }

    /// Samples of two classes, each in two places far from each other, 12 and 4 of them.
    fn apart() -> DeviceTable {
        let noise = fill::normal("noise", 32 * 2);
        let features = Array2::from_shape_fn((32, 2), |(sample, neuron)| {
            let (class, place) = (sample / 16, usize::from(sample % 16 >= 12));
            let centre = [[0.0, 1.0], [5.0, -4.0]][place][neuron] + class as f32;
            centre + 0.1 * noise[2 * sample + neuron]
        });
        let labels: Vec<usize> = (0..32).map(|sample| sample / 16).collect();
        let table = table(features, &labels, 2);
        DeviceTable::new(table, &Device::flex(), Storage::Device).unwrap()
    }

    /// Each is a place of every class; which comes first is the seed's.
    #[test]
    fn an_environment_is_a_cluster_of_every_class() {
        let table = apart();
        for seed in [0, 3, 8] {
            let environments = environments(&table, 2, Seed(seed)).unwrap();
            let mut all = environments.concat();
            all.sort_unstable();
            assert_eq!(all, (0..32).collect::<Vec<_>>());
            for class in 0..2 {
                let of_class = |samples: &Vec<usize>| -> Vec<usize> {
                    let samples = samples.iter().filter(|&&sample| sample / 16 == class);
                    samples
                        .map(|sample| usize::from(sample % 16 >= 12))
                        .collect()
                };
                let places: Vec<_> = environments.iter().map(of_class).collect();
                for of_environment in &places {
                    assert!(!of_environment.is_empty(), "{places:?}");
                    let first = of_environment[0];
                    assert!(of_environment.iter().all(|it| *it == first), "{places:?}");
                }
            }
        }
    }

    /// By the definition, in double precision.
    #[test]
    fn instability_is_the_deviation_of_scores_over_environments() {
        let table = apart();
        let weight = ndarray::array![[0.3, -0.2], [-0.1, 0.4]];
        let layer = DecisionLayer::new(weight, Array1::from(vec![0.05, -0.1])).unwrap();
        let concepts = [(0, [1.0, 2.0]), (1, [-3.0, 0.5]), (0, [0.0, -1.5])];
        let disc = Disc {
            concepts: concepts
                .iter()
                .map(|&(class, features)| Concept {
                    class: ClassId(class),
                    features: features.to_vec(),
                })
                .collect(),
            clusters: 2,
            training: TrainingConfig::default().with_learning_rate(0.02),
        };
        let values = concepts.iter().flat_map(|it| it.1).collect::<Vec<f32>>();
        let values = Tensor::from_data(TensorData::new(values, [3, 2]), &Device::flex());
        let input = MethodInput::new(&table, &table, &layer).unwrap();
        let found = disc.instabilities(&input, &values).unwrap();

        let features = table.samples().table().features().unwrap().mapv(f64::from);
        let (weight, bias) = (layer.weight().mapv(f64::from), layer.bias().mapv(f64::from));
        let softmax = |logits: Array1<f64>| {
            let powers = logits.mapv(f64::exp);
            let sum = powers.sum();
            powers / sum
        };
        let environments = environments(&table, 2, disc.training.seed).unwrap();
        let scores = environments.iter().map(|samples| {
            let (mut of_weight, mut of_bias) = (Array2::<f64>::zeros((2, 2)), Array1::zeros(2));
            for &sample in samples {
                let x = features.row(sample);
                let mut residual = softmax(weight.dot(&x) + &bias);
                residual[sample / 16] -= 1.0;
                for class in 0..2 {
                    let step = &x * (residual[class] / samples.len() as f64);
                    of_weight.row_mut(class).scaled_add(1.0, &step);
                }
                of_bias += &(residual / samples.len() as f64);
            }
            let score = |features: [f32; 2]| {
                let concept = Array1::from_iter(features.map(f64::from));
                let unit = &concept / concept.dot(&concept).sqrt();
                softmax((of_weight.dot(&unit) + &of_bias) * (-10.0 * 0.02))
            };
            concepts.map(|(_, features)| score(features))
        });
        let scores: Vec<_> = scores.collect();
        for (class, found) in found.iter().enumerate() {
            let expected = (0..3).map(|concept| match concepts[concept].0 == class {
                true => {
                    let [a, b] = [0, 1].map(|environment| scores[environment][concept][class]);
                    (a - b).abs() / 2.0_f64.sqrt()
                }
                false => 0.0,
            });
            assert_close(found.clone(), expected.collect::<Vec<_>>(), 1e-3, 1e-7);
        }
        assert!(found[0][0] > 1e-4 && found[1][1] > 1e-4, "{found:?}");
    }
}
