//! Copies of networks, and what is refused before a picture is made with them.

use std::{
    mem,
    sync::{Arc, Mutex},
};

use burn::tensor::{Device, Tensor};
use neuroinspect_core::{
    Activations, Classifier, CopyClassifier, DecisionLayer, Error as CoreError, InputSpec,
    LayerInfo, LayerKind, LayerValues, Precision, Result, Silent, Unit, UnitKind,
};
use neuroinspect_testing::{
    largest_difference,
    networks::{TinyClassifier, TinyEncoder},
};

use super::{
    CLASSES, NEURONS, SIZE, class_embeddings, device, guided, guided_recipe, pairs, plain_recipe,
    request, tensor,
};
use crate::{Error, Guide, Illusion, Networks, Objective, PreparedGuide, visualize};

/// What a [`Watched`] network does otherwise than its tiny classifier.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Quirk {
    #[default]
    None,
    /// Its features pass no gradient.
    Detached,
    /// It has one neuron more than its decision layer.
    WideFeatures,
    /// Its map has one channel more than its decision layer.
    WideMap,
    /// Its map has no pixels.
    EmptyMap,
    /// It has no map.
    NoMap,
    /// Its penultimate layer, asked for by name, gives its map.
    MapByName,
    /// Its penultimate layer, asked for by name, has one number more than its decision layer.
    WideByName,
    /// What can be differentiated is a little brighter.
    Brighter(f32),
    /// Its features are no numbers.
    NoNumbers,
    /// Its map, asked for by name, is another where it can be differentiated.
    OtherMapByName,
}

/// A tiny classifier that counts its forward passes, as do its copies, and offers its map as a
/// layer.
#[derive(Clone)]
pub(super) struct Watched {
    net: TinyClassifier,
    pub(super) input: InputSpec,
    pub(super) quirk: Quirk,
    /// How many images each look was at.
    looks: Arc<Mutex<Vec<usize>>>,
    /// How many looks there had been when it was folded.
    folded_after: Arc<Mutex<Vec<usize>>>,
    /// The most images that it looks at in one go, and what it panics with at more.
    holds: Arc<Mutex<(usize, &'static str)>>,
}

impl Watched {
    pub(super) fn new(size: usize) -> Self {
        let net = TinyClassifier::new(size, &device());
        Self {
            input: net.input().clone(),
            net,
            quirk: Quirk::None,
            looks: Arc::default(),
            folded_after: Arc::default(),
            holds: Arc::new(Mutex::new((usize::MAX, ""))),
        }
    }

    pub(super) fn with(quirk: Quirk) -> Self {
        Self {
            quirk,
            ..Self::new(SIZE)
        }
    }

    /// From now on it and its copies panic where they are to look at more images at once.
    pub(super) fn hold(&self, most: usize, otherwise: &'static str) {
        *self.holds.lock().unwrap() = (most, otherwise);
    }

    /// The looks since the last call.
    pub(super) fn take_looks(&self) -> Vec<usize> {
        mem::take(&mut self.looks.lock().unwrap())
    }
}

impl CopyClassifier for Watched {
    fn evaluation_copy(&self, _: &Device, _: Precision) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.clone()))
    }
}

impl Classifier for Watched {
    fn name(&self) -> &str {
        "watched"
    }
    fn input(&self) -> &InputSpec {
        &self.input
    }
    fn activations(&self, images: Tensor<4>) -> Activations {
        let [count, ..] = images.dims();
        self.looks.lock().unwrap().push(count);
        let (most, otherwise) = *self.holds.lock().unwrap();
        if count > most {
            panic!("{otherwise}");
        }
        let images = match self.quirk {
            Quirk::Brighter(by) if images.is_tracked() => images + by,
            _ => images,
        };
        let Activations { features, map } = self.net.activations(images);
        let wider = |map: Tensor<4>| Tensor::cat(vec![map.clone().narrow(1, 0, 1), map], 1);
        let (features, map) = match self.quirk {
            Quirk::Detached => (features.detach(), map),
            Quirk::WideFeatures => (
                Tensor::cat(vec![features.clone().narrow(1, 0, 1), features], 1),
                map,
            ),
            Quirk::WideMap => (features, map.map(wider)),
            Quirk::EmptyMap => {
                let [n, channels, _, width] = map.map_or([0; 4], |map| map.dims());
                (features, Some(tensor(vec![], [n, channels, 0, width])))
            }
            Quirk::NoMap => (features, None),
            Quirk::NoNumbers => (features / 0.0 * 0.0, map),
            Quirk::None
            | Quirk::MapByName
            | Quirk::OtherMapByName
            | Quirk::WideByName
            | Quirk::Brighter(_) => (features, map),
        };
        Activations { features, map }
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
    fn fold(&mut self) -> Result<()> {
        let looks = self.looks.lock().unwrap().len();
        self.folded_after.lock().unwrap().push(looks);
        Ok(())
    }
    fn layers(&self) -> Result<Vec<LayerInfo>> {
        let layer = |name: &str, kind| LayerInfo {
            name: name.to_owned(),
            kind,
            channels: NEURONS,
        };
        Ok(vec![
            layer("features", LayerKind::Features),
            layer("conv", LayerKind::Map),
        ])
    }
    fn activations_at(&self, images: Tensor<4>, layers: &[&str]) -> Result<Vec<LayerValues>> {
        let Activations { features, map } = self.activations(images);
        let values = layers.iter().map(|&layer| match (layer, &map) {
            ("features", Some(map)) if self.quirk == Quirk::MapByName => {
                Ok(LayerValues::Map(map.clone()))
            }
            ("features", _) if self.quirk == Quirk::WideByName => {
                let one = features.clone().narrow(1, 0, 1);
                let wider = Tensor::cat(vec![one, features.clone()], 1);
                Ok(LayerValues::Features(wider))
            }
            ("features", _) => Ok(LayerValues::Features(features.clone())),
            ("conv", Some(map)) if self.quirk == Quirk::OtherMapByName && map.is_tracked() => {
                Ok(LayerValues::Map(map.clone() * 2.0))
            }
            ("conv", Some(map)) => Ok(LayerValues::Map(map.clone())),
            _ => Err(neuroinspect_core::unknown_layer(
                "watched",
                layer,
                ["features", "conv"],
            )),
        });
        values.collect()
    }
}

fn refusal(quirk: Quirk) -> Error {
    Networks::of(&Watched::with(quirk), None).unwrap_err()
}

#[test]
fn networks_that_cannot_be_optimised_through_are_refused() {
    let error = refusal(Quirk::Detached);
    assert!(matches!(error, Error::NoGradient { network } if network == "watched"));
    let error = refusal(Quirk::Brighter(0.1)).to_string();
    let cause = "'watched' computes something else when its input can be differentiated";
    assert!(error.starts_with(cause), "{error}");
    assert!(error.contains("`Module::valid`"), "{error}");
    // Rounding is not a difference.
    Networks::of(&Watched::with(Quirk::Brighter(1e-6)), None).unwrap();
    assert!(matches!(
        refusal(Quirk::NoNumbers),
        Error::Core(CoreError::NotFinite { .. })
    ));
}

/// Folded before it is tried, and never again.
#[test]
fn networks_are_folded_once() {
    let net = Watched::new(SIZE);
    let networks = Networks::of(&net, None).unwrap();
    let request = request(pairs([(0, 1), (2, 3)]), &plain_recipe());
    visualize(&networks, &request, &mut Silent).unwrap();
    assert_eq!(*net.folded_after.lock().unwrap(), [0]);
    assert_eq!(net.take_looks()[..2], [2, 2], "plain and differentiable");
}

#[test]
fn widths_are_checked_before_the_first_step() {
    let expected = [
        (
            Quirk::WideFeatures,
            "features of classifier 'watched': expected [2, 6], found [2, 7]",
        ),
        (
            Quirk::WideMap,
            "feature map of classifier 'watched': expected [2, 6, height, width], found [2, 7, 6, 6]",
        ),
        (
            Quirk::EmptyMap,
            "feature map of classifier 'watched': expected [2, 6, height, width], found [2, 6, 0, 6]",
        ),
        (
            Quirk::WideByName,
            "layer 'features' of classifier 'watched': expected [2, 6], found [2, 7]",
        ),
    ];
    for (quirk, message) in expected {
        assert_eq!(refusal(quirk).to_string(), message);
    }
    let error = refusal(Quirk::MapByName);
    assert!(matches!(error, Error::PenultimateKind { .. }));
    let error = error.to_string();
    let cause = "layer 'features' of classifier 'watched', its penultimate one, gives map \
                 [N, C, h, w] where features [N, D] is needed";
    assert!(error.starts_with(cause), "{error}");
    let guide = Guide {
        encoder: &TinyEncoder::new(8, &device()),
        class_embeddings: class_embeddings(CLASSES, TinyEncoder::WIDTH + 1),
    };
    let error = PreparedGuide::new(&guide, &device(), Precision::F32).unwrap_err();
    assert_eq!(
        error.to_string(),
        "image embeddings of encoder 'tiny encoder': expected [2, 6], found [2, 5]"
    );
}

#[test]
fn a_network_with_an_impossible_input_is_refused() {
    let refused = |net: &Watched| match Networks::of(net, None).unwrap_err() {
        Error::Core(CoreError::InvalidOption { option, .. }) => option,
        other => panic!("{other}"),
    };
    let mut net = Watched::new(SIZE);
    net.input.std[1] = 0.0;
    assert_eq!(refused(&net), "std");
    net.input.size = 0;
    assert_eq!(refused(&net), "input size");
}

#[test]
fn without_a_map_there_is_no_mask() {
    let networks = Networks::of(&Watched::with(Quirk::NoMap), None).unwrap();
    let request = request(pairs([(0, 1), (2, 3)]), &plain_recipe());
    let illusions = visualize(&networks, &request, &mut Silent).unwrap();
    assert_eq!(illusions.finished.len(), 2);
    for illusion in illusions.finished {
        assert_eq!(illusion.mask, None);
        assert_eq!(illusion.masked_image(), None);
    }
}

/// The channel of the map is the neuron: its picture is the neuron's.
#[test]
fn units_of_other_layers_are_read_in_the_same_pass() {
    let net = Watched::new(SIZE);
    let networks = Networks::of(&net, None).unwrap();
    let picture = |objective| {
        let recipe = plain_recipe().with_objective(objective);
        let request = request(pairs([(2, 0)]), &recipe);
        net.take_looks();
        let mut made = visualize(&networks, &request, &mut Silent).unwrap();
        (made.finished.remove(0), net.take_looks().len())
    };
    let unit = |layer: &str, channel| Objective::Unit(Unit::new(layer, UnitKind::Channel(channel)));
    let (neuron, looks) = picture(Objective::Neuron);
    let (channel, more_looks) = picture(unit("conv", 2));
    // The two more are at images that the unit is tried on.
    assert_eq!((looks, more_looks), (13, 15));
    assert!(largest_difference(&neuron.image, &channel.image) < 1e-5);
    // The pair's neuron is nothing to the second.
    assert_eq!((neuron.mask.is_some(), channel.mask), (true, None));
    let other = picture(unit("conv", 3)).0;
    assert!(largest_difference(&neuron.image, other.image) > 1e-2);

    for (layer, channel) in [("conv1", 2), ("conv", NEURONS)] {
        let recipe = plain_recipe().with_objective(unit(layer, channel));
        let request = request(pairs([(2, 0)]), &recipe);
        net.take_looks();
        let error = visualize(&networks, &request, &mut Silent).unwrap_err();
        assert!(matches!(
            error,
            Error::Core(CoreError::UnknownLayer { .. } | CoreError::Unit { .. })
        ));
        assert!(net.take_looks().len() <= 2, "no step was taken");
    }
}

#[test]
fn a_layer_that_differs_when_tracked_is_refused() {
    let networks = Networks::of(&Watched::with(Quirk::OtherMapByName), None).unwrap();
    let unit = Unit::new("conv", UnitKind::Channel(2));
    let recipe = plain_recipe().with_objective(Objective::Unit(unit));
    let error = visualize(&networks, &request(pairs([(2, 0)]), &recipe), &mut Silent).unwrap_err();
    assert!(
        matches!(error, Error::DiffersWhenTracked { network, .. } if network == "watched, layer conv")
    );
}

/// bfloat16 has 8 bits: outputs agree to a few parts in a hundred, and a picture of few steps looks
/// the same.
#[test]
fn networks_in_half_precision_make_nearly_the_same_picture() {
    let pairs = pairs([(0, 1)]);
    let expected = guided(&pairs, &guided_recipe()).remove(0);
    let guide = Guide {
        encoder: &TinyEncoder::new(8, &device()),
        class_embeddings: class_embeddings(CLASSES, TinyEncoder::WIDTH),
    };
    let net = TinyClassifier::new(SIZE, &device());
    for (precision, tolerance) in [(Precision::Bf16, 0.1), (Precision::F16, 0.05)] {
        let networks = Networks::new(&net, Some(&guide), &device(), precision).unwrap();
        let recipe = guided_recipe().with_precision(precision);
        let made = visualize(&networks, &request(pairs, &recipe), &mut Silent).unwrap();
        let Illusion {
            image, activation, ..
        } = &made.finished[0];
        let apart = largest_difference(image, &expected.image);
        assert!(apart > 0.0, "{precision} is not f32");
        assert!(apart < tolerance, "{precision}: {apart}");
        assert!((activation - expected.activation).abs() < 0.05);

        let error = visualize(&networks, &request(pairs, &guided_recipe()), &mut Silent);
        assert_eq!(
            error.unwrap_err().to_string(),
            format!(
                "the recipe asks for f32 and the networks were prepared in {precision}; prepare \
                 them in the recipe's precision"
            )
        );
    }
}

#[test]
fn a_guide_is_shown_by_its_name_and_classes() {
    let shown = format!("{:?}", super::guided_networks(SIZE).guide.unwrap());
    for part in ["tiny encoder", "class_embeddings", "precision: F32"] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
}

#[test]
fn a_copy_has_the_layers_of_its_network() {
    let network = Watched::new(SIZE);
    let networks = Networks::of(&network, None).unwrap();
    let layers = networks.classifier.layers().unwrap();
    assert!(!layers.is_empty());
    assert_eq!(layers, network.layers().unwrap());
}

#[test]
fn pictures_made_elsewhere_are_looked_at_as_our_own() {
    let networks = Networks::of(&Watched::new(SIZE), None).unwrap();
    let made = visualize(
        &networks,
        &request(pairs([(1, 2), (4, 0)]), &plain_recipe()),
        &mut Silent,
    );
    let made = made.unwrap().finished;
    let look = |pictures: Vec<_>| networks.classifier.look_at(pictures);
    let seen = look(made.iter().map(|it| (it.pair, it.image.clone())).collect()).unwrap();
    assert_eq!(seen.illusions.len(), 2);
    for (seen, made) in seen.illusions.iter().zip(&made) {
        assert_eq!((seen.pair, &seen.image), (made.pair, &made.image));
        assert!((seen.activation - made.activation).abs() < 1e-5);
        assert!((seen.logit - made.logit).abs() < 1e-5);
        assert!((seen.probability - made.probability).abs() < 1e-5);
    }
    let mut hole = made[1].image.clone();
    hole[[2, 3, 4]] = f32::NAN;
    let error = look(vec![(made[1].pair, hole)]).unwrap_err().to_string();
    assert!(
        error.contains("the picture of neuron 4 for class 0"),
        "{error}"
    );
}
