//! Models from a hub, which here is a server on this machine: nothing of the network is asked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod download;
mod hostile;
mod models;

use std::{ops::ControlFlow, path::PathBuf, time::Duration};

use neuroinspect_core::{Progress, Silent};
use neuroinspect_models::hub::{Hub, HubConfig, HubName};
use neuroinspect_testing::{
    files::Folder,
    hub::{Asked, LocalHub},
};

const NAME: &str = "timm/resnet18.test";
const CONFIG: &str = r#"{"architecture": "resnet18", "num_classes": 10, "num_features": 512,
    "global_pool": "avg", "pretrained_cfg": {"tag": "test", "custom_load": false,
    "input_size": [3, 224, 224], "fixed_input_size": false, "interpolation": "bicubic",
    "crop_pct": 0.95, "crop_mode": "center", "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25],
    "num_classes": 10, "pool_size": [7, 7], "first_conv": "conv1", "classifier": "fc"}}"#;

/// A server with a model, and an empty cache.
struct Fixture {
    server: LocalHub,
    folder: Folder,
}

impl Fixture {
    /// The weights are bytes without meaning: more than a piece that is read at once.
    fn new() -> (Self, Vec<u8>) {
        let fixture = Self {
            server: LocalHub::start(),
            folder: Folder::new(),
        };
        let weights: Vec<u8> = (0..1_000_000_u32)
            .map(|it| (it.wrapping_mul(it) >> 7) as u8)
            .collect();
        fixture.server.serve(NAME, "config.json", CONFIG);
        fixture
            .server
            .serve(NAME, "model.safetensors", weights.clone());
        (fixture, weights)
    }

    fn config(&self) -> HubConfig {
        HubConfig::new(self.folder.path("hub"))
            .with_endpoint(self.server.endpoint())
            .with_timeout(Duration::from_secs(2))
    }

    fn hub(&self) -> Hub {
        Hub::new(self.config()).unwrap()
    }

    /// The weights of the model.
    fn weights(&self) -> neuroinspect_models::Result<PathBuf> {
        self.weights_by(&self.hub())
    }

    fn weights_by(&self, hub: &Hub) -> neuroinspect_models::Result<PathBuf> {
        hub.classifier(&name(NAME), &mut Silent)?
            .weights(&mut Silent)
    }

    /// Why they cannot be had.
    fn refusal(&self) -> String {
        self.weights().unwrap_err().to_string()
    }

    /// The requests to the store of files.
    fn downloads(&self) -> Vec<Asked> {
        let asked = self.server.asked().into_iter();
        asked.filter(|it| it.of_store).collect()
    }
}

fn name(repository: &str) -> HubName {
    format!("hf://{repository}").parse().unwrap()
}

/// An observer that counts and never stops.
fn watch(seen: &mut Vec<(String, usize, usize)>) -> impl FnMut(Progress<'_>) -> ControlFlow<()> {
    |Progress { stage, done, total }| {
        seen.push((stage.to_owned(), done, total));
        ControlFlow::Continue(())
    }
}
