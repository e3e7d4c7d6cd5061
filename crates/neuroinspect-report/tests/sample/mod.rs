//! A made-up report: the numbers are invented, the pictures are sine waves.

use std::f32::consts::TAU;

use image::{Rgb, RgbImage};
use neuroinspect_core::{ClassId, Groups, Metrics, NeuronId, Seed};
use neuroinspect_report::{
    Confusion, ContextResponse, DebugSummary, Edit, IllusionPictures, NeuronPictures, RankedNeuron,
    Ranking, Report, Run, Sample, SkippedImage, Timing, Visualization,
};
use serde_json::json;

const CLASSES: [&str; 6] = ["boat", "car", "plane", "bicycle", "train", "horse"];
const SAMPLES_PER_CLASS: usize = 60;

/// Everything a report can hold.
pub(crate) fn full() -> Report {
    let class = ClassId(0);
    let visualization = |neuron, activation, real, similarity, relevance| Visualization {
        objective: Some("CLIP-Illusion".into()),
        steps: 450,
        steps_planned: 450,
        top_real_activation: Some(real),
        clip_similarity: Some(similarity),
        core_relevance: Some(relevance),
        ..Visualization::new(NeuronId(neuron), class, activation)
    };
    let visualizations = vec![
        visualization(41, 18.25, 6.5, 0.3125, 0.75),
        visualization(7, 9.5, 5.25, 0.28125, 0.96875),
        visualization(23, 12.75, 13.5, 0.25, 1.0625),
    ];
    let summary = DebugSummary {
        class,
        class_name: CLASSES[0].into(),
        class_names: CLASSES.map(String::from).to_vec(),
        group_names: ["on water", "on land"].map(String::from).to_vec(),
        samples: SAMPLES_PER_CLASS,
        mistakes: 27,
        confusions: [(1, 14), (4, 9), (5, 4)]
            .map(|(class, count)| Confusion {
                class: ClassId(class),
                count,
            })
            .to_vec(),
        unflipped: 1,
        metrics: metrics([33, 52, 57, 49, 50, 55]),
        ranking: Ranking {
            insufficient: vec![
                ranked(41, 0.875, 1.5, Some((4.5, 0.75))),
                ranked(23, 0.5, 1.125, Some((1.75, 1.5))),
                ranked(102, 0.125, 1.03125, None),
            ],
            excessive: vec![
                ranked(7, 0.625, 0.8125, Some((0.25, 2.125))),
                ranked(88, 0.0625, 0.96875, None),
            ],
        },
        visualizations,
        edit: Some(Edit {
            neurons: vec![NeuronId(41), NeuronId(7)],
            objective: "probability ratio".into(),
            target: Some(1.0),
            epochs: 14,
            evaluated_on: "scenes/test".into(),
            also_trained_on: 0,
            chosen_from: 27,
            before: metrics([33, 52, 57, 49, 50, 55]),
            after: metrics([48, 51, 57, 50, 49, 55]),
            control: Some(metrics([36, 52, 57, 49, 50, 55])),
            file: Some("edit.safetensors".into()),
            how_to_apply: Some(
                "neuroinspect evaluate model.safetensors scenes/test --edit edit.safetensors"
                    .into(),
            ),
            layer_sha256: Some(
                "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603".into(),
            ),
        }),
        interrupted: false,
        failures: vec![],
        run: run(),
    };
    let neurons = summary.visualizations.iter().map(pictures).collect();
    Report {
        mistakes: (0..12).map(mistake).collect(),
        neurons,
        summary,
    }
}

/// The least a report can hold: a class without mistakes.
pub(crate) fn empty() -> Report {
    let mut report = full();
    let summary = &mut report.summary;
    summary.mistakes = 0;
    summary.unflipped = 0;
    summary.confusions.clear();
    summary.group_names.clear();
    summary.metrics.group_accuracy = None;
    summary.metrics.worst_group_accuracy = None;
    summary.metrics.worst_group = None;
    summary.ranking = Ranking::default();
    summary.visualizations.clear();
    summary.edit = None;
    summary.run = Run::new("toy", "scenes/test", "flex", Seed(0));
    report.mistakes.clear();
    report.neurons.clear();
    report
}

/// Metrics of `right` hits per class; every class's first half is in the first group.
pub(crate) fn metrics(right: [usize; 6]) -> Metrics {
    let mut labels = Vec::new();
    let mut predictions = Vec::new();
    let mut of_sample = Vec::new();
    for (class, right) in right.into_iter().enumerate() {
        for sample in 0..SAMPLES_PER_CLASS {
            labels.push(ClassId(class));
            let hit = sample < right;
            predictions.push(ClassId(if hit {
                class
            } else {
                (class + 1) % CLASSES.len()
            }));
            of_sample.push(usize::from(sample >= SAMPLES_PER_CLASS / 2));
        }
    }
    let groups = Groups {
        names: ["on water", "on land"].map(String::from).to_vec(),
        of_sample,
    };
    Metrics::new(&labels, &predictions, CLASSES.len(), Some(&groups)).unwrap()
}

/// How the made-up report was made.
pub(crate) fn run() -> Run {
    let mut run = Run::new("scenes-cnn", "scenes/validation", "flex", Seed(7));
    // The version would change the snapshots with every release.
    run.version = "0.0.0".into();
    run.command =
        Some("neuroinspect debug scenes-cnn scenes/validation --class boat --out out".into());
    run.weights_sha256 =
        Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into());
    run.configs
        .insert("counterfactual".into(), json!({ "l1": 0.1, "l2": 0.01 }));
    run.configs.insert(
        "illusion".into(),
        json!({ "steps": 450, "class_gamma": 0.5 }),
    );
    run.timings = [("features", 3.5), ("illusion", 41.25), ("editing", 0.5)]
        .map(|(stage, seconds)| Timing {
            stage: stage.into(),
            seconds,
        })
        .to_vec();
    run.skipped_images = vec![SkippedImage {
        path: "scenes/validation/boat/0042.png".into(),
        reason: "the file ends too early".into(),
    }];
    run
}

fn ranked(
    neuron: usize,
    prec_at_5: f64,
    importance: f64,
    response: Option<(f32, f32)>,
) -> RankedNeuron {
    RankedNeuron {
        neuron: NeuronId(neuron),
        prec_at_5,
        importance,
        context_response: response.map(|(present, absent)| ContextResponse {
            context: "water".into(),
            present,
            absent,
        }),
    }
}

fn mistake(index: usize) -> Sample {
    Sample {
        id: format!("scenes/validation/boat/{index:04}.png"),
        label: ClassId(0),
        prediction: ClassId([1, 1, 4, 5][index % 4]),
        activation: None,
        image: waves(32, index as f32),
    }
}

fn pictures(visualization: &Visualization) -> NeuronPictures {
    let neuron = visualization.neuron;
    let image = waves(224, neuron.0 as f32);
    let masked_image = RgbImage::from_fn(224, 224, |x, y| {
        let inside = (f64::from(x) - 90.0).hypot(f64::from(y) - 120.0) < 70.0;
        let Rgb(pixel) = *image.get_pixel(x, y);
        Rgb(pixel.map(|value| if inside { value } else { value / 2 }))
    });
    let top = |index: usize, label: usize| Sample {
        id: format!("scenes/validation/{}/{index:04}.png", CLASSES[label]),
        label: ClassId(label),
        prediction: ClassId(if index == 2 { 1 } else { label }),
        activation: visualization
            .top_real_activation
            .map(|top| top - index as f32 / 4.0),
        image: waves(32, neuron.0 as f32 + index as f32 / 4.0),
    };
    NeuronPictures {
        neuron,
        class: visualization.class,
        illusion: Some(IllusionPictures {
            image,
            masked_image,
        }),
        top_of_class: (0..5).map(|index| top(index, 0)).collect(),
        top_overall: (0..5).map(|index| top(index, index % 3)).collect(),
    }
}

fn waves(side: u32, phase: f32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| {
        let (u, v) = (x as f32 / side as f32, y as f32 / side as f32);
        let wave = |turn: f32| {
            let ripple = (TAU * (u * (1.0 + phase % 3.0) + turn) + phase).sin();
            let swell = (TAU * (v * (2.0 - phase % 2.0) - turn * u) + phase * 1.7).cos();
            (127.5 + 60.0 * ripple + 60.0 * swell) as u8
        };
        Rgb([wave(0.0), wave(0.15), wave(0.4)])
    })
}
