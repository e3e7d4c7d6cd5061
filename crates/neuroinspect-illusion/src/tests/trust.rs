//! How far pictures can be trusted.

use burn::tensor::{Device, Tensor};
use ndarray::Array3;
use neuroinspect_core::{
    Activations, ClassId, Classifier, CopyClassifier, DecisionLayer, Direction, InputSpec,
    LayerInfo, LayerKind, Precision, Result, Silent, Unit, UnitKind,
};
use neuroinspect_testing::{fill, networks::TinyClassifier};

use super::{
    CLASSES, NEURONS, SIZE, device, pairs, plain_networks, plain_recipe, preparing::Watched,
    request,
};
use crate::{
    Execution, Illusion, Networks, RealImages, Restart, Trust, Unmoved, UnmovedCause, Verdict,
    trust::real, visualize,
};

/// Images of noise in `[0, 1]`.
fn noise(count: usize) -> Vec<Array3<f32>> {
    let image = |index: usize| {
        let values = fill::normal(&format!("image {index}"), 3 * SIZE * SIZE);
        let values = values
            .into_iter()
            .map(|it| (0.5 + 0.2 * it).clamp(0.0, 1.0));
        Array3::from_shape_vec((3, SIZE, SIZE), values.collect()).unwrap()
    };
    (0..count).map(image).collect()
}

fn real(networks: &Networks, units: &[Unit], count: usize) -> Option<RealImages> {
    let classifier = &networks.classifier;
    let mut images = noise(count).into_iter();
    RealImages::new(classifier, Some(classifier), units, &mut images).unwrap()
}

fn illusion() -> Illusion {
    let execution = Execution::default()
        .with_other_seeds(2)
        .with_other_seed_part(5);
    let request = request(pairs([(2, 3)]), &plain_recipe()).with_execution(execution);
    let made = visualize(&plain_networks(), &request, &mut Silent).unwrap();
    made.finished.into_iter().next().unwrap()
}

fn trust(networks: &Networks, real: &RealImages, of: &[Illusion]) -> Vec<Trust> {
    let classifier = &networks.classifier;
    real.trust(classifier, Some(classifier), of).unwrap()
}

#[test]
fn a_real_image_in_a_pictures_place_is_what_it_is() {
    let networks = plain_networks();
    let images = noise(40);
    let real = real(&networks, &[], images.len()).unwrap();
    let views: Vec<_> = images.iter().map(|image| image.view()).collect();
    let features = networks.classifier.features_of(&views).unwrap();
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.sort_by(|&a, &b| features[[a, 2]].total_cmp(&features[[b, 2]]));
    let of = |place: usize| Illusion {
        image: images[order[place]].clone(),
        activation: features[[order[place], 2]],
        ..illusion()
    };
    let found = trust(&networks, &real, &[of(0), of(19), of(39)]);
    let percentiles: Vec<f32> = found.iter().map(|it| it.percentile.unwrap()).collect();
    assert_eq!(percentiles, [2.5, 50.0, 100.0]);
    for trust in &found {
        assert_eq!(
            (trust.real_images, trust.path.as_ref().unwrap().strongest),
            (40, 8)
        );
        assert_eq!(trust.path.as_ref().unwrap().layers.len(), 1);
        // The judge is the classifier, which does not leave the neuron out.
        assert_eq!(trust.recognition.as_ref().unwrap().judge, "tiny");
    }
    // As like the strongest images as they are among themselves, it being one of them, or as others are to them.
    let normalised = |it: usize| {
        found[it].path.as_ref().unwrap().layers[0]
            .normalised
            .unwrap()
    };
    assert!(normalised(2) > 1.0, "{}", normalised(2));
    assert_eq!(found[0].verdict, Verdict::Doubtful);
    let most = "98 % activate it more than the picture does";
    assert!(
        found[0].doubts.iter().any(|it| it.contains(most)),
        "{:?}",
        found[0].doubts
    );
    assert!(found[0].to_string().starts_with("doubtful: "));
    let [least, most] = [0, 2].map(|it: usize| found[it].recognition.as_ref().unwrap().chance);
    assert!(least < 0.5 && 0.5 < most, "{least} {most}");
}

#[test]
fn a_path_is_spread_over_the_maps_before_a_layer() {
    let path = |layers: &[(&str, LayerKind, usize)], own: &str| {
        let layers = layers.iter().map(|&(name, kind, channels)| LayerInfo {
            name: name.to_owned(),
            kind,
            channels,
        });
        real::path(&layers.collect::<Vec<_>>(), own)
    };
    let few = [
        ("stem", LayerKind::Map, 7),
        ("conv", LayerKind::Map, 8),
        ("squeezed", LayerKind::Features, 64),
        ("block", LayerKind::Tokens, 64),
        ("features", LayerKind::Features, 64),
        ("after", LayerKind::Map, 64),
    ];
    assert_eq!(path(&few, "features"), ["conv", "block", "features"]);
    assert_eq!(path(&few, "conv"), ["conv"]);
    let names: Vec<String> = (1..=13).map(|it| it.to_string()).collect();
    let many: Vec<_> = names.iter().map(|it| (&**it, LayerKind::Map, 16)).collect();
    // Five of the twelve before it, the last of them always.
    assert_eq!(path(&many, "13"), ["2", "4", "7", "9", "12", "13"]);
    assert_eq!(path(&many, "6"), ["1", "2", "3", "4", "5", "6"]);
}

/// Below a half the images that activate the unit most are less like it than others.
#[test]
fn a_trusted_picture_says_how_much_speaks_for_it() {
    let networks = plain_networks();
    let real = real(&networks, &[], 40).unwrap();
    let mut trust = trust(&networks, &real, &[illusion()]).remove(0);
    trust.verdict = Verdict::Trusted;
    trust.continuity = None;
    let mut says = |score: f32| {
        trust.path.as_mut().unwrap().score = score;
        trust.to_string()
    };
    let more = "trusted: of 40 real images, one of those that activate it most is more like it than another";
    assert_eq!(says(0.5), format!("{more} with a chance of 0.50"));
    assert_eq!(
        says(0.49),
        "trusted: nothing speaks clearly against it, though of 40 real images those that activate it most are no more \
         like it than others (by a chance of 0.49)"
    );
}

#[test]
fn other_seeds_are_counted_and_do_not_depend_on_the_batch() {
    let alone = illusion();
    let agreement = alone.agreement.unwrap();
    assert_eq!((agreement.seeds, agreement.steps), (2, 3));
    assert!((-1.0..=1.0).contains(&agreement.similarity));
    let execution = Execution::default()
        .with_other_seeds(2)
        .with_other_seed_part(5);
    let request = request(pairs([(1, 0), (2, 3)]), &plain_recipe()).with_execution(execution);
    let together = visualize(&plain_networks(), &request, &mut Silent).unwrap();
    assert_eq!(together.finished[1].agreement, alone.agreement);
    let mut stopped = super::stopping::stop_at(12);
    let stopped = visualize(&plain_networks(), &request, &mut stopped).unwrap();
    // They are still to come.
    assert!(stopped.interrupted && stopped.finished[0].agreement.is_none());
}

#[test]
fn units_are_compared_as_neurons_are() {
    let networks = Networks::of(&Watched::new(SIZE), None).unwrap();
    let direction = Direction::new("halves", &[0.5; NEURONS]);
    let units = [
        Unit::new("conv", UnitKind::Channel(2)),
        Unit::new("features", UnitKind::Direction(direction)),
        Unit::new(
            "conv",
            UnitKind::Position {
                channel: 1,
                row: 2,
                column: 3,
            },
        ),
    ];
    let of_units = real(&networks, &units, 40).unwrap();
    let made = crate::Request::of_units(units.to_vec(), ClassId(0), plain_recipe());
    let made = visualize(&networks, &made, &mut Silent).unwrap().finished;
    for (trust, picture) in trust(&networks, &of_units, &made).iter().zip(&made) {
        let layers = &trust.path.as_ref().unwrap().layers;
        assert_eq!(
            layers.last().unwrap().layer,
            picture.unit.as_ref().unwrap().layer
        );
        assert!(trust.percentile.is_some() && trust.agreement_percentile.is_some());
        assert!(trust.continuity.is_some());
    }
    // The map's channel is the neuron, before its mean.
    let neurons = real(&networks, &[], 40).unwrap();
    let neuron = Illusion {
        unit: None,
        ..made[0].clone()
    };
    let found = trust(&networks, &neurons, &[neuron]).remove(0);
    let of_channel = trust(&networks, &of_units, &made).remove(0);
    assert_eq!(found.percentile, of_channel.percentile);
    let jumps = [found, of_channel].map(|it| it.continuity.unwrap().jump);
    assert!((jumps[0] - jumps[1]).abs() < 1e-4, "{jumps:?}");

    let classifier = &networks.classifier;
    let error = neurons.trust(classifier, None, &made[..1]).unwrap_err();
    assert!(error.to_string().contains("looked at for"), "{error}");
}

#[test]
fn what_the_networks_do_not_have_is_refused() {
    let networks = Networks::of(&Watched::new(SIZE), None).unwrap();
    let classifier = &networks.classifier;
    let long = Direction::new("long", &[0.5; NEURONS + 1]);
    for kind in [UnitKind::Channel(NEURONS), UnitKind::Direction(long)] {
        let units = [Unit::new("conv", kind)];
        let mut images = noise(16).into_iter();
        let error = RealImages::new(classifier, None, &units, &mut images).unwrap_err();
        let named = "cannot be read from layer 'conv'";
        assert!(error.to_string().contains(named), "{error}");
    }
    let (neurons, made) = (real(&networks, &[], 16).unwrap(), illusion());
    for (pair, named) in [
        ((NEURONS, 0), "neuron 6 is out of range"),
        ((0, CLASSES), "class 4 is out of range"),
    ] {
        let [pair] = pairs([pair]);
        let picture = Illusion {
            pair,
            ..made.clone()
        };
        let error = neurons.trust(classifier, None, &[picture]).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn without_enough_real_images_there_is_no_verdict() {
    let networks = plain_networks();
    assert!(real(&networks, &[], 15).is_none());
    assert!(real(&networks, &[], 16).is_some());
    let mut illusion = illusion();
    let trust = Trust::without_real(&illusion);
    assert_eq!(
        (trust.verdict, trust.agreement),
        (Verdict::NotChecked, illusion.agreement)
    );
    assert_eq!(
        trust.to_string(),
        "not checked: there are too few real images to compare it with, or none"
    );
    let by_dead_unit = Trust {
        real_images: 16,
        ..trust
    };
    assert_eq!(
        by_dead_unit.to_string(),
        "not checked: its activation is the same on all 16 real images"
    );
    let mut unmoved = Unmoved {
        activation: 0.0,
        cause: UnmovedCause::BeyondRelu,
        restart: Restart::DidNotMove,
    };
    illusion.unmoved = Some(unmoved.clone());
    let trust = Trust::without_real(&illusion);
    assert_eq!(
        (trust.verdict, trust.doubts),
        (Verdict::Nothing, vec![unmoved.to_string()])
    );
    unmoved.restart = Restart::Moved;
    illusion.unmoved = Some(unmoved);
    assert_eq!(Trust::without_real(&illusion).verdict, Verdict::NotChecked);
}

/// The tiny classifier, whose neurons answer by [`SWITCH`] more to bright images.
#[derive(Clone)]
struct Switched(TinyClassifier);

const SWITCH: f32 = 0.25;

impl CopyClassifier for Switched {
    fn evaluation_copy(&self, _: &Device, _: Precision) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.clone()))
    }
}

impl Classifier for Switched {
    fn name(&self) -> &str {
        "switched"
    }
    fn input(&self) -> &InputSpec {
        self.0.input()
    }
    fn activations(&self, images: Tensor<4>) -> Activations {
        let [n, ..] = images.dims();
        let brightness = images.clone().reshape([n as i32, -1]).mean_dim(1);
        // Normalised; of pixels it is 0.7.
        let bright = brightness.greater_elem(1.1).float();
        let Activations { features, map } = self.0.activations(images);
        Activations {
            features: features + bright * SWITCH,
            map,
        }
    }
    fn decision_layer(&self) -> Result<DecisionLayer> {
        self.0.decision_layer()
    }
    fn set_decision_layer(&mut self, layer: &DecisionLayer) -> Result<()> {
        self.0.set_decision_layer(layer)
    }
    fn device(&self) -> Device {
        self.0.device()
    }
}

/// Real images have a brightness of 0.5, the picture one of 0.9.
#[test]
fn a_unit_that_answers_to_pictures_as_another_function_is_doubted() {
    let networks = plain_networks();
    let switched = Switched(TinyClassifier::new(SIZE, &device()));
    let switched = Networks::of(&switched, None).unwrap();
    let images = noise(40);
    let views: Vec<_> = images.iter().map(|image| image.view()).collect();
    let features = networks.classifier.features_of(&views).unwrap();
    let column = features.column(2);
    let range = column.fold(f32::MIN, |a, &b| a.max(b)) - column.fold(f32::MAX, |a, &b| a.min(b));
    let real = real(&networks, &[], images.len()).unwrap();
    // A picture of another size is resized.
    for side in [SIZE, 2 * SIZE] {
        let picture = Illusion {
            image: Array3::from_elem((3, side, side), 0.9),
            ..illusion()
        };
        for (networks, jump) in [(&networks, 0.0), (&switched, SWITCH / range)] {
            let found = trust(networks, &real, std::slice::from_ref(&picture)).remove(0);
            let continuity = found.continuity.unwrap();
            assert!(
                (continuity.jump - jump).abs() < 0.02,
                "{continuity:?} {jump}"
            );
            assert!(
                jump == 0.0 || (0.3..0.7).contains(&continuity.at),
                "{continuity:?}"
            );
            let doubted = found.doubts.iter().any(|it| it.contains("jumps"));
            assert_eq!(doubted, jump > 0.0, "{found:?}");
        }
    }
}

#[test]
fn real_images_of_another_size_are_refused() {
    let networks = plain_networks();
    let mut images = std::iter::repeat_n(Array3::zeros((3, SIZE, SIZE + 1)), 16);
    let error = RealImages::new(&networks.classifier, None, &[], &mut images).unwrap_err();
    assert!(error.to_string().contains("to compare with"), "{error}");
}
