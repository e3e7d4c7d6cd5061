//! `summary.json`: its names are read by other programs.

#![allow(clippy::unwrap_used)] // In helpers of tests, too.

mod sample;

use neuroinspect_core::{ClassId, Error as CoreError, Metrics, NeuronId};
use neuroinspect_report::{DebugSummary, Error, EvaluationSummary};
use serde_json::Value;

#[test]
fn a_debug_summary_reads_as_documented() {
    insta::assert_json_snapshot!(sample::full().summary);
}

#[test]
fn an_evaluation_has_its_metrics_at_the_top() {
    insta::assert_json_snapshot!(evaluation());
}

#[test]
fn summaries_survive_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("summary.json");
    for summary in [sample::full().summary, sample::empty().summary] {
        summary.save(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            serde_json::from_str::<DebugSummary>(&text).unwrap(),
            summary
        );
    }
    evaluation().save(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        serde_json::from_str::<EvaluationSummary>(&text).unwrap(),
        evaluation()
    );
}

#[test]
fn without_groups_no_group_is_mentioned() {
    let json = serde_json::to_value(sample::empty().summary).unwrap();
    assert_eq!(json.get("group_names"), None);
    assert_eq!(json["metrics"].get("worst_group_accuracy"), None);
    assert_eq!(json["edit"], Value::Null);
}

/// A summary spoilt in one way, and what its error must say.
type Fault = (fn(&mut DebugSummary), &'static str);

#[test]
fn what_does_not_fit_is_named() {
    let faults: &[Fault] = &[
        (|s| s.class = ClassId(6), "class 6 is out of range"),
        (
            |s| s.confusions[0].class = ClassId(9),
            "class 9 is out of range",
        ),
        (
            |s| s.visualizations[0].class = ClassId(8),
            "class 8 is out of range",
        ),
        (|s| s.mistakes = 61, "mistakes: expected"),
        (
            |s| s.metrics.worst_class = ClassId(6),
            "class 6 is out of range",
        ),
        (
            |s| s.metrics.class_accuracy.truncate(5),
            "accuracies of classes",
        ),
        (|s| s.group_names.truncate(1), "accuracies of groups"),
        (
            |s| edit(s).before.class_accuracy.truncate(5),
            "accuracies of classes",
        ),
        (
            |s| edit(s).after.class_accuracy.truncate(5),
            "accuracies of classes",
        ),
        (
            |s| control(s).class_accuracy.truncate(5),
            "accuracies of classes",
        ),
    ];
    for (spoil, expected) in faults {
        let mut summary = sample::full().summary;
        spoil(&mut summary);
        let error = summary.validate().unwrap_err().to_string();
        assert!(
            error.contains(expected),
            "{error:?} does not say {expected:?}"
        );
    }
}

#[test]
fn json_gets_no_value_that_it_cannot_hold() {
    let faults: &[Fault] = &[
        (
            |s| s.ranking.insufficient[0].prec_at_5 = f64::NAN,
            "prec@5 of neuron 41",
        ),
        (
            |s| s.ranking.excessive[0].importance = f64::INFINITY,
            "importance of neuron 7",
        ),
        (
            |s| response(s).present = f32::NAN,
            "context response of neuron 41",
        ),
        (
            |s| response(s).absent = f32::NAN,
            "context response of neuron 41",
        ),
        (
            |s| s.visualizations[0].activation = f32::NAN,
            "activation of neuron 41",
        ),
        (
            |s| s.visualizations[0].top_real_activation = Some(f32::NAN),
            "top real activation",
        ),
        (
            |s| s.visualizations[0].clip_similarity = Some(f32::NAN),
            "CLIP similarity",
        ),
        (
            |s| s.visualizations[0].core_relevance = Some(f32::NAN),
            "core relevance",
        ),
        (|s| s.metrics.accuracy = f64::NAN, "an accuracy"),
        (|s| s.metrics.worst_class_accuracy = f64::NAN, "an accuracy"),
        (
            |s| s.metrics.worst_group_accuracy = Some(f64::NAN),
            "an accuracy",
        ),
        (
            |s| edit(s).before.class_accuracy[1] = Some(f64::NAN),
            "an accuracy",
        ),
        (
            |s| edit(s).after.group_accuracy = Some(vec![Some(f64::NAN), None]),
            "an accuracy",
        ),
        (
            |s| edit(s).target = Some(f64::NAN),
            "the target of the edit",
        ),
        (
            |s| s.run.timings[0].seconds = f64::NAN,
            "the time of features",
        ),
    ];
    for (spoil, expected) in faults {
        let mut summary = sample::full().summary;
        spoil(&mut summary);
        let error = summary.validate().unwrap_err();
        assert!(
            matches!(error, Error::Core(CoreError::NotFinite { .. })),
            "{error}"
        );
        assert!(
            error.to_string().contains(expected),
            "{error} does not say {expected:?}"
        );
    }
    let mut evaluation = evaluation();
    evaluation.run.timings[0].seconds = f64::NAN;
    let folder = tempfile::tempdir().unwrap();
    assert!(evaluation.save(folder.path().join("summary.json")).is_err());
}

#[test]
fn pictures_stay_inside_the_output_folder() {
    for path in ["", "/etc/picture.png", "../picture.png", "./picture.png"] {
        let mut summary = sample::full().summary;
        summary.visualizations[1].masked_image = path.into();
        let error = summary.validate().unwrap_err();
        assert!(matches!(error, Error::FileName { .. }), "{path}");
    }
}

fn edit(summary: &mut DebugSummary) -> &mut neuroinspect_report::Edit {
    summary.edit.as_mut().unwrap()
}

fn control(summary: &mut DebugSummary) -> &mut Metrics {
    edit(summary).control.as_mut().unwrap()
}

fn response(summary: &mut DebugSummary) -> &mut neuroinspect_report::ContextResponse {
    let neuron = &mut summary.ranking.insufficient[0];
    assert_eq!(neuron.neuron, NeuronId(41));
    neuron.context_response.as_mut().unwrap()
}

fn evaluation() -> EvaluationSummary {
    let metrics: Metrics = sample::metrics([33, 52, 57, 49, 50, 55]);
    EvaluationSummary {
        metrics,
        class_names: sample::full().summary.class_names,
        group_names: sample::full().summary.group_names,
        run: sample::run(),
    }
}
