//! What a layer says of a sample, as far as choosing needs it: logits of every class, candidate and sample
//! would be larger than the features.

/// A layer's prediction for a sample, with any bias on the class asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// The logit of the class asked for; minus infinity where none is.
    asked: f32,
    /// The largest logit of the other classes, and the first class that has it.
    other: f32,
    other_class: u32,
    /// The cross-entropy, without a bias.
    pub(super) loss: f32,
}

impl Outcome {
    /// Of the logits `[K]` of a sample.
    pub(super) fn new(logits: &[f32], label: usize, class: Option<usize>) -> Self {
        let others = logits.iter().enumerate();
        let others = others.filter(|&(other, _)| Some(other) != class);
        let (other_class, other) = others.fold((0, f32::NEG_INFINITY), |most, (class, &logit)| {
            if logit > most.1 { (class, logit) } else { most }
        });
        let asked = class.map_or(f32::NEG_INFINITY, |class| logits[class]);
        let largest = other.max(asked);
        let sum: f64 = logits.iter().map(|it| f64::from(it - largest).exp()).sum();
        Self {
            asked,
            other,
            other_class: other_class as u32,
            loss: (sum.ln() - f64::from(logits[label] - largest)) as f32,
        }
    }

    /// The class of largest logit, the first among equals, with a bias on the class asked for.
    pub(super) fn predicted(&self, class: Option<usize>, bias: f64) -> usize {
        let (asked, other) = (self.asked + bias as f32, self.other_class as usize);
        match class {
            Some(class) if asked > self.other || (asked == self.other && class < other) => class,
            _ => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prediction_is_that_of_the_logits_with_the_bias() {
        let rows = [
            [0.5, 1.0, 1.0],
            [1.0, 0.25, 1.0],
            [-3.0, -2.0, -2.5],
            [0.0, 0.0, 0.0],
        ];
        for logits in rows {
            for class in [None, Some(0), Some(1), Some(2)] {
                for bias in [-1.0, -0.75, 0.0, 0.5, 0.75, 3.0_f64] {
                    let outcome = Outcome::new(&logits, 1, class);
                    let mut biased = logits;
                    if let Some(class) = class {
                        biased[class] += bias as f32;
                    }
                    let largest = biased
                        .iter()
                        .fold(f32::NEG_INFINITY, |most, it| most.max(*it));
                    let expected = biased.iter().position(|&it| it == largest);
                    let found = outcome.predicted(class, bias);
                    assert_eq!(Some(found), expected, "{logits:?} {class:?} {bias}");
                }
            }
        }
        // -ln(e^1 / (e^0.5 + 2 e^1))
        let loss = Outcome::new(&rows[0], 1, Some(2)).loss;
        assert!((loss - (0.5_f32.exp() + 2.0 * 1.0_f32.exp()).ln() + 1.0).abs() < 1e-6);
    }
}
