//! An atlas comes out the same whoever makes it, in whatever parts, and however often they are stopped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod dividing;
mod making;
mod merging;
mod pictures;
