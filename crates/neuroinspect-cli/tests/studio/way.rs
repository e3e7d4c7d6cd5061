//! The whole way: from what is wrong to an edit that `apply` applies.

use std::{fs, time::Instant};

use neuroinspect::{
    core::{DeviceName, FeatureTable, Metrics},
    editing::{LayerPatch, percent},
    models::{LoadConfig, load_classifier},
};
use serde_json::json;

use crate::{
    browser::{Browser, screenshots},
    program::{Program, folder_with_features, run},
};

/// What the tables of the edit say of the layer after it, by the name of the row.
const AFTER: &str = "Object.fromEntries([...(document.querySelector('#edit-result .panel')?.querySelectorAll('tbody tr') ?? [])].map(\
    row => [row.querySelector('th').firstChild.textContent, row.querySelectorAll('td.number')[1].textContent]))";

#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn from_the_mistakes_to_an_edit_that_apply_applies() {
    let browser = Browser::open();
    let folder = folder_with_features();
    let start = Instant::now();
    let program = Program::start(folder.path());
    browser.go(&program.address);
    // The token has left the address.
    browser.until("document.querySelector('.confusions')");
    let line = format!(
        "start to first page: {:.1} s",
        start.elapsed().as_secs_f64()
    );
    fs::write(screenshots().join("start.txt"), line).unwrap();
    // Far from what is measured where nothing else runs, so that a busy machine is no failure.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    assert!(!browser.address().contains("token"));
    assert_eq!(browser.text("h1"), "Overview");
    browser.keep("overview");

    let address = browser.address();

    // What is taken for what most often leads to just these images.
    let listed = browser.text(".confusion-list .soft");
    let count = listed.split(' ').next().unwrap().to_owned();
    browser.click(".confusion-list a");
    browser.until("document.querySelectorAll('.grid .cell img').length");
    let shown = browser.text("#shown");
    assert!(
        shown.starts_with(&format!("{count} of ")),
        "{shown}, and not {count}"
    );
    // A class beside it, with the neurons behind its mistakes.
    browser.go(&format!("{address}class/2"));
    browser.until("document.querySelector('.ranking tbody tr')");
    browser.until(
        "[...document.querySelectorAll('.grid img')].every(it => it.complete && it.naturalWidth)",
    );
    browser.keep("class");

    // The class whose images are at fault in the demo, its neurons ticked.
    let star =
        "[...document.querySelector('#class-select').options].find(it => it.text === 'star').value";
    let star = browser.value(star);
    browser.fill("#class-select", star.as_str().unwrap());
    browser.until("document.querySelector('h1').textContent.includes('star')");
    browser.click("#ranking .primary");
    browser.until("document.querySelector('#keep')");
    // As in the demo: all that are listed, with the options that it has.
    browser.until("document.querySelectorAll('input[name=neuron]:checked').length === 16");
    browser.until("document.querySelector('#preview-result table')");
    browser.until("document.querySelector('#flips .thumbnails')");
    browser.until("document.querySelector('#edit-status').textContent.includes('Answered')");
    browser.until("document.querySelector('svg.scatter .now')");
    browser.until("!document.querySelector('#measured [aria-busy], #flips[aria-busy]')");
    browser.value("scrollTo(0, 0)");
    browser.keep("mend");
    let shown = browser.value(AFTER);
    let first = browser.value("document.querySelector('#keep').dataset.id");

    // Kept, and beside another.
    browser.click("#keep");
    browser.until("document.querySelector('#kept tbody tr .forget')");
    browser.fill("input[name=lambda]", "0.1");
    browser.until("document.querySelector('#keep')?.textContent.includes('Keep to compare')");
    browser.click("#keep");
    browser.until("document.querySelectorAll('#kept tbody tr .forget').length === 2");
    browser.click("#kept input[name=a]");
    browser.click("#kept tbody tr:last-child input[name=b]");
    browser.until("document.querySelectorAll('#compare-result .columns > div').length === 2");
    browser.keep("compare");

    // Back is undone, at once.
    browser.click("#undo");
    browser.until("document.querySelector('input[name=lambda]').value === '1'");
    browser.until(&format!(
        "document.querySelector('#keep')?.dataset.id === {first}"
    ));
    browser.until("document.querySelector('#keep')?.textContent === 'Kept'");
    assert_eq!(browser.value(AFTER), shown);

    // Taken along.
    let id = browser.value("document.querySelector('#keep').dataset.id");
    let id = id.as_str().unwrap();
    let exports = format!(
        "document.querySelector('.exports a')?.getAttribute('href') === '/export/{id}/edit'"
    );
    browser.until(&exports);
    browser.click(".exports li:first-child a");
    let edit = browser.downloaded(&format!("edit-{id}.safetensors"));
    browser.click(".exports li:nth-child(2) a");
    let report = browser.downloaded(&format!("report-{id}.html"));
    let report = fs::read_to_string(report).unwrap();
    assert!(report.contains("Before and after") && !report.contains("Not finished"));
    let command = browser.text("#more-result pre");

    // The applied edit is worth what the page said.
    let out = folder.path().join("applied");
    let weights = folder.path().join("scenes_classifier.safetensors");
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    run(&[
        "apply".to_owned(),
        "--edit".to_owned(),
        text(&edit),
        "--model".to_owned(),
        "cifar_resnet20".to_owned(),
        "--weights".to_owned(),
        text(&weights),
        "--out".to_owned(),
        text(&out),
    ]);
    let device = DeviceName::default().open().unwrap();
    let config = LoadConfig::default();
    let edited = out.join("edited.safetensors");
    let applied = load_classifier("cifar_resnet20", &edited, &config, &device).unwrap();
    let layer = applied.model.decision_layer().unwrap();
    let table = FeatureTable::load(folder.path().join("features.safetensors")).unwrap();
    let metrics = table.predicted_by(&layer).unwrap().metrics().unwrap();
    let star = table.class_by_name_or_index("star").unwrap();
    let of = |accuracy: fn(&Metrics) -> f64| percent(accuracy(&metrics));
    let expected = json!({
        "Average": of(|it| it.accuracy),
        "\u{201c}star\u{201d}": percent(metrics.class_accuracy[star.0].unwrap()),
        "Worst class": of(|it| it.worst_class_accuracy),
        "Worst group": of(|it| it.worst_group_accuracy.unwrap()),
    });
    assert_eq!(shown, expected);
    assert!(
        metrics.worst_group_accuracy.unwrap() > 0.5,
        "the demo's edit helps"
    );

    // And the command line that stands there makes the very same layer.
    let mut words: Vec<String> = command.split(' ').skip(1).map(str::to_owned).collect();
    let again = folder.path().join("again");
    *words.last_mut().unwrap() = text(&again);
    run(&words);
    let files = [&edit, &again.join("edit.safetensors")];
    let [ours, theirs] = files.map(|path| LayerPatch::load(path).unwrap());
    assert_eq!(ours.sha256_after(), theirs.sha256_after());
}

#[test]
#[ignore = "wants Debian's chromium and chromium-driver"]
fn a_page_goes_on_with_a_server_that_was_killed_and_two_tabs_see_the_same() {
    let browser = Browser::open();
    let folder = folder_with_features();
    let mut program = Program::start(folder.path());
    browser.go(&program.address);
    browser.until("document.querySelector('.confusions')");
    let address = browser.address();
    let mend = format!("{address}mend?class=1&neurons=1,2");
    browser.go(&mend);
    browser.click("#keep");
    browser.until("document.querySelector('#kept .forget')");

    // Another tab sees what this one keeps.
    let first = browser.tab();
    let second = browser.new_tab();
    browser.look_at(&second);
    browser.go(&mend);
    browser.until("document.querySelector('#kept .forget')");
    browser.click("#kept .forget");
    browser.until("!document.querySelector('#kept .forget')");
    browser.look_at(&first);
    browser.until("!document.querySelector('#kept .forget')");
    browser.click("#keep");
    browser.until("document.querySelector('#kept .forget')");

    // The page says that nobody answers, and goes on by itself.
    program.kill();
    browser.until("!document.querySelector('#connection').hidden");
    let again = Program::start(folder.path());
    assert_eq!(
        again.address, program.address,
        "port and token are those of before"
    );
    browser.until("document.querySelector('#connection').hidden");
    // What was kept is there.
    browser.go(&mend);
    browser.until("document.querySelector('#kept .forget')");
}
