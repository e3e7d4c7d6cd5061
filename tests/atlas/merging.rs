//! What is refused, and what merging finds.

use std::fs;

use neuroinspect::{
    Error,
    atlas::{Atlas, MergeRequest},
    core::Silent,
    illusion::Objective,
};

use crate::making::{Bench, alone, assert_same};

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
    assert_eq!(atlas.status().finished, 12);
    let error = bench.merge().unwrap_err();
    assert!(
        matches!(error, Error::AtlasIncomplete { missing: 2, .. }),
        "{error}"
    );
    assert_eq!(atlas.status().finished, 10);
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
