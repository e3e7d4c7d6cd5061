//! The program's studio: with what it is opened, and in a browser what a person does and sees, from Debian's
//! `chromium` through `chromedriver`.
//!
//! What the pages look like is kept as pictures in `NEUROINSPECT_SCREENSHOTS`, or where Cargo lets tests write.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "the tests of the pages use the rest of it")]
#[path = "../../../neuroinspect-studio/tests/pages/browser.rs"]
mod browser;
#[allow(dead_code, reason = "the tests of other commands use the rest of it")]
#[path = "../cli/fixture.rs"]
mod fixture;
mod options;
mod program;
mod way;
mod work;
