//! Writing files whole or not at all.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::{Error, Result};

/// Writes a file through a temporary one beside it, renamed into place at the end.
///
/// When anything fails, a full disk included, what stood at `path` before is untouched. Missing
/// parent folders are made.
///
/// # Errors
///
/// [`Error::Write`] with the path and the cause.
pub fn write_atomically(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    // Like any file a program makes.
    write_with_mode(path.as_ref(), 0o666, write)
}

/// Writes a file as [`write_atomically`] does, which on Unix its owner alone may read.
///
/// # Errors
///
/// As [`write_atomically`].
pub fn write_private(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    write_with_mode(path.as_ref(), 0o600, write)
}

#[cfg_attr(not(unix), expect(unused_variables))]
fn write_with_mode(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let attempt = || -> io::Result<()> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The default of a temporary file is owner-only.
            builder.permissions(std::fs::Permissions::from_mode(mode));
        }
        let file = builder.tempfile_in(folder)?;
        let mut out = BufWriter::new(file.as_file());
        write(&mut out)?;
        out.flush()?;
        drop(out);
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    attempt().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

/// What the names of temporary files begin with.
const UNFINISHED: &str = ".neuroinspect-unfinished-";

/// Whether a file is called as those are that [`write_atomically`] has not finished: a program that
/// is killed leaves them behind.
pub fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file");
        write_atomically(&path, |out| {
            let files = std::fs::read_dir(path.parent().unwrap())?;
            let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
            assert_eq!(names.len(), 1);
            assert!(is_unfinished(names[0].to_str().unwrap()), "{names:?}");
            out.write_all(b"old")
        })
        .unwrap();
        assert!(!is_unfinished("file"));
        let failed = write_atomically(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(io::Error::other("disk full"))
        });
        assert!(matches!(failed, Err(Error::Write { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        let names = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names, 1, "the temporary file is gone");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_has_the_permissions_of_any_file_that_is_made() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let [ours, any] = ["ours", "any"].map(|name| folder.path().join(name));
        write_atomically(&ours, |out| out.write_all(b"ours")).unwrap();
        std::fs::write(&any, b"any").unwrap();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&any));
    }
}
