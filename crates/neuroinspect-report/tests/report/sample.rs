//! A made-up report: the numbers are invented, the pictures are sine waves.

use std::f32::consts::TAU;

use image::{Rgb, RgbImage};
use ndarray::{Array2, Array3};
use neuroinspect_core::{ClassId, Groups, Metrics, NeuronId, Seed};
use neuroinspect_counterfactual::{
    Certificate, Certified, CertifiedExplanation, Counterfactual, Explanation, NeuronStability,
    Outcome, RankedNeuron, Ranking, Stability,
};
use neuroinspect_editing::{
    Candidate, CandidateKind, ChosenOn, Comparison, Control, EditResult, EpochRecord, Evidence,
    FrontierPoint, Gain, Interval, MendResult, MethodRecord, RatioEdit, Subject, Verdict,
    Yardstick, YardstickChoice,
};
use neuroinspect_illusion::{Illusion, Pair, Recipe};
use neuroinspect_report::{
    ContextEffect, EditFile, Findings, NeuronImages, NeuronPicture, RealImage, RealImages, Report,
    Run, SkippedImage, Timing,
};
use serde_json::json;

const CLASSES: [&str; 6] = ["boat", "car", "plane", "bicycle", "train", "horse"];
const SAMPLES_PER_CLASS: usize = 60;

/// Findings and images.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) findings: Findings,
    pub(crate) images: RealImages,
}

impl Sample {
    pub(crate) fn report(&self) -> Report<'_> {
        Report {
            findings: &self.findings,
            images: self.images.clone(),
        }
    }

    pub(crate) fn html(&self) -> neuroinspect_report::Result<String> {
        self.report().html()
    }

    /// The edit, which is there.
    pub(crate) fn edit(&mut self) -> &mut EditResult {
        self.findings.edit.as_mut().unwrap()
    }

    /// Judges the edit by its metrics as they are now.
    pub(crate) fn judge(&mut self) {
        let subject = Subject::Class(self.findings.class);
        let edit = self.edit();
        edit.verdict = Verdict::new(subject, &edit.comparison, edit.control.as_ref());
    }
}

/// Everything a report can hold.
pub(crate) fn full() -> Sample {
    let class = ClassId(0);
    let picture = |neuron, activation, real, similarity, relevance| NeuronPicture {
        top_real_activation: Some(real),
        core_relevance: Some(relevance),
        ..NeuronPicture::new(illusion(neuron, activation, similarity))
    };
    let findings = Findings {
        class,
        class_names: CLASSES.map(String::from).to_vec(),
        group_names: ["on water", "on land"].map(String::from).to_vec(),
        samples: SAMPLES_PER_CLASS,
        metrics: metrics([33, 52, 57, 49, 50, 55]),
        explanation: explanation(),
        ranking: Ranking {
            class,
            top: 5,
            mistakes: 27,
            unflipped: 1,
            insufficient: vec![
                ranked(41, 24, 1.5),
                ranked(23, 14, 1.125),
                ranked(102, 3, 1.03125),
            ],
            excessive: vec![ranked(7, 17, 0.8125), ranked(88, 2, 0.96875)],
        },
        certified: Some(certified()),
        neurons: vec![NeuronId(41), NeuronId(7)],
        edit: Some(edit()),
        patch: None,
        edit_file: Some(EditFile {
            path: "edit.safetensors".into(),
            how_to_apply: Some(
                "neuroinspect evaluate model.safetensors scenes/test --edit edit.safetensors"
                    .into(),
            ),
        }),
        recommendation: Some(recommendation()),
        recommendation_left_out: None,
        pairs: [41, 7, 23]
            .map(|neuron| Pair {
                neuron: NeuronId(neuron),
                class,
            })
            .to_vec(),
        recipe: Recipe::default(),
        pictures: vec![
            picture(41, 18.25, 6.5, 0.3125, 0.75),
            picture(7, 9.5, 5.25, 0.28125, 0.96875),
            picture(23, 12.75, 13.5, 0.25, 1.0625),
        ],
        pictures_reused: 0,
        pictures_resumed_at: None,
        units: Vec::new(),
        context_effects: (0..128).map(context_effect).collect(),
        labels: vec![],
        interrupted: false,
        failures: vec![],
        run: run(),
    };
    let images = RealImages {
        mistakes: (0..12).map(mistake).collect(),
        neurons: findings.pictures.iter().map(images).collect(),
        failures: vec![],
    };
    let mut sample = Sample { findings, images };
    sample.judge();
    sample
}

/// The least a report can hold: a class without mistakes.
pub(crate) fn empty() -> Sample {
    let mut sample = full();
    let findings = &mut sample.findings;
    findings.certified = None;
    findings.explanation.counterfactuals.clear();
    findings.explanation.shifts = Array2::zeros((0, 128));
    findings.group_names.clear();
    findings.metrics.group_accuracy = None;
    findings.metrics.worst_group_accuracy = None;
    findings.metrics.worst_group = None;
    findings.ranking.mistakes = 0;
    findings.ranking.unflipped = 0;
    findings.ranking.insufficient.clear();
    findings.ranking.excessive.clear();
    findings.neurons.clear();
    findings.pairs.clear();
    findings.pictures.clear();
    findings.context_effects.clear();
    findings.edit = None;
    findings.edit_file = None;
    findings.recommendation = None;
    findings.run = Run::new("toy", "scenes/test", "flex", Seed(0));
    sample.images = RealImages::default();
    sample
}

/// 27 mistakes: 14 for cars, 9 for trains, 4 for horses.
fn explanation() -> Explanation {
    let predicted = [(1, 14), (4, 9), (5, 4)];
    let predicted = predicted
        .iter()
        .flat_map(|&(class, count)| vec![class; count]);
    let counterfactual = |(sample, class)| Counterfactual {
        sample,
        predicted: ClassId(class),
        steps: 12,
        flipped: sample > 0,
    };
    Explanation {
        class: ClassId(0),
        counterfactuals: predicted.enumerate().map(counterfactual).collect(),
        shifts: Array2::from_elem((27, 128), 0.25),
    }
}

/// 27 mistakes, of which one is not certified and one has no change.
fn certified() -> Certified {
    let class = ClassId(0);
    let certificate = |sample| Certificate {
        sample,
        predicted: ClassId(1),
        outcome: match sample {
            0 => Outcome::Impossible,
            1 => Outcome::Open,
            _ => Outcome::Certified,
        },
        length: (sample > 0).then_some(1.25),
        at_least: 1.125,
        rounds: 2,
    };
    let drawn = |neuron, low, high, in_first| NeuronStability {
        neuron: NeuronId(neuron),
        prec_at_k: [low, high],
        in_first,
    };
    Certified {
        explanation: CertifiedExplanation {
            class,
            rival: None,
            non_negative: true,
            certificates: (0..27).map(certificate).collect(),
            shifts: Array2::default((0, 0)),
        },
        ranking: Ranking {
            class,
            top: 5,
            mistakes: 27,
            unflipped: 1,
            insufficient: vec![ranked(41, 24, 1.5)],
            excessive: vec![ranked(7, 14, 0.8125)],
        },
        times_as_long: Some(1.5),
        stability: Stability {
            resamples: 1000,
            first: 5,
            same_first: 0.9375,
            insufficient: vec![
                drawn(41, 0.75, 1.0, 1.0),
                drawn(23, 0.375, 0.6875, 0.9375),
                drawn(102, 0.0, 0.25, 0.125),
            ],
            excessive: vec![drawn(7, 0.5, 0.75, 1.0), drawn(88, 0.0, 0.125, 0.25)],
        },
    }
}

fn edit() -> EditResult {
    let epoch = |epoch| EpochRecord {
        epoch,
        loss: 0.5,
        penalty: 0.25,
        validation_penalty: 0.25,
        validation_accuracy: 0.75,
        validation_worst_class: 0.5,
        validation_worst_group: None,
    };
    let comparison = Comparison {
        before: metrics([33, 52, 57, 49, 50, 55]),
        after: metrics([48, 51, 57, 50, 49, 55]),
    };
    let control = Control::Measured(metrics([36, 52, 57, 49, 50, 55]));
    EditResult {
        neurons: vec![NeuronId(41), NeuronId(7)],
        method: MethodRecord {
            name: RatioEdit::NAME.into(),
            options: Default::default(),
            derived: [("target".to_owned(), 1.0)].into(),
            kept_epoch: Some(14),
        },
        layer_sha256: "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603".into(),
        epochs: (1..=14).map(epoch).collect(),
        stopped_early: false,
        also_trained_on: 0,
        chosen_from: 27,
        verdict: Verdict::new(Subject::Class(ClassId(0)), &comparison, Some(&control)),
        comparison,
        control: Some(control),
    }
}

/// To retrain plainly, with a bias on boats: the last of six points.
fn recommendation() -> MendResult {
    let candidate = |kind, lambda, bias| Candidate {
        kind,
        lambda,
        silenced: vec![],
        bias,
    };
    let interval = |estimate: f64| Interval {
        low: estimate - 0.0625,
        estimate,
        high: estimate + 0.0625,
    };
    let gain = |class, mean| Gain {
        class: Some(interval(class)),
        mean: interval(mean),
        samples: 360,
    };
    let point = |(candidate, bias, class, mean)| FrontierPoint {
        candidate,
        bias,
        class: Some(class),
        class_by_groups: Some(class / 2.0),
        mean,
        mean_by_groups: mean / 2.0,
    };
    let best = candidate(CandidateKind::Plain, Some(0.01), 0.5);
    MendResult {
        class: Some(ClassId(0)),
        recommended: Some(best.clone()),
        best,
        asked: YardstickChoice::Automatic,
        yardstick: Yardstick::Data,
        gain: gain(0.25, 0.03125),
        gain_by_the_other: gain(0.125, 0.0),
        evidence: Evidence {
            dependence: Some(0.75),
            freedom: 19,
            mistakes: 64,
            classes: 6,
            cells: vec![vec![60; 6]; 6],
        },
        candidates: vec![
            candidate(CandidateKind::Nothing, None, 0.0),
            candidate(CandidateKind::Plain, Some(0.01), 0.0),
        ],
        frontier: [
            (0, 0.0, 0.5625, 0.8125),
            (0, -0.5, 0.5, 0.8125),
            (0, 0.5, 0.625, 0.78125),
            (1, 0.0, 0.75, 0.84375),
            (1, -0.5, 0.6875, 0.84375),
            (1, 0.5, 0.8125, 0.84375),
        ]
        .map(point)
        .to_vec(),
        recommended_at: Some(5),
        suspects: vec![],
        samples: [600, 360],
        chosen_on: ChosenOn::Evaluation,
        too_few: vec![],
        seed: Seed(7),
    }
}

/// Neurons 41, 7 and 23 answer to the water, each in its way.
fn context_effect(neuron: usize) -> ContextEffect {
    let (present, absent) = match neuron {
        41 => (4.5, 0.75),
        7 => (0.25, 2.125),
        23 => (1.75, 1.5),
        _ => (1.0, 1.0),
    };
    ContextEffect {
        context: "water".into(),
        present,
        absent,
        effect: (present - absent) / 2.0,
    }
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
    let names = ["on water", "on land"].map(String::from).to_vec();
    let groups = Groups::new(names, of_sample).unwrap();
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

fn ranked(neuron: usize, votes: usize, importance: f64) -> RankedNeuron {
    RankedNeuron {
        neuron: NeuronId(neuron),
        prec_at_k: votes as f64 / 27.0,
        votes,
        importance,
    }
}

/// Active in a disc.
fn illusion(neuron: usize, activation: f32, similarity: f32) -> Illusion {
    let waves = waves(224, neuron as f32);
    let value = |(channel, y, x)| {
        let Rgb(pixel) = *waves.get_pixel(x as u32, y as u32);
        f32::from(pixel[channel]) / 255.0
    };
    let mask = |(y, x)| {
        let inside = (x as f32 - 90.0).hypot(y as f32 - 120.0) < 70.0;
        if inside { 1.0 } else { 0.5 }
    };
    Illusion {
        pair: Pair {
            neuron: NeuronId(neuron),
            class: ClassId(0),
        },
        unit: None,
        image: Array3::from_shape_fn((3, 224, 224), value),
        mask: Some(Array2::from_shape_fn((224, 224), mask)),
        activation,
        logit: 8.5,
        probability: 0.875,
        clip_similarity: Some(similarity),
        agreement: None,
        unmoved: None,
        steps: Recipe::default().steps,
        trace: vec![],
    }
}

fn mistake(index: usize) -> RealImage {
    RealImage {
        id: format!("scenes/validation/boat/{index:04}.png"),
        label: ClassId(0),
        prediction: ClassId([1, 1, 4, 5][index % 4]),
        activation: None,
        image: waves(32, index as f32),
        crop: None,
    }
}

fn images(picture: &NeuronPicture) -> NeuronImages {
    let pair = picture.illusion.pair;
    let top = |index: usize, label: usize| RealImage {
        id: format!("scenes/validation/{}/{index:04}.png", CLASSES[label]),
        label: ClassId(label),
        prediction: ClassId(if index == 2 { 1 } else { label }),
        activation: picture
            .top_real_activation
            .map(|top| top - index as f32 / 4.0),
        image: waves(32, pair.neuron.0 as f32 + index as f32 / 4.0),
        // A picture without a mask is of a classifier that does not say where.
        crop: picture.masked_file.as_ref().map(|_| waves(8, index as f32)),
    };
    NeuronImages {
        pair,
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
