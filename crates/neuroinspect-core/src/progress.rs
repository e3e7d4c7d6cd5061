//! How long work tells its caller where it is, and how the caller stops it.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How far a piece of work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress<'a> {
    /// What is going on, in the present participle: "explaining", "visualizing".
    pub stage: &'a str,
    /// Units done so far.
    pub done: usize,
    /// Units there are.
    pub total: usize,
}

/// Hears of progress, and may ask to stop.
///
/// Called between units of work (a batch, a step, an epoch), on the caller's thread. Any closure
/// of the right shape is one:
///
/// ```
/// use std::ops::ControlFlow;
/// use neuroinspect_core::{Observer, Progress};
///
/// let mut seen = 0;
/// let mut observer = |progress: Progress<'_>| {
///     seen = progress.done;
///     if progress.done >= 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
/// };
/// assert!(observer.update(Progress { stage: "counting", done: 10, total: 20 }).is_break());
/// ```
pub trait Observer {
    /// Hears of progress; `Break` asks the work to stop at the next safe point.
    fn update(&mut self, progress: Progress<'_>) -> ControlFlow<()>;

    /// [`update`](Self::update) for work that has nothing to show before its end: `Break` is an
    /// error.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] when the observer asks to stop.
    fn proceed(&mut self, progress: Progress<'static>) -> Result<()> {
        match self.update(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::cancelled(progress.stage)),
        }
    }

    /// [`proceed`](Self::proceed), except that `Break` is ignored once all the work is done.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`] when the observer asks to stop before the end.
    fn proceed_unless_done(&mut self, progress: Progress<'static>) -> Result<()> {
        if progress.done < progress.total {
            return self.proceed(progress);
        }
        let _ = self.update(progress);
        Ok(())
    }
}

impl<F: FnMut(Progress<'_>) -> ControlFlow<()>> Observer for F {
    fn update(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
        self(progress)
    }
}

/// An observer that says nothing and never stops the work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn update(&mut self, _: Progress<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
