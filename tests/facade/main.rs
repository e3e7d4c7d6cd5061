//! The facade with its subcrates, from end to end: a module is about one thing.
//!
//! `mutated` is a program of its own, as it measures the memory of the whole.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and shows what it measured"
)]

#[cfg(feature = "report")]
mod atlas;
mod backends;
#[cfg(feature = "experiments")]
mod experiments;
mod full_loop;
#[cfg(feature = "report")]
mod images;
mod made_up;
#[cfg(feature = "datasets")]
mod own_model;
#[cfg(feature = "demo")]
mod planted_truth;
#[cfg(feature = "demo")]
mod precision;
#[cfg(feature = "report")]
mod run_folder;
mod stages;
#[cfg(feature = "datasets")]
mod training;
#[cfg(feature = "demo")]
mod trust;
#[cfg(feature = "datasets")]
mod units;
mod workspace;
