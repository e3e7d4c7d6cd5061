//! What cannot be edited, or not so.

use burn::tensor::Device;
use ndarray::Array2;
use neuroinspect_core::{
    ActivationTable, ClassId, DecisionLayer, Error as CoreError, FeatureTable, NeuronId,
    Provenance, Seed, Silent,
};
use neuroinspect_editing::{
    CrossEntropy, DeviceTable, EditConfig, EditScope, Error, Fitted, LayerTraining, MethodInput,
    Result, Retrain, Sampling, Storage, Target, TrainingConfig, Weighted, train,
};

use crate::{fit, ratio_edit, settled, table, training};

fn run(
    train: &FeatureTable,
    validation: &FeatureTable,
    layer: &DecisionLayer,
    neurons: &[usize],
    scope: EditScope,
) -> Result<Fitted> {
    let edit = ratio_edit(neurons, scope, &EditConfig::default());
    fit(&edit, [train, validation], layer, &mut Silent)
}

#[test]
fn what_cannot_be_edited_is_an_error() {
    let (train, layer) = settled();
    let class = EditScope::Class(ClassId(0));
    let attempt =
        |neurons: &[usize], scope| run(&train, &train, &layer, neurons, scope).unwrap_err();
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
        run(train, validation, layer, &[0], class).unwrap_err()
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
        let provenance = Provenance::new(model, train.provenance().input.clone());
        let features =
            ActivationTable::new(train.features().unwrap().into_owned(), provenance).unwrap();
        let names = names.map(String::from).to_vec();
        FeatureTable::new(features, train.labels().to_vec(), names).unwrap()
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
        let class = EditScope::Class(ClassId(0));
        let error = run(&train, &validation, &layer, &[0], class).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn training_that_runs_off_is_an_error() {
    let (train, layer) = settled();
    let config = training(|it| it.with_learning_rate(1e300));
    let edit = ratio_edit(&[0], EditScope::Class(ClassId(0)), &config);
    let result = fit(&edit, [&train, &train], &layer, &mut Silent);
    assert!(
        matches!(result, Err(Error::Diverged { epoch: 1, .. })),
        "{result:?}"
    );
}

#[test]
fn options_outside_their_range_are_refused_by_name() {
    let default = EditConfig::default;
    let of_training = |change: fn(TrainingConfig) -> TrainingConfig| training(change);
    for (option, config) in [
        ("target", default().with_target(Target::Fixed(0.99))),
        ("target", default().with_target(Target::Fixed(f64::NAN))),
        ("lambda3", default().with_lambda3(-1.0)),
        (
            "learning_rate",
            of_training(|it| it.with_learning_rate(0.0)),
        ),
        (
            "weight_decay",
            of_training(|it| it.with_weight_decay(f64::INFINITY)),
        ),
        ("batch_size", of_training(|it| it.with_batch_size(0))),
        ("epochs", of_training(|it| it.with_epochs(0, None))),
        ("patience", of_training(|it| it.with_epochs(1, Some(0)))),
        (
            "skipped_epochs",
            of_training(|it| it.with_skipped_epochs(20)),
        ),
    ] {
        let error = config.validate().unwrap_err();
        assert!(error.to_string().starts_with(option), "{error}");
    }
    // They are checked where they are used, too.
    let (train, layer) = settled();
    let retrain = Retrain::new(TrainingConfig::default().with_batch_size(0));
    let error = fit(&retrain, [&train, &train], &layer, &mut Silent).unwrap_err();
    assert!(error.to_string().starts_with("batch_size"), "{error}");
}

/// What the paper and what its authors' programs do, in the constructors' table.
#[test]
fn presets_hold_and_survive_json() {
    let presets = [
        EditConfig::original(),
        EditConfig::paper_flowers(),
        EditConfig::paper_food(),
        EditConfig::paper_waterbirds(),
        EditConfig::code_waterbirds(),
        EditConfig::paper_metashift(),
        EditConfig::code_metashift(),
    ];
    for preset in &presets {
        preset.validate().unwrap();
        let json = serde_json::to_string(preset).unwrap();
        assert_eq!(&serde_json::from_str::<EditConfig>(&json).unwrap(), preset);
    }
    let lambdas = presets.each_ref().map(|preset| preset.lambda3);
    assert_eq!(lambdas, [0.01, 0.01, 0.01, 0.001, 0.01, 1.0, 1.0]);
    let skipped = presets.map(|preset| preset.training.skipped_epochs);
    assert_eq!(skipped, [2, 0, 0, 0, 1, 0, 2]);
    let unknown = r#"{"lamda3": 1.0}"#;
    assert!(serde_json::from_str::<EditConfig>(unknown).is_err());
}

#[test]
fn weights_that_draw_nothing_are_refused() {
    for weights in [vec![], vec![0.0; 3], vec![1.0, -1.0], vec![f64::NAN]] {
        let error = Weighted::new(weights).unwrap_err();
        assert!(
            error.to_string().starts_with("weights of samples"),
            "{error}"
        );
    }
}

#[test]
fn an_epoch_of_samples_that_are_not_there_is_an_error() {
    struct Listed(Vec<usize>);

    impl Sampling for Listed {
        fn order(&self, _: Seed, _: usize) -> Vec<usize> {
            self.0.clone()
        }
    }

    let (samples, layer) = settled();
    let device = Device::flex();
    let storage = Storage::Device;
    let samples = DeviceTable::new(samples, &device, storage).unwrap();
    let input = MethodInput::new(&samples, &samples, &layer).unwrap();
    let attempt = |listed| {
        let training = LayerTraining {
            input: &input,
            loss: &mut CrossEntropy,
            sampling: &Listed(listed),
            config: &TrainingConfig::default(),
            stage: "editing",
        };
        train(training, &mut Silent).map(|fitted| fitted.epochs.len())
    };
    assert_eq!(attempt(vec![1, 1, 0]).unwrap(), 20);
    assert!(matches!(
        attempt(vec![]),
        Err(Error::Core(CoreError::Empty { .. }))
    ));
    assert!(matches!(
        attempt(vec![0, 2]),
        Err(Error::Core(CoreError::OutOfRange { index: 2, .. }))
    ));
}
