//! Rows of numbers in a file.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::MemoryLimit;
use crate::{Error, Result};

/// `[rows, width]` numbers that stay in a file, row by row, 32 bits each, little-endian.
///
/// The file stays open: one that is deleted, or replaced by another of the name, is read as it was. One that is
/// written to is noticed by its length or its time of change.
#[derive(Debug)]
pub(crate) struct RowFile {
    pub(crate) path: PathBuf,
    /// What the file should be, for messages.
    pub(crate) expected: &'static str,
    pub(crate) file: Arc<Mutex<File>>,
    /// Where the first row begins.
    pub(crate) start: u64,
    pub(crate) rows: usize,
    pub(crate) width: usize,
    pub(crate) stamp: Stamp,
    /// What of it may be in memory at once.
    pub(crate) limit: MemoryLimit,
}

/// What changes when a file is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    length: u64,
    /// `None` where the system does not say.
    modified: Option<SystemTime>,
}

impl Stamp {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

impl RowFile {
    /// Reads rows, in the order given, each below `rows`, into as many times `width` numbers.
    pub(super) fn read(&self, rows: &[usize], out: &mut [f32]) -> Result<()> {
        // A panic of another thread leaves nothing half done: every read seeks first.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        self.check(&file)?;
        let (mut rows, mut out) = (rows, out);
        while let Some(&first) = rows.first() {
            // Rows that follow each other are read at once.
            let run = rows.iter().zip(first..);
            let run = run.take_while(|&(&row, expected)| row == expected).count();
            let (now, rest) = out.split_at_mut(run * self.width);
            self.read_run(&mut file, first, now)?;
            (rows, out) = (&rows[run..], rest);
        }
        Ok(())
    }

    fn read_run(&self, file: &mut File, first: usize, out: &mut [f32]) -> Result<()> {
        let offset = (first * self.width * size_of::<f32>()) as u64;
        let mut attempt = || -> io::Result<()> {
            file.seek(SeekFrom::Start(self.start + offset))?;
            file.read_exact(bytemuck::cast_slice_mut(out))
        };
        attempt().map_err(|source| self.unreadable(source))?;
        if cfg!(target_endian = "big") {
            out.iter_mut()
                .for_each(|value| *value = f32::from_bits(value.to_bits().swap_bytes()));
        }
        Ok(())
    }

    fn check(&self, file: &File) -> Result<()> {
        let found = Stamp::of(file).map_err(|source| self.unreadable(source))?;
        match found == self.stamp {
            true => Ok(()),
            false => Err(Error::Changed {
                path: self.path.clone(),
            }),
        }
    }

    fn unreadable(&self, source: io::Error) -> Error {
        Error::Read {
            path: self.path.clone(),
            source,
        }
    }
}
