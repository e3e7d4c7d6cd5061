//! What is refused, and by which name.

use ndarray::Array4;
use neuroinspect_core::{ClassId, Error as CoreError, NeuronId, Silent};

use super::{
    assert_near,
    behaviour::{SIZE, config, plain},
    tensor,
    tiny::{CLASSES, Encoder, NEURONS, Net, pairs},
};
use crate::{
    Augmentation, Coupling, Diverged, Error, IllusionConfig, Initial, Objective, Pair, visualize,
    visualize_from,
};

fn refused(config: &IllusionConfig) -> Error {
    plain(config, &Initial::Noise).unwrap_err()
}

#[test]
fn bad_requests_are_refused() {
    let net = Net::new(SIZE);
    let plain_config = config().with_objective(Objective::ClassConditional);
    let ask = |pair: Pair| visualize(&net, None, &[pair], &plain_config, &mut Silent).unwrap_err();
    let [stranger] = pairs([(NEURONS, 0)]);
    assert!(matches!(
        ask(stranger),
        Error::Core(CoreError::NeuronOutOfRange {
            neuron: NeuronId(NEURONS),
            ..
        })
    ));
    let [stranger] = pairs([(0, CLASSES)]);
    assert!(matches!(
        ask(stranger),
        Error::Core(CoreError::ClassOutOfRange {
            class: ClassId(CLASSES),
            ..
        })
    ));
    assert!(matches!(refused(&config()), Error::MissingGuide));
    let initial = Initial::Images(Array4::zeros((1, 3, SIZE, SIZE)));
    assert!(matches!(
        plain(&plain_config, &initial).unwrap_err(),
        Error::Core(CoreError::Shape { .. })
    ));
}

#[test]
fn a_guide_must_fit() {
    let (net, encoder) = (Net::new(SIZE), Encoder::new(8));
    let mut guide = encoder.guide();
    for shape in [[CLASSES + 1, 5], [CLASSES, 6]] {
        guide.class_embeddings = tensor(vec![0.5; shape[0] * shape[1]], shape);
        let illusions = visualize(&net, Some(&guide), &pairs([(0, 1)]), &config(), &mut Silent);
        assert!(matches!(
            illusions.unwrap_err(),
            Error::Core(CoreError::Shape { .. })
        ));
    }
}

#[test]
fn a_network_with_an_impossible_input_is_refused() {
    let refused = |net: &Net, encoder: &Encoder| {
        let guide = encoder.guide();
        let error = visualize(net, Some(&guide), &pairs([(0, 1)]), &config(), &mut Silent);
        match error.unwrap_err() {
            Error::Core(CoreError::InvalidOption { option, .. }) => option,
            other => panic!("{other}"),
        }
    };
    let (mut net, mut encoder) = (Net::new(SIZE), Encoder::new(8));
    encoder.input.std[1] = 0.0;
    assert_eq!(refused(&net, &encoder), "std");
    encoder.input.size = 0;
    assert_eq!(refused(&net, &encoder), "input size");
    net.input.size = 0;
    assert_eq!(refused(&net, &Encoder::new(8)), "input size");
    // One that can be followed, and is no side of a picture.
    net.input.size = 33;
    assert_eq!(refused(&net, &Encoder::new(8)), "size");
}

#[test]
fn a_classifier_without_gradient_is_named() {
    let mut net = Net::new(SIZE);
    net.detached = true;
    let config = config().with_objective(Objective::ClassConditional);
    let error = visualize(&net, None, &pairs([(0, 1)]), &config, &mut Silent).unwrap_err();
    assert!(matches!(error, Error::NoGradient { classifier } if classifier == "tiny"));
}

/// The second of two pairs starts from no number; the first is what it would be alone.
#[test]
fn a_diverged_pair_takes_no_other_down() {
    let net = Net::new(SIZE);
    let pairs = pairs([(1, 2), (4, 0)]);
    let mut spectra = Array4::zeros((2, 3, SIZE, SIZE));
    spectra[[1, 0, 0, 0]] = f32::NAN;
    let run = |pairs: &[Pair], spectra: Array4<f32>, config: &IllusionConfig| {
        let initial = Initial::Spectra(spectra);
        visualize_from(&net, None, pairs, &initial, config, &mut Silent)
    };
    let config = config().with_objective(Objective::ClassConditional);
    let diverged = Diverged {
        pair: pairs[1],
        step: 0,
    };
    let alone = run(&pairs[..1], Array4::zeros((1, 3, SIZE, SIZE)), &config).unwrap();
    for batch_size in [1, 2] {
        let config = config.clone().with_batch_size(batch_size);
        let both = run(&pairs, spectra.clone(), &config).unwrap();
        assert_eq!(both.diverged, [diverged]);
        assert!(!both.interrupted);
        let images = [&both, &alone].map(|all| all.finished[0].image.as_slice().unwrap());
        // Another batch size may sum in another order: see the test of batches.
        assert_near(images[0], images[1], 1e-5);
    }

    // Coupled, each has the other's loss.
    let coupled = config.with_coupling(Coupling::WholeBatch);
    let error = run(&pairs, spectra, &coupled).unwrap_err();
    assert!(matches!(error, Error::Diverged(Diverged { pair, step: 0 }) if pair == pairs[0]));
}

/// Between two points of the trace nobody looks; in the end everybody does.
#[test]
fn a_rate_beyond_all_numbers_is_named() {
    let config = config()
        .with_objective(Objective::ClassConditional)
        .with_trace_every(100)
        .with_learning_rate(1e300);
    let error = plain(&config, &Initial::Noise).unwrap_err();
    let Error::Diverged(Diverged { pair, step: 12 }) = error else {
        panic!("{error}");
    };
    assert_eq!(pair, pairs([(1, 2)])[0]);
}

#[test]
fn each_option_has_its_range() {
    let good = config();
    assert!(good.validate().is_ok());
    assert!(IllusionConfig::original().validate().is_ok());
    assert!(IllusionConfig::feature_visualization().validate().is_ok());
    let bad = [
        ("steps", good.clone().with_steps(0)),
        ("batch_size", good.clone().with_batch_size(0)),
        ("trace_every", good.clone().with_trace_every(0)),
        ("size", good.clone().with_size(0)),
        ("size", good.clone().with_size(33)),
        ("size", good.clone().with_size(4098)),
        ("learning_rate", good.clone().with_learning_rate(0.0)),
        (
            "learning_rate",
            good.clone().with_learning_rate(f64::INFINITY),
        ),
        ("weight_decay", good.clone().with_weight_decay(-1.0)),
        ("class_gamma", good.clone().with_class_gamma(f64::NAN)),
        ("domain_eps", good.clone().with_domain_eps(-0.1)),
        ("smoothing", good.clone().with_smoothing(-0.1)),
        ("init_std", good.clone().with_init_std(-0.1)),
        (
            "final_rate_factor",
            good.clone().with_final_rate_factor(1.5),
        ),
        ("mask_reduction", good.clone().with_mask(0.5, -0.5)),
        ("mask_threshold", good.clone().with_mask(f64::NAN, 0.5)),
        ("betas", good.clone().with_betas(1.0, 0.5)),
        ("betas", good.clone().with_betas(0.5, 1.0 - 1e-9)),
        ("betas", good.clone().with_betas(0.5, -0.5)),
        (
            "logit_weight",
            good.clone()
                .with_objective(Objective::FeatureVisualization { logit_weight: -1.0 }),
        ),
        (
            "augmentation.shift",
            good.clone().with_augmentation(Augmentation {
                shift: 2.0,
                ..Augmentation::off()
            }),
        ),
    ];
    for (name, config) in bad {
        let Err(Error::Core(CoreError::InvalidOption { option, .. })) = config.validate() else {
            panic!("{name} was accepted");
        };
        assert_eq!(option, name);
    }
}
