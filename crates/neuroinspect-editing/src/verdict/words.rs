//! A verdict in words: the same on the page, in the terminal and wherever else it is shown.

use neuroinspect_core::NeuronId;

use super::{Change, Conclusion, Subject, Trend, Verdict, tenths};

/// More neurons than this are counted, not listed.
const LISTED: usize = 6;

const RETRAINING: &str = " hardly more, if at all, than plain retraining does";
const UNCOMPARED: &str = ", but was not compared with plain retraining";

impl Verdict {
    /// The verdict in a few words.
    pub fn headline(&self, class_names: &[String]) -> String {
        let subject = self.subject.name(class_names);
        let (did, more) = match self.conclusion {
            Conclusion::Helped => ("helped", ""),
            Conclusion::HelpedAtACost => ("helped", ", at a cost"),
            Conclusion::NoMoreThanRetraining => ("helped", RETRAINING),
            Conclusion::NoMoreThanRetrainingAtACost => {
                return format!("The edit helped {subject}{RETRAINING}, at a cost");
            }
            Conclusion::Uncompared => ("helped", UNCOMPARED),
            Conclusion::UncomparedAtACost => {
                return format!("The edit helped {subject} at a cost{UNCOMPARED}");
            }
            Conclusion::MoreHarmThanGood => {
                return format!(
                    "The edit did more harm than good{}",
                    self.harm_in_words(&subject)
                );
            }
            Conclusion::Failed => ("did not help", ""),
            Conclusion::Unmeasured => ("was not measured on", ""),
        };
        format!("The edit {did} {subject}{more}")
    }

    /// ": “bird” +10.0 points, the worst class -23.4".
    fn harm_in_words(&self, subject: &str) -> String {
        let (Some(gain), Some((what, loss))) = (self.accuracy, self.harm()) else {
            return String::new();
        };
        let [gain, loss] = [gain, loss].map(|change| signed(change.tenths()));
        format!(": {subject} {gain} points, {what} {loss}")
    }

    /// What editing these neurons, or none in particular, did, in a sentence that hides no loss:
    /// "Editing neurons 3 and 5 raised its accuracy from 55.0% to 80.0%; the average ...".
    pub fn sentence(&self, neurons: &[NeuronId], class_names: &[String]) -> String {
        let edit = listed(neurons).map_or("The edit".to_owned(), |neurons| {
            format!("Editing {neurons}")
        });
        format!("{edit} {}.", self.effect(class_names))
    }

    /// The sentence from its verb on: "raised its accuracy from 55.0% to 80.0%; the
    /// average rose from 82.2% to 86.4%, ...".
    pub fn effect(&self, class_names: &[String]) -> String {
        let whose = match self.subject {
            Subject::Class(_) => "its".to_owned(),
            worst => format!("{}'s", worst.name(class_names)),
        };
        let effect = match self.accuracy {
            None => "was not measured on a sample of it".to_owned(),
            Some(accuracy) => {
                let (from, to) = (percent(accuracy.before), percent(accuracy.after));
                match accuracy.trend() {
                    Trend::Up => format!("raised {whose} accuracy from {from} to {to}"),
                    Trend::Down => format!("lowered {whose} accuracy from {from} to {to}"),
                    Trend::Level => format!("left {whose} accuracy at {to}"),
                }
            }
        };
        let mut clauses = vec![clause("the average", self.average)];
        let worst = [
            ("the worst class", self.worst_class),
            ("the worst group", self.worst_group),
        ];
        for (what, change) in worst {
            clauses.extend(change.map(|change| clause(what, change)));
        }
        if let Some(loss) = self.largest_loss {
            let others = match self.subject {
                Subject::Class(_) => "of the other classes",
                Subject::WorstGroup | Subject::WorstClass => "of the classes",
            };
            let what = format!("{others} {}", Subject::Class(loss.class).name(class_names));
            clauses.push(clause(&what, loss.accuracy));
        }
        if let Some(control) = self.control {
            let (name, control) = (self.subject.name(class_names), percent(control));
            clauses.push(format!("plain retraining brings {name} to {control}"));
        }
        format!("{effect}; {}", clauses.join(", "))
    }
}

impl Subject {
    fn name(self, class_names: &[String]) -> String {
        match self {
            Self::Class(class) => match class_names.get(class.0) {
                Some(name) => format!("\u{201c}{name}\u{201d}"),
                None => format!("class {class}"),
            },
            Self::WorstGroup => "the worst group".to_owned(),
            Self::WorstClass => "the worst class".to_owned(),
        }
    }
}

fn listed(neurons: &[NeuronId]) -> Option<String> {
    Some(match neurons {
        [] => return None,
        [one] => format!("neuron {one}"),
        [first @ .., last] if neurons.len() <= LISTED => {
            let first: Vec<_> = first.iter().map(ToString::to_string).collect();
            format!("neurons {} and {last}", first.join(", "))
        }
        many => format!("{} neurons", many.len()),
    })
}

/// An accuracy as it is shown wherever it stands beside a [`Verdict`]: in per cent, to the tenths that
/// the verdict is made of. A formatter would round half a tenth to the even one.
///
/// ```
/// use neuroinspect_editing::percent;
///
/// assert_eq!(percent(1.0 / 16.0), "6.3%");
/// assert_eq!(percent(-0.001), "-0.1%");
/// ```
pub fn percent(share: f64) -> String {
    let tenths = tenths(share);
    let sign = if tenths < 0 { "-" } else { "" };
    let tenths = tenths.unsigned_abs();
    format!("{sign}{}.{}%", tenths / 10, tenths % 10)
}

/// A difference of shares in percentage points, to the same tenths: "+6.3".
pub(crate) fn points(difference: f64) -> String {
    signed(tenths(difference))
}

fn signed(tenths: i64) -> String {
    format!("{:+.1}", tenths as f64 / 10.0)
}

fn clause(what: &str, change: Change) -> String {
    let (from, to) = (percent(change.before), percent(change.after));
    match change.trend() {
        Trend::Up => format!("{what} rose from {from} to {to}"),
        Trend::Down => format!("{what} fell from {from} to {to}"),
        Trend::Level => format!("{what} stayed at {to}"),
    }
}
