//! Editing over and over on the same samples.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use burn::tensor::Device;
use ndarray::{Array1, Array2};
use neuroinspect_core::{
    ClassId, DecisionLayer, Error as CoreError, FeatureTable, Groups, Metrics, NeuronId, Observer,
    Progress, Seed, Silent, is_cancellation,
};
use neuroinspect_editing::{
    Citation, Comparison, Control, ControlBy, DecisionMethod, DeviceTable, EditData, EditResult,
    EditScope, EditSession, Error, Fitted, Keep, Mend, MethodInput, Preview, RatioEdit, Result,
    Retrain, Samples, Storage, Subject, TrainingConfig, Verdict,
};
use neuroinspect_testing::tables::{random_layer, random_table};
use serde::Serialize;

use crate::{ratio_edit, training};

const CLASSES: usize = 4;
const NEURONS: usize = 6;

fn data(layer: &DecisionLayer) -> EditData {
    let table = |name, samples| Arc::new(random_table(name, samples, layer));
    EditData::new(table("train", 120), table("evaluation", 50), Seed(2)).unwrap()
}

fn session() -> EditSession {
    let layer = random_layer(CLASSES, NEURONS);
    EditSession::new(data(&layer), &layer, &Device::flex()).unwrap()
}

fn edit(neurons: &[usize]) -> RatioEdit {
    let config = training(|it| it.with_epochs(3, None));
    ratio_edit(neurons, EditScope::Class(ClassId(1)), &config)
}

/// A layer's metrics on the samples measured on, on the host.
fn on_host(session: &EditSession, layer: &DecisionLayer) -> Metrics {
    let table = session.data().evaluation().table();
    table.predicted_by(layer).unwrap().metrics().unwrap()
}

#[test]
fn layers_are_measured_as_on_the_host() {
    let session = session();
    assert_eq!(session.before(), &on_host(&session, session.layer()));
    let other = DecisionLayer::new(
        random_layer(CLASSES, NEURONS)
            .weight()
            .mapv(|weight| -weight),
        Array1::zeros(CLASSES),
    )
    .unwrap();
    assert_eq!(session.measure(&other).unwrap(), on_host(&session, &other));
    let narrow = random_layer(CLASSES, NEURONS - 1);
    assert!(matches!(
        session.measure(&narrow),
        Err(Error::Core(CoreError::Shape { .. }))
    ));
}

#[test]
fn a_preview_is_the_layer_without_the_neurons() {
    let session = session();
    let neurons = [NeuronId(4), NeuronId(1)];
    let preview = session.preview(&neurons).unwrap();
    let mut weight = session.layer().weight().to_owned();
    for neuron in neurons {
        weight.column_mut(neuron.0).fill(0.0);
    }
    let silenced = DecisionLayer::new(weight, session.layer().bias().to_owned()).unwrap();
    assert_eq!(preview.comparison.before, *session.before());
    assert_eq!(preview.comparison.after, on_host(&session, &silenced));
    assert_ne!(preview.comparison.after, preview.comparison.before);
    assert!(preview.milliseconds > 0.0);
    let json = serde_json::to_string(&preview).unwrap();
    let read: Preview = serde_json::from_str(&json).unwrap();
    assert_eq!(read.comparison, preview.comparison);

    assert!(matches!(session.preview(&[]), Err(Error::NoNeurons)));
    assert!(matches!(
        session.preview(&[NeuronId(1), NeuronId(1)]),
        Err(Error::DuplicateNeuron { .. })
    ));
    assert!(matches!(
        session.preview(&[NeuronId(NEURONS)]),
        Err(Error::Core(CoreError::NeuronOutOfRange { .. }))
    ));
}

#[test]
fn an_edit_says_what_it_did_and_what_retraining_does() {
    let session = session();
    let edited = session.edit(&edit(&[0, 2]), &mut Silent).unwrap();
    let result = &edited.result;
    assert_eq!(edited.patch.apply(session.layer()).unwrap(), edited.layer);
    assert_eq!(edited.patch.method(), &result.method);
    assert_eq!(result.layer_sha256, edited.layer.sha256());
    assert_eq!(result.neurons, [0, 2].map(NeuronId));
    assert_eq!(edited.patch.model(), "toy");
    assert_eq!(result.method.kept_epoch, Some(3));
    assert!(result.derived("target").unwrap() >= 1.0);
    assert_eq!(result.comparison.before, *session.before());
    assert_eq!(result.comparison.after, on_host(&session, &edited.layer));
    assert_eq!((result.also_trained_on, result.chosen_from), (0, 0));
    assert_eq!(result.measured_on(), "50 samples not trained on");

    let retrain = Retrain::new(training(|it| it.with_epochs(3, None)).training);
    let retrained = session.edit(&retrain, &mut Silent).unwrap();
    let after = &retrained.result.comparison.after;
    assert_eq!(result.control_metrics(), Some(after));
    assert_eq!(
        retrained.result.control_metrics(),
        Some(after),
        "it is its own"
    );
    assert_eq!(retrained.result.verdict.subject, Subject::WorstClass);
    let subject = Subject::Class(ClassId(1));
    let verdict = Verdict::new(subject, &result.comparison, result.control.as_ref());
    assert_eq!(result.verdict, verdict);

    let json = serde_json::to_string(result).unwrap();
    let read: EditResult = serde_json::from_str(&json).unwrap();
    assert_eq!(read.comparison, result.comparison);
    assert_eq!(read.verdict.conclusion, verdict.conclusion);
    assert_eq!(read.method.options, result.method.options);
}

#[test]
fn what_it_was_measured_on_hides_nothing() {
    let mut result = session().edit(&edit(&[0]), &mut Silent).unwrap().result;
    (result.also_trained_on, result.chosen_from) = (20, 3);
    assert_eq!(
        result.measured_on(),
        "50 samples, 20 of which were trained on as well (among them 3 of the mistakes that the \
         neurons were chosen from)"
    );
    (result.also_trained_on, result.chosen_from) = (50, 0);
    assert_eq!(
        result.measured_on(),
        "50 samples, all of them trained on as well"
    );
}

/// Counts epochs by what is going on.
#[derive(Default)]
struct Epochs {
    editing: usize,
    retraining: usize,
}

impl Epochs {
    fn count(&mut self) -> impl FnMut(Progress<'_>) -> ControlFlow<()> {
        |progress: Progress<'_>| {
            match progress.stage {
                "editing" => self.editing += 1,
                stage => {
                    assert_eq!(stage, "retraining");
                    self.retraining += 1;
                }
            }
            ControlFlow::Continue(())
        }
    }
}

#[test]
fn a_control_is_trained_once_for_each_training() {
    let session = session();
    let mut epochs = Epochs::default();
    let first = session.edit(&edit(&[0]), &mut epochs.count()).unwrap();
    assert_eq!((epochs.editing, epochs.retraining), (3, 3));
    // Other neurons, another class, another strength: the same control.
    let config = training(|it| it.with_epochs(3, None)).with_lambda3(0.5);
    let other = ratio_edit(&[1, 2], EditScope::AllClasses, &config);
    let second = session.edit(&other, &mut epochs.count()).unwrap();
    assert_eq!((epochs.editing, epochs.retraining), (6, 3));
    assert_eq!(first.result.control, second.result.control);
    // Another training has its own.
    let config = training(|it| it.with_epochs(2, None));
    let third = ratio_edit(&[0], EditScope::Class(ClassId(1)), &config);
    session.edit(&third, &mut epochs.count()).unwrap();
    assert_eq!((epochs.editing, epochs.retraining), (8, 5));
}

#[test]
fn threads_that_ask_for_one_control_at_once_train_it_once() {
    let session = session();
    let epochs = AtomicUsize::new(0);
    let training = TrainingConfig::default().with_epochs(3, None);
    let together = Barrier::new(4);
    let controls = thread::scope(|scope| {
        let threads = [(); 4].map(|()| {
            scope.spawn(|| {
                let mut count = |_: Progress<'_>| {
                    epochs.fetch_add(1, Ordering::Relaxed);
                    ControlFlow::Continue(())
                };
                together.wait();
                session.control(&training, &mut count)
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(epochs.into_inner(), 3);
    assert!(controls[0].metrics().is_some());
    assert!(controls.iter().all(|control| *control == controls[0]));
}

/// A method that is called as [`Mend`], and learns from the training samples alone.
#[derive(Debug, Serialize)]
struct Namesake {
    training: TrainingConfig,
}

impl DecisionMethod for Namesake {
    fn name(&self) -> &'static str {
        Mend::NAME
    }

    fn citation(&self) -> Option<Citation> {
        None
    }

    fn describe(&self) -> String {
        "retrains the decision layer".to_owned()
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.training)
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        Retrain::new(self.training.clone()).fit(input, observer)
    }
}

#[test]
fn a_control_goes_by_what_the_method_learns_from_and_not_by_its_name() {
    let session = session();
    let training = TrainingConfig::default().with_epochs(3, None);
    let methods: [&dyn DecisionMethod; 3] = [
        &Namesake {
            training: training.clone(),
        },
        &Retrain::new(training.clone()),
        &Mend::default().with_training(training.clone()),
    ];
    assert_eq!(
        methods.map(|method| method.control()),
        [ControlBy::Training, ControlBy::Itself, ControlBy::Both]
    );
    let mut trained = 0;
    let mut count = |progress: Progress<'_>| {
        trained += usize::from(progress.stage == "retraining");
        ControlFlow::Continue(())
    };
    let control = session.control(&training, &mut count);
    let edited = session.edit(methods[0], &mut count).unwrap();
    assert_eq!(edited.result.control, Some(control));
    assert_eq!(trained, 6, "the control was trained once, and the method");
}

#[test]
fn an_edit_stands_whatever_becomes_of_its_control() {
    let session = session();
    let mut stop_the_control = |progress: Progress<'_>| match progress.stage {
        "retraining" => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let stopped = session.edit(&edit(&[0]), &mut stop_the_control).unwrap();
    assert_eq!(stopped.result.control, Some(Control::Stopped));
    assert_eq!(stopped.result.control_metrics(), None);
    // It is not remembered: the next edit trains it.
    let whole = session.edit(&edit(&[0]), &mut Silent).unwrap();
    assert!(whole.result.control_metrics().is_some());
    assert_eq!(whole.layer, stopped.layer);
    // Choosing by groups that are not there: the control fails by itself.
    let training = TrainingConfig::default().with_keep(Keep::WorstGroup);
    let Control::Failed(reason) = session.control(&training, &mut Silent) else {
        panic!("the samples have no groups")
    };
    assert!(reason.contains("groups"), "{reason}");
}

#[test]
fn an_edit_that_fails_or_is_stopped_does_not_wait_for_its_control() {
    let session = session();
    let config = training(|it| it.with_epochs(1_000_000, None));
    let of = |neuron| ratio_edit(&[neuron], EditScope::Class(ClassId(1)), &config);
    let refused = session.edit(&of(NEURONS), &mut Silent);
    assert!(matches!(
        refused,
        Err(Error::Core(CoreError::NeuronOutOfRange { .. }))
    ));
    let mut stages = Vec::new();
    let mut stop = |progress: Progress<'_>| {
        stages.push(progress.stage.to_owned());
        ControlFlow::Break(())
    };
    let stopped = session.edit(&of(0), &mut stop);
    assert!(is_cancellation(&stopped.unwrap_err()));
    assert_eq!(stages, ["editing"]);
}

/// A method that is refused after a while, without a word of progress.
#[derive(Debug, Serialize)]
struct Refused {
    training: TrainingConfig,
}

impl DecisionMethod for Refused {
    fn name(&self) -> &'static str {
        "refused"
    }

    fn citation(&self) -> Option<Citation> {
        None
    }

    fn describe(&self) -> String {
        "is refused".to_owned()
    }

    fn training(&self) -> Option<&TrainingConfig> {
        Some(&self.training)
    }

    fn fit(&self, _: &MethodInput<'_>, _: &mut dyn Observer) -> Result<Fitted> {
        thread::sleep(Duration::from_millis(300));
        Err(CoreError::empty("neurons").into())
    }
}

/// The control would look for a stop at the end of an epoch only, which takes minutes of a large table.
#[test]
fn an_edit_that_is_refused_has_started_no_control() {
    let session = session();
    let training = TrainingConfig::default().with_epochs(2, None);
    let refused = Refused {
        training: training.clone(),
    };
    session.edit(&refused, &mut Silent).unwrap_err();
    // Trained meanwhile it would be known.
    let mut epochs = Epochs::default();
    session.control(&training, &mut epochs.count());
    assert_eq!(epochs.retraining, 2);
}

#[test]
fn after_the_last_epoch_of_a_control_there_is_nothing_left_to_stop() {
    let session = session();
    let mut stop_at_the_end = |progress: Progress<'_>| match (progress.stage, progress.done) {
        ("retraining", 3) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let edited = session.edit(&edit(&[0]), &mut stop_at_the_end).unwrap();
    assert!(edited.result.control_metrics().is_some());
}

#[test]
fn nor_is_there_where_the_last_epoch_comes_early() {
    let config = training(|it| it.with_epochs(60, Some(1)).with_keep(Keep::Accuracy));
    let edit = ratio_edit(&[0], EditScope::AllClasses, &config);
    let mut epochs = Epochs::default();
    let whole = session().edit(&edit, &mut epochs.count()).unwrap();
    let last = epochs.retraining;
    assert!(last < 60, "no epoch came early");
    let stopped_at = |epoch| {
        let mut stop = |progress: Progress<'_>| match (progress.stage, progress.done == epoch) {
            ("retraining", true) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        session().edit(&edit, &mut stop).unwrap().result.control
    };
    assert_eq!(stopped_at(last), whole.result.control);
    assert_eq!(stopped_at(last - 1), Some(Control::Stopped));
}

/// Products on the CPU are computed by the threads of a pool: where these wait for a control that is trained on another
/// thread, nothing goes on.
#[test]
fn edits_on_all_threads_of_the_pool_come_to_an_end() {
    const WIDTH: usize = 200;
    let layer = random_layer(WIDTH, WIDTH);
    let table = |name, samples| Arc::new(random_table(name, samples, &layer));
    let data = EditData::new(table("train", 800), table("evaluation", 800), Seed(2)).unwrap();
    let session = EditSession::new(data, &layer, &Device::flex()).unwrap();
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        // Two edits in turn have one control each time, then one each.
        let results = rayon::broadcast(|worker| {
            [0, 0, worker.index()].map(|more| {
                let mut config = training(|it| it.with_epochs(4 + more, None));
                config.training.batch_size = 400;
                let method = ratio_edit(&[worker.index()], EditScope::AllClasses, &config);
                session.edit(&method, &mut Silent).unwrap().result
            })
        });
        done.send(results).unwrap();
    });
    let results = ended.recv_timeout(Duration::from_secs(300)).unwrap();
    let controls = results.iter().map(|all| all[0].control.clone());
    let controls: Vec<_> = controls.collect();
    assert!(matches!(controls[0], Some(Control::Measured(_))));
    assert!(controls.iter().all(|control| *control == controls[0]));
}

/// For each class and group, how many samples there are.
fn strata(samples: &Samples) -> BTreeMap<[usize; 2], usize> {
    let groups = samples.groups().unwrap().of_sample();
    let mut counts = BTreeMap::new();
    for (label, group) in samples.labels().iter().zip(groups) {
        *counts.entry([label.0, *group]).or_insert(0) += 1;
    }
    counts
}

#[test]
fn a_part_of_a_session_learns_from_less_and_measures_on_the_same() {
    let layer = random_layer(CLASSES, NEURONS);
    let grouped = |name, samples| {
        let table = random_table(name, samples, &layer);
        // One sample in fifty is of a group of its own.
        let of_sample = (0..samples).map(|sample| usize::from(sample % 50 == 7));
        let names = ["usual", "rare"].map(str::to_owned).to_vec();
        let groups = Groups::new(names, of_sample.collect()).unwrap();
        Arc::new(table.with_groups(groups).unwrap())
    };
    let data = EditData::new(grouped("train", 800), grouped("evaluation", 50), Seed(2)).unwrap();
    let whole = EditSession::new(data, &layer, &Device::flex()).unwrap();
    let part = whole.part(0.25, Seed(3)).unwrap();
    for of in [EditData::train, EditData::validation] {
        let [all, some] = [&whole, &part].map(|session| strata(of(session.data())));
        for (stratum, count) in all {
            let expected = (count as f64 * 0.25).round().max(1.0) as usize;
            assert_eq!(
                some.get(&stratum),
                Some(&expected),
                "{stratum:?} of {count}"
            );
        }
    }
    assert_eq!(part.data().evaluation().len(), 50);
    assert_eq!(part.before(), whole.before());
    let edited = part.edit(&edit(&[0]), &mut Silent).unwrap();
    assert_eq!(
        edited.result.comparison.after,
        on_host(&whole, &edited.layer)
    );
    // The control is the part's own.
    let control = part.control(&edit(&[0]).config.training, &mut Silent);
    assert_eq!(edited.result.control, Some(control));
    // As much as there is by the same seed is the same, and all of it is all.
    let again = whole.part(0.25, Seed(3)).unwrap();
    assert_eq!(
        again.edit(&edit(&[0]), &mut Silent).unwrap().layer,
        edited.layer
    );
    let all = whole.part(1.0, Seed(3)).unwrap();
    assert_eq!(
        all.edit(&edit(&[0]), &mut Silent).unwrap().layer,
        whole.edit(&edit(&[0]), &mut Silent).unwrap().layer
    );
    for share in [0.0, -1.0, 1.5, f64::NAN] {
        let refused = whole.part(share, Seed(0)).unwrap_err();
        assert!(refused.to_string().contains("share"), "{refused}");
    }
}

#[test]
fn edits_from_several_threads_are_those_of_one() {
    let session = Arc::new(session());
    let neurons: [&[usize]; 3] = [&[0], &[1, 2], &[5]];
    let expected = neurons.map(|neurons| session.edit(&edit(neurons), &mut Silent).unwrap());
    let threads = neurons.map(|neurons| {
        let session = Arc::clone(&session);
        thread::spawn(move || session.edit(&edit(neurons), &mut Silent).unwrap())
    });
    for (thread, expected) in threads.into_iter().zip(expected) {
        assert_eq!(thread.join().unwrap(), expected);
    }
}

#[test]
fn features_kept_on_the_host_give_the_same() {
    let layer = random_layer(CLASSES, NEURONS);
    let on_host =
        EditSession::with_storage(data(&layer), &layer, &Device::flex(), Storage::Host).unwrap();
    let on_device = session();
    let edits = [&on_host, &on_device].map(|it| it.edit(&edit(&[0, 3]), &mut Silent).unwrap());
    assert_eq!(edits[0], edits[1]);
    let previews = [&on_host, &on_device].map(|it| it.preview(&[NeuronId(2)]).unwrap());
    assert_eq!(previews[0].comparison, previews[1].comparison);
    // What was said of the whole holds of a part.
    let part = format!("{:?}", on_host.part(0.5, Seed(0)).unwrap());
    assert_eq!(part.matches("on_device: false").count(), 3, "{part}");
}

/// Of few classes the logits are kept, and yet the activations of many neurons may be as large as the table.
#[test]
fn a_preview_takes_no_more_of_a_table_than_a_chunk_at_a_time() {
    let layer = random_layer(2, 1500);
    let table = |name, samples| Arc::new(random_table(name, samples, &layer));
    let data = EditData::new(table("train", 120), table("evaluation", 2000), Seed(2)).unwrap();
    let neurons: Vec<_> = (0..1400).map(NeuronId).collect();
    let sessions = [Storage::Host, Storage::Device].map(|storage| {
        EditSession::with_storage(data.clone(), &layer, &Device::flex(), storage).unwrap()
    });
    let previews = sessions.map(|it| it.preview(&neurons).unwrap().comparison);
    assert_eq!(previews[0], previews[1]);
    assert_ne!(previews[0].after, previews[0].before);
    for storage in [Storage::Host, Storage::Device] {
        let table = DeviceTable::new(data.evaluation().clone(), &Device::flex(), storage).unwrap();
        let columns = table.columns(&neurons).map(|it| it.unwrap());
        let chunks = table.chunks().map(|it| it.unwrap());
        let mut count = 0;
        for (columns, chunk) in columns.zip(chunks) {
            assert_eq!(columns.dims(), [chunk.len(), neurons.len()]);
            let of_chunk = chunk.features.slice_dim(1, 0..neurons.len());
            assert_eq!(columns.into_data(), of_chunk.into_data());
            count += 1;
        }
        assert!(count > 2);
    }
}

/// More samples than one chunk has, and a validation table of several chunks.
#[test]
fn large_tables_are_measured_chunk_by_chunk() {
    let classes = 700;
    let layer = random_layer(classes, 3);
    // 2^20 logits a chunk: 1497 samples.
    let table = |name, samples| Arc::new(random_table(name, samples, &layer));
    let data = EditData::of_parts(table("a", 700), table("b", 3200), table("c", 3500)).unwrap();
    let session = EditSession::new(data, &layer, &Device::flex()).unwrap();
    assert_eq!(session.before(), &on_host(&session, &layer));
    let config = training(|it| it.with_epochs(1, None));
    let method = ratio_edit(&[0], EditScope::AllClasses, &config);
    let edited = session.edit(&method, &mut Silent).unwrap();
    let record = edited.result.epochs[0];
    let validation: &FeatureTable = session.data().validation().table();
    let compared = Comparison::new(validation, &layer, &edited.layer).unwrap();
    assert_eq!(compared.after.accuracy, record.validation_accuracy);
    // The mean ratio's distance from the target, over all chunks, by its definition.
    let probabilities = |features: &Array2<f32>| {
        let logits = edited
            .layer
            .logits(features.view())
            .unwrap()
            .mapv(f64::from);
        let mut odds = logits.mapv(f64::exp);
        for mut row in odds.rows_mut() {
            row /= row.sum();
        }
        odds
    };
    let features = validation.features().unwrap().into_owned();
    let mut zeroed = features.clone();
    zeroed.column_mut(0).fill(0.0);
    let ratios = probabilities(&features) / (probabilities(&zeroed) + 1e-9);
    let target = edited.result.derived("target").unwrap();
    let expected = (ratios.mean().unwrap() - target).abs();
    // A mean of 2 million ratios, summed in single precision.
    assert!(
        (record.validation_penalty - expected).abs() < 1e-4 * ratios.mean().unwrap(),
        "{} for {expected}",
        record.validation_penalty
    );
}

#[test]
fn a_layer_of_another_size_has_no_session() {
    let layer = random_layer(CLASSES, NEURONS);
    let other = random_layer(CLASSES + 1, NEURONS);
    let session = EditSession::new(data(&layer), &other, &Device::flex());
    assert!(matches!(session, Err(Error::Core(CoreError::Shape { .. }))));
}
