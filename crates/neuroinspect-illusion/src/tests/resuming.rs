//! Going on where an earlier run stood.

use std::ops::ControlFlow;

use ndarray::Array4;
use neuroinspect_core::{Progress, Silent};

use super::{
    SIZE, guided_networks, guided_recipe, pairs, plain_networks, plain_recipe, request,
    stopping::stop_at,
};
use crate::{
    BatchKeeper, Coupling, Diverged, Error, Illusions, ImageParameter, Initial, Networks,
    OptimizationState, Pair, Recipe, Request, TransformDraw, visualize, visualize_batches,
};

/// Keeps all it is given.
#[derive(Default)]
struct Keeper {
    go_on: Option<OptimizationState>,
    deaf: bool,
    states: Vec<OptimizationState>,
    batches: Vec<Illusions>,
}

impl BatchKeeper for Keeper {
    fn go_on(&mut self, _: &[Pair]) -> Option<OptimizationState> {
        self.go_on.take()
    }
    fn checkpoint(&mut self, state: OptimizationState) {
        self.states.push(state);
    }
    fn keeps_checkpoints(&self) -> bool {
        !self.deaf
    }
    fn finish(&mut self, batch: Illusions) {
        self.batches.push(batch);
    }
}

impl Keeper {
    fn from(state: &OptimizationState) -> Self {
        Self {
            go_on: Some(state.clone()),
            ..Self::default()
        }
    }

    fn steps(&self) -> Vec<usize> {
        self.states.iter().map(|state| state.steps).collect()
    }
}

/// From every step of a batch the rest is the very rest of a run left alone.
#[track_caller]
fn assert_goes_on(networks: &Networks, request: &Request) -> Illusions {
    let mut request = request.clone();
    request.execution.checkpoint_every = 1;
    let run = |keeper: &mut Keeper| {
        let mut heard = Vec::new();
        let mut observer = |progress: Progress<'_>| {
            heard.push((progress.done, progress.total));
            ControlFlow::Continue(())
        };
        let shortfall = visualize_batches(networks, &request, &mut observer, keeper).unwrap();
        (shortfall, heard)
    };
    let mut alone = Keeper::default();
    let (shortfall, heard) = run(&mut alone);
    let [batch] = &alone.batches[..] else {
        panic!("{} batches", alone.batches.len());
    };
    for state in &alone.states {
        let mut rest = Keeper::from(state);
        let (again, heard_again) = run(&mut rest);
        assert_eq!(again, shortfall);
        assert_eq!(heard_again, heard[state.steps..]);
        assert_eq!(rest.batches, alone.batches, "from step {}", state.steps);
        assert_eq!(rest.steps(), alone.steps()[state.steps..]);
    }
    batch.clone()
}

#[test]
fn a_batch_goes_on_to_the_same_bits() {
    let guided = guided_recipe();
    for recipe in [
        guided.clone(),
        guided.clone().with_transform_draw(TransformDraw::PerImage),
        guided.clone().with_coupling(Coupling::WholeBatch),
        guided.with_parameter(ImageParameter::Pixels),
    ] {
        let request = request(pairs([(0, 1), (5, 3)]), &recipe);
        let batch = assert_goes_on(&guided_networks(SIZE), &request);
        assert_eq!(batch.finished.len(), 2);
        let made = visualize(&guided_networks(SIZE), &request, &mut Silent).unwrap();
        assert_eq!(batch.finished, made.finished);
    }
}

/// The second of two pairs starts from no number; then both leave the numbers, where nobody looks
/// before step 7.
#[test]
fn a_batch_with_a_pair_that_diverged_goes_on_to_the_same_bits() {
    let mut spectra = Array4::zeros((2, 3, SIZE, SIZE));
    spectra[[1, 0, 0, 0]] = f32::NAN;
    let mut request = request(pairs([(1, 2), (4, 0)]), &plain_recipe())
        .with_initial(Initial::Parameters(spectra));
    let batch = assert_goes_on(&plain_networks(), &request);
    assert_eq!(batch.finished.len(), 1);
    let diverged = Diverged {
        pair: request.pairs[1],
        step: 0,
    };
    assert_eq!(batch.diverged, [diverged]);

    request.initial = Initial::Noise;
    request.recipe.learning_rate = 1e300;
    request.execution.trace_every = 7;
    let batch = assert_goes_on(&plain_networks(), &request);
    assert_eq!(batch.diverged.len(), 2, "which is no error of the batch's");
    assert_eq!(batch.diverged[0].step, 7);
}

#[test]
fn checkpoints_come_as_often_as_asked_for_and_when_the_work_is_stopped() {
    let networks = plain_networks();
    let mut request = request(pairs([(0, 1), (5, 3), (2, 0)]), &plain_recipe());
    request.execution.batch_size = 2;
    request.execution.checkpoint_every = 5;
    let run = |keeper: &mut Keeper, stop: usize| {
        let _ = visualize_batches(&networks, &request, &mut stop_at(stop), keeper).unwrap();
        keeper.steps()
    };
    let steps = |stop| run(&mut Keeper::default(), stop);
    assert_eq!(steps(3), [3]);
    assert_eq!(steps(5), [5]);
    assert_eq!(steps(7), [5, 7]);
    // Of a batch that has ended there is nothing to go on with.
    assert_eq!(steps(12), [5, 10]);
    assert_eq!(steps(13), [5, 10, 1]);
    assert_eq!(steps(24), [5, 10, 5, 10]);

    let mut stopped = Keeper::default();
    run(&mut stopped, 7);
    assert!(stopped.batches[0].interrupted);
    let mut rest = Keeper::from(&stopped.states[1]);
    assert_eq!(run(&mut rest, 9), [9]);
    assert!(rest.batches[0].interrupted);
    let mut rest = Keeper::from(&rest.states[0]);
    assert_eq!(run(&mut rest, 24), [10, 5, 10]);
    let alone = visualize(&networks, &request, &mut Silent).unwrap();
    let made: Vec<_> = rest
        .batches
        .into_iter()
        .flat_map(|it| it.finished)
        .collect();
    assert_eq!(made, alone.finished);

    let mut deaf = Keeper {
        deaf: true,
        ..Keeper::default()
    };
    assert!(run(&mut deaf, 7).is_empty());
}

/// Both of them leave out what has diverged.
#[test]
fn pictures_of_a_state_are_those_of_the_stopped_batch() {
    let networks = plain_networks();
    let mut spectra = Array4::zeros((2, 3, SIZE, SIZE));
    spectra[[1, 0, 0, 0]] = f32::NAN;
    for (initial, whole) in [(Initial::Noise, 2), (Initial::Parameters(spectra), 1)] {
        let request = request(pairs([(1, 2), (4, 0)]), &plain_recipe()).with_initial(initial);
        let mut kept = Keeper::default();
        let _ = visualize_batches(&networks, &request, &mut stop_at(7), &mut kept).unwrap();
        let pictures = kept.states[0].pictures(&networks, &request).unwrap();
        assert_eq!(pictures.len(), whole);
        let stopped = kept.batches.remove(0).finished.into_iter();
        let stopped: Vec<_> = stopped.map(|it| (it.pair, it.image)).collect();
        assert_eq!(pictures, stopped);
    }
}

#[test]
fn a_state_of_another_size_has_no_pictures() {
    let networks = plain_networks();
    let request = request(pairs([(0, 1)]), &plain_recipe());
    let mut kept = Keeper::default();
    let _ = visualize_batches(&networks, &request, &mut stop_at(7), &mut kept).unwrap();
    let mut state = kept.states.remove(0);
    state.parameter = Array4::zeros((1, 3, SIZE, 2));
    let error = state.pictures(&networks, &request).unwrap_err();
    let what = "shape of parameters";
    assert!(
        matches!(error, Error::OtherState { what: found } if found == what),
        "{error}"
    );
}

#[test]
fn a_state_of_another_optimisation_is_refused() {
    let networks = plain_networks();
    let good = request(pairs([(0, 1), (5, 3)]), &plain_recipe());
    let mut kept = Keeper::default();
    let _ = visualize_batches(&networks, &good, &mut stop_at(7), &mut kept).unwrap();
    let state = &kept.states[0];
    let refused = |request: &Request, change: fn(&mut OptimizationState)| {
        let mut keeper = Keeper::from(state);
        keeper.go_on.as_mut().map(change);
        match visualize_batches(&networks, request, &mut Silent, &mut keeper).unwrap_err() {
            Error::OtherState { what } => what,
            other => panic!("{other}"),
        }
    };
    let with = |recipe: Recipe| request(good.pairs.clone(), &recipe);
    let longer = with(plain_recipe().with_steps(13));
    assert_eq!(refused(&longer, |_| ()), "recipe");
    let swapped = request(pairs([(5, 3), (0, 1)]), &good.recipe);
    assert_eq!(refused(&swapped, |_| ()), "list of pairs");
    assert_eq!(
        refused(&good, |it| it.traces.truncate(1)),
        "number of traces"
    );
    assert_eq!(refused(&good, |it| it.steps = 0), "number of steps");
    assert_eq!(refused(&good, |it| it.steps = 13), "number of steps");
    let cut = |it: &mut OptimizationState| it.first_moment = Array4::zeros((2, 3, SIZE, 2));
    assert_eq!(refused(&good, cut), "shape of parameters");
}
