//! Repeats an experiment of the paper on its stand-in: `cargo run --release -p neuroinspect --features experiments
//! --example repro -- table-4`. `neuroinspect repro` does the same with more options.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its page and its progress"
)]

use std::{env, ops::ControlFlow};

use neuroinspect::{
    Result, RunFolder,
    core::Progress,
    experiments::{ExperimentConfig, experiment_named},
};

fn main() -> Result<()> {
    let name = env::args().nth(1).unwrap_or_else(|| "table-4".to_owned());
    let folder = RunFolder::open("experiments", None)?;
    let mut show = |progress: Progress<'_>| {
        eprint!(
            "\r{}: {} of {}    ",
            progress.stage, progress.done, progress.total
        );
        ControlFlow::Continue(())
    };
    let experiment = experiment_named(&name)?;
    let result = experiment.run(&ExperimentConfig::default(), &folder, None, &mut show)?;
    println!("\n{}", result.to_markdown(experiment));
    Ok(())
}
