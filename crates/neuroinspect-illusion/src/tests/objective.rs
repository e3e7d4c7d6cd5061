//! Objectives as expressions.

use std::collections::BTreeMap;

use neuroinspect_core::{ClassId, LayerValues, Unit, UnitKind};
use neuroinspect_testing::assert_close;

use super::{tensor, values};
use crate::{Coupling, Error, Objective, objective::Response};

fn channel(channel: usize) -> Objective {
    Objective::Unit(Unit::new("conv", UnitKind::Channel(channel)))
}

/// Two images of one row of four pixels, of two channels of two pixels.
fn response() -> Response {
    let map = tensor(vec![1.0, 3.0, 5.0, 5.0, 0.0, 2.0, -1.0, 1.0], [2, 2, 1, 2]);
    Response {
        activation: tensor(vec![2.0, 3.0], [2]),
        logit: tensor(vec![4.0, -1.0], [2]),
        similarity: Some(tensor(vec![0.5, 0.25], [2])),
        logits: BTreeMap::from([(ClassId(7), tensor(vec![10.0, 20.0], [2]))]),
        layers: BTreeMap::from([("conv".to_owned(), LayerValues::Map(map))]),
        picture: tensor(vec![0.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.5, 0.5], [2, 1, 2, 2]),
    }
}

#[test]
fn expressions_by_hand() {
    let gamma = 0.5;
    for (objective, expected) in [
        (
            Objective::clip_illusion(gamma, 0.25),
            [0.75 * (2.0 + 2.0), 0.5 * (3.0 - 0.5)],
        ),
        (Objective::without_clip(gamma), [4.0, 2.5]),
        (Objective::feature_visualization(0.0), [2.0, 3.0]),
        (Objective::Logit(ClassId(7)) * -2.0, [-20.0, -40.0]),
        (channel(0) + channel(1) * 10.0, [2.0 + 50.0, 1.0]),
        // Down: 0 to 0, 1 to 0.5, mean 0.25; across: 1 and 0.5, mean 0.75. Down: 0.5 twice.
        (Objective::TotalVariation, [0.25 + 0.75, 0.5]),
        (
            Objective::Sum(vec![
                Objective::Constant(1.0),
                Objective::Constant(0.5) * 2.0,
                Objective::Neuron,
            ]),
            [4.0, 5.0],
        ),
        (
            Objective::Product(vec![Objective::Constant(3.0), Objective::Similarity]),
            [1.5, 0.75],
        ),
        (
            Objective::Neuron.clamped(0.0, 2.5) * Objective::ClassLogit,
            [8.0, -2.5],
        ),
        (
            Objective::Neuron * Objective::Constant(3.0).clamped(0.0, 1.0),
            [2.0, 3.0],
        ),
    ] {
        let losses = objective.losses(&response(), Coupling::PerImage).unwrap();
        assert_close(values(losses), expected.map(|value: f32| -value), 1e-6, 0.0);
    }
}

/// The mean of each factor of the outermost product, and their product.
#[test]
fn coupled_expressions_by_hand() {
    let product = Objective::clip_illusion(0.5, 0.25);
    for (objective, expected) in [
        (product.clone(), 0.625 * 3.25),
        (product.clone() * 2.0, 2.0 * 0.625 * 3.25),
        (Objective::without_clip(0.5), 3.25),
        // Within a sum it is as any other term.
        (product + Objective::Constant(0.0), (3.0 + 1.25) / 2.0),
    ] {
        let losses = objective.losses(&response(), Coupling::WholeBatch).unwrap();
        assert_close(values(losses), [-expected], 1e-6, 0.0);
    }
}

#[test]
fn an_expression_tells_what_it_needs() {
    let objective = (channel(1) + Objective::Similarity) * (channel(0) * 3.0);
    assert!(objective.needs_guide());
    assert_eq!(objective.layers(), ["conv"]);
    assert!(!Objective::without_clip(0.5).needs_guide());
    assert!(Objective::default().layers().is_empty());
}

#[test]
fn without_a_guide_the_rest_stays() {
    let rest = |objective: Objective| objective.without_guide();
    let without_clip = Objective::without_clip(0.3);
    assert_eq!(
        rest(Objective::clip_illusion(0.3, 0.05)),
        Some(without_clip.clone())
    );
    assert_eq!(rest(without_clip.clone()), Some(without_clip));
    assert_eq!(
        rest(Objective::Similarity * 2.0 + Objective::Neuron),
        Some(Objective::Neuron)
    );
    assert_eq!(
        rest((Objective::Similarity + Objective::Neuron).clamped(0.0, 1.0)),
        Some(Objective::Neuron.clamped(0.0, 1.0))
    );
    assert_eq!(rest(Objective::Similarity), None);
    // What is to be lowered still is.
    let guided = Objective::Similarity + Objective::Constant(0.05);
    for objective in [
        guided.clone() * -2.0 * Objective::Neuron,
        Objective::Similarity * -1.0 * 2.0 * Objective::Neuron,
        Objective::Neuron * (Objective::Similarity * guided * -2.0),
    ] {
        let text = objective.to_string();
        assert_eq!(rest(objective), Some(Objective::Neuron * -2.0), "{text}");
    }
    // A factor beside one that goes stays, however they are joined.
    let pair = Objective::Product(vec![Objective::Similarity, Objective::Neuron]);
    assert_eq!(
        rest(Objective::Product(vec![pair, Objective::ClassLogit])),
        Some(Objective::Product(vec![
            Objective::Neuron,
            Objective::ClassLogit
        ]))
    );
    assert_eq!(rest(Objective::Similarity + Objective::Constant(1.0)), None);
}

#[test]
fn expressions_are_written_as_they_are_nested() {
    let json = r#"{"product":[{"sum":["similarity",{"constant":0.05}]},{"sum":["neuron",{"scale":[0.5,"class_logit"]}]}]}"#;
    let objective: Objective = serde_json::from_str(json).unwrap();
    assert_eq!(objective, Objective::default());
    assert_eq!(serde_json::to_string(&objective).unwrap(), json);
    let unit = channel(3) * Objective::Logit(ClassId(7)) * -1.0;
    let json = serde_json::to_string(&unit).unwrap();
    assert_eq!(serde_json::from_str::<Objective>(&json).unwrap(), unit);
    assert_eq!(unit.to_string(), "-1 * a[channel 3 of layer conv] * z_7");
    let json = r#"{"product":[{"clamp":[0.0,1.0,"neuron"]},"class_logit"]}"#;
    let guarded: Objective = serde_json::from_str(json).unwrap();
    assert_eq!(guarded.to_string(), "clamp(a_n, 0, 1) * z_c");
    assert_eq!(serde_json::to_string(&guarded).unwrap(), json);
}

#[test]
fn expressions_that_mean_nothing_are_refused() {
    for (objective, expected) in [
        (Objective::Neuron * f64::NAN, "finite numbers"),
        (
            Objective::Neuron + Objective::Constant(f64::INFINITY),
            "finite numbers",
        ),
        (
            Objective::Neuron + Objective::Sum(vec![]),
            "at least one part in each sum and product",
        ),
        (
            Objective::Constant(1.0) * 2.0,
            "a term that depends on the picture",
        ),
        (
            Objective::Constant(1.0).clamped(0.0, 1.0),
            "a term that depends on the picture",
        ),
        (
            Objective::Neuron.clamped(0.0, f64::INFINITY),
            "finite numbers",
        ),
        (
            Objective::Neuron.clamped(1.0, 0.0),
            "the smaller number of a clamp before the larger",
        ),
    ] {
        let error = objective.validate().unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
    let mut response = response();
    response.similarity = None;
    let losses = Objective::default().losses(&response, Coupling::PerImage);
    assert!(matches!(losses.unwrap_err(), Error::MissingGuide { .. }));
}

#[test]
fn a_number_is_no_ones_gradient_and_everyones_loss() {
    let losses = Objective::Constant(0.5).losses(&response(), Coupling::PerImage);
    let losses = super::values(losses.unwrap());
    assert!(
        !losses.is_empty() && losses.iter().all(|it| *it == -0.5),
        "{losses:?}"
    );
}
