//! Objectives as they are written by hand.

use neuroinspect_core::{ClassId, NeuronId, Unit, UnitKind};
use proptest::prelude::*;

use crate::{Error, Objective};

/// Two classes have names, and all have numbers.
fn class(name: &str) -> Result<ClassId, String> {
    match name {
        "heron" => Ok(ClassId(3)),
        "sweet pea" => Ok(ClassId(4)),
        _ => name
            .parse()
            .map(ClassId)
            .map_err(|_| "no such class".into()),
    }
}

fn parse(text: &str) -> Objective {
    Objective::parse(text, class).unwrap()
}

fn unit(layer: &str, kind: UnitKind) -> Objective {
    Objective::Unit(Unit::new(layer, kind))
}

#[test]
fn texts_are_the_expressions_they_say() {
    let tv = || Objective::TotalVariation;
    let position = UnitKind::Position {
        channel: 3,
        row: 1,
        column: 2,
    };
    for (text, expected) in [
        ("neuron", Objective::Neuron),
        (" ( logit ) ", Objective::ClassLogit),
        ("neuron + 0.5*logit", Objective::without_clip(0.5)),
        (
            "(similarity + 0.05) * (neuron + 0.45 * logit)",
            Objective::clip_illusion(0.45, 0.05),
        ),
        (
            "channel(layer3.5, 17) + 0.5 * logit(heron) - 2e-1 * total_variation",
            Objective::Sum(vec![
                unit("layer3.5", UnitKind::Channel(17)),
                Objective::Logit(ClassId(3)) * 0.5,
                tv() * -0.2,
            ]),
        ),
        (
            "logit(\"sweet pea\") * 2 * 3",
            Objective::Logit(ClassId(4)) * 6.0,
        ),
        ("channel(conv, 3, 1, 2)", unit("conv", position)),
        (
            "clamp(logit(7) - 1, -2, 3.5)",
            (Objective::Logit(ClassId(7)) + Objective::Constant(-1.0)).clamped(-2.0, 3.5),
        ),
        // A minus before a factor is that factor's.
        (
            "neuron - 2 * logit * -1",
            Objective::Sum(vec![Objective::Neuron, Objective::ClassLogit * 2.0]),
        ),
        (
            "-neuron(pool, 9)",
            unit("pool", UnitKind::Feature(NeuronId(9))) * -1.0,
        ),
    ] {
        assert_eq!(parse(text), expected, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    for (text, place, said) in [
        ("", 1, "a number, '('"),
        ("neuron +", 9, "a number, '('"),
        ("neuron logit", 8, "'+', '-', '*' or the end"),
        ("neuron + egret", 10, "total_variation"),
        ("channel(layer4 17)", 16, "','"),
        ("channel(layer4, x)", 17, "a whole number"),
        ("channel(, 1)", 9, "the name of a layer"),
        ("0.5.1 * neuron", 1, "a number"),
        ("1.2 * logit(egret)", 13, "a class (no such class)"),
        ("logit(\"heron)", 8, "a closing"),
        ("clamp(neuron, 1", 16, "','"),
        ("logit(3 4)", 9, "double quotes"),
        // Places are of characters, not of bytes.
        ("logit(\"é\") + 1", 7, "a class (no such class)"),
    ] {
        let error = Objective::parse(text, class).unwrap_err();
        let Error::ObjectiveText {
            character,
            expected,
            ..
        } = &error
        else {
            panic!("{text}: {error}")
        };
        assert_eq!(*character, place, "{text}: {error}");
        assert!(expected.contains(said), "{text}: {error}");
    }
    // What is read, but is no objective, is refused as any other.
    assert!(Objective::parse("1 + 2", class).is_err());
    assert!(Objective::parse("clamp(neuron, 2, 1)", class).is_err());
    let nested = "(".repeat(100_000) + "neuron" + &")".repeat(100_000);
    assert!(Objective::parse(&nested, class).is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in "[a-z(),.0-9+*\"é -]{0,40}") {
        if let Ok(objective) = Objective::parse(&text, class) {
            prop_assert!(objective.validate().is_ok());
        }
    }
}
