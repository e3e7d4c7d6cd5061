use std::{ops::ControlFlow, sync::Arc};

use ndarray::{Array2, array};
use neuroinspect_core::{Groups, Progress, Silent};
use neuroinspect_editing::{Concept, LabelsUsed};
use neuroinspect_testing::tables::table;

use super::*;

/// Neuron 0 sees the class, neuron 1 what goes with class 0 in training; the layer goes by both.
fn repetition(seed: u64, grouped: bool) -> Repetition {
    let samples = |aligned: bool| {
        let labels: Vec<usize> = (0..80).map(|sample| sample % 2).collect();
        let water = |sample: usize| match aligned && sample % 20 > 1 {
            true => 1 - sample % 2,
            false => sample / 2 % 2,
        };
        let features = Array2::from_shape_fn((80, 2), |(sample, neuron)| {
            let jitter = ((sample as u64 * 7 + seed) % 11) as f32 / 40.0;
            match neuron {
                0 => 1.0 - (sample % 2) as f32 + jitter,
                _ => water(sample) as f32 - jitter,
            }
        });
        let table = table(features, &labels, 2);
        if !grouped {
            return table;
        }
        let groups = (0..80).map(|sample| 2 * (sample % 2) + water(sample));
        let names = ["0 on land", "0 on water", "1 on land", "1 on water"];
        let groups = Groups::new(names.map(String::from).to_vec(), groups.collect()).unwrap();
        table.with_groups(groups).unwrap()
    };
    let layer = DecisionLayer::new(array![[0.2, 2.0], [0.0, 0.0]], array![-1.0, 0.0]).unwrap();
    Repetition {
        data: EditData::of_parts(samples(true), samples(false), samples(false)).unwrap(),
        layer,
        seed: Seed(seed),
    }
}

fn compared(repetitions: &[Repetition], methods: &[&str]) -> Leaderboard {
    let methods: Vec<_> = methods.iter().map(|&name| name.to_owned()).collect();
    let config = LeaderboardConfig::default().with_methods(methods);
    let device = Device::flex();
    Leaderboard::compare("toy", repetitions, &config, &device, &mut Silent).unwrap()
}

#[test]
fn methods_are_measured_beside_the_ceiling() {
    let repetitions = [0, 1, 2].map(|seed| repetition(seed, true));
    let methods = ["class_bias", "dfr", "group_balanced"];
    let board = compared(&repetitions, &methods);
    assert_eq!(board.samples, [80, 80, 80]);
    assert_eq!(board.classes, ["class 0"; 3]);
    assert!((board.before.average.mean - 0.5).abs() < 0.05);
    let row = |name: &str| board.rows.iter().find(|row| row.method == name).unwrap();
    let dfr = row("dfr").scores.unwrap();
    assert!(dfr.worst_group.unwrap().mean > 0.9, "{dfr:?}");
    assert_eq!(row("dfr").labels, Some(LabelsUsed::GroupsOfValidation));
    let bias = row("class_bias").scores.unwrap();
    assert!(bias.class.mean >= board.before.class.mean);
    // Of the training samples nine in ten are aligned: there the layer is right.
    let weighted = board.before.train_weighted.unwrap().mean;
    assert!(weighted > 0.9, "{weighted}");
    let json = serde_json::to_value(&board).unwrap();
    assert_eq!(json["rows"][1]["method"], "dfr");
    assert!(json["rows"][1]["scores"]["average"]["margin"].is_f64());
    // The strength of the bias is chosen on the validation samples, DFR chooses for itself.
    let bias = row("class_bias");
    assert_eq!((bias.options.len(), bias.derived.len()), (3, 3));
    assert!(bias.options.iter().all(|it| it.contains_key("strength")));
    assert_eq!(row("dfr").options, [(); 3].map(|()| Map::new()));
    let page = board.to_markdown();
    assert!(page.contains("\n- `class_bias`: strength "), "{page}");
    assert!(page.contains("\n- `dfr`: inverse_strength "), "{page}");
    assert!(page.contains("| as it stands | - | 50.0"), "{page}");
    assert!(page.contains("group_balanced (ceiling)"), "{page}");
}

#[test]
fn options_can_be_left_at_their_defaults() {
    let config = LeaderboardConfig::default()
        .with_methods(vec!["class_bias".to_owned()])
        .with_defaults(true);
    let repetitions = [repetition(0, true)];
    let device = Device::flex();
    let board = Leaderboard::compare("toy", &repetitions, &config, &device, &mut Silent).unwrap();
    assert_eq!(board.rows[0].options, [Map::new()]);
    let page = board.to_markdown();
    assert!(!page.contains("Settled"), "{page}");
}

#[test]
fn disc_is_told_of_concepts() {
    let config = LeaderboardConfig {
        methods: vec!["disc".to_owned()],
        concepts: vec![Concept {
            class: ClassId(0),
            features: vec![0.0, 1.0],
        }],
        ..LeaderboardConfig::default()
    };
    let (repetitions, device) = ([repetition(0, true)], Device::flex());
    let board = Leaderboard::compare("toy", &repetitions, &config, &device, &mut Silent).unwrap();
    assert!(
        board.rows[0].scores.is_some(),
        "{:?}",
        board.rows[0].failure
    );
    assert!(board.rows[0].options[0].contains_key("clusters"));
    let failure = compared(&repetitions, &["disc"]).rows[0].failure.clone();
    assert!(failure.unwrap().contains("needs concepts"));
}

#[test]
fn what_cannot_be_compared_says_why() {
    let board = compared(&[repetition(0, false)], &["class_bias", "group_dro"]);
    assert_eq!(board.before.worst_group, None);
    assert_eq!(board.before.average.margin, None);
    let failure = board.rows[1].failure.as_deref().unwrap();
    assert!(failure.contains("no groups"), "{failure}");
    assert_eq!(
        (board.rows[1].scores, board.rows[0].shares),
        (None, Shares::default())
    );
    let page = board.to_markdown();
    assert!(page.contains("`group_dro` is not there: "), "{page}");
    let config = LeaderboardConfig::default();
    let nothing = Leaderboard::compare("toy", &[], &config, &Device::flex(), &mut Silent);
    assert!(nothing.unwrap_err().to_string().contains("no repetitions"));
    // An unknown name is told before anything is made.
    let config = config.with_methods(vec!["dfr".to_owned(), "drf".to_owned()]);
    let mut untouched =
        |progress: Progress<'_>| -> ControlFlow<()> { panic!("{progress:?} began") };
    let repetitions = [repetition(0, true)];
    let device = Device::flex();
    let unknown = Leaderboard::compare("toy", &repetitions, &config, &device, &mut untouched);
    assert!(unknown.unwrap_err().to_string().contains("drf"));
}

/// Of two points or more, and of the better layer alone.
#[test]
fn shares_are_of_the_gap_to_the_ceiling() {
    let scores = |average: f64, worst_group: f64| {
        let of = |mean| Estimate { mean, margin: None };
        Scores {
            average: of(average),
            train_weighted: None,
            class: of(average),
            worst_class: of(average),
            worst_group: Some(of(worst_group)),
        }
    };
    let (before, ceiling) = (scores(0.5, 0.25), scores(0.75, 0.265));
    let shares = Shares::of(Some(&scores(0.625, 0.26)), &before, Some(&ceiling));
    assert_eq!((shares.average, shares.worst_group), (Some(0.5), None));
    for (scores, ceiling) in [(None, Some(&ceiling)), (Some(&before), None)] {
        assert_eq!(Shares::of(scores, &before, ceiling), Shares::default());
    }
}

#[test]
fn what_learns_from_both_tables_stands_beside_what_does_not() {
    let repetitions = [repetition(0, true)];
    let board = compared(
        &repetitions,
        &["retrain", "logit_adjustment", "group_balanced", "auto"],
    );
    let variants: Vec<_> = board
        .rows
        .iter()
        .map(|row| (&*row.method, row.variant))
        .collect();
    let expected = [
        ("retrain", Variant::Usual),
        ("retrain", Variant::BothTables),
        ("logit_adjustment", Variant::Usual),
        ("logit_adjustment", Variant::BothTables),
        ("group_balanced", Variant::Usual),
        ("group_balanced", Variant::BothTables),
        ("auto", Variant::Usual),
        ("auto", Variant::AllClasses),
    ];
    assert_eq!(variants, expected);
    assert!(
        board.rows.iter().all(|row| row.scores.is_some()),
        "{board:?}"
    );
    assert_eq!(board.rows[1].options, board.rows[0].options);
    let page = board.to_markdown();
    for row in ["| retrain (on both tables) |", "| auto (all classes) |"] {
        assert!(page.contains(row), "{page}");
    }
}

/// The layers of `auto` are those of one class at a time, and are measured beside the layer as it stands.
#[test]
fn auto_is_asked_for_each_class() {
    let repetitions = [0, 1].map(|seed| repetition(seed, true));
    let compared = |class: Option<usize>, each_class: bool| {
        let config = LeaderboardConfig {
            methods: vec!["auto".to_owned()],
            class: class.map(ClassId),
            each_class,
            ..LeaderboardConfig::default()
        };
        let device = Device::flex();
        Leaderboard::compare("toy", &repetitions, &config, &device, &mut Silent).unwrap()
    };
    let board = compared(Some(1), true);
    let alone = [0, 1].map(|class| compared(Some(class), false));
    assert_eq!(board.rows[0].scores, alone[1].rows[0].scores);
    assert_eq!(board.rows[0].derived, alone[1].rows[0].derived);
    assert_eq!(board.each_class.len(), 2);
    for (found, alone) in board.each_class.iter().zip(&alone) {
        assert!(alone.each_class.is_empty());
        let after = alone.rows[0].scores.unwrap().class.mean;
        assert!((found.before - alone.before.class.mean).abs() < 1e-9);
        assert!((found.after - after).abs() < 1e-9, "{found:?} {after}");
        let difference = found.difference.mean;
        assert!((difference - (found.after - found.before)).abs() < 1e-9);
    }
    let helped = &board.each_class[0];
    assert!(
        helped.recommended == 2 && helped.difference.mean > 0.1,
        "{helped:?}"
    );
    let page = board.to_markdown();
    assert!(page.contains("\n| class 0 | "), "{page}");
    assert!(page.contains("| 2 of 2 |\n"), "{page}");
}

/// Where the training samples tell nothing of the classes, and the validation samples all.
#[test]
fn what_stands_on_both_tables_learns_from_both() {
    let samples = |telling: bool| {
        let labels: Vec<usize> = (0..200).map(|sample| sample % 2).collect();
        let features = Array2::from_shape_fn((200, 1), |(sample, _)| match telling {
            true => (sample % 2) as f32,
            false => (sample / 2 % 2) as f32,
        });
        table(features, &labels, 2)
    };
    let repetition = Repetition {
        data: EditData::of_parts(samples(false), samples(true), samples(true)).unwrap(),
        layer: DecisionLayer::new(array![[0.0], [0.0]], array![0.0, 0.0]).unwrap(),
        seed: Seed(0),
    };
    let board = compared(&[repetition], &["retrain"]);
    let average = |variant| {
        let row = board.rows.iter().find(|row| row.variant == variant);
        row.unwrap().scores.unwrap().average.mean
    };
    let [usual, both] = [Variant::Usual, Variant::BothTables].map(average);
    assert!(both >= usual + 0.2, "{usual} {both}");
}

/// Each seed's own halves; what is chosen on in one way is measured on in the other.
#[test]
fn halves_have_no_sample_in_common() {
    let features = |offset: f32| Array2::from_shape_fn((40, 2), |(row, _)| row as f32 + offset);
    let labels: Vec<_> = (0..40).map(|row| row % 2).collect();
    let tables = [0.0, 0.25].map(|offset| Arc::new(table(features(offset), &labels, 2)));
    let layer = repetition(0, false).layer;
    let seeds = [Seed(1), Seed(2)];
    let halves =
        Repetition::of_halves(&layer, &tables[0], [&tables[0], &tables[1]], seeds).unwrap();
    let rows = |samples: &Samples| {
        (0..20)
            .map(|it| samples.feature(it).unwrap()[0])
            .collect::<Vec<_>>()
    };
    let mut seen = Vec::new();
    for Repetition { data, .. } in &halves {
        assert_eq!([data.train().len(), data.validation().len()], [40, 20]);
        let (chosen_on, measured) = (rows(data.validation()), rows(data.evaluation()));
        assert!(measured.iter().all(|it| it.fract() == 0.25));
        let mut all: Vec<_> = chosen_on
            .iter()
            .chain(&measured)
            .map(|it| it.floor())
            .collect();
        all.sort_by(f32::total_cmp);
        assert_eq!(all, (0..40).map(|it| it as f32).collect::<Vec<_>>());
        assert!(!seen.contains(&chosen_on));
        seen.push(chosen_on);
    }
    let fewer = Arc::new(table(Array2::zeros((2, 2)), &[0, 1], 2));
    let refused = Repetition::of_halves(&layer, &fewer, [&tables[0], &fewer], seeds);
    assert!(matches!(refused, Err(crate::Error::OtherSamples)));
    let reversed: Vec<_> = (0..40).rev().collect();
    let others = Arc::new(tables[1].select(&reversed).unwrap());
    let refused = Repetition::of_halves(&layer, &fewer, [&tables[0], &others], seeds);
    assert!(matches!(refused, Err(crate::Error::OtherSamples)));
}

/// All that decides a comparison, and nothing else.
#[test]
fn a_comparison_is_known_by_what_decides_it() {
    let config = LeaderboardConfig::default();
    let of = |setting: &str, repetitions: &[Repetition], config: &LeaderboardConfig| {
        let device = "flex".parse().unwrap();
        Leaderboard::fingerprint(setting, repetitions, config, device)
            .unwrap()
            .unwrap()
    };
    let repetitions = [repetition(0, true)];
    let found = of("toy", &repetitions, &config);
    assert_eq!(found, of("toy", &[repetition(0, true)], &config));
    let mut other_layer = repetition(0, true);
    other_layer.layer =
        DecisionLayer::new(array![[0.2, 2.0], [0.0, 0.0]], array![-1.0, 0.5]).unwrap();
    let mut other_seed = repetition(0, true);
    other_seed.seed = Seed(7);
    let other_config = config.clone().with_neurons(6);
    for other in [
        of("other", &repetitions, &config),
        of("toy", &[repetition(1, true)], &config),
        of("toy", &[repetition(0, false)], &config),
        of("toy", &[other_layer], &config),
        of("toy", &[other_seed], &config),
        of("toy", &repetitions, &other_config),
    ] {
        assert_ne!(other, found);
    }
}

/// Student's interval of three values by hand: mean 2, deviation 1, 4.303 / sqrt(3).
#[test]
fn intervals_are_students() {
    let estimate = Estimate::of(&[1.0, 2.0, 3.0]);
    assert_eq!(estimate.mean, 2.0);
    assert!((estimate.margin.unwrap() - 2.4843).abs() < 1e-3);
    assert_eq!(Estimate::of(&[2.0; 40]).margin, Some(0.0));
    // Of 22 values, eleven of them 1, by 21 degrees of freedom.
    let many: Vec<f64> = (0..22).map(|it| f64::from(it % 2)).collect();
    let margin = Estimate::of(&many).margin.unwrap();
    let expected = 2.0796 * (5.5_f64 / 21.0 / 22.0).sqrt();
    assert!((margin - expected).abs() < 1e-5, "{margin}");
    assert_eq!(Estimate::of(&[2.0]).margin, None);
}
