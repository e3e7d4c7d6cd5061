//! Training of networks on the scenes: that it learns, what it leaves alone, and that it goes on where it
//! was.

use std::{fs, ops::ControlFlow, path::Path};

use neuroinspect::{
    Error, ImageSource, RunFolder,
    burn::tensor::Device,
    core::{Classifier, DeviceName, Error as CoreError, Progress, Seed, Silent, is_cancellation},
    datasets::{
        ImageDataset,
        corrupted::{Corrupted, CorruptedConfig},
        scenes::{Object, Planted, Scenes, ScenesConfig},
    },
    editing::Keep,
    models::{Checkpoint, CifarResNetConfig, GraphClassifier, PretrainedClassifier},
    training::{
        Epoch, Optimizer, RateSchedule, TrainConfig, Trained, TrainedPart, Training,
        TrainingAugmentation,
    },
};
use tempfile::TempDir;

use super::made_up::made_up;

/// Two objects, on any background.
fn scenes(config: ScenesConfig, samples: usize) -> Scenes {
    let planted = Planted {
        class: Object::Cross,
        ..Planted::default()
    };
    let config = config
        .with_classes([Object::Circle, Object::Cross])
        .with_planted(planted.independent(0.25))
        .with_size(16);
    Scenes::new(config.with_samples(samples)).unwrap()
}

/// A small network, always with the same weights.
fn model() -> GraphClassifier {
    made_up(CifarResNetConfig::new(8, 2).init(&Device::flex()).unwrap())
}

fn indices(dataset: &dyn ImageDataset) -> Vec<usize> {
    (0..dataset.samples().len()).collect()
}

/// What is trained on and validated on.
struct Data {
    train: Scenes,
    validation: Scenes,
    indices: [Vec<usize>; 2],
}

impl Data {
    fn new(train: usize, validation: usize) -> Self {
        let train = scenes(ScenesConfig::train(), train);
        let validation = scenes(ScenesConfig::validation(), validation);
        Self {
            indices: [indices(&train), indices(&validation)],
            train,
            validation,
        }
    }

    fn training(&self, model: GraphClassifier, config: TrainConfig) -> Training<'_> {
        let source = |dataset, indices| ImageSource { dataset, indices };
        Training {
            model,
            train: source(&self.train, &self.indices[0]),
            validation: source(&self.validation, &self.indices[1]),
            config,
        }
    }
}

fn short() -> TrainConfig {
    TrainConfig::default()
        .with_batch_size(16)
        .with_epochs(3)
        .with_seed(Seed(1))
}

/// All weights and buffers, as they are saved.
fn weights(model: &GraphClassifier) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model.save(&path).unwrap();
    fs::read(path).unwrap()
}

fn device() -> DeviceName {
    "flex".parse().unwrap()
}

fn train_in(
    root: &Path,
    training: Training<'_>,
    observer: &mut dyn neuroinspect::core::Observer,
) -> Result<Trained, Error> {
    let folder = RunFolder::open(root, None)?;
    folder.train(training, device(), &mut |_| (), observer)
}

/// Stops training after a step.
fn stopping_after(step: usize) -> impl FnMut(Progress<'_>) -> ControlFlow<()> {
    move |progress: Progress<'_>| match progress.stage == "training" && progress.done >= step {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

/// Each of the optimisers moves every weight, and the same training comes to the same bits.
#[test]
fn the_same_training_comes_to_the_same_bits() {
    let data = Data::new(40, 20);
    let mut seen = vec![weights(&model())];
    for optimizer in [
        Optimizer::Sgd { momentum: 0.9 },
        Optimizer::Adam,
        Optimizer::AdamW,
    ] {
        let config = short().with_epochs(1).with_optimizer(optimizer, 0.01);
        let once = || {
            let training = data.training(model(), config.clone());
            weights(&training.run(&mut |_| (), &mut Silent).unwrap().model)
        };
        let found = once();
        assert_eq!(found, once(), "{optimizer:?}");
        assert!(!seen.contains(&found), "{optimizer:?}");
        seen.push(found);
    }
}

/// Wherever it is stopped: at a checkpoint's step, between two, in an epoch's last step; with the last
/// or the best epoch kept, with changes of images, whatever part is trained.
#[test]
fn a_training_that_was_stopped_comes_to_the_bits_of_one_left_alone() {
    let data = Data::new(72, 40);
    // Five steps an epoch, the last of eight images.
    for config in [
        short().with_augmentation(TrainingAugmentation {
            flip: true,
            shift: 2,
        }),
        short()
            .with_keep(Keep::Accuracy)
            .with_optimizer(Optimizer::Sgd { momentum: 0.9 }, 1e-3),
        short()
            .with_keep(Keep::WorstGroup)
            .with_part(TrainedPart::DecisionLayer)
            .with_optimizer(Optimizer::Adam, 0.0),
    ] {
        let training = || data.training(model(), config.clone());
        let alone = training().run(&mut |_| (), &mut Silent).unwrap();
        for stop in [1, 5, 7] {
            let root = tempfile::tempdir().unwrap();
            let stopped = train_in(root.path(), training(), &mut stopping_after(stop));
            assert!(is_cancellation(&stopped.unwrap_err()));
            // Once more on the way.
            let later = train_in(root.path(), training(), &mut stopping_after(14));
            assert!(is_cancellation(&later.unwrap_err()));
            let trained = train_in(root.path(), training(), &mut Silent).unwrap();
            assert_eq!(trained.resumed_at, Some(14), "{config:?}");
            assert_eq!(trained.epochs, alone.epochs, "stopped after {stop}");
            assert_eq!(trained.kept, alone.kept);
            assert!(
                weights(&trained.model) == weights(&alone.model),
                "stopped after {stop}"
            );

            // What has ended is not trained again.
            let again = train_in(root.path(), training(), &mut stopping_after(1)).unwrap();
            assert_eq!(again.resumed_at, Some(15));
            assert!(weights(&again.model) == weights(&alone.model));
        }
    }
}

/// Another one says what differs, and leaves what is kept as it is, ended or not.
#[test]
fn only_the_same_training_is_taken_up() {
    let data = Data::new(72, 40);
    let other_data = Data::new(72, 20);
    let root = tempfile::tempdir().unwrap();
    let mut other_model = model();
    let mut layer = other_model.decision_layer().unwrap();
    layer = neuroinspect::core::DecisionLayer::new(
        layer.weight().to_owned(),
        layer.bias().to_owned() + 0.5,
    )
    .unwrap();
    other_model.set_decision_layer(&layer).unwrap();
    let others = || {
        let rate = short().with_learning_rate(0.1, RateSchedule::Constant);
        [
            (
                data.training(model(), rate),
                "config.learning_rate is 0.001",
            ),
            (
                data.training(model(), short().with_epochs(4)),
                "config.epochs is 3, and here it is 4",
            ),
            (data.training(other_model.clone(), short()), "start_sha256"),
            (other_data.training(model(), short()), "validation"),
        ]
    };
    let refused = || {
        for (training, differs) in others() {
            let error = train_in(root.path(), training, &mut Silent).unwrap_err();
            assert!(matches!(error, Error::OtherTraining { .. }), "{error}");
            assert!(error.to_string().contains(differs), "{error}");
        }
    };
    let training = || data.training(model(), short());
    // A folder of this name may have been there.
    let mine = root.path().join("training/1.weights.safetensors");
    fs::create_dir_all(mine.parent().unwrap()).unwrap();
    fs::write(&mine, "mine").unwrap();
    let error = train_in(root.path(), training(), &mut stopping_after(7)).unwrap_err();
    assert!(is_cancellation(&error), "{error}");
    refused();
    let trained = train_in(root.path(), training(), &mut Silent).unwrap();
    assert_eq!(trained.resumed_at, Some(7));
    assert_eq!(fs::read(&mine).unwrap(), b"mine");
    refused();
    let trained = train_in(root.path(), training(), &mut Silent).unwrap();
    assert_eq!(trained.resumed_at, Some(15));
}

#[test]
fn a_damaged_state_is_begun_anew() {
    let data = Data::new(72, 40);
    let training = || data.training(model(), short());
    let alone = training().run(&mut |_| (), &mut Silent).unwrap();
    for damaged in [
        "state.json",
        "000000007.weights.safetensors",
        "000000007.optimizer.bpk",
    ] {
        let root = tempfile::tempdir().unwrap();
        train_in(root.path(), training(), &mut stopping_after(7)).unwrap_err();
        let path = root.path().join("training").join(damaged);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let trained = train_in(root.path(), training(), &mut Silent).unwrap();
        assert_eq!(trained.resumed_at, None, "{damaged}");
        assert!(weights(&trained.model) == weights(&alone.model));
    }
}

/// The backbone, the running statistics of its batch normalisations included.
#[test]
fn a_decision_layer_alone_leaves_the_backbone_as_it_is() {
    let data = Data::new(80, 40);
    let config = short()
        .with_part(TrainedPart::DecisionLayer)
        .with_learning_rate(0.05, RateSchedule::Constant);
    let trained = data
        .training(model(), config)
        .run(&mut |_| (), &mut Silent)
        .unwrap();
    let tensors = |model: &GraphClassifier| {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("model.safetensors");
        model.save(&path).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        let names: Vec<_> = checkpoint.names().map(str::to_owned).collect();
        let read = |name: String| (checkpoint.read(&name).unwrap(), name);
        names.into_iter().map(read).collect::<Vec<_>>()
    };
    let mut changed = Vec::new();
    for ((before, name), (after, _)) in tensors(&model()).into_iter().zip(tensors(&trained.model)) {
        if before
            .iter()
            .map(|it| it.to_bits())
            .ne(after.iter().map(|it| it.to_bits()))
        {
            changed.push(name);
        }
    }
    assert_eq!(changed, ["linear.bias", "linear.weight"]);
    let [first, .., last] = &trained.epochs[..] else {
        panic!("{:?}", trained.epochs);
    };
    assert!(last.loss < first.loss);
}

#[test]
fn the_epoch_that_is_kept_is_the_best_and_the_first_of_equals() {
    let data = Data::new(72, 40);
    for (keep, score) in [
        (
            Keep::Accuracy,
            (|it: &Epoch| it.validation.accuracy) as fn(&Epoch) -> f64,
        ),
        (Keep::WorstClass, |it| it.validation.worst_class_accuracy),
        (Keep::WorstGroup, |it| {
            it.validation.worst_group_accuracy.unwrap()
        }),
    ] {
        let config = short().with_epochs(5).with_keep(keep);
        let trained = data
            .training(model(), config)
            .run(&mut |_| (), &mut Silent)
            .unwrap();
        let best = trained.epochs.iter().map(score).fold(0.0, f64::max);
        let first = trained.epochs.iter().find(|it| score(it) == best).unwrap();
        assert_eq!(trained.kept, first.epoch, "{keep:?}");
    }
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let data = Data::new(40, 20);
    let option_of = |config: TrainConfig| {
        let refused = data.training(model(), config).run(&mut |_| (), &mut Silent);
        match refused.unwrap_err() {
            Error::Core(CoreError::InvalidOption { option, .. }) => option,
            other => panic!("{other}"),
        }
    };
    let changed = TrainingAugmentation {
        flip: true,
        shift: 0,
    };
    let cosine = |warmup| RateSchedule::Cosine { warmup, floor: 0.0 };
    for (config, option) in [
        (
            short().with_learning_rate(0.0, RateSchedule::Constant),
            "learning_rate",
        ),
        (short().with_learning_rate(1e-3, cosine(1.5)), "warmup"),
        (
            short().with_optimizer(Optimizer::Adam, -1.0),
            "weight_decay",
        ),
        (
            short().with_optimizer(Optimizer::Sgd { momentum: 1.0 }, 0.0),
            "momentum",
        ),
        (short().with_batch_size(0), "batch_size"),
        (short().with_epochs(0), "epochs"),
        (
            short()
                .with_part(TrainedPart::DecisionLayer)
                .with_augmentation(changed),
            "augmentation",
        ),
    ] {
        assert_eq!(option_of(config), option);
    }

    let three = CifarResNetConfig::new(8, 3).init(&Device::flex()).unwrap();
    let refused = data.training(three, short()).run(&mut |_| (), &mut Silent);
    assert!(matches!(refused, Err(Error::ClassCount { .. })));

    // A rate at which nothing is left of the loss.
    let config = short()
        .with_learning_rate(1e30, RateSchedule::Constant)
        .with_optimizer(Optimizer::Sgd { momentum: 0.0 }, 0.0);
    let refused = data.training(model(), config).run(&mut |_| (), &mut Silent);
    assert!(matches!(
        refused,
        Err(Error::TrainingDiverged { epoch: 1 | 2 })
    ));
}

/// It learns of corrupted images what they have in common: where corruption and class agree it is right,
/// where they do not it is wrong.
#[test]
fn a_network_falls_for_corruptions() {
    let config = CorruptedConfig::default();
    let train = Corrupted::new(scenes(ScenesConfig::train(), 200), config.clone()).unwrap();
    let test = Corrupted::unbiased(scenes(ScenesConfig::test(), 100), config).unwrap();
    let [train_indices, test_indices] = [indices(&train), indices(&test)];
    let training = Training {
        model: model(),
        train: ImageSource {
            dataset: &train,
            indices: &train_indices,
        },
        validation: ImageSource {
            dataset: &test,
            indices: &test_indices,
        },
        config: short()
            .with_epochs(6)
            .with_learning_rate(3e-3, TrainConfig::default().schedule),
    };
    let mut heard = Vec::new();
    let trained = training
        .run(&mut |epoch| heard.push(epoch.epoch), &mut Silent)
        .unwrap();
    assert_eq!(heard, [1, 2, 3, 4, 5, 6]);
    assert_eq!((trained.kept, trained.resumed_at), (6, None));
    let [first, .., last] = &trained.epochs[..] else {
        panic!("{:?}", trained.epochs);
    };
    assert!(last.loss < 0.8 * first.loss, "{first:?} {last:?}");
    let groups = last.validation.group_accuracy.as_ref().unwrap();
    for class in 0..2 {
        let [aligned, conflicting] = [0, 1].map(|kind| groups[2 * class + kind].unwrap());
        assert!(aligned > 0.8 && conflicting < 0.4, "{last:?}");
    }
}
