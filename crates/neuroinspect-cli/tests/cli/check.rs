//! `check`: exit codes, what it writes, and what it says of another checkpoint.

use assert_cmd::Command;
use ndarray::{Array1, Array2};
use neuroinspect::core::{
    ActivationTable, ClassId, DecisionLayer, FeatureTable, Groups, InputSpec, Provenance,
};

use crate::fixture::{Fixture, fails};

/// Sixty samples of two classes. Neuron 0 is active in a bird, neuron 1 in none, neuron 2 in half of each,
/// which are the group on water.
fn table(fixture: &Fixture) {
    let groups = (0..120).map(|sample| sample % 2).collect();
    let groups = Groups::new(["on water", "on land"].map(String::from).to_vec(), groups).unwrap();
    let table = without_groups().with_groups(groups).unwrap();
    table.save(fixture.path("table.safetensors")).unwrap();
}

fn without_groups() -> FeatureTable {
    let features = Array2::from_shape_fn((120, 3), |(sample, neuron)| match neuron {
        0 => f32::from(u8::from(sample < 60)),
        1 => f32::from(u8::from(sample >= 60)),
        _ => f32::from(u8::from(sample % 2 == 0)),
    });
    let provenance = Provenance::new("toy", InputSpec::new(8));
    let activations = ActivationTable::new(features, provenance).unwrap();
    let labels = (0..120)
        .map(|sample| ClassId(usize::from(sample >= 60)))
        .collect();
    let names = ["bird", "no <bird> & \"more\""].map(String::from).to_vec();
    FeatureTable::new(activations, labels, names).unwrap()
}

/// A layer that takes water for a bird, as strongly as `water` says.
fn layer(fixture: &Fixture, name: &str, water: f32) {
    let weight = ndarray::array![[2.0, 0.0, water], [0.0, 2.0, 0.0]];
    let layer = DecisionLayer::new(weight, Array1::zeros(2)).unwrap();
    layer.save(fixture.path(name)).unwrap();
}

fn check(fixture: &Fixture, layer: &str) -> Command {
    check_into(fixture, layer, "out")
}

fn check_into(fixture: &Fixture, layer: &str, folder: &str) -> Command {
    let mut command = Command::cargo_bin("neuroinspect").unwrap();
    command.arg("check").arg("--out").arg(fixture.path(folder));
    command
        .arg("--table")
        .arg(fixture.path("table.safetensors"));
    command.arg("--layer-file").arg(fixture.path(layer));
    command
}

/// Exit code and standard output.
fn ended(command: &mut Command) -> (Option<i32>, String) {
    let output = command.arg("--quiet").output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!message.contains("error"), "{message}");
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn a_limit_that_does_not_hold_is_exit_code_3() {
    let fixture = Fixture::new();
    table(&fixture);
    layer(&fixture, "sound", 0.0);
    layer(&fixture, "spurious", 3.0);
    let limits = "worst_group=0.8,class.bird=1,average=0.75,group.on land=1";
    let (code, text) = ended(check(&fixture, "sound").args(["--fail-below", limits]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("0 of 4 checks failed"), "{text}");

    let junit = fixture.path("check.xml");
    let mut command = check(&fixture, "spurious");
    command.args(["--fail-below", limits, "--fail-below", "class.1=0.6"]);
    let (code, text) = ended(command.arg("--junit").arg(&junit));
    assert_eq!(code, Some(3), "{text}");
    for line in [
        "FAILED  worst_group at least 80.0%: 50.0% (on water)\n",
        "passed  class.bird at least 100.0%: 100.0%\n",
        "passed  average at least 75.0%: 75.0%\n",
        "passed  group.on land at least 100.0%: 100.0%\n",
        "FAILED  class.1 at least 60.0%: 50.0%\n",
        "2 of 5 checks failed\n",
        "check.html",
    ] {
        assert!(text.contains(line), "{line} is not in: {text}");
    }
    let report = fixture.json("out/check.json");
    assert_eq!(report["schema"], "neuroinspect.check");
    assert_eq!(report["checks"].as_array().unwrap().len(), 5);
    assert_eq!(report["metrics"]["worst_group_accuracy"], 0.5);
    let page = String::from_utf8(fixture.read("out/check.html")).unwrap();
    assert!(page.contains("Failed: 2 of 5 checks.") && page.contains("no &lt;bird&gt;"));

    let xml = String::from_utf8(fixture.read("check.xml")).unwrap();
    assert!(xml.starts_with(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"5\" failures=\"2\">"
    ));
    assert_eq!(xml.matches("<testcase ").count(), 5);
    assert_eq!(xml.matches("</testcase>").count(), 5);
    assert!(xml.contains(
        "name=\"worst_group at least 80.0%\"><failure message=\"50.0% (on water)\" type=\"check\">"
    ), "{xml}");
}

#[test]
fn what_rests_on_more_than_before_is_exit_code_3() {
    let fixture = Fixture::new();
    table(&fixture);
    layer(&fixture, "sound", 0.0);
    layer(&fixture, "spurious", 3.0);
    let old = fixture.path("old");
    let (code, text) = ended(&mut check_into(&fixture, "sound", "old"));
    assert_eq!(code, Some(0));
    assert!(text.starts_with("nothing was asked for"), "{text}");

    // Against itself, and in the very folder.
    let (code, text) = ended(
        check_into(&fixture, "sound", "old")
            .arg("--against")
            .arg(&old),
    );
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("0 of 9 checks failed"), "{text}");

    let mut command = check(&fixture, "spurious");
    let (code, text) = ended(command.arg("--against").arg(old.join("check.json")));
    assert_eq!(code, Some(3), "{text}");
    for line in [
        "FAILED  average fell by no more than 2.0%: 75.0%, before 100.0%\n",
        "FAILED  worst_group fell by no more than 2.0%: 50.0%, before 100.0%\n",
        "passed  class.bird fell by no more than 2.0%: 100.0%, before 100.0%\n",
        "passed  no neuron is behind more mistakes of bird: none\n",
        "FAILED  bird relies on no neuron more: neuron 2: importance ",
        "not compared: 30 mistakes now, 0 before, and 20 are needed\n",
    ] {
        assert!(text.contains(line), "{line} is not in: {text}");
    }
    let changes = fixture.json("out/check.json")["changes"].clone();
    let grew = changes.as_array().unwrap().iter().any(|change| {
        change["neuron"] == 2 && change["of"] == "importance" && change["grew"] == true
    });
    assert!(grew, "{changes}");
    let page = String::from_utf8(fixture.read("out/check.html")).unwrap();
    assert!(page.contains("Neurons that changed"));

    // What is not measured any more may have fallen.
    let few = without_groups().select(&(0..60).collect::<Vec<_>>());
    few.unwrap()
        .save(fixture.path("table.safetensors"))
        .unwrap();
    let (code, text) = ended(check(&fixture, "sound").arg("--against").arg(&old));
    assert_eq!(code, Some(3), "{text}");
    for of in ["worst_group", "class.no <bird> & \"more\""] {
        let line = format!(
            "FAILED  {of} fell by no more than 2.0%: it cannot be measured any more, before 100.0%\n"
        );
        assert!(text.contains(&line), "{line} is not in: {text}");
    }
    table(&fixture);

    // Of one class alone, and with a fall that is allowed.
    let mut command = check(&fixture, "spurious");
    command
        .args(["--class", "1", "--tolerance", "0.5"])
        .arg("--against")
        .arg(&old);
    let (code, text) = ended(&mut command);
    assert!(
        !text.contains("  bird relies on") && text.contains("\"more\" relies on"),
        "{text}"
    );
    assert!(
        text.contains("passed  average fell by no more than 50.0%"),
        "{text}"
    );
    assert_eq!(code, Some(3), "{text}");
}

#[test]
fn what_cannot_be_checked_is_exit_code_1() {
    let fixture = Fixture::new();
    table(&fixture);
    layer(&fixture, "sound", 0.0);
    let mut command = check(&fixture, "sound");
    fails(
        command.args(["--fail-below", "class.brid=0.5"]),
        &["brid", "bird"],
    );
    let mut command = check(&fixture, "sound");
    fails(
        command.args(["--fail-below", "group.on ice=0.5"]),
        &["group.on ice", "on water, on land"],
    );
    let mut command = check(&fixture, "sound");
    fails(
        command.arg("--against").arg(fixture.path("nowhere")),
        &["--against", "nowhere"],
    );
    let other = fixture.write(
        "other",
        "{\"schema\": \"neuroinspect.findings\", \"schema_version\": 4}",
    );
    let mut command = check(&fixture, "sound");
    fails(
        command.arg("--against").arg(other),
        &["other", "neuroinspect.check"],
    );
    let mut command = check(&fixture, "sound");
    command.args(["--fail-below", "worst=0.5"]).assert().code(2);
}

/// Of a network and images, as somebody's own tests call it.
#[test]
fn a_network_is_checked_on_its_images() {
    let fixture = Fixture::new();
    let mut command = fixture.command("check");
    let (code, text) = ended(command.args(["--fail-below", "class.cat=1,class.dog=0.5"]));
    assert_eq!(code, Some(3));
    assert!(
        text.contains("passed  class.cat") && text.contains("FAILED  class.dog"),
        "{text}"
    );
    let classes = fixture.json("out/check.json")["classes"].clone();
    assert_eq!(classes[1]["ranking"]["mistakes"], 8);
    assert_eq!(classes[0]["ranking"], serde_json::Value::Null);
    let mut again = fixture.command("check");
    let (code, _) = ended(again.arg("--config").arg(fixture.path("out/check.json")));
    assert_eq!(code, Some(0), "its record is a configuration");
}
