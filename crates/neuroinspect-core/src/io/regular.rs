//! Opening files to be read.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    path::Path,
};

use crate::{Error, Result};

/// Opens a regular file for reading.
///
/// A folder, a device or a named pipe is refused before it is opened: opening a pipe waits until
/// somebody writes into it.
///
/// # Errors
///
/// [`Error::Read`] with the path and the cause.
pub fn open_regular(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    let attempt = || -> io::Result<File> {
        if !std::fs::metadata(path)?.is_file() {
            let reason = "it is no regular file but a folder, a pipe or a device";
            return Err(io::Error::new(ErrorKind::InvalidInput, reason));
        }
        File::open(path)
    };
    attempt().map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

/// The longest text that is read, in bytes: some times the longest that is published, a list of half a million
/// images or a table of a quarter of a million tokens.
const LONGEST_TEXT: u64 = 1 << 28;

/// A text in UTF-8 of up to 256 MiB, from a file or from a pipe that somebody writes into, as the shell's
/// `<(...)` is. A byte-order mark at its beginning, which editors on Windows write, is no part of it.
///
/// # Errors
///
/// [`Error::Read`] with the path and the cause.
pub fn read_text(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let attempt = || -> io::Result<String> {
        let mut text = String::new();
        let file = File::open(path)?;
        match file.take(LONGEST_TEXT + 1).read_to_string(&mut text)? as u64 {
            0..=LONGEST_TEXT if text.starts_with(BYTE_ORDER_MARK) => {
                Ok(text.split_off(BYTE_ORDER_MARK.len_utf8()))
            }
            0..=LONGEST_TEXT => Ok(text),
            _ => Err(io::Error::new(
                ErrorKind::FileTooLarge,
                format!("it is longer than {LONGEST_TEXT} bytes, which no text of this kind is"),
            )),
        }
    };
    attempt().map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text without the byte-order mark at its beginning, which editors on Windows write.
pub fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for path in [folder.path(), &pipe] {
            let Err(Error::Read { source, .. }) = open_regular(path) else {
                panic!("{}", path.display())
            };
            assert!(source.to_string().starts_with("it is no regular file"));
        }
        assert!(open_regular(folder.path().join("none")).is_err());
        std::fs::write(folder.path().join("file"), b"content").unwrap();
        assert_eq!(read_text(folder.path().join("file")).unwrap(), "content");
        let marked = folder.path().join("marked");
        std::fs::write(&marked, "\u{feff}content").unwrap();
        assert_eq!(read_text(marked).unwrap(), "content");
    }

    #[test]
    fn a_text_that_is_no_text_by_its_length_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(LONGEST_TEXT + 1).unwrap();
        let error = read_text(file.path()).unwrap_err();
        let Error::Read { source, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(source.kind(), ErrorKind::FileTooLarge);
    }
}
