//! What is left when the work is stopped, and when it is handed over.

use std::{cell::RefCell, ops::ControlFlow};

use neuroinspect_core::{Progress, Silent};

use super::{
    behaviour::{SIZE, config},
    tiny::{Net, pairs},
};
use crate::{Initial, Objective, visualize, visualize_each};

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

/// A picture stopped half-way is the picture at that step: the annealing still goes over all.
#[test]
fn an_unfinished_picture_is_whole() {
    let net = Net::new(SIZE);
    let config = config().with_objective(Objective::ClassConditional);
    let all = visualize(&net, None, &pairs([(0, 1)]), &config, &mut Silent).unwrap();
    let stopped = visualize(&net, None, &pairs([(0, 1)]), &config, &mut stop_at(9)).unwrap();
    let (all, stopped) = (&all.finished[0], &stopped.finished[0]);
    assert_eq!(stopped.trace, all.trace, "steps 0, 4 and 8");
    assert_ne!(stopped.image, all.image);
    assert!(
        stopped
            .image
            .iter()
            .all(|value| (0.0..=1.0).contains(value))
    );
    assert!(stopped.activation.is_finite() && stopped.logit.is_finite());
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
    let illusions = visualize_each(
        &net,
        None,
        &pairs,
        &Initial::Noise,
        &config,
        &mut observer,
        &mut |illusion| {
            let steps_done = log.borrow().last().copied();
            handed.push((steps_done, illusion.clone()));
        },
    )
    .unwrap();
    let (after, handed): (Vec<_>, Vec<_>) = handed.into_iter().unzip();
    assert_eq!(after, [Some(12), Some(12), Some(24)]);
    assert_eq!(handed, illusions.finished);
}
