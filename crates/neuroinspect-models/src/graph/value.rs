//! What flows along the edges of a graph.

use burn::tensor::{DType, Device, Int, Tensor};

/// A tensor of whatever rank: one value of a graph.
#[derive(Clone, Debug)]
pub enum Value {
    /// `[a]`.
    Rank1(Tensor<1>),
    /// `[N, D]`, features or logits.
    Rank2(Tensor<2>),
    /// `[N, T, C]`, tokens.
    Rank3(Tensor<3>),
    /// `[N, C, h, w]`, images or a map.
    Rank4(Tensor<4>),
    /// `[a, b, c, d, e]`.
    Rank5(Tensor<5>),
    /// `[a, b, c, d, e, f]`.
    Rank6(Tensor<6>),
    /// `[N, T]` integers: the tokens of texts.
    Ids(Tensor<2, Int>),
}

/// Evaluates one expression of a float tensor of any rank, another of integers.
macro_rules! any_rank {
    ($value:expr, $x:ident => $floats:expr, $ids:ident => $integers:expr) => {
        match $value {
            $crate::graph::Value::Rank1($x) => $floats,
            $crate::graph::Value::Rank2($x) => $floats,
            $crate::graph::Value::Rank3($x) => $floats,
            $crate::graph::Value::Rank4($x) => $floats,
            $crate::graph::Value::Rank5($x) => $floats,
            $crate::graph::Value::Rank6($x) => $floats,
            $crate::graph::Value::Ids($ids) => $integers,
        }
    };
}
pub(super) use any_rank;

/// Applies an expression to a float tensor of any rank, and wraps what comes out.
macro_rules! each_rank {
    ($value:expr, $x:ident => $body:expr) => {
        $crate::graph::value::any_rank!(
            $value,
            $x => Ok($crate::graph::Value::from($body)),
            _ids => Err("expected floats, found the integers of tokens".to_owned())
        )
    };
}
pub(super) use each_rank;

/// A tensor of the rank that a length says, out of one that is reshaped.
macro_rules! reshaped {
    ($x:expr, $shape:expr) => {{
        let (x, shape): (_, &[usize]) = ($x, $shape);
        match *shape {
            [a] => Ok($crate::graph::Value::from(x.reshape([a]))),
            [a, b] => Ok($crate::graph::Value::from(x.reshape([a, b]))),
            [a, b, c] => Ok($crate::graph::Value::from(x.reshape([a, b, c]))),
            [a, b, c, d] => Ok($crate::graph::Value::from(x.reshape([a, b, c, d]))),
            [a, b, c, d, e] => Ok($crate::graph::Value::from(x.reshape([a, b, c, d, e]))),
            [a, b, c, d, e, f] => Ok($crate::graph::Value::from(x.reshape([a, b, c, d, e, f]))),
            _ => Err(format!("expected rank 1 to 6, found {shape:?}")),
        }
    }};
}

impl Value {
    /// The sizes along the axes.
    pub fn dims(&self) -> Vec<usize> {
        any_rank!(self, x => x.dims().to_vec(), ids => ids.dims().to_vec())
    }

    /// The device it is on.
    pub fn device(&self) -> Device {
        any_rank!(self, x => x.device(), ids => ids.device())
    }

    /// The number format of floats; none of integers.
    pub(super) fn dtype(&self) -> Option<DType> {
        any_rank!(self, x => Some(x.dtype()), _ids => None)
    }

    /// The same numbers in another shape, of 1 to 6 axes and as many elements.
    pub(super) fn reshape(self, shape: &[usize]) -> Result<Self, String> {
        any_rank!(
            self,
            x => reshaped!(x, shape),
            _ids => Err("expected floats, found the integers of tokens".to_owned())
        )
    }

    /// With axes of size 1 in front, so that there are `rank`.
    pub(super) fn with_rank(self, rank: usize) -> Result<Self, String> {
        let dims = self.dims();
        if dims.len() >= rank {
            return Ok(self);
        }
        let ones = vec![1; rank - dims.len()];
        self.reshape(&[ones, dims].concat())
    }

    fn wrong(&self, expected: &str) -> String {
        format!("expected {expected}, found {:?}", self.dims())
    }
}

/// From and into tensors of one rank.
macro_rules! rank {
    ($variant:ident, $rank:literal, $getter:ident, $expected:literal) => {
        impl From<Tensor<$rank>> for Value {
            fn from(tensor: Tensor<$rank>) -> Self {
                Self::$variant(tensor)
            }
        }

        impl Value {
            #[doc = concat!("The tensor of ", $expected, ".")]
            ///
            /// # Errors
            ///
            /// What was expected and found, when it is another one.
            pub fn $getter(self) -> Result<Tensor<$rank>, String> {
                match self {
                    Self::$variant(tensor) => Ok(tensor),
                    other => Err(other.wrong($expected)),
                }
            }
        }
    };
}
rank!(Rank1, 1, rank1, "one axis");
rank!(Rank2, 2, rank2, "two axes");
rank!(Rank3, 3, rank3, "three axes");
rank!(Rank4, 4, rank4, "four axes");
rank!(Rank5, 5, rank5, "five axes");
rank!(Rank6, 6, rank6, "six axes");

impl From<Tensor<2, Int>> for Value {
    fn from(ids: Tensor<2, Int>) -> Self {
        Self::Ids(ids)
    }
}

impl Value {
    /// The integers of texts' tokens.
    ///
    /// # Errors
    ///
    /// What was expected and found, when it holds floats.
    pub fn ids(self) -> Result<Tensor<2, Int>, String> {
        match self {
            Self::Ids(ids) => Ok(ids),
            other => Err(other.wrong("the integers of tokens")),
        }
    }
}
