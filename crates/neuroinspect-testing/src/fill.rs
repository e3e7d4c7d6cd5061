//! Values made by a formula: the same on every machine, so that nobody stores them.

use std::collections::BTreeMap;

use neuroinspect_core::Seed;
use rand_distr::{Distribution, StandardNormal};

use crate::files::Tensors;

/// `len` numbers in `[0, 1)` out of a name (FNV-1a) and the flat index (a 32-bit mixer).
///
/// The goldens' scripts have the same formula (`formula` in `tools/golden_classifiers.py`): a
/// change here is a change there.
pub fn formula(name: &str, len: usize) -> impl Iterator<Item = f64> {
    let seed = name.bytes().fold(0x811C_9DC5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (0..len as u32).map(move |index| {
        let mut x = seed.wrapping_add(index.wrapping_mul(0x9E37_79B1));
        x = (x ^ (x >> 16)).wrapping_mul(0x7FEB_352D);
        x = (x ^ (x >> 15)).wrapping_mul(0x846C_A68B);
        x ^= x >> 16;
        f64::from(x >> 8) / f64::from(1 << 24)
    })
}

/// The values of the weight `name` of shape `shape`, after its kind; as `weight` in
/// `tools/golden_classifiers.py`.
///
/// Running variances are in `[0.5, 1.5)`, scales of a normalisation or a layer in `[0.25, 1.25)`, other
/// vectors in `[-0.1, 0.1)`, and matrices and filters uniform with variance `2 / fan_in`.
pub fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let vector = shape.len() == 1;
    let fan_in: usize = shape.iter().skip(1).product();
    formula(name, shape.iter().product())
        .map(|u| {
            let value = if name.ends_with("running_var") {
                0.5 + u
            } else if vector && ["weight", "gamma"].iter().any(|it| name.ends_with(it)) {
                0.25 + u
            } else if vector {
                0.2 * u - 0.1
            } else {
                (2.0 * u - 1.0) * (6.0 / fan_in as f64).sqrt()
            };
            value as f32
        })
        .collect()
}

/// [`weight`] for each of the tensors of a module, whose names and shapes `neuroinspect-models` tells
/// (`parameter_shapes`).
///
/// Tests that run side by side share the generator of a device, and a parameter is drawn when it is
/// first read: a seed gives the same weights twice only where no other test draws.
pub fn made_up_weights(shapes: BTreeMap<String, Vec<usize>>) -> Tensors {
    let made = |(name, shape): (String, Vec<usize>)| {
        let values = weight(&name, &shape);
        (name, (shape, values))
    };
    shapes.into_iter().map(made).collect()
}

/// `count` standard normal values, drawn for `name`.
pub fn normal(name: &str, count: usize) -> Vec<f32> {
    let rng = Seed(0).rng(name, &[]);
    StandardNormal.sample_iter(rng).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert_close;

    #[test]
    fn the_formula_is_that_of_the_scripts() {
        // Printed by `formula` of tools/golden_classifiers.py; in units of 2^-24.
        let units = |value: f64| (value * f64::from(1 << 24)) as u32;
        let ours: Vec<u32> = formula("conv1.weight", 4).map(units).collect();
        assert_eq!(ours, [4135106, 12375468, 2787329, 5914280]);
    }

    #[test]
    fn weights_are_after_their_kind() {
        let within = |name: &str, shape: &[usize], low: f32, high: f32| {
            let values = weight(name, shape);
            assert_eq!(values.len(), shape.iter().product::<usize>());
            assert!(values.iter().all(|value| (low..high).contains(value)));
            let spread = values
                .iter()
                .fold(0.0_f32, |most, value| most.max((value - values[0]).abs()));
            assert!(spread > (high - low) / 2.0, "{name}: {spread}");
        };
        within("bn1.running_var", &[64], 0.5, 1.5);
        within("bn1.weight", &[64], 0.25, 1.25);
        within("bn1.bias", &[64], -0.1, 0.1);
        within("conv.weight", &[4, 6, 1, 1], -1.0, 1.0);
    }

    #[test]
    fn normal_values_depend_on_the_name_alone() {
        let values = normal("a", 4000);
        assert_eq!(values[..10], normal("a", 10));
        assert_ne!(values[..10], normal("b", 10));
        let mean = values.iter().sum::<f32>() / 4000.0;
        let variance = values.iter().map(|value| value * value).sum::<f32>() / 4000.0;
        // Four standard errors of 1 / sqrt(4000) and sqrt(2 / 4000).
        assert_close([mean, variance], [0.0, 1.0], 0.0, 0.09);
    }
}
