//! Golden values of the original program.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are tests.

use std::{collections::BTreeSet, path::PathBuf};

use burn::tensor::Device;
use ndarray::{Array1, Array2, Axis};
use neuroinspect_core::{ClassId, DecisionLayer, NeuronId, Silent};
use neuroinspect_counterfactual::{
    CounterfactualConfig, Explanation, Outcome, RankedNeuron, Ranking, RankingConfig,
    explain_features, importance, rank,
};
use safetensors::SafeTensors;

struct Golden {
    tensors: Vec<u8>,
    json: String,
}

impl Golden {
    fn load() -> Self {
        let folder = std::env::var_os("NEUROINSPECT_SHARED").expect("NEUROINSPECT_SHARED is set");
        let folder = PathBuf::from(folder).join("reference");
        Self {
            tensors: std::fs::read(folder.join("original.safetensors")).unwrap(),
            json: std::fs::read_to_string(folder.join("original.json")).unwrap(),
        }
    }

    fn floats(&self, name: &str) -> Array2<f32> {
        let file = SafeTensors::deserialize(&self.tensors).unwrap();
        let tensor = file.tensor(name).unwrap();
        let values: Vec<f32> = tensor
            .data()
            .as_chunks()
            .0
            .iter()
            .copied()
            .map(f32::from_le_bytes)
            .collect();
        let columns = *tensor.shape().last().unwrap();
        Array2::from_shape_vec((values.len() / columns, columns), values).unwrap()
    }

    fn integers(&self, name: &str) -> Vec<usize> {
        let file = SafeTensors::deserialize(&self.tensors).unwrap();
        let bytes = file.tensor(name).unwrap().data().as_chunks().0;
        bytes
            .iter()
            .map(|&bytes| i64::from_le_bytes(bytes) as usize)
            .collect()
    }

    fn layer(&self) -> DecisionLayer {
        let bias = self.floats("counterfactual.bias").row(0).to_owned();
        DecisionLayer::new(self.floats("counterfactual.weight"), bias).unwrap()
    }

    /// Neurons of one list of `votes`, with their percentages.
    fn votes(&self, list: &str) -> Vec<(usize, f64)> {
        let json: serde_json::Value = serde_json::from_str(&self.json).unwrap();
        let votes = json["votes"][list].as_object().unwrap();
        votes
            .iter()
            .map(|(neuron, share)| (neuron.parse().unwrap(), share.as_f64().unwrap()))
            .collect()
    }
}

/// The 12 samples have several labels: each is explained on its own terms.
fn explain_golden(golden: &Golden, config: &CounterfactualConfig) -> (Array2<f32>, Vec<Outcome>) {
    let layer = golden.layer();
    let features = golden.floats("counterfactual.features");
    let labels = golden.integers("counterfactual.labels");
    let mut shifts = Array2::zeros(features.dim());
    let mut outcomes = Vec::new();
    for (row, &label) in labels.iter().enumerate() {
        let one = features.select(Axis(0), &[row]);
        let device = Device::flex();
        let explanation = explain_features(
            one.view(),
            &layer,
            ClassId(label),
            config,
            &device,
            &mut Silent,
        )
        .unwrap();
        shifts.row_mut(row).assign(&explanation.shifts.row(0));
        outcomes.extend(explanation.outcomes);
    }
    (shifts, outcomes)
}

#[test]
#[ignore = "needs NEUROINSPECT_SHARED"]
fn shifts_and_steps_are_those_of_the_original() {
    let golden = Golden::load();
    let expected = golden.floats("counterfactual.omega");
    for config in [
        CounterfactualConfig::default(),
        CounterfactualConfig::original(),
    ] {
        let (shifts, outcomes) = explain_golden(&golden, &config);
        let steps: Vec<usize> = outcomes.iter().map(|outcome| outcome.steps).collect();
        assert_eq!(steps, golden.integers("counterfactual.iterations"));
        assert!(outcomes.iter().all(|outcome| outcome.flipped));
        // Shifts reach 0.8. Up to 65 steps of single precision, each rounding by 6e-8 of that, in
        // another order of summation: a run in PyTorch with logits summed differently is 1.2e-7 off.
        let error = (&shifts - &expected).fold(0.0, |most: f32, error| most.max(error.abs()));
        assert!(error < 2e-6, "shifts are {error} off");
    }
}

#[test]
#[ignore = "needs NEUROINSPECT_SHARED"]
fn the_ranking_is_that_of_the_original() {
    let golden = Golden::load();
    let (shifts, outcomes) = explain_golden(&golden, &CounterfactualConfig::default());
    // No sample is predicted to be of class 3: all of them count.
    let explanation = Explanation {
        class: ClassId(3),
        outcomes,
        shifts,
    };
    let layer = golden.layer();
    let mean = golden.floats("importance.mean_features");
    // Every sample has more than 5 shifts of either sign, so that the check of signs is no
    // difference here, and no list is longer than 30.
    for config in [RankingConfig::original(), RankingConfig::default()] {
        let ranking = rank(&explanation, &layer, mean.row(0), &config).unwrap();
        assert_eq!((ranking.mistakes, ranking.unflipped), (12, 0));
        for (list, ours) in lists(&ranking) {
            let percent = |line: &RankedNeuron| (line.neuron.0, line.prec_at_5 * 100.0);
            let mut ours: Vec<(usize, f64)> = ours.iter().map(percent).collect();
            let mut theirs = golden.votes(list);
            ours.sort_by_key(|&(neuron, _)| neuron);
            theirs.sort_by_key(|&(neuron, _)| neuron);
            assert_eq!(ours.len(), theirs.len(), "{list}");
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours.0, theirs.0, "{list}");
                // Twelfths, in double precision on both sides.
                assert!(
                    (ours.1 - theirs.1).abs() < 1e-9,
                    "{list}: {ours:?} for {theirs:?}"
                );
            }
        }
        assert_eq!(ranking.first(1), [NeuronId(33)]);
    }

    // The interactive tool: the golden lists without the neurons that stand in both.
    let config = RankingConfig::interactive();
    let shown = rank(&explanation, &layer, mean.row(0), &config).unwrap();
    for ((list, ours), other) in lists(&shown).into_iter().zip(["excessive", "insufficient"]) {
        let neurons = |list| -> BTreeSet<usize> {
            let votes = golden.votes(list).into_iter();
            votes.map(|(neuron, _)| neuron).collect()
        };
        let expected = &neurons(list) - &neurons(other);
        assert!(expected.len() < neurons(list).len());
        let ours: BTreeSet<usize> = ours.iter().map(|line| line.neuron.0).collect();
        assert_eq!(ours, expected, "{list}");
    }
}

/// Both lists of a ranking, by the names of the reference.
fn lists(ranking: &Ranking) -> [(&'static str, &[RankedNeuron]); 2] {
    [
        ("insufficient", &ranking.insufficient),
        ("excessive", &ranking.excessive),
    ]
}

#[test]
#[ignore = "needs NEUROINSPECT_SHARED"]
fn importance_is_that_of_the_original() {
    let golden = Golden::load();
    let mean = golden.floats("importance.mean_features");
    let expected: Array1<f64> = golden
        .floats("importance.ratio_class3")
        .row(0)
        .mapv(f64::from);
    let ours = importance(&golden.layer(), mean.row(0), ClassId(3)).unwrap();
    // The original divides two softmax values of single precision, each about 1e-6 off.
    for (neuron, (ours, expected)) in ours.iter().zip(&expected).enumerate() {
        assert!(
            (ours - expected).abs() < 5e-6,
            "neuron {neuron}: {ours} for {expected}"
        );
    }
}
