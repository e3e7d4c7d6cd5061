//! A model and images to try the program on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use assert_cmd::Command;
use image::{Rgb, RgbImage};
use neuroinspect::{
    burn::tensor::Device,
    core::{Classifier, DecisionLayer},
    models::{CifarResNetConfig, PretrainedClassifier},
};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const CLASSES: [&str; 3] = ["cat", "dog", "owl"];

/// A folder with a model of three classes, `cat`, `dog` and `owl`, that says `cat` whatever it
/// sees, and eight images of each: `cat` has no mistakes, the others nothing but.
pub(crate) struct Bench(TempDir);

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let device = Device::flex();
        device.seed(0);
        let mut model = CifarResNetConfig::new(20, 3).init(&device).unwrap();
        let layer = model.decision_layer().unwrap();
        let bias = [50.0, 0.0, 0.0].to_vec().into();
        let layer = DecisionLayer::new(layer.weight().to_owned(), bias).unwrap();
        model.set_decision_layer(&layer).unwrap();
        model.save(&bench.path("model.safetensors")).unwrap();
        bench.images("images", &CLASSES);
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn image(&self, name: &str, class: usize, index: usize) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let shade = |x: u32, y: u32| {
            Rgb([
                (40 * class as u32 + 9 * x) as u8,
                (30 * index as u32 + 5 * y) as u8,
                90,
            ])
        };
        RgbImage::from_fn(32, 32, shade).save(path).unwrap();
    }

    /// A command on this model and these images; `--out` is `out`.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = self.bare(name);
        command
            .args(["--model", "cifar_resnet20", "--weights"])
            .arg(self.path("model.safetensors"));
        command.arg("--data").arg(self.path("images"));
        command
    }

    pub(crate) fn bare(&self, name: &str) -> Command {
        let mut command = Command::cargo_bin("neuroinspect").unwrap();
        command.arg(name).arg("--out").arg(self.path("out"));
        command
    }

    /// `evaluate` with other weights.
    pub(crate) fn with_weights(&self, model: &str, weights: &Path) -> Command {
        let mut command = self.bare("evaluate");
        command.args(["--model", model, "--weights"]).arg(weights);
        command.arg("--data").arg(self.path("images"));
        command
    }

    /// Changes the tensors in the model's file.
    pub(crate) fn change_weights(&self, change: impl FnOnce(&mut Vec<(String, TensorView<'_>)>)) {
        let path = self.path("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors = file.tensors();
        change(&mut tensors);
        fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    }

    /// Edits for an epoch what there is of the model.
    pub(crate) fn edit_partly(&self) {
        let mut edit = self.command("edit");
        edit.args(["--class", "owl", "--neurons", "3", "--epochs", "1"]);
        edit.arg("--partial").assert().success();
    }

    /// `apply` of that edit to the model's file.
    pub(crate) fn apply(&self) -> Command {
        let mut apply = self.bare("apply");
        apply.arg("--edit").arg(self.path("out/edit.safetensors"));
        apply.args(["--model", "cifar_resnet20", "--weights"]);
        apply.arg(self.path("model.safetensors"));
        apply
    }

    /// Eight images of each class, in a folder.
    pub(crate) fn images(&self, folder: &str, classes: &[&str]) {
        for (class, name) in classes.iter().enumerate() {
            for index in 0..8 {
                self.image(&format!("{folder}/{name}/{index}.png"), class, index);
            }
        }
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }
}

/// Exit code 1, nothing on standard output, and a message with all of `parts`.
pub(crate) fn fails(command: &mut Command, parts: &[&str]) {
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(output.stdout.is_empty());
    assert!(message.starts_with("error: "), "{message}");
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}
