//! What a patch's file says of how it was made: methods known and unknown, and version 1.

use std::collections::BTreeMap;

use neuroinspect_core::{ClassId, NeuronId, Seed};
use neuroinspect_editing::{
    DecisionMethod, EditConfig, EditScope, Keep, LabelsUsed, MethodRecord, RatioEdit, RatioForm,
    RatioNorm, Retrain, Schedule, Target, Ties, TrainingConfig,
};
use safetensors::SafeTensors;

use crate::patch::{Parts, after, before, load, recipe, saved};

#[test]
fn a_patch_by_an_unknown_method_can_be_used_and_kept() {
    let patch = Parts::new()
        .metadata("probability_ratio", "divination")
        .load()
        .unwrap();
    let record = &patch.recipe().method;
    assert!(record.known().is_none());
    assert_eq!(
        (&record.name[..], record.kept_epoch),
        ("divination", Some(3))
    );
    let text = patch.to_string();
    let made = "made by 'divination', a method this version does not know; target 1.0200; layer of \
                epoch 3";
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
        let record = &patch.recipe().method;
        assert!(
            record.known().is_none(),
            "what is missing is not to be made up: {record:?}"
        );
        assert_eq!(record.name, "probability_ratio");
        let made = "made by 'probability_ratio', with options this version does not know; target";
        assert!(record.to_string().starts_with(made), "{record}");
        assert_eq!(record.options["neurons"], serde_json::json!([0, 2]));
        assert_eq!(patch.apply(&before()).unwrap(), after());
        assert_eq!(load(&saved(&patch)).unwrap(), patch);
    }
}

#[test]
fn known_methods_can_be_done_again() {
    let record = recipe().method;
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
    let record = MethodRecord {
        name: retrain.name().to_owned(),
        options: retrain.options().unwrap(),
        derived: BTreeMap::new(),
        kept_epoch: None,
    };
    assert_eq!(record.known().unwrap().name(), "retrain");
    assert_eq!(
        record.to_string(),
        "retrains the decision layer, with seed 0"
    );
}

/// Written by the first version; what it says must be read for as long as there are such files.
const VERSION_1: &[u8] = include_bytes!("../data/edit.v1.safetensors");

#[test]
fn a_file_of_version_1_is_read() {
    let patch = load(VERSION_1).unwrap();
    let recipe = patch.recipe();
    assert_eq!((&recipe.model[..], &recipe.version[..]), ("toy", "0.1.0"));
    let edit: RatioEdit = recipe.method.parse().unwrap();
    assert_eq!(edit.neurons, [NeuronId(0), NeuronId(2)]);
    assert_eq!(edit.scope, EditScope::Class(ClassId(1)));
    assert_eq!(recipe.method.derived["target"], 1.02);
    assert_eq!(recipe.method.kept_epoch, Some(3));
    let expected = EditConfig {
        target: Target::Fixed(1.0),
        ratio_form: RatioForm::Joint,
        ratio_norm: RatioNorm::L2,
        lambda3: 0.01,
        training: TrainingConfig {
            learning_rate: 1e-4,
            weight_decay: 1e-4,
            batch_size: 32,
            epochs: 20,
            patience: Some(5),
            keep: Keep::Accuracy,
            ties: Ties::SmallerPenalty,
            skipped_epochs: 0,
            schedule: Schedule::Warmup,
            seed: Seed(0),
        },
    };
    assert_eq!(edit.config, expected);
    assert_eq!(patch.shape(), [2, 3]);
    assert_eq!(patch.changed_classes(), [ClassId(1)]);
    let hash = "1fc7997710036516dfedf71025a1e6d26e41c9e095184feeded8ff257cbe25e3";
    assert_eq!(patch.sha256_before(), hash);
    let hash = "8bf61a1acc5374002261cb598961e061593670cd94ca5882fa802c578f170658";
    assert_eq!(patch.sha256_after(), hash);
    assert_eq!(patch.apply(&before()).unwrap(), after());
    assert_eq!(patch.revert(&after()).unwrap(), before());
    // Written anew it is of version 2, and says the same.
    assert_eq!(load(&saved(&patch)).unwrap(), patch);
}

/// A file of version 1 whose options this version does not know in full.
#[test]
fn a_file_of_version_1_by_an_unknown_method_keeps_what_it_says() {
    let (_, header) = SafeTensors::read_metadata(VERSION_1).unwrap();
    let metadata = header.metadata().clone().unwrap();
    for (from, to) in [
        ("probability_ratio", "divination"),
        (",\"schedule\":\"warmup\"", ""),
        ("\"best_epoch\":3,", ""),
    ] {
        let mut metadata = metadata.clone();
        let edit = metadata.get_mut("edit").unwrap();
        assert!(edit.contains(from), "{edit}");
        *edit = edit.replace(from, to);
        let mut parts = Parts::of(VERSION_1);
        parts.metadata = metadata;
        let patch = parts.load().unwrap();
        let record = &patch.recipe().method;
        assert!(record.known().is_none() && record.derived.is_empty());
        assert_eq!(record.options["target"], 1.02);
        assert_eq!(patch.apply(&before()).unwrap(), after());
        assert_eq!(load(&saved(&patch)).unwrap(), patch);
    }
}
