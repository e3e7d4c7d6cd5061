//! The program end to end: what it writes, and what it says when the input is not as needed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bench;
mod commands;
mod determinism;
mod inputs;
#[cfg(unix)]
mod interrupts;
mod options;
mod refusals;
mod reuse;
