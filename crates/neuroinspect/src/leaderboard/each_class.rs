//! What `auto` does for each class that it is asked for: whether it does harm.

use neuroinspect_core::ClassId;
use serde::Serialize;

use super::Estimate;

/// What `auto` does for a class that it is asked for, over the repetitions; accuracies of the class's samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OfClass {
    /// The class.
    pub class: String,
    /// Of the layer as it stands.
    pub before: f64,
    /// Of that which `auto` makes.
    pub after: f64,
    /// `after` less `before`, with the 95 % interval of paired samples: out of those alone that one of the two
    /// layers gets right and the other wrong, `1.96 sqrt((g + l) - (g - l)^2 / n) / n` for `g` gained and `l`
    /// lost of `n`. That of several repetitions is as wide as that of one on average, as if all measured on
    /// the same samples.
    pub difference: Estimate,
    /// In how many repetitions something is recommended.
    pub recommended: usize,
}

/// The samples of a class in one repetition.
pub(super) struct Counts {
    samples: usize,
    right: usize,
    gained: usize,
    lost: usize,
    is_recommended: bool,
}

impl Counts {
    /// By the predictions of the layer as it stands and of the one chosen.
    pub(super) fn new(
        class: ClassId,
        labels: &[ClassId],
        [before, after]: [&[ClassId]; 2],
        is_recommended: bool,
    ) -> Self {
        let pairs = before.iter().zip(after).zip(labels);
        let pairs = pairs.filter(|(_, label)| **label == class);
        let pairs = pairs.map(|((&before, &after), _)| (before == class, after == class));
        let pairs: Vec<_> = pairs.collect();
        let count = |wanted: (bool, bool)| pairs.iter().filter(|&&pair| pair == wanted).count();
        Self {
            samples: pairs.len(),
            right: count((true, true)) + count((true, false)),
            gained: count((false, true)),
            lost: count((true, false)),
            is_recommended,
        }
    }
}

impl OfClass {
    /// Those of all classes by their names, out of those of each repetition. A class of which a repetition has no
    /// sample is left out.
    pub(super) fn all(names: &[String], repetitions: &[Vec<Counts>]) -> Vec<Self> {
        let of_class = |(class, name): (usize, &String)| {
            let counts: Option<Vec<&Counts>> = repetitions.iter().map(|it| it.get(class)).collect();
            let counts = counts.filter(|it| it.iter().all(|it| it.samples > 0))?;
            let mean = |value: &dyn Fn(&Counts) -> f64| {
                counts.iter().map(|it| value(it)).sum::<f64>() / counts.len() as f64
            };
            let change = |it: &Counts| it.gained as f64 - it.lost as f64;
            let variance = mean(&|it| {
                let samples = it.samples as f64;
                let discordant = (it.gained + it.lost) as f64;
                (discordant - change(it).powi(2) / samples) / samples.powi(2)
            });
            let before = mean(&|it| it.right as f64 / it.samples as f64);
            let difference = mean(&|it| change(it) / it.samples as f64);
            Some(Self {
                class: name.clone(),
                before,
                after: before + difference,
                difference: Estimate {
                    mean: difference,
                    margin: Some(1.96 * variance.sqrt()),
                },
                recommended: counts.iter().filter(|it| it.is_recommended).count(),
            })
        };
        names.iter().enumerate().filter_map(of_class).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts([samples, right, gained, lost]: [usize; 4]) -> Counts {
        Counts {
            samples,
            right,
            gained,
            lost,
            is_recommended: gained > 0,
        }
    }

    /// By hand: 30 gained and 10 lost of 500 are 4 points; sqrt(40 - 400 / 500) / 500 * 1.96 is 2.45.
    #[test]
    fn the_interval_is_that_of_the_discordant_pairs() {
        let names = ["cat".to_owned(), "dog".to_owned()];
        let repetitions = [
            vec![counts([500, 350, 30, 10]), counts([0, 0, 0, 0])],
            vec![counts([500, 340, 30, 10]), counts([500, 340, 0, 0])],
        ];
        let all = OfClass::all(&names, &repetitions);
        assert_eq!(all.len(), 1, "no dogs in one repetition");
        assert_eq!((&*all[0].class, all[0].recommended), ("cat", 2));
        assert!((all[0].before - 0.69).abs() < 1e-9 && (all[0].after - 0.73).abs() < 1e-9);
        let difference = all[0].difference;
        assert!((difference.mean - 0.04).abs() < 1e-9);
        assert!(
            (difference.margin.unwrap() - 0.02454).abs() < 1e-5,
            "{difference:?}"
        );
        // Where nothing changes, nothing is left to chance.
        let same = OfClass::all(&names[..1], &[vec![counts([500, 340, 0, 0])]]);
        assert_eq!(same[0].difference.margin, Some(0.0));
        assert_eq!((same[0].difference.mean, same[0].recommended), (0.0, 0));
        assert!(OfClass::all(&names, &[Vec::new()]).is_empty());
    }
}
