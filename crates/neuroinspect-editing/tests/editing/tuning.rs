//! Options chosen on validation samples: which are chosen, by which labels, and on nothing that was learnt from.

use std::ops::ControlFlow;

use burn::tensor::Device;
use ndarray::{Array1, Array2};
use neuroinspect_core::{
    ClassId, DecisionLayer, FeatureTable, NeuronId, Progress, Seed, Silent, is_cancellation,
};
use neuroinspect_editing::{
    DeviceTable, Error, Keep, METHODS, MethodArguments, MethodInput, Result, Storage,
    TrainingConfig, Tuned, Tuner, method_named,
};
use neuroinspect_testing::tables::{random_layer, random_table};
use rand::{RngExt, seq::SliceRandom};
use serde_json::{Map, json};

use crate::{learning::planted, table};

fn tuned(
    name: &str,
    [train, validation]: [&FeatureTable; 2],
    layer: &DecisionLayer,
) -> Result<Tuned> {
    let on_device = |table: &FeatureTable| {
        DeviceTable::new(table.clone(), &Device::flex(), Storage::Device).unwrap()
    };
    let (train, validation) = (on_device(train), on_device(validation));
    let input = MethodInput::new(&train, &validation, layer)?;
    Tuner::new(&input, Seed(3))?.choose(name, &MethodArguments::default(), &mut Silent)
}

fn without_groups(of: &FeatureTable) -> FeatureTable {
    let labels: Vec<usize> = of.labels().iter().map(|label| label.0).collect();
    table(of.features().unwrap().into_owned(), &labels, of.classes())
}

fn nothing(classes: usize, neurons: usize) -> DecisionLayer {
    DecisionLayer::new(Array2::zeros((classes, neurons)), Array1::zeros(classes)).unwrap()
}

#[test]
fn the_options_of_the_best_worst_class_are_chosen() {
    let mut rng = Seed(5).rng("tuning", &[]);
    // Of a class that is one sample in ten, and a layer that says the other.
    let samples = |count: usize| {
        let labels: Vec<usize> = (0..count)
            .map(|sample| usize::from(sample % 10 == 0))
            .collect();
        let features = Array2::from_shape_fn((count, 1), |(sample, _)| {
            labels[sample] as f32 + (sample * 7 % 13) as f32 / 10.0
        });
        table(features, &labels, 2)
    };
    let layer = DecisionLayer::new(ndarray::array![[-1.0], [1.0]], ndarray::array![2.5, 0.0]);
    let (train, validation, layer) = (samples(200), samples(100), layer.unwrap());
    let found = tuned("logit_adjustment", [&train, &validation], &layer).unwrap();
    assert_eq!(found.tried.len(), 6);
    let key = |it: &neuroinspect_editing::Tried| (it.worst, it.mean);
    let chosen = found
        .tried
        .iter()
        .find(|it| it.options == found.options)
        .unwrap();
    let first = found
        .tried
        .iter()
        .find(|it| found.tried.iter().all(|other| key(other) <= key(it)));
    assert_eq!(Some(chosen), first);
    let worst = found.tried.iter().map(|it| it.worst).fold(1.0, f64::min);
    assert!(worst < chosen.worst, "{:?}", found.tried);

    // A method that has nothing to choose is not tried.
    let planted = planted(100, 0.9, &mut rng);
    let found = tuned("dfr", [&planted, &planted], &nothing(2, 4)).unwrap();
    assert_eq!(found, Tuned::default());
}

#[test]
fn groups_choose_for_methods_that_use_them_alone() {
    let mut rng = Seed(6).rng("tuning", &[]);
    let (train, validation) = (planted(400, 0.9, &mut rng), planted(300, 0.9, &mut rng));
    let bare = without_groups(&validation);
    let layer = nothing(2, 4);
    let of = |name, validation| tuned(name, [&train, validation], &layer).unwrap();
    assert_eq!(of("retrain", &validation), of("retrain", &bare));
    let (by_group, by_class) = (
        of("group_balanced", &validation),
        of("group_balanced", &bare),
    );
    for (by_group, by_class) in by_group.tried.iter().zip(&by_class.tried) {
        assert!(by_group.worst < by_class.worst, "{by_group:?} {by_class:?}");
        assert_eq!(by_group.mean, by_class.mean);
    }
    let error = tuned("group_balanced", [&bare, &validation], &layer).unwrap_err();
    assert!(matches!(error, Error::NoGroups { table: "training" }));
}

/// What does not use the validation samples is made once for both halves: it is the same whatever they are.
#[test]
fn what_does_not_use_the_validation_samples_does_not_depend_on_them() {
    let mut rng = Seed(9).rng("tuning", &[]);
    let train = planted(200, 0.9, &mut rng);
    let (one, other) = (planted(100, 0.9, &mut rng), planted(100, 0.1, &mut rng));
    let tables = [train, one, other].map(|table| {
        let device = Device::flex();
        DeviceTable::new(table, &device, Storage::Device).unwrap()
    });
    let mut arguments = MethodArguments {
        class: Some(ClassId(0)),
        neurons: vec![NeuronId(1)],
        training: TrainingConfig::default().with_epochs(3, None),
        ..MethodArguments::default()
    };
    let layer = random_layer(2, 4);
    let mut without = Vec::new();
    for &name in METHODS {
        let method = method_named(name, &arguments, &Map::new()).unwrap();
        if method.uses_validation() {
            continue;
        }
        let fitted = [&tables[1], &tables[2]].map(|validation| {
            let input = MethodInput::new(&tables[0], validation, &layer).unwrap();
            method.fit(&input, &mut Silent).unwrap().layer
        });
        assert_eq!(fitted[0], fitted[1], "{name}");
        without.push(name);
    }
    assert_eq!(without.len(), 10, "{without:?}");
    // Samples that choose the epoch are used.
    arguments.training.keep = Keep::Accuracy;
    for name in without
        .into_iter()
        .filter(|&name| name != "logit_adjustment")
    {
        let method = method_named(name, &arguments, &Map::new()).unwrap();
        assert!(method.uses_validation(), "{name}");
    }
}

/// Labels without any relation to the features are learnt by heart from forty samples with sixty neurons; of
/// samples that were not learnt from, a layer then knows nothing.
#[test]
fn options_are_not_judged_on_what_was_learnt_from() {
    let layer = nothing(2, 60);
    let mut rng = Seed(7).rng("tuning", &[]);
    let mut labels: Vec<usize> = (0..80).map(|sample| sample % 2).collect();
    labels.shuffle(&mut rng);
    let noise = Array2::from_shape_fn((80, 60), |_| rng.random_range(-3.0_f32..3.0));
    let validation = table(noise, &labels, 2);
    let train = random_table("train", 50, &layer);
    let found = tuned("afr", [&train, &validation], &layer).unwrap();
    assert_eq!(found.tried.len(), 12);
    for tried in &found.tried {
        assert!((0.3..0.7).contains(&tried.mean), "{tried:?}");
    }
}

#[test]
fn what_cannot_be_chosen_says_why() {
    let layer = nothing(2, 4);
    let mut rng = Seed(8).rng("tuning", &[]);
    let planted = planted(60, 0.9, &mut rng);
    let error = tuned("con", [&planted, &planted], &layer).unwrap_err();
    assert!(
        matches!(error, Error::Missing { method: "con", .. }),
        "{error}"
    );
    let one = table(Array2::ones((1, 4)), &[0], 2);
    let error = tuned("retrain", [&without_groups(&planted), &one], &layer).unwrap_err();
    assert!(
        matches!(
            error,
            Error::EmptyTable {
                table: "validation"
            }
        ),
        "{error}"
    );

    let on_device = DeviceTable::new(planted, &Device::flex(), Storage::Device).unwrap();
    let input = MethodInput::new(&on_device, &on_device, &layer).unwrap();
    let tuner = Tuner::new(&input, Seed(0)).unwrap();
    let mut stop = |_: Progress<'_>| ControlFlow::Break(());
    let stopped = tuner.choose("jtt", &MethodArguments::default(), &mut stop);
    assert!(is_cancellation(&stopped.unwrap_err()));
    let options = json!({"options": {}, "tried": []});
    assert_eq!(serde_json::to_value(Tuned::default()).unwrap(), options);
}
