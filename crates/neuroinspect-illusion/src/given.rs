//! Pictures that something else made, looked at as those made here are.

use ndarray::Array3;
use neuroinspect_core::Error as CoreError;

use crate::{Illusion, Pair, PreparedClassifier, Result, likeness::spearman};

impl PreparedClassifier {
    /// What it makes of pictures that something else made, each of a neuron within a class: activation,
    /// logit and probability, so that [`RealImages`](crate::RealImages) can say how far they can be trusted.
    /// They have no mask and no steps.
    ///
    /// # Shapes
    ///
    /// Pictures `[3, S, S]` in `[0, 1]`, of any sides `S`.
    ///
    /// # Errors
    ///
    /// When there is no such neuron or class, a picture is not square, has other than three channels or is
    /// not finite, or the device fails.
    pub fn look_at(&self, pictures: Vec<(Pair, Array3<f32>)>) -> Result<Vec<Illusion>> {
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
        Ok(pictures.into_iter().enumerate().map(look).collect())
    }

    /// How like each two pictures are to it: Spearman's rank correlation over its features, as
    /// [`SeedAgreement`](crate::SeedAgreement) has it of the pictures of one neuron.
    ///
    /// # Shapes
    ///
    /// `N` pictures `[3, S, S]` to `N` rows of `N` numbers in `[-1, 1]`.
    ///
    /// # Errors
    ///
    /// As [`features_of`](Self::features_of).
    pub fn similarities(&self, pictures: &[Illusion]) -> Result<Vec<Vec<f32>>> {
        let views: Vec<_> = pictures.iter().map(|one| one.image.view()).collect();
        let features = self.features_of(&views)?;
        let rows: Vec<Vec<f32>> = features.rows().into_iter().map(|it| it.to_vec()).collect();
        let with = |one: &Vec<f32>| rows.iter().map(|other| spearman(one, other)).collect();
        Ok(rows.iter().map(with).collect())
    }
}
