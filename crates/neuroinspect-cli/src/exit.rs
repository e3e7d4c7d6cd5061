//! How a command ended.

use std::process::ExitCode;

use neuroinspect::editing::Control;

use crate::console::warn;

/// The exit code of work stopped by Ctrl-C, as shells have it.
pub(crate) const STOPPED: u8 = 130;

/// The exit code of `check` where something is not as it is to be, told apart from what could not be checked.
const CHECK_FAILED: u8 = 3;

/// How a command ended when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is there.
    Finished,
    /// Something failed and the rest is there.
    Incomplete,
    /// All is there, and something checked is not as it is to be.
    Failed,
    /// Ctrl-C stopped it, and what was finished by then is there.
    Stopped,
}

impl Exit {
    /// Of an edit, by what became of its control; says where it failed.
    pub(crate) fn of_control(control: Option<&Control>) -> Self {
        match control {
            Some(Control::Stopped) => Self::Stopped,
            Some(Control::Failed(reason)) => {
                warn(format_args!(
                    "warning: training the control failed: {reason}"
                ));
                Self::Incomplete
            }
            _ => Self::Finished,
        }
    }

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
            Exit::Failed => Self::from(CHECK_FAILED),
            Exit::Stopped => Self::from(STOPPED),
        }
    }
}
