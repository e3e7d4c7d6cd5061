//! What a patch's file says of how it was made: methods known and unknown.

use neuroinspect_editing::{
    DecisionMethod, EditConfig, Fitted, Keep, LabelsUsed, MethodRecord, RatioEdit, Retrain,
    TrainingConfig,
};

use crate::patch::{Parts, after, before, load, method, saved};

#[test]
fn a_patch_by_an_unknown_method_can_be_used_and_kept() {
    let patch = Parts::new()
        .metadata("probability_ratio", "divination")
        .load()
        .unwrap();
    let record = patch.method();
    assert!(record.known().is_none());
    assert_eq!(
        (&record.name[..], record.kept_epoch),
        ("divination", Some(3))
    );
    let text = patch.to_string();
    let made = "made by 'divination', a method or options this version does not know; target \
                1.0200; layer of epoch 3";
    assert!(text.contains(made), "{text}");
    assert_eq!(patch.apply(&before()).unwrap(), after());
    assert_eq!(patch.revert(&after()).unwrap(), before());
    assert_eq!(load(&saved(&patch)).unwrap(), patch);
}

/// As versions to come may have them: an option more, or one less.
#[test]
fn a_patch_with_options_unknown_can_be_used_and_kept() {
    for (from, to) in [
        ("\"schedule\"", "\"shedule\":0,\"schedule\""),
        (",\"schedule\":\"constant\"", ""),
        ("\"lambda3\":0.001,", ""),
    ] {
        let patch = Parts::new().metadata(from, to).load().unwrap();
        let record = patch.method();
        assert!(
            record.known().is_none(),
            "what is missing is not to be made up: {record:?}"
        );
        assert_eq!(record.name, "probability_ratio");
        let made =
            "made by 'probability_ratio', a method or options this version does not know; target";
        assert!(record.to_string().starts_with(made), "{record}");
        assert_eq!(record.options["neurons"], serde_json::json!([0, 2]));
        assert_eq!(patch.apply(&before()).unwrap(), after());
        assert_eq!(load(&saved(&patch)).unwrap(), patch);
    }
}

#[test]
fn known_methods_can_be_done_again() {
    let record = method();
    let edit: RatioEdit = record.parse().unwrap();
    assert_eq!(edit.config, EditConfig::paper_waterbirds());
    let known = record.known().unwrap();
    assert_eq!(known.options().unwrap(), record.options);
    assert_eq!(known.neurons(), edit.neurons);
    assert!(record.parse::<Retrain>().is_none());
    assert_eq!(known.labels(), LabelsUsed::Class);
    let by_groups = TrainingConfig::default().with_keep(Keep::WorstGroup);
    let retrain = Retrain::new(by_groups.clone());
    assert_eq!(retrain.labels(), LabelsUsed::GroupsOfValidation);
    let config = edit.config.clone().with_training(by_groups);
    let edit = edit.with_config(config);
    assert_eq!(edit.labels(), LabelsUsed::GroupsOfValidation);
    let retrain = Retrain::default();
    let record = MethodRecord::new(&retrain, &Fitted::new(before())).unwrap();
    assert_eq!(record.known().unwrap().name(), "retrain");
    assert_eq!(
        record.to_string(),
        "retrains the decision layer, with seed 0"
    );
}
