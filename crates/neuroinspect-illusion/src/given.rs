//! Pictures that something else made, looked at as those made here are.

use ndarray::{Array2, Array3, Axis, Slice};
use neuroinspect_core::Error as CoreError;

use crate::{Illusion, Pair, PreparedClassifier, Result, likeness::ranks_of_rows};

/// What a classifier makes of pictures that something else made.
#[derive(Clone, Debug)]
pub struct LookedAt {
    /// Activation, logit and probability of each; without a mask and steps.
    pub illusions: Vec<Illusion>,
    /// Its features of each: `[N, D]`.
    pub features: Array2<f32>,
}

impl PreparedClassifier {
    /// What it makes of pictures that something else made, each of a neuron within a class, so that
    /// [`RealImages`](crate::RealImages) can say how far they can be trusted.
    ///
    /// # Shapes
    ///
    /// Pictures `[3, S, S]` in `[0, 1]`, of any sides `S`.
    ///
    /// # Errors
    ///
    /// When there is no such neuron or class, a picture is not square, has other than three channels or is
    /// not finite, or the device fails.
    pub fn look_at(&self, pictures: Vec<(Pair, Array3<f32>)>) -> Result<LookedAt> {
        let layer = self.decision_layer();
        for (Pair { neuron, class }, image) in &pictures {
            neuron.check(layer.neurons())?;
            class.check(layer.classes())?;
            if let Some(&value) = image.iter().find(|value| !value.is_finite()) {
                let what = format!("the picture of neuron {neuron} for class {class}");
                return Err(CoreError::NotFinite { what, value }.into());
            }
        }
        let views: Vec<_> = pictures.iter().map(|(_, image)| image.view()).collect();
        let features = self.features_of(&views)?;
        let logits = layer.logits(features.view())?;
        let look = |(row, (pair, image)): (usize, (Pair, Array3<f32>))| {
            let logit = logits[[row, pair.class.0]];
            let shares = logits.row(row).mapv(|other| (other - logit).exp());
            Illusion {
                pair,
                unit: None,
                image,
                mask: None,
                activation: features[[row, pair.neuron.0]],
                logit,
                probability: shares.sum().recip(),
                clip_similarity: None,
                unmoved: None,
                agreement: None,
                steps: 0,
                trace: Vec::new(),
            }
        };
        let illusions = pictures.into_iter().enumerate().map(look).collect();
        Ok(LookedAt {
            illusions,
            features,
        })
    }
}

/// Shows `see` how like each two pictures are to a classifier, by its features `[N, D]`: Spearman's rank
/// correlation of the two rows, in `[-1, 1]`, as [`SeedAgreement`](crate::SeedAgreement) has it of the pictures of
/// one neuron. Of the two rows the first is the later one.
pub fn visit_likenesses(features: &Array2<f32>, mut see: impl FnMut([usize; 2], f32)) {
    let ranks = ranks_of_rows(features);
    for (row, own) in ranks.rows().into_iter().enumerate() {
        let before = ranks.slice_axis(Axis(0), Slice::from(0..row));
        for (other, likeness) in before.dot(&own).into_iter().enumerate() {
            see([row, other], likeness);
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::likeness::spearman;

    #[test]
    fn each_two_are_compared_once() {
        let features = array![
            [1.0, 2.0, 3.0, 4.0],
            [2.0, 1.0, 5.0, 9.0],
            [4.0, 3.0, 2.0, 1.0]
        ];
        let mut seen = Vec::new();
        visit_likenesses(&features, |rows, likeness| {
            let [one, other] = rows.map(|row| features.row(row).to_vec());
            assert!((likeness - spearman(&one, &other)).abs() < 1e-6, "{rows:?}");
            seen.push(rows);
        });
        assert_eq!(seen, [[1, 0], [2, 0], [2, 1]]);
        visit_likenesses(&Array2::zeros((0, 4)), |_, _| panic!("there is none"));
    }
}
