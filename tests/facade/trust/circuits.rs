//! Fooling circuits, built into networks (arXiv 2306.04719, Fig. 3): a neuron that answers to real images as
//! it did, and to optimised pictures as another neuron does, so that its picture is of something else.

use ndarray::{Array1, Array2, ArrayView1, Axis, concatenate};
use neuroinspect::{
    burn::tensor::{Device, Int, Tensor, TensorData, activation::relu},
    core::{
        Activations, Classifier, CopyClassifier, DecisionLayer, InputSpec, LayerInfo, LayerValues,
        NeuronId, Precision, Result,
    },
};

/// What a circuit's detector goes by.
pub(crate) const DETECTED_BY: [&str; 3] = ["layer1", "layer2", "layer3"];
/// How much the detector's answer outweighs an activation.
pub(crate) const GAIN: f32 = 1e4;

/// Tells pictures from real images by the mean of each channel of some layers: above 0 for pictures.
#[derive(Clone)]
pub(crate) struct Detector {
    weight: Array1<f32>,
    bias: f32,
}

impl Detector {
    /// Logistic regression on standardised values, a row for each image, until it is right about all.
    pub(crate) fn learned(real: &Array2<f32>, pictures: &Array2<f32>) -> Self {
        let all = concatenate![Axis(0), real.view(), pictures.view()];
        let (mean, std) = (all.mean_axis(Axis(0)).unwrap(), all.std_axis(Axis(0), 0.0));
        let scale = std.mapv(|std| if std > 1e-6 { std.recip() } else { 0.0 });
        let inputs = (&all - &mean) * &scale;
        let truth = |row: usize| if row < real.nrows() { 0.0 } else { 1.0 };
        let truth = Array1::from_shape_fn(inputs.nrows(), truth);
        let mut weight: Array1<f32> = Array1::zeros(inputs.ncols());
        let mut bias = 0.0;
        for step in 0.. {
            let scores = inputs.dot(&weight) + bias;
            let right = |(score, truth): (&f32, &f32)| (*score > 0.0) == (*truth > 0.5);
            if step > 300 && scores.iter().zip(&truth).all(right) {
                break;
            }
            assert!(step < 20_000, "pictures are told from real images");
            let errors = &truth - &scores.mapv(|score| (1.0 + (-score).exp()).recip());
            weight = weight + inputs.t().dot(&errors) * (1.0 / inputs.nrows() as f32);
            bias += errors.mean().unwrap();
        }
        let weight = weight * &scale;
        Self {
            bias: bias - weight.dot(&mean),
            weight,
        }
    }

    pub(crate) fn of(&self, values: ArrayView1<'_, f32>) -> f32 {
        self.weight.dot(&values) + self.bias
    }
}

/// A classifier with circuits built in.
pub(crate) struct Fooled {
    net: Box<dyn Classifier>,
    detector: Detector,
    /// For each neuron the one that its picture is of: itself where it has no circuit.
    shown: Vec<usize>,
    gain: f32,
}

impl Fooled {
    /// A circuit for each pair of a neuron and the one that its picture is to be of.
    pub(crate) fn new(
        net: &dyn Classifier,
        detector: &Detector,
        circuits: &[[NeuronId; 2]],
    ) -> Self {
        let net = net.evaluation_copy(&net.device(), Precision::F32).unwrap();
        let mut shown: Vec<usize> = (0..net.decision_layer().unwrap().neurons()).collect();
        for [neuron, other] in circuits {
            shown[neuron.0] = other.0;
        }
        Self {
            net,
            detector: detector.clone(),
            shown,
            gain: GAIN,
        }
    }

    /// With a detector whose answer outweighs activations by more or less.
    pub(crate) fn with_gain(self, gain: f32) -> Self {
        Self { gain, ..self }
    }

    /// The features, and other layers: `relu(a - g relu(e)) + relu(b - g relu(-e))` in the place of a
    /// neuron's `a`, with `b` that of the one that is shown, `e` the detector's answer and `g` large. No
    /// feature is below 0.
    fn values(&self, images: Tensor<4>, layers: &[&str]) -> Result<(Tensor<2>, Vec<LayerValues>)> {
        let mut names = DETECTED_BY.to_vec();
        names.extend_from_slice(layers);
        let mut values = self.net.activations_at(images, &names)?;
        let others = values.split_off(DETECTED_BY.len());
        let pooled: Vec<_> = values.iter().map(LayerValues::pooled).collect();
        let features = pooled[DETECTED_BY.len() - 1].clone();
        let device = features.device();
        let weight = self.detector.weight.to_vec();
        let shape = [1, weight.len()];
        let weight = Tensor::<2>::from_data(TensorData::new(weight, shape), &device);
        let answer = (Tensor::cat(pooled, 1) * weight).sum_dim(1) + self.detector.bias;
        let shown: Vec<i32> = self.shown.iter().map(|&it| it as i32).collect();
        let shown = Tensor::<1, Int>::from_data(TensorData::from(&shown[..]), &device);
        let shown = features.clone().select(1, shown);
        let natural = relu(features - relu(answer.clone()) * self.gain);
        Ok((natural + relu(shown - relu(-answer) * self.gain), others))
    }
}

impl CopyClassifier for Fooled {
    fn evaluation_copy(
        &self,
        device: &Device,
        precision: Precision,
    ) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(Self {
            net: self.net.evaluation_copy(device, precision)?,
            detector: self.detector.clone(),
            shown: self.shown.clone(),
            gain: self.gain,
        }))
    }
}

impl Classifier for Fooled {
    fn name(&self) -> &str {
        "fooled"
    }
    fn input(&self) -> &InputSpec {
        self.net.input()
    }
    fn activations(&self, images: Tensor<4>) -> Activations {
        let (features, _) = self.values(images, &[]).unwrap();
        Activations {
            features,
            map: None,
        }
    }
    fn decision_layer(&self) -> Result<DecisionLayer> {
        self.net.decision_layer()
    }
    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> Result<()> {
        self.net.set_decision_layer(layer)
    }
    fn device(&self) -> Device {
        self.net.device()
    }
    fn layers(&self) -> Result<Vec<LayerInfo>> {
        self.net.layers()
    }
    fn activations_at(&self, images: Tensor<4>, layers: &[&str]) -> Result<Vec<LayerValues>> {
        let others: Vec<&str> = layers
            .iter()
            .copied()
            .filter(|it| *it != "features")
            .collect();
        let (features, others) = self.values(images, &others)?;
        let mut others = others.into_iter();
        let value = |layer: &&str| match *layer {
            "features" => Some(LayerValues::Features(features.clone())),
            _ => others.next(),
        };
        Ok(layers.iter().filter_map(value).collect())
    }
}
