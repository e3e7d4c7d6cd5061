//! `atlas`: every unit of a layer within its top classes.

mod make;

use std::path::Path;

use anyhow::{Context, Result, bail};
use neuroinspect::{
    atlas::{Atlas, AtlasStatus, MergeRequest, Plan},
    concepts::UnitLabels,
    core::io::read_text,
    report::{AtlasIndex, Schema},
};
use serde::{Deserialize, Serialize};

use crate::{
    args::{AtlasArgs, AtlasCommand, Common, MergeArgs, StatusArgs},
    console::Console,
    exit::Exit,
    options::Options,
    output::print,
    record::command_line,
};

const SCHEMA: Schema = Schema::new("neuroinspect.atlas-status", 1);
const MERGED: Schema = Schema::new("neuroinspect.atlas-merged", 1);

pub(crate) fn run(common: &Common, options: &Options, args: &AtlasArgs) -> Result<Exit> {
    match &args.command {
        Some(AtlasCommand::Status(args)) => status(common, args),
        Some(AtlasCommand::Merge(args)) => merge(common, args),
        None => make::run(common, options, &args.make),
    }
}

fn status(common: &Common, args: &StatusArgs) -> Result<Exit> {
    let status = Atlas::open(&common.out)?.status()?;
    if args.array {
        let array = status.array();
        print(common.json, SCHEMA, &status, |_| array + "\n")?;
        return Ok(Exit::Finished);
    }
    print_status(common, &status)?;
    Ok(Exit::Finished)
}

fn print_status(common: &Common, status: &AtlasStatus) -> Result<()> {
    print(common.json, SCHEMA, status, |status| {
        let AtlasStatus {
            planned,
            finished,
            diverged,
            shards,
            ..
        } = status;
        let mut text = format!("{finished} of {planned} pictures are finished");
        if *diverged > 0 {
            text += &format!(", {diverged} of which left the finite numbers");
        }
        match &*status.array() {
            "" => text + "\n",
            array => text + &format!("; missing of {shards} shards: {array}\n"),
        }
    })
}

/// What of `labels.json` is asked for.
#[derive(Deserialize)]
struct Labelled {
    layer: String,
    #[serde(flatten)]
    labels: UnitLabels,
}

fn merge(common: &Common, args: &MergeArgs) -> Result<Exit> {
    let atlas = Atlas::open(&common.out)?;
    let labels = match &args.labels {
        Some(path) => labels(path, &atlas)?,
        None => Vec::new(),
    };
    let request = MergeRequest {
        from: args.from.clone(),
        labels,
        command: Some(command_line()),
    };
    let mut console = Console::start(common.quiet)?;
    let index = atlas.merge(&request, &mut console)?;
    console.clear();
    print_merged(common, &index)?;
    Ok(Exit::Finished)
}

/// Words for the units, which go by their place.
fn labels(path: &Path, atlas: &Atlas) -> Result<Vec<Vec<String>>> {
    let Plan { layer, entries, .. } = atlas.planned();
    let no_labels = || format!("'{}' holds no labels of `label`", path.display());
    let labelled: Labelled = serde_json::from_str(&read_text(path)?).with_context(no_labels)?;
    if labelled.layer != *layer {
        bail!(
            "'{}' is of layer '{}', the atlas of '{layer}'",
            path.display(),
            labelled.layer
        );
    }
    let units = labelled.labels.units;
    let in_order = units
        .iter()
        .enumerate()
        .all(|(place, unit)| unit.unit == place);
    let last = entries.iter().map(|entry| entry.unit.kind.channel()).max();
    let count = last.map_or(0, |last| last + 1);
    if !in_order || units.len() != count {
        bail!(
            "'{}' does not list the {count} units of '{layer}' in their order: label the whole layer",
            path.display()
        );
    }
    let units = units.into_iter();
    Ok(units
        .map(|unit| unit.labels.into_iter().map(|label| label.word).collect())
        .collect())
}

/// Says what has come of merging.
fn print_merged(common: &Common, index: &AtlasIndex) -> Result<()> {
    #[derive(Serialize)]
    struct Merged<'a> {
        layer: &'a str,
        entries: usize,
        page: String,
    }
    let merged = Merged {
        layer: &index.layer,
        entries: index.entries.len(),
        page: common.out.join(AtlasIndex::HTML_FILE).display().to_string(),
    };
    print(common.json, MERGED, &merged, |merged| {
        format!(
            "all {} pictures are there\npage: {}\n",
            merged.entries, merged.page
        )
    })
}
