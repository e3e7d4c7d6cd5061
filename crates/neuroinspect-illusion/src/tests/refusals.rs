//! What is refused, and by which name.

use ndarray::Array4;
use neuroinspect_core::{ClassId, Error as CoreError, NeuronId, Silent};

use super::{
    behaviour::{SIZE, config, plain},
    tensor,
    tiny::{CLASSES, Encoder, NEURONS, Net, pairs},
};
use crate::{Augmentation, Error, IllusionConfig, Initial, Objective, Pair, visualize};

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
fn a_classifier_without_gradient_is_named() {
    let mut net = Net::new(SIZE);
    net.detached = true;
    let config = config().with_objective(Objective::ClassConditional);
    let error = visualize(&net, None, &pairs([(0, 1)]), &config, &mut Silent).unwrap_err();
    assert!(matches!(error, Error::NoGradient { classifier } if classifier == "tiny"));
}

#[test]
fn divergence_names_pair_and_step() {
    let mut initial = Array4::zeros((2, 3, SIZE, SIZE));
    initial[[1, 0, 0, 0]] = f32::NAN;
    let config = config().with_objective(Objective::ClassConditional);
    let error = plain(&config, &Initial::Spectra(initial)).unwrap_err();
    assert!(matches!(
        error,
        Error::Diverged {
            neuron: NeuronId(4),
            class: ClassId(0),
            step: 0
        }
    ));
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
