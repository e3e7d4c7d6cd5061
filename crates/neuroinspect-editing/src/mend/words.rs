//! A recommendation in words.

use super::{Candidate, CandidateKind, Interval, MendResult, Yardstick};
use crate::percent;

impl Candidate {
    /// What it does, a verb first: "retrain plainly, bias +0.75".
    pub fn describe(&self) -> String {
        let way = match self.kind {
            CandidateKind::Nothing => "leave the layer as it is".to_owned(),
            CandidateKind::Plain => "retrain plainly".to_owned(),
            CandidateKind::PlainValidation => "retrain on the validation samples".to_owned(),
            CandidateKind::Silence => {
                format!(
                    "silence {} suspected neurons and retrain",
                    self.silenced.len()
                )
            }
            CandidateKind::Balanced => {
                "retrain with what mistakes suggest as groups balanced".to_owned()
            }
        };
        match self.bias {
            0.0 => way,
            bias => format!("{way}, bias {bias:+}"),
        }
    }
}

impl MendResult {
    /// The recommendation in a line, with what it gains: each sample is judged by a layer and a choice made
    /// without its fold.
    pub fn headline(&self, class_names: &[String]) -> String {
        let what = match &self.recommended {
            Some(recommended) => recommended.describe(),
            None => format!(
                "nothing is sure to help; the best tried was to {}",
                self.best.describe()
            ),
        };
        let mut gains = Vec::new();
        if let (Some(class), Some(gain)) = (self.class, &self.gain.class) {
            let name = class_names.get(class.0).map_or("the class", String::as_str);
            gains.push(format!("\u{201c}{name}\u{201d} {}", points(gain)));
        }
        let mean = match self.yardstick {
            Yardstick::Data => "mean class accuracy",
            Yardstick::Groups => "mean accuracy over presumed groups",
        };
        gains.push(format!("{mean} {}", points(&self.gain.mean)));
        let samples = self.gain.samples;
        format!(
            "{what}: {}, by cross-fitting on {samples} samples",
            gains.join(", ")
        )
    }

    /// Why, in a sentence each: whether a shortcut is blamed, what the choice costs by the other yardstick, and
    /// which classes do not count.
    pub fn reasons(&self) -> Vec<String> {
        let evidence = &self.evidence;
        let mistakes = evidence.mistakes;
        let shortcut = match evidence.dependence {
            _ if evidence.blames_a_shortcut() && self.yardstick == Yardstick::Groups => format!(
                "{mistakes} mistakes of layers that had not seen the sample mislead all classes alike: a \
                 shortcut is blamed"
            ),
            _ if evidence.blames_a_shortcut() => format!(
                "{mistakes} mistakes of layers that had not seen the sample mislead all classes alike, as a \
                 shortcut would; the choice is by the validation samples all the same, as that was asked for \
                 or no mend by presumed groups was sure to help at a cost of at most three times its gain"
            ),
            Some(_) if mistakes < 5 * evidence.cells.len() => format!(
                "{mistakes} mistakes of layers that had not seen the sample are too few to tell a shortcut \
                 from classes that look alike"
            ),
            Some(dependence) => format!(
                "what misleads depends on the class, or may depend on it ({dependence:.2}, {mistakes} \
                 mistakes): classes that look alike are blamed, no shortcut"
            ),
            None => {
                "too few classes, or no mistakes, to tell a shortcut from classes that look alike"
                    .to_owned()
            }
        };
        let other = match self.yardstick {
            Yardstick::Data => "over presumed groups",
            Yardstick::Groups => "on data like the validation samples",
        };
        let other = format!(
            "{other} the best changes mean class accuracy by {}",
            points(&self.gain_by_the_other.mean)
        );
        let mut reasons = vec![shortcut, other];
        if self.recommended.is_some() && self.gain.mean.estimate < 0.0 {
            reasons.push(format!(
                "the mean is expected to lose for the sake of the class: {}",
                points(&self.gain.mean)
            ));
        }
        if self
            .class
            .is_some_and(|class| self.too_few.contains(&class))
        {
            reasons.push(
                "the class has fewer than five validation samples: too little to judge".to_owned(),
            );
        } else if !self.too_few.is_empty() {
            reasons.push(format!(
                "{} of {} classes have fewer than five validation samples, and do not count",
                self.too_few.len(),
                self.evidence.cells.len()
            ));
        }
        reasons
    }
}

/// "+10.2% [+7.6%, +12.9%]".
fn points(interval: &Interval) -> String {
    let signed = |value: f64| {
        let sign = if value >= 0.0 { "+" } else { "" };
        format!("{sign}{}", percent(value))
    };
    let Interval {
        low,
        estimate,
        high,
    } = *interval;
    format!("{} [{}, {}]", signed(estimate), signed(low), signed(high))
}
