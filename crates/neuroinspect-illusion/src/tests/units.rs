//! Pictures of units of any layer.

use neuroinspect_core::{ClassId, Direction, Error as CoreError, NeuronId, Silent, Unit, UnitKind};
use neuroinspect_testing::largest_difference;

use super::{NEURONS, SIZE, pairs, plain_recipe, preparing::Watched, request};
use crate::{Error, Execution, Illusion, Networks, Objective, Recipe, Request, Result, visualize};

fn unit(layer: &str, kind: UnitKind) -> Unit {
    Unit::new(layer, kind)
}

fn recipe() -> Recipe {
    plain_recipe().with_objective(Objective::Neuron)
}

fn pictures(request: &Request) -> Result<Vec<Illusion>> {
    let networks = Networks::of(&Watched::new(SIZE), None).unwrap();
    Ok(visualize(&networks, request, &mut Silent)?.finished)
}

fn of_units<const N: usize>(units: [Unit; N]) -> Result<Vec<Illusion>> {
    let request = Request::of_units(units.to_vec(), ClassId(0), recipe());
    pictures(&request.with_execution(Execution::default().with_trace_every(4)))
}

/// The map's channels are the neurons here, before their mean.
#[test]
fn a_channel_is_pictured_and_masked_as_the_neuron_that_is_its_mean() {
    let channel = unit("conv", UnitKind::Channel(2));
    let found = of_units([channel.clone()]).unwrap().remove(0);
    let neuron = pictures(&request(pairs([(2, 0)]), &recipe())).unwrap();
    assert!(largest_difference(&found.image, &neuron[0].image) < 1e-5);
    assert_eq!(found.mask, neuron[0].mask);
    assert!(found.mask.is_some());
    assert!((found.activation - neuron[0].activation).abs() < 1e-5);
    assert_eq!((&found.unit, &neuron[0].unit), (&Some(channel), &None));
}

#[test]
fn units_of_several_layers_are_pictured_together_as_alone() {
    let position = UnitKind::Position {
        channel: 1,
        row: 3,
        column: 4,
    };
    let halves = Direction::new("halves", &[0.5; NEURONS]);
    let units = [
        unit("conv", UnitKind::Channel(1)),
        unit("conv", position),
        unit("features", UnitKind::Feature(NeuronId(1))),
        unit("features", UnitKind::Direction(halves)),
    ];
    let together = of_units(units.clone()).unwrap();
    for (index, (unit, found)) in units.into_iter().zip(&together).enumerate() {
        let alone = of_units([unit]).unwrap().remove(0);
        assert!(largest_difference(&alone.image, &found.image) < 1e-5);
        assert_eq!((&alone.unit, &alone.mask), (&found.unit, &found.mask));
        // Of features it is not known where they are active.
        assert_eq!(found.mask.is_some(), index < 2);
    }
    let apart = largest_difference(&together[0].image, &together[1].image);
    assert!(apart > 1e-2, "{apart}");
}

/// The same random numbers belong to both: those of neuron 0 within class 0.
#[test]
fn a_direction_is_pictured_as_the_sum_of_its_channels() {
    let weights: Vec<f32> = (0..NEURONS).map(|it| 1.0 - 0.5 * it as f32).collect();
    let direction = UnitKind::Direction(Direction::new("falling", &weights));
    let found = of_units([unit("conv", direction)]).unwrap().remove(0);
    let channel = |(channel, &weight): (usize, &f32)| {
        let channel = Objective::Unit(unit("conv", UnitKind::Channel(channel)));
        channel * f64::from(weight)
    };
    let sum = Objective::Sum(weights.iter().enumerate().map(channel).collect());
    let expected = pictures(&request(pairs([(0, 0)]), &recipe().with_objective(sum))).unwrap();
    let apart = largest_difference(&found.image, &expected[0].image);
    assert!(apart < 1e-4, "{apart}");
    let (loss, expected) = (found.trace[2].loss, expected[0].trace[2].loss);
    assert!((loss - expected).abs() < 1e-4, "{loss}, not {expected}");
}

#[test]
fn units_that_are_not_there_are_refused_before_the_first_step() {
    for (layer, kind) in [
        ("conf", UnitKind::Channel(0)),
        ("conv", UnitKind::Channel(NEURONS)),
        (
            "features",
            UnitKind::Direction(Direction::new("short", &[1.0])),
        ),
    ] {
        let error = of_units([unit(layer, kind)]).unwrap_err();
        let expected = CoreError::UnknownLayer {
            model: "watched".to_owned(),
            layer: layer.to_owned(),
            hint: " did you mean 'conv'?".to_owned(),
        };
        match error {
            Error::Core(CoreError::Unit { layer: named, .. }) => assert_eq!(named, layer),
            Error::Core(error) => assert_eq!(error.to_string(), expected.to_string()),
            other => panic!("{other}"),
        }
    }
    let mut request = Request::of_units(Vec::new(), ClassId(0), recipe());
    request.pairs = pairs([(0, 0), (1, 0)]).to_vec();
    request.units = vec![unit("conv", UnitKind::Channel(0))];
    let error = pictures(&request).unwrap_err().to_string();
    assert!(error.contains("units of the request"), "{error}");
}
