//! The program end to end: what it writes, and what it says when the input is not as needed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod atlas;
mod check;
mod commands;
mod concepts;
mod config;
mod data;
mod determinism;
mod features;
mod fixture;
mod folder;
#[cfg(feature = "hub")]
mod hub;
mod inputs;
#[cfg(unix)]
mod interrupts;
mod layers;
mod leaderboard;
mod mend;
mod models_page;
mod onnx;
mod options;
mod pictures;
#[cfg(unix)]
mod pipes;
mod real_data;
mod refusals;
mod repro;
mod resume;
mod reuse;
mod running;
mod shell;
mod tables;
mod training;
