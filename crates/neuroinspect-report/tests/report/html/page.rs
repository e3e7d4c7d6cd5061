//! What the page says, but for the edit.

use ndarray::{Array2, Array3};
use neuroinspect_concepts::{ScoredWord, UnitLabel};
use neuroinspect_core::ClassId;
use neuroinspect_illusion::{Objective, Restart, Unmoved, UnmovedCause};
use neuroinspect_report::{EditFile, StageFailure};

use super::{assert_well_formed, without_groups, without_pictures};
use crate::sample::{self, Sample};

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
fn a_picture_of_a_unit_that_no_step_moved_says_so() {
    let mut report = sample::full();
    let said = "beyond a ReLU";
    assert!(!report.html().unwrap().contains(said));
    report.findings.pictures[0].illusion.unmoved = Some(Unmoved {
        activation: 0.0,
        cause: UnmovedCause::BeyondRelu,
        restart: Restart::Moved,
    });
    let page = report.html().unwrap();
    assert!(page.contains(said) && page.contains("started again before its activation function"));
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
fn the_share_of_mistakes_is_named_by_what_they_voted_for() {
    let mut report = sample::full();
    report.findings.ranking.top = 3;
    if let Some(certified) = &mut report.findings.certified {
        certified.ranking.top = 3;
    }
    let page = report.report().html().unwrap();
    assert!(page.contains("prec@3") && !page.contains("prec@5"));
}

#[test]
fn a_neuron_without_a_picture_has_a_card_all_the_same() {
    let mut report = sample::full();
    report.findings.pictures.remove(1);
    let page = report.html().unwrap();
    assert!(page.contains("id=\"neuron-7-0\"") && page.contains("blind"));
    assert!(report.report().contact_sheet().is_ok());
}
