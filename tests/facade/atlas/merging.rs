//! What is refused, and what merging finds.

use std::fs;

use neuroinspect::{
    Error, RunFolder,
    atlas::{Atlas, AtlasWork, MergeRequest},
    core::{ClassId, Silent},
    illusion::Objective,
    report::AtlasIndex,
};

use super::making::{Bench, alone, assert_same, flex};

#[test]
fn what_is_not_the_atlas_that_is_planned_is_refused() {
    let mut bench = Bench::new();
    bench.plan(Some(2)).unwrap();
    let mut refused = |change: &dyn Fn(&mut Bench), what: &str| {
        let (config, names, origin) = (
            bench.config.clone(),
            bench.names.clone(),
            bench.origin.clone(),
        );
        change(&mut bench);
        let error = bench.plan(None).unwrap_err();
        let expected = format!("holds another atlas, of which {what} is not as it is here");
        assert!(error.to_string().contains(&expected), "{error}");
        (bench.config, bench.names, bench.origin) = (config, names, origin);
    };
    refused(&|it| it.config.recipe.steps += 1, "the recipe");
    refused(&|it| it.config.classes = 1, "the number of classes");
    refused(&|it| it.config.execution.batch_size = 3, "the batch size");
    refused(
        &|it| it.config.execution.other_seeds += 1,
        "the judge or the other seeds",
    );
    refused(&|it| it.names[0].push('x'), "the names of the classes");
    refused(
        &|it| it.origin.classifier_sha256.push('x'),
        "the classifier",
    );
    let error = bench.plan(Some(3)).unwrap_err().to_string();
    assert!(
        error.contains("of which the number of shards is not"),
        "{error}"
    );
    // A plan of a build that did not write down what decides trust.
    let path = bench.path().join("atlas.json");
    let plan = std::fs::read(&path).unwrap();
    let mut earlier: serde_json::Value = serde_json::from_slice(&plan).unwrap();
    let made_with = earlier["made_with"].as_object_mut().unwrap();
    made_with.remove("trust").unwrap();
    std::fs::write(&path, earlier.to_string()).unwrap();
    bench.plan(None).unwrap();
    std::fs::write(&path, plan).unwrap();

    // How it is computed is each worker's own matter.
    bench.config.execution.checkpoint_every = 7;
    bench.plan(Some(2)).unwrap();

    bench.origin.complete = false;
    let error = bench.plan(None).unwrap_err();
    assert!(matches!(error, Error::AtlasNeeds { .. }), "{error}");
    bench.config.recipe.objective = Objective::default();
    bench.config.classes = 0;
    let error = bench.plan(None).unwrap_err().to_string();
    assert!(
        error.contains("classes = 0: expected at least 1"),
        "{error}"
    );
    bench.config.recipe.objective = Objective::Logit(ClassId(0));
    let error = bench.plan(None).unwrap_err().to_string();
    assert!(
        error.contains("objective = z_0: expected an objective of the unit"),
        "{error}"
    );
}

/// What is damaged is found, and made again.
#[test]
fn merging_verifies_every_picture_and_joins_folders() {
    let (alone, _) = alone(2);
    let benches = [Bench::new(), Bench::new()];
    for (shard, bench) in benches.iter().enumerate() {
        bench.plan(Some(2)).unwrap();
        assert_eq!(bench.made(Some(shard)).found, 0);
    }
    let [bench, other] = &benches;
    let atlas = Atlas::open(bench.path()).unwrap();
    let request = MergeRequest {
        from: vec![other.path().to_owned()],
        ..MergeRequest::default()
    };
    atlas.merge(&request, &mut Silent).unwrap();
    assert_same(bench, &alone);

    let damaged = bench
        .path()
        .join("pictures/unit-7-features-neuron-3-masked.png");
    let mut bytes = fs::read(&damaged).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&damaged, &bytes).unwrap();
    assert_eq!(atlas.status().unwrap().finished, 12);
    let error = bench.merge().unwrap_err();
    assert!(
        matches!(error, Error::AtlasIncomplete { missing: 2, .. }),
        "{error}"
    );
    assert_eq!(atlas.status().unwrap().finished, 10);
    // No page names what is gone.
    for name in [AtlasIndex::JSON_FILE, AtlasIndex::HTML_FILE] {
        assert!(!bench.path().join(name).exists(), "{name}");
    }
    assert_eq!(bench.made(None).pictures, 2);
    bench.merge().unwrap();
    assert_same(bench, &alone);

    let strange = Bench::new();
    let config = bench.config.clone().with_classes(1);
    let strange = Bench { config, ..strange };
    strange.plan(None).unwrap();
    let request = MergeRequest {
        from: vec![strange.path().to_owned()],
        ..MergeRequest::default()
    };
    let error = atlas.merge(&request, &mut Silent).unwrap_err();
    assert!(matches!(error, Error::OtherAtlas { .. }), "{error}");
}

/// What cannot be read is not taken for what is missing: nothing that is finished is removed for it.
#[test]
fn a_failure_to_read_loses_nothing() {
    let (bench, _) = alone(2);
    let batch = bench.path().join("batches/0.json");
    let record = fs::read(&batch).unwrap();
    fs::remove_file(&batch).unwrap();
    fs::create_dir(&batch).unwrap();
    let others = || fs::read_dir(bench.path().join("batches")).unwrap().count();
    let before = others();
    for error in [
        bench.merge().unwrap_err(),
        bench.make(None, &[flex()], &mut Silent).unwrap_err(),
        Atlas::open(bench.path()).unwrap().status().unwrap_err(),
    ] {
        assert!(!matches!(error, Error::AtlasIncomplete { .. }), "{error}");
        assert!(error.to_string().contains("0.json"), "{error}");
    }
    assert_eq!(others(), before);

    // A file that is damaged is made again.
    fs::remove_dir(&batch).unwrap();
    fs::write(&batch, &record[..record.len() / 2]).unwrap();
    let error = bench.merge().unwrap_err();
    assert!(
        matches!(error, Error::AtlasIncomplete { missing: 2, .. }),
        "{error}"
    );
}

/// Also after one was merged, and of shards that nobody has begun.
#[test]
fn who_merges_holds_every_shard() {
    let (bench, _) = alone(2);
    let shard = bench.path().join("shards/0-of-2");
    assert!(!shard.exists());
    let held = RunFolder::open(&shard, None).unwrap();
    let error = bench.merge().unwrap_err();
    assert!(matches!(error, Error::FolderHeld { .. }), "{error}");
    drop(held);
    bench.merge().unwrap();
}

#[test]
fn numbers_that_divide_an_atlas_are_bounded() {
    let bench = Bench::new();
    for shards in [0, 201, usize::MAX] {
        let error = bench.plan(Some(shards)).unwrap_err().to_string();
        assert!(
            error.contains("shards = ") && error.contains("1 to 200"),
            "{error}"
        );
    }
    bench.plan(Some(200)).unwrap();
    let file = bench.path().join(Atlas::PLAN_FILE);
    let plan = fs::read_to_string(&file).unwrap();
    for (number, damaged) in [
        ("\"shards\": 200", "\"shards\": 18446744073709551615"),
        ("\"batch_size\": 2", "\"batch_size\": 0"),
    ] {
        assert!(plan.contains(number), "{plan}");
        fs::write(&file, plan.replace(number, damaged)).unwrap();
        assert!(Atlas::open(bench.path()).is_err() && bench.plan(None).is_err());
    }
}

/// A plan is one thing, and who makes it may come with another.
#[test]
fn work_is_only_done_as_it_is_planned() {
    let mut bench = Bench::new();
    let atlas = bench.plan(Some(2)).unwrap();
    bench.config.recipe.steps += 1;
    let devices = [flex()];
    let work = AtlasWork {
        inputs: &bench.inputs(),
        config: &bench.config,
        devices: &devices,
        shard: None,
        command: None,
    };
    let error = atlas.make(&work, &mut Silent).unwrap_err();
    assert!(
        error.to_string().contains("of which the recipe is not"),
        "{error}"
    );
    assert_eq!(atlas.status().unwrap().finished, 0);

    let bench = Bench::new();
    let error = bench.make(None, &[], &mut Silent).unwrap_err().to_string();
    assert!(error.contains("at least one device"), "{error}");
}
