//! The JSON Schemas in `docs/schemas`, out of the types that are written.

use std::{collections::BTreeMap, env, fs};

use neuroinspect::{
    experiments::ExperimentResult,
    report::{AtlasIndex, CheckReport, Evaluation, Findings, Schema, UnitReport, json_schema},
};
use neuroinspect_testing::{pages::root, schema};
use schemars::JsonSchema;
use serde_json::Value;

use super::{
    concepts, corrupt, edit, explain, label, leaderboard, magnitudes, mend, train, trust, visualize,
};

/// Every file of JSON that `docs/files.md` promises.
fn schemas() -> BTreeMap<&'static str, Value> {
    fn of<T: JsonSchema>(schema: Schema) -> (&'static str, Value) {
        (schema.name, json_schema::<T>(schema))
    }
    [
        of::<Evaluation>(Schema::EVALUATION),
        of::<explain::Explained<'_>>(explain::SCHEMA),
        of::<visualize::album::Record>(visualize::SCHEMA),
        of::<UnitReport>(Schema::UNITS),
        of::<Findings>(Schema::FINDINGS),
        of::<edit::Record<'_>>(edit::SCHEMA),
        of::<mend::Record<'_>>(mend::SCHEMA),
        of::<CheckReport>(Schema::CHECK),
        of::<train::Record<'_>>(train::SCHEMA),
        of::<corrupt::Record<'_>>(corrupt::SCHEMA),
        of::<magnitudes::Record>(magnitudes::SCHEMA),
        of::<trust::Record>(trust::SCHEMA),
        of::<label::Record<'_>>(label::SCHEMA),
        of::<concepts::learn::Record>(concepts::learn::SCHEMA),
        of::<concepts::explain::Explained<'_>>(concepts::explain::SCHEMA),
        of::<concepts::tcav::Record<'_>>(concepts::tcav::SCHEMA),
        of::<leaderboard::Record<'_>>(leaderboard::SCHEMA),
        of::<ExperimentResult>(ExperimentResult::SCHEMA),
        of::<AtlasIndex>(Schema::ATLAS),
    ]
    .into()
}

/// `NEUROINSPECT_UPDATE_SCHEMAS=1` writes them anew.
#[test]
fn schemas_are_those_of_the_types() {
    let update = env::var_os("NEUROINSPECT_UPDATE_SCHEMAS").is_some();
    for (name, schema) in schemas() {
        let path = schema::file(name);
        // What is read in any language says nothing of Rust's.
        let text = schema.to_string();
        for rust in ["`None`", "::"] {
            assert!(!text.contains(rust), "{rust} in {text}");
        }
        if update {
            let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            fs::create_dir_all(schema::folder()).unwrap();
            fs::write(&path, text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        let committed: Value = serde_json::from_str(&committed).unwrap_or_default();
        assert!(
            committed == schema,
            "'{}' is another than the types say: run this test with NEUROINSPECT_UPDATE_SCHEMAS=1, and where a key \
             went, is named differently or means something else, give the schema another version",
            path.display()
        );
    }
}

#[test]
fn every_promised_file_has_a_schema_and_no_other() {
    let page = fs::read_to_string(root().join("docs/files.md")).unwrap();
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| [`neuroinspect."));
    let promised: BTreeMap<&str, &str> = rows
        .map(|row| {
            let row = row.strip_prefix("| [`").unwrap();
            let (name, link) = row.split_once("`](").unwrap();
            (name, link.split_once(')').unwrap().0)
        })
        .collect();
    let schemas = schemas();
    assert!(promised.keys().eq(schemas.keys()), "{promised:?}");
    let mut files: Vec<_> = fs::read_dir(schema::folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut linked: Vec<_> = promised
        .values()
        .map(|link| root().join("docs").join(link))
        .collect();
    linked.sort();
    assert_eq!(files, linked);
}
