//! Pictures and features in half precision, against those in 32-bit floats, on the demo's networks.
//!
//! `NEUROINSPECT_DEVICE` names the device (default `flex`); the backend must be built in.

use neuroinspect::{
    Extraction, GuideSource,
    burn::tensor::Device,
    core::{ClassId, DeviceName, FeatureTable, NeuronId, Precision, Silent},
    datasets::ImageDataset,
    demo::Demo,
    extract_features,
    illusion::{Illusion, Networks, Pair, Request, classes_of_neuron, visualize},
    models::prompts::{PromptTemplates, class_text},
};

const NEURONS: usize = 20;
const STEPS: usize = 30;

fn device() -> Device {
    let name = std::env::var("NEUROINSPECT_DEVICE").unwrap_or_else(|_| "flex".into());
    name.parse::<DeviceName>().unwrap().open().unwrap()
}

fn formats(device: &Device) -> Vec<Precision> {
    let mut formats = vec![Precision::Bf16, Precision::F16];
    formats.retain(|it| it.check(device).is_ok());
    assert!(!formats.is_empty(), "the device has neither format");
    formats
}

/// How far pictures in half precision may be off: products are summed otherwise where the CPU has no AVX-512.
fn most_in_half() -> f32 {
    #[cfg(target_arch = "x86_64")]
    if !std::arch::is_x86_feature_detected!("avx512f") {
        return 0.04;
    }
    0.02
}

/// By how much the mean over pictures differs from that of others, as a share of it.
fn apart(found: &[Illusion], exact: &[Illusion], read: impl Fn(&Illusion) -> f32) -> f32 {
    let mean = |pictures: &[Illusion]| pictures.iter().map(&read).sum::<f32>() / NEURONS as f32;
    let (found, exact) = (mean(found), mean(exact));
    (found - exact).abs() / exact.abs()
}

/// Of twenty neurons, each within its top class, the mean activation on pictures of thirty steps is that of
/// pictures in 32-bit floats within 2 %, but for half precision on a CPU without AVX-512, there within 4 %. On `flex` it was 0.4 % off in
/// bfloat16; in half precision 1.7 % where the CPU has AVX-512 and 2.9 % where it has not. The mean similarity is held to
/// nothing.
#[test]
fn pictures_in_half_precision_activate_neurons_nearly_as_much() {
    let device = device();
    let demo = Demo::load(&device).unwrap();
    let layer = demo.classifier.decision_layer().unwrap();
    let pairs: Vec<Pair> = (0..NEURONS)
        .map(|neuron| Pair {
            neuron: NeuronId(neuron),
            class: classes_of_neuron(&layer, NeuronId(neuron), 1).unwrap()[0],
        })
        .collect();
    let templates = PromptTemplates::parts32();
    let texts = demo.test.class_names().iter();
    let texts = neuroinspect::ClassTexts {
        encoder: &demo.clip,
        templates: &templates,
        texts: texts.map(|name| class_text(None, name)).collect(),
    };
    let classes: Vec<ClassId> = pairs.iter().map(|pair| pair.class).collect();
    let guide = texts.guide(&classes, &mut Silent).unwrap();
    let made = |precision| {
        let recipe = Demo::config().recipe.with_steps(STEPS);
        let request = Request::new(pairs.clone(), recipe.with_precision(precision));
        let classifier = demo.classifier.as_ref();
        let networks = Networks::new(classifier, Some(&guide), &device, precision).unwrap();
        visualize(&networks, &request, &mut Silent)
            .unwrap()
            .finished
    };
    let exact = made(Precision::F32);
    assert_eq!(exact.len(), NEURONS);
    for precision in formats(&device) {
        let found = made(precision);
        let activation = apart(&found, &exact, |it| it.activation);
        assert!(activation > 0.0, "{precision} is not f32");
        let most = match precision {
            Precision::F16 => most_in_half(),
            _ => 0.02,
        };
        assert!(activation < most, "{precision}: {activation}");
    }
}

/// Of a network of twenty layers, the features are off by a few units of the last place of the largest:
/// 2^-8 of bfloat16, 2^-11 of half precision.
#[test]
fn features_in_half_precision_are_those_in_full_within_a_bound() {
    let device = device();
    let demo = Demo::load(&device).unwrap();
    let images: Vec<usize> = (0..64).collect();
    let features = |precision| -> FeatureTable {
        let extraction = Extraction::new(demo.classifier.as_ref(), &demo.test)
            .with_indices(&images)
            .with_precision(precision);
        extract_features(&extraction, &mut Silent).unwrap().table
    };
    let exact = features(Precision::F32);
    let exact = exact.features().unwrap();
    let largest = exact.iter().fold(0.0_f32, |most, it| most.max(it.abs()));
    for precision in formats(&device) {
        let found = features(precision);
        let apart = (&found.features().unwrap() - &exact).mapv(f32::abs);
        let most = apart.iter().fold(0.0_f32, |most, it| most.max(*it)) / largest;
        let bound = match precision {
            Precision::Bf16 => 0.02,
            _ => 0.003,
        };
        assert!(
            most > 0.0 && most < bound,
            "{precision}: {most} of the largest"
        );
    }
}
