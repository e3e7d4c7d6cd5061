//! Data sets on the disk and made here: how they are listed, decoded, preprocessed and streamed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and shows what it measured"
)]

mod corrupted;
mod dataset;
mod decode;
mod folder;
mod loader;
mod photographs;
mod preprocess;
mod published;
mod real_images;
mod scenes;
