//! Models by their names on a hub, which here is a server on this machine.

use std::{fs, thread, time::Duration};

use assert_cmd::Command;
use neuroinspect::{
    burn::tensor::Device,
    models::{
        checkpoint::parameter_shapes,
        clip::{ClipBlocks, ClipConfig, ClipTextConfig, ClipVisionConfig, Gelu},
    },
};
use neuroinspect_testing::{
    files::safetensors_of,
    fill::made_up_weights,
    hub::{Fault, LocalHub},
};
use serde_json::Value;

use crate::fixture::{Fixture, fails};

const NAME: &str = "hf://ada/cat-dog-owl";

/// The fixture's model on a hub, with a config as timm makes it of a network for 32 pixels.
struct OnHub {
    fixture: Fixture,
    server: LocalHub,
}

impl OnHub {
    fn new() -> Self {
        let (fixture, server) = (Fixture::new(), LocalHub::start());
        let on_hub = Self { fixture, server };
        on_hub.serve_config("cifar_resnet20", "");
        let weights = on_hub.fixture.read("model.safetensors");
        let repository = &NAME["hf://".len()..];
        on_hub
            .server
            .serve(repository, "model.safetensors", weights);
        on_hub
    }

    fn serve_config(&self, architecture: &str, more: &str) {
        let config = format!(
            r#"{{"architecture": "{architecture}", "num_classes": 3, "num_features": 64, {more}
            "pretrained_cfg": {{"tag": "x", "custom_load": false, "input_size": [3, 32, 32],
            "fixed_input_size": false, "interpolation": "bilinear", "crop_pct": 1.0,
            "crop_mode": "squash", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
            "num_classes": 3, "pool_size": [8, 8], "first_conv": "conv1", "classifier": "linear"}}}}"#
        );
        let repository = &NAME["hf://".len()..];
        self.server.serve(repository, "config.json", config);
    }

    /// A command on the hub's model and the fixture's images.
    fn command(&self, name: &str) -> Command {
        let mut command = self.bare(name);
        command.args(["--model", NAME, "--data"]);
        command.arg(self.fixture.path("images"));
        command
    }

    fn bare(&self, name: &str) -> Command {
        let mut command = self.fixture.bare(name);
        self.environment(&mut command);
        command
    }

    fn environment(&self, command: &mut Command) {
        for variable in [
            "HF_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "HF_TOKEN",
            "HF_TOKEN_PATH",
        ] {
            command.env_remove(variable);
        }
        command.env("HF_ENDPOINT", self.server.endpoint());
        command.env("HF_HOME", self.fixture.path("home"));
    }

    fn downloads(&self) -> usize {
        let asked = self.server.asked().into_iter();
        asked.filter(|it| it.of_store).count()
    }
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn a_model_of_the_hub_is_as_accurate_as_its_file() {
    let on_hub = OnHub::new();
    let fixture = &on_hub.fixture;
    fixture.command("evaluate").assert().success();
    let mut local = fixture.json("out/evaluation.json");
    let said_first = said(&mut on_hub.command("evaluate"));
    assert!(
        said_first.contains("downloading megabytes: "),
        "{said_first}"
    );
    // Features go by the weights' hash: those of the file are those of the hub.
    assert!(said_first.contains("features taken from"), "{said_first}");
    let mut of_hub = fixture.json("out/evaluation.json");
    for evaluation in [&mut local, &mut of_hub] {
        assert!(evaluation["accuracy"].is_f64());
        for key in ["command", "timings"] {
            evaluation["run"][key] = Value::Null;
        }
    }
    assert_eq!(local, of_hub);

    // Again, and then without asking anything of the hub.
    assert_eq!(on_hub.downloads(), 1);
    on_hub.command("evaluate").assert().success();
    assert_eq!(on_hub.downloads(), 0);
    on_hub
        .command("evaluate")
        .arg("--offline")
        .assert()
        .success();
    on_hub
        .command("evaluate")
        .env("HF_HUB_OFFLINE", "1")
        .assert()
        .success();
    assert_eq!(on_hub.server.asked(), []);
    let home = fixture.path("home");
    assert!(home.join("hub/models--ada--cat-dog-owl/refs/main").exists());
}

#[test]
fn the_config_gives_the_order_of_classes() {
    let on_hub = OnHub::new();
    on_hub.serve_config("cifar_resnet20", r#""label_names": ["owl", "cat", "dog"],"#);
    on_hub.command("evaluate").assert().success();
    let evaluation = on_hub.fixture.json("out/evaluation.json");
    assert_eq!(
        evaluation["class_names"],
        serde_json::json!(["owl", "cat", "dog"])
    );
    // The model says its first class whatever it sees.
    assert_eq!(
        evaluation["class_accuracy"],
        serde_json::json!([1.0, 0.0, 0.0])
    );

    // A published data set has an order of its own.
    let lego = format!("lego:{}", on_hub.fixture.path("images").display());
    let mut published = on_hub.bare("evaluate");
    published.args(["--model", NAME, "--data", &lego]);
    let parts = ["lego has the model's classes in another order"];
    fails(&mut published, &parts);

    let mut given = on_hub.command("evaluate");
    given
        .arg("--classes")
        .arg(on_hub.fixture.write("classes", "dog\nowl\ncat\n"));
    given.assert().success();
    let evaluation = on_hub.fixture.json("out/evaluation.json");
    assert_eq!(
        evaluation["class_names"],
        serde_json::json!(["dog", "owl", "cat"])
    );

    on_hub.serve_config(
        "cifar_resnet20",
        r#""label_names": ["eagle", "cat", "dog"],"#,
    );
    fails(
        &mut on_hub.command("evaluate"),
        &["what its classes are called", "--classes FILE", "'owl'"],
    );
}

/// Training begins with a decision layer whose rows are those of the folders.
#[test]
fn training_goes_by_the_configs_order_of_classes() {
    let on_hub = OnHub::new();
    on_hub.serve_config("cifar_resnet20", r#""label_names": ["owl", "cat", "dog"],"#);
    let mut train = on_hub.command("train");
    train
        .args(["--epochs", "1", "--decision-layer"])
        .assert()
        .success();
    let names = &on_hub.fixture.json("out/training.json")["class_names"];
    assert_eq!(*names, serde_json::json!(["owl", "cat", "dog"]));
    // Of other classes, it begins with a layer of the folders', in a folder of its own.
    on_hub.serve_config(
        "cifar_resnet20",
        r#""label_names": ["eagle", "cat", "dog"],"#,
    );
    let mut train = on_hub.command("train");
    train.args(["--epochs", "1", "--decision-layer"]);
    let refused = train.output().unwrap();
    let message = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{message}");
    let warned = "calls its classes otherwise; its decision layer is taken all the same, its rows for these in this \
                  order: cat, dog, owl";
    for part in [warned, "keeps another training"] {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
    std::fs::remove_dir_all(on_hub.fixture.path("out/training")).unwrap();
    train.assert().success();
    let names = &on_hub.fixture.json("out/training.json")["class_names"];
    assert_eq!(*names, serde_json::json!(["cat", "dog", "owl"]));
}

#[test]
fn other_commands_take_the_names_too() {
    let on_hub = OnHub::new();
    let mut layers = on_hub.bare("models");
    let output = layers.args(["--layers", NAME]).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(listed.contains("layer3.2.conv2"), "{listed}");
    assert_eq!(on_hub.downloads(), 0, "a config says it all");
    let mut train = on_hub.command("train");
    train
        .args(["--epochs", "1", "--decision-layer"])
        .assert()
        .success();
    let mut edit = on_hub.command("edit");
    edit.args(["--class", "owl", "--neurons", "3", "--epochs", "1"])
        .assert()
        .success();
    let mut apply = on_hub.bare("apply");
    apply
        .arg("--edit")
        .arg(on_hub.fixture.path("out/edit.safetensors"));
    apply.args(["--model", NAME]).assert().success();
    assert!(on_hub.fixture.path("out/edited.safetensors").exists());
}

/// A class that a list of them has not, and an option out of range, need no weights to be refused.
#[test]
fn what_needs_no_model_is_refused_before_a_download() {
    let on_hub = OnHub::new();
    let classes = on_hub.fixture.write("classes", "cat\ndog\nowl\n");
    for name in ["debug", "explain", "edit", "mend", "visualize"] {
        let mut command = on_hub.command(name);
        command
            .args(["--class", "heron", "--classes"])
            .arg(&classes);
        if name == "edit" {
            command.args(["--neurons", "1"]);
        }
        fails(&mut command, &["heron"]);
    }
    let config = on_hub
        .fixture
        .write("config.toml", "[editing.training]\nepochs = 0\n");
    for name in ["debug", "edit"] {
        let mut command = on_hub.command(name);
        command.args(["--class", "owl", "--neurons", "1", "--config"]);
        fails(command.arg(&config), &["epochs"]);
    }
    assert!(on_hub.server.asked().is_empty());
    on_hub
        .command("explain")
        .args(["--class", "owl"])
        .assert()
        .success();
    assert_eq!(on_hub.downloads(), 1);
}

#[test]
fn a_clip_of_the_hub_guides_pictures() {
    let on_hub = OnHub::new();
    let config = ClipConfig {
        embed_dim: 8,
        gelu: Gelu::Exact,
        vision: ClipVisionConfig {
            image_size: 32,
            patch_size: 16,
            width: 16,
            head_width: 8,
            layers: ClipBlocks::Transformer(1),
            ..Default::default()
        },
        text: ClipTextConfig {
            width: 16,
            heads: 2,
            layers: 1,
            ..Default::default()
        },
        input: None,
        siglip: None,
    };
    let clip = config.init(&Device::flex()).unwrap();
    let weights = safetensors_of(&made_up_weights(parameter_shapes(&clip)));
    on_hub
        .server
        .serve("laion/small", "open_clip_config.json", config.to_json());
    on_hub
        .server
        .serve("laion/small", "open_clip_model.safetensors", weights);
    let visualize = || {
        let mut visualize = on_hub.command("visualize");
        visualize.args(["--neurons", "3", "--class", "owl", "--iterations", "2"]);
        visualize.args(["--clip", "hf://laion/small", "--domain", "animal"]);
        visualize
    };
    visualize().assert().success();
    let record = fs::read_to_string(on_hub.fixture.path("out/visualizations.json")).unwrap();
    assert!(record.contains("\"animal\""), "{record}");
    let mut with_weights = visualize();
    with_weights
        .arg("--clip-weights")
        .arg(on_hub.fixture.path("model.safetensors"));
    fails(
        &mut with_weights,
        &["'hf://laion/small' brings its weights"],
    );
}

#[test]
fn two_programs_at_once_download_once() {
    let on_hub = OnHub::new();
    on_hub.server.fail([Fault::Slow(Duration::from_secs(2))]);
    thread::scope(|scope| {
        for out in ["one", "two"] {
            let mut command = Command::cargo_bin("neuroinspect").unwrap();
            on_hub.environment(&mut command);
            command.args(["evaluate", "--model", NAME, "--data"]);
            command.arg(on_hub.fixture.path("images"));
            command.arg("--out").arg(on_hub.fixture.path(out));
            scope.spawn(move || command.assert().success());
        }
    });
    assert_eq!(on_hub.downloads(), 1);
}

#[test]
fn what_cannot_be_had_is_refused_with_what_to_do() {
    let on_hub = OnHub::new();
    let offline = &mut on_hub.command("evaluate");
    fails(
        offline.arg("--offline"),
        &["config.json is not in the cache", "leave out --offline"],
    );
    let weights = &mut on_hub.command("evaluate");
    fails(
        weights.args(["--weights", "file"]),
        &["brings its weights: leave --weights out"],
    );
    let mut misnamed = on_hub.bare("evaluate");
    misnamed.args(["--model", "hf://resnet18", "--data"]);
    fails(
        misnamed.arg(on_hub.fixture.path("images")),
        &["expected hf://OWNER/NAME"],
    );
    on_hub.serve_config("regnety_002", "");
    fails(
        &mut on_hub.command("evaluate"),
        &["\"regnety_002\"", "--model FILE.onnx"],
    );
    on_hub.server.ask_for_token("hf_right");
    let refused = &mut on_hub.command("evaluate");
    fails(refused, &["(status 401)", "HF_TOKEN"]);
    on_hub.serve_config("cifar_resnet20", "");
    on_hub
        .command("evaluate")
        .env("HF_TOKEN", "hf_right")
        .assert()
        .success();
}
