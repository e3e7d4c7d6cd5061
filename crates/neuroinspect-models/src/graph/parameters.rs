//! The weights of a graph.

#[cfg(feature = "onnx")]
use burn::tensor::TensorData;
use burn::{
    module::{Flag, Param, RunningState},
    nn::Initializer,
    tensor::{Device, Tensor},
};

use super::ops::{MOST_ELEMENTS, product};

/// What a graph needs of a parameter before there is one: its name in checkpoints, its shape as
/// PyTorch lays it out, and its values before anything is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSpec {
    /// Name in checkpoints: the module path, then what it is there, as in `layer1.0.conv1.weight`.
    pub name: String,
    /// Shape, of 1 to 4 axes.
    pub shape: Vec<usize>,
    /// The values it starts with.
    pub initial: InitialValues,
}

/// The values of a parameter before any are loaded.
#[derive(Clone, Debug, PartialEq)]
pub enum InitialValues {
    /// Drawn from the device's generator when first used.
    Random {
        /// From what distribution.
        initializer: Initializer,
        /// Inputs that go into one output.
        fan_in: usize,
        /// Outputs that one input goes to.
        fan_out: usize,
    },
    /// One value everywhere, never trained: the running statistics of batch normalisation.
    Buffer {
        /// The value.
        value: f64,
    },
}

impl ParameterSpec {
    /// Checks that such a parameter can be made.
    pub(super) fn check(&self) -> Result<(), String> {
        let elements = product(self.shape.iter().copied())?;
        let most = match self.initial {
            // A buffer is allocated at once.
            InitialValues::Buffer { .. } => MOST_IN_BUFFER,
            InitialValues::Random { .. } => MOST_ELEMENTS,
        };
        match (1..=most).contains(&elements) {
            true => Ok(()),
            false => Err(wrong_shape(self, &format!("1 to {most} elements"))),
        }
    }
}

/// Most elements of a buffer, far above the number of channels of any network.
const MOST_IN_BUFFER: usize = 1 << 24;

impl InitialValues {
    /// Drawn from a distribution that depends on the number of inputs and outputs.
    pub fn random(initializer: Initializer, fan_in: usize, fan_out: usize) -> Self {
        Self::Random {
            initializer,
            fan_in,
            fan_out,
        }
    }

    /// All ones.
    pub fn ones() -> Self {
        Self::random(Initializer::Ones, 1, 1)
    }

    /// All zeros.
    pub fn zeros() -> Self {
        Self::random(Initializer::Zeros, 1, 1)
    }
}

/// PyTorch's start for linear layers: uniform within `1 / sqrt(inputs)`.
pub fn pytorch_uniform() -> Initializer {
    Initializer::KaimingUniform {
        gain: 1.0 / 3f64.sqrt(),
        fan_out_only: false,
    }
}

/// He et al. 2015, by the outputs: what ResNets start from.
pub fn he_normal() -> Initializer {
    Initializer::KaimingNormal {
        gain: 2f64.sqrt(),
        fan_out_only: true,
    }
}

/// One weight, buffer or training flag of a network.
#[derive(Clone, Debug)]
pub(crate) enum Parameter {
    Rank1(Param<Tensor<1>>),
    Rank2(Param<Tensor<2>>),
    Rank3(Param<Tensor<3>>),
    Rank4(Param<Tensor<4>>),
    Buffer(RunningState<Tensor<1>>),
    /// Whether a batch normalisation takes part in training.
    Flag(Param<Flag>),
}

/// Does the same with a parameter of any kind.
macro_rules! each_parameter {
    ($parameter:expr, $x:ident => $body:expr) => {
        match $parameter {
            Parameter::Rank1($x) => $body,
            Parameter::Rank2($x) => $body,
            Parameter::Rank3($x) => $body,
            Parameter::Rank4($x) => $body,
            Parameter::Buffer($x) => $body,
            Parameter::Flag($x) => $body,
        }
    };
}

/// Does the same with a parameter of any kind, and wraps the outcome as that kind.
macro_rules! map_parameter {
    ($parameter:expr, $x:ident => $body:expr) => {
        match $parameter {
            Parameter::Rank1($x) => Parameter::Rank1($body),
            Parameter::Rank2($x) => Parameter::Rank2($body),
            Parameter::Rank3($x) => Parameter::Rank3($body),
            Parameter::Rank4($x) => Parameter::Rank4($body),
            Parameter::Buffer($x) => Parameter::Buffer($body),
            Parameter::Flag($x) => Parameter::Flag($body),
        }
    };
}
pub(super) use {each_parameter, map_parameter};

impl Parameter {
    /// A parameter with the values it starts with; drawn ones are drawn when first used.
    ///
    /// # Errors
    ///
    /// What is wrong with the shape: more than four axes, or a buffer of more than one.
    pub(super) fn new(spec: &ParameterSpec, device: &Device) -> Result<Self, String> {
        let InitialValues::Random {
            initializer,
            fan_in,
            fan_out,
        } = &spec.initial
        else {
            return Self::buffer(spec, device);
        };
        let (fan_in, fan_out) = (Some(*fan_in), Some(*fan_out));
        Ok(match spec.shape[..] {
            [a] => Self::Rank1(initializer.init_with([a], fan_in, fan_out, device)),
            [a, b] => Self::Rank2(initializer.init_with([a, b], fan_in, fan_out, device)),
            [a, b, c] => Self::Rank3(initializer.init_with([a, b, c], fan_in, fan_out, device)),
            [a, b, c, d] => {
                Self::Rank4(initializer.init_with([a, b, c, d], fan_in, fan_out, device))
            }
            _ => return Err(wrong_shape(spec, "1 to 4 axes")),
        })
    }

    /// A parameter with these values.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and for values of another shape.
    #[cfg(feature = "onnx")]
    pub(super) fn with_values(
        spec: &ParameterSpec,
        values: &TensorData,
        device: &Device,
    ) -> Result<Self, String> {
        if values.shape().as_slice() != spec.shape {
            return Err(wrong_shape(
                spec,
                &format!("values of shape {:?}", values.shape()),
            ));
        }
        let values = values.clone();
        Ok(match (&spec.initial, spec.shape.len()) {
            (InitialValues::Buffer { .. }, 1) => {
                Self::Buffer(RunningState::new(Tensor::from_data(values, device)))
            }
            (_, 1) => Self::Rank1(Param::from_data(values, device)),
            (_, 2) => Self::Rank2(Param::from_data(values, device)),
            (_, 3) => Self::Rank3(Param::from_data(values, device)),
            (_, 4) => Self::Rank4(Param::from_data(values, device)),
            _ => return Err(wrong_shape(spec, "1 to 4 axes")),
        })
    }

    fn buffer(spec: &ParameterSpec, device: &Device) -> Result<Self, String> {
        match (&spec.initial, &spec.shape[..]) {
            (&InitialValues::Buffer { value }, &[length]) => Ok(Self::Buffer(RunningState::new(
                Tensor::full([length], value, device),
            ))),
            _ => Err(wrong_shape(spec, "one axis")),
        }
    }
}

fn wrong_shape(spec: &ParameterSpec, expected: &str) -> String {
    let ParameterSpec { name, shape, .. } = spec;
    format!("parameter '{name}': expected {expected}, found shape {shape:?}")
}
