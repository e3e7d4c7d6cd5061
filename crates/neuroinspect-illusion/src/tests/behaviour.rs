//! What a caller can rely on.

use std::{f32::consts::TAU, thread};

use ndarray::{Array2, Array3, Array4, Axis};
use neuroinspect_core::{Classifier, Direction, Seed, Silent, Unit, UnitKind};
use neuroinspect_testing::{assert_close, fill, largest_difference, networks::TinyClassifier};

use super::{
    NEURONS, SIZE, device, guided, guided_networks, guided_recipe, pairs, plain, plain_networks,
    plain_recipe, request, tensor, values,
};
use crate::{
    Augmentation, Coupling, Illusion, ImageParameter, ImaginaryPart, Initial, Objective, Pair,
    Recipe, TransformDraw, visualize,
};

fn with_batches_of(batch_size: usize, pairs: &[Pair], recipe: &Recipe) -> Vec<Illusion> {
    let mut request = request(pairs, recipe);
    request.execution.batch_size = batch_size;
    let illusions = visualize(&guided_networks(SIZE), &request, &mut Silent);
    illusions.unwrap().finished
}

#[track_caller]
fn assert_alike(a: &Illusion, b: &Illusion, tolerance: f64) {
    assert_eq!(a.pair, b.pair);
    assert_eq!(a.trace.len(), b.trace.len());
    assert_close(&a.image, &b.image, 0.0, tolerance);
    let scores = |one: &Illusion| {
        let similarity = one.clip_similarity.unwrap();
        [one.activation, one.logit, one.probability, similarity]
    };
    assert_close(scores(a), scores(b), 0.0, tolerance);
    for (a, b) in a.trace.iter().zip(&b.trace) {
        assert_eq!(a.step, b.step);
        let (ours, theirs) = (
            [a.loss, a.activation, a.logit],
            [b.loss, b.activation, b.logit],
        );
        assert_close(ours, theirs, 0.0, tolerance);
    }
}

/// More of them than a small machine has threads, so that one thread does work of several in the midst of each other.
#[test]
fn pictures_made_at_the_same_time_are_those_made_alone() {
    let pairs = pairs([(0, 1), (5, 3), (2, 0), (3, 3)]);
    let recipe = guided_recipe();
    let networks = guided_networks(4 * SIZE);
    let make = || {
        let illusions = visualize(&networks, &request(pairs, &recipe), &mut Silent);
        illusions.unwrap().finished
    };
    let alone = make();
    let together: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(together, vec![alone; 6]);
}

/// Kernels may add in another order for another batch size, which moves a gradient by 1e-7 of its
/// size; twelve steps of AdamW at rate 9e-3 carry that to less than 1e-5 in the picture. A pair
/// that felt its batch-mates would be off by more than 1e-3: see the next test.
#[test]
fn a_picture_does_not_depend_on_its_batch() {
    let pairs = pairs([(0, 1), (5, 3), (0, 1), (2, 0), (3, 3)]);
    for draw in [TransformDraw::PerStep, TransformDraw::PerImage] {
        let recipe = guided_recipe().with_transform_draw(draw);
        let whole = with_batches_of(5, &pairs, &recipe);
        for batch_size in [1, 2, 4] {
            let split = with_batches_of(batch_size, &pairs, &recipe);
            for (a, b) in whole.iter().zip(&split) {
                assert_alike(a, b, 1e-5);
            }
        }
        assert_alike(&whole[0], &whole[2], 1e-5);
        assert!(largest_difference(&whole[0].image, &whole[1].image) > 1e-2);
    }
}

#[test]
fn the_originals_coupling_makes_a_picture_depend_on_its_batch() {
    let [first, second] = pairs([(0, 1), (5, 3)]);
    let coupled = guided_recipe().with_coupling(Coupling::WholeBatch);
    let alone = guided(&[first], &coupled);
    let together = guided(&[first, second], &coupled);
    let apart = largest_difference(&alone[0].image, &together[0].image);
    assert!(apart > 1e-3, "{apart}");
    assert_alike(&alone[0], &guided(&[first], &guided_recipe())[0], 1e-5);
}

fn assert_raised(illusion: &Illusion) {
    let (first, last) = (illusion.trace[0], illusion.trace[illusion.trace.len() - 1]);
    assert!(last.loss < first.loss, "{first:?} to {last:?}");
    let in_range = |value: &f32| (0.0..=1.0).contains(value);
    assert!(illusion.image.iter().all(in_range));
    assert!(in_range(&illusion.probability));
}

#[test]
fn optimisation_raises_what_it_is_told_to_raise() {
    let still = guided_recipe()
        .with_steps(60)
        .with_smoothing(0.0)
        .with_augmentation(Augmentation::off());
    let unit = Unit::new(
        "features",
        UnitKind::Direction(Direction::new("halves", &[0.5; NEURONS])),
    );
    let unit = Objective::Unit(unit) + Objective::TotalVariation * -0.1;
    for recipe in [
        still.clone(),
        still.clone().with_parameter(ImageParameter::Pixels),
        still.with_objective(unit),
    ] {
        for illusion in guided(&pairs([(0, 1), (5, 3)]), &recipe) {
            assert_raised(&illusion);
        }
    }
}

#[test]
fn a_negative_weight_of_total_variation_smooths() {
    let roughness = |weight: f64| {
        let recipe = plain_recipe()
            .with_steps(60)
            .with_objective(Objective::Neuron + Objective::TotalVariation * weight);
        let image = plain(&recipe, &Initial::Noise).unwrap().remove(0).image;
        let left = image.slice_axis(Axis(2), (..SIZE - 1).into());
        let right = image.slice_axis(Axis(2), (1..).into());
        (&right - &left).mapv(f32::abs).mean().unwrap()
    };
    assert!(roughness(-20.0) < 0.5 * roughness(0.0));
}

#[test]
fn a_trace_tells_of_its_steps() {
    let illusion = &guided(&pairs([(0, 1)]), &guided_recipe().with_steps(9))[0];
    let steps: Vec<_> = illusion.trace.iter().map(|point| point.step).collect();
    assert_eq!(steps, [0, 4, 8]);
    for point in &illusion.trace {
        let expected =
            -(point.clip_similarity.unwrap() + 0.05) * (point.activation + 0.5 * point.logit);
        // One multiplication and two additions of numbers below 10.
        assert_close(point.loss, expected, 0.0, 1e-5);
    }
}

/// The scores of a picture are those of its pixels, looked at again.
#[test]
fn scores_belong_to_the_finished_picture() {
    let net = TinyClassifier::new(SIZE, &device());
    let illusion = &guided(&pairs([(2, 3)]), &guided_recipe())[0];
    let image = tensor(illusion.image.iter().copied().collect(), [1, 3, SIZE, SIZE]);
    let features = values(net.activations(net.input().normalize(image)).features);
    let rows = Array2::from_shape_vec((1, NEURONS), features.clone()).unwrap();
    let logits = net.decision_layer().unwrap().logits(rows.view()).unwrap();
    let total: f32 = logits.iter().map(|logit| logit.exp()).sum();
    assert_close(
        [illusion.activation, illusion.logit, illusion.probability],
        [features[2], logits[[0, 3]], logits[[0, 3]].exp() / total],
        0.0,
        1e-6,
    );
    let mask = illusion.mask.as_ref().unwrap();
    assert_eq!(illusion.masked_image().unwrap(), &illusion.image * mask);
}

#[test]
fn the_seed_decides() {
    let pair = pairs([(0, 1)]);
    let one = guided(&pair, &guided_recipe());
    assert_eq!(one, guided(&pair, &guided_recipe()));
    assert_ne!(one, guided(&pair, &guided_recipe().with_seed(Seed(1))));
}

/// Where the random geometry is made decides nothing.
#[test]
fn augmentations_made_ahead_are_those_made_in_time() {
    let networks = guided_networks(SIZE);
    for draw in [TransformDraw::PerStep, TransformDraw::PerImage] {
        let recipe = guided_recipe().with_transform_draw(draw);
        let mut request = request(pairs([(0, 1), (5, 3)]), &recipe);
        request.execution.batch_size = 1;
        let made: Vec<_> = [0, 1, 2, 100]
            .into_iter()
            .map(|ahead| {
                request.execution.augmentations_ahead = ahead;
                visualize(&networks, &request, &mut Silent).unwrap()
            })
            .collect();
        assert!(made.iter().all(|other| *other == made[0]));
    }
}

#[test]
fn networks_are_used_for_as_many_pictures_as_there_are() {
    let networks = guided_networks(SIZE);
    let request = request(pairs([(0, 1)]), &guided_recipe());
    let first = visualize(&networks, &request, &mut Silent).unwrap();
    assert_eq!(first, visualize(&networks, &request, &mut Silent).unwrap());
    assert_eq!(first.finished, guided(&request.pairs, &request.recipe));
}

#[test]
fn each_network_sees_its_own_size() {
    let illusions = guided(&pairs([(0, 1)]), &guided_recipe().with_size(20));
    assert_eq!(illusions[0].image.dim(), (3, 20, 20));
    assert_eq!(illusions[0].mask.as_ref().unwrap().dim(), (20, 20));
}

#[test]
fn pictures_can_start_from_parameters_and_images() {
    let shape = (2, 3, SIZE, SIZE);
    let zeros = Initial::Parameters(Array4::zeros(shape));
    for parameter in [ImageParameter::Spectrum, ImageParameter::Pixels] {
        let recipe = plain_recipe().with_parameter(parameter);
        let noise = plain(&recipe, &Initial::Noise).unwrap();
        assert_ne!(noise, plain(&recipe, &zeros).unwrap());

        // One step at a rate of nearly nothing: the picture is still the image, but for its Nyquist
        // column, which a constant image does not have. Rounding as in the spectrum's own test.
        let grey = Array4::from_elem(shape, 0.25);
        let still = recipe.with_steps(1).with_learning_rate(1e-12);
        for illusion in plain(&still, &Initial::Images(grey.clone())).unwrap() {
            assert_close(&illusion.image, grey.index_axis(Axis(0), 0), 0.0, 1e-5);
        }
    }
}

/// Without its imaginary part a spectrum stands for the even half of its image, and stays even
/// through the optimisation.
#[test]
fn the_original_starts_from_the_even_half_of_an_image() {
    let recipe = plain_recipe().with_imaginary_part(ImaginaryPart::Drop);
    let wave = |row: usize, column: usize| {
        let angle = TAU * (row + 2 * column) as f32 / SIZE as f32;
        (angle.cos(), angle.sin())
    };
    let shape = (2, 3, SIZE, SIZE);
    let image = Array4::from_shape_fn(shape, |(_, _, row, column)| {
        let (even, odd) = wave(row, column);
        0.5 + 0.2 * even + 0.1 * odd
    });
    let initial = Initial::Images(image);
    let still = recipe.clone().with_steps(1).with_learning_rate(1e-12);
    for illusion in plain(&still, &initial).unwrap() {
        let expected = Array3::from_shape_fn((3, SIZE, SIZE), |(_, row, column)| {
            0.5 + 0.2 * wave(row, column).0
        });
        // Rounding as in the spectrum's own test.
        assert_close(&illusion.image, &expected, 0.0, 1e-5);
    }
    for illusion in plain(&recipe, &initial).unwrap() {
        let reflected = Array3::from_shape_fn((3, SIZE, SIZE), |(channel, row, column)| {
            illusion.image[[channel, (SIZE - row) % SIZE, (SIZE - column) % SIZE]]
        });
        assert_close(&illusion.image, &reflected, 0.0, 1e-5);
    }
    // Spectra from elsewhere keep theirs.
    let spectra = fill::normal("spectra", 2 * 3 * SIZE * SIZE);
    let spectra = Initial::Parameters(Array4::from_shape_vec(shape, spectra).unwrap());
    let kept = recipe.clone().with_imaginary_part(ImaginaryPart::Keep);
    assert_eq!(
        plain(&recipe, &spectra).unwrap(),
        plain(&kept, &spectra).unwrap()
    );
}

#[test]
fn no_pairs_no_pictures() {
    assert!(guided(&[], &guided_recipe()).is_empty());
}

/// Of one picture that all pairs see alike, the logit is the decision layer's of the neurons' activations.
#[test]
fn the_logit_is_the_decision_layers() {
    let pairs = pairs([(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
    // Smoothing moves each pair's colours for itself.
    let recipe = plain_recipe()
        .with_steps(1)
        .with_augmentation(Augmentation::off())
        .with_smoothing(0.0);
    let grey = Array4::from_elem((NEURONS, 3, SIZE, SIZE), 0.4);
    let request = request(pairs, &recipe).with_initial(Initial::Images(grey));
    let networks = plain_networks();
    let illusions = visualize(&networks, &request, &mut Silent).unwrap();
    let firsts = illusions.finished.iter().map(|illusion| illusion.trace[0]);
    let features: Vec<f32> = firsts.clone().map(|first| first.activation).collect();
    let features = Array2::from_shape_vec((1, NEURONS), features).unwrap();
    let layer = networks.classifier.decision_layer();
    let expected = layer.logits(features.view()).unwrap()[[0, 1]];
    let logits: Vec<f32> = firsts.map(|first| first.logit).collect();
    assert_close(&logits, [expected; NEURONS], 1e-5, 1e-5);
}
