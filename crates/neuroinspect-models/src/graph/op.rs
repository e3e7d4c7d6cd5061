//! What a node does.

use super::{
    InitialValues, Value,
    ops::{
        Activation, AddPositions, ArgmaxPool, Attention, AvgPool2d, BatchNorm, Binary, Clamp,
        Concat, Conv2d, Embedding, Expand, Flatten, Gather, GlobalMean, GroupNorm, Identity,
        InstanceNorm, LayerNorm, Linear, MatMul, MaxPool2d, Pad, ParameterValue, Permute, Power,
        RectifiedConv2d, Reduce, Reshape, Scale, ScaledConv2d, Select, Shift, Slice, Softmax,
    },
    run::NodeParameters,
};

/// A parameter that an operation needs: its name within the node, its shape, its first values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    /// What follows the node's name, as `weight`.
    pub(crate) suffix: &'static str,
    /// Shape as PyTorch lays it out.
    pub(crate) shape: Vec<usize>,
    /// Its values before any are loaded.
    pub(crate) initial: InitialValues,
}

impl Slot {
    /// A parameter `suffix` of this shape.
    pub(super) fn new(
        suffix: &'static str,
        shape: impl Into<Vec<usize>>,
        initial: InitialValues,
    ) -> Self {
        Self {
            suffix,
            shape: shape.into(),
            initial,
        }
    }
}

/// One kind of operation: its parameters, the shape of its value, and the value.
///
/// Errors are texts that say what was expected and found; who calls adds the node's name.
pub(super) trait Operation {
    /// The parameters it needs for inputs of these shapes, in the order in which it reads them.
    fn parameters(&self, _inputs: &[&[usize]]) -> Result<Vec<Slot>, String> {
        Ok(Vec::new())
    }

    /// The shape of its value for inputs of these shapes.
    fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String>;

    /// Its value.
    fn apply(&self, inputs: Vec<Value>, parameters: &NodeParameters<'_>) -> Result<Value, String>;
}

/// Makes the enumeration of operations, each a structure of its configuration.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a node does: the operation with its configuration, as data.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Op {
            /// What goes into the graph, under the node's name.
            Input(Input),
            $($(#[$doc])* $name($name),)*
        }

        $(impl From<$name> for Op {
            fn from(operation: $name) -> Self {
                Self::$name(operation)
            }
        })*

        impl Op {
            /// The operation; none of what goes into the graph.
            pub(super) fn operation(&self) -> Option<&dyn Operation> {
                match self {
                    Self::Input(_) => None,
                    $(Self::$name(operation) => Some(operation),)*
                }
            }

            /// Its name in snake case: `conv2d`, `layer_norm`.
            pub fn kind(&self) -> String {
                snake_case(match self {
                    Self::Input(_) => "Input",
                    $(Self::$name(_) => stringify!($name),)*
                })
            }
        }
    };
}

#[cfg(feature = "onnx")]
impl Op {
    /// The parameters it needs for inputs of these shapes.
    pub(crate) fn parameters(&self, inputs: &[&[usize]]) -> Result<Vec<Slot>, String> {
        match self.operation() {
            Some(operation) => operation.parameters(inputs),
            None => Ok(Vec::new()),
        }
    }

    /// The shape of its value for inputs of these shapes.
    pub(crate) fn shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let operation = self.operation();
        let operation = operation.ok_or("an input has the shape that it is given")?;
        operation.shape(inputs)
    }
}

/// A name in camel case, in snake case.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// What goes into the graph: images or tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Sizes along the axes as the graph was built, without the first: how many images or texts
    /// there are is free.
    pub shape: Vec<usize>,
}

operations! {
    /// Convolution over height and width.
    Conv2d,
    /// Convolution by weights that are kept multiplied.
    ScaledConv2d,
    /// Convolution with a sum and a rectifier after it.
    RectifiedConv2d,
    /// A linear layer over the last axis.
    Linear,
    /// Batch normalisation.
    BatchNorm,
    /// Layer normalisation over the last axis.
    LayerNorm,
    /// Group normalisation.
    GroupNorm,
    /// Instance normalisation.
    InstanceNorm,
    /// Self-attention of several heads.
    Attention,
    /// A function of each number by itself.
    Activation,
    /// Softmax along an axis.
    Softmax,
    /// Largest value of a window.
    MaxPool2d,
    /// Mean of a window.
    AvgPool2d,
    /// Mean over height and width.
    GlobalMean,
    /// Sum, difference, product or quotient of two values.
    Binary,
    /// A value times a number.
    Scale,
    /// A value plus a number.
    Shift,
    /// A value to the power of a number.
    Power,
    /// A value within bounds.
    Clamp,
    /// One number of all along some axes.
    Reduce,
    /// Product of matrices.
    MatMul,
    /// Values side by side along an axis.
    Concat,
    /// Zeros around a value.
    Pad,
    /// The same numbers in another shape.
    Reshape,
    /// Axes joined to one.
    Flatten,
    /// Axes in another order.
    Permute,
    /// Part of an axis.
    Slice,
    /// One index of an axis, which goes.
    Select,
    /// Indices of an axis, in any order.
    Gather,
    /// A value repeated along its first axis, once for each image.
    Expand,
    /// Rows of a table, by number.
    Embedding,
    /// A table of positions added to tokens.
    AddPositions,
    /// Of each text the row where its tokens are highest.
    ArgmaxPool,
    /// A parameter as a value.
    ParameterValue,
    /// A value under another name.
    Identity,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_in_snake_case() {
        let operations: [Op; 4] = [
            LayerNorm::default().into(),
            MaxPool2d::new(2, 2).into(),
            MatMul {}.into(),
            Identity {}.into(),
        ];
        for (op, expected) in
            operations
                .iter()
                .zip(["layer_norm", "max_pool2d", "mat_mul", "identity"])
        {
            assert_eq!(op.kind(), expected);
        }
    }
}
