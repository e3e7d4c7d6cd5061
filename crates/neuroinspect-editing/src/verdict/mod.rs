//! Whether an edit did what it was for.

mod words;

pub use self::words::percent;
pub(crate) use self::words::points;

use neuroinspect_core::{ClassId, Metrics};
use serde::{Deserialize, Serialize};

use crate::{Comparison, Control};

/// Whether an edit helped what it was for, its [subject](Subject), and what that rests on.
///
/// The rule, on accuracies in whole tenths of a percentage point, as they are shown:
///
/// 1. Where the subject has no samples among those measured, nothing can be said.
/// 2. Where its accuracy did not rise, the edit failed.
/// 3. Where the average or the worst class fell by more than it rose, the edit did more harm than good.
/// 4. Where there is no control to compare with, it gained, and no more can be said: plain retraining
///    might have done as much.
/// 5. Where the subject is not a point or more ahead of the control, plain retraining does as much.
/// 6. Otherwise the edit helped.
///
/// It did so at a cost where the average, the worst class or the worst group fell, or another class
/// by a point or more: of many classes, some always lose a little.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    /// What the edit was to help.
    pub subject: Subject,
    /// Whether it did.
    pub conclusion: Conclusion,
    /// Accuracy of the subject; `None` where it has no samples.
    pub accuracy: Option<Change>,
    /// The same after the control; `None` where there was none, or it did not run to its end.
    pub control: Option<f64>,
    /// Accuracy over all samples.
    pub average: Change,
    /// Accuracy of the worst class; `None` where that is the subject itself, before and after.
    pub worst_class: Option<Change>,
    /// Accuracy of the worst group; `None` where that is the subject, or there are no groups.
    pub worst_group: Option<Change>,
    /// Of the classes, but for the subject, the one that lost most; `None` where none lost.
    pub largest_loss: Option<ClassChange>,
}

/// What an edit is to help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// One class.
    Class(ClassId),
    /// Whichever group is the worst, before and after: of an edit for no single class.
    WorstGroup,
    /// Whichever class is the worst: of an edit for no single class, where there are no groups.
    WorstClass,
}

/// What an edit came to; see [`Verdict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// The subject gained, more than by the control, and nothing else lost.
    Helped,
    /// The subject gained, more than by the control, and something else lost.
    HelpedAtACost,
    /// The subject gained, but plain retraining does as much for it.
    NoMoreThanRetraining,
    /// The subject gained, but plain retraining does as much for it; and something else lost.
    NoMoreThanRetrainingAtACost,
    /// The subject gained; whether plain retraining does as much is not known.
    Uncompared,
    /// The subject gained; whether plain retraining does as much is not known. Something else lost.
    UncomparedAtACost,
    /// The subject gained, but the average or the worst class lost more.
    MoreHarmThanGood,
    /// The subject did not gain.
    Failed,
    /// The subject has no samples in the data that was measured on.
    Unmeasured,
}

/// An accuracy before and after an edit, in `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Change {
    /// Before.
    pub before: f64,
    /// After.
    pub after: f64,
}

/// What became of a class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClassChange {
    /// The class.
    pub class: ClassId,
    /// Its accuracy.
    pub accuracy: Change,
}

/// Which way an accuracy went, as far as a tenth of a percentage point shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// It rose.
    Up,
    /// It fell.
    Down,
    /// It stayed.
    Level,
}

impl Change {
    /// From one to the other.
    pub fn new(before: f64, after: f64) -> Self {
        Self { before, after }
    }

    /// By how many tenths of a percentage point it rose, of the tenths that are shown.
    pub fn tenths(&self) -> i64 {
        tenths(self.after) - tenths(self.before)
    }

    /// Which way it went.
    pub fn trend(&self) -> Trend {
        match self.tenths() {
            1.. => Trend::Up,
            0 => Trend::Level,
            _ => Trend::Down,
        }
    }

    fn of(before: Option<f64>, after: Option<f64>) -> Option<Self> {
        Some(Self::new(before?, after?))
    }
}

impl Subject {
    /// What an edit for `class`, or for no single class, is judged by, on samples of such `metrics`.
    pub fn new(class: Option<ClassId>, metrics: &Metrics) -> Self {
        match (class, metrics.worst_group_accuracy) {
            (Some(class), _) => Self::Class(class),
            (None, Some(_)) => Self::WorstGroup,
            (None, None) => Self::WorstClass,
        }
    }

    /// Its accuracy; `None` where it has no samples.
    fn accuracy(self, metrics: &Metrics) -> Option<f64> {
        match self {
            Self::Class(class) => *metrics.class_accuracy.get(class.0)?,
            Self::WorstGroup => metrics.worst_group_accuracy,
            Self::WorstClass => Some(metrics.worst_class_accuracy),
        }
    }

    /// Whether the worst class is this.
    fn is_worst_class(self, metrics: &Metrics) -> bool {
        self == Self::WorstClass || self == Self::Class(metrics.worst_class)
    }
}

/// What is less than this, a percentage point in tenths, is no gain over the control, and of one class
/// among many no loss that an edit is judged by.
const NOTABLE: i64 = 10;

impl Verdict {
    /// The verdict on an edit that was to help `subject`; `control` is what became of its control,
    /// where the method has one.
    pub fn new(subject: Subject, comparison: &Comparison, control: Option<&Control>) -> Self {
        let control = control.and_then(Control::metrics);
        let Comparison { before, after } = comparison;
        let change = |of: Subject| Change::of(of.accuracy(before), of.accuracy(after));
        let other = |of: Subject| change(of).filter(|_| of != subject);
        let is_worst = [before, after].map(|metrics| subject.is_worst_class(metrics));
        let mut verdict = Self {
            subject,
            conclusion: Conclusion::Unmeasured,
            accuracy: change(subject),
            control: control.and_then(|metrics| subject.accuracy(metrics)),
            average: Change::new(before.accuracy, after.accuracy),
            worst_class: other(Subject::WorstClass).filter(|_| is_worst != [true; 2]),
            worst_group: other(Subject::WorstGroup),
            largest_loss: largest_loss(subject, comparison),
        };
        verdict.conclusion = verdict.conclude();
        verdict
    }

    fn conclude(&self) -> Conclusion {
        let Some(accuracy) = self.accuracy else {
            return Conclusion::Unmeasured;
        };
        if accuracy.trend() != Trend::Up {
            return Conclusion::Failed;
        }
        if self.harm().is_some() {
            return Conclusion::MoreHarmThanGood;
        }
        let at_a_cost = self.is_at_a_cost();
        let Some(control) = self.control else {
            return match at_a_cost {
                false => Conclusion::Uncompared,
                true => Conclusion::UncomparedAtACost,
            };
        };
        let ahead = Change::new(control, accuracy.after).tenths() >= NOTABLE;
        match (!ahead, at_a_cost) {
            (false, false) => Conclusion::Helped,
            (false, true) => Conclusion::HelpedAtACost,
            (true, false) => Conclusion::NoMoreThanRetraining,
            (true, true) => Conclusion::NoMoreThanRetrainingAtACost,
        }
    }

    /// What lost more than the subject gained, of the average and the worst class the one that lost more.
    fn harm(&self) -> Option<(&'static str, Change)> {
        let gain = self.accuracy?.tenths();
        let others = [
            ("the average", Some(self.average)),
            ("the worst class", self.worst_class),
        ];
        let others = others.map(|(what, change)| change.map(|change| (what, change)));
        let others = others.into_iter().flatten();
        others
            .filter(|(_, change)| -change.tenths() > gain)
            .min_by_key(|(_, change)| change.tenths())
    }

    /// Whether something else lost.
    fn is_at_a_cost(&self) -> bool {
        let others = [Some(self.average), self.worst_class, self.worst_group];
        let mut others = others.into_iter().flatten();
        let loss = self
            .largest_loss
            .is_some_and(|loss| -loss.accuracy.tenths() >= NOTABLE);
        loss || others.any(|change| change.trend() == Trend::Down)
    }
}

/// An accuracy in tenths of a percentage point, half of one rounded up.
fn tenths(share: f64) -> i64 {
    (share * 1000.0).round() as i64
}

/// The class that lost most of those that lost visibly, but for the subject.
fn largest_loss(subject: Subject, comparison: &Comparison) -> Option<ClassChange> {
    let Comparison { before, after } = comparison;
    let accuracies = before.class_accuracy.iter().zip(&after.class_accuracy);
    accuracies
        .enumerate()
        .filter_map(|(class, (before, after))| {
            let (class, accuracy) = (ClassId(class), Change::of(*before, *after)?);
            let lost = Subject::Class(class) != subject && accuracy.trend() == Trend::Down;
            lost.then_some(ClassChange { class, accuracy })
        })
        .max_by(|a, b| {
            let loss = |change: &ClassChange| change.accuracy.before - change.accuracy.after;
            let shown = b.accuracy.tenths().cmp(&a.accuracy.tenths());
            shown.then(loss(a).total_cmp(&loss(b)))
        })
}
