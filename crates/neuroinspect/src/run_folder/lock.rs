//! One run at a time in a folder.

use std::{
    fmt,
    fs::{File, TryLockError},
    io::{self, Read, Write},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use neuroinspect_report::{Schema, to_json};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

const FILE: &str = ".neuroinspect.lock";
const HOLDER: Schema = Schema::new("neuroinspect.lock", 1);

/// Who holds a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderHolder {
    /// Id of the process.
    pub pid: u32,
    /// What it was started as, where it said so.
    pub command: Option<String>,
    /// Since when, in seconds since 1970 (UTC).
    pub since: u64,
}

impl FolderHolder {
    fn this_process(command: Option<String>) -> Self {
        Self {
            pid: std::process::id(),
            command,
            since: now().as_secs(),
        }
    }
}

/// Without the calendar, for whose sake a crate would be needed: "process 4711 (neuroinspect debug)
/// since 14:02:11 UTC, 95 minutes ago".
impl fmt::Display for FolderHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if let Some(command) = &self.command {
            write!(f, " ({command})")?;
        }
        let of_day = self.since % (24 * 60 * 60);
        let (hours, minutes, seconds) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let minutes_ago = now().as_secs().saturating_sub(self.since) / 60;
        write!(f, " since {hours:02}:{minutes:02}:{seconds:02} UTC")?;
        match minutes_ago {
            0 => f.write_str(", less than a minute ago"),
            1 => f.write_str(", a minute ago"),
            minutes => write!(f, ", {minutes} minutes ago"),
        }
    }
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// A lock on a folder. The operating system lets go of it when the process ends, in whichever way: a
/// file that is left behind locks nobody out.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    pub(super) fn acquire(folder: &Path, command: Option<String>) -> Result<Self> {
        let refuse = |source| Error::Folder {
            path: folder.to_owned(),
            source,
        };
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(FILE))
            .map_err(refuse)?;
        match file.try_lock() {
            Ok(()) => {
                let lock = Self(file);
                let holder = FolderHolder::this_process(command);
                lock.write(&holder).map_err(refuse)?;
                Ok(lock)
            }
            Err(TryLockError::WouldBlock) => Err(Error::FolderHeld {
                path: folder.to_owned(),
                holder: read(&file),
            }),
            Err(TryLockError::Error(source)) => Err(refuse(source)),
        }
    }

    fn write(&self, holder: &FolderHolder) -> io::Result<()> {
        let json = to_json(HOLDER, holder).map_err(io::Error::other)?;
        self.0.set_len(0)?;
        (&self.0).write_all(json.as_bytes())
    }
}

/// Nobody is to be told of who held it once.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.set_len(0);
    }
}

/// Who holds it; `None` where that cannot be read, as in the moment before it is written.
fn read(mut file: &File) -> Option<FolderHolder> {
    let mut json = Vec::new();
    file.read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_folder_is_told_and_a_lock_left_behind_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::acquire(folder.path(), Some("first".into())).unwrap();
        let error = Lock::acquire(folder.path(), Some("second".into())).unwrap_err();
        let Error::FolderHeld { path, holder } = &error else {
            panic!("{error}");
        };
        assert_eq!(path, folder.path());
        let holder = holder.as_ref().unwrap();
        assert_eq!(holder.pid, std::process::id());
        assert_eq!(holder.command.as_deref(), Some("first"));
        let message = error.to_string();
        let expected = format!("is held by process {} (first) since ", holder.pid);
        assert!(message.contains(&expected), "{message}");
        drop(lock);

        // As a process that was killed leaves it.
        let left = FolderHolder {
            pid: 4711,
            command: None,
            since: 0,
        };
        let json = serde_json::to_string(&left).unwrap();
        std::fs::write(folder.path().join(FILE), &json).unwrap();
        let lock = Lock::acquire(folder.path(), None).unwrap();
        let error = Lock::acquire(folder.path(), None).unwrap_err();
        assert!(!error.to_string().contains("4711"), "{error}");
        drop(lock);
    }

    #[test]
    fn the_time_of_day_is_told() {
        let holder = FolderHolder {
            pid: 4711,
            command: Some("neuroinspect debug".into()),
            since: now().as_secs() / 86400 * 86400 - 86400 + 14 * 3600 + 2 * 60 + 11,
        };
        let text = holder.to_string();
        let start = "process 4711 (neuroinspect debug) since 14:02:11 UTC, ";
        assert!(text.starts_with(start), "{text}");
        assert!(text.ends_with(" minutes ago"), "{text}");
    }
}
