//! What is left when the work is stopped, and when it is handed over.

use std::{cell::RefCell, ops::ControlFlow};

use ndarray::Array4;
use neuroinspect_core::{Progress, Silent};

use super::{
    assert_near,
    behaviour::{SIZE, config},
    tiny::{Net, pairs},
};
use crate::{
    Augmentation, Diverged, Illusions, Initial, Objective, Pair, Shortfall, visualize,
    visualize_each, visualize_from,
};

/// An observer that breaks off after some steps.
fn stop_at(steps: usize) -> impl FnMut(Progress<'_>) -> ControlFlow<()> {
    move |progress| match progress.done >= steps {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

#[test]
fn stopping_keeps_what_the_batch_under_way_has_come_to() {
    let net = Net::new(SIZE);
    let config = config()
        .with_objective(Objective::ClassConditional)
        .with_batch_size(2);
    let pairs = pairs([(0, 1), (5, 3), (2, 0)]);
    let run = |steps: usize| {
        let mut heard = Vec::new();
        let mut stop = stop_at(steps);
        let mut observer = |progress: Progress<'_>| {
            heard.push((progress.done, progress.total));
            stop(progress)
        };
        let illusions = visualize(&net, None, &pairs, &config, &mut observer).unwrap();
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
    let net = Net::new(SIZE);
    let config = config()
        .with_objective(Objective::ClassConditional)
        .with_augmentation(Augmentation::off())
        .with_smoothing(0.0);
    let all = visualize(&net, None, &pairs([(0, 1)]), &config, &mut Silent).unwrap();
    let stopped = visualize(&net, None, &pairs([(0, 1)]), &config, &mut stop_at(8)).unwrap();
    let (all, stopped) = (&all.finished[0], &stopped.finished[0]);
    assert_eq!(stopped.steps, 8);
    assert_eq!(stopped.trace, all.trace[..2], "steps 0 and 4");
    let then = all.trace[2];
    assert_eq!(then.step, 8);
    assert_near(
        &[stopped.activation, stopped.logit],
        &[then.activation, then.logit],
        1e-6,
    );
    assert_ne!(stopped.image, all.image);
    assert!(
        stopped
            .image
            .iter()
            .all(|value| (0.0..=1.0).contains(value))
    );
}

#[test]
fn pictures_are_handed_over_batch_by_batch() {
    let net = Net::new(SIZE);
    let config = config()
        .with_objective(Objective::ClassConditional)
        .with_batch_size(2);
    let pairs = pairs([(0, 1), (5, 3), (2, 0)]);
    let log = RefCell::new(Vec::new());
    let mut observer = |progress: Progress<'_>| {
        log.borrow_mut().push(progress.done);
        ControlFlow::Continue(())
    };
    let mut handed = Vec::new();
    let shortfall = visualize_each(
        &net,
        None,
        &pairs,
        &Initial::Noise,
        &config,
        &mut observer,
        &mut |batch| {
            let steps_done = log.borrow().last().copied();
            handed.push((steps_done, batch));
        },
    )
    .unwrap();
    assert_eq!(shortfall, Shortfall::default());
    let (after, handed): (Vec<_>, Vec<_>) = handed.into_iter().unzip();
    assert_eq!(after, [Some(12), Some(24)]);
    assert_eq!(handed.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    let kept = visualize(&net, None, &pairs, &config, &mut Silent).unwrap();
    assert_eq!(handed.concat(), kept.finished);
}

/// Of the first batch both pairs start from no number, and of the second the first.
#[test]
fn a_batch_that_diverges_counts_as_done() {
    let net = Net::new(SIZE);
    let config = config()
        .with_objective(Objective::ClassConditional)
        .with_batch_size(2);
    let pairs = pairs([(0, 1), (5, 3), (2, 0), (3, 3)]);
    let mut spectra = Array4::zeros((4, 3, SIZE, SIZE));
    for pair in 0..3 {
        spectra[[pair, 0, 0, 0]] = f32::NAN;
    }
    let initial = Initial::Spectra(spectra);
    let run = |stop: usize| {
        net.looks.lock().unwrap().clear();
        let mut heard = Vec::new();
        let mut stop = stop_at(stop);
        let mut observer = |progress: Progress<'_>| {
            heard.push(progress.done);
            assert_eq!(progress.total, 24);
            stop(progress)
        };
        let illusions = visualize_from(&net, None, &pairs, &initial, &config, &mut observer);
        let illusions = illusions.unwrap();
        let diverged: Vec<Pair> = illusions.diverged.iter().map(|one| one.pair).collect();
        let steps: Vec<usize> = illusions.finished.iter().map(|one| one.steps).collect();
        (heard, diverged, steps, illusions.interrupted)
    };
    let all: Vec<usize> = (12..=24).collect();
    assert_eq!(run(24), (all, pairs[..3].to_vec(), vec![12], false));
    // One look at the first batch, one a step at the second, and the last at what is left of it.
    let looks = [vec![2; 13], vec![1]].concat();
    assert_eq!(*net.looks.lock().unwrap(), looks);

    let some: Vec<usize> = (12..=17).collect();
    assert_eq!(run(17), (some, pairs[..3].to_vec(), vec![5], true));
    assert_eq!(run(12), (vec![12], pairs[..2].to_vec(), vec![], true));
}

/// Whoever stops the work gets no error for what it has come to.
#[test]
fn an_interrupted_picture_that_diverged_is_interrupted() {
    let net = Net::new(SIZE);
    // Between the points of the trace nobody looks.
    let config = config()
        .with_objective(Objective::ClassConditional)
        .with_trace_every(100)
        .with_learning_rate(1e300);
    let pairs = pairs([(0, 1)]);
    let stopped = visualize(&net, None, &pairs, &config, &mut stop_at(5)).unwrap();
    assert!(stopped.interrupted && stopped.finished.is_empty());
    assert_eq!(
        stopped.diverged,
        [Diverged {
            pair: pairs[0],
            step: 5
        }]
    );
    assert_eq!(
        net.looks.lock().unwrap().len(),
        5,
        "the last was at no number"
    );
    // Said after the last step, it stops nothing.
    visualize(&net, None, &pairs, &config, &mut stop_at(12)).unwrap_err();
}

#[test]
fn of_no_pairs_there_are_no_pictures() {
    let config = config().with_objective(Objective::ClassConditional);
    let mut unheard = |_: Progress<'_>| panic!("nothing is done");
    let none = visualize(&Net::new(SIZE), None, &[], &config, &mut unheard).unwrap();
    assert_eq!(none, Illusions::default());
}
