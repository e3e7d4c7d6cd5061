//! A device whose memory does not hold a batch.

use neuroinspect_core::Silent;
use neuroinspect_testing::assert_close;

use super::{SIZE, pairs, plain_recipe, preparing::Watched, request};
use crate::{Coupling, Error, Networks, Request, visualize};

const FULL: &str = "CUDA out of memory. Tried to allocate 2.00 GiB";

fn of_five(coupling: Coupling) -> Request {
    let recipe = plain_recipe().with_coupling(coupling);
    request(pairs([(0, 1), (5, 3), (2, 0), (1, 2), (3, 3)]), &recipe)
}

#[test]
fn a_batch_that_memory_does_not_hold_is_computed_by_parts() {
    let request = of_five(Coupling::PerImage);
    let classifier = Watched::new(SIZE);
    let networks = Networks::of(&classifier, None).unwrap();
    let made = || visualize(&networks, &request, &mut Silent).unwrap();
    let whole = made();
    classifier.take_looks();
    classifier.hold(2, FULL);
    let by_parts = made();
    // Neither five nor three go in; two do, in every step and at the end.
    let mut looks = vec![5, 3];
    looks.extend([2, 2, 1].repeat(12 + 1));
    assert_eq!(classifier.take_looks(), looks);
    assert!(!by_parts.interrupted && by_parts.diverged.is_empty());
    assert_eq!(by_parts.finished.len(), 5);
    for (part, whole) in by_parts.finished.iter().zip(&whole.finished) {
        assert_eq!((part.pair, part.steps), (whole.pair, whole.steps));
        assert_close(&part.image, &whole.image, 0.0, 1e-5);
        assert_eq!(part.trace.len(), whole.trace.len());
        for (part, whole) in part.trace.iter().zip(&whole.trace) {
            assert!((part.loss - whole.loss).abs() < 1e-5);
        }
    }
}

#[test]
fn what_parts_do_not_help_is_an_error() {
    for (coupling, most, otherwise) in [
        // Its pictures depend on one another.
        (Coupling::WholeBatch, 2, FULL),
        // Not even one goes in.
        (Coupling::PerImage, 0, FULL),
        // It is not memory that is wanting.
        (Coupling::PerImage, 2, "the device was lost"),
    ] {
        let classifier = Watched::new(SIZE);
        let networks = Networks::of(&classifier, None).unwrap();
        classifier.hold(most, otherwise);
        let failed = visualize(&networks, &of_five(coupling), &mut Silent);
        let Err(Error::StepFailed { step: 0, reason }) = failed else {
            panic!("{failed:?}");
        };
        assert_eq!(reason, otherwise);
    }
}
