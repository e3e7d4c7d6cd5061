//! Units of any layer: `visualize` of them, and their sections in the report of `debug`.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::{
    fixture::{Fixture, fails},
    running::{start, wait_for},
};

/// Two layers and all forms of units; `stripes.json` is a direction of layer2.
fn of_all_forms(fixture: &Fixture) -> Vec<String> {
    let direction: Vec<f32> = (0..32)
        .map(|channel| 0.25 - 0.5 * (channel % 2) as f32)
        .collect();
    let path = fixture.write("stripes.json", serde_json::to_vec(&direction).unwrap());
    let units = ["channel:17", "17,3,4", "features/neuron:5"];
    let mut options = vec!["--layer=layer2".to_owned()];
    options.extend(units.map(|unit| format!("--unit={unit}")));
    options.push(format!("--direction={}", path.display()));
    options.push("--top=3".to_owned());
    options
}

fn units(fixture: &Fixture) -> Vec<Value> {
    let json = fixture.json("out/units.json");
    assert_eq!(json["interrupted"], false);
    assert_eq!(json["failures"], serde_json::json!([]));
    json["units"].as_array().unwrap().clone()
}

#[test]
fn units_of_all_forms_are_pictured_with_the_images_that_activate_them() {
    let fixture = Fixture::new();
    let mut command = fixture.command("visualize");
    command.args(of_all_forms(&fixture)).arg("--iterations=3");
    let output = command.arg("--json").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    // 32 times a quarter squared is 2.
    let said = "direction stripes: 32 numbers of length 1.4142, not normalised";
    assert!(message.contains(said), "{message}");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed, fixture.json("out/units.json"));

    let units = units(&fixture);
    let kinds: Vec<_> = units
        .iter()
        .map(|unit| unit["unit"]["kind"].clone())
        .collect();
    assert_eq!(kinds[0], serde_json::json!({ "channel": 17 }));
    let position = serde_json::json!({ "position": { "channel": 17, "row": 3, "column": 4 } });
    assert_eq!(kinds[1], position);
    assert_eq!(kinds[2], serde_json::json!({ "feature": 5 }));
    assert_eq!(kinds[3]["direction"]["name"], "stripes");
    for (index, unit) in units.iter().enumerate() {
        let picture = &unit["picture"];
        assert!(picture["activation"].is_f64());
        assert!(picture["logit"].is_null(), "it is of no class");
        assert_eq!(picture["steps"], 3);
        // Of features it is not known where they are active.
        let is_masked = index != 2;
        assert_eq!(picture["masked_file"].is_string(), is_masked);
        for file in ["file", "masked_file"]
            .into_iter()
            .take(1 + usize::from(is_masked))
        {
            let path = fixture.path("out").join(picture[file].as_str().unwrap());
            assert_eq!(image::open(path).unwrap().width(), 32);
        }
        let real = &unit["real"];
        assert_eq!(real["images"], 24);
        let top = real["top"].as_array().unwrap();
        let activations: Vec<_> = top.iter().map(|it| it["activation"].as_f64()).collect();
        assert_eq!(activations.len(), 3);
        assert!(activations.is_sorted_by(|a, b| a >= b), "{activations:?}");
        assert_eq!(top[0]["percentile"], 100.0);
        for image in top {
            assert!(image["id"].as_str().unwrap().ends_with(".png"));
            assert_eq!(image["crop"].is_object(), is_masked, "{image}");
        }
    }
    assert_eq!(units[0]["unit"]["layer"], "layer2");
    assert_eq!(units[2]["unit"]["layer"], "features");
    let page = fs::read_to_string(fixture.path("out/units.html")).unwrap();
    for heading in [
        "Layer <code>layer2</code>",
        "Layer <code>features</code>",
        "Direction stripes",
    ] {
        assert!(page.contains(heading), "{heading}");
    }
    // A row of a picture, the same masked, three images and three parts of them.
    let sheet = image::open(fixture.path("out/units.png")).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (8 * 134 + 6, 4 * 134 + 6));
    assert!(!fixture.path("out/features.safetensors").exists());
}

#[test]
fn units_within_a_class_and_without_images() {
    let fixture = Fixture::new();
    fixture.write("classes.txt", "cat\ndog\nowl\n");
    let mut command = fixture.bare("visualize");
    command.args(["--model", "cifar_resnet20", "--weights"]);
    command.arg(fixture.path("model.safetensors"));
    command.arg("--classes").arg(fixture.path("classes.txt"));
    command.args([
        "--class",
        "owl",
        "--unit",
        "layer1/all",
        "--iterations",
        "2",
    ]);
    command.assert().success();
    let units = units(&fixture);
    assert_eq!(units.len(), 16);
    for unit in &units {
        assert_eq!(unit["class"], 2);
        assert!(unit["picture"]["probability"].is_f64());
        assert!(unit["real"].is_null());
    }
}

#[test]
fn units_that_are_not_there_are_refused_by_name_before_the_work() {
    let fixture = Fixture::new();
    fixture.write("short.json", "[1, 2]");
    let short = format!("--direction={}", fixture.path("short.json").display());
    for (options, parts) in [
        (
            &["--unit", "layr2/channel:1"][..],
            &["no layer 'layr2'", "did you mean 'layer2'"][..],
        ),
        (
            &["--unit", "layr2/all"],
            &["no layer 'layr2'", "did you mean 'layer2'"],
        ),
        (
            &["--unit", "layer2/channel:32"],
            &["channel 32", "'layer2'", "it has 32 channels"],
        ),
        (
            &["--unit", "layer2/neuron:3"],
            &["neuron 3", "name a channel"],
        ),
        (
            &["--unit", "features/3,0,0"],
            &["channel 3 at row 0", "no positions"],
        ),
        (&["--unit", "layer2/3,16,0"], &["16 rows and 16 columns"]),
        (
            &["--unit", "layer2/channel:3", "--unit", "layer2/channel:3"],
            &["channel 3", "asked for twice"],
        ),
        (&["--unit", "channel:3"], &["--layer NAME"]),
        (&["--layer", "layer2"], &["go with --unit or --direction"]),
        (
            &["--unit", "layer2/channel:3", "--class-gamma", "0.5"],
            &["--class-gamma", "give --class"],
        ),
        (
            &["--neurons", "3", "--class", "owl", "--map", "layr3"],
            &["'layr3'"],
        ),
        (
            &["--neurons", "3", "--class", "owl", "--map", "layer2"],
            &["layer2", "64 neurons"],
        ),
    ] {
        let mut command = fixture.command("visualize");
        fails(command.args(options), parts);
    }
    for name in ["top-images.json", "features.safetensors", "units.json"] {
        assert!(!fixture.path("out").join(name).exists(), "{name}");
    }
    let mut direction = fixture.command("visualize");
    let output = direction.args(["--layer=layer2", &short]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    let expected = "it has 32 channels, the direction 2";
    assert!(message.contains(expected), "{message}");
    let mut typo = fixture.command("visualize");
    let output = typo.args(["--unit", "layer2/chanel:3"]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("did you mean 'channel'?"), "{message}");
    let mut both = fixture.command("visualize");
    both.args(["--unit", "layer2/channel:3", "--neurons", "3"]);
    assert_eq!(both.output().unwrap().status.code(), Some(2));
}

/// The results of a folder; the lock and the kept pictures are none.
fn results(fixture: &Fixture) -> BTreeMap<String, Vec<u8>> {
    let files = ["out", "out/units"].map(|name| fs::read_dir(fixture.path(name)).unwrap());
    let files = files.into_iter().flatten().map(Result::unwrap);
    let files = files.filter(|file| file.file_type().unwrap().is_file());
    let name = |file: &fs::DirEntry| file.file_name().into_string().unwrap();
    let mut files: BTreeMap<_, _> = files
        .map(|file| (name(&file), fs::read(file.path()).unwrap()))
        .collect();
    files.remove(".neuroinspect.lock");
    files
}

/// Killed in the midst of its second picture: neither the images are looked through again nor the first
/// picture is made again, and what comes out is the same.
#[test]
fn a_killed_run_goes_on_where_it_was() {
    let fixture = Fixture::new();
    let mut options = of_all_forms(&fixture);
    options.extend(["--iterations=40", "--picture-batch=1"].map(String::from));
    let run = || {
        let mut command = fixture.command("visualize");
        let output = command.args(&options).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{message}");
        message
    };
    assert!(!run().contains("taken from"));
    let alone = results(&fixture);
    assert_eq!(alone.len(), 4 + 3 + 4, "pictures, masked ones, and files");

    fs::remove_dir_all(fixture.path("out")).unwrap();
    let mut running = start(&fixture, "visualize", &options);
    let first = fixture.path("out/units/unit-1-layer2-channel-17.png");
    wait_for("first picture", || first.exists());
    running.0.kill().unwrap();
    running.0.wait().unwrap();

    let message = run();
    assert!(message.contains("top images taken from"), "{message}");
    assert!(message.contains(" pictures taken from"), "{message}");
    let found = results(&fixture);
    assert!(found.keys().eq(alone.keys()));
    for (name, bytes) in &alone {
        assert!(found[name] == *bytes, "{name}");
    }
}

#[test]
fn debug_shows_units_of_layers_in_its_report() {
    let fixture = Fixture::new();
    let debug = || {
        let mut command = fixture.command("debug");
        command.args(["--class", "owl", "--iterations", "2", "--count", "1"]);
        command.args([
            "--unit",
            "layer1/channel:3",
            "--unit",
            "layer3/channel:9",
            "--top=2",
        ]);
        command.output().unwrap()
    };
    assert!(debug().status.success());
    let summary = fixture.json("out/summary.json");
    let units = summary["units"].as_array().unwrap();
    assert_eq!(units.len(), 2);
    for unit in units {
        let file = unit["picture"]["file"].as_str().unwrap();
        assert!(file.starts_with("report-units/unit-"), "{file}");
        assert!(fixture.path("out").join(file).exists());
        assert_eq!(unit["real"]["top"].as_array().unwrap().len(), 2);
    }
    let page = fs::read_to_string(fixture.path("out/report.html")).unwrap();
    for layer in ["layer1", "layer3"] {
        assert!(page.contains(&format!("Layer <code>{layer}</code>")));
    }
    assert_eq!(summary["pictures"].as_array().unwrap().len(), 1);
    let message = String::from_utf8(debug().stderr).unwrap();
    assert!(message.contains("3 pictures taken from"), "{message}");
    // The options of one run are those of the next.
    let mut again = fixture.command("debug");
    again
        .args(["--class", "owl", "--config"])
        .arg(fixture.path("out/summary.json"));
    again.assert().success();
    let summary = fixture.json("out/summary.json");
    assert_eq!(summary["units"].as_array().unwrap().len(), 2);
}

/// What the configuration says of units comes after neurons of the command line, and the pictures of both
/// stand beside each other.
#[test]
fn neurons_of_the_command_line_come_before_units_of_the_configuration() {
    let fixture = Fixture::new();
    let mut units = fixture.command("visualize");
    units.args(["--unit=layer1/channel:3", "--iterations=2", "--top=1"]);
    units.assert().success();
    let mine = fixture.write("out/unit-2-plan.png", "mine");
    let visualize = |options: &[&str]| {
        let mut command = fixture.command("visualize");
        command.arg("--config").arg(fixture.path("out/units.json"));
        command.args(options).assert().success();
    };
    visualize(&["--neurons=17", "--class=owl"]);
    assert!(fixture.path("out/neuron-17-class-2.png").exists());
    let kept = fixture.path("out/units/unit-1-layer1-channel-3.png");
    assert!(kept.exists());
    fs::remove_file(&kept).unwrap();
    visualize(&[]);
    assert!(kept.exists());
    assert!(mine.exists() && fixture.path("out/neuron-17-class-2.png").exists());
}

/// A layer of its own gives the same picture another mask.
#[test]
fn the_map_of_a_named_model_can_be_chosen() {
    let fixture = Fixture::new();
    let neurons = [3, 5, 17, 40];
    let pictures = |map: &[&str]| {
        let mut command = fixture.command("visualize");
        command.args(["--class=owl", "--neurons=3,5,17,40", "--iterations=3"]);
        command.args(map).assert().success();
        ["", "-masked"].map(|ending| {
            let file = |neuron| fixture.read(&format!("out/neuron-{neuron}-class-2{ending}.png"));
            neurons.map(file)
        })
    };
    let [own, own_masked] = pictures(&[]);
    let [other, other_masked] = pictures(&["--map=layer3.0"]);
    assert!(own == other);
    assert!(own_masked != other_masked);
}
