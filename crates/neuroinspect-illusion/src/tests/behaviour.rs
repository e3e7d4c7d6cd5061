//! What a caller can rely on.

use std::f32::consts::TAU;

use ndarray::{Array2, Array3, Array4, Axis};
use neuroinspect_core::{ClassId, Classifier, Error as CoreError, Seed, Silent};

use super::{
    assert_near, distance, normals, tensor,
    tiny::{CLASSES, Encoder, NEURONS, Net, pairs},
};
use crate::{
    Augmentation, Coupling, Error, Illusion, IllusionConfig, ImaginaryPart, Initial, Objective,
    Pair, TransformDraw, core_relevance, visualize, visualize_from,
};

pub(super) const SIZE: usize = 12;

pub(super) fn config() -> IllusionConfig {
    IllusionConfig::new().with_steps(12).with_trace_every(4)
}

fn pictures(pairs: &[Pair], config: &IllusionConfig) -> Vec<Illusion> {
    let encoder = Encoder::new(8);
    let illusions = visualize(
        &Net::new(SIZE),
        Some(&encoder.guide()),
        pairs,
        config,
        &mut Silent,
    )
    .unwrap();
    assert!(!illusions.interrupted);
    illusions.finished
}

/// Two pictures without a guide.
pub(super) fn plain(config: &IllusionConfig, initial: &Initial) -> Result<Vec<Illusion>, Error> {
    let pairs = pairs([(1, 2), (4, 0)]);
    let net = Net::new(SIZE);
    visualize_from(&net, None, &pairs, initial, config, &mut Silent).map(|all| all.finished)
}

#[track_caller]
fn assert_alike(a: &Illusion, b: &Illusion, tolerance: f32) {
    assert_eq!(a.pair, b.pair);
    assert_eq!(a.trace.len(), b.trace.len());
    assert_near(
        a.image.as_slice().unwrap(),
        b.image.as_slice().unwrap(),
        tolerance,
    );
    let scores = |one: &Illusion| {
        [
            one.activation,
            one.logit,
            one.probability,
            one.clip_similarity.unwrap(),
        ]
    };
    assert_near(&scores(a), &scores(b), tolerance);
    for (a, b) in a.trace.iter().zip(&b.trace) {
        assert_eq!(a.step, b.step);
        assert_near(
            &[a.loss, a.activation, a.logit],
            &[b.loss, b.activation, b.logit],
            tolerance,
        );
    }
}

/// Kernels may add in another order for another batch size, which moves a gradient by 1e-7 of its
/// size; twelve steps of AdamW at rate 9e-3 carry that to less than 1e-5 in the picture. A pair
/// that felt its batch-mates would be off by more than 1e-3: see the next test.
#[test]
fn a_picture_does_not_depend_on_its_batch() {
    let pairs = pairs([(0, 1), (5, 3), (0, 1), (2, 0), (3, 3)]);
    for draw in [TransformDraw::PerStep, TransformDraw::PerImage] {
        let config = config().with_transform_draw(draw);
        let whole = pictures(&pairs, &config.clone().with_batch_size(5));
        for batch_size in [1, 2, 4] {
            let split = pictures(&pairs, &config.clone().with_batch_size(batch_size));
            for (a, b) in whole.iter().zip(&split) {
                assert_alike(a, b, 1e-5);
            }
        }
        assert_alike(&whole[0], &whole[2], 1e-5);
        assert!(
            distance(
                whole[0].image.as_slice().unwrap(),
                whole[1].image.as_slice().unwrap()
            ) > 1e-2
        );
    }
}

#[test]
fn the_originals_coupling_makes_a_picture_depend_on_its_batch() {
    let [first, second] = pairs([(0, 1), (5, 3)]);
    let coupled = config().with_coupling(Coupling::WholeBatch);
    let alone = pictures(&[first], &coupled);
    let together = pictures(&[first, second], &coupled);
    let apart = distance(
        alone[0].image.as_slice().unwrap(),
        together[0].image.as_slice().unwrap(),
    );
    assert!(apart > 1e-3, "{apart}");
    assert_alike(&alone[0], &pictures(&[first], &config())[0], 1e-5);
}

#[test]
fn optimisation_raises_what_it_is_told_to_raise() {
    let config = config().with_steps(60).with_smoothing(0.0);
    let config = config.with_augmentation(Augmentation::off());
    for illusion in pictures(&pairs([(0, 1), (5, 3)]), &config) {
        let (first, last) = (illusion.trace[0], illusion.trace[illusion.trace.len() - 1]);
        assert!(last.loss < first.loss, "{first:?} to {last:?}");
        assert!(
            illusion
                .image
                .iter()
                .all(|value| (0.0..=1.0).contains(value))
        );
        assert!((0.0..=1.0).contains(&illusion.probability));
    }
}

#[test]
fn a_trace_tells_of_its_steps() {
    let illusion = &pictures(&pairs([(0, 1)]), &config().with_steps(9))[0];
    let steps: Vec<_> = illusion.trace.iter().map(|point| point.step).collect();
    assert_eq!(steps, [0, 4, 8]);
    for point in &illusion.trace {
        let expected =
            -(point.clip_similarity.unwrap() + 0.05) * (point.activation + 0.5 * point.logit);
        // One multiplication and two additions of numbers below 10.
        assert_near(&[point.loss], &[expected], 1e-5);
    }
}

/// The scores of a picture are those of its pixels, looked at again.
#[test]
fn scores_belong_to_the_finished_picture() {
    let net = Net::new(SIZE);
    let illusion = &pictures(&pairs([(2, 3)]), &config())[0];
    let image = tensor(illusion.image.iter().copied().collect(), [1, 3, SIZE, SIZE]);
    let features = super::values(net.activations(net.input().normalize(image)).features);
    let logits = net.decision_layer().unwrap();
    let logits = logits.logits(
        Array2::from_shape_vec((1, NEURONS), features.clone())
            .unwrap()
            .view(),
    );
    let logits = logits.unwrap();
    let total: f32 = logits.iter().map(|logit| logit.exp()).sum();
    assert_near(
        &[illusion.activation, illusion.logit, illusion.probability],
        &[features[2], logits[[0, 3]], logits[[0, 3]].exp() / total],
        1e-6,
    );
    assert_eq!(illusion.masked_image(), &illusion.image * &illusion.mask);
}

#[test]
fn the_seed_decides() {
    let pair = pairs([(0, 1)]);
    let one = pictures(&pair, &config());
    assert_eq!(one, pictures(&pair, &config()));
    assert_ne!(one, pictures(&pair, &config().with_seed(Seed(1))));
}

#[test]
fn each_network_sees_its_own_size() {
    let illusions = pictures(&pairs([(0, 1)]), &config().with_size(20));
    assert_eq!(illusions[0].image.dim(), (3, 20, 20));
    assert_eq!(illusions[0].mask.dim(), (20, 20));
}

#[test]
fn pictures_can_start_from_spectra_and_images() {
    let config = config().with_objective(Objective::ClassConditional);
    let shape = (2, 3, SIZE, SIZE);
    let noise = plain(&config, &Initial::Noise).unwrap();
    let zero = plain(&config, &Initial::Spectra(Array4::zeros(shape))).unwrap();
    assert_ne!(noise, zero);

    // One step at a rate of nearly nothing: the picture is still the image, but for its Nyquist
    // column, which a constant image does not have. Rounding as in the spectrum's own test.
    let grey = Array4::from_elem(shape, 0.25);
    let still = config.with_steps(1).with_learning_rate(1e-12);
    for illusion in plain(&still, &Initial::Images(grey.clone())).unwrap() {
        let expected = grey.index_axis(Axis(0), 0);
        assert_near(
            illusion.image.as_slice().unwrap(),
            expected.as_slice().unwrap(),
            1e-5,
        );
    }
}

/// Without its imaginary part a spectrum stands for the even half of its image, and stays even
/// through the optimisation.
#[test]
fn the_original_starts_from_the_even_half_of_an_image() {
    let config = config()
        .with_objective(Objective::ClassConditional)
        .with_imaginary_part(ImaginaryPart::Drop);
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
    let still = config.clone().with_steps(1).with_learning_rate(1e-12);
    for illusion in plain(&still, &initial).unwrap() {
        let expected = Array3::from_shape_fn((3, SIZE, SIZE), |(_, row, column)| {
            0.5 + 0.2 * wave(row, column).0
        });
        // Rounding as in the spectrum's own test.
        assert_near(
            illusion.image.as_slice().unwrap(),
            expected.as_slice().unwrap(),
            1e-5,
        );
    }
    for illusion in plain(&config, &initial).unwrap() {
        let reflected = Array3::from_shape_fn((3, SIZE, SIZE), |(channel, row, column)| {
            illusion.image[[channel, (SIZE - row) % SIZE, (SIZE - column) % SIZE]]
        });
        assert_near(
            illusion.image.as_slice().unwrap(),
            reflected.as_slice().unwrap(),
            1e-5,
        );
    }
    // Spectra from elsewhere keep theirs.
    let spectra = normals("spectra", 2 * 3 * SIZE * SIZE);
    let spectra = Array4::from_shape_vec(shape, spectra).unwrap();
    let spectra = Initial::Spectra(spectra);
    let kept = config.clone().with_imaginary_part(ImaginaryPart::Keep);
    assert_eq!(
        plain(&config, &spectra).unwrap(),
        plain(&kept, &spectra).unwrap()
    );
}

#[test]
fn no_pairs_no_pictures() {
    assert!(pictures(&[], &config()).is_empty());
}

#[test]
fn core_relevance_compares_shares_of_similarity() {
    let net = Net::new(SIZE);
    let mut illusion = pictures(&pairs([(2, 3)]), &config()).remove(0);
    let means = Array2::from_shape_vec((CLASSES, NEURONS), normals("means", CLASSES * NEURONS));
    let mut means = means.unwrap();

    // A mask that hides nothing leaves every similarity as it is. Quotients of equal numbers.
    illusion.mask.fill(1.0);
    let score = |illusion: &Illusion, means: &Array2<f32>, neighbours| {
        core_relevance(
            &net,
            std::slice::from_ref(illusion),
            means.view(),
            neighbours,
        )
    };
    let all = score(&illusion, &means, 20).unwrap().remove(0);
    assert_near(&[all.score.unwrap()], &[1.0], 1e-6);
    assert_eq!(all.neighbours.len(), CLASSES);
    assert_eq!(
        score(&illusion, &means, 2).unwrap()[0].neighbours,
        all.neighbours[..2]
    );

    // By hand, with a mask that hides half.
    let (mut left, _) = illusion.mask.view_mut().split_at(Axis(1), SIZE / 2);
    left.fill(0.0);
    let features = |image: ndarray::Array3<f32>| {
        let image = tensor(image.into_iter().collect(), [1, 3, SIZE, SIZE]);
        super::values(net.activations(net.input().normalize(image)).features)
    };
    let (whole, masked) = (
        features(illusion.image.clone()),
        features(illusion.masked_image()),
    );
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let length = |a: &[f32]| dot(a, a).sqrt();
    // The length of m_k cancels.
    let shares: Vec<f32> = means
        .rows()
        .into_iter()
        .map(|mean| {
            let mean = mean.to_vec();
            dot(&masked, &mean) / length(&masked) / (dot(&whole, &mean) / length(&whole))
        })
        .collect();
    let expected = shares[3] / (shares.iter().sum::<f32>() / CLASSES as f32);
    let half = score(&illusion, &means, 20).unwrap()[0].score.unwrap();
    assert_near(&[half / expected], &[1.0], 1e-4);

    // A class without images is nobody's neighbour, and cannot be asked about; the others can.
    means.row_mut(0).fill(f32::NAN);
    assert!(
        !score(&illusion, &means, 20).unwrap()[0]
            .neighbours
            .contains(&ClassId(0))
    );
    let mut meanless = illusion.clone();
    meanless.pair.class = ClassId(0);
    let both = [illusion.clone(), meanless];
    let both = core_relevance(&net, &both, means.view(), 20).unwrap();
    assert!(both[0].score.is_some());
    assert_eq!(both[1].score, None);
    assert_eq!(both[0].neighbours, both[1].neighbours);
    assert!(score(&illusion, &means, 0).is_err());
    assert!(score(&illusion, &Array2::ones((2, NEURONS)), 20).is_err());
}

/// Sizes that come and go, and more of one than are looked at in one go.
#[test]
fn core_relevance_of_many_is_that_of_each() {
    let net = Net::new(SIZE);
    let means = Array2::from_shape_vec((CLASSES, NEURONS), normals("means", CLASSES * NEURONS));
    let means = means.unwrap();
    let of_size = |size| pictures(&pairs([(2, 3), (0, 1)]), &config().with_size(size));
    let (small, large) = (of_size(SIZE), of_size(20));
    let mut many = [small.clone(), large, small.clone()].concat();
    for _ in 0..5 {
        many.extend_from_slice(&small);
    }
    net.looks.lock().unwrap().clear();
    let all = core_relevance(&net, &many, means.view(), 2).unwrap();
    assert_eq!(*net.looks.lock().unwrap(), [4, 4, 16, 8]);
    for (illusion, together) in many.iter().zip(&all) {
        let one = std::slice::from_ref(illusion);
        let alone = &core_relevance(&net, one, means.view(), 2).unwrap()[0];
        assert_eq!(alone.neighbours, together.neighbours);
        // Another batch size may sum in another order.
        assert_near(
            &[alone.score.unwrap() / together.score.unwrap()],
            &[1.0],
            1e-4,
        );
    }
}

#[test]
fn pictures_of_other_shapes_are_not_scored() {
    let net = Net::new(SIZE);
    let means = Array2::ones((CLASSES, NEURONS));
    let picture = pictures(&pairs([(2, 3)]), &config()).remove(0);
    let (mut wide, mut unmasked, mut empty) = (picture.clone(), picture.clone(), picture);
    wide.image = Array3::zeros((3, SIZE, SIZE + 1));
    unmasked.mask = Array2::zeros((SIZE, SIZE - 1));
    empty.image = Array3::zeros((3, 0, 0));
    for odd in [wide, unmasked, empty] {
        let error = core_relevance(&net, &[odd], means.view(), 2).unwrap_err();
        assert!(matches!(error, Error::Core(CoreError::Shape { .. })));
    }
}
