//! How many pictures that deceive are doubted, and how many that do not: fooling circuits that are built into
//! the demo's judge, and a hundred of its own units; and where in pictures activations come from.

mod circuits;
mod masks;

use self::circuits::{DETECTED_BY, Detector, Fooled};
use ndarray::{Array2, Array3, ArrayView2, Axis, concatenate};
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
const CIRCUITS: usize = 32;
const HONEST: usize = 100;
/// With fewer, many pictures activate their unit less than real images do.
const STEPS: usize = 64;

fn real(net: &dyn Classifier) -> Vec<Array3<f32>> {
    let scenes = Scenes::new(ScenesConfig::test().with_samples(REAL)).unwrap();
    let image = |index| preprocess(&scenes.image(index).unwrap(), net.input()).unwrap();
    (0..REAL).map(image).collect()
}

fn recipe() -> Recipe {
    Recipe::default()
        .with_objective(Objective::Neuron)
        .with_learning_rate(0.03)
        .with_steps(STEPS)
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

/// The activations of all neurons, the last of what was [`seen`].
fn features(seen: &Array2<f32>) -> ArrayView2<'_, f32> {
    seen.slice_axis(Axis(1), (seen.ncols() - 64..).into())
}

/// The neurons that real images move.
fn alive(real: ArrayView2<'_, f32>) -> Vec<NeuronId> {
    let std = real.std_axis(Axis(0), 0.0);
    let alive = (0..64).filter(|&neuron| std[neuron] > 1e-3);
    alive.map(NeuronId).collect()
}

/// For each neuron the one whose picture activates it least, against its mean on real images, if less than
/// that. `pictures` has a row for each of the neurons.
fn circuits(
    neurons: &[NeuronId],
    real: ArrayView2<'_, f32>,
    pictures: ArrayView2<'_, f32>,
) -> Vec<[NeuronId; 2]> {
    let mean = real.mean_axis(Axis(0)).unwrap();
    let most = real.fold_axis(Axis(0), 0.0_f32, |most, &value| most.max(value));
    let other = |&neuron: &NeuronId| {
        let shown = neurons.iter().enumerate();
        let shown = shown.filter(|(row, shown)| pictures[[*row, shown.0]] > most[shown.0]);
        let share = |row: usize| pictures[[row, neuron.0]] / mean[neuron.0];
        let least = shown.min_by(|(a, _), (b, _)| share(*a).total_cmp(&share(*b)))?;
        (share(least.0) < 1.0).then_some([neuron, *least.1])
    };
    neurons.iter().filter_map(other).collect()
}

/// Most of the circuits that fool are doubted, and few of a hundred honest units.
#[test]
fn fooling_circuits_are_doubted_far_more_often_than_honest_units() {
    let demo = Demo::load(&Device::flex()).unwrap();
    let net: &dyn Classifier = &demo.judge;
    let real = real(net);
    let of_real = seen(net, &real);
    let neurons = alive(features(&of_real));
    let execution = Execution::default().with_batch_size(16).with_other_seeds(0);

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
    let is_doubtful = |trust: &Trust| trust.verdict == Verdict::Doubtful;
    for trust in trusts.iter().filter(|it| is_doubtful(it)) {
        println!("honest: {trust}");
    }
    let alarms = trusts.iter().filter(|it| is_doubtful(it)).count();

    // The detector learns of pictures on their way, too.
    let mut synthetic = vec![Array3::from_elem(real[0].dim(), 0.5)];
    for steps in [1, 4] {
        let on_their_way = recipe().with_steps(steps);
        let some = pictures(net, &of_neurons(&neurons, on_their_way, execution));
        synthetic.extend(some.into_iter().map(|it| it.image));
    }
    let before = synthetic.len();
    synthetic.extend(honest.iter().map(|it| it.image.clone()));
    let of_synthetic = seen(net, &synthetic);
    let detector = Detector::learned(&of_real, &of_synthetic);
    assert!(
        of_real
            .rows()
            .into_iter()
            .all(|row| detector.of(row) <= 0.0)
    );

    let of_honest = of_synthetic
        .slice_axis(Axis(0), (before..).into())
        .to_owned();
    let mut circuits = circuits(&neurons, features(&of_real), features(&of_honest));
    circuits.truncate(CIRCUITS);
    let of: Vec<NeuronId> = circuits.iter().map(|[neuron, _]| *neuron).collect();
    let all = Fooled::new(net, &detector, &circuits);
    let made = pictures(&all, &of_neurons(&of, recipe(), execution));
    let images: Vec<_> = made.iter().map(|it| it.image.clone()).collect();
    let of_made = seen(net, &images);

    // A circuit changes nothing on real images.
    let networks = Networks::of(net, None).unwrap();
    let mut images = real.iter().cloned();
    let compared = RealImages::new(&networks.classifier, None, &[], &mut images);
    let compared = compared.unwrap().unwrap();
    let (mut fooling, mut doubtful) = (0, 0);
    for (row, (circuit, picture)) in circuits.iter().zip(&made).enumerate() {
        let [neuron, shown] = *circuit;
        let real = features(&of_real);
        let most = |neuron: NeuronId| real.column(neuron.0).fold(0.0_f32, |a, &b| a.max(b));
        let seen = features(&of_made);
        // It is taken for a picture, and is one of the other neuron, and none of this one. Not all come to that,
        // and those that do not deceive nobody.
        let fools = detector.of(of_made.row(row)) > 0.0
            && seen[[row, shown.0]] > most(shown)
            && seen[[row, neuron.0]] < real.column(neuron.0).mean().unwrap();
        if !fools {
            continue;
        }
        fooling += 1;
        let one = Networks::of(&Fooled::new(net, &detector, &[*circuit]), None).unwrap();
        let trust = compared.trust(&one.classifier, None, std::slice::from_ref(picture));
        let trust = trust.unwrap().remove(0);
        println!("neuron {shown} for {neuron}: {trust}");
        doubtful += usize::from(is_doubtful(&trust));
    }
    println!("doubtful {doubtful} of {fooling} circuits, {alarms} of {HONEST} honest units");
    assert!(fooling >= 15, "{fooling} circuits fool");
    assert!(doubtful * 10 >= fooling * 7 && alarms <= HONEST / 10);
}
