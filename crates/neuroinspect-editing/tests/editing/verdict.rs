//! Whether an edit did what it was for, and how it is said.

use neuroinspect_core::{ClassId, Groups, Metrics};
use neuroinspect_editing::{Change, Comparison, Conclusion, Control, Subject, Trend, Verdict};
use neuroinspect_testing::tables::class_ids;

/// 60 samples of each of six classes, of which so many are right. Each class is also a group: the
/// worst group is then the worst class.
fn metrics(right: [usize; 6]) -> Metrics {
    let mut labels = Vec::new();
    let mut predictions = Vec::new();
    for (class, right) in right.into_iter().enumerate() {
        labels.extend([class; 60]);
        predictions.extend((0..60).map(|sample| {
            if sample < right {
                class
            } else {
                (class + 1) % 6
            }
        }));
    }
    let names = (0..6).map(|class| format!("group {class}")).collect();
    let groups = Groups::new(names, labels.clone()).unwrap();
    let (labels, predictions) = (class_ids(&labels), class_ids(&predictions));
    Metrics::new(&labels, &predictions, 6, Some(&groups)).unwrap()
}

fn names() -> Vec<String> {
    ["boat", "bird", "cat", "bicycle", "dog", "car"]
        .map(String::from)
        .to_vec()
}

#[test]
fn the_verdict_hides_no_loss() {
    let before = [33, 52, 57, 49, 50, 55];
    for (after, control, conclusion, sentence) in [
        (
            [48, 52, 57, 49, 50, 55],
            [36, 52, 57, 49, 50, 55],
            Conclusion::Helped,
            "raised its accuracy from 55.0% to 80.0%; the average rose from 82.2% to 86.4%, the \
             worst group rose from 55.0% to 80.0%, plain retraining brings \u{201c}boat\u{201d} to \
             60.0%",
        ),
        // The average gains, one class pays.
        (
            [48, 52, 57, 40, 50, 55],
            [36, 52, 57, 49, 50, 55],
            Conclusion::HelpedAtACost,
            "of the other classes \u{201c}bicycle\u{201d} fell from 81.7% to 66.7%",
        ),
        (
            [40, 40, 57, 49, 50, 55],
            [33, 52, 57, 49, 50, 55],
            Conclusion::HelpedAtACost,
            "raised its accuracy from 55.0% to 66.7%; the average fell from 82.2% to 80.8%",
        ),
        // The average loses more than the class gains, whatever the control does.
        (
            [34, 40, 57, 49, 50, 55],
            [33, 52, 57, 49, 50, 55],
            Conclusion::MoreHarmThanGood,
            "raised its accuracy from 55.0% to 56.7%; the average fell from 82.2% to 79.2%",
        ),
        // All of it is the training's doing.
        (
            [48, 52, 57, 49, 50, 55],
            [48, 52, 57, 49, 50, 55],
            Conclusion::NoMoreThanRetraining,
            "plain retraining brings \u{201c}boat\u{201d} to 80.0%",
        ),
        (
            [48, 52, 57, 40, 50, 55],
            [48, 52, 57, 40, 50, 55],
            Conclusion::NoMoreThanRetrainingAtACost,
            "of the other classes \u{201c}bicycle\u{201d} fell from 81.7% to 66.7%",
        ),
        (
            before,
            before,
            Conclusion::Failed,
            "left its accuracy at 55.0%; the average stayed at 82.2%",
        ),
        (
            [30, 60, 57, 49, 50, 55],
            before,
            Conclusion::Failed,
            "lowered its accuracy from 55.0% to 50.0%; the average rose from 82.2% to 83.6%",
        ),
    ] {
        let comparison = Comparison {
            before: metrics(before),
            after: metrics(after),
        };
        let verdict = Verdict::new(
            Subject::Class(ClassId(0)),
            &comparison,
            Some(&Control::Measured(metrics(control))),
        );
        assert_eq!(verdict.conclusion, conclusion, "{after:?}");
        let effect = verdict.effect(&names());
        assert!(effect.contains(sentence), "{after:?}: {effect}");
        let json = serde_json::to_string(&verdict).unwrap();
        let read: Verdict = serde_json::from_str(&json).unwrap();
        assert_eq!(read.conclusion, conclusion);
    }
}

/// One class gains ten points, and another loses so much that the worst class is ten points worse, or more.
#[test]
fn an_edit_that_costs_more_than_it_gains_does_harm() {
    let subject = Subject::Class(ClassId(0));
    let verdict = |after, control: Option<&Control>| {
        let before = metrics([40, 50, 50, 50, 50, 50]);
        let after = metrics(after);
        Verdict::new(subject, &Comparison { before, after }, control)
    };
    let control = Control::Measured(metrics([40, 50, 50, 50, 50, 50]));
    for control in [None, Some(&control)] {
        // A loss as large as the gain is a cost, one that is larger is harm.
        let even = verdict([46, 50, 34, 60, 60, 56], control);
        assert_ne!(even.conclusion, Conclusion::MoreHarmThanGood, "{even:?}");
        let harm = verdict([46, 50, 33, 60, 60, 56], control);
        assert_eq!(harm.conclusion, Conclusion::MoreHarmThanGood);
        assert_eq!(
            harm.headline(&names()),
            "The edit did more harm than good: \u{201c}boat\u{201d} +10.0 points, the worst class -11.7"
        );
    }
    // The larger loss is told, and an edit that gains nothing has failed, whatever it costs.
    let harm = verdict([41, 40, 40, 40, 40, 40], None);
    assert_eq!(
        harm.headline(&names()),
        "The edit did more harm than good: \u{201c}boat\u{201d} +1.6 points, the average -13.7"
    );
    let failed = verdict([40, 10, 10, 10, 10, 10], None);
    assert_eq!(failed.conclusion, Conclusion::Failed);
}

/// A class from 0.2, its control, and the rest as it was.
struct Case {
    before: Metrics,
    after: Metrics,
    control: Metrics,
}

impl Case {
    fn new(after: f64, control: f64) -> Self {
        let with = |accuracy| {
            let mut metrics = metrics([33, 52, 57, 49, 50, 55]);
            metrics.class_accuracy[0] = Some(accuracy);
            metrics
        };
        Self {
            before: with(0.2),
            after: with(after),
            control: with(control),
        }
    }

    fn conclusion(self) -> Conclusion {
        let (before, after) = (self.before, self.after);
        let comparison = Comparison { before, after };
        Verdict::new(
            Subject::Class(ClassId(0)),
            &comparison,
            Some(&Control::Measured(self.control)),
        )
        .conclusion
    }
}

/// A point is a point, on whichever side of it the difference of two fractions comes out.
#[test]
fn the_verdict_draws_its_lines_at_a_whole_point() {
    for (after, control) in [(0.57, 0.56), (0.79, 0.78), (0.29, 0.28)] {
        let conclusion = Case::new(after, control).conclusion();
        assert_eq!(conclusion, Conclusion::Helped);
        let conclusion = Case::new(after, control + 0.001).conclusion();
        assert_eq!(conclusion, Conclusion::NoMoreThanRetraining);
        let lost = |by| {
            let mut case = Case::new(after, control);
            case.before.class_accuracy[3] = Some(after);
            case.after.class_accuracy[3] = Some(after - by);
            case.conclusion()
        };
        assert_eq!(lost(0.009), Conclusion::Helped);
        assert_eq!(lost(0.01), Conclusion::HelpedAtACost);
    }
}

/// Of losses that look alike to a tenth, the one that is shown as the larger is named.
#[test]
fn the_largest_loss_is_the_one_that_is_shown_so() {
    let mut case = Case::new(0.9, 0.2);
    case.before.class_accuracy[2..4].copy_from_slice(&[Some(0.8004), Some(0.8006)]);
    case.after.class_accuracy[2..4].copy_from_slice(&[Some(0.7906), Some(0.7914)]);
    let comparison = Comparison {
        before: case.before,
        after: case.after,
    };
    let verdict = Verdict::new(Subject::Class(ClassId(0)), &comparison, None);
    let loss = verdict.largest_loss.unwrap();
    assert_eq!((loss.class, loss.accuracy.tenths()), (ClassId(3), -10));
    assert_eq!(verdict.conclusion, Conclusion::UncomparedAtACost);
    assert_eq!(verdict.control, None);
}

/// A control that did not come to its end is no worse than none, and no better.
#[test]
fn without_a_control_nothing_is_said_of_retraining() {
    let case = Case::new(0.9, 0.2);
    let comparison = Comparison {
        before: case.before,
        after: case.after,
    };
    for control in [
        None,
        Some(Control::Stopped),
        Some(Control::Failed("no groups".into())),
    ] {
        let verdict = Verdict::new(Subject::Class(ClassId(0)), &comparison, control.as_ref());
        assert_eq!(verdict.conclusion, Conclusion::Uncompared, "{control:?}");
    }
    // What did not gain needs no control.
    let same = Comparison {
        after: comparison.before.clone(),
        ..comparison
    };
    let verdict = Verdict::new(Subject::Class(ClassId(0)), &same, Some(&Control::Stopped));
    assert_eq!(verdict.conclusion, Conclusion::Failed);
}

/// An edit for no class is for the worst group, whichever that is, or else for the worst class.
#[test]
fn an_edit_for_no_class_is_judged_by_the_worst() {
    let [before, after, control] = [
        [33, 52, 57, 49, 50, 55],
        [48, 45, 57, 49, 50, 55],
        [36, 52, 57, 49, 50, 55],
    ]
    .map(metrics);
    let without_groups = |metrics: &Metrics| {
        let mut metrics = metrics.clone();
        (metrics.worst_group, metrics.worst_group_accuracy) = (None, None);
        metrics
    };
    for (before, after, subject, name) in [
        (
            without_groups(&before),
            without_groups(&after),
            Subject::WorstClass,
            "the worst class",
        ),
        (before, after, Subject::WorstGroup, "the worst group"),
    ] {
        assert_eq!(Subject::new(None, &before), subject);
        let comparison = Comparison { before, after };
        let control = Control::Measured(control.clone());
        let verdict = Verdict::new(subject, &comparison, Some(&control));
        assert_eq!(verdict.accuracy, Some(Change::new(0.55, 0.75)));
        assert_eq!(verdict.control, Some(0.6));
        assert_eq!(
            verdict.headline(&names()),
            format!("The edit helped {name}, at a cost")
        );
        let sentence = verdict.sentence(&[], &names());
        let expected = format!(
            "The edit raised {name}'s accuracy from 55.0% to 75.0%; the average rose from 82.2% to \
             84.4%, "
        );
        assert!(sentence.starts_with(&expected), "{sentence}");
        let expected = format!(
            "of the classes \u{201c}bird\u{201d} fell from 86.7% to 75.0%, plain retraining brings \
             {name} to 60.0%."
        );
        assert!(sentence.ends_with(&expected), "{sentence}");
    }
}

#[test]
fn nothing_is_said_of_a_class_that_was_not_measured() {
    let mut case = Case::new(0.9, 0.2);
    for metrics in [&mut case.before, &mut case.after] {
        metrics.class_accuracy[0] = None;
    }
    let comparison = Comparison {
        before: case.before,
        after: case.after,
    };
    let verdict = Verdict::new(
        Subject::Class(ClassId(0)),
        &comparison,
        Some(&Control::Measured(case.control)),
    );
    assert_eq!(verdict.conclusion, Conclusion::Unmeasured);
    assert_eq!(verdict.accuracy, None);
    let effect = verdict.effect(&names());
    assert!(effect.starts_with("was not measured on"), "{effect}");
    // Nor of one that does not exist.
    let verdict = Verdict::new(Subject::Class(ClassId(9)), &comparison, None);
    assert_eq!(verdict.conclusion, Conclusion::Unmeasured);
}

#[test]
fn every_conclusion_has_its_headline() {
    let comparison = Comparison {
        before: metrics([30; 6]),
        after: metrics([30; 6]),
    };
    let mut verdict = Verdict::new(Subject::Class(ClassId(0)), &comparison, None);
    let hardly =
        "The edit helped \u{201c}boat\u{201d} hardly more, if at all, than plain retraining does";
    for (conclusion, headline) in [
        (Conclusion::Helped, "The edit helped \u{201c}boat\u{201d}"),
        (
            Conclusion::HelpedAtACost,
            "The edit helped \u{201c}boat\u{201d}, at a cost",
        ),
        (Conclusion::NoMoreThanRetraining, hardly),
        (
            Conclusion::NoMoreThanRetrainingAtACost,
            &format!("{hardly}, at a cost"),
        ),
        (
            Conclusion::Uncompared,
            "The edit helped \u{201c}boat\u{201d}, but was not compared with plain retraining",
        ),
        (
            Conclusion::UncomparedAtACost,
            "The edit helped \u{201c}boat\u{201d} at a cost, but was not compared with plain \
             retraining",
        ),
        (
            Conclusion::MoreHarmThanGood,
            "The edit did more harm than good",
        ),
        (
            Conclusion::Failed,
            "The edit did not help \u{201c}boat\u{201d}",
        ),
        (
            Conclusion::Unmeasured,
            "The edit was not measured on \u{201c}boat\u{201d}",
        ),
    ] {
        verdict.conclusion = conclusion;
        assert_eq!(verdict.headline(&names()), headline);
    }
}

#[test]
fn changes_are_told_apart_as_far_as_they_are_shown() {
    for (before, after, tenths, trend) in [
        (0.8464, 0.8466, 1, Trend::Up),
        (0.8466, 0.8467, 0, Trend::Level),
        (0.5, 0.4, -100, Trend::Down),
    ] {
        let change = Change::new(before, after);
        assert_eq!((change.tenths(), change.trend()), (tenths, trend));
    }
}

/// 1/16 is 6.25 %, in the middle between two tenths.
#[test]
fn what_is_shown_is_what_is_judged() {
    let mut case = Case::new(0.063, 0.0);
    case.before.class_accuracy[0] = Some(1.0 / 16.0);
    let comparison = Comparison {
        before: case.before,
        after: case.after,
    };
    let verdict = Verdict::new(Subject::Class(ClassId(0)), &comparison, None);
    assert_eq!(verdict.conclusion, Conclusion::Failed);
    let effect = verdict.effect(&names());
    assert!(effect.starts_with("left its accuracy at 6.3%"), "{effect}");
}
