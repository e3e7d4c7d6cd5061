//! The page and the folder of files.

#![allow(clippy::expect_used, clippy::unwrap_used)] // In helpers of tests, too.

mod sample;

use image::RgbImage;
use neuroinspect_core::{ClassId, NeuronId};
use neuroinspect_report::{Edit, Error, Report, StageFailure};

/// Elements without a closing tag.
const VOID: [&str; 3] = ["meta", "img", "br"];

#[test]
fn the_page_is_well_formed_and_whole() {
    for report in [
        sample::full(),
        sample::empty(),
        without_pictures(),
        without_groups(),
    ] {
        let page = report.html().unwrap();
        assert_well_formed(&page);
        assert!(!page.contains("<script"), "nothing runs");
        assert!(
            !page.contains("http:") && !page.contains("https:"),
            "nothing is loaded"
        );
        assert!(
            !page.contains("url("),
            "nothing is loaded by the style sheet either"
        );
        assert!(!page.contains("NaN") && !page.contains("inf%"));
        let images = page.matches("<img").count();
        assert_eq!(page.matches("src=\"data:image/").count(), images);
        assert_eq!(page.matches("alt=\"").count(), images);
    }
}

#[test]
fn names_and_paths_are_text_not_markup() {
    let evil = "<script>alert(1)</script>\"'&";
    let mut report = sample::full();
    let summary = &mut report.summary;
    summary.class_name = evil.into();
    summary.class_names = vec![evil.into(); 6];
    summary.group_names = vec![evil.into(); 2];
    let run = &mut summary.run;
    for text in [
        &mut run.model,
        &mut run.data,
        &mut run.device,
        &mut run.version,
    ] {
        *text = evil.into();
    }
    run.command = Some(evil.into());
    run.weights_sha256 = Some(evil.into());
    run.timings[0].stage = evil.into();
    run.skipped_images[0].path = evil.into();
    run.skipped_images[0].reason = evil.into();
    run.configs.insert(evil.into(), evil.into());
    let edit = summary.edit.as_mut().unwrap();
    for text in [&mut edit.objective, &mut edit.evaluated_on] {
        *text = evil.into();
    }
    summary.failures.push(StageFailure {
        stage: evil.into(),
        reason: evil.into(),
    });
    summary.visualizations[0].objective = Some(evil.into());
    edit.file = Some(evil.into());
    edit.how_to_apply = Some(evil.into());
    let ranked = &mut summary.ranking.insufficient[0];
    ranked.context_response.as_mut().unwrap().context = evil.into();
    report.mistakes[0].id = evil.into();
    report.neurons[0].top_of_class[0].id = evil.into();

    let page = report.html().unwrap();
    assert!(!page.contains("<script"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"));
    assert_well_formed(&page);
}

#[test]
fn the_headline_hides_no_loss() {
    let before = [33, 52, 57, 49, 50, 55];
    for (after, control, verdict, sentence) in [
        (
            [48, 52, 57, 49, 50, 55],
            [36, 52, 57, 49, 50, 55],
            "The edit helped \u{201c}boat\u{201d}<",
            "Editing neurons 41 and 7 raised its accuracy from 55.0% to 80.0%; \
             the average rose from 82.2% to 86.4%, the worst group rose from 64.4% to 72.8%, \
             the same training without the probability ratio brings \u{201c}boat\u{201d} to 60.0%.",
        ),
        // The average gains, one class pays.
        (
            [48, 52, 57, 40, 50, 55],
            [36, 52, 57, 49, 50, 55],
            "The edit helped \u{201c}boat\u{201d}, at a cost<",
            "of the other classes \u{201c}bicycle\u{201d} fell from 81.7% to 66.7%",
        ),
        (
            [34, 40, 57, 49, 50, 55],
            [33, 52, 57, 49, 50, 55],
            "The edit helped \u{201c}boat\u{201d}, at a cost<",
            "raised its accuracy from 55.0% to 56.7%; the average fell from 82.2% to 79.2%",
        ),
        // All of it is the training's doing.
        (
            [48, 52, 57, 49, 50, 55],
            [48, 52, 57, 49, 50, 55],
            "The edit helped \u{201c}boat\u{201d} hardly more, if at all, than plain retraining does<",
            "the same training without the probability ratio brings \u{201c}boat\u{201d} to 80.0%.",
        ),
        (
            [48, 52, 57, 40, 50, 55],
            [48, 52, 57, 40, 50, 55],
            "The edit helped \u{201c}boat\u{201d} hardly more, if at all, than plain retraining does, at a cost<",
            "of the other classes \u{201c}bicycle\u{201d} fell from 81.7% to 66.7%",
        ),
        (
            before,
            before,
            "The edit did not help \u{201c}boat\u{201d}<",
            "left its accuracy at 55.0%; the average stayed at 82.2%",
        ),
        (
            [30, 60, 57, 49, 50, 55],
            before,
            "The edit did not help \u{201c}boat\u{201d}<",
            "lowered its accuracy from 55.0% to 50.0%; the average rose from 82.2% to 83.6%",
        ),
    ] {
        let mut report = sample::full();
        let edit = report.summary.edit.as_mut().unwrap();
        edit.before = sample::metrics(before);
        edit.after = sample::metrics(after);
        edit.control = Some(sample::metrics(control));
        let page = report.html().unwrap();
        assert!(page.contains(verdict), "{after:?}: {verdict}");
        assert!(page.contains(sentence), "{after:?}: {sentence}");
    }
}

/// A point is a point, on whichever side of it the difference of two fractions comes out; and a small
/// group that gains is more than retraining, though its class hardly shows it.
#[test]
fn the_verdict_draws_its_lines_at_a_whole_point() {
    let verdict = |change: &dyn Fn(&mut Edit)| {
        let mut report = sample::full();
        let edit = report.summary.edit.as_mut().unwrap();
        edit.after = edit.before.clone();
        edit.after.class_accuracy[0] = Some(0.6);
        edit.control = Some(edit.after.clone());
        change(edit);
        let page = report.html().unwrap();
        let start = page.find("The edit").unwrap();
        page[start..].split('<').next().unwrap().to_owned()
    };
    let retrained =
        "The edit helped \u{201c}boat\u{201d} hardly more, if at all, than plain retraining does";
    let helped = "The edit helped \u{201c}boat\u{201d}";
    for (after, control) in [(0.57, 0.56), (0.79, 0.78), (0.29, 0.28)] {
        let set = |edit: &mut Edit, control: f64| {
            edit.before.class_accuracy[0] = Some(0.2);
            edit.after.class_accuracy[0] = Some(after);
            edit.control.as_mut().unwrap().class_accuracy[0] = Some(control);
        };
        assert_eq!(verdict(&|edit| set(edit, control)), helped);
        assert_eq!(verdict(&|edit| set(edit, control + 0.001)), retrained);
        let lost = |edit: &mut Edit, by: f64| {
            set(edit, control);
            edit.before.class_accuracy[3] = Some(after);
            edit.after.class_accuracy[3] = Some(after - by);
        };
        assert_eq!(verdict(&|edit| lost(edit, 0.009)), helped);
        let at_a_cost = format!("{helped}, at a cost");
        assert_eq!(verdict(&|edit| lost(edit, 0.01)), at_a_cost);
    }
    assert_eq!(verdict(&|_| {}), retrained);
    let group = |edit: &mut Edit| edit.after.worst_group_accuracy = Some(0.9);
    assert_eq!(verdict(&group), helped);
    let behind = |edit: &mut Edit| {
        group(edit);
        edit.control.as_mut().unwrap().class_accuracy[0] = Some(0.9);
    };
    assert_eq!(verdict(&behind), retrained);
}

/// Of losses that look alike to a tenth, the one that is shown as the larger is named.
#[test]
fn the_largest_loss_is_the_one_that_is_shown_so() {
    let mut report = sample::full();
    let edit = report.summary.edit.as_mut().unwrap();
    edit.before.class_accuracy[2..4].copy_from_slice(&[Some(0.8004), Some(0.8006)]);
    edit.after = edit.before.clone();
    edit.after.class_accuracy[0] = Some(0.9);
    edit.after.class_accuracy[2..4].copy_from_slice(&[Some(0.7906), Some(0.7914)]);
    let page = report.html().unwrap();
    let loss = "of the other classes \u{201c}bicycle\u{201d} fell from 80.1% to 79.1%";
    assert!(page.contains(loss));
    assert!(page.contains("at a cost<"), "a whole point");
}

#[test]
fn an_unfinished_picture_says_so() {
    let mut report = sample::full();
    let picture = &mut report.summary.visualizations[1];
    (picture.steps, picture.steps_planned) = (3, 450);
    let page = report.html().unwrap();
    assert_eq!(
        page.matches("CLIP-Illusion, stopped at step 3 of 450")
            .count(),
        1
    );
    report.summary.visualizations[1].steps = 450;
    assert!(!report.html().unwrap().contains("stopped at step"));
}

#[test]
fn a_control_has_a_column_where_there_is_one() {
    let mut report = sample::full();
    let edit = report.summary.edit.as_mut().unwrap();
    // Right on no class as often as before or after, so that its numbers are its own.
    edit.control = Some(sample::metrics([21, 52, 57, 49, 50, 55]));
    let page = report.html().unwrap();
    assert!(page.contains("control</th>"));
    assert!(page.contains(">35.0%</td>"), "21 of 60 boats");
    assert!(page.contains("the same training without that objective"));

    report.summary.edit.as_mut().unwrap().control = None;
    let page = report.html().unwrap();
    assert!(!page.contains("control</th>") && !page.contains(">35.0%</td>"));
    assert!(!page.contains("the same training without that objective"));
}

#[test]
fn a_class_that_was_not_measured_is_not_praised() {
    let mut report = sample::full();
    let edit = report.summary.edit.as_mut().unwrap();
    edit.before.class_accuracy[0] = None;
    edit.after.class_accuracy[0] = None;
    let page = report.html().unwrap();
    assert!(page.contains("The edit was not measured on \u{201c}boat\u{201d}"));
}

#[test]
fn what_is_missing_is_said_first() {
    let mut report = sample::full();
    let page = report.html().unwrap();
    assert!(!page.contains("Stopped before the end") && !page.contains("Failed: "));

    report.summary.interrupted = true;
    report.summary.failures.push(StageFailure {
        stage: "editing".into(),
        reason: "<class 0> has no samples".into(),
    });
    let page = report.html().unwrap();
    assert_well_formed(&page);
    let header = page.split("</header>").next().unwrap();
    assert!(header.contains("Stopped before the end"));
    assert!(header.contains("Failed: editing</strong>&lt;class 0&gt; has no samples"));
}

#[test]
fn a_picture_is_called_after_its_objective() {
    let mut report = sample::full();
    let captions = |report: &Report| report.html().unwrap().matches(">CLIP-Illusion<").count();
    assert_eq!(captions(&report), 3);
    for visualization in &mut report.summary.visualizations {
        visualization.objective = Some("neuron and class".into());
    }
    assert_eq!(captions(&report), 0);
    assert!(report.html().unwrap().contains(">neuron and class<"));
}

#[test]
fn small_pictures_show_their_pixels() {
    let mut report = sample::full();
    report.mistakes.clear();
    report.neurons.truncate(1);
    report.summary.visualizations.truncate(1);
    let pictures = &mut report.neurons[0];
    pictures.top_of_class.clear();
    pictures.top_overall.clear();
    let crisp = |report: &Report| {
        let page = report.html().unwrap();
        page.matches("<img class=\"pixels\"").count()
    };
    assert_eq!(crisp(&report), 0);
    let illusion = report.neurons[0].illusion.as_mut().unwrap();
    illusion.image = RgbImage::new(32, 32);
    illusion.masked_image = RgbImage::new(32, 32);
    assert_eq!(crisp(&report), 2);
}

#[test]
fn a_huge_importance_is_short() {
    let mut report = sample::full();
    report.summary.ranking.insufficient[0].importance = 1e200;
    let page = report.html().unwrap();
    assert_eq!(page.matches("1.00e200").count(), 2, "card and table");
    assert!(!page.contains("00000000"));
}

#[test]
fn the_finding_counts() {
    let page = sample::full().html().unwrap();
    assert!(page.contains(
        "The classifier gets 27 of 60 samples of \u{201c}boat\u{201d} wrong, most often taking \
         them for \u{201c}car\u{201d}; 5 neurons would have to change again and again to set them \
         right (3 insufficient, 2 excessive)."
    ));
    let mut report = sample::full();
    report.summary.ranking = Default::default();
    assert!(report.html().unwrap().contains("no neuron recurs"));
    let page = sample::empty().html().unwrap();
    assert!(page.contains("makes no mistake on 60 samples"));
}

#[test]
fn what_is_not_shown_is_counted() {
    let page = sample::full().html().unwrap();
    assert!(page.contains("and 15 more"), "27 mistakes, 12 handed in");
    let mut report = sample::full();
    report.mistakes = vec![report.mistakes[0].clone(); 27];
    assert!(
        report.html().unwrap().contains("and 3 more"),
        "24 are shown at most"
    );
    report.mistakes.truncate(24);
    report.summary.mistakes = 24;
    assert!(!report.html().unwrap().contains(" more</p>"));
}

#[test]
fn of_many_classes_those_that_changed_most_are_listed() {
    let mut report = sample::full();
    let summary = &mut report.summary;
    summary
        .class_names
        .extend((6..50).map(|class| format!("class-{class}")));
    let edit = summary.edit.as_mut().unwrap();
    let edited = [&mut edit.before, &mut edit.after].into_iter();
    for metrics in edited
        .chain(&mut edit.control)
        .chain([&mut summary.metrics])
    {
        metrics.class_accuracy.resize(50, Some(0.5));
    }
    edit.after.class_accuracy[49] = Some(0.75);
    let page = report.html().unwrap();
    assert!(page.contains("class-49"));
    assert!(!page.contains("class-48"));
    assert!(page.contains("10 more changed no more"));
}

#[test]
fn a_folder_holds_every_file_that_the_summary_names() {
    let folder = tempfile::tempdir().unwrap();
    let report = sample::full();
    report.write(folder.path().join("out")).unwrap();
    let file = |name: &str| folder.path().join("out").join(name);
    for name in [Report::SUMMARY_FILE, Report::HTML_FILE, Report::SHEET_FILE] {
        assert!(file(name).is_file(), "{name}");
    }
    for (visualization, neuron) in report.summary.visualizations.iter().zip(&report.neurons) {
        let pictures = neuron.illusion.as_ref().unwrap();
        let read = |name: &str| image::open(file(name)).unwrap().into_rgb8();
        assert_eq!(read(&visualization.image), pictures.image);
        assert_eq!(read(&visualization.masked_image), pictures.masked_image);
    }
}

#[test]
fn a_report_without_neurons_has_no_contact_sheet() {
    let folder = tempfile::tempdir().unwrap();
    sample::empty().write(folder.path()).unwrap();
    assert!(folder.path().join(Report::HTML_FILE).is_file());
    assert!(!folder.path().join(Report::SHEET_FILE).exists());
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let error = sample::full().write(&file).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot write '") && error.contains("report.html"),
        "{error}"
    );
}

#[test]
fn a_visualization_without_pictures_is_refused() {
    let mut report = sample::full();
    report.neurons[1].illusion = None;
    let error = report.html().unwrap_err();
    assert!(
        matches!(
            error,
            Error::MissingPictures {
                neuron: NeuronId(7),
                class: ClassId(0)
            }
        ),
        "{error}"
    );
}

#[test]
fn classes_of_pictures_are_checked() {
    let faults: [fn(&mut Report); 4] = [
        |report| report.mistakes[0].label = ClassId(6),
        |report| report.mistakes[0].prediction = ClassId(6),
        |report| report.neurons[2].top_overall[0].label = ClassId(6),
        |report| {
            let mut neuron = report.neurons[0].clone();
            neuron.class = ClassId(6);
            report.neurons.push(neuron);
        },
    ];
    for spoil in faults {
        let mut report = sample::full();
        spoil(&mut report);
        let error = report.html().unwrap_err().to_string();
        assert!(error.contains("class 6 is out of range"), "{error}");
    }
}

#[test]
fn a_picture_without_pixels_is_named() {
    let mut report = sample::full();
    report.mistakes[0].image = RgbImage::new(0, 0);
    let error = report.html().unwrap_err().to_string();
    assert!(error.contains("scenes/validation/boat/0000.png"), "{error}");
}

fn without_pictures() -> Report {
    let mut report = sample::full();
    report.summary.visualizations.clear();
    report.neurons.clear();
    report.mistakes.clear();
    report.summary.edit = None;
    report
}

fn without_groups() -> Report {
    let mut report = sample::full();
    report.summary.group_names.clear();
    let edit = report.summary.edit.as_mut().unwrap();
    let edited = [&mut edit.before, &mut edit.after].into_iter();
    let all = edited.chain(&mut edit.control);
    for metrics in all.chain([&mut report.summary.metrics]) {
        metrics.group_accuracy = None;
        metrics.worst_group_accuracy = None;
        metrics.worst_group = None;
    }
    report
}

/// Checks that every tag is closed in its turn, and that ids are unique.
fn assert_well_formed(page: &str) {
    let body = page.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    let mut open = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    for piece in body.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').expect("a tag ends");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let name = tag.split_whitespace().next().expect("a tag has a name");
        if !VOID.contains(&name) {
            open.push(name);
        }
        if let Some((_, rest)) = tag.split_once(" id=\"") {
            let id = rest.split('"').next().unwrap();
            assert!(ids.insert(id), "{id} is not unique");
        }
    }
    assert!(open.is_empty(), "{open:?} are not closed");
}
