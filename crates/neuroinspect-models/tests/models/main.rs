//! The tests of the models crate, one program for all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod before_activation;
mod checkpoints;
mod classifiers_golden;
mod clip_config;
mod clip_files;
mod clip_golden;
mod clip_layers;
mod clip_prompts;
mod graphs;
mod inputs;
mod layers_golden;
mod maps;
mod module;
mod operations;
mod own_network;
mod passes;
mod published_weights;
mod registry;
mod siglip;
mod support;
mod training;
