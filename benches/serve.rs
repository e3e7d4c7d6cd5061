//! A bench as one side of `tools/compare_speed.py`.

use std::{
    env,
    io::{self, BufRead, Write},
    time::Duration,
};

use serde::Deserialize;

/// A run that the comparison asks for, in the words of visualization; other benches say what theirs are.
#[derive(Deserialize)]
struct Asked {
    batch: usize,
    steps: usize,
}

/// What follows `--serve` on the command line, where it stands there.
pub(crate) fn asked_to_serve() -> Option<Vec<String>> {
    let mut arguments = env::args().skip_while(|argument| argument != "--serve");
    arguments.next().map(|_| arguments.collect())
}

/// Answers each line of standard input with the seconds that the run of a batch and steps took, after a first line
/// that says that it is ready.
pub(crate) fn serve(mut run: impl FnMut(usize, usize) -> Duration) {
    let mut out = io::stdout();
    let mut say = |line: &str| {
        writeln!(out, "{line}").unwrap();
        out.flush().unwrap();
    };
    say("{}");
    for line in io::stdin().lock().lines() {
        let Asked { batch, steps } = serde_json::from_str(&line.unwrap()).unwrap();
        let seconds = run(batch, steps).as_secs_f64();
        say(&format!("{{\"seconds\": {seconds}}}"));
    }
}
