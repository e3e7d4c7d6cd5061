//! Concepts and labels at the size of a ResNet-18 and CCE's bank: 170 concepts and 512 neurons.
//!
//! One concept learned of fifty images of each side; the concept weights of 128 mistakes; and the labels of 512
//! units by 2000 words and 1000 images. All numbers are drawn.

#![allow(clippy::unwrap_used, reason = "a bench stops by panicking")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::{Array2, Axis, Slice};
use neuroinspect::{
    burn::tensor::Device,
    concepts::{
        ConceptBank, ConceptExplainer, ConceptRequest, LabelConfig, LabelRequest, LearningConfig,
        Words, label_units, learn_concept,
    },
    core::{ActivationTable, ClassId, Provenance, Silent},
};
use neuroinspect_testing::{fill::normal, tables::random_layer};

const NEURONS: usize = 512;
const CONCEPTS: usize = 170;
const MISTAKES: usize = 128;
const IMAGES: usize = 1000;
const WORDS: usize = 2000;
const WIDTH: usize = 512;

fn drawn(name: &str, rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_vec((rows, columns), normal(name, rows * columns)).unwrap()
}

fn concepts(criterion: &mut Criterion) {
    let config = LearningConfig::default();
    let samples = |concept: usize| {
        let mut positives = drawn(&format!("positives {concept}"), 50, NEURONS);
        positives
            .slice_axis_mut(Axis(1), Slice::from(concept..concept + 3))
            .mapv_inplace(|it| it + 1.0);
        let negatives = drawn(&format!("negatives {concept}"), 50, NEURONS);
        (positives, negatives)
    };
    let learned = |name: &str, (positives, negatives): &(Array2<f32>, Array2<f32>)| {
        let request = ConceptRequest {
            name,
            positives: positives.view(),
            negatives: negatives.view(),
        };
        learn_concept(&request, &config, &mut Silent).unwrap()
    };
    let first = samples(0);
    criterion.bench_function("a concept of 50 and 50 images", |bencher| {
        bencher.iter(|| black_box(learned("0", &first)));
    });

    let of_bank = |concept: usize| learned(&concept.to_string(), &samples(concept));
    let bank = ConceptBank::new((0..CONCEPTS).map(of_bank).collect()).unwrap();
    let layer = random_layer(5, NEURONS);
    let features = drawn("mistakes", MISTAKES, NEURONS);
    let explainer = ConceptExplainer::new(&bank, &Device::flex());
    criterion.bench_function("170 concepts of 128 mistakes", |bencher| {
        bencher.iter(|| {
            let features = features.view();
            black_box(
                explainer
                    .explain_features(features, &layer, ClassId(0), &mut Silent)
                    .unwrap(),
            )
        });
    });
}

fn labels(criterion: &mut Criterion) {
    let activations = drawn("activations", IMAGES, NEURONS);
    let activations = ActivationTable::new(activations, Provenance::new("drawn", None)).unwrap();
    let images = drawn("images", IMAGES, WIDTH);
    let names = (0..WORDS).map(|word| word.to_string()).collect();
    let words = Words::new(names, drawn("words", WORDS, WIDTH)).unwrap();
    let mut group = criterion.benchmark_group("labels");
    group.sample_size(10);
    group.bench_function("512 units, 2000 words, 1000 images", |bencher| {
        bencher.iter(|| {
            let config = LabelConfig::default();
            let request = LabelRequest {
                activations: &activations,
                images: images.view(),
                words: &words,
                queries: &[],
            };
            black_box(label_units(&request, &config, &mut Silent).unwrap())
        });
    });
    group.finish();
}

criterion_group!(benches, concepts, labels);
criterion_main!(benches);
