use ndarray::{Array2, array};
use neuroinspect_core::{DecisionLayer, FeatureTable, Silent};
use neuroinspect_counterfactual::{NeuronStability, Overlap};
use neuroinspect_report::{ChangeOf, NeuronChange};
use neuroinspect_testing::tables;

use super::{
    earlier::{range, relied_on},
    *,
};

fn parsed(limits: &[&str]) -> CheckConfig {
    let limits: Vec<Limit> = limits.iter().map(|limit| limit.parse().unwrap()).collect();
    CheckConfig::default().with_limits(limits)
}

fn checked(
    table: &FeatureTable,
    layer: &DecisionLayer,
    config: &CheckConfig,
    earlier: Option<&CheckReport>,
) -> Result<CheckReport> {
    let predicted = table.predicted_by(layer).unwrap();
    check(&predicted, config, earlier, &Device::flex(), &mut Silent)
}

/// Class 0 is neuron 0, class 1 neuron 1; of 40 samples each, 30 of class 0 and all of class 1 are
/// right.
fn table() -> FeatureTable {
    let features = Array2::from_shape_fn((80, 3), |(sample, neuron)| match (sample, neuron) {
        (0..30, 0) | (30..80, 1) => 1.0,
        (_, 2) => 0.25,
        _ => 0.0,
    });
    let labels: Vec<usize> = (0..80).map(|sample| usize::from(sample >= 40)).collect();
    tables::table(features, &labels, 2)
}

fn layer() -> DecisionLayer {
    tables::layer(array![[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
}

fn outcomes(report: &CheckReport) -> Vec<(&str, bool, &str)> {
    let checks = report.checks.iter();
    checks
        .map(|it| (it.name.as_str(), it.passed, it.found.as_str()))
        .collect()
}

#[test]
fn limits_hold_or_do_not() {
    let config = parsed(&[
        "average=0.875",
        "worst_class=0.8",
        "class.class 1=1",
        "class.0=0.75",
    ]);
    let report = checked(&table(), &layer(), &config, None).unwrap();
    assert_eq!(
        outcomes(&report),
        [
            ("average at least 87.5%", true, "87.5%"),
            ("worst_class at least 80.0%", false, "75.0% (class 0)"),
            ("class.class 1 at least 100.0%", true, "100.0%"),
            ("class.0 at least 75.0%", true, "75.0%"),
        ]
    );
    assert!(!report.passed());
    assert!(report.changes.is_empty());
    let [of_mistakes, of_none] = report.classes.as_slice() else {
        panic!("two classes");
    };
    assert_eq!(of_mistakes.ranking.as_ref().unwrap().mistakes, 10);
    assert_eq!(of_none.ranking, None);
    assert_eq!(of_mistakes.relies_on.len(), 3);
}

#[test]
fn limits_of_nothing_are_refused_by_name() {
    for (limits, reason) in [
        ("worst_group=0.5", "the samples have no groups"),
        ("group.sea=0.5", "the samples have no groups"),
        ("class.clas 1=0.5", "class 1"),
        ("class.7=0.5", "7"),
    ] {
        let error = checked(&table(), &layer(), &parsed(&[limits]), None).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    for text in [
        "worst_class",
        "worst=0.5",
        "class.=0.5",
        "average=1.5",
        "average=-1",
        "average=x",
        "=0.5",
    ] {
        assert!(text.parse::<Limit>().is_err(), "{text}");
    }
    let limit: Limit = "class.a=b=0.5".parse().unwrap();
    assert_eq!(limit.of, Measure::Class("a=b".into()));
}

#[test]
fn against_itself_nothing_changed() {
    let config = CheckConfig::default();
    let first = checked(&table(), &layer(), &config, None).unwrap();
    assert!(first.checks.is_empty() && first.passed());
    let again = checked(&table(), &layer(), &config, Some(&first)).unwrap();
    assert!(again.passed(), "{:?}", again.checks);
    assert!(again.changes.is_empty(), "{:?}", again.changes);
    let names: Vec<_> = again
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "average fell by no more than 2.0%",
            "worst_class fell by no more than 2.0%",
            "class.class 0 fell by no more than 2.0%",
            "class.class 1 fell by no more than 2.0%",
            "no neuron is behind more mistakes of class 0",
            "class 0 relies on no neuron more",
            "no neuron is behind more mistakes of class 1",
            "class 1 relies on no neuron more",
        ]
    );
}

/// The second layer takes neuron 2, which is always active, for class 1: 30 samples more are wrong, and
/// neuron 2 is behind all mistakes of class 0.
#[test]
fn what_became_worse_fails_and_what_became_better_is_told() {
    let config = CheckConfig::default()
        .with_ranking(RankingConfig::default().with_top(1))
        .with_least_mistakes(10);
    let worse = tables::layer(array![[4.0, 0.0, -20.0], [0.0, 4.0, 20.0]]);
    let before = checked(&table(), &layer(), &config, None).unwrap();
    let after = checked(&table(), &worse, &config, Some(&before)).unwrap();
    let failed: Vec<_> = after.checks.iter().filter(|check| !check.passed).collect();
    let names: Vec<_> = failed.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "average fell by no more than 2.0%",
            "worst_class fell by no more than 2.0%",
            "class.class 0 fell by no more than 2.0%",
            "no neuron is behind more mistakes of class 0",
            "class 0 relies on no neuron more",
            "class 1 relies on no neuron more",
        ]
    );
    let behind = &failed[3].found;
    assert!(
        behind.contains("neuron 2: share of mistakes in which it is too strong 100.0%"),
        "{behind}"
    );
    let relied = &failed[4].found;
    assert!(relied.contains("neuron 2: importance"), "{relied}");
    // The other way round the same neuron is told of, and nothing fails but what is lost with it.
    let back = checked(&table(), &layer(), &config, Some(&after)).unwrap();
    let change = (back.changes.iter())
        .find(|it| it.neuron == NeuronId(2) && it.of == ChangeOf::Excessive)
        .unwrap();
    assert_eq!(
        (change.before, change.after, change.grew),
        (Some(1.0), None, false)
    );
    let names: Vec<_> = back
        .checks
        .iter()
        .filter(|it| it.name.contains("fell"))
        .collect();
    assert!(names.iter().all(|check| check.passed), "{names:?}");
}

/// What is on the other side of 1 counts as 1, and what is not listed as anything nearer than the last.
#[test]
fn reliance_grows_on_the_side_where_it_is() {
    let report = checked(&table(), &layer(), &CheckConfig::default(), None).unwrap();
    let relying = |(neuron, importance)| ClassCheck {
        class: ClassId(0),
        ranking: None,
        stability: None,
        relies_on: vec![Reliance {
            neuron: NeuronId(neuron),
            importance,
        }],
    };
    for (before, now, expected) in [
        ((0, 2.0), (0, 2.6), vec![(0, true)]),
        ((0, 2.0), (0, 2.4), vec![]),
        ((0, 2.6), (0, 2.0), vec![(0, false)]),
        ((0, 0.5), (0, 0.39), vec![(0, true)]),
        // Turned: hardly anything is left of it, or it is a new one.
        ((0, 2.0), (0, 0.9), vec![(0, false)]),
        ((0, 1.05), (0, 0.97), vec![]),
        ((0, 1.05), (0, 0.7), vec![(0, true)]),
        ((0, 0.5), (0, 2.0), vec![(0, true)]),
        // Neuron 1 overtook 0, of which nothing is known but that it is behind.
        ((0, 1.5), (1, 3.0), vec![(1, true)]),
        ((0, 3.0), (1, 1.5), vec![(0, false)]),
    ] {
        let [then, now] = [before, now].map(relying);
        let mut changes = Vec::new();
        let check = relied_on(&report, [&now, &then], 1.25, &mut changes);
        let found: Vec<_> = (changes.iter())
            .map(|change| (change.neuron.0, change.grew))
            .collect();
        assert_eq!(found, expected, "{before:?}");
        assert_eq!(check.passed, !expected.iter().any(|(_, grew)| *grew));
    }
}

#[test]
fn a_class_is_looked_at_once_and_said_where_it_was_not_looked_at() {
    let of =
        |classes: [usize; 2]| CheckConfig::default().with_classes(classes.map(ClassId).to_vec());
    let earlier = checked(&table(), &layer(), &of([0, 0]), None).unwrap();
    assert_eq!(earlier.classes.len(), 1);
    let report = checked(&table(), &layer(), &of([1, 0]), Some(&earlier)).unwrap();
    assert_eq!(report.classes.len(), 2);
    assert_eq!(
        outcomes(&report).last().unwrap(),
        &(
            "neurons of class 1",
            true,
            "not compared: the earlier check did not look at them"
        )
    );
}

/// JSON would have null in its place, and not be read again.
#[test]
fn what_json_cannot_hold_is_refused() {
    let report = checked(&table(), &layer(), &CheckConfig::default(), None).unwrap();
    report.validate().unwrap();
    let spoilt = |spoil: fn(&mut CheckReport)| {
        let mut report = report.clone();
        spoil(&mut report);
        report.validate().unwrap_err().to_string()
    };
    let error = spoilt(|it| {
        it.changes.push(NeuronChange {
            class: ClassId(0),
            neuron: NeuronId(2),
            of: ChangeOf::Importance,
            before: None,
            after: Some(f64::INFINITY),
            grew: true,
        });
    });
    assert!(error.contains("a change of neuron 2"), "{error}");
    let error = spoilt(|it| it.classes[0].stability.as_mut().unwrap().same_first = f64::NAN);
    assert!(error.contains("stability"), "{error}");
}

#[test]
fn few_mistakes_are_not_compared() {
    let config = CheckConfig::default();
    let before = checked(&table(), &layer(), &config, None).unwrap();
    let after = checked(&table(), &layer(), &config, Some(&before)).unwrap();
    let check = (after.checks.iter())
        .find(|it| it.name.contains("mistakes of class 0"))
        .unwrap();
    assert_eq!(
        check.found,
        "not compared: 10 mistakes now, 10 before, and 20 are needed"
    );
}

#[test]
fn another_width_is_compared_by_accuracies_alone_and_other_classes_are_refused() {
    let config = CheckConfig::default();
    let narrow = tables::table(array![[1.0], [0.0]], &[0, 1], 2);
    let of_narrow = tables::layer(array![[1.0], [0.0]]);
    let earlier = checked(&narrow, &of_narrow, &config, None).unwrap();
    let report = checked(&table(), &layer(), &config, Some(&earlier)).unwrap();
    assert!(
        report
            .checks
            .iter()
            .all(|check| check.name.contains("fell"))
    );
    let three = tables::table(array![[1.0]], &[0], 3);
    let of_three = tables::layer(array![[1.0], [0.0], [0.0]]);
    let earlier = checked(&three, &of_three, &config, None).unwrap();
    let error = checked(&table(), &layer(), &config, Some(&earlier)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("of 3 classes (class 0, class 1, class 2)"),
        "{error}"
    );
}

#[test]
fn options_out_of_range_are_refused() {
    let default = CheckConfig::default;
    for (option, config) in [
        ("tolerance", default().with_tolerance(1.5)),
        ("factor", default().with_factor(1.0)),
        ("relies_on", default().with_relies_on(0)),
        (
            "top",
            default().with_ranking(RankingConfig::default().with_top(0)),
        ),
    ] {
        let error = checked(&table(), &layer(), &config, None).unwrap_err();
        assert!(error.to_string().starts_with(option), "{error}");
    }
    let config = default().with_classes(vec![ClassId(2)]);
    assert!(checked(&table(), &layer(), &config, None).is_err());
}

/// prec@10 is above prec@5 of the same mistakes.
#[test]
fn an_earlier_check_with_other_options_is_refused() {
    let config = CheckConfig::default();
    let before = checked(&table(), &layer(), &config, None).unwrap();
    let other_top = config
        .clone()
        .with_ranking(RankingConfig::default().with_top(10));
    let counterfactual = CounterfactualConfig::default;
    let other_norm = config
        .clone()
        .with_counterfactual(counterfactual().with_lambda1(0.2));
    for (config, message) in [
        (other_top, "ranking.top = 5, this one is with 10"),
        (
            other_norm,
            "counterfactual.lambda1 = 0.1, this one is with 0.2",
        ),
    ] {
        let error = checked(&table(), &layer(), &config, Some(&before)).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
    let split = config
        .clone()
        .with_counterfactual(counterfactual().with_batch_size(7));
    checked(&table(), &layer(), &split, Some(&before)).unwrap();
    // What neurons are not compared by, may be otherwise.
    let narrow = tables::table(array![[1.0], [0.0]], &[0, 1], 2);
    let of_narrow = tables::layer(array![[1.0], [0.0]]);
    let other = config
        .clone()
        .with_ranking(RankingConfig::default().with_top(10));
    checked(&narrow, &of_narrow, &other, Some(&before)).unwrap();
    // An option of another version does not hide what is known.
    let mut newer = before.clone();
    let ranking = newer.run.configs.get_mut("ranking").unwrap();
    ranking["new"] = 1.into();
    checked(&table(), &layer(), &split, Some(&newer)).unwrap();
    let error = checked(&table(), &layer(), &other, Some(&newer)).unwrap_err();
    assert!(error.to_string().contains("ranking.top"), "{error}");
    // A check that does not say its options.
    let mut silent = before;
    silent.run.configs.clear();
    checked(&table(), &layer(), &split, Some(&silent)).unwrap();
}

/// One vote less, and a neuron is not listed: what it may have had is much the same.
#[test]
fn a_neuron_that_is_not_listed_may_have_had_as_much_as_those_below_a_list() {
    let config = RankingConfig::default().with_max_listed(2);
    let listed = |neuron, high| NeuronStability {
        neuron: NeuronId(neuron),
        prec_at_k: [0.02, high],
        in_first: 1.0,
    };
    let list = [listed(4, 0.3), listed(6, 0.2)];
    assert_eq!(range(&list, NeuronId(6), 300, &config), [0.02, 0.2]);
    // No more than the last of a list that is full.
    assert_eq!(range(&list, NeuronId(7), 300, &config), [0.0, 0.2]);
    // 9 of 300 are 3 %: not above it, and by Wilson's interval from 1.6 to 5.6 %.
    let [low, high] = range(&list[..1], NeuronId(7), 300, &config);
    assert!(low == 0.0 && (high - 0.056).abs() < 5e-4, "{high}");
    // Of none, none.
    assert_eq!(range(&[], NeuronId(7), 0, &config), [0.0, 0.0]);
}

/// Where what stands in both lists is left out, one that is not listed may be behind any share.
#[test]
fn a_neuron_that_may_be_left_out_of_both_lists_is_not_compared() {
    let worse = tables::layer(array![[4.0, 0.0, -20.0], [0.0, 4.0, 20.0]]);
    for (overlap, compared) in [(Overlap::Keep, true), (Overlap::Drop, false)] {
        let config = CheckConfig::default()
            .with_ranking(RankingConfig::default().with_top(1).with_overlap(overlap))
            .with_least_mistakes(10);
        let before = checked(&table(), &layer(), &config, None).unwrap();
        let after = checked(&table(), &worse, &config, Some(&before)).unwrap();
        let said = outcomes(&after);
        let said = said
            .iter()
            .any(|it| it.2.contains("not compared, as neurons"));
        assert_eq!(said, !compared, "{overlap:?}");
        let of_a_list = |change: &&NeuronChange| change.of != ChangeOf::Importance;
        let grown = after.changes.iter().filter(of_a_list).any(|it| it.grew);
        assert_eq!(grown, compared, "{overlap:?}: {:?}", after.changes);
    }
}
