//! Values that are known before an image is: weights, and the arithmetic of shapes.

use ndarray::{ArrayD, Axis, IxDyn, Zip};

/// Most elements of a value that is made on the way, as by repeating another: far above what
/// shape arithmetic or an attention mask needs.
pub(super) const MOST_MADE: usize = 1 << 26;

/// An integer of shape arithmetic: so many, or so many for each image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) count: i64,
    pub(super) per_image: bool,
}

impl Size {
    pub(super) fn fixed(count: i64) -> Self {
        let per_image = false;
        Self { count, per_image }
    }

    /// The number, where it does not depend on how many images there are.
    pub(super) fn known(self) -> Result<i64, String> {
        match self.per_image {
            false => Ok(self.count),
            true => Err("expected a number that is the same for any number of images".to_owned()),
        }
    }

    pub(super) fn times(self, other: Self) -> Option<Self> {
        let per_image = self.per_image || other.per_image;
        let count = self.count.checked_mul(other.count)?;
        let both = self.per_image && other.per_image;
        (!both).then_some(Self { count, per_image })
    }

    /// The quotient; that of sizes per image only where nothing remains.
    pub(super) fn over(self, other: Self) -> Option<Self> {
        let count = self.count.checked_div(other.count)?;
        let exact = count.checked_mul(other.count)? == self.count;
        match (self.per_image, other.per_image) {
            (false, false) => Some(Self::fixed(count)),
            (per_image, other) if exact && (per_image || !other) => Some(Self {
                count,
                per_image: per_image && !other,
            }),
            _ => None,
        }
    }

    /// The sum by `sign`, 1 or -1, times the other.
    fn plus(self, other: Self, sign: i64) -> Option<Self> {
        let count = self.count.checked_add(other.count.checked_mul(sign)?)?;
        match (self, other) {
            (first, second) if first.per_image == second.per_image => Some(Self {
                count,
                per_image: first.per_image && count != 0,
            }),
            (Self { count: 0, .. }, second) => Some(Self { count, ..second }),
            (first, Self { count: 0, .. }) => Some(first),
            _ => None,
        }
    }
}

/// A tensor that is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Host {
    Ints(ArrayD<Size>),
    Floats(ArrayD<f32>),
    Bools(ArrayD<bool>),
}

/// Does the same with a tensor of any kind, and wraps the outcome as that kind.
macro_rules! map_host {
    ($host:expr, $x:ident => $body:expr) => {
        match $host {
            Host::Ints($x) => Host::Ints($body),
            Host::Floats($x) => Host::Floats($body),
            Host::Bools($x) => Host::Bools($body),
        }
    };
}

/// Arithmetic of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pairwise {
    Add,
    Sub,
    Mul,
    Div,
    /// The remainder, of the divisor's sign.
    Mod,
    /// The remainder, of the dividend's sign.
    Remainder,
    Min,
    Max,
    Pow,
}

/// A question about two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Host {
    /// Integers along one axis.
    pub(super) fn ints(values: Vec<Size>) -> Self {
        Self::Ints(ndarray::Array1::from(values).into_dyn())
    }

    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Self::Ints(x) => x.shape(),
            Self::Floats(x) => x.shape(),
            Self::Bools(x) => x.shape(),
        }
    }

    pub(super) fn floats(&self) -> Result<&ArrayD<f32>, String> {
        match self {
            Self::Floats(x) => Ok(x),
            other => Err(format!("expected floats, found {}", other.kind())),
        }
    }

    pub(super) fn bools(&self) -> Result<&ArrayD<bool>, String> {
        match self {
            Self::Bools(x) => Ok(x),
            other => Err(format!("expected truth values, found {}", other.kind())),
        }
    }

    /// All integers, in row-major order.
    pub(super) fn sizes(&self) -> Result<Vec<Size>, String> {
        match self {
            Self::Ints(x) => Ok(x.iter().copied().collect()),
            other => Err(format!("expected integers, found {}", other.kind())),
        }
    }

    /// All integers, none of which may depend on how many images there are.
    pub(super) fn numbers(&self) -> Result<Vec<i64>, String> {
        self.sizes()?.into_iter().map(Size::known).collect()
    }

    /// The only number, as a float.
    pub(super) fn scalar(&self) -> Option<f64> {
        match self {
            Self::Floats(x) if x.len() == 1 => x.first().map(|&x| f64::from(x)),
            Self::Ints(x) if x.len() == 1 => {
                x.first().filter(|x| !x.per_image).map(|x| x.count as f64)
            }
            _ => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Ints(_) => "integers",
            Self::Floats(_) => "floats",
            Self::Bools(_) => "truth values",
        }
    }

    pub(super) fn reshaped(&self, shape: &[usize]) -> Result<Self, String> {
        let found = self.shape().to_vec();
        let unfit =
            |_| format!("expected a shape of as many elements as {found:?} has, found {shape:?}");
        Ok(map_host!(self, x => {
            let values = x.iter().cloned().collect();
            ArrayD::from_shape_vec(IxDyn(shape), values).map_err(unfit)?
        }))
    }

    pub(super) fn permuted(&self, axes: &[usize]) -> Result<Self, String> {
        let rank = self.shape().len();
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            return Err(format!("expected each of {rank} axes once, found {axes:?}"));
        }
        Ok(map_host!(self, x => x.clone().permuted_axes(IxDyn(axes))))
    }

    /// These indices of an axis.
    pub(super) fn selected(&self, axis: usize, indices: &[usize]) -> Result<Self, String> {
        let size = self.shape().get(axis).copied();
        let size = size.ok_or_else(|| format!("there is no axis {axis} in {:?}", self.shape()))?;
        if let Some(index) = indices.iter().find(|index| **index >= size) {
            return Err(format!("expected indices below {size}, found {index}"));
        }
        let others = self.shape().iter().product::<usize>() / size.max(1);
        made([others, indices.len()])?;
        Ok(map_host!(self, x => x.select(Axis(axis), indices)))
    }

    pub(super) fn concatenated(parts: &[&Self], axis: usize) -> Result<Self, String> {
        let rank = parts.first().map_or(0, |part| part.shape().len());
        if axis >= rank || parts.iter().any(|part| part.shape().len() != rank) {
            return Err(format!(
                "expected values of as many axes each, and an axis {axis} among them"
            ));
        }
        macro_rules! concatenated {
            ($kind:ident) => {{
                let views = parts.iter().map(|part| match part {
                    Self::$kind(x) => Ok(x.view()),
                    other => Err(format!(
                        "expected values of one kind, found {}",
                        other.kind()
                    )),
                });
                let views = views.collect::<Result<Vec<_>, _>>()?;
                let joined = ndarray::concatenate(Axis(axis), &views);
                Ok(Self::$kind(joined.map_err(|error| error.to_string())?))
            }};
        }
        match parts.first() {
            Some(Self::Ints(_)) => concatenated!(Ints),
            Some(Self::Floats(_)) => concatenated!(Floats),
            Some(Self::Bools(_)) => concatenated!(Bools),
            None => Err("expected at least 1 value, found none".to_owned()),
        }
    }

    /// Repeated along axes of size 1, and with new axes in front.
    pub(super) fn expanded(&self, shape: &[usize]) -> Result<Self, String> {
        made(shape.iter().copied())?;
        let shape = broadcast(self.shape(), shape)?;
        Ok(
            map_host!(self, x => x.broadcast(IxDyn(&shape)).ok_or("its shape does not fit")?.to_owned()),
        )
    }

    /// Floats put together along axes by a function of two, which begins with the first.
    pub(super) fn reduced(
        &self,
        axes: &[usize],
        keep: bool,
        function: fn(f32, f32) -> f32,
    ) -> Result<Self, String> {
        let mut x = self.floats()?.clone();
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        axes.dedup();
        for axis in axes.into_iter().rev() {
            let first = x.shape().get(axis).is_some_and(|size| *size > 0);
            if !first {
                return Err(format!(
                    "expected an axis {axis} with elements, found {:?}",
                    x.shape()
                ));
            }
            x = x.map_axis(Axis(axis), |row| {
                row.iter().copied().reduce(function).unwrap_or(0.0)
            });
            if keep {
                x = x.insert_axis(Axis(axis));
            }
        }
        Ok(Self::Floats(x))
    }

    pub(super) fn pairwise(operation: Pairwise, a: &Self, b: &Self) -> Result<Self, String> {
        let shape = broadcast(a.shape(), b.shape())?;
        made(shape.iter().copied())?;
        match (a.expanded(&shape)?, b.expanded(&shape)?) {
            (Self::Floats(a), Self::Floats(b)) => Ok(Self::Floats(
                Zip::from(&a).and(&b).map_collect(|&a, &b| match operation {
                    Pairwise::Add => a + b,
                    Pairwise::Sub => a - b,
                    Pairwise::Mul => a * b,
                    Pairwise::Div => a / b,
                    Pairwise::Mod | Pairwise::Remainder => a % b,
                    Pairwise::Min => a.min(b),
                    Pairwise::Max => a.max(b),
                    Pairwise::Pow => a.powf(b),
                }),
            )),
            (Self::Ints(a), Self::Ints(b)) => {
                let pairs = a.iter().zip(&b);
                let values = pairs.map(|(&a, &b)| {
                    let value = integers(operation, a, b);
                    value.ok_or_else(|| {
                        format!("{operation:?} of {a:?} and {b:?} is no number of a shape")
                    })
                });
                let values = values.collect::<Result<Vec<_>, _>>()?;
                let values = ArrayD::from_shape_vec(IxDyn(&shape), values);
                values.map(Self::Ints).map_err(|error| error.to_string())
            }
            (a, b) => Err(format!(
                "expected numbers of one kind, found {} and {}",
                a.kind(),
                b.kind()
            )),
        }
    }

    pub(super) fn compared(question: Comparison, a: &Self, b: &Self) -> Result<Self, String> {
        let shape = broadcast(a.shape(), b.shape())?;
        made(shape.iter().copied())?;
        let answer = |order: Option<std::cmp::Ordering>| match question {
            Comparison::Equal => order.is_some_and(|it| it.is_eq()),
            Comparison::Less => order.is_some_and(|it| it.is_lt()),
            Comparison::LessOrEqual => order.is_some_and(|it| it.is_le()),
            Comparison::Greater => order.is_some_and(|it| it.is_gt()),
            Comparison::GreaterOrEqual => order.is_some_and(|it| it.is_ge()),
        };
        let answers = match (a.expanded(&shape)?, b.expanded(&shape)?) {
            (Self::Floats(a), Self::Floats(b)) => Zip::from(&a)
                .and(&b)
                .map_collect(|a, b| answer(a.partial_cmp(b))),
            (Self::Bools(a), Self::Bools(b)) => Zip::from(&a)
                .and(&b)
                .map_collect(|a, b| answer(a.partial_cmp(b))),
            (Self::Ints(a), Self::Ints(b)) => Zip::from(&a).and(&b).map_collect(|a, b| {
                // A size per image is taken for more than any other number.
                answer(Some((a.per_image, a.count).cmp(&(b.per_image, b.count))))
            }),
            _ => return Err("expected values of one kind".to_owned()),
        };
        Ok(Self::Bools(answers))
    }

    /// The first where the condition holds, else the second.
    pub(super) fn chosen(condition: &Self, a: &Self, b: &Self) -> Result<Self, String> {
        let shape = broadcast(&broadcast(condition.shape(), a.shape())?, b.shape())?;
        made(shape.iter().copied())?;
        let condition = condition.expanded(&shape)?;
        let condition = condition.bools()?;
        macro_rules! chosen {
            ($a:expr, $b:expr) => {
                Zip::from(condition)
                    .and(&$a)
                    .and(&$b)
                    .map_collect(|&condition, &a, &b| match condition {
                        true => a,
                        false => b,
                    })
            };
        }
        match (a.expanded(&shape)?, b.expanded(&shape)?) {
            (Self::Floats(a), Self::Floats(b)) => Ok(Self::Floats(chosen!(a, b))),
            (Self::Ints(a), Self::Ints(b)) => Ok(Self::Ints(chosen!(a, b))),
            (Self::Bools(a), Self::Bools(b)) => Ok(Self::Bools(chosen!(a, b))),
            _ => Err("expected values of one kind".to_owned()),
        }
    }
}

fn integers(operation: Pairwise, a: Size, b: Size) -> Option<Size> {
    let known = (!a.per_image && !b.per_image).then_some((a.count, b.count));
    match operation {
        Pairwise::Add => a.plus(b, 1),
        Pairwise::Sub => a.plus(b, -1),
        Pairwise::Mul => a.times(b),
        Pairwise::Div => a.over(b),
        Pairwise::Mod => known
            .and_then(|(a, b)| {
                let rest = a.checked_rem(b)?;
                let other_sign = rest != 0 && (rest < 0) != (b < 0);
                Some(if other_sign { rest + b } else { rest })
            })
            .map(Size::fixed),
        Pairwise::Remainder => known.and_then(|(a, b)| a.checked_rem(b)).map(Size::fixed),
        Pairwise::Pow => known
            .and_then(|(a, b)| a.checked_pow(u32::try_from(b).ok()?))
            .map(Size::fixed),
        // A size per image is taken for less than the largest numbers, which stand for "to the end".
        Pairwise::Min if a.per_image != b.per_image => Some(if a.per_image { a } else { b }),
        Pairwise::Max if a.per_image != b.per_image => None,
        Pairwise::Min => Some(if a.count <= b.count { a } else { b }),
        Pairwise::Max => Some(if a.count >= b.count { a } else { b }),
    }
}

/// The shape of two values combined number by number.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| {
        let missing = rank - shape.len();
        axis.checked_sub(missing).map_or(1, |axis| shape[axis])
    };
    let sizes = (0..rank).map(|axis| match (size(a, axis), size(b, axis)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => Err(format!(
            "expected shapes that go together, found {a:?} and {b:?}"
        )),
    });
    sizes.collect()
}

/// Checks that a value of these sizes may be made.
pub(super) fn made(sizes: impl IntoIterator<Item = usize>) -> Result<usize, String> {
    let mut sizes = sizes.into_iter();
    let elements = sizes.try_fold(1usize, |all, size| all.checked_mul(size));
    elements
        .filter(|elements| *elements <= MOST_MADE)
        .ok_or_else(|| format!("expected a constant of at most {MOST_MADE} elements, found more"))
}
