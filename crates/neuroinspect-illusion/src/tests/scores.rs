//! The core relevance score.

use ndarray::{Array2, Array3, Axis};
use neuroinspect_core::{ClassId, Classifier, Error as CoreError};
use neuroinspect_testing::{assert_close, fill, networks::TinyClassifier};

use super::{
    CLASSES, NEURONS, SIZE, device, guided, guided_recipe, pairs, plain_networks,
    preparing::Watched, tensor, values,
};
use crate::{Error, Illusion, Networks, core_relevance};

fn means() -> Array2<f32> {
    let values = fill::normal("means", CLASSES * NEURONS);
    Array2::from_shape_vec((CLASSES, NEURONS), values).unwrap()
}

#[test]
fn core_relevance_compares_shares_of_similarity() {
    let networks = plain_networks();
    let mut illusion = guided(&pairs([(2, 3)]), &guided_recipe()).remove(0);
    let mut means = means();

    // A mask that hides nothing leaves every similarity as it is. Quotients of equal numbers.
    illusion.mask = Some(Array2::ones((SIZE, SIZE)));
    let score = |illusion: &Illusion, means: &Array2<f32>, neighbours| {
        let one = std::slice::from_ref(illusion);
        core_relevance(&networks.classifier, one, means.view(), neighbours)
    };
    let all = score(&illusion, &means, 20).unwrap().remove(0);
    assert_close(all.score.unwrap(), 1.0_f32, 0.0, 1e-6);
    assert_close(all.difference.unwrap(), 0.0_f32, 0.0, 1e-6);
    assert_eq!(all.neighbours.len(), CLASSES);
    assert_eq!(
        score(&illusion, &means, 2).unwrap()[0].neighbours,
        all.neighbours[..2]
    );

    // By hand, with a mask that hides half.
    let mask = illusion.mask.as_mut().unwrap();
    mask.slice_axis_mut(Axis(1), (..SIZE / 2).into()).fill(0.0);
    let net = TinyClassifier::new(SIZE, &device());
    let features = |image: Array3<f32>| {
        let image = tensor(image.into_iter().collect(), [1, 3, SIZE, SIZE]);
        values(net.activations(net.input().normalize(image)).features)
    };
    let (whole, masked) = (
        features(illusion.image.clone()),
        features(illusion.masked_image().unwrap()),
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
    assert_close(half, expected, 1e-4, 0.0);
    let left = means.rows().into_iter().map(|mean| {
        let mean = mean.to_vec();
        let share = dot(&masked, &mean) / length(&masked) - dot(&whole, &mean) / length(&whole);
        share / length(&mean)
    });
    let left: Vec<f32> = left.collect();
    let expected = left[3] - left.iter().sum::<f32>() / CLASSES as f32;
    let half = score(&illusion, &means, 20).unwrap()[0].difference.unwrap();
    assert_close(half, expected, 0.0, 1e-6);

    // Without a mask there is nothing to compare with.
    let mut unmasked = illusion.clone();
    unmasked.mask = None;
    let unmasked = score(&unmasked, &means, 20).unwrap().remove(0);
    assert_eq!((unmasked.score, unmasked.difference), (None, None));
    assert_eq!(unmasked.neighbours, all.neighbours);

    // A class without images is nobody's neighbour, and cannot be asked about; the others can.
    means.row_mut(0).fill(f32::NAN);
    let neighbours = &score(&illusion, &means, 20).unwrap()[0].neighbours;
    assert!(!neighbours.contains(&ClassId(0)));
    let mut meanless = illusion.clone();
    meanless.pair.class = ClassId(0);
    let both = [illusion.clone(), meanless];
    let both = core_relevance(&networks.classifier, &both, means.view(), 20).unwrap();
    assert!(both[0].score.is_some());
    assert_eq!(both[1].score, None);
    assert_eq!(both[0].neighbours, both[1].neighbours);
    assert!(score(&illusion, &means, 0).is_err());
    assert!(score(&illusion, &Array2::ones((2, NEURONS)), 20).is_err());
}

/// Sizes that come and go, and more of one than are looked at in one go.
#[test]
fn core_relevance_of_many_is_that_of_each() {
    let net = Watched::new(SIZE);
    let networks = Networks::of(&net, None).unwrap();
    let classifier = &networks.classifier;
    let means = means();
    let pairs = pairs([(2, 3), (0, 1)]);
    let of_size = |size| guided(&pairs, &guided_recipe().with_size(size));
    let (small, large) = (of_size(SIZE), of_size(20));
    let mut many = [small.clone(), large, small.clone()].concat();
    for _ in 0..5 {
        many.extend_from_slice(&small);
    }
    net.take_looks();
    let all = core_relevance(classifier, &many, means.view(), 2).unwrap();
    assert_eq!(net.take_looks(), [4, 4, 16, 8]);
    for (illusion, together) in many.iter().zip(&all) {
        let one = std::slice::from_ref(illusion);
        let alone = &core_relevance(classifier, one, means.view(), 2).unwrap()[0];
        assert_eq!(alone.neighbours, together.neighbours);
        // Another batch size may sum in another order.
        assert_close(alone.score.unwrap(), together.score.unwrap(), 1e-4, 0.0);
    }
}

#[test]
fn pictures_of_other_shapes_are_not_scored() {
    let networks = plain_networks();
    let means = Array2::ones((CLASSES, NEURONS));
    let picture = guided(&pairs([(2, 3)]), &guided_recipe()).remove(0);
    let (mut wide, mut low, mut empty) = (picture.clone(), picture.clone(), picture);
    wide.image = Array3::zeros((3, SIZE, SIZE + 1));
    low.mask = Some(Array2::zeros((SIZE, SIZE - 1)));
    empty.image = Array3::zeros((3, 0, 0));
    for odd in [wide, low, empty] {
        let error = core_relevance(&networks.classifier, &[odd], means.view(), 2).unwrap_err();
        assert!(matches!(error, Error::Core(CoreError::Shape { .. })));
    }
}
