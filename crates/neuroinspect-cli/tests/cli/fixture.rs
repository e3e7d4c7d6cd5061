//! A model and images to try the program on.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread,
};

use assert_cmd::Command;
use image::RgbImage;
use neuroinspect::{
    burn::tensor::Device,
    core::{Classifier, DecisionLayer},
    models::{
        Checkpoint, GraphClassifier, PretrainedClassifier, Strictness,
        checkpoint::parameter_shapes, init_classifier,
    },
};
use neuroinspect_testing::{
    files::{Folder, gradient, safetensors_of},
    fill::made_up_weights,
    schema,
};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::Value;

pub(crate) const CLASSES: [&str; 3] = ["cat", "dog", "owl"];

/// Side of the images.
const SIDE: u32 = 32;

/// A folder with a model of three classes, `cat`, `dog` and `owl`, that says `cat` whatever it
/// sees, and eight images of each: `cat` has no mistakes, the others nothing but.
///
/// What commands have written in it is held to the JSON Schemas when it goes.
pub(crate) struct Fixture(Folder);

impl Drop for Fixture {
    fn drop(&mut self) {
        if !thread::panicking() {
            schema::check_all(self.0.as_ref());
        }
    }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let fixture = Self(Folder::new());
        let mut model = random_model();
        let weights = safetensors_of(&made_up_weights(parameter_shapes(&model)));
        let weights = Checkpoint::from_bytes("made-up weights", weights).unwrap();
        model.load(&weights, Strictness::Strict).unwrap();
        let layer = model.decision_layer().unwrap();
        let bias = [50.0, 0.0, 0.0].to_vec().into();
        let layer = DecisionLayer::new(layer.weight().to_owned(), bias).unwrap();
        model.set_decision_layer(&layer).unwrap();
        model.save(&fixture.path("model.safetensors")).unwrap();
        fixture.images("images", &CLASSES);
        fixture
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        self.0.write(name, bytes)
    }

    pub(crate) fn image(&self, name: &str, class: usize, index: usize) {
        self.0.image(name, &gradient(class, index, SIDE));
    }

    pub(crate) fn picture(&self, name: &str, picture: &RgbImage) {
        self.0.image(name, picture);
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

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        self.0.read(name)
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    /// The files that a run left in a folder, by name, but for what differs between two equal runs:
    /// times, the record of what features were computed from, and the lock.
    pub(crate) fn results(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for within in ["", "neurons/", "pictures/debug/"] {
            let inside = fs::read_dir(self.path(folder).join(within));
            for file in inside.into_iter().flatten() {
                let file = file.unwrap();
                let name = within.to_owned() + file.file_name().to_str().unwrap();
                if file.file_type().unwrap().is_file() {
                    files.insert(name, fs::read(file.path()).unwrap());
                }
            }
        }
        files.retain(|name, _| !name.ends_with(".origin.json") && name != ".neuroinspect.lock");
        if let Some(summary) = files.get_mut("summary.json") {
            let mut json: Value = serde_json::from_slice(summary).unwrap();
            for timing in json["run"]["timings"].as_array_mut().unwrap() {
                assert!(timing["seconds"].take().is_f64());
            }
            *summary = serde_json::to_vec(&json).unwrap();
        }
        if let Some(report) = files.get_mut("report.html") {
            let html = String::from_utf8(std::mem::take(report)).unwrap();
            let (before, times) = html.split_once("<dd id=\"timings\">").unwrap();
            let (_, after) = times.split_once("</dd>").unwrap();
            *report = [before, after].concat().into_bytes();
        }
        files
    }
}

/// A model of three classes with weights at random.
pub(crate) fn random_model() -> GraphClassifier {
    init_classifier("cifar_resnet20", CLASSES.len(), &Device::flex()).unwrap()
}

/// Exit code 1, nothing on standard output, and a message with all of `parts`.
pub(crate) fn fails(command: &mut Command, parts: &[&str]) {
    let output = command.arg("--quiet").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(output.stdout.is_empty());
    assert!(message.starts_with("error: "), "{message}");
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
}
