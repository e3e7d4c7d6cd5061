//! A method on the shared loop as any user of the crate could write it.

use burn::tensor::Device;
use ndarray::{Array2, array};
use neuroinspect_core::{DecisionLayer, Groups, Observer, Seed, Silent};
use neuroinspect_editing::{
    Citation, CrossEntropy, DecisionMethod, DeviceTable, EditData, EditSession, Error, Fitted,
    LayerPatch, LayerTraining, MethodInput, Result, Sampling, Storage, Subject, TrainingConfig,
    Weighted, train,
};
use neuroinspect_testing::tables::table;
use serde::{Deserialize, Serialize};

use crate::{fit, settled};

/// Upweighting what the layer gets wrong, JTT's second stage on the head.
#[derive(Debug, Serialize, Deserialize)]
struct Upweighted {
    factor: f64,
    training: TrainingConfig,
}

impl DecisionMethod for Upweighted {
    fn name(&self) -> &'static str {
        "upweighted"
    }

    fn citation(&self) -> Option<Citation> {
        Some(Citation {
            text: "Liu et al., Just Train Twice, ICML 2021",
            url: "https://arxiv.org/abs/2107.09044",
        })
    }

    fn describe(&self) -> String {
        format!("draws mistakes {} times as often", self.factor)
    }

    fn fit(&self, input: &MethodInput<'_>, observer: &mut dyn Observer) -> Result<Fitted> {
        let samples = input.train().samples();
        let predicted = samples.table().predicted_by(input.layer())?;
        let weights = samples.labels().into_iter().enumerate();
        let weights = weights.map(|(sample, label)| {
            let right = predicted.predictions()[samples.row(sample)] == label;
            if right { 1.0 } else { self.factor }
        });
        let training = LayerTraining {
            input,
            loss: &mut CrossEntropy,
            sampling: &Weighted::new(weights.collect())?,
            config: &self.training,
            stage: "editing",
        };
        train(training, observer)
    }
}

#[test]
fn upweighted_mistakes_are_learnt_first() {
    // One sample in ten is of class 1 and predicted as class 0.
    let labels: Vec<usize> = (0..100).map(|index| usize::from(index % 10 == 0)).collect();
    let features = Array2::from_shape_fn((100, 1), |(row, _)| labels[row] as f32);
    let samples = table(features, &labels, 2);
    let layer = DecisionLayer::new(array![[0.0], [0.0]], array![1.0, -1.0]).unwrap();
    let learnt = |factor| {
        let training = TrainingConfig::default()
            .with_learning_rate(0.03)
            .with_epochs(25, None);
        let method = Upweighted { factor, training };
        let fitted = fit(&method, [&samples, &samples], &layer, &mut Silent).unwrap();
        let accuracy = samples
            .predicted_by(&fitted.layer)
            .unwrap()
            .metrics()
            .unwrap();
        accuracy.class_accuracy[1].unwrap()
    };
    assert_eq!((learnt(1.0), learnt(50.0)), (0.0, 1.0));
}

#[test]
fn draws_follow_the_weights_and_the_seed() {
    let weights: Vec<f64> = (0..1000).map(|sample| f64::from(sample % 4)).collect();
    let sampling = Weighted::new(weights).unwrap();
    let order = sampling.order(Seed(1), 1);
    assert_eq!(order.len(), 1000);
    let count = |rest| order.iter().filter(|&&sample| sample % 4 == rest).count();
    assert_eq!(count(0), 0);
    // A sixth, a third and a half of 1000 draws, within five standard deviations.
    for (rest, expected) in [(1, 167.0), (2, 333.0), (3, 500.0_f64)] {
        let deviation = (expected * (1.0 - expected / 1000.0)).sqrt();
        assert!((count(rest) as f64 - expected).abs() < 5.0 * deviation);
    }
    assert_eq!(sampling.order(Seed(1), 1), order);
    assert_ne!(sampling.order(Seed(1), 2), order);
}

#[test]
fn a_method_nobody_knows_is_recorded_and_used() {
    let (samples, layer) = settled();
    let method = Upweighted {
        factor: 2.0,
        training: TrainingConfig::default().with_epochs(1, None),
    };
    let data = EditData::of_parts(samples.clone(), samples.clone(), samples).unwrap();
    let session = EditSession::new(data, &layer, &Device::flex()).unwrap();
    let edited = session.edit(&method, &mut Silent).unwrap();
    // It does not say how it trains, and names no class.
    assert_eq!(edited.result.control, None);
    assert_eq!(edited.result.verdict.subject, Subject::WorstClass);

    let file = tempfile::NamedTempFile::new().unwrap();
    edited.patch.save(file.path()).unwrap();
    let patch = LayerPatch::load(file.path()).unwrap();
    assert_eq!(patch.apply(&layer).unwrap(), edited.layer);
    assert_eq!(patch.revert(&edited.layer).unwrap(), layer);
    let record = patch.method();
    assert_eq!(record, &edited.result.method);
    assert!(record.known().is_none());
    let parsed: Upweighted = record.parse().unwrap();
    assert_eq!((parsed.factor, record.kept_epoch), (2.0, Some(1)));
    assert!(record.to_string().contains("'upweighted'"));
}

#[test]
fn groups_to_learn_from_are_asked_of_the_training_samples() {
    let (samples, layer) = settled();
    let names = vec!["on land".into(), "on water".into()];
    let groups = Groups::new(names, vec![1, 0]).unwrap();
    let grouped = samples.clone().with_groups(groups.clone()).unwrap();
    let on_device = |samples| DeviceTable::new(samples, &Device::flex(), Storage::Device).unwrap();
    let (samples, grouped) = (on_device(samples), on_device(grouped));
    let input = MethodInput::new(&grouped, &samples, &layer).unwrap();
    assert_eq!(input.training_groups().unwrap(), &groups);
    let input = MethodInput::new(&samples, &grouped, &layer).unwrap();
    let error = input.training_groups().unwrap_err();
    assert!(matches!(error, Error::NoGroups { table: "training" }));
}
