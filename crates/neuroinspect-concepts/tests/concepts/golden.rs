//! Against values of tools/golden_concepts.py.

use burn::tensor::Device;
use ndarray::{Array1, Array2, Axis};
use neuroinspect_concepts::{
    ConceptBank, ConceptCounterfactualConfig, ConceptExplainer, ConceptVector,
    CounterfactualObjective, LabelConfig, LabelRequest, LearningConfig, Margins, RankReorder,
    Similarity, SoftWpmi, Validity, Words, Wpmi, label_units,
};
use neuroinspect_core::{ActivationTable, ClassId, DecisionLayer, Provenance, Silent};
use neuroinspect_testing::assert_close;
use serde_json::Value;

use crate::{learn, made, made_vector};

const SIDE: usize = 20;
const NEURONS: usize = 6;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/concepts.json")).unwrap()
}

fn rows(value: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    let shape = (rows.len(), rows[0].len());
    Array2::from_shape_vec(shape, rows.concat()).unwrap()
}

#[test]
fn vectors_and_margins_are_those_of_scikit_learn() {
    let mut samples = made("svm samples", 2 * SIDE, NEURONS);
    let (mut positives, _) = samples.view_mut().split_at(Axis(0), SIDE);
    positives.column_mut(0).mapv_inplace(|value| value + 0.4);
    positives.column_mut(3).mapv_inplace(|value| value + 0.3);
    let (positives, negatives) = samples.view().split_at(Axis(0), SIDE);
    for case in golden()["svm"].as_array().unwrap() {
        let config = LearningConfig::default()
            .with_regularization(case["regularization"].as_f64().unwrap())
            .with_tolerance(1e-9);
        let ours = learn("shifted", positives, negatives, &config).unwrap();
        let expected: Vec<f64> = serde_json::from_value(case["vector"].clone()).unwrap();
        // libsvm keeps inner products in single precision, which a C of 100 multiplies.
        assert_close(&ours.vector, Array1::from(expected), 0.0, 1e-4);
        assert_close(
            ours.intercept,
            case["intercept"].as_f64().unwrap(),
            0.0,
            1e-4,
        );
        assert_close(
            ours.train_accuracy.unwrap(),
            case["train_accuracy"].as_f64().unwrap(),
            1e-6,
            0.0,
        );
        assert_eq!(ours.test_accuracy, None);
        let expected: Margins = serde_json::from_value(case["margins"].clone()).unwrap();
        let numbers = |it: &Margins| {
            let means = [it.pos_mean, it.neg_mean].map(Option::unwrap);
            Array1::from_iter([it.max, it.min, it.q_90, it.q_10].into_iter().chain(means))
        };
        assert_close(numbers(&ours.margins), numbers(&expected), 0.0, 1e-4);
        let mean = positives.mean_axis(ndarray::Axis(0)).unwrap();
        assert_close(ours.mean_features.unwrap(), &mean, 1e-6, 0.0);
    }
}

/// The bank, decision layer and features of the golden counterfactuals.
fn cce() -> (ConceptBank, DecisionLayer, Array2<f32>) {
    let concepts = 5;
    let numbers = |name: &str| made_vector(&format!("cce {name}"), concepts);
    let vectors = made("cce vectors", concepts, NEURONS) - 0.5;
    let (max, min) = (numbers("max") + 1.0, -numbers("min") - 1.0);
    let (pos_mean, neg_mean) = (numbers("pos_mean"), -numbers("neg_mean"));
    let intercepts = numbers("intercepts") - 0.5;
    let concept = |index: usize| {
        let is_last = index == concepts - 1;
        ConceptVector {
            name: index.to_string(),
            vector: vectors.row(index).to_owned(),
            intercept: intercepts[index],
            margins: Margins {
                max: if is_last { -0.5 } else { max[index] },
                min: min[index],
                pos_mean: (!is_last).then(|| pos_mean[index]),
                neg_mean: Some(neg_mean[index]),
                q_90: 0.0,
                q_10: 0.0,
            },
            train_accuracy: None,
            test_accuracy: None,
            mean_features: None,
        }
    };
    let bank = ConceptBank::new((0..concepts).map(concept).collect()).unwrap();
    let weight = made("cce weight", 4, NEURONS) * 6.0 - 3.0;
    let layer = DecisionLayer::new(weight, made_vector("cce bias", 4) - 0.5).unwrap();
    (bank, layer, made("cce features", 7, NEURONS) * 4.0)
}

#[test]
fn concept_weights_are_those_of_the_published_algorithm() {
    let (bank, layer, features) = cce();
    let config = ConceptCounterfactualConfig::default();
    for (name, config) in [
        ("kappa_mean", config.clone()),
        (
            "kappa_zero",
            config.clone().with_validity(Validity::KappaZero),
        ),
        ("unbounded", config.with_validity(Validity::Unbounded)),
        ("original", ConceptCounterfactualConfig::original()),
    ] {
        let golden = &golden()["cce"][name];
        // Three batches, the last of one sample.
        let explanation = ConceptExplainer::new(&bank, &Device::flex())
            .with_config(config.with_batch_size(3))
            .explain_features(features.view(), &layer, ClassId(2), &mut Silent)
            .unwrap();
        // A hundred steps of single precision, in another order of summation.
        assert_close(&explanation.weights, rows(&golden["weights"]), 1e-5, 5e-6);
        let ours: Vec<bool> = explanation
            .counterfactuals
            .iter()
            .map(|sample| sample.flipped)
            .collect();
        let expected: Vec<bool> = serde_json::from_value(golden["flipped"].clone()).unwrap();
        assert_eq!(ours, expected, "{name}");
    }
}

/// Of the golden samples some flip and some do not: whether they did so is told.
#[test]
fn whether_the_label_flipped_is_what_the_weights_make_of_it() {
    let (bank, layer, features) = cce();
    let class = ClassId(2);
    let explanation = ConceptExplainer::new(&bank, &Device::flex())
        .with_config(ConceptCounterfactualConfig::original())
        .explain_features(features.view(), &layer, class, &mut Silent)
        .unwrap();
    let vectors = bank.concepts().iter();
    let moves = vectors.map(|it| {
        let norm = it.vector.dot(&it.vector).sqrt();
        &it.vector * (it.margins.max / norm)
    });
    let moves: Vec<Array1<f32>> = moves.collect();
    let mut seen = [false; 2];
    for (sample, counterfactual) in explanation.counterfactuals.iter().enumerate() {
        let mut moved = features.row(sample).to_owned();
        for (by, &weight) in moves.iter().zip(explanation.weights.row(sample)) {
            moved = moved + by * weight;
        }
        let says = layer
            .predict(moved.view().insert_axis(ndarray::Axis(0)))
            .unwrap();
        assert_eq!(counterfactual.flipped, says[0] == class);
        seen[usize::from(counterfactual.flipped)] = true;
    }
    assert_eq!(seen, [true; 2], "one that flips, and one that does not");
}

#[test]
fn an_explanation_takes_the_softmax_twice_only_when_told() {
    let config = ConceptCounterfactualConfig::default();
    assert_eq!(config.objective, CounterfactualObjective::Logits);
    let original = ConceptCounterfactualConfig::original();
    assert_eq!(
        original,
        config.with_objective(CounterfactualObjective::Probabilities)
    );
}

#[test]
fn similarities_are_those_of_clip_dissect() {
    let (images, units, words, width) = (40, 4, 9, 6);
    let provenance = Provenance::new("golden", None);
    let activations = made("label activations", images, units);
    let activations = ActivationTable::new(activations, provenance).unwrap();
    let embeddings = made("label images", images, width);
    let names: Vec<String> = (0..words).map(|word| word.to_string()).collect();
    let texts = made("label texts", words, width);
    let list = Words::new(names.clone(), texts).unwrap();
    let wpmi = Wpmi {
        top_images: 8,
        ..Wpmi::default()
    };
    let soft_wpmi = SoftWpmi {
        top_images: 12,
        ..SoftWpmi::default()
    };
    let rank_reorder = RankReorder {
        top_share: 0.25,
        ..RankReorder::default()
    };
    for (name, similarity) in [
        ("cos_similarity", Similarity::CosSimilarity),
        ("cos_similarity_cubed", Similarity::CosSimilarityCubed),
        ("rank_reorder", Similarity::RankReorder(rank_reorder)),
        ("wpmi", Similarity::Wpmi(wpmi)),
        ("soft_wpmi", Similarity::SoftWpmi(soft_wpmi)),
    ] {
        let config = LabelConfig::default()
            .with_similarity(similarity)
            .with_labels(words)
            .with_units(units)
            // The last block is of one word.
            .with_words_at_once(4);
        let request = LabelRequest {
            activations: &activations,
            images: embeddings.view(),
            words: &list,
            queries: &names,
        };
        let labels = label_units(&request, &config, &mut Silent).unwrap();
        let expected = rows(&golden()["labels"][name]);
        // Cosines are single precision, up to 1; sums of 12 logarithms are up to 30.
        let close = |ours: f32, unit: usize, word: usize| {
            assert_close(ours, expected[[unit, word]], 1e-4, 2e-5);
        };
        for unit in &labels.units {
            assert_eq!(unit.labels.len(), words);
            assert!(unit.labels.is_sorted_by(|a, b| a.score >= b.score));
            for label in &unit.labels {
                close(label.score, unit.unit, label.word.parse().unwrap());
            }
        }
        for query in &labels.queries {
            let word = query.word.parse().unwrap();
            assert_eq!(query.units.len(), units);
            for found in &query.units {
                close(found.score, found.unit, word);
                let row = expected.row(found.unit);
                let above = row.iter().filter(|&&score| score > row[word]).count();
                assert_eq!(found.words_above, above, "{name}: {found:?}");
            }
        }
    }
}
