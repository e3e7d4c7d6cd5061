//! The linear decision layer.

use std::path::Path;

use burn::{
    module::Param,
    nn::Linear,
    tensor::{Device, Tensor, TensorData},
};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use sha2::{Digest, Sha256};

use crate::{
    ClassId, Error, NeuronId, Result,
    io::{NamedTensor, TensorFile, hexadecimal, write_safetensors},
    read_back,
};

/// The decision layer `h_t`: logits `z = W f + b` of `K` classes over `D` neurons.
///
/// Held on the host, so that it can be compared, hashed, edited and saved whatever device the
/// model is on. All values are finite.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionLayer {
    weight: Array2<f32>,
    bias: Array1<f32>,
}

impl DecisionLayer {
    /// Logits that [`predict`](Self::predict) holds at a time.
    const LOGITS_AT_ONCE: usize = 1 << 20;

    /// Activations that they are made of at a time, where a table is read from its file.
    const FEATURES_AT_ONCE: usize = 1 << 22;

    /// The tensors of a layer in a file.
    const WEIGHT: &'static str = "weight";
    const BIAS: &'static str = "bias";

    /// A layer from `weight` `[K, D]` and `bias` `[K]`, as PyTorch lays them out.
    ///
    /// # Errors
    ///
    /// When the shapes do not fit, a side is empty, or a value is not finite.
    pub fn new(weight: Array2<f32>, bias: Array1<f32>) -> Result<Self> {
        let (classes, neurons) = weight.dim();
        if classes == 0 || neurons == 0 {
            return Err(Error::shape(
                "weight of the decision layer",
                "[classes, neurons], neither 0",
                weight.shape(),
            ));
        }
        if bias.len() != classes {
            return Err(Error::shape(
                "bias of the decision layer",
                [classes],
                bias.shape(),
            ));
        }
        for ((class, neuron), &value) in weight.indexed_iter() {
            if !value.is_finite() {
                let what = format!("decision layer weight of class {class}, neuron {neuron}");
                return Err(Error::NotFinite { what, value });
            }
        }
        for (class, &value) in bias.indexed_iter() {
            if !value.is_finite() {
                let what = format!("decision layer bias of class {class}");
                return Err(Error::NotFinite { what, value });
            }
        }
        Ok(Self {
            weight: weight.as_standard_layout().into_owned(),
            bias,
        })
    }

    /// Reads a layer out of a safetensors file: the tensors `weight` `[K, D]` and `bias` `[K]` f32, as
    /// PyTorch's `Linear.state_dict()` names them. A missing bias counts as zero; other tensors, a
    /// table's for one, are not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Read`], or [`Error::Format`] saying what is wrong with the file: truncated, a tensor
    /// missing or of another shape or type, a value not finite.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let expected = "a decision layer, with tensors 'weight' [K, D] and 'bias' [K]";
        let file = TensorFile::open(path, expected)?;
        let &[classes, neurons] = file.shape(Self::WEIGHT)? else {
            let found = file.shape(Self::WEIGHT)?;
            let reason = format!("'weight' has shape {found:?}, expected [classes, neurons]");
            return Err(file.refuse(reason));
        };
        if neurons == 0 {
            let reason = format!("'weight' has shape [{classes}, 0], expected at least one neuron");
            return Err(file.refuse(reason));
        }
        let weight = file.f32(Self::WEIGHT, &[classes, neurons])?;
        let weight = Array2::from_shape_vec((classes, neurons), weight);
        let weight = weight.map_err(|error| file.refuse(error))?;
        let bias = match file.has_tensor(Self::BIAS) {
            true => file.f32(Self::BIAS, &[classes])?.into(),
            false => Array1::zeros(classes),
        };
        Self::new(weight, bias).map_err(|error| file.blame(error))
    }

    /// Writes the layer as safetensors: `weight` `[K, D]` and `bias` `[K]` f32. In Python,
    /// `head.load_state_dict(safetensors.torch.load_file(path))` puts it into a `torch.nn.Linear`.
    ///
    /// # Errors
    ///
    /// [`Error::Write`]; what stood at `path` before is then untouched.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let shape = [self.classes(), self.neurons()];
        let weight = self.weight.iter().copied();
        let bias = self.bias.iter().copied();
        let tensors = [
            NamedTensor::f32(Self::WEIGHT, shape, weight),
            NamedTensor::f32(Self::BIAS, [self.classes()], bias),
        ];
        write_safetensors(path, &tensors, None)
    }

    /// Reads a Burn linear layer, whose weight is `[D, K]`; a missing bias counts as zero.
    ///
    /// # Errors
    ///
    /// When the tensors cannot be read from their device, or as in [`new`](Self::new).
    pub fn from_linear(linear: &Linear) -> Result<Self> {
        let [neurons, classes] = linear.weight.dims();
        let weight = read_back(linear.weight.val(), "the decision layer's weight")?;
        let found = weight.len();
        let weight = Array2::from_shape_vec((neurons, classes), weight).map_err(|_| {
            Error::length("weights of the decision layer", neurons * classes, found)
        })?;
        let bias = match &linear.bias {
            Some(bias) => read_back(bias.val(), "the decision layer's bias")?.into(),
            None => Array1::zeros(classes),
        };
        Self::new(weight.reversed_axes(), bias)
    }

    /// Puts the layer in place of a head of the same size, on the head's device.
    ///
    /// This is what [`Classifier::set_decision_layer`](crate::Classifier::set_decision_layer) has
    /// to do. A head without a bias stays without one as long as this layer's is zero, and otherwise
    /// gets one like its weight. What else the head's parameters are stays too: their ids, whether
    /// they require gradients, their number format (to which this layer is rounded) and the layout
    /// they are stored in.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when the head has another number of neurons or classes; it is then as it
    /// was.
    pub fn replace(&self, head: &mut Linear) -> Result<()> {
        let [neurons, classes] = head.weight.dims();
        let (expected, found) = ([classes, neurons], [self.classes(), self.neurons()]);
        if expected != found {
            let what = "decision layer, [classes, neurons]";
            return Err(Error::shape(what, expected, found));
        }
        let device = head.weight.val().device();
        let weight = self.weight_on(&device).transpose();
        head.weight = in_place_of(head.weight.clone(), weight);
        let bias = self.bias_on(&device);
        head.bias = match head.bias.take() {
            Some(old) => Some(in_place_of(old, bias)),
            None if self.bias.iter().all(|&value| value == 0.0) => None,
            None => {
                let weight = head.weight.val();
                let bias = Param::from_tensor(bias.cast(weight.dtype()));
                Some(bias.set_require_grad(weight.is_require_grad()))
            }
        };
        Ok(())
    }

    /// `W` on a device: `[K, D]`.
    pub fn weight_on(&self, device: &Device) -> Tensor<2> {
        let data = self.weight.iter().copied().collect();
        Tensor::from_data(
            TensorData::new(data, [self.classes(), self.neurons()]),
            device,
        )
    }

    /// `b` on a device: `[K]`.
    pub fn bias_on(&self, device: &Device) -> Tensor<1> {
        Tensor::from_data(
            TensorData::new(self.bias.to_vec(), [self.classes()]),
            device,
        )
    }

    /// Number of classes `K`.
    pub fn classes(&self) -> usize {
        self.weight.nrows()
    }

    /// Number of neurons `D`.
    pub fn neurons(&self) -> usize {
        self.weight.ncols()
    }

    /// `W`: `[K, D]`, in standard layout.
    pub fn weight(&self) -> ArrayView2<'_, f32> {
        self.weight.view()
    }

    /// `b`: `[K]`.
    pub fn bias(&self) -> ArrayView1<'_, f32> {
        self.bias.view()
    }

    /// The logits of a table of features.
    ///
    /// # Shapes
    ///
    /// `[N, D]` to `[N, K]`.
    ///
    /// # Errors
    ///
    /// When the features have another width than `D`.
    pub fn logits(&self, features: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        self.check_width(features)?;
        Ok(features.dot(&self.weight.t()) + &self.bias)
    }

    fn check_width(&self, features: ArrayView2<'_, f32>) -> Result<()> {
        if features.ncols() != self.neurons() {
            return Err(Error::shape(
                "features",
                ["N", &self.neurons().to_string()],
                features.shape(),
            ));
        }
        Ok(())
    }

    /// The class of largest logit for each row; the lowest index among equals.
    ///
    /// # Errors
    ///
    /// As [`logits`](Self::logits).
    pub fn predict(&self, features: ArrayView2<'_, f32>) -> Result<Vec<ClassId>> {
        let rows = self.rows_at_once();
        let mut classes = Vec::with_capacity(features.nrows());
        self.check_width(features)?;
        for chunk in features.axis_chunks_iter(Axis(0), rows) {
            let logits = self.logits(chunk)?;
            classes.extend(logits.rows().into_iter().map(|row| ClassId(largest(row))));
        }
        Ok(classes)
    }

    /// Samples that logits are computed of at a time: of all at once they would be `4 N K` bytes. What is said of a
    /// sample may depend, in the last bits, on those beside it: by tables in memory and in files the same are.
    pub(crate) fn rows_at_once(&self) -> usize {
        let by_logits = Self::LOGITS_AT_ONCE / self.classes().max(1);
        let by_features = Self::FEATURES_AT_ONCE / self.neurons().max(1);
        by_logits.min(by_features).max(64)
    }

    /// Checks that a class exists.
    ///
    /// # Errors
    ///
    /// [`Error::ClassOutOfRange`].
    pub fn check_class(&self, class: ClassId) -> Result<()> {
        class.check(self.classes())
    }

    /// Checks that a neuron exists.
    ///
    /// # Errors
    ///
    /// [`Error::NeuronOutOfRange`].
    pub fn check_neuron(&self, neuron: NeuronId) -> Result<()> {
        neuron.check(self.neurons())
    }

    /// SHA-256 over the shape and the exact bits of the weights, in hexadecimal: two layers with
    /// the same hash decide alike.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for size in [self.classes(), self.neurons()] {
            hash.update((size as u64).to_le_bytes());
        }
        for value in self.weight.iter().chain(&self.bias) {
            hash.update(value.to_le_bytes());
        }
        hexadecimal(&hash.finalize())
    }
}

/// The parameter with another value, and nothing else changed.
fn in_place_of<const R: usize>(parameter: Param<Tensor<R>>, value: Tensor<R>) -> Param<Tensor<R>> {
    parameter.map(|old| {
        let value = value.cast(old.dtype());
        value.set_require_grad(old.is_require_grad())
    })
}

fn largest(row: ArrayView1<'_, f32>) -> usize {
    let mut best = 0;
    for (index, &value) in row.indexed_iter() {
        if value > row[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests;
