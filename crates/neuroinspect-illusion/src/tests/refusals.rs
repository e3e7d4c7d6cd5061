//! Requests that are refused, and pictures that leave the finite numbers.

use ndarray::Array4;
use neuroinspect_core::{ClassId, Error as CoreError, NeuronId, Silent};
use neuroinspect_testing::assert_close;

use super::{
    CLASSES, NEURONS, SIZE, class_embeddings, device, guided_recipe, pairs, plain, plain_networks,
    plain_recipe, request,
};
use crate::{
    Coupling, Diverged, Error, Guide, ImageParameter, Initial, Networks, Objective, Pair, Recipe,
    visualize,
};

#[test]
fn bad_requests_are_refused() {
    let networks = plain_networks();
    let ask = |pair: Pair, recipe: &Recipe| {
        visualize(&networks, &request([pair], recipe), &mut Silent).unwrap_err()
    };
    let [good, stranger, unclassed] = pairs([(0, 0), (NEURONS, 0), (0, CLASSES)]);
    assert!(matches!(
        ask(stranger, &plain_recipe()),
        Error::Core(CoreError::NeuronOutOfRange {
            neuron: NeuronId(NEURONS),
            ..
        })
    ));
    let unknown_class = |error| match error {
        Error::Core(CoreError::ClassOutOfRange { class, .. }) => class == ClassId(CLASSES),
        _ => false,
    };
    assert!(unknown_class(ask(unclassed, &plain_recipe())));
    let logit = Objective::Logit(ClassId(CLASSES));
    assert!(unknown_class(ask(
        good,
        &guided_recipe().with_objective(logit)
    )));
    assert!(matches!(
        ask(good, &guided_recipe()),
        Error::MissingGuide { objective } if objective == "(s + 0.05) * (a_n + 0.5 * z_c)"
    ));
    for initial in [
        Initial::Images(Array4::zeros((1, 3, SIZE, SIZE))),
        Initial::Parameters(Array4::zeros((2, 3, SIZE, SIZE + 2))),
    ] {
        assert!(matches!(
            plain(&plain_recipe(), &initial).unwrap_err(),
            Error::Core(CoreError::Shape { .. })
        ));
    }
    // A size that a network can be given, and no side of a picture.
    let error = ask(good, &plain_recipe().with_size(33));
    assert!(matches!(
        error,
        Error::Core(CoreError::InvalidOption { option: "size", .. })
    ));
}

#[test]
fn a_class_that_was_not_embedded_is_refused() {
    let encoder = neuroinspect_testing::networks::TinyEncoder::new(8, &device());
    let guide = Guide {
        encoder: &encoder,
        class_embeddings: class_embeddings(2, 5),
    };
    let net = neuroinspect_testing::networks::TinyClassifier::new(SIZE, &device());
    let networks = Networks::of(&net, Some(&guide)).unwrap();
    let request = request(pairs([(0, 1), (0, 2)]), &guided_recipe());
    let error = visualize(&networks, &request, &mut Silent).unwrap_err();
    assert!(matches!(
        error,
        Error::Core(CoreError::ClassNotEmbedded {
            class: ClassId(2),
            ..
        })
    ));
}

/// The second of two pairs starts from no number; the first is what it would be alone.
#[test]
fn a_diverged_pair_takes_no_other_down() {
    let networks = plain_networks();
    let pairs = pairs([(1, 2), (4, 0)]);
    let mut spectra = Array4::zeros((2, 3, SIZE, SIZE));
    spectra[[1, 0, 0, 0]] = f32::NAN;
    let run = |pairs: &[Pair], spectra: Array4<f32>, recipe: &Recipe, batch_size: usize| {
        let mut request = request(pairs, recipe).with_initial(Initial::Parameters(spectra));
        request.execution.batch_size = batch_size;
        visualize(&networks, &request, &mut Silent)
    };
    let recipe = plain_recipe();
    let diverged = Diverged {
        pair: pairs[1],
        step: 0,
    };
    let zeros = Array4::zeros((1, 3, SIZE, SIZE));
    let alone = run(&pairs[..1], zeros, &recipe, 1).unwrap();
    for batch_size in [1, 2] {
        let both = run(&pairs, spectra.clone(), &recipe, batch_size).unwrap();
        assert_eq!(both.diverged, [diverged]);
        assert!(!both.interrupted);
        // Another batch size may sum in another order: see the test of batches.
        assert_close(&both.finished[0].image, &alone.finished[0].image, 0.0, 1e-5);
    }

    // Coupled, each has the other's loss.
    let coupled = recipe.with_coupling(Coupling::WholeBatch);
    let error = run(&pairs, spectra, &coupled, 2).unwrap_err();
    assert!(matches!(error, Error::Diverged(Diverged { pair, step: 0 }) if pair == pairs[0]));
}

/// Between two points of the trace nobody looks; in the end everybody does.
#[test]
fn a_rate_beyond_all_numbers_is_named() {
    let recipe = plain_recipe().with_learning_rate(1e300);
    let mut request = request(pairs([(1, 2), (4, 0)]), &recipe);
    request.execution.trace_every = 100;
    let error = visualize(&plain_networks(), &request, &mut Silent).unwrap_err();
    let Error::Diverged(Diverged { pair, step: 12 }) = error else {
        panic!("{error}");
    };
    assert_eq!(pair, request.pairs[0]);
}

/// The logistic function makes a number of it: nothing but the parameter shows it.
#[test]
fn an_infinite_parameter_of_a_finite_picture_has_diverged() {
    let mut pixels = Array4::zeros((1, 3, SIZE, SIZE));
    let run = |pixels: &Array4<f32>| {
        let recipe = plain_recipe().with_parameter(ImageParameter::Pixels);
        let initial = Initial::Parameters(pixels.clone());
        let request = request(pairs([(1, 2)]), &recipe).with_initial(initial);
        visualize(&plain_networks(), &request, &mut Silent)
    };
    assert!(run(&pixels).unwrap().diverged.is_empty());
    pixels[[0, 0, 0, 0]] = f32::INFINITY;
    let error = run(&pixels).unwrap_err();
    assert!(
        matches!(error, Error::Diverged(Diverged { step: 12, .. })),
        "{error}"
    );
}
