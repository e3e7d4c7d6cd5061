//! Published data sets: listed, checked, and given to other commands.

use neuroinspect::core::FeatureTable;
use serde_json::Value;

use crate::fixture::{CLASSES, Fixture, fails};

#[test]
fn data_sets_are_listed_with_their_files() {
    let fixture = Fixture::new();
    let output = fixture.bare("data").arg("list").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "waterbirds\n  Waterbirds: birds of CUB",
        "parts: train 4795, validation 1199, test 5794",
        "cifar-10-binary.tar.gz (the author's page, 162 MB)\n    MD5 c32a1d4ab5d03f1284b67883e8d87530",
    ] {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
    let output = fixture
        .bare("data")
        .args(["list", "--json"])
        .output()
        .unwrap();
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed["schema"], "neuroinspect.data");
    assert_eq!(
        listed["data_sets"][0]["parts"][2],
        serde_json::json!(["test", 19962])
    );
}

#[test]
fn what_is_there_is_checked() {
    let fixture = Fixture::new();
    let mut check = fixture.bare("data");
    let output = check
        .args(["check", "lego"])
        .arg(fixture.path("images"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.ends_with("complete\n") && text.contains("validation"),
        "{text}"
    );

    let mut check = fixture.bare("data");
    let check = check
        .args(["check", "waterbirds", "--json"])
        .arg(fixture.path("images"));
    let output = check.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problem = found["problems"][0].as_str().unwrap();
    assert!(problem.contains("metadata.csv"), "{problem}");
    let mut check = fixture.bare("data");
    fails(
        check.args(["check", "waterbrids", "."]),
        &["waterbrids", "there are: celeba"],
    );
}

/// Evaluates on a published data set.
fn evaluate(fixture: &Fixture, data: &str) -> assert_cmd::Command {
    let mut command = fixture.bare("evaluate");
    command.args(["--model", "cifar_resnet20", "--weights"]);
    command.arg(fixture.path("model.safetensors"));
    command.arg("--data").arg(data);
    command
}

#[test]
fn commands_take_a_data_set_or_a_part_of_it() {
    let fixture = Fixture::new();
    let images = fixture.path("images");
    let images = images.to_str().unwrap();
    let samples = |data: &str, options: &[&str]| -> u64 {
        let mut command = evaluate(&fixture, data);
        let output = command.args(options).arg("--json").output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{message}");
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["run"]["data"], data.split(':').next().unwrap());
        found["samples"].as_u64().unwrap()
    };
    // Of eight images of each class a fifth validates, rounded.
    assert_eq!(samples(&format!("lego/validation:{images}"), &[]), 6);
    assert_eq!(
        samples(&format!("lego/train:{images}"), &["--seed", "4"]),
        18
    );
    assert_eq!(samples(&format!("lego:{images}"), &[]), 24);

    let mut edit = fixture.bare("edit");
    edit.args(["--model", "cifar_resnet20", "--weights"]);
    edit.arg(fixture.path("model.safetensors"))
        .args(["--neurons", "3"]);
    let data = format!("lego:{images}");
    let parts = ["no part of the samples is named 'test'", "lego/PART:PATH"];
    fails(edit.args(["--data", &data]), &parts);
}

/// Food-101 of three classes: per class twelve images to train on, of which two validate, and four to test.
fn food(fixture: &Fixture) -> String {
    let (mut train, mut test) = (String::new(), String::new());
    for (class, name) in CLASSES.iter().enumerate() {
        for index in 0..16 {
            let list = if index < 12 { &mut train } else { &mut test };
            *list += &format!("{name}/{index}\n");
            fixture.image(&format!("food/images/{name}/{index}.jpg"), class, index);
        }
    }
    fixture.write("food/meta/classes.txt", CLASSES.join("\n"));
    fixture.write("food/meta/train.txt", train);
    fixture.write("food/meta/test.txt", test);
    format!("food101:{}", fixture.path("food").display())
}

#[test]
fn an_edit_learns_from_the_training_part_and_measures_on_the_test_part() {
    let fixture = Fixture::new();
    let data = food(&fixture);
    let command = |name: &str| {
        let mut command = fixture.bare(name);
        command.args(["--model", "cifar_resnet20", "--weights"]);
        command
            .arg(fixture.path("model.safetensors"))
            .args(["--data", &data]);
        command
    };
    let mut edit = command("edit");
    edit.args(["--neurons", "3", "--epochs", "1"])
        .assert()
        .success();
    let record = fixture.json("out/edit.json");
    assert_eq!(
        record["edit"]["comparison"]["before"]["samples"], 12,
        "{record}"
    );
    let table = FeatureTable::load(fixture.path("out/features.safetensors")).unwrap();
    let split = table.split().unwrap();
    let sizes = ["train", "validation", "test"].map(|part| split.samples_of(part).unwrap().len());
    assert_eq!(sizes, [30, 6, 12]);

    let mut train = fixture.bare("train");
    train.args([
        "--model",
        "cifar_resnet20",
        "--decision-layer",
        "--epochs",
        "1",
    ]);
    let output = train.args(["--data", &data, "--json"]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["training_images"], 30, "{record}");
    assert_eq!(record["validation_images"], 6, "{record}");

    // Of all parts for one of the two, what is measured on would be trained on.
    let images = fixture.path("food").display().to_string();
    let (train, test) = (
        format!("food101/train:{images}"),
        format!("food101/test:{images}"),
    );
    for (train, test, option) in [(&data, &test, "--train"), (&train, &data, "--data")] {
        for name in ["edit", "mend"] {
            let mut command = fixture.bare(name);
            command.args(["--model", "cifar_resnet20", "--weights"]);
            command.arg(fixture.path("model.safetensors"));
            command.args(["--data", test, "--train", train]);
            if name == "edit" {
                command.args(["--neurons", "3"]);
            }
            let refusal = format!("{option} is of all parts");
            fails(&mut command, &["food101/PART:PATH", &refusal]);
        }
    }
    // Images to validate on are that part of what they are given as.
    std::fs::remove_dir_all(fixture.path("out/training")).unwrap();
    let mut command = fixture.bare("train");
    command.args(["--model", "cifar_resnet20", "--decision-layer", "--json"]);
    command.args(["--epochs", "1", "--data", &train, "--validation", &data]);
    let output = command.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["training_images"], 30, "{record}");
    assert_eq!(record["validation_images"], 6, "{record}");
}

#[test]
fn prompts_begin_with_the_kind_of_thing_that_the_classes_are() {
    let fixture = Fixture::new();
    let data = food(&fixture);
    let clip = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../neuroinspect/assets/scenes_clip.safetensors"
    );
    for (given, domain) in [(&[][..], "food"), (&["--domain", "drawing"], "drawing")] {
        let mut command = fixture.bare("visualize");
        command.args(["--model", "cifar_resnet20", "--weights"]);
        command.arg(fixture.path("model.safetensors"));
        command.args(["--data", &data, "--clip-weights", clip, "--json"]);
        command.args(["--neurons", "3", "--class", "owl", "--iterations", "1"]);
        let output = command.args(given).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{message}");
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(record["run"]["configs"]["prompts"]["domain"], domain);
    }
}

/// Six of its 48 images are to choose on, two of each class, and none of these is measured on.
#[test]
fn debug_explains_the_part_that_is_chosen_on() {
    let fixture = Fixture::new();
    let data = food(&fixture);
    let mut debug = fixture.bare("debug");
    debug.args(["--model", "cifar_resnet20", "--weights"]);
    debug.arg(fixture.path("model.safetensors"));
    debug.args(["--data", &data, "--class", "owl", "--iterations", "1"]);
    let output = debug.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    let findings = fixture.json("out/summary.json");
    assert_eq!(findings["samples"], 2, "{message}");
    assert_eq!(findings["edit"]["comparison"]["before"]["samples"], 12);
    assert_eq!(findings["edit"]["chosen_from"], 0);
}

#[test]
fn what_no_published_data_set_is_or_takes_is_refused() {
    let fixture = Fixture::new();
    let classes = fixture.write("classes.txt", "cat\ndog\nowl\n");
    let images = fixture.path("images");
    let images = images.to_str().unwrap();
    let lego = format!("lego:{images}");
    let refused = |data: &str, options: &[&str], parts: &[&str]| {
        fails(evaluate(&fixture, data).args(options), parts);
    };
    refused(
        "waterbrids:x",
        &[],
        &[
            "'waterbrids:x' is no folder",
            "did you mean 'waterbirds'? there are: celeba",
        ],
    );
    refused(
        &format!("cifar10:{images}"),
        &[],
        &[
            "does not hold the data set 'cifar10': 'batches.meta.txt' is neither",
            "docs/data.md",
        ],
    );
    refused("lego/tset:nowhere", &[], &["nowhere"]);
    refused(
        &format!("lego/tset:{images}"),
        &[],
        &["named 'tset'", "train, validation"],
    );
    refused(
        &lego,
        &["--classes", classes.to_str().unwrap()],
        &["leave --class-names"],
    );
    refused(
        &lego,
        &["--data-option", "label=Male"],
        &["'lego', option 'label'"],
    );
    refused(
        &lego,
        &["--data-option", "colour=red"],
        &["--data-option", "colour", "label"],
    );
    refused(images, &["--data-option", "label=Male"], &["is a folder"]);
    let mut corrupt = fixture.bare("corrupt");
    fails(corrupt.args(["--data", &lego]), &["lego/PART:PATH"]);
}

/// `data get` from a server on this machine.
#[cfg(feature = "hub")]
mod get {
    use std::fs;

    use neuroinspect_testing::hub::{Fault, LocalHub};

    use crate::fixture::{Fixture, fails};

    const ARCHIVE: &str = "waterbird_complete95_forest2water2.tar.gz";

    /// A tar of one file, `birds/metadata.csv`: what is in it tells an archive, not its name.
    fn tar(content: &[u8]) -> Vec<u8> {
        let mut header = [0_u8; 512];
        let mut set =
            |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        set(0, "birds/metadata.csv");
        set(100, "0000644");
        set(124, &format!("{:011o}", content.len()));
        set(136, "00000000000");
        set(148, "        ");
        set(156, "0");
        set(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut bytes = [&header, content].concat();
        bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
        bytes
    }

    fn get(fixture: &Fixture, name: &str, mirror: &str) -> assert_cmd::Command {
        let mut get = fixture.bare("data");
        get.args(["get", name]).arg(fixture.path("got"));
        get.args(["--mirror", mirror]);
        get
    }

    #[test]
    fn a_data_set_is_downloaded_and_extracted() {
        let fixture = Fixture::new();
        let server = LocalHub::start();
        let mirror = format!("{}/data/birds/", server.endpoint());
        server.serve("data/birds", ARCHIVE, tar(b"img_id\n"));
        server.fail([Fault::Truncated(700)]);
        let parts = ["cannot download", "700 of 2048 bytes", ARCHIVE];
        fails(&mut get(&fixture, "waterbirds", &mirror), &parts);
        assert!(!fixture.path("got").join(ARCHIVE).exists());

        // The same command goes on where that one ended.
        server.fail([]);
        server.asked();
        get(&fixture, "waterbirds", &mirror).assert().success();
        assert!(server.asked().iter().any(|asked| asked.from == Some(700)));
        assert_eq!(fixture.read("got/birds/metadata.csv"), b"img_id\n");
        let mut names: Vec<_> = fs::read_dir(fixture.path("got"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["birds", ARCHIVE]);

        get(&fixture, "waterbirds", &mirror).assert().success();
        assert!(server.asked().is_empty(), "all of it is there");
    }

    #[test]
    fn what_is_not_the_published_file_is_refused() {
        let fixture = Fixture::new();
        let server = LocalHub::start();
        let mirror = format!("{}/data/cifar", server.endpoint());
        server.serve("data/cifar", "cifar-10-binary.tar.gz", tar(b"other"));
        let parts = [
            "cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530 as published",
        ];
        fails(&mut get(&fixture, "cifar10", &mirror), &parts);
        assert_eq!(fs::read_dir(fixture.path("got")).unwrap().count(), 0);
        let parts = ["data/cifar/102flowers.tgz", "status 404"];
        fails(&mut get(&fixture, "flowers102", &mirror), &parts);
        let parts = ["no addresses", "https://www.image-net.org/"];
        fails(fixture.bare("data").args(["get", "imagenet", "x"]), &parts);
    }
}
