//! Standard error while the work is going on: progress bars, warnings; and Ctrl-C.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use neuroinspect::core::{Observer, Progress};

/// Draws a bar per stage on standard error, where that is a terminal, and passes on Ctrl-C.
#[derive(Debug)]
pub(crate) struct Console {
    bar: Option<(String, ProgressBar)>,
    stopped: Arc<AtomicBool>,
}

impl Console {
    /// Takes over Ctrl-C: the first asks the work to stop, the second ends the program.
    pub(crate) fn start() -> Result<Self> {
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopped);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(crate::exit::STOPPED.into());
            }
            warn("stopping; press Ctrl-C again to give up what is under way");
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(Self { bar: None, stopped })
    }

    /// The bar of a stage, made when the stage begins.
    fn bar(&mut self, progress: Progress<'_>) -> ProgressBar {
        if let Some((stage, bar)) = &self.bar
            && stage == progress.stage
        {
            return bar.clone();
        }
        self.clear();
        let target = match io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(progress.total as u64), target);
        if let Ok(style) = ProgressStyle::with_template("{msg:>22} {wide_bar} {pos}/{len} {eta:>4}")
        {
            bar.set_style(style);
        }
        bar.set_message(progress.stage.to_owned());
        self.bar = Some((progress.stage.to_owned(), bar.clone()));
        bar
    }

    /// Asks the work to stop, as Ctrl-C does.
    pub(crate) fn stopper(&self) -> impl Fn() + use<> {
        let stopped = Arc::clone(&self.stopped);
        move || stopped.store(true, Ordering::SeqCst)
    }

    /// Removes the bar, before something else is printed.
    pub(crate) fn clear(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Console {
    fn update(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
        let bar = self.bar(progress);
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        match self.stopped.load(Ordering::SeqCst) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// Writes a line to standard error; one that is closed is no reason to stop.
pub(crate) fn warn(message: impl Display) {
    let _ = writeln!(io::stderr(), "{message}");
}
