//! What is planted is found, and what is not is not.

use std::{collections::BTreeSet, ops::ControlFlow};

use burn::tensor::Device;
use ndarray::{Array2, array};
use neuroinspect_concepts::{
    ConceptBank, ConceptExplainer, ConceptRanking, LearningConfig, TcavConfig, TcavRequest,
    rank_concepts, tcav,
};
use neuroinspect_core::{ClassId, DecisionLayer, FeatureTable, Progress, Seed, Silent};
use neuroinspect_testing::{assert_close, fill, tables};

use crate::{concept, made, made_vector};

const NEURONS: usize = 16;
/// The neuron that sees water, and the one that sees fur.
const WATER: usize = 3;
const FUR: usize = 7;

/// Noise, with one neuron more active.
fn images(name: &str, count: usize, neuron: Option<usize>) -> Array2<f32> {
    let noise = fill::normal(name, count * NEURONS);
    let mut images = Array2::from_shape_vec((count, NEURONS), noise).unwrap() * 0.3;
    if let Some(neuron) = neuron {
        images.column_mut(neuron).mapv_inplace(|value| value + 1.5);
    }
    images
}

/// "Star" (class 0) is said for water alone.
fn layer() -> DecisionLayer {
    let mut weight = Array2::zeros((2, NEURONS));
    weight[[0, WATER]] = 2.0;
    DecisionLayer::new(weight, array![-1.5, 0.0]).unwrap()
}

fn bank(seed: u64) -> ConceptBank {
    let config = LearningConfig::default()
        .with_samples(30)
        .with_regularization(0.1)
        .with_seed(Seed(seed));
    let learn = |name: &str, neuron| {
        let (positives, negatives) = (
            images(name, 40, neuron),
            images(&format!("not {name}"), 40, None),
        );
        crate::learn(name, positives.view(), negatives.view(), &config).unwrap()
    };
    ConceptBank::new(vec![
        learn("grain", None),
        learn("fur", Some(FUR)),
        learn("water", Some(WATER)),
        learn("dust", None),
        learn("haze", None),
    ])
    .unwrap()
}

/// Stars on land, all of them mistaken.
fn stars() -> FeatureTable {
    tables::table(images("stars on land", 30, None), &[0; 30], 2)
}

fn ranked(bank: &ConceptBank) -> ConceptRanking {
    let table = stars();
    let layer = layer();
    let explanation = ConceptExplainer::new(bank, &Device::flex())
        .explain(
            &table.predicted_by(&layer).unwrap(),
            ClassId(0),
            &mut Silent,
        )
        .unwrap();
    rank_concepts(&explanation, 3).unwrap()
}

#[test]
fn the_concept_that_mistakes_lack_is_named() {
    for seed in 0..3 {
        let bank = bank(seed);
        let water = &bank.concepts()[bank.index_of("water").unwrap()];
        assert!(water.test_accuracy.unwrap() > 0.9);
        let ranking = ranked(&bank);
        assert!(ranking.mistakes > 20 && ranking.flipped > 0);
        let [first, second, ..] = &ranking.concepts[..] else {
            unreachable!()
        };
        assert_eq!(first.name, "water");
        assert_eq!(first.prec_at_k, 1.0);
        assert!(first.score > 2.0 * second.score.max(0.0), "{ranking:?}");
        let fur = ranking.concepts.iter().find(|it| it.name == "fur").unwrap();
        assert!(fur.score.abs() < 0.3 * first.score, "{ranking:?}");
    }
}

/// Images with no more and no less water than the random ones.
fn dry(name: &str, random: &Array2<f32>) -> Array2<f32> {
    let mut images = images(name, 40, None);
    let mean = |images: &Array2<f32>| images.column(WATER).mean().unwrap();
    let excess = mean(&images) - mean(random);
    let mut water = images.column_mut(WATER);
    water.mapv_inplace(|value| value - excess);
    images
}

#[test]
fn a_planted_concept_is_significant_and_random_ones_are_not() {
    let (layer, samples) = (layer(), images("stars", 40, None));
    let random = images("random", 200, None);
    let water = images("water", 40, Some(WATER));
    let noise: Vec<_> = (0..3)
        .map(|it| dry(&format!("noise {it}"), &random))
        .collect();
    let mut concepts = vec![("water".to_owned(), water.view())];
    let of_noise = noise.iter().enumerate();
    concepts.extend(of_noise.map(|(it, noise)| (format!("noise {it}"), noise.view())));
    let config = TcavConfig::default().with_runs(20);
    let request = TcavRequest {
        layer: &layer,
        class: ClassId(0),
        samples: samples.view(),
        concepts: &concepts,
        random: random.view(),
    };
    let found = tcav(&request, &config, &mut Silent).unwrap();
    assert_close(found.threshold, 0.05 / 4.0, 1e-12, 0.0);
    assert_eq!((found.random_scores.len(), found.samples), (20, 40));
    let water = &found.concepts[0];
    assert!(water.significant && water.score == 1.0, "{water:?}");
    // Whether their normal leans to water is chance.
    for other in &found.concepts[1..] {
        assert!(!other.significant, "{found:?}");
    }
    // Again, and of one stage, though every run learns a concept.
    let mut stages = BTreeSet::new();
    let mut observer = |progress: Progress<'_>| {
        stages.insert(progress.stage.to_owned());
        ControlFlow::Continue(())
    };
    assert_eq!(tcav(&request, &config, &mut observer).unwrap(), found);
    assert_eq!(Vec::from_iter(stages), ["testing concepts"]);
}

/// The share of samples whose cross-entropy falls along a direction, by PyTorch's gradient.
#[test]
fn the_score_is_that_of_the_gradient() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../golden/concepts.json")).unwrap();
    let weight = made("cce weight", 4, 6) * 6.0 - 3.0;
    let layer = DecisionLayer::new(weight, made_vector("cce bias", 4) - 0.5).unwrap();
    let samples = made("cce features", 7, 6) * 4.0;
    // Two samples apart along the direction, and no others: it is the normal.
    let direction = made("slope", 1, 6) - 0.5;
    let positives = &direction * 100.0;
    let random = Array2::zeros((4, 6));
    let concepts = [("direction".to_owned(), positives.view())];
    let request = TcavRequest {
        layer: &layer,
        class: ClassId(2),
        samples: samples.view(),
        concepts: &concepts,
        random: random.view(),
    };
    // Random images that are all the same make no random concept.
    let error = tcav(&request, &TcavConfig::default(), &mut Silent).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("'random' cannot be told"), "{said}");
    let mut random = Array2::zeros((4, 6));
    random.column_mut(0).assign(&array![0.0, 1e-3, 2e-3, 3e-3]);
    let request = TcavRequest {
        random: random.view(),
        ..request
    };
    let config =
        TcavConfig::default().with_learning(LearningConfig::default().with_regularization(1e6));
    let found = tcav(&request, &config, &mut Silent).unwrap();
    let score = found.concepts[0].score;
    // The mean of runs that are all the same.
    assert_close(score, golden["tcav"].as_f64().unwrap(), 1e-12, 0.0);
}

#[test]
fn a_bank_of_another_layer_is_refused() {
    let bank = ConceptBank::new(vec![concept("water", vec![1.0; NEURONS])]).unwrap();
    let table = stars();
    let mut provenance = table.provenance().clone();
    provenance.model = "another".to_owned();
    let bank = bank.with_provenance(provenance);
    let layer = layer();
    let error = ConceptExplainer::new(&bank, &Device::flex())
        .explain(
            &table.predicted_by(&layer).unwrap(),
            ClassId(0),
            &mut Silent,
        )
        .unwrap_err()
        .to_string();
    assert!(error.contains("layer 'unknown' of another"), "{error}");
}

#[test]
fn features_that_are_not_finite_are_refused_by_neuron_and_sample() {
    let bank = ConceptBank::new(vec![concept("water", vec![1.0; NEURONS])]).unwrap();
    let mut features = images("damaged", 3, None);
    features[[2, FUR]] = f32::INFINITY;
    let error = ConceptExplainer::new(&bank, &Device::flex())
        .explain_features(features.view(), &layer(), ClassId(0), &mut Silent)
        .unwrap_err()
        .to_string();
    let expected = "activation of neuron 7 on sample 2 is not finite (inf)";
    assert!(error.starts_with(expected), "{error}");
}
