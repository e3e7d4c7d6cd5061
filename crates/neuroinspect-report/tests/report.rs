//! The page and the folder of files.

#![allow(clippy::expect_used, clippy::unwrap_used)] // In helpers of tests, too.

mod sample;

use image::RgbImage;
use ndarray::{Array2, Array3};
use neuroinspect_concepts::{ScoredWord, UnitLabel};
use neuroinspect_core::{ClassId, Metrics, NeuronId};
use neuroinspect_editing::{Control, EditResult, Subject, Verdict, Yardstick};
use neuroinspect_illusion::{Objective, Pair};
use neuroinspect_report::{
    EditFile, Error, Findings, StageFailure, recommendation_html, to_rgb_image,
};
use sample::Sample;

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
fn a_recommendation_is_drawn_and_told() {
    let mut report = sample::full();
    let page = report.html().unwrap();
    for text in [
        "role=\"img\" aria-label=\"6 layers by their accuracy of \u{201c}boat\u{201d} at their mean",
        "What is recommended has 81.3% at 84.4%.",
        "Recommended: retrain plainly, bias +0.5 (on the 600 training samples and the 360 that the edit is \
         measured on); expected: \u{201c}boat\u{201d} +25.0 [+18.8, +31.3]",
        "edit's control learned",
        "get 64 of 960 samples wrong, and what they take them for depends on the class (phi 0.75)",
        "recommended: retrain plainly, bias +0.5</th>",
        "<polyline class=\"as-it-is\"",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let chosen = "<circle class=\"chosen\"";
    assert_eq!(
        page.matches(chosen).count(),
        2,
        "in the drawing and its legend"
    );
    let findings = &report.findings;
    let result = findings.recommendation.as_ref().unwrap();
    let alone = recommendation_html(result, &findings.class_names, &findings.run).unwrap();
    assert_well_formed(&alone);
    assert!(alone.contains("<h1>Which mend helps</h1>") && alone.contains(chosen));

    let result = report.findings.recommendation.as_mut().unwrap();
    (result.recommended, result.recommended_at) = (None, None);
    let page = report.html().unwrap();
    assert!(page.contains("no mend is sure to help; the best tried is to retrain plainly"));
    assert_eq!(page.matches(chosen).count(), 1, "in the legend alone");
    // By the yardstick that chose.
    let result = report.findings.recommendation.as_mut().unwrap();
    result.yardstick = Yardstick::Groups;
    let page = report.html().unwrap();
    assert!(page.contains("accuracy of \u{201c}boat\u{201d} over presumed groups at their mean"));
    assert!(
        page.contains("As it is, the layer has 28.1% at 40.6%."),
        "{page}"
    );
    // By groups where no class is asked for.
    let result = report.findings.recommendation.as_mut().unwrap();
    result.class = None;
    for point in &mut result.frontier {
        (point.class, point.class_by_groups) = (None, None);
    }
    let page = report.html().unwrap();
    assert!(page.contains("6 layers by their mean accuracy over presumed groups at their mean"));

    let result = report.findings.recommendation.as_mut().unwrap();
    result.frontier[1].candidate = 2;
    let error = report.html().unwrap_err().to_string();
    assert!(error.contains("candidate of a frontier"), "{error}");
    let result = report.findings.recommendation.as_mut().unwrap();
    result.frontier[1].candidate = 1;
    result.recommended_at = Some(6);
    let error = report.html().unwrap_err().to_string();
    assert!(error.contains("point of a frontier"), "{error}");

    let findings = &mut report.findings;
    findings.recommendation = None;
    findings.recommendation_left_out = Some("of 9 samples it takes long".into());
    assert!(
        report
            .html()
            .unwrap()
            .contains("Not looked for: of 9 samples it takes long.")
    );
}

#[test]
fn the_words_of_a_neuron_stand_in_its_card() {
    let mut report = sample::full();
    assert!(!report.html().unwrap().contains("<dt>label"));
    let word = |word: &str, score| ScoredWord {
        word: word.to_owned(),
        score,
    };
    report.findings.labels = vec![UnitLabel {
        unit: 23,
        labels: vec![word("<water>", 1.25), word("sea", 0.5)],
        top_images: vec![],
    }];
    let page = report.html().unwrap();
    assert_well_formed(&page);
    let (_, card) = page.split_once("id=\"neuron-23-").unwrap();
    let (card, _) = card.split_once("</article>").unwrap();
    let expected =
        "<dt>label<b>&lt;water&gt;</b></dt><dd><small>score 1.250; sea 0.500</small></dd>";
    assert!(card.contains(expected), "{card}");
    assert_eq!(page.matches("<dt>label").count(), 1);
    // Beside them the parts of its top images, of each image once and six at most.
    let part = "alt=\"the part of a real image where the neuron is most active\"";
    assert_eq!(card.matches(part).count(), 6);

    report.findings.labels[0].labels[1].score = f32::NAN;
    let error = report.html().unwrap_err().to_string();
    assert!(error.contains("a label of neuron 23"), "{error}");
}

#[test]
fn names_and_paths_are_text_not_markup() {
    let evil = "<script>alert(1)</script>\"'&";
    let mut report = sample::full();
    let findings = &mut report.findings;
    findings.class_names = vec![evil.into(); 6];
    findings.group_names = vec![evil.into(); 2];
    let run = &mut findings.run;
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
    findings.edit.as_mut().unwrap().method.name = evil.into();
    findings.edit.as_mut().unwrap().layer_sha256 = evil.into();
    let failure = StageFailure {
        stage: evil.into(),
        reason: evil.into(),
    };
    findings.failures.push(failure.clone());
    findings.edit_file = Some(EditFile {
        path: evil.into(),
        how_to_apply: Some(evil.into()),
    });
    findings.context_effects[41].context = evil.into();
    report.images.failures.push(failure);
    report.images.mistakes[0].id = evil.into();
    report.images.neurons[0].top_of_class[0].id = evil.into();

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
             plain retraining brings \u{201c}boat\u{201d} to 60.0%.",
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
            "The edit did more harm than good: \u{201c}boat\u{201d} +1.7 points, the average -3.0<",
            "raised its accuracy from 55.0% to 56.7%; the average fell from 82.2% to 79.2%",
        ),
        // All of it is the training's doing.
        (
            [48, 52, 57, 49, 50, 55],
            [48, 52, 57, 49, 50, 55],
            "The edit helped \u{201c}boat\u{201d} hardly more, if at all, than plain retraining does<",
            "plain retraining brings \u{201c}boat\u{201d} to 80.0%.",
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
        let edit = report.edit();
        edit.comparison.before = sample::metrics(before);
        edit.comparison.after = sample::metrics(after);
        edit.control = Some(Control::Measured(sample::metrics(control)));
        report.judge();
        let page = report.html().unwrap();
        assert!(page.contains(verdict), "{after:?}: {verdict}");
        assert!(page.contains(sentence), "{after:?}: {sentence}");
    }
}

/// The page has no opinion of its own: it shows the verdict that the result holds.
#[test]
fn the_verdict_shown_is_that_of_the_result() {
    let mut report = sample::full();
    let class = ClassId(3);
    let edit = report.edit();
    let verdict = Verdict::new(Subject::Class(class), &edit.comparison, None);
    edit.verdict = verdict.clone();
    let (names, page) = (&report.findings.class_names, report.html().unwrap());
    assert!(page.contains(&verdict.headline(names)));
    assert!(page.contains(&verdict.effect(names)));
}

#[test]
fn an_unfinished_picture_says_so() {
    let mut report = sample::full();
    report.findings.pictures[1].illusion.steps = 3;
    let page = report.html().unwrap();
    assert_eq!(
        page.matches("CLIP-Illusion, stopped at step 3 of 450")
            .count(),
        1
    );
    report.findings.pictures[1].illusion.steps = 450;
    assert!(!report.html().unwrap().contains("stopped at step"));
}

#[test]
fn a_control_has_a_column_where_there_is_one() {
    let mut report = sample::full();
    // Right on no class as often as before or after, so that its numbers are its own.
    let control = Control::Measured(sample::metrics([21, 52, 57, 49, 50, 55]));
    report.edit().control = Some(control);
    let page = report.html().unwrap();
    assert!(page.contains("control</th>"));
    assert!(page.contains(">35.0%</td>"), "21 of 60 boats");
    assert!(page.contains("plain retraining with the same options"));

    report.edit().control = None;
    let page = report.html().unwrap();
    assert!(!page.contains("control</th>") && !page.contains(">35.0%</td>"));
    assert!(!page.contains("plain retraining with the same options"));
}

#[test]
fn a_class_that_was_not_measured_is_not_praised() {
    let mut report = sample::full();
    let comparison = &mut report.edit().comparison;
    comparison.before.class_accuracy[0] = None;
    comparison.after.class_accuracy[0] = None;
    report.judge();
    let page = report.html().unwrap();
    assert!(page.contains("The edit was not measured on \u{201c}boat\u{201d}"));
}

#[test]
fn what_is_missing_is_said_first() {
    let mut report = sample::full();
    let page = report.html().unwrap();
    assert!(!page.contains("Not finished") && !page.contains("Failed: "));

    report.findings.interrupted = true;
    report.findings.failures.push(StageFailure {
        stage: "editing".into(),
        reason: "<class 0> has no samples".into(),
    });
    let page = report.html().unwrap();
    assert_well_formed(&page);
    let header = page.split("</header>").next().unwrap();
    assert!(header.contains(
        "Not finished</strong>3 of 3 pictures are here. What is missing is not made yet."
    ));
    assert!(header.contains("the same command goes on: <code>neuroinspect debug scenes-cnn"));
    assert!(header.contains("Failed: editing</strong>&lt;class 0&gt; has no samples"));
}

#[test]
fn a_picture_is_called_after_its_objective() {
    let mut report = sample::full();
    let captions = |report: &Sample| report.html().unwrap().matches(">CLIP-Illusion<").count();
    assert_eq!(captions(&report), 3);
    for (objective, caption) in [
        (Objective::clip_illusion(0.2, 0.0), "CLIP-Illusion"),
        (
            Objective::without_clip(0.5),
            "neuron and class, without CLIP",
        ),
        (
            Objective::feature_visualization(0.0),
            "feature visualization",
        ),
        (
            Objective::feature_visualization(0.1),
            "feature visualization",
        ),
        (
            Objective::Neuron + Objective::TotalVariation * -0.5,
            "a_n + -0.5 * TV",
        ),
    ] {
        report.findings.recipe.objective = objective;
        let page = report.html().unwrap();
        assert_eq!(
            page.matches(&format!(">{caption}<")).count(),
            3,
            "{caption}"
        );
    }
}

#[test]
fn small_pictures_show_their_pixels() {
    let mut report = sample::full();
    report.images.mistakes.clear();
    report.images.neurons.truncate(1);
    report.findings.pictures.truncate(1);
    let images = &mut report.images.neurons[0];
    images.top_of_class.clear();
    images.top_overall.clear();
    let crisp = |report: &Sample| {
        let page = report.html().unwrap();
        page.matches("<img class=\"pixels\"").count()
    };
    assert_eq!(crisp(&report), 0);
    let illusion = &mut report.findings.pictures[0].illusion;
    illusion.image = Array3::zeros((3, 32, 32));
    illusion.mask = Some(Array2::zeros((32, 32)));
    assert_eq!(crisp(&report), 2);
    // A classifier that has no map has no mask either.
    report.findings.pictures[0].illusion.mask = None;
    assert_eq!(crisp(&report), 1);
}

#[test]
fn a_huge_importance_is_short() {
    let mut report = sample::full();
    report.findings.ranking.insufficient[0].importance = 1e200;
    let page = report.html().unwrap();
    assert_eq!(page.matches("1.00e200").count(), 2, "card and table");
    assert!(!page.contains("00000000"));
}

#[test]
fn it_says_how_sure_the_ranking_is() {
    let page = sample::full().html().unwrap();
    for text in [
        "25 of 27 mistakes have one that is proven to be the smallest, activations kept at or above \
         0, and for 1 there is none up to the longest looked for. In the median, the descent\u{2019}s are 1.500 \
         times as long.",
        "Drawn with replacement 1000 times, the mistakes give 93.8% of the same first 5 neurons.",
        "<th scope=\"row\">23</th><td class=\"number\">37.5% to 68.8%</td>\
         <td class=\"number\">93.8%</td><td class=\"number\">\u{2013}</td>",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let mut report = sample::full();
    let certified = report.findings.certified.as_mut().unwrap();
    certified.explanation.rival = Some(ClassId(1));
    let page = report.html().unwrap();
    let of_rival =
        "smallest changes that outdo \u{201c}car\u{201d} alone were computed, too: 25 of";
    assert!(page.contains(of_rival), "{of_rival}");
    let certified = report.findings.certified.as_mut().unwrap();
    certified.explanation.rival = Some(ClassId(9));
    assert!(report.html().is_err(), "there is no class 9");
    report.findings.certified = None;
    assert!(!report.html().unwrap().contains("How sure that is"));
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
    report.findings.ranking.insufficient.clear();
    report.findings.ranking.excessive.clear();
    assert!(report.html().unwrap().contains("no neuron recurs"));
    let page = sample::empty().html().unwrap();
    assert!(page.contains("makes no mistake on 60 samples"));
}

#[test]
fn what_is_not_shown_is_counted() {
    let page = sample::full().html().unwrap();
    assert!(page.contains("and 15 more"), "27 mistakes, 12 handed in");
    let mut report = sample::full();
    report.images.mistakes = vec![report.images.mistakes[0].clone(); 27];
    assert!(
        report.html().unwrap().contains("and 3 more"),
        "24 are shown at most"
    );
    report.images.mistakes.truncate(24);
    report.findings.explanation.counterfactuals.truncate(24);
    assert!(!report.html().unwrap().contains(" more</p>"));
}

#[test]
fn of_many_classes_those_that_changed_most_are_listed() {
    let mut report = sample::full();
    let findings = &mut report.findings;
    findings
        .class_names
        .extend((6..50).map(|class| format!("class-{class}")));
    let edit = findings.edit.as_mut().unwrap();
    for metrics in metrics_of(edit).into_iter().chain([&mut findings.metrics]) {
        metrics.class_accuracy.resize(50, Some(0.5));
    }
    edit.comparison.after.class_accuracy[49] = Some(0.75);
    let page = report.html().unwrap();
    assert!(page.contains("class-49"));
    assert!(!page.contains("class-48"));
    assert!(page.contains("10 more changed no more"));
}

#[test]
fn a_folder_holds_every_file_that_the_findings_name() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample::full();
    sample.report().write(folder.path().join("out")).unwrap();
    let file = |name: &str| folder.path().join("out").join(name);
    for name in [
        Findings::JSON_FILE,
        Findings::HTML_FILE,
        Findings::SHEET_FILE,
    ] {
        assert!(file(name).is_file(), "{name}");
    }
    for picture in &sample.findings.pictures {
        let read = |name: &str| image::open(file(name)).unwrap().into_rgb8();
        let image = to_rgb_image(picture.illusion.image.view()).unwrap();
        assert_eq!(read(&picture.file), image);
        let masked = picture.illusion.masked_image().unwrap();
        let masked = to_rgb_image(masked.view()).unwrap();
        assert_eq!(read(picture.masked_file.as_ref().unwrap()), masked);
    }
}

#[test]
fn a_report_without_neurons_has_no_contact_sheet() {
    let folder = tempfile::tempdir().unwrap();
    sample::empty().report().write(folder.path()).unwrap();
    assert!(folder.path().join(Findings::HTML_FILE).is_file());
    assert!(!folder.path().join(Findings::SHEET_FILE).exists());
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let error = sample::full()
        .report()
        .write(&file)
        .unwrap_err()
        .to_string();
    let start = format!("cannot write '{}", file.display());
    assert!(error.starts_with(&start), "{error}");
}

#[test]
fn the_share_of_mistakes_is_named_by_what_they_voted_for() {
    let mut report = sample::full();
    report.findings.ranking.top = 3;
    if let Some(certified) = &mut report.findings.certified {
        certified.ranking.top = 3;
    }
    let page = report.report().html().unwrap();
    assert!(page.contains("prec@3") && !page.contains("prec@5"));
}

/// As findings have them that were read from JSON.
#[test]
fn a_picture_without_pixels_is_refused() {
    let mut report = sample::full();
    report.findings.pictures[1].illusion.image = Array3::zeros((0, 0, 0));
    let error = report.html().unwrap_err();
    assert!(
        matches!(
            error,
            Error::MissingPixels {
                neuron: NeuronId(7),
                class: ClassId(0)
            }
        ),
        "{error}"
    );
}

#[test]
fn a_neuron_without_a_picture_has_a_card_all_the_same() {
    let mut report = sample::full();
    report.findings.pictures.remove(1);
    let page = report.html().unwrap();
    assert!(page.contains("id=\"neuron-7-0\"") && page.contains("blind"));
    assert!(report.report().contact_sheet().is_ok());
}

#[test]
fn classes_of_pictures_are_checked() {
    let faults: [fn(&mut Sample); 4] = [
        |report| report.images.mistakes[0].label = ClassId(6),
        |report| report.images.mistakes[0].prediction = ClassId(6),
        |report| report.images.neurons[2].top_overall[0].label = ClassId(6),
        |report| {
            let mut neuron = report.images.neurons[0].clone();
            neuron.pair = Pair {
                class: ClassId(6),
                ..neuron.pair
            };
            report.images.neurons.push(neuron);
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
fn an_image_without_pixels_is_named() {
    let mut report = sample::full();
    report.images.mistakes[0].image = RgbImage::new(0, 0);
    let error = report.html().unwrap_err().to_string();
    assert!(error.contains("scenes/validation/boat/0000.png"), "{error}");
}

fn without_pictures() -> Sample {
    let mut report = sample::full();
    report.findings.pictures.clear();
    report.findings.edit = None;
    report.images = Default::default();
    report
}

fn without_groups() -> Sample {
    let mut report = sample::full();
    let findings = &mut report.findings;
    findings.group_names.clear();
    let edit = findings.edit.as_mut().unwrap();
    for metrics in metrics_of(edit).into_iter().chain([&mut findings.metrics]) {
        metrics.group_accuracy = None;
        metrics.worst_group_accuracy = None;
        metrics.worst_group = None;
    }
    report.judge();
    report
}

/// All metrics of an edit.
fn metrics_of(edit: &mut EditResult) -> Vec<&mut Metrics> {
    let mut metrics = vec![&mut edit.comparison.before, &mut edit.comparison.after];
    if let Some(Control::Measured(control)) = &mut edit.control {
        metrics.push(control);
    }
    metrics
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
