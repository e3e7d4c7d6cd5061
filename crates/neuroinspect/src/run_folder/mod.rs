//! The folder that a run writes into.
//!
//! A run holds its folder alone ([`RunFolder::open`]), takes up again what an earlier one left there
//! and would make anew, be it killed or ended, and clears what is no longer true.

#[cfg(feature = "report")]
mod debug;
#[cfg(feature = "datasets")]
mod feature_shards;
#[cfg(feature = "datasets")]
mod features;
mod lock;
mod pictures;
#[cfg(feature = "datasets")]
mod top_images;

use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::UNIX_EPOCH,
};

use neuroinspect_core::io::is_unfinished;
use neuroinspect_report::{Findings, NeuronPicture, Schema, UnitPicture, write_json};
use serde::Serialize;
use serde_json::Value;

use self::lock::Lock;
#[cfg(feature = "datasets")]
pub use self::{
    feature_shards::{FeatureShards, FeatureShardsStatus},
    features::{FeatureRequest, FolderFeatures},
    top_images::FolderTopImages,
};
pub use self::{
    lock::FolderHolder,
    pictures::{Kept, PictureFolder, PictureOrigin},
};
use crate::{Error, Result};

/// The folder that results are written into, held by one run alone.
///
/// ```
/// use neuroinspect::{Error, RunFolder};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// let held = RunFolder::open(&folder, Some("my program".into()))?;
/// let error = RunFolder::open(&folder, None).unwrap_err();
/// assert!(matches!(error, Error::FolderHeld { .. }));
/// assert!(error.to_string().contains("(my program)"));
/// drop(held);
/// RunFolder::open(&folder, None)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    lock: Arc<Lock>,
}

impl RunFolder {
    /// Usual name of the file of an edit that a report is about.
    pub const EDIT_FILE: &str = "report-edit.safetensors";
    /// Name of the folder, within this one, that a training is kept in.
    pub(crate) const TRAINING: &str = "training";

    /// Makes the folder if it is missing, tries to write into it, and holds it until the value, and
    /// each [`PictureFolder`] of it, is dropped or the process ends, in whichever way.
    ///
    /// `command` is what another program is told that wants the folder meanwhile.
    ///
    /// Files that a run which was killed had not finished are removed.
    ///
    /// # Errors
    ///
    /// [`Error::FolderHeld`] when another run holds it, in this process or another;
    /// [`Error::Folder`] when it cannot be made, written into or locked.
    pub fn open(path: impl AsRef<Path>, command: Option<String>) -> Result<Self> {
        let path = path.as_ref();
        let refuse = |source| Error::Folder {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(refuse)?;
        tempfile::tempfile_in(path).map_err(refuse)?;
        // Before the work: a program may be built anew while it runs.
        program_state();
        let folder = Self {
            lock: Arc::new(Lock::acquire(path, command)?),
            path: path.to_owned(),
        };
        folder.remove_unfinished();
        Ok(folder)
    }

    /// Removes the files that a run which was killed had not finished; no other run is at work here.
    /// They harm nobody: one that cannot be removed stays.
    fn remove_unfinished(&self) {
        let pictures = self.join(pictures::FOLDER);
        let of_commands = fs::read_dir(&pictures).into_iter().flatten();
        let of_commands = of_commands.flatten().map(|entry| entry.path());
        let own = [
            "",
            NeuronPicture::FOLDER,
            Findings::UNITS_FOLDER,
            "units",
            Self::TRAINING,
            "studio",
            "studio/pictures",
        ];
        let own = own.map(|name| self.join(name));
        for folder in own.into_iter().chain(of_commands) {
            let _ = remove_from(&folder, is_unfinished);
        }
    }

    /// Whether a later run can take up features and pictures: not where the state of this program
    /// cannot be told, so that another build might take up what it would make in another way.
    pub fn keeps_for_later(&self) -> bool {
        program_state().is_some()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a value as [`to_json`](neuroinspect_report::to_json) gives it, whole or not at all.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_json<T: Serialize>(&self, name: &str, schema: Schema, value: &T) -> Result<()> {
        Ok(write_json(self.join(name), schema, value)?)
    }

    /// Removes files of an earlier run, where they are there: they would pass for this one's.
    ///
    /// # Errors
    ///
    /// [`Error::Remove`] for the first that cannot be removed.
    pub fn remove(&self, names: &[impl AsRef<Path>]) -> Result<()> {
        names.iter().try_for_each(|name| remove(&self.join(name)))
    }

    /// Removes the findings that an earlier run left: page, JSON, pictures of neurons, and the edit
    /// under its [usual name](Self::EDIT_FILE). Features and kept pictures stay, to be taken up
    /// again.
    #[cfg(feature = "report")]
    fn clear_findings(&self) -> Result<()> {
        let of_units = self.unit_pictures(Findings::JSON_FILE, Findings::UNITS_FOLDER);
        self.remove(&[
            Self::EDIT_FILE,
            Findings::JSON_FILE,
            Findings::HTML_FILE,
            Findings::SHEET_FILE,
        ])?;
        self.remove_pictures(NeuronPicture::FOLDER)?;
        self.remove(&of_units)
    }

    /// The pictures of units in a folder within this one that results of an earlier run, a file of JSON,
    /// name; none where there are no results. Whatever else lies there is not of that run.
    pub fn unit_pictures(&self, results: &str, within: &str) -> Vec<String> {
        let json = fs::read(self.join(results)).ok();
        let json: Option<Value> = json.and_then(|json| serde_json::from_slice(&json).ok());
        let units = json.as_ref().and_then(|json| json["units"].as_array());
        let pictures = units.into_iter().flatten().map(|unit| &unit["picture"]);
        let files = pictures.flat_map(|picture| [&picture["file"], &picture["masked_file"]]);
        let is_one = |file: &&str| {
            let name = file.strip_prefix(within);
            let name = name.and_then(|name| name.strip_prefix('/'));
            name.is_some_and(UnitPicture::is_file_name)
        };
        let files = files.filter_map(Value::as_str).filter(is_one);
        files.map(str::to_owned).collect()
    }

    /// Removes the pictures of neurons that an earlier run left in a folder within this one, or in
    /// this one itself, which is `""`.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    pub fn remove_pictures(&self, within: &str) -> Result<()> {
        remove_from(&self.join(within), NeuronPicture::is_file_name)
    }
}

/// Removes a file, where it is there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::Remove {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Removes a folder and all that is in it, where it is there.
#[cfg(feature = "datasets")]
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::Remove {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Removes the files of a folder whose names are to go, where the folder is there. Folders within it stay, whatever
/// they are called.
pub(crate) fn remove_from(folder: &Path, goes: impl Fn(&str) -> bool) -> Result<()> {
    let refuse = |source| Error::Remove {
        path: folder.to_owned(),
        source,
    };
    let files = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        files => files.map_err(refuse)?,
    };
    for file in files {
        let file = file.map_err(refuse)?;
        let is_folder = file.file_type().map_err(refuse)?.is_dir();
        if !is_folder && file.file_name().to_str().is_some_and(&goes) {
            remove(&file.path())?;
        }
    }
    Ok(())
}

/// What tells this program from others and from other builds of it, which may compute in another way
/// though their version is the same: path, length and time of change of its file, as they were when
/// this was first asked. `None` when it cannot be told.
pub(crate) fn program_state() -> Option<String> {
    static STATE: OnceLock<Option<String>> = OnceLock::new();
    let state = || {
        let path = env::current_exe().ok()?;
        let metadata = fs::metadata(&path).ok()?;
        let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(format!(
            "{}\0{}\0{}",
            path.display(),
            metadata.len(),
            changed.as_nanos()
        ))
    };
    STATE.get_or_init(state).clone()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[cfg(feature = "report")]
    #[test]
    fn findings_are_cleared_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(&root, None).unwrap();
        let stays = [
            "features.safetensors",
            "neurons/mine.png",
            "edit.safetensors",
            "unit-2-plan.png",
            "units/unit-1-layer3-channel-7.png",
            "report-units/unit-1-plan.png",
        ];
        let goes = [
            "summary.json",
            "report.html",
            "neurons.png",
            "report-edit.safetensors",
            "neurons/neuron-3-class-7.png",
            "neurons/neuron-3-class-7-masked.png",
            "report-units/unit-1-layer3-channel-7.png",
            "report-units/unit-1-layer3-channel-7-masked.png",
        ];
        for name in ["neurons", "units", "report-units"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        for name in stays.iter().chain(&goes) {
            fs::write(folder.join(name), "content").unwrap();
        }
        // Of what results say, only what is called as a picture of theirs goes.
        let named = json!({ "units": [
            { "picture": { "file": goes[6], "masked_file": goes[7] } },
            { "picture": { "file": "edit.safetensors", "masked_file": "units/unit-1-layer3-channel-7.png" } },
            { "picture": { "file": "report-units/unit-1-/../../features.safetensors" } },
            { "picture": null },
        ] });
        fs::write(folder.join("summary.json"), named.to_string()).unwrap();
        folder.clear_findings().unwrap();
        for name in stays {
            assert!(folder.join(name).exists(), "{name}");
        }
        for name in goes {
            assert!(!folder.join(name).exists(), "{name}");
        }
        // Of nothing there is nothing to clear.
        folder.clear_findings().unwrap();

        fs::create_dir(folder.join("summary.json")).unwrap();
        let error = folder.clear_findings().unwrap_err();
        assert!(error.to_string().contains("summary.json"), "{error}");
    }

    /// What a run that was killed had not finished is found by the next, and nothing else is.
    #[test]
    fn unfinished_files_are_removed_when_the_folder_is_opened() {
        let root = tempfile::tempdir().unwrap();
        let folders = ["", "neurons", "pictures/debug"].map(|name| root.path().join(name));
        let mut left = Vec::new();
        for folder in &folders {
            // As `write_atomically` leaves it that does not come to its end.
            let name = std::cell::OnceCell::new();
            neuroinspect_core::io::write_atomically(folder.join("file"), |_| {
                let mut files = fs::read_dir(folder)?.map(|file| file.unwrap().path());
                name.set(files.find(|file| file.is_file()).unwrap())
                    .unwrap();
                Ok(())
            })
            .unwrap();
            let name = name.into_inner().unwrap();
            fs::write(&name, "half").unwrap();
            left.push(name);
        }
        let _held = RunFolder::open(&root, None).unwrap();
        for (folder, name) in folders.iter().zip(&left) {
            assert!(!name.exists(), "{}", name.display());
            assert!(folder.join("file").exists());
        }
    }

    #[test]
    fn a_folder_among_the_files_to_be_removed_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let [first, folder, last] = ["a", "b", "c"].map(|name| root.path().join(name));
        fs::create_dir(&folder).unwrap();
        for file in [&first, &last] {
            fs::write(file, "content").unwrap();
        }
        remove_from(root.path(), |_| true).unwrap();
        assert!(folder.exists() && !first.exists() && !last.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_written_into_is_refused_by_name() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "in the way").unwrap();
        let error = RunFolder::open(&file, None).unwrap_err();
        assert!(
            matches!(&error, Error::Folder { path, .. } if *path == file),
            "{error}"
        );
    }
}
