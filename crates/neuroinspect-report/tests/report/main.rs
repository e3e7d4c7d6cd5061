//! What is written of findings: the data as JSON, and pages and pictures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[cfg(feature = "html")]
mod html;
mod json;
#[cfg_attr(not(feature = "html"), allow(dead_code, reason = "pages use the rest"))]
mod sample;
