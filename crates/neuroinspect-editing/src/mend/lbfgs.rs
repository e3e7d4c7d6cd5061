//! L-BFGS, for smooth convex functions.

use std::collections::VecDeque;

use crate::Result;

const HISTORY: usize = 10;
const ITERATIONS: usize = 80;
const DECREASE: f64 = 1e-7;

/// Where a function is least, from `x` on: at most 80 iterations, until one lowers its value by less
/// than 1e-7 of it, or of 1 where it is smaller (Liu and Nocedal 1989, with backtracking).
pub(super) fn minimise(
    mut x: Vec<f64>,
    mut value_and_gradient: impl FnMut(&[f64]) -> Result<(f64, Vec<f64>)>,
) -> Result<Vec<f64>> {
    let (mut value, mut gradient) = value_and_gradient(&x)?;
    // Steps, changes of the gradient, and their inner products.
    let mut history: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::new();
    for _ in 0..ITERATIONS {
        let mut direction = descent(&gradient, &history);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            history.clear();
            direction = gradient.iter().map(|it| -it).collect();
            slope = dot(&direction, &gradient);
        }
        let first = dot(&gradient, &gradient).sqrt().recip().min(1.0);
        let mut length = if history.is_empty() { first } else { 1.0 };
        let mut moved = None;
        for _ in 0..20 {
            let there: Vec<f64> = x
                .iter()
                .zip(&direction)
                .map(|(x, d)| x + length * d)
                .collect();
            let (new, new_gradient) = value_and_gradient(&there)?;
            if new <= value + 1e-4 * length * slope {
                moved = Some((there, new, new_gradient));
                break;
            }
            length /= 2.0;
        }
        // As low as rounding lets it come.
        let Some((there, new, new_gradient)) = moved else {
            break;
        };
        let step = difference(&there, &x);
        let change = difference(&new_gradient, &gradient);
        let product = dot(&step, &change);
        if product > 1e-10 * dot(&change, &change) {
            if history.len() == HISTORY {
                history.pop_front();
            }
            history.push_back((step, change, product));
        }
        let decrease = value - new;
        (x, value, gradient) = (there, new, new_gradient);
        if decrease <= DECREASE * value.abs().max(1.0) {
            break;
        }
    }
    Ok(x)
}

/// Minus the inverse Hessian, as far as the history tells it, times the gradient.
fn descent(gradient: &[f64], history: &VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|it| -it).collect();
    let mut shares = Vec::with_capacity(history.len());
    for (step, change, product) in history.iter().rev() {
        let share = dot(step, &direction) / product;
        add(&mut direction, change, -share);
        shares.push(share);
    }
    if let Some((_, change, product)) = history.back() {
        let scale = product / dot(change, change);
        direction.iter_mut().for_each(|it| *it *= scale);
    }
    for ((step, change, product), share) in history.iter().zip(shares.into_iter().rev()) {
        let times = share - dot(change, &direction) / product;
        add(&mut direction, step, times);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn add(to: &mut [f64], what: &[f64], times: f64) {
    to.iter_mut()
        .zip(what)
        .for_each(|(to, what)| *to += times * what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_valley_is_walked_to_its_end() {
        // A quadratic whose curvatures differ by 10^4, least at (3, -2, 1).
        let curvatures = [1.0, 100.0, 1e4];
        let least = [3.0, -2.0, 1.0];
        let mut evaluations = 0;
        let found = minimise(vec![0.0; 3], |x| {
            evaluations += 1;
            let away: Vec<f64> = difference(x, &least);
            let gradient: Vec<f64> = away.iter().zip(curvatures).map(|(x, c)| c * x).collect();
            Ok((dot(&away, &gradient) / 2.0, gradient))
        });
        for (found, least) in found.unwrap().into_iter().zip(least) {
            assert!((found - least).abs() < 1e-3, "{found} for {least}");
        }
        assert!(evaluations < 60, "{evaluations}");
    }
}
