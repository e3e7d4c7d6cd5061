//! What the page says of an edit and a recommendation.

use neuroinspect_core::ClassId;
use neuroinspect_editing::{Control, Subject, Verdict, Yardstick};
use neuroinspect_report::recommendation_html;

use super::{assert_well_formed, metrics_of};
use crate::sample;

#[test]
fn a_recommendation_is_drawn_and_told() {
    let mut report = sample::full();
    let page = report.html().unwrap();
    for text in [
        "role=\"img\" aria-label=\"6 layers by their accuracy of \u{201c}boat\u{201d} at their mean",
        "What is recommended has 81.3% at 84.4%.",
        "Recommended: retrain plainly, bias +0.5 (on the 600 training samples and the 360 that the edit is \
         measured on); expected: \u{201c}boat\u{201d} +25.0 [+18.8, +31.3]",
        "edit's control learned",
        "get 64 of 960 samples wrong, and what they take them for depends on the class (phi 0.75)",
        "recommended: retrain plainly, bias +0.5</th>",
        "<polyline class=\"as-it-is\"",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let chosen = "<circle class=\"chosen\"";
    assert_eq!(
        page.matches(chosen).count(),
        2,
        "in the drawing and its legend"
    );
    let findings = &report.findings;
    let result = findings.recommendation.as_ref().unwrap();
    let alone = recommendation_html(result, &findings.class_names, &findings.run).unwrap();
    assert_well_formed(&alone);
    assert!(alone.contains("<h1>Which mend helps</h1>") && alone.contains(chosen));

    let result = report.findings.recommendation.as_mut().unwrap();
    (result.recommended, result.recommended_at) = (None, None);
    let page = report.html().unwrap();
    assert!(page.contains("no mend is sure to help; the best tried is to retrain plainly"));
    assert_eq!(page.matches(chosen).count(), 1, "in the legend alone");
    // By the yardstick that chose.
    let result = report.findings.recommendation.as_mut().unwrap();
    result.yardstick = Yardstick::Groups;
    let page = report.html().unwrap();
    assert!(page.contains("accuracy of \u{201c}boat\u{201d} over presumed groups at their mean"));
    assert!(
        page.contains("As it is, the layer has 28.1% at 40.6%."),
        "{page}"
    );
    // By groups where no class is asked for.
    let result = report.findings.recommendation.as_mut().unwrap();
    result.class = None;
    for point in &mut result.frontier {
        (point.class, point.class_by_groups) = (None, None);
    }
    let page = report.html().unwrap();
    assert!(page.contains("6 layers by their mean accuracy over presumed groups at their mean"));

    let result = report.findings.recommendation.as_mut().unwrap();
    result.frontier[1].candidate = 2;
    let error = report.html().unwrap_err().to_string();
    assert!(error.contains("candidate of a frontier"), "{error}");
    let result = report.findings.recommendation.as_mut().unwrap();
    result.frontier[1].candidate = 1;
    result.recommended_at = Some(6);
    let error = report.html().unwrap_err().to_string();
    assert!(error.contains("point of a frontier"), "{error}");

    let findings = &mut report.findings;
    findings.recommendation = None;
    findings.recommendation_left_out = Some("of 9 samples it takes long".into());
    assert!(
        report
            .html()
            .unwrap()
            .contains("Not looked for: of 9 samples it takes long.")
    );
}

#[test]
fn the_headline_hides_no_loss() {
    let before = [33, 52, 57, 49, 50, 55];
    for (after, control, verdict, sentence) in [
        (
            [48, 52, 57, 49, 50, 55],
            [36, 52, 57, 49, 50, 55],
            "The edit helped \u{201c}boat\u{201d}<",
            "Editing neurons 41 and 7 raised its accuracy from 55.0% to 80.0%; \
             the average rose from 82.2% to 86.4%, the worst group rose from 64.4% to 72.8%, \
             plain retraining brings \u{201c}boat\u{201d} to 60.0%.",
        ),
        // The average gains, one class pays.
        (
            [48, 52, 57, 40, 50, 55],
            [36, 52, 57, 49, 50, 55],
            "The edit helped \u{201c}boat\u{201d}, at a cost<",
            "of the other classes \u{201c}bicycle\u{201d} fell from 81.7% to 66.7%",
        ),
        (
            [34, 40, 57, 49, 50, 55],
            [33, 52, 57, 49, 50, 55],
            "The edit did more harm than good: \u{201c}boat\u{201d} +1.7 points, the average -3.0<",
            "raised its accuracy from 55.0% to 56.7%; the average fell from 82.2% to 79.2%",
        ),
        // All of it is the training's doing.
        (
            [48, 52, 57, 49, 50, 55],
            [48, 52, 57, 49, 50, 55],
            "The edit helped \u{201c}boat\u{201d} hardly more, if at all, than plain retraining does<",
            "plain retraining brings \u{201c}boat\u{201d} to 80.0%.",
        ),
        (
            [48, 52, 57, 40, 50, 55],
            [48, 52, 57, 40, 50, 55],
            "The edit helped \u{201c}boat\u{201d} hardly more, if at all, than plain retraining does, at a cost<",
            "of the other classes \u{201c}bicycle\u{201d} fell from 81.7% to 66.7%",
        ),
        (
            before,
            before,
            "The edit did not help \u{201c}boat\u{201d}<",
            "left its accuracy at 55.0%; the average stayed at 82.2%",
        ),
        (
            [30, 60, 57, 49, 50, 55],
            before,
            "The edit did not help \u{201c}boat\u{201d}<",
            "lowered its accuracy from 55.0% to 50.0%; the average rose from 82.2% to 83.6%",
        ),
    ] {
        let mut report = sample::full();
        let edit = report.edit();
        edit.comparison.before = sample::metrics(before);
        edit.comparison.after = sample::metrics(after);
        edit.control = Some(Control::Measured(sample::metrics(control)));
        report.judge();
        let page = report.html().unwrap();
        assert!(page.contains(verdict), "{after:?}: {verdict}");
        assert!(page.contains(sentence), "{after:?}: {sentence}");
    }
}

/// The page has no opinion of its own: it shows the verdict that the result holds.
#[test]
fn the_verdict_shown_is_that_of_the_result() {
    let mut report = sample::full();
    let class = ClassId(3);
    let edit = report.edit();
    let verdict = Verdict::new(Subject::Class(class), &edit.comparison, None);
    edit.verdict = verdict.clone();
    let (names, page) = (&report.findings.class_names, report.html().unwrap());
    assert!(page.contains(&verdict.headline(names)));
    assert!(page.contains(&verdict.effect(names)));
}

#[test]
fn a_control_has_a_column_where_there_is_one() {
    let mut report = sample::full();
    // Right on no class as often as before or after, so that its numbers are its own.
    let control = Control::Measured(sample::metrics([21, 52, 57, 49, 50, 55]));
    report.edit().control = Some(control);
    let page = report.html().unwrap();
    assert!(page.contains("control</th>"));
    assert!(page.contains(">35.0%</td>"), "21 of 60 boats");
    assert!(page.contains("plain retraining with the same options"));

    report.edit().control = None;
    let page = report.html().unwrap();
    assert!(!page.contains("control</th>") && !page.contains(">35.0%</td>"));
    assert!(!page.contains("plain retraining with the same options"));
}

#[test]
fn a_class_that_was_not_measured_is_not_praised() {
    let mut report = sample::full();
    let comparison = &mut report.edit().comparison;
    comparison.before.class_accuracy[0] = None;
    comparison.after.class_accuracy[0] = None;
    report.judge();
    let page = report.html().unwrap();
    assert!(page.contains("The edit was not measured on \u{201c}boat\u{201d}"));
}

#[test]
fn of_many_classes_those_that_changed_most_are_listed() {
    let mut report = sample::full();
    let findings = &mut report.findings;
    findings
        .class_names
        .extend((6..50).map(|class| format!("class-{class}")));
    let edit = findings.edit.as_mut().unwrap();
    for metrics in metrics_of(edit).into_iter().chain([&mut findings.metrics]) {
        metrics.class_accuracy.resize(50, Some(0.5));
    }
    edit.comparison.after.class_accuracy[49] = Some(0.75);
    let page = report.html().unwrap();
    assert!(page.contains("class-49"));
    assert!(!page.contains("class-48"));
    assert!(page.contains("10 more changed no more"));
}
