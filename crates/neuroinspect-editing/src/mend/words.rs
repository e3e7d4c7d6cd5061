//! A recommendation in words, which `docs/mend.md` explains.

use super::{Candidate, CandidateKind, Evidence, Interval, MendResult, Yardstick, YardstickChoice};
use crate::{ChosenOn, verdict::points};

impl Candidate {
    /// What it does, a verb first: "retrain plainly, bias +0.75".
    pub fn describe(&self) -> String {
        let way = match self.kind {
            CandidateKind::Nothing if self.bias == 0.0 => "leave the layer as it is".to_owned(),
            CandidateKind::Nothing => "leave the weights as they are".to_owned(),
            CandidateKind::Plain => "retrain plainly".to_owned(),
            CandidateKind::PlainValidation => {
                "retrain plainly on the samples to choose on alone".to_owned()
            }
            CandidateKind::Silence => {
                format!(
                    "silence {} suspected neurons and retrain",
                    self.silenced.len()
                )
            }
            CandidateKind::Balanced => "retrain with presumed groups balanced".to_owned(),
        };
        match self.bias {
            0.0 => way,
            bias => format!("{way}, bias {bias:+}"),
        }
    }
}

impl MendResult {
    /// The recommendation, with what it learns from: "retrain plainly, bias +0.75 (on the 600 training samples
    /// and the 360 to choose on)"; or that there is none: "no mend is sure to help; the best tried is to ...".
    pub fn headline(&self) -> String {
        match &self.recommended {
            Some(recommended) => self.with_samples(recommended),
            None => format!(
                "no mend is sure to help; the best tried is to {}",
                self.with_samples(&self.best)
            ),
        }
    }

    /// What a candidate does, and what it learns from.
    fn with_samples(&self, candidate: &Candidate) -> String {
        let [training, chosen_on] = self.samples;
        let chosen_on = match self.chosen_on {
            ChosenOn::Validation => format!("the {chosen_on} to choose on"),
            ChosenOn::Evaluation => format!("the {chosen_on} that the edit is measured on"),
        };
        let what = candidate.describe();
        match candidate.kind {
            CandidateKind::Nothing => what,
            CandidateKind::PlainValidation => format!("{what} ({chosen_on})"),
            _ => format!("{what} (on the {training} training samples and {chosen_on})"),
        }
    }

    /// What the best is expected to gain, in percentage points.
    pub fn expectation(&self, class_names: &[String]) -> String {
        let mut gains = Vec::new();
        if let (Some(class), Some(gain)) = (self.class, &self.gain.class) {
            let name = class_names.get(class.0).map_or("the class", String::as_str);
            gains.push(format!("\u{201c}{name}\u{201d} {}", with_ends(gain)));
        }
        let mean = match self.yardstick {
            Yardstick::Data => "mean class accuracy",
            Yardstick::Groups => "mean accuracy over presumed groups",
        };
        gains.push(format!("{mean} {}", with_ends(&self.gain.mean)));
        format!(
            "{}, in points with 95 % intervals, by cross-fitting on {} samples",
            gains.join(", "),
            self.gain.samples
        )
    }

    /// Where there is nothing to choose on but the samples that an edit is measured on, that it is so.
    pub fn note(&self) -> Option<&'static str> {
        match self.chosen_on {
            ChosenOn::Validation => None,
            ChosenOn::Evaluation => Some(
                "It learns from the samples that the edit is measured on, too, as others to choose on are merely \
                 held out of the training samples; the edit's control learned from training samples alone.",
            ),
        }
    }

    /// Why, in a sentence or two each: whether a shortcut is blamed and by what the choice is, what it changes by
    /// the other yardstick, and which classes do not count.
    pub fn reasons(&self) -> Vec<String> {
        let other = match self.yardstick {
            Yardstick::Data => "With all presumed groups of a class counting alike",
            Yardstick::Groups => "On data like the samples to choose on",
        };
        let mut reasons = vec![
            format!("{} {}", self.shortcut(), self.choice()),
            format!(
                "{other}, the best changes mean class accuracy by {}.",
                with_ends(&self.gain_by_the_other.mean)
            ),
        ];
        if self.recommended.is_some() && self.gain.mean.estimate < 0.0 {
            reasons.push("The class gains, and the mean is expected to lose.".to_owned());
        }
        if self
            .class
            .is_some_and(|class| self.too_few.contains(&class))
        {
            reasons.push(
                "The class has fewer than five samples to choose on: too few to judge by."
                    .to_owned(),
            );
        } else if !self.too_few.is_empty() {
            reasons.push(format!(
                "{} of {} classes have fewer than five samples to choose on, and do not count.",
                self.too_few.len(),
                self.evidence.classes
            ));
        }
        reasons
    }

    /// Whether a shortcut is blamed.
    fn shortcut(&self) -> String {
        let Evidence {
            dependence,
            mistakes,
            classes,
            ..
        } = self.evidence;
        let samples: usize = self.samples.iter().sum();
        let wrong = format!(
            "Layers that were not fitted on a sample get {mistakes} of {samples} samples wrong"
        );
        match dependence {
            None if mistakes == 0 => format!("{wrong}: nothing speaks for a shortcut."),
            None if classes < 4 => {
                "Of fewer than four classes it cannot be told whether a shortcut misleads them."
                    .to_owned()
            }
            None => format!(
                "{wrong}, but these are of too few classes, or taken for too few: it cannot be told whether a shortcut \
                 misleads them."
            ),
            Some(phi) if self.evidence.blames_a_shortcut() => format!(
                "{wrong}, and take them for the same classes whatever their own is (phi {phi:.2}): a shortcut is \
                 blamed."
            ),
            Some(_) if mistakes < Evidence::LEAST * classes => {
                format!("{wrong}: too few to tell a shortcut from classes that look alike.")
            }
            Some(phi) if phi < Evidence::LARGEST => format!(
                "{wrong}: too few to tell a shortcut from classes that look alike (phi {phi:.2}, not surely below \
                 {}).",
                Evidence::LARGEST
            ),
            Some(phi) => format!(
                "{wrong}, and what they take them for depends on the class (phi {phi:.2}): classes that look alike \
                 are blamed, no shortcut."
            ),
        }
    }

    /// By what the choice is, and why.
    fn choice(&self) -> &'static str {
        match (self.yardstick, self.asked) {
            (Yardstick::Groups, YardstickChoice::Groups) => {
                "The choice is by presumed groups, as was asked for."
            }
            (Yardstick::Groups, _) => "So the choice is by presumed groups.",
            (Yardstick::Data, YardstickChoice::Automatic) if self.evidence.blames_a_shortcut() => {
                "The choice is by plain accuracy all the same: no mend by presumed groups is sure to help at a cost \
                 of at most three times its gain."
            }
            (Yardstick::Data, YardstickChoice::Data) => {
                "The choice is by plain accuracy, as was asked for."
            }
            (Yardstick::Data, _) => "So the choice is by plain accuracy.",
        }
    }
}

/// "+10.2 [+7.6, +12.9]", in percentage points.
fn with_ends(interval: &Interval) -> String {
    let Interval {
        low,
        estimate,
        high,
    } = *interval;
    format!("{} [{}, {}]", points(estimate), points(low), points(high))
}
