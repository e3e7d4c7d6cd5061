//! The ways to picture a neuron that the paper compares.

use neuroinspect_illusion::{Augmentation, Objective, Recipe};

use super::super::{Guard, Switches};

/// The weight of similarity where the encoder sees nothing of the class (`eps`), as in the code.
const EPS: f64 = 0.05;

/// A way to picture a neuron.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) enum Method {
    /// Guided by class and text.
    ClipIllusion {
        /// The weight of the class's logit.
        gamma: f64,
        /// What is added to the similarity.
        eps: f64,
    },
    /// Guided by the class alone.
    WithoutClip {
        /// The weight of the class's logit.
        gamma: f64,
    },
    /// Feature visualization.
    Fv,
}

impl Method {
    /// CLIP-Illusion with the code's weights.
    pub(in super::super) const CLIP_ILLUSION: Self = Self::ClipIllusion {
        gamma: 0.5,
        eps: EPS,
    };
    /// The same without the encoder.
    pub(in super::super) const WITHOUT_CLIP: Self = Self::WithoutClip { gamma: 0.5 };
    /// All that the paper compares, its own first.
    pub(in super::super) const ALL: [Self; 3] = [Self::CLIP_ILLUSION, Self::WITHOUT_CLIP, Self::Fv];

    /// CLIP-Illusion of another weight of the class.
    pub(in super::super) fn of_gamma(gamma: f64) -> Self {
        Self::ClipIllusion { gamma, eps: EPS }
    }

    /// Its name in the paper.
    pub(in super::super) const fn name(self) -> &'static str {
        match self {
            Self::ClipIllusion { .. } => "CLIP-Illusion",
            Self::WithoutClip { .. } => "w/o CLIP",
            Self::Fv => "FV",
        }
    }

    /// Its recipe.
    pub(in super::super) fn recipe(self, switches: &Switches, base: &Recipe) -> Recipe {
        let recipe = switches.recipe(base);
        let pulled = |gamma: f64| {
            let class = match switches.guard {
                Guard::None => Objective::ClassLogit,
                Guard::Activation => Objective::Neuron.clamped(0.0, 1.0) * Objective::ClassLogit,
            };
            match gamma == 0.0 {
                true => Objective::Neuron,
                false => Objective::Neuron + class * gamma,
            }
        };
        match self {
            Self::ClipIllusion { gamma, eps } => {
                let similarity = Objective::Similarity + Objective::Constant(eps);
                recipe.with_objective(similarity * pulled(gamma))
            }
            Self::WithoutClip { gamma } => recipe.with_objective(pulled(gamma)),
            Self::Fv => recipe
                .with_objective(Objective::feature_visualization(switches.fv_class))
                .with_augmentation(Augmentation {
                    scale: switches.fv_resize,
                    ..base.augmentation
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::Mode;

    #[test]
    fn methods_are_the_papers_expressions() {
        let objective = |method: Method, mode: Mode| {
            let recipe = method.recipe(&mode.switches(), &Recipe::default());
            recipe.validate().unwrap();
            recipe.objective.to_string()
        };
        let of_code = Recipe::default().objective.to_string();
        assert_eq!(objective(Method::CLIP_ILLUSION, Mode::Code), of_code);
        assert_eq!(
            objective(Method::CLIP_ILLUSION, Mode::Paper),
            "(s + 0.05) * (a_n + 0.5 * clamp(a_n, 0, 1) * z_c)"
        );
        assert_eq!(
            objective(Method::WITHOUT_CLIP, Mode::Code),
            "a_n + 0.5 * z_c"
        );
        assert_eq!(
            objective(Method::of_gamma(0.0), Mode::Fixed),
            "(s + 0.05) * a_n"
        );
        assert_eq!(objective(Method::Fv, Mode::Paper), "a_n");
        assert_eq!(objective(Method::Fv, Mode::Code), "a_n + 0.1 * z_c");
    }

    #[test]
    fn switches_of_pictures_are_in_the_recipe() {
        let of = |mode: Mode| Method::CLIP_ILLUSION.recipe(&mode.switches(), &Recipe::default());
        assert_eq!(of(Mode::Paper).augmentation.scale, (0.7, 1.2));
        assert_eq!(of(Mode::Code).augmentation.scale, (0.6, 1.2));
        assert_ne!(
            of(Mode::Paper).mask_reduction,
            of(Mode::Code).mask_reduction
        );
        let fv = |mode: Mode| Method::Fv.recipe(&mode.switches(), &Recipe::default());
        let original = Recipe::feature_visualization().augmentation;
        assert_eq!(fv(Mode::Code).augmentation.scale, original.scale);
        let fixed = Method::CLIP_ILLUSION.recipe(&Mode::Fixed.switches(), &Recipe::default());
        assert_eq!(fv(Mode::Fixed).augmentation, fixed.augmentation);
    }
}
