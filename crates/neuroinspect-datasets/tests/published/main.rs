//! Published data sets in their formats: as they should be, damaged, and hostile.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests are tests.

mod archives;
mod bad;
mod checked;
mod fixtures;
mod formats;
mod got;
mod real;
