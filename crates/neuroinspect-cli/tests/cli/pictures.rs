//! How far pictures can be trusted, what they are optimised in, and what they start from.

use std::io::Cursor;

use image::{AnimationDecoder, DynamicImage, codecs::png::PngDecoder};
use neuroinspect::illusion::Magnitudes;
use serde::Deserialize;
use serde_json::Value;

use crate::fixture::{CLASSES, Fixture, fails};

fn visualize(fixture: &Fixture) -> assert_cmd::Command {
    let mut command = fixture.command("visualize");
    command.args(["--neurons", "3,5", "--class", "owl", "--iterations", "16"]);
    command
}

fn failure(mut command: assert_cmd::Command) -> String {
    let output = command.assert().failure().get_output().clone();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_picture_says_how_far_it_can_be_trusted() {
    let fixture = Fixture::new();
    let mut judged = visualize(&fixture);
    judged.args(["--judge", "cifar_resnet20", "--judge-weights"]);
    judged.arg(fixture.path("model.safetensors"));
    let output = judged.assert().success().get_output().clone();
    let said = String::from_utf8(output.stdout).unwrap();
    let found = fixture.json("out/visualizations.json");
    for picture in found["visualizations"].as_array().unwrap() {
        let trust = &picture["trust"];
        let verdict = trust["verdict"].as_str().unwrap();
        assert!(["trusted", "doubtful"].contains(&verdict), "{trust}");
        assert!(said.contains(&format!("\n  {verdict}: ")), "{said}");
        assert_eq!(trust["real_images"], 24);
        assert_eq!(trust["path"]["strongest"], 8);
        assert_eq!(trust["path"]["layers"].as_array().unwrap().len(), 6);
        assert_eq!(trust["continuity"]["images"], 4);
        // No network of these layers jumps.
        let jump = trust["continuity"]["jump"].as_f64().unwrap();
        assert!((0.0..0.05).contains(&jump), "{trust}");
        for percentile in ["percentile", "agreement_percentile", "logit_percentile"] {
            let percentile = trust[percentile].as_f64().unwrap();
            assert!((0.0..=100.0).contains(&percentile));
        }
        assert_eq!(trust["agreement"]["steps"], 2);
        let judge = &trust["recognition"];
        assert_eq!(judge["judge"], "cifar_resnet20");
        // It is the classifier itself here.
        let own = trust["path"]["layers"][5]["chance"].as_f64().unwrap();
        assert!(
            (judge["chance"].as_f64().unwrap() - own).abs() < 0.1,
            "{trust}"
        );
        let probability = judge["probability"].as_f64().unwrap();
        assert!((probability - picture["probability"].as_f64().unwrap()).abs() < 1e-4);
    }

    let mut hurried = visualize(&fixture);
    hurried.args(["--other-seeds", "0"]).assert().success();
    let found = fixture.json("out/visualizations.json");
    let trust = &found["visualizations"][0]["trust"];
    assert!(trust["agreement"].is_null() && trust["recognition"].is_null());

    let mut unweighed = visualize(&fixture);
    unweighed.args(["--judge", "cifar_resnet20"]);
    assert!(failure(unweighed).contains("--judge-weights"));

    // It judges beside real images alone.
    let mut without_images = fixture.bare("visualize");
    without_images.args(["--model", "cifar_resnet20", "--judge", "cifar_resnet20"]);
    assert!(failure(without_images).contains("--data"));
}

/// A row for each picture: whole, masked, and parts of four real images of its class.
#[test]
fn a_sheet_shows_parts_of_real_images_beside_each_picture() {
    let fixture = Fixture::new();
    let mut facets = fixture.command("visualize");
    facets.args(["--neurons", "3", "--iterations", "2"]);
    facets.args(["--count", "3", "--other-seeds", "0"]);
    facets.assert().success();
    let sheet = image::open(fixture.path("out/visualizations.png"));
    let sheet = sheet.unwrap().into_rgb8();
    let length = |tiles: u32| tiles * 134 + 6;
    assert_eq!(sheet.dimensions(), (length(6), length(3)));
    // Of three classes three images each, which differ.
    let tile = |column: u32, row: u32| {
        let (left, top) = (length(column), length(row));
        image::imageops::crop_imm(&sheet, left, top, 128, 128).to_image()
    };
    for column in 2..6 {
        assert_ne!(tile(column, 0), tile(column, 1));
        assert!(tile(column, 0).pixels().any(|pixel| pixel.0 != [255; 3]));
    }
}

#[test]
fn a_report_says_how_far_its_pictures_can_be_trusted() {
    let fixture = Fixture::new();
    let mut debug = fixture.command("debug");
    debug.args(["--class", "dog", "--iterations", "2", "--count", "1"]);
    let output = debug.assert().success().get_output().clone();
    let said = String::from_utf8(output.stdout).unwrap();
    let found = fixture.json("out/summary.json");
    let trust = &found["pictures"][0]["trust"];
    let verdict = trust["verdict"].as_str().unwrap();
    let neuron = found["pictures"][0]["pair"]["neuron"].as_u64().unwrap();
    assert!(
        said.contains(&format!("picture of neuron {neuron} in ")),
        "{said}"
    );
    assert!(said.contains(&format!(": {verdict}: ")), "{said}");
    let page = String::from_utf8(fixture.read("out/report.html")).unwrap();
    assert!(page.contains(&format!("trust<b>{verdict}</b>")));
    assert!(page.contains("largest jump of the activation"), "{trust}");
}

#[test]
fn pictures_have_the_magnitudes_of_a_folder_of_images() {
    let fixture = Fixture::new();
    let mut measure = fixture.bare("magnitudes");
    measure.arg("--data").arg(fixture.path("images"));
    measure.args(["--size", "32"]).assert().success();
    let measured = fixture.json("out/magnitudes.json");
    assert_eq!(
        (&measured["images"], &measured["size"]),
        (&24.into(), &32.into())
    );
    let mut maco = visualize(&fixture);
    maco.args(["--parameter", "maco", "--magnitudes"]);
    maco.arg(fixture.path("out/magnitudes.json"))
        .assert()
        .success();
    let found = fixture.json("out/visualizations.json");
    let recipe = &found["run"]["configs"]["recipe"];
    let magnitudes = |value: &Value| -> Magnitudes { Magnitudes::deserialize(value).unwrap() };
    let of_folder = magnitudes(&measured["magnitudes"]);
    assert_eq!(magnitudes(&recipe["parameter"]["maco"]), of_folder);
    assert_eq!(recipe["learning_rate"], 0.3);

    let mut of_scenes = visualize(&fixture);
    of_scenes.args(["--parameter", "maco"]).assert().success();
    let found = fixture.json("out/visualizations.json");
    let scenes = &found["run"]["configs"]["recipe"]["parameter"]["maco"];
    assert_ne!(magnitudes(scenes), of_folder);

    let mut pixels = visualize(&fixture);
    pixels.args(["--parameter", "pixels", "--magnitudes"]);
    pixels.arg(fixture.path("out/magnitudes.json"));
    assert!(failure(pixels).contains("--magnitudes is for --parameter maco"));

    let mut skipping = fixture.bare("magnitudes");
    skipping.arg("--data").arg(fixture.path("images"));
    skipping.args(["--on-corrupt", "skip"]);
    assert!(failure(skipping).contains("remove the image"));
}

#[test]
fn a_picture_that_starts_from_an_image_shows_what_has_changed() {
    let fixture = Fixture::new();
    let mut start = visualize(&fixture);
    start.arg("--start").arg(fixture.path("images/dog/0.png"));
    start.assert().success();
    let found = fixture.json("out/visualizations.json");
    let picture = &found["visualizations"][0];
    assert_eq!(picture["change_image"], "neuron-3-class-2-change.png");
    let change = image::open(fixture.path("out/neuron-3-class-2-change.png"));
    let change = change.unwrap().into_rgb8();
    let grey = |pixel: &image::Rgb<u8>| pixel.0.iter().all(|value| value.abs_diff(128) <= 1);
    let still = change.pixels().filter(|pixel| grey(pixel)).count();
    // Where the neuron is not active, and no more.
    assert!(still > 0 && still < change.pixels().len(), "{still}");

    visualize(&fixture).assert().success();
    assert!(!fixture.path("out/neuron-3-class-2-change.png").exists());
    let mut phases = visualize(&fixture);
    phases.arg("--start").arg(fixture.path("images/dog/0.png"));
    phases.args(["--parameter", "maco"]);
    assert!(failure(phases).contains("spectrum or pixels"));
}

#[test]
fn an_animation_shows_the_optimisation() {
    let fixture = Fixture::new();
    let name = "out/neuron-5-class-2-animation.png";
    // Without, pictures are kept for the next run.
    visualize(&fixture).assert().success();
    assert!(!fixture.path(name).exists());
    visualize(&fixture).arg("--animation").assert().success();
    let found = fixture.json("out/visualizations.json");
    let named = &found["visualizations"][1]["animation"];
    assert_eq!(named, "neuron-5-class-2-animation.png");
    let decoder = PngDecoder::new(Cursor::new(fixture.read(name))).unwrap();
    let frames = decoder.apng().unwrap().into_frames().collect_frames();
    let frames = frames.unwrap();
    // One for each of 15 steps, and the picture.
    assert_eq!(frames.len(), 16);
    let frame = |index: usize| DynamicImage::from(frames[index].buffer().clone()).into_rgb8();
    let picture = image::open(fixture.path("out/neuron-5-class-2.png"));
    assert_eq!(frame(15), picture.unwrap().into_rgb8());
    assert_ne!(frame(0), frame(8));
    assert_ne!(frame(8), frame(15));
}

/// Pictures that the program made itself, as if another had: what is said of them is what it said.
#[test]
fn pictures_made_elsewhere_are_measured_as_its_own() {
    let fixture = Fixture::new();
    let mut judged = visualize(&fixture);
    judged.args(["--judge", "cifar_resnet20", "--judge-weights"]);
    judged.arg(fixture.path("model.safetensors"));
    judged.assert().success();
    let own = fixture.json("out/visualizations.json");
    for (neuron, seed) in [(3, 0), (3, 1), (5, 0)] {
        let made = fixture.read(&format!("out/neuron-{neuron}-class-2.png"));
        fixture.write(
            &format!("made/one/neuron-{neuron}-class-2-seed-{seed}.png"),
            made,
        );
    }
    let grey = image::RgbImage::from_pixel(48, 48, image::Rgb([128; 3]));
    fixture.picture("made/grey/neuron-3-class-2.png", &grey);
    fixture.write("made/grey/notes.txt", "passed over");
    let trust = |pictures: &str| {
        let mut trust = fixture.command("trust");
        trust.arg("--pictures").arg(fixture.path(pictures));
        trust.args(["--judge", "cifar_resnet20", "--judge-weights"]);
        trust.arg(fixture.path("model.safetensors"));
        trust
    };
    let output = trust("made").assert().success().get_output().clone();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("\none ") && said.contains("\nreal images") && said.contains("  jump  "),
        "{said}"
    );
    let found = fixture.json("out/trust.json");
    let (grey, one) = (&found["ways"][0], &found["ways"][1]);
    assert_eq!(
        (&grey["name"], &one["name"]),
        (&"grey".into(), &"one".into())
    );
    assert_eq!(
        (&grey["mean"]["pictures"], &one["mean"]["pictures"]),
        (&1.into(), &3.into())
    );
    let number = |value: &Value| value.as_f64().unwrap();
    // In order of their names: neuron 3 twice, then neuron 5. Files have 8 bits.
    for (given, made) in [(0, 0), (1, 0), (2, 1)] {
        let (given, made) = (&one["pictures"][given], &own["visualizations"][made]);
        for key in ["activation", "logit", "probability"] {
            let (given, made) = (number(&given[key]), number(&made[key]));
            assert!(
                (given - made).abs() < 0.02 * made.abs().max(1.0),
                "{key}: {given} {made}"
            );
        }
        let paths = [given, made].map(|it| number(&it["trust"]["path"]["score"]));
        assert!((paths[0] - paths[1]).abs() < 0.1, "{paths:?}");
        assert_eq!(given["trust"]["verdict"], made["trust"]["verdict"]);
        // The classifier says cat whatever it sees.
        assert_eq!(given["trust"]["recognition"]["recognised"], false);
    }
    // The same picture twice.
    assert!(number(&one["pictures"][0]["agreement"]) > 0.999);
    assert!((0.0..0.05).contains(&number(&one["mean"]["jump"])));
    assert!(one["pictures"][2]["agreement"].is_null());
    assert!(number(&one["mean"]["agreement_by_chance"]) < 0.999);
    assert!(grey["mean"]["agreement"].is_null());
    // A picture of one colour has no spectrum.
    assert!(number(&grey["mean"]["spectrum"]) > 2.0 * number(&one["mean"]["spectrum"]));
    let real = &found["real"];
    // The judge is asked about owls alone, of which the pictures are.
    assert_eq!(real["images"], 24);
    assert_eq!(real["judged"], serde_json::json!([0, 0, 8]));
    assert_eq!(real["recognised"], serde_json::json!([null, null, 0.0]));
    // Nothing of owls is recognised, in real images neither: there is nothing to divide by.
    assert!(one["mean"]["recognised_over_real"].is_null());

    assert!(failure(trust("images")).contains("neuron-3-class-7.png"));
    let square = image::RgbImage::new(32, 24);
    fixture.picture("flat/neuron-3-class-2.png", &square);
    assert!(failure(trust("flat")).contains("flat/neuron-3-class-2.png"));
    let unknown = image::RgbImage::new(32, 32);
    fixture.picture("far/neuron-64-class-2.png", &unknown);
    assert!(failure(trust("far")).contains("64"));

    // Where no real image can be read it is said of one why.
    for class in CLASSES {
        for index in 0..8 {
            fixture.write(&format!("images/{class}/{index}.png"), "no image");
        }
    }
    assert!(failure(trust("made")).contains("cat/0.png"));
}

/// An image that cannot be read ends the command, or is left out and listed.
#[test]
fn real_images_that_cannot_be_read_are_not_passed_over() {
    let fixture = Fixture::new();
    let grey = image::RgbImage::from_pixel(48, 48, image::Rgb([128; 3]));
    fixture.picture("made/neuron-3-class-2.png", &grey);
    fixture.write("images/owl/none.png", "no image");
    let trust = |options: &[&str]| {
        let mut trust = fixture.command("trust");
        trust.arg("--pictures").arg(fixture.path("made"));
        trust.args(["--judge", "cifar_resnet20", "--judge-weights"]);
        trust.arg(fixture.path("model.safetensors")).args(options);
        trust
    };
    fails(&mut trust(&[]), &["owl/none.png"]);
    let output = trust(&["--on-corrupt", "skip"]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    let skipped = message.matches("skipped 'owl/none.png'");
    assert_eq!(skipped.count(), 1, "{message}");
    let found = fixture.json("out/trust.json");
    assert_eq!(found["real"]["images"], 24);
    let skipped = &found["run"]["skipped_images"];
    assert_eq!(skipped.as_array().unwrap().len(), 1);
    assert_eq!(skipped[0]["path"], "owl/none.png");
}
