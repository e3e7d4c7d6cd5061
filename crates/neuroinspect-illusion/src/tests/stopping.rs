//! What is left when the work is stopped, and when it is handed over.

use std::{cell::RefCell, ops::ControlFlow};

use ndarray::Array4;
use neuroinspect_core::{Progress, Silent};
use neuroinspect_testing::assert_close;

use super::{SIZE, pairs, plain_networks, plain_recipe, preparing::Watched, request};
use crate::{
    Augmentation, Diverged, Illusions, Initial, Networks, Pair, Request, Shortfall, visualize,
    visualize_each,
};

/// An observer that breaks off after some steps.
pub(super) fn stop_at(steps: usize) -> impl FnMut(Progress<'_>) -> ControlFlow<()> {
    move |progress| match progress.done >= steps {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

fn in_twos(pairs: impl Into<Vec<Pair>>) -> Request {
    let mut request = request(pairs, &plain_recipe());
    request.execution.batch_size = 2;
    request
}

#[test]
fn stopping_keeps_what_the_batch_under_way_has_come_to() {
    let networks = plain_networks();
    let request = in_twos(pairs([(0, 1), (5, 3), (2, 0)]));
    let run = |steps: usize| {
        let mut heard = Vec::new();
        let mut stop = stop_at(steps);
        let mut observer = |progress: Progress<'_>| {
            heard.push((progress.done, progress.total));
            stop(progress)
        };
        let illusions = visualize(&networks, &request, &mut observer).unwrap();
        assert_eq!(heard.last(), Some(&(steps, 24)));
        let steps: Vec<usize> = illusions.finished.iter().map(|one| one.steps).collect();
        (steps, illusions.interrupted)
    };
    assert_eq!(run(1), (vec![1, 1], true));
    assert_eq!(run(5), (vec![5, 5], true));
    // Between two batches: the next one has no steps, and no pictures.
    assert_eq!(run(12), (vec![12, 12], true));
    assert_eq!(run(17), (vec![12, 12, 5], true));
    assert_eq!(run(23), (vec![12, 12, 11], true));
    assert_eq!(run(24), (vec![12, 12, 12], false));
}

/// A picture stopped half-way is the picture at that step: the annealing still goes over all. With
/// nothing between the picture and the networks, its scores are those that the full run had there.
#[test]
fn an_unfinished_picture_is_the_one_at_that_step() {
    let networks = plain_networks();
    let still = plain_recipe()
        .with_augmentation(Augmentation::off())
        .with_smoothing(0.0);
    let request = request(pairs([(0, 1)]), &still);
    let all = visualize(&networks, &request, &mut Silent).unwrap();
    let stopped = visualize(&networks, &request, &mut stop_at(8)).unwrap();
    let (all, stopped) = (&all.finished[0], &stopped.finished[0]);
    assert_eq!(stopped.steps, 8);
    assert_eq!(stopped.trace, all.trace[..2], "steps 0 and 4");
    let then = all.trace[2];
    assert_eq!(then.step, 8);
    assert_close(
        [stopped.activation, stopped.logit],
        [then.activation, then.logit],
        0.0,
        1e-6,
    );
    assert_ne!(stopped.image, all.image);
    let mut values = stopped.image.iter();
    assert!(values.all(|value| (0.0..=1.0).contains(value)));
}

#[test]
fn pictures_are_handed_over_batch_by_batch() {
    let networks = plain_networks();
    let request = in_twos(pairs([(0, 1), (5, 3), (2, 0)]));
    let log = RefCell::new(Vec::new());
    let mut observer = |progress: Progress<'_>| {
        log.borrow_mut().push(progress.done);
        ControlFlow::Continue(())
    };
    let mut handed = Vec::new();
    let shortfall = visualize_each(&networks, &request, &mut observer, &mut |batch| {
        let steps_done = log.borrow().last().copied();
        handed.push((steps_done, batch));
    })
    .unwrap();
    assert_eq!(shortfall, Shortfall::default());
    let (after, handed): (Vec<_>, Vec<_>) = handed.into_iter().unzip();
    assert_eq!(after, [Some(12), Some(24)]);
    assert_eq!(handed.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    let kept = visualize(&networks, &request, &mut Silent).unwrap();
    assert_eq!(handed.concat(), kept.finished);
}

/// Of the first batch both pairs start from no number, and of the second the first.
#[test]
fn a_batch_that_diverges_counts_as_done() {
    let net = Watched::new(SIZE);
    let networks = Networks::of(&net, None).unwrap();
    let mut spectra = Array4::zeros((4, 3, SIZE, SIZE));
    for pair in 0..3 {
        spectra[[pair, 0, 0, 0]] = f32::NAN;
    }
    let request =
        in_twos(pairs([(0, 1), (5, 3), (2, 0), (3, 3)])).with_initial(Initial::Parameters(spectra));
    let run = |stop: usize| {
        net.take_looks();
        let mut heard = Vec::new();
        let mut stop = stop_at(stop);
        let mut observer = |progress: Progress<'_>| {
            heard.push(progress.done);
            assert_eq!(progress.total, 24);
            stop(progress)
        };
        let illusions = visualize(&networks, &request, &mut observer).unwrap();
        let diverged: Vec<Pair> = illusions.diverged.iter().map(|one| one.pair).collect();
        let steps: Vec<usize> = illusions.finished.iter().map(|one| one.steps).collect();
        (heard, diverged, steps, illusions.interrupted)
    };
    let first = request.pairs[..3].to_vec();
    let all: Vec<usize> = (12..=24).collect();
    assert_eq!(run(24), (all, first.clone(), vec![12], false));
    // One look at the first batch, one a step at the second, and the last at what is left of it.
    assert_eq!(net.take_looks(), [vec![2; 13], vec![1]].concat());

    let some: Vec<usize> = (12..=17).collect();
    assert_eq!(run(17), (some, first.clone(), vec![5], true));
    assert_eq!(run(12), (vec![12], first[..2].to_vec(), vec![], true));
}

/// Whoever stops the work gets no error for what it has come to.
#[test]
fn an_interrupted_picture_that_diverged_is_interrupted() {
    let net = Watched::new(SIZE);
    let networks = Networks::of(&net, None).unwrap();
    net.take_looks();
    let mut request = request(pairs([(0, 1)]), &plain_recipe().with_learning_rate(1e300));
    // Between the points of the trace nobody looks.
    request.execution.trace_every = 100;
    let stopped = visualize(&networks, &request, &mut stop_at(5)).unwrap();
    assert!(stopped.interrupted && stopped.finished.is_empty());
    let diverged = Diverged {
        pair: request.pairs[0],
        step: 5,
    };
    assert_eq!(stopped.diverged, [diverged]);
    assert_eq!(net.take_looks().len(), 5, "the last was at no number");
    // Said after the last step, it stops nothing.
    visualize(&networks, &request, &mut stop_at(12)).unwrap_err();
}

#[test]
fn of_no_pairs_there_are_no_pictures() {
    let mut unheard = |_: Progress<'_>| panic!("nothing is done");
    let none = visualize(&plain_networks(), &in_twos([]), &mut unheard).unwrap();
    assert_eq!(none, Illusions::default());
}
