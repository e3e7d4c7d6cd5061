//! How a command ended.

use std::process::ExitCode;

/// The exit code of work stopped by Ctrl-C, as shells have it.
pub(crate) const STOPPED: u8 = 130;

/// How a command ended when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is there.
    Finished,
    /// Something failed and the rest is there.
    Incomplete,
    /// Ctrl-C stopped it, and what was finished by then is there.
    Stopped,
}

impl Exit {
    /// Of work that was stopped or not, and of which everything succeeded or not.
    pub(crate) fn of(stopped: bool, all_succeeded: bool) -> Self {
        match (stopped, all_succeeded) {
            (true, _) => Self::Stopped,
            (false, true) => Self::Finished,
            (false, false) => Self::Incomplete,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Finished => Self::SUCCESS,
            Exit::Incomplete => Self::FAILURE,
            Exit::Stopped => Self::from(STOPPED),
        }
    }
}
