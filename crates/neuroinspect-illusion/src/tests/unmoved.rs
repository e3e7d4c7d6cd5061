//! Units that no step moves.

use std::ops::ControlFlow;

use burn::tensor::{Device, Tensor, activation::relu};
use ndarray::Array2;
use neuroinspect_core::{
    Activations, ClassId, Classifier, CopyClassifier, DecisionLayer, InputSpec, LayerInfo,
    LayerKind, LayerValues, Precision, Progress, Result, Silent, Unit, UnitKind, unknown_layer,
};
use neuroinspect_testing::{networks::TinyClassifier, tables::table};

use super::{CLASSES, NEURONS, SIZE, device, pairs, plain_recipe, request, tensor, values};
use crate::{
    Augmentation, Coupling, Illusion, ImageParameter, Networks, Objective, Pair, Recipe, Request,
    Restart, Unmoved, UnmovedCause, visualize,
};

/// The tiny classifier's map, whose numbers lie between -1 and 1, less a number for each neuron, behind a
/// ReLU that ends at 2.
#[derive(Clone)]
struct Rectified {
    net: TinyClassifier,
    shifts: [f32; NEURONS],
    /// Whether it says what the ReLU reads.
    says: bool,
}

impl Rectified {
    /// Neuron 1 is beyond the ReLU in a grey picture, not in all pictures; 2 in all; and 3 is always above
    /// 2.
    fn new(says: bool) -> Self {
        let net = TinyClassifier::new(SIZE, &device());
        let grey = tensor(vec![0.5; 3 * SIZE * SIZE], [1, 3, SIZE, SIZE]);
        let map = net.activations(net.input().normalize(grey)).map.unwrap();
        let highest = values(map.narrow(1, 1, 1).max())[0];
        let shifts = [-1.0, f32::midpoint(highest, 1.0), 2.0, -4.0, -1.0, -1.0];
        Self { net, shifts, says }
    }

    fn before(&self, images: Tensor<4>) -> Tensor<4> {
        let map = self.net.activations(images).map.unwrap();
        map - tensor(self.shifts.to_vec(), [1, NEURONS, 1, 1])
    }
}

impl CopyClassifier for Rectified {
    fn evaluation_copy(&self, _: &Device, _: Precision) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.clone()))
    }
}

impl Classifier for Rectified {
    fn name(&self) -> &str {
        "rectified"
    }
    fn input(&self) -> &InputSpec {
        self.net.input()
    }
    fn activations(&self, images: Tensor<4>) -> Activations {
        Activations::pooled(relu(self.before(images)).clamp_max(2.0))
    }
    fn decision_layer(&self) -> Result<DecisionLayer> {
        self.net.decision_layer()
    }
    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> Result<()> {
        self.net.set_decision_layer(layer)
    }
    fn device(&self) -> Device {
        self.net.device()
    }
    fn layers(&self) -> Result<Vec<LayerInfo>> {
        Ok(vec![LayerInfo {
            name: "map".to_owned(),
            kind: LayerKind::Map,
            channels: NEURONS,
        }])
    }
    fn activations_at(&self, images: Tensor<4>, layers: &[&str]) -> Result<Vec<LayerValues>> {
        let of = |layer: &&str| {
            let Activations { features, map } = self.activations(images.clone());
            match *layer {
                "features" => Ok(LayerValues::Features(features)),
                "map" => Ok(LayerValues::Map(map.unwrap())),
                "sum" => Ok(LayerValues::Map(self.before(images.clone()))),
                other => Err(unknown_layer("rectified", other, ["map"])),
            }
        };
        layers.iter().map(of).collect()
    }
    fn before_activation(&self, layer: &str) -> Option<String> {
        (self.says && ["features", "map"].contains(&layer)).then(|| "sum".to_owned())
    }
}

fn networks(says: bool) -> Networks {
    Networks::of(&Rectified::new(says), None).unwrap()
}

/// From grey, and fast enough for a few steps to show.
fn recipe() -> Recipe {
    plain_recipe()
        .with_objective(Objective::Neuron)
        .with_parameter(ImageParameter::Pixels)
        .with_augmentation(Augmentation::off())
        .with_smoothing(0.0)
        .with_learning_rate(0.3)
        .with_steps(30)
}

fn pictures(says: bool, request: &Request) -> Vec<Illusion> {
    let made = visualize(&networks(says), request, &mut Silent).unwrap();
    assert!(!made.interrupted);
    made.finished
}

fn all() -> [Pair; NEURONS] {
    pairs([0, 1, 2, 3, 4, 5].map(|neuron| (neuron, neuron % CLASSES)))
}

fn unmoved(cause: UnmovedCause, activation: f32, restart: Restart) -> Option<Unmoved> {
    Some(Unmoved {
        activation,
        cause,
        restart,
    })
}

#[test]
fn a_unit_that_no_step_moves_is_told_and_started_again_before_its_relu() {
    let request = request(all(), &recipe());
    let found = pictures(true, &request);
    let (beyond, saturated) = (UnmovedCause::BeyondRelu, UnmovedCause::Saturated);
    let expected = [
        None,
        unmoved(beyond, 0.0, Restart::Moved),
        unmoved(beyond, 0.0, Restart::DidNotMove),
        unmoved(saturated, 2.0, Restart::DidNotMove),
        None,
        None,
    ];
    for (illusion, expected) in found.iter().zip(&expected) {
        let (pair, found) = (illusion.pair, &illusion.unmoved);
        assert_eq!(found, expected, "{pair:?}, {}", illusion.activation);
    }
    assert!(found[1].activation > 0.0);
    assert_eq!(found[2].activation, 0.0);
    assert!(found[1].mask.is_some());

    // Without a word of what the ReLU reads, there is the reason alone, and the first picture.
    let silent = pictures(false, &request);
    assert_eq!(silent[1].unmoved, unmoved(beyond, 0.0, Restart::NotMade));
    assert_eq!(silent[1].activation, 0.0);
    assert_ne!(silent[1].image, found[1].image);
    assert_eq!(silent[2].image, found[2].image);
    for moved in [0, 4, 5] {
        assert_eq!(silent[moved], found[moved]);
    }
}

#[test]
fn a_restart_does_not_depend_on_the_batch() {
    let together = pictures(true, &request(all(), &recipe()));
    let alone = pictures(true, &request(pairs([(1, 1)]), &recipe()));
    assert_eq!(alone[0], together[1]);
}

#[test]
fn units_are_started_again_as_neurons_are() {
    let of = |kind| Unit::new("map", kind);
    let position = UnitKind::Position {
        channel: 2,
        row: 0,
        column: 0,
    };
    let units = vec![of(UnitKind::Channel(1)), of(position)];
    let found = pictures(
        true,
        &Request::of_units(units.clone(), ClassId(1), recipe()),
    );
    let restarts: Vec<_> = found
        .iter()
        .map(|it| it.unmoved.as_ref().map(|unmoved| unmoved.restart))
        .collect();
    assert_eq!(restarts, [Some(Restart::Moved), Some(Restart::NotMade)]);
    assert_eq!(found[0].unit.as_ref(), Some(&units[0]));
    assert!(found[0].activation > 0.0);

    // A table of neurons that are dead says nothing of them, and kills the neuron of that number.
    let dead = table(Array2::zeros((3, NEURONS)), &[0, 1, 2], CLASSES);
    let compared = |illusion: &Illusion| {
        let mut illusion = illusion.clone();
        illusion.compare_unmoved(&dead).unwrap();
        illusion.unmoved
    };
    assert_eq!(compared(&found[0]), found[0].unmoved);
    let neuron = &pictures(true, &request(pairs([(1, 1)]), &recipe()))[0];
    assert_ne!(compared(neuron), neuron.unmoved);
}

/// Of an objective without the neuron it is no matter, nor in a picture that was stopped.
#[test]
fn what_was_not_to_be_moved_is_not_unmoved() {
    let dead = pairs([(2, 1)]);
    let others = recipe().with_objective(Objective::ClassLogit);
    assert_eq!(pictures(true, &request(dead, &others))[0].unmoved, None);
    let mut stop = super::stopping::stop_at(29);
    let stopped = visualize(&networks(true), &request(dead, &recipe()), &mut stop).unwrap();
    assert_eq!(stopped.finished[0].unmoved, None);
    // A coupled batch would be another with the others left out.
    let coupled = recipe().with_coupling(Coupling::WholeBatch);
    let found = pictures(true, &request(pairs([(1, 1)]), &coupled));
    let unmoved = found[0].unmoved.as_ref().unwrap();
    assert_eq!(unmoved.restart, Restart::NotMade);
}

#[test]
fn a_restart_can_be_stopped() {
    let mut heard = 0;
    let mut observer = |progress: Progress<'_>| {
        heard += 1;
        assert!(progress.done <= progress.total);
        match heard > 32 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let request = request(pairs([(1, 1)]), &recipe());
    let stopped = visualize(&networks(true), &request, &mut observer).unwrap();
    assert!(stopped.interrupted);
    assert_eq!(heard, 33);
}

#[test]
fn a_unit_is_dead_where_no_real_image_moves_it_either() {
    let mut unit = unmoved(UnmovedCause::BeyondRelu, 0.0, Restart::NotMade).unwrap();
    unit.on_real(0.5, 0.1, 10);
    assert_eq!(unit.cause, UnmovedCause::BeyondRelu);
    assert!(unit.to_string().contains("beyond a ReLU"));
    unit.on_real(0.0, 0.0, 10);
    assert_eq!(unit.cause, UnmovedCause::Dead { images: 10 });
    assert!(unit.to_string().contains("dead, at 0 on all 10 real"));
    let mut held = unmoved(UnmovedCause::Saturated, 2.0, Restart::Moved).unwrap();
    held.on_real(2.0, 1.5, 10);
    assert_eq!(held.cause, UnmovedCause::Saturated);
    assert!(held.to_string().ends_with("it moved"));
    held.on_real(2.0, 2.0, 10);
    assert_eq!(held.cause, UnmovedCause::Dead { images: 10 });
}
