//! How many epochs are trained, and which one is kept.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2, array};
use neuroinspect_core::{ClassId, DecisionLayer, Groups, Progress, Seed, Silent, is_cancellation};
use neuroinspect_editing::{
    Comparison, EditConfig, EditScope, EpochRecord, Error, Fitted, Keep, RatioEdit, Retrain,
    Schedule, Target, Ties, TrainingConfig,
};
use rand::RngExt;

use crate::{fit, ratio_edit, retrained, settled, table, trained, training};

const CLASS: EditScope = EditScope::Class(ClassId(0));

fn by_accuracy(epochs: usize, patience: Option<usize>) -> TrainingConfig {
    TrainingConfig::default()
        .with_keep(Keep::Accuracy)
        .with_epochs(epochs, patience)
}

#[test]
fn training_stops_when_accuracy_stands_still() {
    let (train, layer) = settled();
    for (patience, epochs, early) in [
        (Some(1), 2, true),
        (Some(3), 4, true),
        (Some(19), 20, false),
        (None, 20, false),
    ] {
        let config = training(|_| by_accuracy(20, patience));
        let edited = trained(&train, &layer, &config);
        assert_eq!(
            (edited.epochs.len(), edited.stopped_early),
            (epochs, early),
            "{patience:?}"
        );
    }
}

#[test]
fn by_default_the_layer_is_that_of_the_last_epoch() {
    let (train, layer) = settled();
    let config = training(|default| default.with_epochs(20, Some(1)));
    let edited = trained(&train, &layer, &config);
    assert!(!edited.stopped_early);
    assert_eq!((edited.epochs.len(), edited.kept_epoch), (20, Some(20)));
    // Neither an earlier nor a more accurate epoch's layer: the one all steps lead to, which the
    // later of equals is too when none stops it.
    let later = training(|_| by_accuracy(20, None).with_ties(Ties::Later));
    let later = trained(&train, &layer, &later);
    assert_eq!(later.kept_epoch, Some(20));
    assert_eq!(edited.layer, later.layer);
    // So does its control, which takes as many steps on the same batches to another layer.
    let control = retrained(&train, &layer, &config.training);
    assert_eq!((control.epochs.len(), control.kept_epoch), (20, Some(20)));
    assert_ne!(control.layer, edited.layer);
}

#[test]
fn among_equals_the_original_keeps_the_later_and_the_default_the_smaller_penalty() {
    assert_eq!(EditConfig::original().training.ties, Ties::Later);
    assert_eq!(EditConfig::default().training.ties, Ties::SmallerPenalty);
    let (train, _) = settled();
    let config = |lambda3, rate, ties| {
        let training = by_accuracy(4, None).with_learning_rate(rate);
        EditConfig::default()
            .with_target(Target::Fixed(1.0))
            .with_lambda3(lambda3)
            .with_training(training.with_ties(ties))
    };
    let kept = |layer: &DecisionLayer, config: &EditConfig| {
        let edited = trained(&train, layer, config);
        assert!(edited.epochs.iter().all(|it| it.validation_accuracy == 1.0));
        assert_ne!(
            &edited.layer, layer,
            "the layer given is as accurate, and is not kept"
        );
        let penalties = edited.epochs.iter().map(|it| it.validation_penalty);
        (edited.kept_epoch, penalties.collect::<Vec<f64>>())
    };
    // The cross-entropy makes this layer surer, and its ratio larger: the first epoch is nearest
    // to the target. Where the ratio outweighs it, the last one is.
    let unsure = DecisionLayer::new(array![[3.0, 0.0], [0.0, 3.0]], Array1::zeros(2)).unwrap();
    for (lambda3, rate, best, rising) in [(1e-3, 0.05, 1, true), (1.0, 1e-3, 4, false)] {
        let (epoch, penalties) = kept(&unsure, &config(lambda3, rate, Ties::SmallerPenalty));
        assert!(
            penalties.is_sorted_by(|a, b| if rising { a < b } else { a > b }),
            "{penalties:?}"
        );
        assert_eq!(epoch, Some(best));
        let later = config(lambda3, rate, Ties::Later);
        assert_eq!(kept(&unsure, &later), (Some(4), penalties));
    }
}

#[test]
fn skipped_epochs_are_not_kept() {
    let (train, layer) = settled();
    let kept = |skipped| {
        let training = by_accuracy(6, None).with_skipped_epochs(skipped);
        retrained(&train, &layer, &training).kept_epoch
    };
    // All are equally accurate, and the first of them is kept.
    assert_eq!((kept(0), kept(2), kept(5)), (Some(1), Some(3), Some(6)));
    // Patience does not run out before there is a layer to keep.
    let training = by_accuracy(6, Some(1)).with_skipped_epochs(3);
    let edited = retrained(&train, &layer, &training);
    assert_eq!((edited.kept_epoch, edited.epochs.len()), (Some(4), 4));
}

#[test]
fn the_penalty_that_decides_is_that_of_the_layer_kept() {
    // One batch an epoch: the penalty of training is that of the layer before the step.
    let (train, _) = settled();
    let layer = DecisionLayer::new(array![[3.0, 0.0], [0.0, 3.0]], Array1::zeros(2)).unwrap();
    let constant = by_accuracy(20, None)
        .with_schedule(Schedule::Constant)
        .with_learning_rate(0.3);
    let config = EditConfig::default()
        .with_target(Target::Fixed(1.0))
        .with_lambda3(1.0)
        .with_training(constant);
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
    let best = least(|it| it.validation_penalty);
    assert_eq!(edited.kept_epoch, Some(best));
    assert_eq!(least(|it| it.penalty), best + 1);
    for pair in epochs.windows(2) {
        let (after, before_next) = (pair[0].validation_penalty, pair[1].penalty);
        // In single precision, near 1.
        assert!((after - before_next).abs() < 1e-5, "{after} {before_next}");
    }
}

#[test]
fn retraining_is_an_edit_without_the_penalty_whatever_the_neurons() {
    // All epochs are equally accurate, and their penalties differ by neuron.
    let (train, _) = settled();
    let layer = DecisionLayer::new(array![[5.0, 0.0], [0.0, 1.0]], Array1::zeros(2)).unwrap();
    let config = |target, lambda3| {
        EditConfig::default()
            .with_target(target)
            .with_lambda3(lambda3)
            .with_training(by_accuracy(6, None).with_learning_rate(0.01))
    };
    let run = |edit: RatioEdit| fit(&edit, [&train, &train], &layer, &mut Silent).unwrap();
    let with =
        |neurons: &[usize], scope, target| run(ratio_edit(neurons, scope, &config(target, 0.0)));
    let plain = retrained(&train, &layer, &config(Target::Auto, 0.0).training);
    assert!(plain.epochs.iter().all(|it| it.validation_accuracy == 1.0));
    assert_eq!(plain.kept_epoch, Some(1));
    let fixed = Target::Fixed(1.9);
    let other = EditScope::Class(ClassId(1));
    let mut penalties = vec![plain.epochs[0].penalty];
    for edited in [
        with(&[0], CLASS, fixed),
        with(&[1], other, fixed),
        with(&[0, 1], EditScope::AllClasses, Target::Auto),
        with(&[0], CLASS, Target::Fixed(1e300)),
    ] {
        assert_eq!((edited.kept_epoch, &edited.layer), (Some(1), &plain.layer));
        assert_eq!(edited.epochs[0].loss, plain.epochs[0].loss);
        let penalty = edited.epochs[0].penalty;
        assert!(!penalties.contains(&penalty), "{penalty} is told apart");
        penalties.push(penalty);
    }
    // With the ratio in the loss the penalty decides.
    let edited = run(ratio_edit(&[1], other, &config(fixed, 1e-3)));
    assert!(edited.kept_epoch > Some(1), "{:?}", edited.kept_epoch);
}

#[test]
fn the_worst_class_or_group_can_choose_the_epoch() {
    // Class 1 has one sample in ten and overlaps with class 0: accuracy as a whole and the
    // accuracy of class 1 pull apart while the layer, which starts by saying class 1, learns. Of
    // the two groups each has samples of both classes.
    let mut rng = Seed(5).rng("overlap", &[]);
    let labels: Vec<usize> = (0..200).map(|index| usize::from(index % 10 == 0)).collect();
    let features = Array2::from_shape_fn((200, 2), |(row, neuron)| {
        rng.random_range(0.0..1.0_f32) + if neuron == labels[row] { 0.4 } else { 0.0 }
    });
    let groups = (0..200).map(|index| usize::from(index >= 20)).collect();
    let groups = Groups::new(vec!["few".into(), "many".into()], groups).unwrap();
    let train = table(features, &labels, 2).with_groups(groups).unwrap();
    let layer = DecisionLayer::new(array![[0.0, 0.0], [0.0, 0.0]], array![0.0, 0.5]).unwrap();
    let chosen = |keep| {
        let training = TrainingConfig::default()
            .with_learning_rate(0.02)
            .with_keep(keep)
            .with_epochs(60, None)
            .with_batch_size(200);
        retrained(&train, &layer, &training)
    };
    let best = |edited: &Fitted| edited.epochs[edited.kept_epoch.unwrap() - 1];
    let by_accuracy = chosen(Keep::Accuracy);
    let (by_class, by_group) = (chosen(Keep::WorstClass), chosen(Keep::WorstGroup));
    assert_eq!(by_accuracy.epochs, by_class.epochs);
    for record in &by_accuracy.epochs {
        assert!(record.validation_accuracy <= best(&by_accuracy).validation_accuracy);
        assert!(record.validation_worst_class <= best(&by_class).validation_worst_class);
        assert!(record.validation_worst_group <= best(&by_group).validation_worst_group);
    }
    assert!(best(&by_class).validation_worst_class > best(&by_accuracy).validation_worst_class);
    assert_ne!(by_accuracy.layer, by_class.layer);
    // The layer is the one the record speaks of.
    for edited in [by_class, by_group] {
        let measured = Comparison::new(&train, &layer, &edited.layer)
            .unwrap()
            .after;
        let record = best(&edited);
        assert_eq!(measured.worst_class_accuracy, record.validation_worst_class);
        assert_eq!(measured.worst_group_accuracy, record.validation_worst_group);
    }
}

#[test]
fn without_groups_the_worst_of_them_chooses_no_epoch() {
    let (train, layer) = settled();
    let retrain = Retrain::new(TrainingConfig::default().with_keep(Keep::WorstGroup));
    let error = fit(&retrain, [&train, &train], &layer, &mut Silent).unwrap_err();
    assert!(matches!(
        error,
        Error::NoGroups {
            table: "validation"
        }
    ));
}

#[test]
fn the_observer_counts_epochs_and_can_stop() {
    let (train, layer) = settled();
    let mut seen = Vec::new();
    let mut watch = |progress: Progress<'_>| {
        seen.push((progress.stage.to_owned(), progress.done, progress.total));
        if progress.done == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let edit = ratio_edit(&[0], CLASS, &EditConfig::default());
    let stopped = fit(&edit, [&train, &train], &layer, &mut watch);
    assert!(is_cancellation(&stopped.unwrap_err()));
    let epoch = |epoch| ("editing".to_owned(), epoch, 20);
    assert_eq!(seen, [epoch(1), epoch(2)]);

    // Of work that is done there is nothing left to stop.
    let mut stop_at_the_end = |progress: Progress<'_>| match progress.done == progress.total {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let fitted = fit(&edit, [&train, &train], &layer, &mut stop_at_the_end).unwrap();
    assert_eq!(fitted.epochs.len(), 20);
}
