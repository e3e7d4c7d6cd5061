//! An edit and its control, trained side by side.

use std::{
    ops::ControlFlow,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
};

use neuroinspect_core::{Observer, Progress, catch_panic};

use crate::{Control, Fitted, Result, Retrain};

/// Trains a control on a thread of its own while an edit is made on this one, from the moment on that the edit tells of
/// progress: one that is refused has started none, and one that tells of nothing leaves it to be trained. The observer hears
/// of the edit, and then of every epoch of the control, as if that came after it; an edit that fails or is stopped stops the
/// control, too, at the end of its epoch. A control that another thread is training is `None`, too: it is waited for later.
pub(super) fn beside(
    edit: impl FnOnce(&mut dyn Observer) -> Result<Fitted>,
    control: impl FnOnce(&mut dyn Observer) -> Option<Control> + Send,
    observer: &mut dyn Observer,
) -> Result<(Fitted, Option<Control>)> {
    let stop = AtomicBool::new(false);
    let (epochs, heard) = channel();
    thread::scope(|scope| {
        let mut far = Far {
            stop: &stop,
            epochs,
        };
        let mut to_start = Some(move || control(&mut far));
        let mut started = None;
        // Whatever ends this thread's part ends the other, too: a panic, being stopped.
        let stopping = StopOnDrop(&stop);
        let mut near = |progress: Progress<'_>| {
            let flow = observer.update(progress);
            if flow.is_continue()
                && let Some(control) = to_start.take()
            {
                started = Some(scope.spawn(|| catch_panic(control)));
            }
            flow
        };
        let fitted = edit(&mut near)?;
        let Some(control) = started else {
            return Ok((fitted, None));
        };
        let mut asked_to_stop = false;
        // Until the other thread has ended.
        for (done, total) in heard.iter() {
            let progress = Progress {
                stage: Retrain::STAGE,
                done,
                total,
            };
            if observer.update(progress).is_break() {
                asked_to_stop = true;
                break;
            }
        }
        drop(stopping);
        let control = control
            .join()
            .unwrap_or_else(|_| Err("it panicked".to_owned()));
        let control = control.unwrap_or_else(|reason| Some(Control::Failed(reason)));
        // After its last epoch, which may come early, there was nothing left to stop.
        let stopped = asked_to_stop && heard.try_recv().is_ok();
        Ok((
            fitted,
            if stopped {
                Some(Control::Stopped)
            } else {
                control
            },
        ))
    })
}

/// The control's observer.
struct Far<'a> {
    stop: &'a AtomicBool,
    /// Epochs done, of how many.
    epochs: Sender<(usize, usize)>,
}

impl Observer for Far<'_> {
    fn update(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
        let heard = self.epochs.send((progress.done, progress.total));
        match heard.is_err() || self.stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ndarray::{Array1, Array2};
    use neuroinspect_core::{DecisionLayer, Silent};

    use super::*;

    /// The edit stands, and it is said what the control failed by.
    #[test]
    fn a_control_that_panics_is_one_that_failed() {
        let layer = DecisionLayer::new(Array2::ones((2, 3)), Array1::zeros(2)).unwrap();
        let edit = |observer: &mut dyn Observer| {
            let progress = Progress {
                stage: "editing",
                done: 1,
                total: 2,
            };
            observer.proceed(progress)?;
            Ok(Fitted {
                layer,
                epochs: Vec::new(),
                kept_epoch: None,
                stopped_early: false,
                derived: BTreeMap::new(),
            })
        };
        let control = |_: &mut dyn Observer| -> Option<Control> { panic!("no memory for 8 bytes") };
        let (_, control) = beside(edit, control, &mut Silent).unwrap();
        let Some(Control::Failed(reason)) = control else {
            panic!("{control:?}");
        };
        assert_eq!(reason, "no memory for 8 bytes");
    }
}
