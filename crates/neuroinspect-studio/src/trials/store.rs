//! Kept edits as files: the edit itself, as `apply` takes it, and beside it what was asked for and came of it.

use std::{
    borrow::Cow,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use neuroinspect::{
    editing::{EditResult, LayerPatch},
    report::{Schema, read_json, write_json},
};
use serde::{Deserialize, Serialize};

use super::{Asked, Trial, name_of};
use crate::{Error, Result, refusal::Refusal};

const SCHEMA: Schema = Schema::new("neuroinspect.studio-edit", 1);

/// What stands beside an edit file.
#[derive(Serialize, Deserialize)]
struct Record<'a> {
    data: Cow<'a, str>,
    asked: Cow<'a, Asked>,
    result: Cow<'a, EditResult>,
}

fn paths(folder: &Path, name: &str) -> [PathBuf; 2] {
    ["json", "safetensors"].map(|kind| folder.join(format!("edit-{name}.{kind}")))
}

/// Writes the edit and then its record, which makes it count.
pub(super) fn save(folder: &Path, trial: &Trial) -> Result<(), Refusal> {
    let [record, edit] = paths(folder, &trial.name);
    trial.patch.save(edit)?;
    let content = Record {
        data: Cow::Borrowed(&trial.data),
        asked: Cow::Borrowed(&trial.asked),
        result: Cow::Borrowed(&trial.result),
    };
    Ok(write_json(record, SCHEMA, &content)?)
}

pub(super) fn remove(folder: &Path, name: &str) -> Result<()> {
    for path in paths(folder, name) {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(Error::File { path, source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// The edits of a folder, by when they were kept; what cannot be read is none.
pub(super) fn load(folder: &Path) -> Vec<Arc<Trial>> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let records = files.filter_map(|file| {
        let path = file.path();
        let name = path.file_name()?.to_str()?;
        let name = name.strip_prefix("edit-")?.strip_suffix(".json")?;
        let [record, edit] = paths(folder, name);
        let changed = file.metadata().ok()?.modified().ok()?;
        let record: Record<'static> = read_json(record, SCHEMA).ok()?;
        let patch = LayerPatch::load(edit).ok()?;
        let alike = name_of(&record.data, &record.asked) == name
            && record.result.layer_sha256 == patch.sha256_after();
        let trial = Trial {
            name: name.to_owned(),
            data: record.data.into_owned(),
            asked: record.asked.into_owned(),
            patch,
            result: record.result.into_owned(),
            part: None,
            kept: AtomicBool::new(true),
        };
        alike.then(|| (changed, Arc::new(trial)))
    });
    let mut trials: Vec<_> = records.collect();
    trials.sort_by_key(|&(changed, _)| changed);
    trials.into_iter().map(|(_, trial)| trial).collect()
}
