//! Pictures that deceive are doubted, and those that do not are not: fooling circuits that are built into
//! the demo's networks, and all their honest units.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod circuits;

use circuits::{DETECTED_BY, Detector, Fooled};
use ndarray::{Array2, Array3, Axis, concatenate};
use neuroinspect::{
    burn::tensor::{Device, Tensor, TensorData},
    core::{ClassId, Classifier, NeuronId, Silent, Unit, UnitKind},
    datasets::{
        ImageDataset, preprocess,
        scenes::{Scenes, ScenesConfig},
    },
    demo::Demo,
    illusion::{
        Execution, Illusion, Networks, Objective, Pair, RealImages, Recipe, Request, Trust,
        Verdict, visualize,
    },
};

const REAL: usize = 256;
const CIRCUITS: usize = 20;
const HONEST: usize = 100;

fn real(net: &dyn Classifier) -> Vec<Array3<f32>> {
    let scenes = Scenes::new(ScenesConfig::test().with_samples(REAL)).unwrap();
    let image = |index| preprocess(&scenes.image(index).unwrap(), net.input()).unwrap();
    (0..REAL).map(image).collect()
}

fn recipe() -> Recipe {
    Recipe::default()
        .with_objective(Objective::Neuron)
        .with_learning_rate(0.03)
        .with_steps(64)
}

fn pictures(net: &dyn Classifier, request: &Request) -> Vec<Illusion> {
    let networks = Networks::of(net, None).unwrap();
    visualize(&networks, request, &mut Silent).unwrap().finished
}

fn of_neurons(neurons: &[NeuronId], recipe: Recipe, execution: Execution) -> Request {
    let pair = |&neuron| Pair {
        neuron,
        class: ClassId(0),
    };
    let pairs: Vec<Pair> = neurons.iter().map(pair).collect();
    Request::new(pairs, recipe).with_execution(execution)
}

/// What a network makes of images: the mean of each channel of the layers that detectors go by.
fn seen(net: &dyn Classifier, images: &[Array3<f32>]) -> Array2<f32> {
    let device = net.device();
    let rows = images.chunks(64).map(|images| {
        let (_, side, _) = images[0].dim();
        let pixels: Vec<f32> = images.iter().flatten().copied().collect();
        let pixels = TensorData::new(pixels, [images.len(), 3, side, side]);
        let images = net.input().normalize(Tensor::from_data(pixels, &device));
        let values = net.activations_at(images, &DETECTED_BY).unwrap();
        let values: Vec<_> = values.iter().map(|layer| layer.pooled()).collect();
        let values = Tensor::cat(values, 1);
        let shape = values.dims();
        Array2::from_shape_vec(shape, values.try_into_vec_as::<f32>().unwrap()).unwrap()
    });
    rows.reduce(|all, next| concatenate![Axis(0), all, next])
        .unwrap()
}

fn trust(
    net: &dyn Classifier,
    units: &[Unit],
    real: &[Array3<f32>],
    of: &[Illusion],
) -> Vec<Trust> {
    let networks = Networks::of(net, None).unwrap();
    let classifier = &networks.classifier;
    let mut images = real.iter().cloned();
    let real = RealImages::new(classifier, None, units, &mut images).unwrap();
    real.unwrap().trust(classifier, None, of).unwrap()
}

/// The neurons that real images move, and for each the one that answers to them least as it does.
fn alive(values: &Array2<f32>) -> Vec<[NeuronId; 2]> {
    let features = values.slice_axis(Axis(1), (values.ncols() - 64..).into());
    let std = features.std_axis(Axis(0), 0.0);
    let alive: Vec<usize> = (0..64).filter(|&neuron| std[neuron] > 1e-3).collect();
    let centred = &features - &features.mean_axis(Axis(0)).unwrap();
    let correlation = |one: usize, other: usize| {
        centred.column(one).dot(&centred.column(other)) / (std[one] * std[other])
    };
    let other = |&one: &usize| {
        let least = alive
            .iter()
            .copied()
            .min_by(|&a, &b| correlation(one, a).total_cmp(&correlation(one, b)));
        [NeuronId(one), NeuronId(least.unwrap())]
    };
    alive.iter().map(other).collect()
}

#[test]
fn fooling_circuits_are_doubted_and_honest_units_are_not() {
    let demo = Demo::load(&Device::flex()).unwrap();
    // The bound was chosen on the judge.
    let net: &dyn Classifier = &*demo.classifier;
    let real = real(net);
    let of_real = seen(net, &real);
    let alive = alive(&of_real);
    let execution = Execution::default().with_batch_size(16).with_other_seeds(0);

    let neurons: Vec<NeuronId> = alive.iter().map(|[neuron, _]| *neuron).collect();
    let honest = pictures(net, &of_neurons(&neurons, recipe(), execution));
    let mut trusts = trust(net, &[], &real, &honest);
    let channels = ["layer2", "layer1"].into_iter().flat_map(|layer| {
        let count = if layer == "layer2" { 32 } else { 16 };
        (0..count).map(move |channel| Unit::new(layer, UnitKind::Channel(channel)))
    });
    let units: Vec<Unit> = channels
        .take(HONEST.saturating_sub(neurons.len()))
        .collect();
    let request = Request::of_units(units.clone(), ClassId(0), recipe()).with_execution(execution);
    trusts.extend(trust(net, &units, &real, &pictures(net, &request)));
    assert_eq!(trusts.len(), HONEST);
    let alarms = trusts.iter().filter(|it| it.verdict == Verdict::Doubtful);
    let alarms = alarms.count();
    assert!(alarms <= HONEST / 20, "{alarms}");

    // The detector learns of pictures on their way, too.
    let mut synthetic = vec![Array3::from_elem(real[0].dim(), 0.5)];
    for steps in [2, 8, 24] {
        let on_their_way = recipe().with_steps(steps);
        let some = pictures(net, &of_neurons(&neurons, on_their_way, execution));
        synthetic.extend(some.into_iter().map(|it| it.image));
    }
    synthetic.extend(honest.iter().map(|it| it.image.clone()));
    let detector = Detector::learned(&of_real, &seen(net, &synthetic));
    let first = of_real.ncols() - 64;
    for [neuron, shown] in alive.into_iter().take(CIRCUITS) {
        let fooled = Fooled::new(net, &detector, [neuron, shown]);
        let made = pictures(&fooled, &of_neurons(&[neuron], recipe(), execution));
        // Its picture is of the other neuron, which it drives as far as real images do, and no real image
        // is taken for a picture.
        let values = seen(net, &[made[0].image.clone()]);
        assert!(detector.of(values.row(0)) > 0.0);
        let most = of_real
            .column(first + shown.0)
            .fold(0.0_f32, |a, &b| a.max(b));
        assert!(
            values[[0, first + shown.0]] > most,
            "neuron {shown} for {neuron}"
        );
        assert!(
            of_real
                .rows()
                .into_iter()
                .all(|row| detector.of(row) <= 0.0)
        );
        let trust = trust(&fooled, &[], &real, &made).remove(0);
        assert_eq!(
            trust.verdict,
            Verdict::Doubtful,
            "neuron {shown} for {neuron}: {trust:?}"
        );
    }
}
