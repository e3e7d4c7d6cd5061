//! A verdict in words: the same on the page, in the terminal and wherever else it is shown.

use neuroinspect_core::{ClassId, NeuronId};

use super::{Change, Conclusion, Direction, Verdict, tenths};

/// More neurons than this are counted, not listed.
const LISTED: usize = 6;

impl Verdict {
    /// The verdict in a few words, the class by its name.
    pub fn headline(&self, class_name: &str) -> String {
        let name = quoted(class_name);
        let uncompared = "but was not compared with plain retraining";
        let retraining = "hardly more, if at all, than plain retraining does";
        match self.conclusion {
            Conclusion::Helped => format!("The edit helped {name}"),
            Conclusion::HelpedAtACost => format!("The edit helped {name}, at a cost"),
            Conclusion::NoMoreThanRetraining => format!("The edit helped {name} {retraining}"),
            Conclusion::NoMoreThanRetrainingAtACost => {
                format!("The edit helped {name} {retraining}, at a cost")
            }
            Conclusion::Uncompared => format!("The edit helped {name}, {uncompared}"),
            Conclusion::UncomparedAtACost => {
                format!("The edit helped {name} at a cost, {uncompared}")
            }
            Conclusion::Failed => format!("The edit did not help {name}"),
            Conclusion::Unmeasured => format!("The edit was not measured on {name}"),
        }
    }

    /// What editing these neurons did, in a sentence that hides no loss: "Editing neurons 3 and 5
    /// raised its accuracy from 55.0% to 80.0%; the average ...".
    pub fn sentence(&self, neurons: &[NeuronId], class_names: &[String]) -> String {
        format!("Editing {} {}.", listed(neurons), self.effect(class_names))
    }

    /// The sentence without its subject: "raised its
    /// accuracy from 55.0% to 80.0%; the average rose from 82.2% to 86.4%, ...".
    pub fn effect(&self, class_names: &[String]) -> String {
        let name = |class: ClassId| {
            let name = class_names.get(class.0);
            name.map_or_else(|| format!("class {class}"), |name| quoted(name))
        };
        let effect = match self.accuracy {
            None => "was not measured on a sample of it".to_owned(),
            Some(accuracy) => {
                let (from, to) = (percent(accuracy.before), percent(accuracy.after));
                match accuracy.direction() {
                    Direction::Up => format!("raised its accuracy from {from} to {to}"),
                    Direction::Down => format!("lowered its accuracy from {from} to {to}"),
                    Direction::Level => format!("left its accuracy at {to}"),
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
            let what = format!("of the other classes {}", name(loss.class));
            clauses.push(clause(&what, loss.accuracy));
        }
        if let Some(control) = self.control {
            let (name, control) = (name(self.class), percent(control));
            clauses.push(format!("plain retraining brings {name} to {control}"));
        }
        format!("{effect}; {}", clauses.join(", "))
    }
}

fn listed(neurons: &[NeuronId]) -> String {
    match neurons {
        [] => "no neuron".to_owned(),
        [one] => format!("neuron {one}"),
        [first @ .., last] if neurons.len() <= LISTED => {
            let first: Vec<_> = first.iter().map(ToString::to_string).collect();
            format!("neurons {} and {last}", first.join(", "))
        }
        many => format!("{} neurons", many.len()),
    }
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

fn quoted(name: &str) -> String {
    format!("\u{201c}{name}\u{201d}")
}

fn clause(what: &str, change: Change) -> String {
    let (from, to) = (percent(change.before), percent(change.after));
    match change.direction() {
        Direction::Up => format!("{what} rose from {from} to {to}"),
        Direction::Down => format!("{what} fell from {from} to {to}"),
        Direction::Level => format!("{what} stayed at {to}"),
    }
}
