//! The studio's pages on made-up samples: who may ask, what names can do, how they look and how soon they answer.
//!
//! Those in a browser need Debian's `chromium` and `chromium-driver`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints what it measured"
)]

mod attacks;
#[allow(dead_code, reason = "the tests of the program use the rest of it")]
mod browser;
mod edits;
mod grid;
mod http;
mod jobs;
mod looks;
mod made;
mod requests;
mod trainings;
