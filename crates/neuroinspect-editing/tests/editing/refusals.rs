//! What cannot be edited, or not so.

use ndarray::Array2;
use neuroinspect_core::{
    ClassId, DecisionLayer, Error as CoreError, FeatureTable, NeuronId, Provenance,
};
use neuroinspect_editing::{EditConfig, EditScope, Error, Target};

use crate::{run, settled, table};

#[test]
fn what_cannot_be_edited_is_an_error() {
    let (train, layer) = settled();
    let config = EditConfig::default();
    let class = EditScope::Class(ClassId(0));
    let attempt = |neurons: &[usize], scope| {
        run(&train, &train, &layer, neurons, scope, &config).unwrap_err()
    };
    assert!(matches!(attempt(&[], class), Error::NoNeurons));
    assert!(matches!(
        attempt(&[1, 0, 1], class),
        Error::DuplicateNeuron {
            neuron: NeuronId(1)
        }
    ));
    assert!(matches!(
        attempt(&[2], class),
        Error::Core(CoreError::NeuronOutOfRange { .. })
    ));
    let missing = EditScope::Class(ClassId(2));
    assert!(matches!(
        attempt(&[0], missing),
        Error::Core(CoreError::ClassOutOfRange { .. })
    ));

    let attempt = |train: &FeatureTable, validation: &FeatureTable, layer: &DecisionLayer| {
        run(train, validation, layer, &[0], class, &config).unwrap_err()
    };
    let none = train.select(&[]).unwrap();
    assert!(matches!(
        attempt(&none, &train, &layer),
        Error::EmptyTable { table: "training" }
    ));
    assert!(matches!(
        attempt(&train, &none, &layer),
        Error::EmptyTable {
            table: "validation"
        }
    ));
    let other = train.select(&[1]).unwrap();
    assert!(matches!(
        attempt(&other, &train, &layer),
        Error::Core(CoreError::EmptyClass { .. })
    ));
    let wide = table(Array2::zeros((1, 3)), &[0], 2);
    assert!(matches!(
        attempt(&wide, &train, &layer),
        Error::Core(CoreError::Shape { .. })
    ));
    assert!(matches!(
        attempt(&train, &wide, &layer),
        Error::Core(CoreError::Shape { .. })
    ));
}

#[test]
fn tables_of_other_classes_or_classifiers_are_refused() {
    let (train, layer) = settled();
    let like = |names: [&str; 2], model: &str| {
        FeatureTable::new(
            train.features().to_owned(),
            train.labels().to_vec(),
            train.predictions().to_vec(),
            names.map(String::from).to_vec(),
            Provenance::new(model, train.provenance().input.clone()),
        )
        .unwrap()
    };
    for (validation, message) in [
        (
            like(["class 0", "class 2"], "toy"),
            "'class 1' and 'class 2'",
        ),
        (
            like(["class 1", "class 0"], "toy"),
            "'class 0' and 'class 1'",
        ),
        (like(["class 0", "class 1"], "net"), "model: toy and net"),
    ] {
        let config = EditConfig::default().with_epochs(1, None);
        let class = EditScope::Class(ClassId(0));
        let error = run(&train, &validation, &layer, &[0], class, &config).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn training_that_runs_off_is_an_error() {
    let (train, layer) = settled();
    let config = EditConfig::default().with_learning_rate(1e300);
    let result = run(
        &train,
        &train,
        &layer,
        &[0],
        EditScope::Class(ClassId(0)),
        &config,
    );
    assert!(
        matches!(result, Err(Error::Diverged { epoch: 1, .. })),
        "{result:?}"
    );
}

#[test]
fn options_outside_their_range_are_refused_by_name() {
    let default = EditConfig::default;
    for (option, config) in [
        ("target", default().with_target(Target::Fixed(0.99))),
        ("target", default().with_target(Target::Fixed(f64::NAN))),
        ("lambda3", default().with_lambda3(-1.0)),
        ("learning_rate", default().with_learning_rate(0.0)),
        ("weight_decay", default().with_weight_decay(f64::INFINITY)),
        ("batch_size", default().with_batch_size(0)),
        ("epochs", default().with_epochs(0, None)),
        ("patience", default().with_epochs(1, Some(0))),
    ] {
        let error = config.validate().unwrap_err();
        assert!(error.to_string().starts_with(option), "{error}");
    }
    for preset in [
        EditConfig::original(),
        EditConfig::waterbirds(),
        EditConfig::metashift(),
    ] {
        preset.validate().unwrap();
        let json = serde_json::to_string(&preset).unwrap();
        assert_eq!(serde_json::from_str::<EditConfig>(&json).unwrap(), preset);
    }
}
