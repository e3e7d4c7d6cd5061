//! `leaderboard`: methods compared on tables and on networks of images.

use neuroinspect::core::io::sha256_of_file;
use serde_json::json;

use crate::{
    fixture::{CLASSES, Fixture, fails},
    tables::{PARTS, printed, write},
};

#[test]
fn methods_are_compared_over_seeds() {
    let fixture = Fixture::new();
    write(&fixture, "birds-1", &PARTS, true);
    write(&fixture, "birds-2", &PARTS, true);
    let mut compare = fixture.bare("leaderboard");
    let files = ["birds-1", "birds-2"].map(|name| fixture.path(name).display().to_string());
    compare.args(["--table", &files.join(","), "--seeds", "2", "--seed", "7"]);
    let text = printed(compare.args(["--methods", "class_bias,dfr", "--class", "waterbird"]));
    let page = String::from_utf8(fixture.read("out/leaderboard.md")).unwrap();
    assert!(text.starts_with(&page), "{text}");
    assert!(page.contains("\n## birds\n"), "{page}");
    assert!(
        page.contains("to be helped: waterbird; seeds 7, 8."),
        "{page}"
    );
    let board = &fixture.json("out/leaderboard.json")["settings"][0];
    assert_eq!(board["samples"], json!([40, 40, 40]));
    assert_eq!(
        board["before"]["average"],
        json!({"mean": 0.5, "margin": 0.0})
    );
    let bias = &board["rows"][0];
    assert_eq!(bias["method"], "class_bias");
    assert!(bias["scores"]["class"]["margin"].is_f64(), "{bias}");
    assert!(bias["options"][1]["strength"].is_f64(), "{bias}");
    assert!(page.contains("\n- `class_bias`: strength "), "{page}");
    let dfr = &board["rows"][1];
    assert_eq!(dfr["labels"], "groups_of_validation");

    for (files, seeds, expected) in [
        (files.join(","), "3", "give --seeds 2"),
        (files.join(","), "1", "give --seeds 2"),
        (files[0].clone(), "2", "give --seeds 1"),
    ] {
        let mut compare = fixture.bare("leaderboard");
        compare.args(["--table", &files, "--seeds", seeds]);
        fails(&mut compare, &["birds-1", expected]);
    }

    // What has been compared is not compared again; with another option it is.
    let compare = |fixture: &Fixture, count: &str| {
        let mut compare = fixture.bare("leaderboard");
        compare.args(["--table", &files.join(","), "--seeds", "2", "--seed", "7"]);
        compare.args([
            "--methods",
            "class_bias,dfr",
            "--class",
            "waterbird",
            "--count",
            count,
        ]);
        let output = compare.output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{message}");
        message
    };
    let board = fixture.json("out/leaderboard.json")["settings"][0].clone();
    assert!(compare(&fixture, "5").contains("birds: taken from an earlier run"));
    assert_eq!(fixture.json("out/leaderboard.json")["settings"][0], board);
    assert!(!compare(&fixture, "4").contains("taken from"));

    // What another command compared in this folder stays.
    let mut other = fixture.bare("leaderboard");
    other.arg("--table").arg(fixture.path("birds-1"));
    printed(other.args(["--seeds", "1", "--methods", "dfr,auto", "--each-class"]));
    let settings = &fixture.json("out/leaderboard.json")["settings"];
    let of_class = &settings[0]["each_class"][1];
    assert_eq!(of_class["class"], "landbird", "{of_class}");
    assert!(of_class["difference"]["margin"].is_f64(), "{of_class}");
    assert_eq!(settings[1]["each_class"], json!([]));
    let names = [&settings[0]["setting"], &settings[1]["setting"]];
    assert_eq!(names, ["birds-1", "birds"]);
    // And is told with its own command and options.
    let [first, kept] = [0, 1].map(|index| settings[index]["command"].as_str().unwrap());
    assert!(
        kept.contains("--count 4") && !first.contains("--count"),
        "{kept}"
    );
    assert_eq!(settings[1]["config"]["neurons"], 4);
    let page = String::from_utf8(fixture.read("out/leaderboard.md")).unwrap();
    assert!(page.contains(first) && page.contains(kept), "{page}");

    // Results go by names: another table takes none that is there, nor do two of one command share one.
    for (tables, called) in [
        (&["other/birds-1"][..], "both be called 'birds-1'"),
        (&["bats", "other/bats"], "both be called 'bats'"),
    ] {
        let mut compare = fixture.bare("leaderboard");
        for table in tables {
            write(&fixture, table, &PARTS, true);
            compare.arg("--table").arg(fixture.path(table));
        }
        compare.args(["--seeds", "1", "--methods", "dfr"]);
        fails(&mut compare, &["other/", called, "--out"]);
    }
    assert_eq!(fixture.json("out/leaderboard.json")["settings"], *settings);

    write(&fixture, "bare", &PARTS, false);
    let mut compare = fixture.bare("leaderboard");
    compare.arg("--table").arg(fixture.path("bare"));
    fails(&mut compare, &["bare", "it has no tensor 'weight'"]);
}

/// Of the same images, as they are and corrupted: other settings, on the same network.
#[test]
fn methods_are_compared_on_networks_of_images() {
    let fixture = Fixture::new();
    fixture.images("cifar/train", &CLASSES);
    fixture.images("cifar/test", &CLASSES);
    let weights = fixture.path("model.safetensors").display().to_string();
    let mut compare = fixture.bare("leaderboard");
    compare.arg("--cifar").arg(fixture.path("cifar"));
    for share in ["", ",0.25"] {
        let network = format!("cifar_resnet20={weights}{share}");
        compare.args(["--network", &network]);
    }
    let text = printed(compare.args(["--seeds", "2", "--methods", "logit_adjustment"]));
    for title in [
        "## CIFAR-10: model",
        "## Corrupted CIFAR-10, 25 % conflicting: model",
    ] {
        assert!(text.contains(title), "{text}");
    }
    assert!(text.contains("## Published figures"), "{text}");
    let record = fixture.json("out/leaderboard.json");
    let [plain, corrupted] = [0, 1].map(|index| &record["settings"][index]);
    for board in [plain, corrupted] {
        assert_eq!(board["samples"], json!([24, 12, 12]));
    }
    assert_eq!(plain["before"]["worst_group"], json!(null));
    assert_eq!(corrupted["before"]["worst_group"]["mean"], 0.0);
    // Named by the network's weights, which are the same.
    let network = sha256_of_file(fixture.path("model.safetensors")).unwrap();
    for part in [
        "train",
        "test",
        "train-0.25",
        "validation-0.25",
        "test-0.25",
    ] {
        let file = format!("out/features-{}-{part}.safetensors", &network[..8]);
        assert!(fixture.path(&file).exists(), "{file}");
    }
}
