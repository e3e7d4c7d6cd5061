//! Comparing numbers with a tolerance.

use burn::tensor::Tensor;
use ndarray::{ArrayBase, Data, Dimension};

/// Numbers that can be compared: `f32` and `f64`, slices, vectors and arrays of them, tensors.
pub trait Values {
    /// The size of each axis; none for a single number.
    fn shape(&self) -> Vec<usize>;

    /// All values in row-major order.
    fn values(&self) -> Vec<f64>;
}

macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl Values for $number {
            fn shape(&self) -> Vec<usize> {
                Vec::new()
            }

            fn values(&self) -> Vec<f64> {
                vec![f64::from(*self)]
            }
        }
    )+};
}

numbers!(f32, f64);

impl<T: Copy + Into<f64>> Values for [T] {
    fn shape(&self) -> Vec<usize> {
        vec![self.len()]
    }

    fn values(&self) -> Vec<f64> {
        self.iter().copied().map(T::into).collect()
    }
}

impl<T: Copy + Into<f64>> Values for Vec<T> {
    fn shape(&self) -> Vec<usize> {
        self.as_slice().shape()
    }

    fn values(&self) -> Vec<f64> {
        self.as_slice().values()
    }
}

impl<T: Copy + Into<f64>, const N: usize> Values for [T; N] {
    fn shape(&self) -> Vec<usize> {
        self.as_slice().shape()
    }

    fn values(&self) -> Vec<f64> {
        self.as_slice().values()
    }
}

impl<S: Data<Elem: Copy + Into<f64>>, D: Dimension> Values for ArrayBase<S, D> {
    fn shape(&self) -> Vec<usize> {
        ArrayBase::shape(self).to_vec()
    }

    fn values(&self) -> Vec<f64> {
        self.iter().copied().map(S::Elem::into).collect()
    }
}

impl<const R: usize> Values for Tensor<R> {
    fn shape(&self) -> Vec<usize> {
        self.dims().to_vec()
    }

    fn values(&self) -> Vec<f64> {
        let values: Vec<f32> = self.clone().try_into_vec_as().unwrap();
        values.values()
    }
}

impl<V: Values + ?Sized> Values for &V {
    fn shape(&self) -> Vec<usize> {
        (**self).shape()
    }

    fn values(&self) -> Vec<f64> {
        (**self).values()
    }
}

/// Compares values: each may be `absolute + relative * |expected|` off.
///
/// Equal infinities are equal; NaN is equal to nothing, itself included. Values in a line (a slice)
/// are compared with those of any shape; where both have several axes, these must be the same.
///
/// # Errors
///
/// What differs: the first element that is further off, or the shapes; also where there is nothing to
/// compare, so that the comparison could not fail.
pub fn compare(
    ours: impl Values,
    expected: impl Values,
    relative: f64,
    absolute: f64,
) -> Result<(), String> {
    let (shape, other) = (ours.shape(), expected.shape());
    let (ours, expected) = (ours.values(), expected.values());
    let several_axes = shape.len() > 1 && other.len() > 1;
    if ours.len() != expected.len() || (several_axes && shape != other) {
        return Err(format!("shape {shape:?} instead of {other:?}"));
    }
    if ours.is_empty() {
        return Err("there are no values to compare".to_owned());
    }
    let within = |position: &usize| {
        let (ours, expected) = (ours[*position], expected[*position]);
        let difference = (ours - expected).abs();
        // Next to an infinity the tolerance may be infinite, too.
        let allowed = absolute + relative * expected.abs();
        ours == expected || (difference.is_finite() && difference <= allowed)
    };
    let failing: Vec<usize> = (0..ours.len()).filter(|at| !within(at)).collect();
    let Some(&first) = failing.first() else {
        return Ok(());
    };
    let shape = if other.len() > 1 { other } else { shape };
    Err(format!(
        "element {:?} is {} instead of {}; {} of {} values differ, by {:e} at most",
        index_in(&shape, first),
        ours[first],
        expected[first],
        failing.len(),
        ours.len(),
        largest_difference(&ours, &expected),
    ))
}

/// [`compare`], and panics with what differs.
///
/// Say beside the call why the tolerance is what it is: how many roundings of what size, or the
/// measured distance between two runs of the reference.
///
/// # Panics
///
/// When the values differ by more than allowed.
#[track_caller]
pub fn assert_close(ours: impl Values, expected: impl Values, relative: f64, absolute: f64) {
    if let Err(difference) = compare(ours, expected, relative, absolute) {
        panic!("{difference}");
    }
}

/// The largest absolute difference; infinite where the numbers of values differ or one is NaN.
pub fn largest_difference(ours: impl Values, expected: impl Values) -> f64 {
    let (ours, expected) = (ours.values(), expected.values());
    if ours.len() != expected.len() {
        return f64::INFINITY;
    }
    let difference = |(ours, expected): (&f64, &f64)| {
        let difference = (ours - expected).abs();
        match (ours == expected, difference.is_nan()) {
            (true, _) => 0.0,
            (false, true) => f64::INFINITY,
            (false, false) => difference,
        }
    };
    ours.iter()
        .zip(&expected)
        .map(difference)
        .fold(0.0, f64::max)
}

/// Where the value at `position` in row-major order is.
fn index_in(shape: &[usize], mut position: usize) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&size| {
            let at = position % size;
            position /= size;
            at
        })
        .collect();
    index.reverse();
    index
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ndarray::{Array3, array};

    use super::*;

    #[test]
    fn a_value_may_be_off_by_both_tolerances_together() {
        assert_eq!(compare(10.5, 10.0, 0.04, 0.1), Ok(()));
        assert!(compare(10.5, 10.0, 0.03, 0.1).is_err());
        assert!(compare(10.5, 10.0, 0.0, 0.4).is_err());
        // Relative to what is expected, whatever its sign.
        assert_eq!(compare(-11.0, -10.0, 0.1, 0.0), Ok(()));
        assert!(compare(0.1, 0.0, 0.5, 0.0).is_err());
    }

    #[test]
    fn the_first_element_that_differs_is_named() {
        let expected = Array3::<f32>::zeros((2, 3, 4));
        let mut ours = expected.clone();
        ours[[1, 0, 2]] = 0.5;
        ours[[1, 2, 3]] = -2.0;
        let message =
            "element [1, 0, 2] is 0.5 instead of 0; 2 of 24 values differ, by 2e0 at most";
        let refused = Err(message.to_owned());
        assert_eq!(compare(&ours, &expected, 0.0, 0.25), refused);
        // The same out of a plain list and out of a tensor.
        let list: Vec<f32> = ours.iter().copied().collect();
        assert_eq!(compare(&list, &expected, 0.0, 0.25), refused);
        let tensor = Tensor::<1>::from_data(list.as_slice(), &Device::flex()).reshape([2, 3, 4]);
        assert_eq!(compare(tensor, &expected, 0.0, 0.25), refused);
    }

    #[test]
    fn shapes_and_numbers_of_values_must_be_the_same() {
        let wide = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let tall = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
        let refused = Err("shape [3, 2] instead of [2, 3]".to_owned());
        assert_eq!(compare(&tall, &wide, 0.0, 0.0), refused);
        assert_close([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &wide, 0.0, 0.0);
        assert!(compare([1.0, 2.0], [1.0, 2.0, 3.0], 0.0, 9.0).is_err());
        let nothing: [f32; 0] = [];
        assert!(compare(nothing, nothing, 0.0, 9.0).is_err());
        assert_eq!(largest_difference([1.0], [1.0, 2.0]), f64::INFINITY);
    }

    #[test]
    fn what_is_no_number_is_close_to_nothing() {
        for (ours, expected) in [
            (f64::NAN, f64::NAN),
            (f64::NAN, 0.0),
            (0.0, f64::NAN),
            (f64::INFINITY, f64::NEG_INFINITY),
            (0.0, f64::INFINITY),
        ] {
            assert!(
                compare(ours, expected, 0.1, 1e9).is_err(),
                "{ours} {expected}"
            );
            assert_eq!(largest_difference(ours, expected), f64::INFINITY);
        }
        assert_eq!(compare(f32::INFINITY, f32::INFINITY, 0.0, 0.0), Ok(()));
        assert_eq!(largest_difference([1.0, 5.0], [1.5, 3.0_f32]), 2.0);
    }

    #[test]
    #[should_panic(expected = "element [1] is 2 instead of 3")]
    fn an_assertion_fails_with_what_differs() {
        assert_close([1.0, 2.0], [1.0, 3.0], 0.0, 0.5);
    }
}
