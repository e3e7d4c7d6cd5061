//! Means over pictures that were made in one way.

use neuroinspect_illusion::Verdict;

use super::{GivenTrust, MeanTrust};

impl MeanTrust {
    /// The means over pictures; `real` is the share of each class's real images that the judge takes for theirs, where it
    /// was asked. How like pictures of other pairs are is not theirs to say.
    pub(super) fn of(all: &[GivenTrust], real: &[Option<f64>]) -> Self {
        let of = |number: &dyn Fn(&GivenTrust) -> Option<f32>| {
            mean(all.iter().map(|one| number(one).map(f64::from)))
        };
        let normalised = |one: &GivenTrust| {
            let layers = one.trust.path.as_ref()?.layers.iter();
            mean(layers.map(|layer| layer.normalised.map(f64::from))).map(|it| it as f32)
        };
        Self {
            pictures: all.len(),
            recognised: mean(all.iter().map(recognised)),
            recognised_over_real: over_real(all, real),
            judge_chance: of(&|one| Some(one.trust.recognition.as_ref()?.chance)),
            path: of(&|one| Some(one.trust.path.as_ref()?.score)),
            path_normalised: of(&normalised),
            jump: of(&|one| Some(one.trust.continuity?.jump)),
            percentile: of(&|one| one.trust.percentile),
            activation: of(&|one| Some(one.activation)).unwrap_or_default(),
            logit: of(&|one| Some(one.logit)).unwrap_or_default(),
            agreement: of(&|one| one.agreement),
            agreement_by_chance: None,
            colour: of(&|one| Some(one.appearance.colour)).unwrap_or_default(),
            spectrum: of(&|one| Some(one.appearance.spectrum)).unwrap_or_default(),
            trusted: of(&|one| Some(f32::from(u8::from(one.trust.verdict == Verdict::Trusted))))
                .unwrap_or_default(),
        }
    }
}

/// 1 where the judge takes a picture for its class, else 0; `None` where it was not asked.
fn recognised(one: &GivenTrust) -> Option<f64> {
    let recognised = one.trust.recognition.as_ref()?.recognised?;
    Some(f64::from(u8::from(recognised)))
}

/// The share of pictures that the judge takes for their class, over what it would be were they real images: both of the
/// pictures of those classes that it was asked about in real images.
fn over_real(all: &[GivenTrust], real: &[Option<f64>]) -> Option<f64> {
    let both = |one: &GivenTrust| {
        let real = real.get(one.pair.class.0).copied().flatten()?;
        Some((recognised(one)?, real))
    };
    let (own, of_real) = all
        .iter()
        .filter_map(both)
        .fold((0.0, 0.0), |(own, of_real), (one, real)| {
            (own + one, of_real + real)
        });
    (of_real > 0.0).then(|| own / of_real)
}

/// The mean of the numbers that there are.
pub(super) fn mean(numbers: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = numbers
        .flatten()
        .fold((0.0, 0), |(sum, count), it| (sum + it, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use neuroinspect_core::{ClassId, NeuronId};
    use neuroinspect_illusion::{
        AppearanceDistance, Continuity, LayerLikeness, Pair, PathLikeness, Recognition, Trust,
    };

    use super::*;

    fn picture(class: usize, recognised: Option<bool>, normalised: [Option<f32>; 2]) -> GivenTrust {
        let layers = normalised.map(|normalised| LayerLikeness {
            layer: String::new(),
            chance: 0.5,
            normalised,
        });
        GivenTrust {
            file: "picture.png".into(),
            pair: Pair {
                neuron: NeuronId(0),
                class: ClassId(class),
            },
            seed: 0,
            activation: 2.0 + class as f32,
            logit: -1.0,
            probability: 0.25,
            appearance: AppearanceDistance {
                colour: 0.5,
                spectrum: 0.25,
            },
            agreement: (class == 0).then_some(0.75),
            trust: Trust {
                verdict: match recognised {
                    Some(true) => Verdict::Trusted,
                    _ => Verdict::Doubtful,
                },
                doubts: Vec::new(),
                real_images: 16,
                percentile: Some(50.0),
                path: Some(PathLikeness {
                    score: 0.5,
                    strongest: 8,
                    layers: layers.into(),
                }),
                continuity: (class == 0).then_some(Continuity {
                    jump: 0.125,
                    left: 0.9,
                    at: 0.5,
                    images: 8,
                    steps: 16,
                    halvings: 8,
                }),
                agreement: None,
                agreement_percentile: None,
                recognition: Some(Recognition {
                    judge: "judge".to_owned(),
                    chance: 0.5,
                    probability: None,
                    recognised,
                }),
                logit_percentile: None,
            },
        }
    }

    /// Two of class 0, whose real images are recognised four times in five, three of class 1, of which there is no real
    /// image, and one of class 0 that the judge was not asked about.
    #[test]
    fn means_by_hand() {
        let all = [
            picture(0, Some(true), [Some(0.5), None]),
            picture(0, Some(false), [Some(0.25), Some(0.75)]),
            picture(1, Some(true), [None, None]),
            picture(1, Some(true), [None, None]),
            picture(1, Some(true), [None, None]),
            picture(0, None, [None, None]),
        ];
        let means = MeanTrust::of(&all, &[Some(0.8), None]);
        assert_eq!(means.pictures, 6);
        // Four of the five that the judge was asked about.
        assert_eq!(means.recognised, Some(0.8));
        // One of two, where real images would be 1.6 of two.
        assert_eq!(means.recognised_over_real, Some(1.0 / 1.6));
        assert_eq!(means.path_normalised, Some(0.5));
        assert_eq!((means.path, means.percentile), (Some(0.5), Some(50.0)));
        assert_eq!(means.jump, Some(0.125));
        assert_eq!((means.activation, means.logit), (2.5, -1.0));
        assert_eq!((means.colour, means.spectrum), (0.5, 0.25));
        assert_eq!((means.agreement, means.trusted), (Some(0.75), 4.0 / 6.0));
        // Each class weighs as much as it does among the pictures: 3 recognised of 4, for 2 * 0.8 + 2 * 0.5.
        let both = MeanTrust::of(&all[..4], &[Some(0.8), Some(0.5)]);
        assert_eq!(both.recognised_over_real, Some(3.0 / 2.6));
        for real in [&[][..], &[None, None], &[Some(0.0), None]] {
            assert_eq!(MeanTrust::of(&all, real).recognised_over_real, None);
        }
        assert_eq!(MeanTrust::of(&[], &[]), MeanTrust::default());
    }
}
