//! Writing files whole or not at all, and telling files apart.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

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
    let path = path.as_ref();
    let attempt = || -> io::Result<()> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Like any file a program makes; the default of a temporary file is owner-only.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder)?;
        let mut out = BufWriter::new(file);
        write(&mut out)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    attempt().map_err(|source| Error::Write {
        path: path.to_owned(),
        source,
    })
}

/// SHA-256 of a file's content, in hexadecimal.
///
/// # Errors
///
/// [`Error::Read`] when it cannot be read.
pub fn sha256_of_file(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let attempt = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(hexadecimal(&hash.finalize()));
            }
            hash.update(&buffer[..read]);
        }
    };
    attempt().map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

/// SHA-256 of bytes in memory, in hexadecimal.
pub fn sha256_of_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file");
        write_atomically(&path, |out| out.write_all(b"old")).unwrap();
        let failed = write_atomically(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(io::Error::other("disk full"))
        });
        assert!(matches!(failed, Err(Error::Write { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        let names = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names, 1, "the temporary file is gone");
    }

    #[test]
    fn sha256_matches_the_standard_vector() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of_bytes(b"abc"), expected);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        assert_eq!(sha256_of_file(file.path()).unwrap(), expected);
    }
}
