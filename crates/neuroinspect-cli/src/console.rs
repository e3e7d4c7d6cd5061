//! Standard error while the work is going on: progress, warnings; and Ctrl-C.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    ops::ControlFlow,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use neuroinspect::core::{Observer, Progress};

/// Shows on standard error how far the work is, and passes on Ctrl-C.
#[derive(Debug)]
pub(crate) struct Console {
    display: Display,
    stopped: Arc<AtomicBool>,
}

/// How progress is shown.
#[derive(Debug)]
enum Display {
    /// On a terminal: a bar per stage, by the stage's name.
    Bar(Option<(String, ProgressBar)>),
    /// Elsewhere.
    Lines(Lines),
    /// Not at all.
    Nothing,
}

impl Console {
    /// Takes over Ctrl-C, for all consoles: the first asks the work to stop, the second ends the program.
    /// With `quiet`, no progress is shown.
    pub(crate) fn start(quiet: bool) -> Result<Self> {
        static STOPPED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
        let stopped = match STOPPED.get() {
            Some(stopped) => Arc::clone(stopped),
            None => {
                let stopped = Arc::new(AtomicBool::new(false));
                let flag = Arc::clone(&stopped);
                ctrlc::set_handler(move || {
                    if flag.swap(true, Ordering::SeqCst) {
                        std::process::exit(crate::exit::STOPPED.into());
                    }
                    warn("stopping; press Ctrl-C again to give up what is under way");
                })
                .context("cannot listen for Ctrl-C")?;
                Arc::clone(STOPPED.get_or_init(|| stopped))
            }
        };
        let display = match (quiet, io::stderr().is_terminal()) {
            (true, _) => Display::Nothing,
            (false, true) => Display::Bar(None),
            (false, false) => Display::Lines(Lines::default()),
        };
        Ok(Self { display, stopped })
    }

    /// Asks the work to stop, as Ctrl-C does.
    pub(crate) fn stopper(&self) -> impl Fn() + use<> {
        let stopped = Arc::clone(&self.stopped);
        move || stopped.store(true, Ordering::SeqCst)
    }

    /// Whether Ctrl-C asked to stop.
    #[cfg(feature = "studio")]
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Ends the stage that is shown, before something else is printed.
    pub(crate) fn clear(&mut self) {
        match &mut self.display {
            Display::Bar(shown) => {
                if let Some((_, bar)) = shown.take() {
                    bar.finish_and_clear();
                }
            }
            Display::Lines(lines) => lines.last = None,
            Display::Nothing => {}
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Observer for Console {
    fn update(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
        match &mut self.display {
            Display::Bar(shown) => show_bar(shown, progress),
            Display::Lines(lines) => {
                if let Some(line) = lines.next(progress, Instant::now()) {
                    warn(line);
                }
            }
            Display::Nothing => {}
        }
        match self.stopped.load(Ordering::SeqCst) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// Moves the bar of a stage, which is made when the stage begins.
fn show_bar(shown: &mut Option<(String, ProgressBar)>, progress: Progress<'_>) {
    if let Some((_, bar)) = shown.take_if(|(stage, _)| stage != progress.stage) {
        bar.finish_and_clear();
    }
    let (_, bar) = shown.get_or_insert_with(|| {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let template = "{msg:>22} {wide_bar} {pos}/{len} {eta:>4}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(progress.stage.to_owned());
        (progress.stage.to_owned(), bar)
    });
    bar.set_length(progress.total as u64);
    bar.set_position(progress.done as u64);
}

/// Progress in lines: one when a stage begins, and then one in ten seconds at most.
#[derive(Debug, Default)]
struct Lines {
    /// The stage of the last line, and when that was said.
    last: Option<(String, Instant)>,
}

impl Lines {
    const INTERVAL: Duration = Duration::from_secs(10);

    /// The line for this progress, if it is time for one.
    fn next(&mut self, progress: Progress<'_>, now: Instant) -> Option<String> {
        let Progress { stage, done, total } = progress;
        if let Some((last, when)) = &self.last
            && last == stage
            && now.duration_since(*when) < Self::INTERVAL
        {
            return None;
        }
        self.last = Some((stage.to_owned(), now));
        Some(format!("{stage}: {done} of {total}"))
    }
}

/// Writes a line to standard error; one that is closed is no reason to stop.
pub(crate) fn warn(message: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_of_each_stage_and_then_every_ten_seconds() {
        let mut lines = Lines::default();
        let start = Instant::now();
        let mut line = |stage, done, seconds| {
            let now = start + Duration::from_secs(seconds);
            lines.next(
                Progress {
                    stage,
                    done,
                    total: 9,
                },
                now,
            )
        };
        let said = |line: Option<String>| line.unwrap_or_default();
        assert_eq!(said(line("editing", 1, 0)), "editing: 1 of 9");
        assert_eq!(line("editing", 2, 1), None);
        assert_eq!(line("editing", 3, 9), None);
        assert_eq!(said(line("editing", 4, 11)), "editing: 4 of 9");
        assert_eq!(line("editing", 5, 20), None);
        assert_eq!(said(line("visualizing", 1, 20)), "visualizing: 1 of 9");
        assert_eq!(said(line("editing", 6, 21)), "editing: 6 of 9");
    }
}
