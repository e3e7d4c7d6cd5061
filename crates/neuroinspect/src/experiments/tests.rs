use std::{cell::Cell as Counter, collections::BTreeSet, ops::ControlFlow};

use image::RgbImage;
use neuroinspect_core::{Progress, Silent, is_cancellation};
use neuroinspect_counterfactual::{CounterfactualConfig, RankingConfig};
use neuroinspect_editing::{EditConfig, Keep, RatioForm, RatioNorm, Target};
use neuroinspect_illusion::Recipe;
use serde_json::{Value, json};

use super::*;

mod verdicts;

const RIGHT: Column = Column {
    name: "right",
    unit: Unit::Share,
};
const SECONDS: Column = Column {
    name: "time",
    unit: Unit::Seconds,
};

thread_local! {
    /// Repetitions that were measured, in this test.
    static MEASURED: Counter<usize> = const { Counter::new(0) };
}

/// Right in `0.5 + seed / 10` of the cases, and in 0.2 more with the edit, 0.3 where its ratio is joint.
struct Toy;

impl Protocol for Toy {
    fn source(&self) -> Source {
        Source {
            data: "toys".to_owned(),
            published: false,
            paper: None,
            measured_on: MeasuredOn::Others,
            notes: vec!["They are made of wood.".to_owned()],
            fingerprint: Some("wood".to_owned()),
        }
    }

    fn measure(
        &mut self,
        seed: Seed,
        switches: &Switches,
        observer: &mut dyn Observer,
    ) -> Result<Measured> {
        observer.proceed(Progress {
            stage: "playing",
            done: seed.0 as usize,
            total: 3,
        })?;
        MEASURED.set(MEASURED.get() + 1);
        let mut measured = Measured::default();
        let right = 0.5 + seed.0 as f64 / 10.0;
        let joint = match switches.ratio_form {
            RatioForm::Joint => 0.1,
            _ => 0.0,
        };
        measured.put(["toys", "before"], RIGHT, right);
        measured.put(
            ["toys", "after"],
            RIGHT,
            right + 0.2 + joint + 0.01 * (seed.0 % 2) as f64,
        );
        measured.put(["toys", "after"], SECONDS, 1.0 / 3.0);
        measured.put(["toys", "never"], RIGHT, f64::NAN);
        measured.label("after", "class");
        let shade = image::Rgb([seed.0 as u8; 3]);
        measured.add_picture("A toy", "toy.png", RgbImage::from_pixel(2, 2, shade));
        Ok(measured)
    }

    fn headline(
        &mut self,
        column: Column,
        seed: Seed,
        switches: &Switches,
        _: &mut dyn Observer,
    ) -> Result<Option<f64>> {
        assert_eq!(column, RIGHT);
        let worth = match switches.ratio_form {
            RatioForm::Joint => 0.1 * (seed.0 + 1) as f64,
            _ => 0.0,
        };
        Ok(Some(0.5 + worth))
    }
}

static TOYS: Experiment = Experiment {
    name: "toys",
    title: "toys",
    paper: "No table",
    protocol: "They are played with.",
    needs: "toys.",
    stand_in: "sticks.",
    headlines: &[Headline {
        column: RIGHT,
        switches: &[Switch::RatioForm, Switch::Votes, Switch::Ties],
    }],
    drawn: None,
    not_switched: &["Batteries."],
    published: || {
        let published = |row, value| Published {
            of: "real toys",
            table: None,
            row,
            column: "right",
            value,
        };
        vec![published("after", 0.9), published("rival", 0.8)]
    },
    claims: &[
        ClaimRule::new("It helps", ["after", "before"], RIGHT).by(0.1),
        ClaimRule::new("It helps by a third", ["after", "before"], RIGHT)
            .within("toys")
            .by(0.3),
        ClaimRule::new("It flies", ["flying", "before"], RIGHT),
    ],
    open: |_, _| Ok(Box::new(Toy)),
};

fn run_toys(folder: &RunFolder, config: &ExperimentConfig) -> Result<ExperimentResult> {
    TOYS.run(config, folder, Some("play"), &mut Silent)
}

fn config(seeds: usize) -> ExperimentConfig {
    ExperimentConfig::default().with_seeds(seeds)
}

#[test]
fn names_are_sorted_unlike_each_other_and_found() {
    let names: Vec<_> = experiments().iter().map(|it| it.name).collect();
    let sorted: BTreeSet<_> = names.iter().copied().collect();
    assert_eq!(names, sorted.into_iter().collect::<Vec<_>>());
    for experiment in experiments() {
        assert!(std::ptr::eq(
            experiment_named(experiment.name).unwrap(),
            *experiment
        ));
        for text in [
            experiment.title,
            experiment.paper,
            experiment.protocol,
            experiment.needs,
            experiment.stand_in,
        ] {
            assert!(!text.is_empty(), "{}", experiment.name);
        }
        for headline in experiment.headlines {
            // In some mode each of its switches is flipped.
            let flips = Mode::ALL.map(|mode| headline.flips(mode).count());
            assert_eq!(flips.into_iter().max(), Some(headline.switches.len()));
        }
    }
    // Each disagreement is in a ledger.
    let of_all = experiments().iter().flat_map(|it| it.headlines);
    let switched: Vec<_> = of_all.flat_map(|it| it.switches).collect();
    for switch in Switch::ALL {
        assert!(switched.contains(&&switch), "{}", switch.name());
    }
    let error = experiment_named("table-44").unwrap_err().to_string();
    assert!(error.contains("did you mean 'table-4'?"), "{error}");
}

/// The index has each, and a page of each that it links.
#[test]
fn every_experiment_is_documented() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
    let index = std::fs::read_to_string(format!("{docs}/experiments.md")).unwrap();
    for Experiment { name, .. } in experiments() {
        assert!(
            index.contains(&format!("\n| [{name}](experiments/{name}.md) | ")),
            "{name}"
        );
        let page = format!("{docs}/experiments/{name}.md");
        let page = std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            page.contains(&format!("neuroinspect repro {name}")),
            "{name}"
        );
    }
}

/// The presets are those that the crates of the methods have.
#[test]
fn modes_are_the_paper_and_its_code() {
    let [paper, code, fixed] = Mode::ALL.map(Mode::switches);
    let joint = |config: EditConfig| config.with_ratio(RatioForm::PerNeuron, RatioNorm::L2);
    for preset in [
        EditConfig::paper_flowers(),
        EditConfig::paper_food(),
        EditConfig::paper_metashift(),
    ] {
        assert_eq!(paper.editing(preset.clone(), 2), joint(preset));
    }
    assert_eq!(
        code.editing(EditConfig::paper_metashift(), 2),
        EditConfig::code_metashift()
    );
    assert_eq!(
        code.editing(EditConfig::default().with_target(Target::Auto), 2),
        EditConfig::original()
    );
    assert_eq!(
        paper.waterbirds_lambda3,
        EditConfig::paper_waterbirds().lambda3
    );
    assert_eq!(
        code.waterbirds_lambda3,
        EditConfig::code_waterbirds().lambda3
    );
    assert_eq!(fixed.counterfactual(), CounterfactualConfig::default());
    assert_eq!(fixed.ranking(), RankingConfig::default());
    assert_eq!(
        code.counterfactual(),
        CounterfactualConfig::original().with_max_steps(CounterfactualConfig::default().max_steps)
    );
    assert_eq!(code.ranking().votes, RankingConfig::original().votes);
    // 3 of 100 are listed by the paper alone.
    let listed = [paper, code, fixed].map(|it| 0.03 > it.ranking().min_precision);
    assert_eq!(listed, [true, false, false]);
    assert!(paper.ranking().min_precision > 0.0299);
    assert_eq!(fixed.target(), Target::Auto);
    assert_eq!(code.ranking().overlap, RankingConfig::interactive().overlap);
    assert_eq!(
        code.recipe(&Recipe::default()).coupling,
        Recipe::original().coupling
    );
    // A batch of 128 weighs as much by its root mean square as by its norm.
    let food = fixed.editing(EditConfig::paper_food(), 2);
    assert!((food.lambda3 - 0.01 * 128.0_f64.sqrt()).abs() < 1e-12);
    assert_eq!(food.training.keep, Keep::Last);
}

/// In each mode some other mode has it otherwise, and nothing but it is changed.
#[test]
fn every_switch_is_flipped_by_itself() {
    for mode in Mode::ALL {
        let own = mode.switches();
        for switch in Switch::ALL {
            let flipped = Switches::flipped(mode, switch);
            let flipped = flipped.unwrap_or_else(|| panic!("{}: {mode}", switch.name()));
            assert_ne!(own.value(switch), flipped.value(switch));
            assert_eq!(flipped.with(switch, &own), own, "{}", switch.name());
            for other in Switch::ALL.into_iter().filter(|other| *other != switch) {
                assert_eq!(own.value(other), flipped.value(other));
            }
        }
    }
}

#[test]
fn a_result_has_means_gaps_claims_and_a_ledger() {
    let root = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(&root, None).unwrap();
    let result = run_toys(&folder, &config(3)).unwrap();
    let text = std::fs::read_to_string(folder.join("toys.json")).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["schema"], "neuroinspect.experiment");
    assert_eq!(found["schema_version"], 2);
    assert_eq!(found["command"], "play");
    assert_eq!(found["seeds"], json!([0, 1, 2]));
    let table = &found["tables"][0];
    assert_eq!(
        table["columns"],
        json!([{"name": "right", "unit": "share"}, {"name": "time", "unit": "seconds"}])
    );
    // Rows of nothing but no numbers are not there.
    assert_eq!(table["rows"].as_array().unwrap().len(), 2);
    let cell = &table["rows"][0]["cells"][0];
    assert!((cell["mean"].as_f64().unwrap() - 0.6).abs() < 1e-9);
    // Student's of three values: 4.303 / sqrt(3) times their deviation of 0.1.
    assert!((cell["margin"].as_f64().unwrap() - 0.2484).abs() < 1e-3);
    assert_eq!(cell["repetitions"], 3);
    assert_eq!(table["rows"][0]["cells"][1], Value::Null);
    let [beside, rival] = &result.beside[..] else {
        panic!("{:?}", result.beside);
    };
    assert!((beside.gap.unwrap() - (beside.ours.unwrap().mean - 0.9)).abs() < 1e-12);
    assert_eq!((rival.paper, rival.ours, rival.gap), (0.8, None, None));

    let verdicts: Vec<_> = result.claims.iter().map(|claim| claim.verdict).collect();
    assert_eq!(
        verdicts,
        [
            ClaimVerdict::Supported,
            ClaimVerdict::Contradicted,
            ClaimVerdict::NotTested
        ]
    );
    // Of three differences 0.2, 0.21 and 0.2.
    let difference = result.claims[0].tests[0].difference;
    assert!((difference.mean - 0.61 / 3.0).abs() < 1e-9);

    // Among equal epochs nothing is chosen where the last is kept.
    let [form, votes] = &result.ledgers[0].rows[..] else {
        panic!("{:?}", result.ledgers);
    };
    assert_eq!([&*form.from, &*form.to], ["per neuron", "joint"]);
    // 0.1, 0.2 and 0.3 more.
    assert!((form.difference.mean - 0.2).abs() < 1e-9);
    assert!((form.difference.margin.unwrap() - 0.2484).abs() < 1e-3);
    assert_eq!(
        [votes.difference.mean, votes.difference.margin.unwrap()],
        [0.0, 0.0]
    );

    let page = std::fs::read_to_string(folder.join("toys.md")).unwrap();
    assert_eq!(page, result.to_markdown(&TOYS));
    for line in [
        "# No table: toys\n",
        "```sh\nplay\n```",
        "- They are made of wood.\n",
        "|  | labels | right | time (s) |\n",
        "| before | - | 60.0 ± 24.8 | - |\n",
        "| after | class | 80.3 ± 24.9 | 0.33 ± 0.00 |\n",
        "![A toy](toys/toy.png)",
        "| +20.3 ± 1.4 | support it |\n",
        "| +20.3 ± 1.4 | contradict it |\n",
        "| - | do not test it |\n",
        "| toys | after | right | 80.3 ± 24.9 | 90.0 | real toys | -9.7 |\n",
        "| toys | rival | right | - | 80.0 | real toys | - |\n",
        "| `ratio_form` | per neuron | joint | +20.0 ± 24.8 |",
        "- Batteries.\n",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    assert!(folder.join("toys/toy.png").exists());
}

/// Of one repetition there is no interval, and no claim is tested.
#[test]
fn one_repetition_tests_no_claim() {
    let root = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(&root, None).unwrap();
    let result = run_toys(&folder, &config(1)).unwrap();
    let tested = |claim: &Claim| claim.verdict != ClaimVerdict::NotTested;
    assert!(!result.claims.iter().any(tested));
    let page = result.to_markdown(&TOYS);
    assert!(page.contains("| before | - | 50.0 | - |\n"), "{page}");
}

#[test]
fn repetitions_are_taken_up_and_come_to_the_same() {
    let left_alone = tempfile::tempdir().unwrap();
    let left_alone = RunFolder::open(&left_alone, None).unwrap();
    let whole = run_toys(&left_alone, &config(3)).unwrap();

    let root = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(&root, None).unwrap();
    MEASURED.set(0);
    // Stopped in its third repetition.
    let mut stop_at_2 = |progress: Progress<'_>| match (progress.stage, progress.done) {
        ("playing", 2) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let stopped = TOYS
        .run(&config(3), &folder, None, &mut stop_at_2)
        .unwrap_err();
    assert!(is_cancellation(&stopped));
    assert_eq!(MEASURED.get(), 2);
    let mut result = run_toys(&folder, &config(3)).unwrap();
    assert_eq!(MEASURED.get(), 3);
    result.seconds = whole.seconds;
    assert_eq!(result, whole);

    // More repetitions, and others: those that there are stay.
    run_toys(&folder, &config(4)).unwrap();
    assert_eq!(MEASURED.get(), 4);
    let shade = || image::open(folder.join("toys/toy.png")).unwrap().to_rgb8()[(0, 0)].0[0];
    assert_eq!(shade(), 0);
    // But that the first one's pictures are shown, which were not kept.
    let later = run_toys(&folder, &config(2).with_seed(Seed(2))).unwrap();
    assert_eq!((MEASURED.get(), later.seeds), (5, vec![Seed(2), Seed(3)]));
    assert_eq!((later.pictures.len(), shade()), (1, 2));
    run_toys(&folder, &config(4)).unwrap();
    assert_eq!((MEASURED.get(), shade()), (6, 0));

    // Another mode has files of its own, and a picture that is gone is made again.
    let paper = config(1).with_mode(Mode::Paper);
    let page = std::fs::read(folder.join("toys.md")).unwrap();
    run_toys(&folder, &paper).unwrap();
    assert_eq!(MEASURED.get(), 7);
    run_toys(&folder, &paper).unwrap();
    run_toys(&folder, &config(4)).unwrap();
    assert_eq!(MEASURED.get(), 7);
    assert_eq!(page, std::fs::read(folder.join("toys.md")).unwrap());
    std::fs::remove_file(folder.join("toys-paper/toy.png")).unwrap();
    run_toys(&folder, &paper).unwrap();
    assert_eq!(MEASURED.get(), 8);

    // What cannot be read is made anew.
    std::fs::write(folder.join("toys-paper.state.json"), "{").unwrap();
    run_toys(&folder, &paper).unwrap();
    assert_eq!(MEASURED.get(), 9);
}

/// Results that were run alike are compared, number by number where they differ.
#[test]
fn modes_are_compared_on_one_page() {
    let root = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(&root, None).unwrap();
    let page = || {
        modes::write(&[&TOYS], &folder).unwrap();
        std::fs::read_to_string(folder.join(modes::FILE)).ok()
    };
    run_toys(&folder, &config(3)).unwrap();
    assert_eq!(page(), None);
    run_toys(&folder, &config(2).with_mode(Mode::Paper)).unwrap();
    assert_eq!(page(), None, "of other repetitions");
    let code = config(3).with_mode(Mode::Code);
    let mut stop_at_2 = |progress: Progress<'_>| match (progress.stage, progress.done) {
        ("playing", 2) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    TOYS.run(&code, &folder, None, &mut stop_at_2).unwrap_err();
    assert!(folder.join("toys-code.json").exists());
    assert_eq!(page(), None, "stopped after two of three");
    run_toys(&folder, &code).unwrap();
    let of_two = page().unwrap();
    run_toys(&folder, &config(3).with_mode(Mode::Paper)).unwrap();
    let of_three = page().unwrap();
    for (page, lines) in [
        (
            of_two,
            [
                "| row | number | `code` | `fixed` |\n",
                "| after | right | 90.3 ± 24.9 | 80.3 ± 24.9 |\n",
                "| It helps by a third | do not decide it | contradict it |\n",
            ],
        ),
        (
            of_three,
            [
                "\n## No table: toys\n\nOn toys; 3 repetitions.\n\n### toys\n",
                "| after | right | 80.3 ± 24.9 | 90.3 ± 24.9 | 80.3 ± 24.9 |\n",
                "| It flies | do not test it | do not test it | do not test it |\n",
            ],
        ),
    ] {
        for line in lines {
            assert!(page.contains(line), "{line}\n{page}");
        }
        // The same in all modes.
        assert!(!page.contains("| before |"), "{page}");
    }
    // A number that lacks a repetition in one of the modes is not the same, and is told from those that lack none.
    let of_code = folder.join("toys-code.json");
    let mut fewer: Value = serde_json::from_slice(&std::fs::read(&of_code).unwrap()).unwrap();
    let rows = fewer["tables"][0]["rows"].as_array_mut().unwrap();
    let before = rows.iter_mut().find(|row| row["name"] == "before").unwrap();
    before["cells"][0]["repetitions"] = json!(2);
    std::fs::write(&of_code, fewer.to_string()).unwrap();
    let fewer = page().unwrap();
    let line = "| before | right | 60.0 ± 24.8 | 60.0 ± 24.8 (of 2) | 60.0 ± 24.8 |\n";
    assert!(fewer.contains(line), "{fewer}");
    // The page that compared what is there no more.
    run_toys(&folder, &config(2)).unwrap();
    assert_eq!(page(), None);
}

#[test]
fn options_that_go_with_data_need_data() {
    for (refused, option) in [
        (config(0), "seeds"),
        (config(1).with_scale(0.0), "scale"),
        (config(1).with_scale(1.5), "scale"),
        (config(1).with_concepts("bank".into()), "data"),
    ] {
        let error = refused.validate().unwrap_err().to_string();
        assert!(error.starts_with(option), "{error}");
    }
    let with_data = config(1)
        .with_concepts("bank".into())
        .with_data("birds".into());
    with_data.validate().unwrap();
}
