//! What is said of claims.

use std::collections::BTreeMap;

use super::{
    super::{
        measured::Measurement,
        result::{Repeated, UNFLIPPED},
        *,
    },
    RIGHT, TOYS, Toy, config,
};

/// Measurements of a column "right" in tables, by row, in two repetitions each.
fn repetitions(rows: &[(&str, &str, [f64; 2])]) -> Vec<Repeated> {
    let measurement = |table: &str, row: &str, value: f64| Measurement {
        table: table.to_owned(),
        row: row.to_owned(),
        column: "right".to_owned(),
        unit: Unit::Share,
        value,
    };
    let repeated = |which: usize| Repeated {
        seed: Seed(which as u64),
        values: rows
            .iter()
            .map(|(table, row, values)| measurement(table, row, values[which]))
            .collect(),
        labels: BTreeMap::new(),
        pictures: Some(Vec::new()),
        ledgers: BTreeMap::from([(
            RIGHT.name.to_owned(),
            BTreeMap::from([(UNFLIPPED.to_owned(), 0.5)]),
        )]),
        seconds: 1.0,
    };
    vec![repeated(0), repeated(1)]
}

/// A claim that holds in one table, of which the opposite holds in another, and that is open in a third.
#[test]
fn a_claim_is_tested_in_every_table_that_has_its_rows() {
    let repetitions = repetitions(&[
        ("up", "before", [0.1, 0.1]),
        ("up", "after", [0.5, 0.5]),
        ("down", "before", [0.5, 0.5]),
        ("down", "after", [0.1, 0.1]),
        ("open", "before", [0.1, 0.9]),
        ("open", "after", [0.9, 0.1]),
        ("same", "before", [0.3, 0.3]),
        ("same", "after", [0.3, 0.3]),
        ("other", "before", [0.5, 0.5]),
        (claims::MEAN, "before", [0.1, 0.1]),
        (claims::MEAN, "after", [0.5, 0.5]),
    ]);
    let result = ExperimentResult::of(&TOYS, &config(2), Toy.source(), &repetitions);
    let claim = &result.claims[0];
    assert_eq!(claim.verdict, ClaimVerdict::SupportedInPart);
    let tested: Vec<_> = claim
        .tests
        .iter()
        .map(|it| (&*it.table, it.verdict))
        .collect();
    assert_eq!(
        tested,
        [
            ("up", ClaimVerdict::Supported),
            ("down", ClaimVerdict::Contradicted),
            ("open", ClaimVerdict::Undecided),
            ("same", ClaimVerdict::NotTested),
        ]
    );
    let page = result.to_markdown(&TOYS);
    for said in [
        "up: +40.0 ± 0.0 (support it); down: -40.0 ± 0.0 (contradict it)",
        "same: +0.0 ± 0.0 (do not test it: every row has the same number in every repetition)",
        " | support it in 1 of 4 tables, contradict it in 1 of 4 tables |\n",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    // Without a flipped headline there is no line of a ledger.
    assert!(result.ledgers.is_empty());
}

/// What is no better than guessing tells nothing of a comparison.
#[test]
fn rows_at_chance_test_no_claim() {
    let verdict = |rule: ClaimRule, [higher, than]: [[f64; 2]; 2]| {
        let repetitions = repetitions(&[("toys", "higher", higher), ("toys", "than", than)]);
        let claim = rule.test(&["toys".to_owned()], &repetitions, &Toy.source());
        (claim.verdict, claim.tests[0].reason)
    };
    let ahead = ClaimRule::new("It is ahead", ["higher", "than"], RIGHT);
    let guessed = [[0.21, 0.19], [0.17, 0.19]];
    assert_eq!(verdict(ahead, guessed).0, ClaimVerdict::Undecided);
    assert_eq!(
        verdict(ahead.beyond(0.2), guessed),
        (ClaimVerdict::NotTested, Some("neither row is above chance"))
    );
    let told = [[0.9, 0.9], [0.17, 0.19]];
    assert_eq!(verdict(ahead.beyond(0.2), told).0, ClaimVerdict::Supported);
    // No lower by a tenth: a row that could not be lower by as much is no match.
    let as_good = ahead.by(-0.1).beyond(0.2);
    let (found, reason) = verdict(as_good, [[0.2, 0.2], [0.25, 0.25]]);
    assert_eq!(found, ClaimVerdict::NotTested);
    assert!(reason.unwrap().contains("none could be lower"));
    let [good, bad] = [[0.5, 0.5], [0.2, 0.2]];
    assert_eq!(
        verdict(as_good, [good, good]).0,
        ClaimVerdict::NotTested,
        "one number"
    );
    assert_eq!(
        verdict(as_good, [[0.55, 0.55], good]).0,
        ClaimVerdict::Supported
    );
    assert_eq!(verdict(as_good, [bad, good]).0, ClaimVerdict::Contradicted);
}

/// The halves of the same samples have half of them in common.
#[test]
fn intervals_over_halves_are_widened() {
    let plain = Toy.source();
    let halves = Source {
        measured_on: MeasuredOn::Halves,
        ..plain.clone()
    };
    let margin = |source: &Source, values: &[f64]| source.estimate(values).unwrap().margin;
    let values = [0.1, 0.2, 0.3];
    let factor = margin(&halves, &values).unwrap() / margin(&plain, &values).unwrap();
    assert!((factor - 2.0).abs() < 1e-12);
    assert_eq!(margin(&halves, &[0.1]), None);
}
