//! Masks are where a neuron's activation comes from.

use ndarray::{Array3, Axis};
use neuroinspect::{
    burn::tensor::Device,
    core::{Classifier, NeuronId},
    demo::Demo,
    illusion::{Execution, Networks, Occlusion, Recipe},
};

use super::{of_neurons, pictures, real, recipe};

/// Every fourth neuron is looked at.
const EVERY: usize = 4;
/// Real images of each neuron.
const TOP: usize = 4;
/// Thresholds compared, the default among them.
const THRESHOLDS: [f64; 8] = [-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0];

/// The mean area inside masks, and the mean share of the activation that comes from there, for each threshold.
fn means(occlusions: &[Vec<Occlusion>]) -> Vec<[f32; 2]> {
    let of_threshold = |index: usize| {
        let seen = occlusions.iter().map(|it| it[index]);
        let seen: Vec<[f32; 2]> = seen.filter_map(|it| Some([it.area, it.share()?])).collect();
        [0, 1].map(|part| seen.iter().map(|it| it[part]).sum::<f32>() / seen.len() as f32)
    };
    (0..THRESHOLDS.len()).map(of_threshold).collect()
}

#[test]
fn activations_come_from_inside_the_masks() {
    let demo = Demo::load(&Device::flex()).unwrap();
    let net: &dyn Classifier = &*demo.classifier;
    let networks = Networks::of(net, None).unwrap();
    let real = real(net);
    let views: Vec<_> = real.iter().map(|image| image.view()).collect();
    let features = networks.classifier.features_of(&views).unwrap();
    let occluded = |image: &Array3<f32>, neuron| {
        let found = networks
            .classifier
            .occlusions(image.view(), neuron, &THRESHOLDS);
        found.unwrap().unwrap()
    };
    let neurons: Vec<NeuronId> = (0..64).step_by(EVERY).map(NeuronId).collect();
    let execution = Execution::default().with_batch_size(16).with_other_seeds(0);
    let made = pictures(net, &of_neurons(&neurons, recipe(), execution));
    let of_pictures: Vec<_> = made
        .iter()
        .map(|it| occluded(&it.image, it.pair.neuron))
        .collect();
    let mut of_images = Vec::new();
    for &neuron in &neurons {
        let activations = features.index_axis(Axis(1), neuron.0);
        let mut order: Vec<usize> = (0..real.len()).collect();
        order.sort_by(|&a, &b| activations[b].total_cmp(&activations[a]));
        of_images.extend(
            order[..TOP]
                .iter()
                .map(|&index| occluded(&real[index], neuron)),
        );
    }
    let [of_pictures, of_images] = [&of_pictures, &of_images].map(|it| means(it));
    let mut beyond_area = Vec::new();
    for ((threshold, picture), image) in THRESHOLDS.iter().zip(&of_pictures).zip(&of_images) {
        println!("{threshold} pictures {picture:.2?} real images {image:.2?}");
        beyond_area.push((picture[1] - picture[0] + image[1] - image[0]) / 2.0);
    }
    let default = THRESHOLDS
        .iter()
        .position(|it| *it == Recipe::default().mask_threshold);
    let default = beyond_area[default.unwrap()];
    let best = beyond_area.iter().copied().fold(0.0, f32::max);
    assert!(default > 0.2 && best - default < 0.02, "{beyond_area:.3?}");
}
