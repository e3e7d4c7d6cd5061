//! `summary.json`: its names are read by other programs.

use neuroinspect_core::{ClassId, Error as CoreError, NeuronId};
use neuroinspect_editing::{Control, Suspect};
use neuroinspect_report::{Error, Evaluation, Findings, Schema, to_json, write_json};
use serde_json::Value;

use crate::sample;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn findings_read_as_documented() {
    let findings = sample::full().findings;
    let mut json = json(&to_json(Schema::FINDINGS, &findings).unwrap());
    // Of the many, what one looks like.
    for list in [
        "/explanation/counterfactuals",
        "/certified/explanation/certificates",
        "/context_effects",
        "/edit/epochs",
    ] {
        let list = json.pointer_mut(list).unwrap().as_array_mut().unwrap();
        assert!(list.len() > 10);
        list.truncate(1);
    }
    insta::assert_json_snapshot!(json);
}

#[test]
fn an_evaluation_has_its_metrics_at_the_top() {
    insta::assert_json_snapshot!(json(&to_json(Schema::EVALUATION, &evaluation()).unwrap()));
}

/// A schema's version is the first thing that a reader has to know.
#[test]
fn the_schema_comes_first() {
    let text = to_json(Schema::FINDINGS, &sample::empty().findings).unwrap();
    let start = "{\n  \"schema\": \"neuroinspect.findings\",\n  \"schema_version\": 4,\n";
    assert!(text.starts_with(start), "{text}");
    assert!(text.ends_with("}\n"));
    assert!(
        to_json(Schema::new("a list", 1), &[1, 2]).is_err(),
        "no object"
    );
}

#[test]
fn findings_survive_their_file_but_for_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("summary.json");
    for sample in [sample::full(), sample::empty()] {
        let mut findings = sample.findings;
        write_json(&path, Schema::FINDINGS, &findings).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        findings.explanation.shifts = Default::default();
        for picture in &mut findings.pictures {
            picture.illusion.image = Default::default();
            picture.illusion.mask = None;
        }
        assert_eq!(serde_json::from_str::<Findings>(&text).unwrap(), findings);
    }
    evaluation().write(folder.path()).unwrap();
    let path = folder.path().join(Evaluation::JSON_FILE);
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        serde_json::from_str::<Evaluation>(&text).unwrap(),
        evaluation()
    );
}

#[test]
fn without_groups_no_group_is_mentioned() {
    let json = serde_json::to_value(sample::empty().findings).unwrap();
    assert_eq!(json.get("group_names"), None);
    assert_eq!(json["metrics"].get("worst_group_accuracy"), None);
    assert_eq!(json["edit"], Value::Null);
}

/// Findings spoilt in one way, and what their error must say.
type Fault = (fn(&mut Findings), &'static str);

#[test]
fn what_does_not_fit_is_named() {
    let faults: &[Fault] = &[
        (|s| s.class = ClassId(6), "class 6 is out of range"),
        (
            |s| s.explanation.counterfactuals[0].predicted = ClassId(9),
            "class 9 is out of range",
        ),
        (
            |s| certified(s).explanation.certificates[0].predicted = ClassId(9),
            "class 9 is out of range",
        ),
        (|s| s.pairs[0].class = ClassId(7), "class 7 is out of range"),
        (
            |s| s.pictures[0].illusion.pair.class = ClassId(8),
            "class 8 is out of range",
        ),
        (|s| s.samples = 26, "27 mistakes, but only 26 samples"),
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
            |s| edit(s).comparison.before.class_accuracy.truncate(5),
            "accuracies of classes",
        ),
        (
            |s| edit(s).comparison.after.class_accuracy.truncate(5),
            "accuracies of classes",
        ),
        (
            |s| {
                let Some(Control::Measured(control)) = &mut edit(s).control else {
                    unreachable!("the sample has one");
                };
                control.class_accuracy.truncate(5);
            },
            "accuracies of classes",
        ),
    ];
    for (spoil, expected) in faults {
        let mut findings = sample::full().findings;
        spoil(&mut findings);
        let error = findings.validate().unwrap_err().to_string();
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
            |s| s.ranking.insufficient[0].prec_at_k = f64::NAN,
            "prec@K of neuron 41",
        ),
        (
            |s| s.ranking.excessive[0].importance = f64::INFINITY,
            "importance of neuron 7",
        ),
        (
            |s| certified(s).explanation.certificates[2].at_least = f64::INFINITY,
            "the length of the change of sample 2",
        ),
        (
            |s| certified(s).stability.excessive[0].prec_at_k[1] = f64::NAN,
            "the stability of the ranking",
        ),
        (
            |s| certified(s).stability.excessive[0].in_first = f64::NAN,
            "the stability of the ranking",
        ),
        (|s| recommendation(s).gain.mean.high = f64::NAN, "a gain"),
        (
            |s| recommendation(s).suspects.push(contrasted(f64::NAN)),
            "a number of suspect",
        ),
        (
            |s| s.context_effects[41].present = f32::NAN,
            "context effect of neuron 41",
        ),
        (
            |s| s.context_effects[3].effect = f32::NAN,
            "context effect of neuron 3",
        ),
        (
            |s| s.pictures[0].illusion.activation = f32::NAN,
            "activation, logit or probability of neuron 41",
        ),
        (
            |s| s.pictures[0].illusion.logit = f32::NAN,
            "activation, logit or probability of neuron 41",
        ),
        (
            |s| s.pictures[0].top_real_activation = Some(f32::NAN),
            "top real activation",
        ),
        (
            |s| s.pictures[0].illusion.clip_similarity = Some(f32::NAN),
            "CLIP similarity",
        ),
        (
            |s| s.pictures[0].core_relevance = Some(f32::NAN),
            "core relevance",
        ),
        (|s| s.metrics.accuracy = f64::NAN, "an accuracy"),
        (|s| s.metrics.worst_class_accuracy = f64::NAN, "an accuracy"),
        (
            |s| s.metrics.worst_group_accuracy = Some(f64::NAN),
            "an accuracy",
        ),
        (
            |s| edit(s).comparison.before.class_accuracy[1] = Some(f64::NAN),
            "an accuracy",
        ),
        (
            |s| edit(s).comparison.after.group_accuracy = Some(vec![Some(f64::NAN), None]),
            "an accuracy",
        ),
        (
            |s| s.run.timings[0].seconds = f64::NAN,
            "the time of features",
        ),
    ];
    for (spoil, expected) in faults {
        let mut findings = sample::full().findings;
        spoil(&mut findings);
        let error = findings.validate().unwrap_err();
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
    assert!(evaluation.validate().is_err());
    // JSON would have null in its place.
    let folder = tempfile::tempdir().unwrap();
    assert!(evaluation.write(folder.path()).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn pictures_stay_inside_the_output_folder() {
    for path in ["", "/etc/picture.png", "../picture.png", "./picture.png"] {
        let mut findings = sample::full().findings;
        findings.pictures[1].masked_file = Some(path.into());
        let error = findings.validate().unwrap_err();
        assert!(matches!(error, Error::FileName { .. }), "{path}");
    }
}

fn contrasted(contrast: f64) -> Suspect {
    Suspect {
        neuron: NeuronId(3),
        share_of_deficit: 0.5,
        contrast,
        importance: None,
        prec_at_k: None,
        core_relevance: None,
        outside_object: None,
    }
}

fn recommendation(findings: &mut Findings) -> &mut neuroinspect_editing::MendResult {
    findings.recommendation.as_mut().unwrap()
}

fn certified(findings: &mut Findings) -> &mut neuroinspect_counterfactual::Certified {
    findings.certified.as_mut().unwrap()
}

fn edit(findings: &mut Findings) -> &mut neuroinspect_editing::EditResult {
    findings.edit.as_mut().unwrap()
}

fn evaluation() -> Evaluation {
    let findings = sample::full().findings;
    Evaluation {
        metrics: findings.metrics,
        class_names: findings.class_names,
        group_names: findings.group_names,
        run: sample::run(),
    }
}
