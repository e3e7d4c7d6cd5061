//! Choosing a mend without a group label: that it helps where something can, and does nothing where
//! nothing does.

use std::{ops::ControlFlow, sync::Arc};

use burn::tensor::Device;
use ndarray::{Array1, Array2};
use neuroinspect_core::{
    ActivationTable, ClassId, DecisionLayer, FeatureTable, Groups, Metrics, NeuronId, Progress,
    Seed, Silent, is_cancellation,
};
use neuroinspect_editing::{
    Chosen, ChosenOn, DecisionMethod, DeviceTable, EditData, EditSession, HeldOut, Mend,
    MendResult, Mended, MethodInput, Retrain, Storage, TrainingConfig, Yardstick, YardstickChoice,
    suspects,
};
use rand::RngExt;

use crate::{fit, table};

const CLASSES: usize = 5;

/// Neurons 0 to 4 are the cores of five classes, 5 to 9 their shortcuts, which agree with the class as
/// often as `correlation` says and are else those of any class. Groups tell whether they agree.
fn world(name: &str, samples: usize, correlation: f64) -> FeatureTable {
    let mut rng = Seed(3).rng(name, &[]);
    let mut features = Array2::zeros((samples, 2 * CLASSES));
    let (mut labels, mut agrees) = (Vec::new(), Vec::new());
    for mut row in features.rows_mut() {
        let class = rng.random_range(0..CLASSES);
        let shortcut = match rng.random_bool(correlation) {
            true => class,
            false => rng.random_range(0..CLASSES),
        };
        for (neuron, value) in row.iter_mut().enumerate() {
            let noise: f32 = (0..4).map(|_| rng.random_range(-0.5_f32..0.5)).sum();
            let (mean, spread) = match neuron < CLASSES {
                true => (f32::from(neuron == class), 0.8),
                false => (2.0 * f32::from(neuron == CLASSES + shortcut), 0.3),
            };
            *value = mean + spread * noise;
        }
        labels.push(class);
        agrees.push(usize::from(class == shortcut));
    }
    let names = vec!["against".to_owned(), "with".to_owned()];
    let groups = Groups::new(names, agrees).unwrap();
    table(features, &labels, CLASSES)
        .with_groups(groups)
        .unwrap()
}

fn trained(train: &FeatureTable) -> DecisionLayer {
    let nothing = DecisionLayer::new(
        Array2::zeros((CLASSES, 2 * CLASSES)),
        Array1::zeros(CLASSES),
    );
    let training = TrainingConfig::default()
        .with_learning_rate(2e-2)
        .with_epochs(15, None);
    let retrain = Retrain::new(training);
    fit(&retrain, [train, train], &nothing.unwrap(), &mut Silent)
        .unwrap()
        .layer
}

fn on_device(table: &FeatureTable) -> DeviceTable {
    DeviceTable::new(table.clone(), &Device::flex(), Storage::Device).unwrap()
}

fn mended(
    train: &FeatureTable,
    validation: &FeatureTable,
    layer: &DecisionLayer,
    mend: &Mend,
) -> Mended {
    let (train, validation) = (on_device(train), on_device(validation));
    let input = MethodInput::new(&train, &validation, layer).unwrap();
    mend.mend(&input, &mut Silent).unwrap()
}

fn measured(table: &FeatureTable, layer: &DecisionLayer) -> Metrics {
    table.predicted_by(layer).unwrap().metrics().unwrap()
}

#[test]
fn a_shortcut_is_seen_and_mended_without_a_group_label() {
    let (train, validation) = (world("train", 3000, 0.9), world("validation", 1500, 0.9));
    let layer = trained(&train);
    let Mended {
        layer: better,
        result,
    } = mended(&train, &validation, &layer, &Mend::new(None));
    assert!(result.evidence.blames_a_shortcut(), "{:?}", result.evidence);
    assert_eq!(result.yardstick, Yardstick::Groups);
    assert!(result.gain.is_sure());
    assert_eq!(result.recommended.as_ref(), Some(&result.best));
    assert!(
        result.gain_by_the_other.mean.estimate < 0.0,
        "freedom of a shortcut costs"
    );
    let test = world("test", 4000, 0.0);
    let (before, after) = (measured(&test, &layer), measured(&test, &better));
    assert!(
        after.accuracy > before.accuracy + 0.1,
        "{} to {}",
        before.accuracy,
        after.accuracy
    );
    let text = result.headline();
    assert!(
        text.ends_with("(on the 3000 training samples and the 1500 to choose on)"),
        "{text}"
    );
    let text = result.expectation(train.class_names());
    assert!(
        text.starts_with("mean accuracy over presumed groups +"),
        "{text}"
    );
    assert!(
        result.reasons()[0].ends_with("a shortcut is blamed. So the choice is by presumed groups."),
        "{:?}",
        result.reasons()
    );

    // Not one group label is looked at, and the seed decides everything.
    let bare = |table: &FeatureTable| {
        let labels: Vec<usize> = table.labels().iter().map(|label| label.0).collect();
        crate::table(table.features().unwrap().into_owned(), &labels, CLASSES)
    };
    let again = mended(&bare(&train), &bare(&validation), &layer, &Mend::new(None));
    assert_eq!((again.layer, again.result), (better, result));
}

#[test]
fn a_class_that_is_held_down_is_raised() {
    let (train, validation) = (world("train", 1500, 0.0), world("validation", 1500, 0.0));
    let good = trained(&train);
    let by_data = Mend::new(Some(ClassId(2))).with_yardstick(YardstickChoice::Data);
    let mut bias = good.bias().to_owned();
    bias[2] -= 3.0;
    let layer = DecisionLayer::new(good.weight().to_owned(), bias).unwrap();
    let Mended {
        layer: better,
        result,
    } = mended(&train, &validation, &layer, &by_data);
    assert!(result.recommended.is_some());
    let gain = result.gain.class.unwrap();
    assert!(
        gain.low > 0.1 && gain.low < gain.estimate && gain.estimate < gain.high,
        "{gain:?}"
    );
    let test = world("test", 4000, 0.0);
    let [before, after] = [&layer, &better].map(|layer| measured(&test, layer));
    let of_class = |metrics: &Metrics| metrics.class_accuracy[2].unwrap();
    let gained = of_class(&after) - of_class(&before);
    assert!(
        gained > gain.low - 0.05 && gained < gain.high + 0.05,
        "{gained} for {gain:?}"
    );
    assert!(after.accuracy > before.accuracy);
    // Every candidate with every bias, the first of them the layer as it is.
    assert_eq!(result.frontier.len(), result.candidates.len() * 17);
    let first = result.frontier[0];
    assert_eq!((first.candidate, first.bias), (0, 0.0));
    let as_it_is = measured(&validation, &layer);
    assert!((first.class.unwrap() - of_class(&as_it_is)).abs() < 1e-9);
    let json = serde_json::to_string(&result).unwrap();
    let read: MendResult = serde_json::from_str(&json).unwrap();
    assert_eq!(read.recommended, result.recommended);
}

#[test]
fn a_layer_that_nothing_helps_is_left_as_it_is() {
    let (train, validation) = (world("train", 3000, 0.0), world("validation", 800, 0.0));
    let layer = trained(&train);
    for class in [None, Some(1)] {
        let mend = Mend::new(class.map(ClassId));
        let Mended {
            layer: same,
            result,
        } = mended(&train, &validation, &layer, &mend);
        assert_eq!(result.recommended, None);
        assert_eq!(same, layer);
        let text = result.headline();
        assert!(
            text.starts_with("no mend is sure to help; the best tried is to "),
            "{text}"
        );
    }
}

/// Of few validation samples nothing is learnt that would not be luck, and nothing fails.
#[test]
fn few_validation_samples_are_too_little_to_judge() {
    let train = world("train", 600, 0.0);
    let layer = trained(&train);
    let all = world("validation", 400, 0.0);
    let first = |of_class: usize, counts: [usize; CLASSES]| -> FeatureTable {
        let rows = (0..CLASSES).flat_map(|class| {
            let rows = all.labels().iter().enumerate();
            let rows = rows.filter(move |(_, label)| label.0 == class);
            rows.map(|(row, _)| row).take(counts[class].min(of_class))
        });
        all.select(&rows.collect::<Vec<_>>()).unwrap()
    };
    for (counts, class, too_few) in [
        ([1; CLASSES], None, 5),
        ([4; CLASSES], None, 5),
        ([1, 0, 0, 0, 0], Some(0), 5),
        ([2, 40, 40, 40, 40], Some(0), 1),
    ] {
        let mend = Mend::new(class.map(ClassId));
        let Mended {
            layer: same,
            result,
        } = mended(&train, &first(40, counts), &layer, &mend);
        assert_eq!(
            (&result.recommended, same),
            (&None, layer.clone()),
            "{counts:?}"
        );
        assert_eq!(result.too_few.len(), too_few);
        let reasons = result.reasons();
        let reason = reasons.last().unwrap();
        assert!(
            reason.contains("fewer than five samples to choose on"),
            "{reason}"
        );
    }
    // It counts by no yardstick, however many samples there are to learn from.
    let by_groups = Mend::new(None).with_yardstick(YardstickChoice::Groups);
    let none = mended(&train, &first(40, [2; CLASSES]), &layer, &by_groups).result;
    assert_eq!(none.too_few.len(), CLASSES);
    assert_eq!(none.recommended, None);
    assert!(
        none.frontier
            .iter()
            .all(|point| point.mean_by_groups == 0.0)
    );
    // A class of two samples does not keep the others from being judged.
    let mut bias = layer.bias().to_owned();
    bias[1] -= 4.0;
    let worse = DecisionLayer::new(layer.weight().to_owned(), bias).unwrap();
    let by_data = Mend::new(Some(ClassId(1))).with_yardstick(YardstickChoice::Data);
    let result = mended(&train, &first(60, [2, 60, 60, 60, 60]), &worse, &by_data).result;
    assert!(result.recommended.is_some(), "{:?}", result.gain);
    assert_eq!(result.too_few, [ClassId(0)]);
    let reasons = result.reasons();
    assert!(
        reasons[2].starts_with("1 of 5 classes have fewer than five"),
        "{reasons:?}"
    );
}

#[test]
fn a_recommendation_says_why() {
    let (train, validation) = (world("train", 200, 0.0), world("validation", 100, 0.0));
    let layer = trained(&train);
    let mut result = mended(&train, &validation, &layer, &Mend::new(None)).result;
    let (data, groups) = (Yardstick::Data, Yardstick::Groups);
    let plain = "So the choice is by plain accuracy.";
    let blamed = "300 samples wrong, and take them for the same classes whatever their own is (phi 0.10): a \
                  shortcut is blamed.";
    for (phi, mistakes, yardstick, asked, what, choice) in [
        (
            None,
            0,
            data,
            YardstickChoice::Automatic,
            "wrong: nothing speaks for a shortcut.",
            plain,
        ),
        (
            Some(0.1),
            24,
            data,
            YardstickChoice::Automatic,
            "from classes that look alike.",
            plain,
        ),
        (
            Some(0.45),
            60,
            data,
            YardstickChoice::Automatic,
            "(phi 0.45, not surely below 0.5).",
            plain,
        ),
        (
            Some(1.5),
            60,
            data,
            YardstickChoice::Automatic,
            "(phi 1.50): classes that look alike are blamed",
            plain,
        ),
        (
            Some(0.1),
            90,
            data,
            YardstickChoice::Automatic,
            blamed,
            "at a cost of at most three times its gain.",
        ),
        (
            Some(0.1),
            90,
            data,
            YardstickChoice::Data,
            blamed,
            "The choice is by plain accuracy, as was asked for.",
        ),
        (
            Some(0.1),
            90,
            groups,
            YardstickChoice::Automatic,
            blamed,
            "So the choice is by presumed groups.",
        ),
        (
            Some(1.5),
            60,
            groups,
            YardstickChoice::Groups,
            "no shortcut",
            "by presumed groups, as was asked for.",
        ),
    ] {
        result.evidence.dependence = phi;
        result.evidence.mistakes = mistakes;
        (result.yardstick, result.asked) = (yardstick, asked);
        let reason = &result.reasons()[0];
        assert!(
            reason.contains(what) && reason.ends_with(choice),
            "{reason}"
        );
        let other = result.reasons()[1].starts_with("On data like the samples to choose on, ");
        assert_eq!(other, yardstick == groups);
    }
    (result.evidence.dependence, result.evidence.classes) = (None, 3);
    let reason = &result.reasons()[0];
    assert!(reason.starts_with("Of fewer than four classes"), "{reason}");
    result.evidence.classes = 5;
    let reason = &result.reasons()[0];
    assert!(
        reason.contains("but these are of too few classes"),
        "{reason}"
    );
    let mut candidate = result.candidates[0].clone();
    assert_eq!(candidate.describe(), "leave the layer as it is");
    candidate.bias = -0.5;
    assert_eq!(
        candidate.describe(),
        "leave the weights as they are, bias -0.5"
    );
}

#[test]
fn a_session_mends_as_it_edits() {
    let (train, validation) = (world("train", 400, 0.9), world("validation", 300, 0.9));
    let layer = trained(&train);
    let data = EditData::of_parts(train, validation, world("test", 300, 0.0)).unwrap();
    let session = EditSession::new(data, &layer, &Device::flex()).unwrap();
    let mend = Mend::new(None);
    let (edited, result) = session.mend(&mend, &mut Silent).unwrap();
    // The record says which candidate it is.
    let recommended = result.recommended.clone();
    let kind = recommended.map_or("nothing".into(), |it| {
        serde_json::to_value(it.kind).unwrap()
    });
    assert!(edited.result.derived(kind.as_str().unwrap()).is_some());
    assert_eq!(edited, session.edit(&mend, &mut Silent).unwrap());
    // The control learns from all that the mend learns from.
    let both = session.data().train().joined(session.data().validation());
    let both = both.unwrap().table().clone();
    let retrain = Retrain::new(mend.training.clone());
    let plain = fit(&retrain, [&both, &both], &layer, &mut Silent).unwrap();
    let control = session.measure(&plain.layer).unwrap();
    assert_eq!(edited.result.control_metrics(), Some(&control));
    let mended = mend.mend(&session.input().unwrap(), &mut Silent).unwrap();
    assert_eq!((mended.layer, mended.result), (edited.layer, result));
}

/// Samples to measure on choose nothing where there are others to choose on.
#[test]
fn a_recommendation_does_not_look_at_the_test_part() {
    let (train, validation) = (world("train", 400, 0.9), world("validation", 300, 0.9));
    let test = world("test", 300, 0.0);
    let layer = trained(&train);
    let other = {
        let labels = test.labels().iter().map(|label| (label.0 + 1) % CLASSES);
        table(
            test.features().unwrap().into_owned(),
            &labels.collect::<Vec<_>>(),
            CLASSES,
        )
    };
    let recommended = |data: EditData| {
        let session = EditSession::new(data, &layer, &Device::flex()).unwrap();
        session.recommend(&Mend::new(None), &mut Silent).unwrap()
    };
    let apart = |test: &FeatureTable| {
        let parts = [&train, &validation, test].map(Clone::clone);
        let [train, validation, test] = parts;
        recommended(EditData::of_parts(train, validation, test).unwrap())
    };
    assert_eq!(apart(&test), apart(&other));
    assert_eq!(apart(&test).samples, [400, 300]);
    assert_eq!(apart(&test).chosen_on, ChosenOn::Validation);
    assert_eq!(apart(&test).note(), None);
    // Validation samples that are held out of the training samples tell no more than these.
    let held_out = |test: &FeatureTable| {
        recommended(EditData::new(train.clone(), test.clone(), Seed(0)).unwrap())
    };
    assert_eq!(held_out(&test).samples[1], 300);
    assert_eq!(held_out(&test).chosen_on, ChosenOn::Evaluation);
    assert!(held_out(&test).note().unwrap().contains("is measured on"));
    assert_ne!(held_out(&test), held_out(&other));
}

#[test]
fn the_observer_hears_of_every_fit_and_can_stop() {
    let samples = world("train", 200, 0.5);
    let layer = trained(&samples);
    let mut last = (0, 0);
    let mut watch = |progress: Progress<'_>| {
        last = (progress.done, progress.total);
        ControlFlow::Continue(())
    };
    fit(&Mend::new(None), [&samples, &samples], &layer, &mut watch).unwrap();
    assert!(last.0 == last.1 && last.1 > 50, "{last:?}");
    let mut stop = |_: Progress<'_>| ControlFlow::Break(());
    let stopped = fit(&Mend::new(None), [&samples, &samples], &layer, &mut stop);
    assert!(is_cancellation(&stopped.unwrap_err()));
    assert!(
        fit(
            &Mend::new(Some(ClassId(9))),
            [&samples, &samples],
            &layer,
            &mut Silent
        )
        .is_err()
    );
}

#[test]
fn the_neurons_of_a_shortcut_are_suspected_first() {
    let (train, validation) = (world("train", 3000, 0.9), world("validation", 1500, 0.9));
    let layer = trained(&train);
    let (train, validation) = (on_device(&train), on_device(&validation));
    let input = MethodInput::new(&train, &validation, &layer).unwrap();
    let all = suspects(&input, None).unwrap();
    assert_eq!(all.len(), 2 * CLASSES);
    let first = all[..CLASSES].iter();
    let shortcuts = first.filter(|suspect| suspect.neuron.0 >= CLASSES);
    assert!(shortcuts.count() >= 4, "{all:?}");
    assert!(
        (all.iter()
            .map(|suspect| suspect.share_of_deficit)
            .sum::<f64>()
            - 1.0)
            .abs()
            < 1e-9
    );
    assert!(all.iter().all(|suspect| suspect.importance.is_none()));
    // Mistakes of one class are those without its own shortcut.
    let of_class = suspects(&input, Some(ClassId(1))).unwrap();
    assert_eq!(of_class[0].neuron, NeuronId(CLASSES + 1));
    assert!(of_class[0].contrast > 1.0 && of_class[0].importance.is_some());
    assert!(suspects(&input, Some(ClassId(9))).is_err());
}

#[test]
fn held_out_samples_are_measured_on_by_what_was_chosen() {
    let (train, test) = (world("train", 300, 0.5), world("test", 300, 0.0));
    let layer = trained(&train);
    let train = on_device(&train);
    let input = MethodInput::new(&train, &train, &layer).unwrap();
    let methods = [
        Retrain::default(),
        Retrain::new(TrainingConfig::default().with_epochs(1, None)),
    ];
    let chosen = methods.map(|method| {
        let chosen = Chosen::by(&method, &input, &mut Silent).unwrap();
        assert_eq!(
            chosen.method().options,
            neuroinspect_editing::MethodOptions::options(&method).unwrap()
        );
        assert_eq!(chosen.method().name, method.name());
        chosen
    });
    let none = HeldOut::new(test.select(&[]).unwrap());
    let error = none.measure(&chosen, &Device::flex()).unwrap_err();
    assert!(
        error.to_string().contains("samples to measure on"),
        "{error}"
    );
    let found = HeldOut::new(test.clone())
        .measure(&chosen, &Device::flex())
        .unwrap();
    for (found, chosen) in found.iter().zip(&chosen) {
        let predicted = test.predicted_by(chosen.layer()).unwrap();
        assert_eq!(found.metrics, predicted.metrics().unwrap());
        assert_eq!(found.predictions, predicted.predictions());
    }
}

/// To fit the candidates once for several classes changes nothing.
#[test]
fn a_mend_for_each_class_is_that_for_the_class() {
    let (train, validation) = (world("train", 400, 0.9), world("validation", 300, 0.9));
    let layer = trained(&train);
    let tables = [&train, &validation].map(on_device);
    let input = MethodInput::new(&tables[0], &tables[1], &layer).unwrap();
    let mend = Mend::default().with_training(TrainingConfig::default().with_seed(Seed(4)));
    let classes = [Some(ClassId(1)), None, Some(ClassId(0))];
    let each = mend.mend_each(&classes, &input, &mut Silent).unwrap();
    let chosen = Chosen::by_mend(&mend, &classes, &input, &mut Silent).unwrap();
    for ((class, each), chosen) in classes.into_iter().zip(each).zip(chosen) {
        let mend = mend.clone().with_class(class);
        assert_eq!(each, mend.mend(&input, &mut Silent).unwrap());
        assert_eq!(chosen.layer(), &each.layer);
        let record = Chosen::by(&mend, &input, &mut Silent).unwrap();
        assert_eq!(chosen.method(), record.method());
    }
    let unknown = mend.mend_each(&[None, Some(ClassId(9))], &input, &mut Silent);
    assert!(unknown.unwrap_err().to_string().contains('9'));
}

/// Features that tell nothing of the class, each sample four times more as an augmented view.
#[test]
fn views_are_learnt_from_and_not_judged_by() {
    // Samples from a first on, so many of them, as they are or as a view.
    let of = |name: &str, samples: usize, view: usize| {
        let noise = |row: usize, what: u64| Seed(5).rng(name, &[what, row as u64]);
        let features = Array2::from_shape_fn((samples, 10), |(row, neuron)| {
            let shift =
                1e-3 * view as f32 * noise(row, 100 + neuron as u64).random_range(0.0..1.0_f32);
            noise(row, neuron as u64).random_range(0.0_f32..1.0) + shift
        });
        let labels: Vec<usize> = (0..samples)
            .map(|row| noise(row, 99).random_range(0..CLASSES))
            .collect();
        let ids = (0..samples).map(|row| match view {
            0 => format!("{name}/{row}.png"),
            view => format!("{name}/{row}.png#{view}"),
        });
        let table = table(features, &labels, CLASSES);
        let activations = ActivationTable::of_samples(
            ids.collect(),
            table.features().unwrap().into_owned(),
            table.provenance().clone(),
        );
        let names = table.class_names().to_vec();
        Arc::new(FeatureTable::new(activations.unwrap(), table.labels().to_vec(), names).unwrap())
    };
    let (train, validation) = (of("train", 150, 0), of("validation", 200, 0));
    let layer = trained(&train);
    let mend = Mend::new(None).with_yardstick(YardstickChoice::Groups);
    let plain = EditData::of_parts(&train, &validation, &validation).unwrap();
    let with_views = (1..=4).fold(plain.clone(), |data, view| {
        data.with_views(&of("train", 150, view)).unwrap()
    });
    // Views come with the part of the samples that they are of.
    let part = with_views.part(0.4, Seed(1)).unwrap();
    let part_of_plain = plain.part(0.4, Seed(1)).unwrap();
    assert_eq!(part.train().len(), 5 * part_of_plain.train().len());
    let results = [plain, with_views].map(|data| {
        let [train, validation] = [data.train(), data.validation()].map(|samples| {
            DeviceTable::new(samples.clone(), &Device::flex(), Storage::Device).unwrap()
        });
        let input = MethodInput::new(&train, &validation, &layer).unwrap();
        let result = mend.mend(&input, &mut Silent).unwrap().result;
        let judged: usize = result.evidence.cells.iter().flatten().sum();
        assert_eq!((judged, result.gain.samples), (350, 350));
        assert_eq!(result.samples, [150, 200]);
        // Nothing helps, and views do not make it look as if something did.
        assert_eq!(result.recommended, None, "{:?}", result.gain);
        result
    });
    // They are learnt from.
    assert_ne!(results[0].frontier, results[1].frontier);
    let estimates = results.map(|result| result.gain.mean.estimate);
    assert!(estimates.iter().all(|it| it.abs() < 0.1), "{estimates:?}");
}
