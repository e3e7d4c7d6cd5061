//! What the tests of neuroinspect share. A dev-dependency only, never published.
//!
//! - [`mod@reference`]: values of the authors' code, held in this crate, with typed access.
//! - [`assert_close`]: the comparison of numbers that names the first element that differs.
//! - [`fill`]: values made by a formula, so that goldens need not store their inputs.
//! - [`networks`]: a smooth classifier and a smooth encoder of a few hundred weights.
//! - [`tables`]: feature tables and decision layers in a line.
//! - [`files`]: temporary folders, images and tensor files.
//! - [`published`]: files in the formats of published data sets.
//! - [`hub`]: a hub of models on this machine, and what can go wrong with it.
//! - [`pages`]: the pages of the documentation, and the commands in them.
//! - [`schema`]: JSON held to the schemas in `docs/schemas`.
//! - [`real_data`]: where the real weights and images are that the repository does not hold.
//!
//! A helper that fails panics and names what it was asked for: a test has nothing better to do.
//!
//! It depends on `neuroinspect-core` and on no other crate of ours, so that each of them can use it.
//! Unit tests inside `neuroinspect-core` cannot: the core this crate was built on is another crate
//! to them. Core's integration tests can.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod close;
pub mod files;
pub mod fill;
pub mod hub;
pub mod networks;
pub mod pages;
pub mod published;
pub mod real_data;
pub mod reference;
pub mod schema;
pub mod tables;

pub use close::{Values, assert_close, compare, largest_difference};
