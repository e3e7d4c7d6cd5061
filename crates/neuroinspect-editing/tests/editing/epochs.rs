//! How many epochs are trained, and which one is kept.

use std::ops::ControlFlow;

use burn::tensor::Device;
use ndarray::{Array1, Array2, array};
use neuroinspect_core::{ClassId, DecisionLayer, Error as CoreError, NeuronId, Progress, Seed};
use neuroinspect_editing::{
    Comparison, EditConfig, EditScope, Edited, EpochRecord, Error, Keep, Schedule, Target, Ties,
    edit,
};
use rand::RngExt;

use crate::{run, settled, table, trained};

#[test]
fn training_stops_when_accuracy_stands_still() {
    let (train, layer) = settled();
    for (patience, epochs, early) in [
        (Some(1), 2, true),
        (Some(3), 4, true),
        (Some(19), 20, false),
        (None, 20, false),
    ] {
        let config = EditConfig::default().with_epochs(20, patience);
        let edited = trained(&train, &layer, &config);
        assert_eq!(
            (edited.epochs.len(), edited.stopped_early),
            (epochs, early),
            "{patience:?}"
        );
    }
}

#[test]
fn the_last_layer_is_that_of_the_last_epoch() {
    let (train, layer) = settled();
    let class = EditScope::Class(ClassId(0));
    let config = EditConfig::default().with_epochs(20, Some(1));
    let config = config.with_keep(Keep::Last);
    let edited = trained(&train, &layer, &config);
    assert!(!edited.stopped_early);
    assert_eq!((edited.epochs.len(), edited.best_epoch), (20, 20));
    // Neither an earlier nor a more accurate epoch's layer: the one all steps lead to, which the
    // later of equals is too when none stops it.
    let later = EditConfig::default()
        .with_epochs(20, None)
        .with_ties(Ties::Later);
    let later = run(&train, &train, &layer, &[0], class, &later).unwrap();
    assert_eq!(later.best_epoch, 20);
    assert_eq!(edited.layer, later.layer);
    // So does its control, which takes as many steps on the same batches to another layer.
    let control = trained(&train, &layer, &config.control());
    assert_eq!((control.epochs.len(), control.best_epoch), (20, 20));
    assert_ne!(control.layer, edited.layer);
}

#[test]
fn among_equals_the_original_keeps_the_later_and_the_default_the_smaller_penalty() {
    assert_eq!(EditConfig::original().ties, Ties::Later);
    assert_eq!(EditConfig::default().ties, Ties::SmallerPenalty);
    let (train, _) = settled();
    let config = EditConfig::default()
        .with_target(Target::Fixed(1.0))
        .with_lambda3(1e-3)
        .with_learning_rate(0.05)
        .with_epochs(4, None);
    let kept = |layer: &DecisionLayer, config: &EditConfig| {
        let class = EditScope::Class(ClassId(0));
        let edited = run(&train, &train, layer, &[0], class, config).unwrap();
        assert!(edited.epochs.iter().all(|it| it.validation_accuracy == 1.0));
        assert_ne!(
            &edited.layer, layer,
            "the layer given is as accurate, and is not kept"
        );
        let penalties = edited.epochs.iter().map(|it| it.validation_ratio_penalty);
        (edited.best_epoch, penalties.collect::<Vec<f64>>())
    };
    // The cross-entropy makes this layer surer, and its ratio larger: the first epoch is nearest
    // to the target. Where the ratio outweighs it, the last one is.
    let unsure = DecisionLayer::new(array![[3.0, 0.0], [0.0, 3.0]], Array1::zeros(2)).unwrap();
    let falling = config.clone().with_lambda3(1.0).with_learning_rate(1e-3);
    for (config, best, rising) in [(&config, 1, true), (&falling, 4, false)] {
        let (epoch, penalties) = kept(&unsure, config);
        assert!(
            penalties.is_sorted_by(|a, b| if rising { a < b } else { a > b }),
            "{penalties:?}"
        );
        assert_eq!(epoch, best);
        let later = config.clone().with_ties(Ties::Later);
        assert_eq!(kept(&unsure, &later), (4, penalties));
    }
}

#[test]
fn the_penalty_that_decides_is_that_of_the_layer_kept() {
    // One batch an epoch: the penalty of training is that of the layer before the step.
    let (train, _) = settled();
    let layer = DecisionLayer::new(array![[3.0, 0.0], [0.0, 3.0]], Array1::zeros(2)).unwrap();
    let config = EditConfig::default()
        .with_target(Target::Fixed(1.0))
        .with_schedule(Schedule::Constant)
        .with_lambda3(1.0)
        .with_learning_rate(0.3)
        .with_epochs(20, None);
    let edited = trained(&train, &layer, &config);
    let epochs = &edited.epochs;
    assert!(epochs.iter().all(|it| it.validation_accuracy == 1.0));
    // Large steps go past the target: somewhere on the way the penalty is least.
    let least = |penalty: fn(&EpochRecord) -> f64| {
        let least = epochs
            .iter()
            .min_by(|a, b| penalty(a).total_cmp(&penalty(b)));
        least.unwrap().epoch
    };
    let best = least(|it| it.validation_ratio_penalty);
    assert_eq!(edited.best_epoch, best);
    assert_eq!(least(|it| it.ratio_penalty), best + 1);
    for pair in epochs.windows(2) {
        let (after, before_next) = (pair[0].validation_ratio_penalty, pair[1].ratio_penalty);
        // The one in double, the other in single precision, near 1.
        assert!((after - before_next).abs() < 1e-5, "{after} {before_next}");
    }
}

#[test]
fn a_control_does_not_know_the_neurons() {
    // All epochs are equally accurate, and their penalties differ by neuron.
    let (train, _) = settled();
    let layer = DecisionLayer::new(array![[5.0, 0.0], [0.0, 1.0]], Array1::zeros(2)).unwrap();
    let config = EditConfig::default()
        .with_target(Target::Fixed(1.5))
        .with_learning_rate(0.01)
        .with_epochs(6, None)
        .control();
    let with = |neurons: &[usize], scope, target| {
        let config = config.clone().with_target(target);
        run(&train, &train, &layer, neurons, scope, &config).unwrap()
    };
    let fixed = Target::Fixed(1.9);
    let first = with(&[0], EditScope::Class(ClassId(0)), fixed);
    assert!(first.epochs.iter().all(|it| it.validation_accuracy == 1.0));
    for other in [
        with(&[1], EditScope::Class(ClassId(1)), fixed),
        with(&[0, 1], EditScope::AllClasses, Target::Auto),
        with(&[0], EditScope::Class(ClassId(0)), Target::Fixed(1e300)),
    ] {
        assert_eq!((other.best_epoch, &other.layer), (1, &first.layer));
        assert_ne!(other.epochs[0].ratio_penalty, first.epochs[0].ratio_penalty);
        assert_eq!(other.epochs[0].loss, first.epochs[0].loss);
    }
    assert_eq!(first.best_epoch, 1);
    // With the ratio in the loss the penalty decides.
    let edited = run(
        &train,
        &train,
        &layer,
        &[1],
        EditScope::Class(ClassId(1)),
        &config.clone().with_lambda3(1e-3).with_target(fixed),
    )
    .unwrap();
    assert!(edited.best_epoch > 1, "{}", edited.best_epoch);
}

#[test]
fn the_worst_class_can_choose_the_epoch() {
    // Class 1 has one sample in ten and overlaps with class 0: accuracy as a whole and the
    // accuracy of class 1 pull apart while the layer, which starts by saying class 1, learns.
    let mut rng = Seed(5).rng("overlap", &[]);
    let labels: Vec<usize> = (0..200).map(|index| usize::from(index % 10 == 0)).collect();
    let features = Array2::from_shape_fn((200, 2), |(row, neuron)| {
        rng.random_range(0.0..1.0_f32) + if neuron == labels[row] { 0.4 } else { 0.0 }
    });
    let train = table(features, &labels, 2);
    let layer = DecisionLayer::new(array![[0.0, 0.0], [0.0, 0.0]], array![0.0, 0.5]).unwrap();
    let chosen = |keep| {
        let config = EditConfig::default()
            .with_lambda3(0.0)
            .with_learning_rate(0.02)
            .with_keep(keep)
            .with_epochs(60, None)
            .with_batch_size(200);
        trained(&train, &layer, &config)
    };
    let (by_accuracy, by_worst) = (chosen(Keep::Accuracy), chosen(Keep::WorstClass));
    assert_eq!(by_accuracy.epochs, by_worst.epochs);
    let best = |edited: &Edited| edited.epochs[edited.best_epoch - 1];
    for record in &by_accuracy.epochs {
        assert!(record.validation_accuracy <= best(&by_accuracy).validation_accuracy);
        assert!(record.validation_worst_class <= best(&by_worst).validation_worst_class);
    }
    assert!(best(&by_worst).validation_worst_class > best(&by_accuracy).validation_worst_class);
    assert_ne!(by_accuracy.layer, by_worst.layer);
    // The layer is the one the record speaks of.
    let measured = Comparison::new(&train, &layer, &by_worst.layer)
        .unwrap()
        .after;
    assert_eq!(
        measured.worst_class_accuracy,
        best(&by_worst).validation_worst_class
    );
}

#[test]
fn the_observer_counts_epochs_and_can_stop() {
    let (train, layer) = settled();
    let mut seen = Vec::new();
    let mut watch = |progress: Progress<'_>| {
        seen.push((progress.done, progress.total));
        if progress.done == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let (class, config) = (EditScope::Class(ClassId(0)), EditConfig::default());
    let stopped = edit(
        &train,
        &train,
        &layer,
        &[NeuronId(0)],
        class,
        &config,
        &Device::flex(),
        &mut watch,
    );
    assert!(matches!(
        stopped,
        Err(Error::Core(CoreError::Cancelled { stage: "editing" }))
    ));
    assert_eq!(seen, [(1, 20), (2, 20)]);
}
