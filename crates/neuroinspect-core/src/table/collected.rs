//! Rows of a table that is being made.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    mem,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use ndarray::Array2;

use super::{ActivationTable, MemoryLimit, Provenance, RowFile, Stamp, values::Values};
use crate::{Error, Result};

/// Takes the rows of a table as they are computed: in memory, or, from where they take more than a limit, in a file
/// without a name, which is gone with the table.
///
/// ```
/// use ndarray::array;
/// use neuroinspect_core::{CollectedRows, MemoryLimit, Provenance};
///
/// let folder = std::env::temp_dir();
/// let mut rows = CollectedRows::new(2, folder, MemoryLimit::default());
/// rows.push(&[1.0, 2.0, 3.0, 4.0])?;
/// rows.push(&[5.0, 6.0])?;
/// let ids = ["a", "b", "c"].map(String::from).to_vec();
/// let table = rows.into_table(ids, Provenance::new("toy", None))?;
/// assert_eq!(table.values()?, array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// # Ok::<(), neuroinspect_core::Error>(())
/// ```
#[derive(Debug)]
pub struct CollectedRows {
    width: usize,
    folder: PathBuf,
    limit: MemoryLimit,
    /// Numbers pushed.
    count: usize,
    memory: Vec<f32>,
    file: Option<BufWriter<File>>,
    /// The first that is not finite: its place, and what it is.
    damaged: Option<(usize, f32)>,
}

impl CollectedRows {
    /// Rows of `width` numbers; what `limit` does not hold goes into a file in `folder`, which is there.
    pub fn new(width: usize, folder: impl Into<PathBuf>, limit: MemoryLimit) -> Self {
        Self {
            width: width.max(1),
            folder: folder.into(),
            limit,
            count: 0,
            memory: Vec::new(),
            file: None,
            damaged: None,
        }
    }

    /// Adds rows, one after the other.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] when the file cannot be made or written to: it names the folder.
    pub fn push(&mut self, values: &[f32]) -> Result<()> {
        if self.damaged.is_none() {
            let damaged = values.iter().position(|value| !value.is_finite());
            self.damaged = damaged.map(|at| (self.count + at, values[at]));
        }
        self.count += values.len();
        let rows = self.count.div_ceil(self.width);
        if self.file.is_none() && self.limit.holds(rows, self.width) {
            self.memory.extend_from_slice(values);
            return Ok(());
        }
        self.spill(values).map_err(|source| Error::Write {
            path: self.folder.clone(),
            source,
        })
    }

    fn spill(&mut self, values: &[f32]) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                let mut file = BufWriter::new(tempfile::tempfile_in(&self.folder)?);
                write(&mut file, &mem::take(&mut self.memory))?;
                file
            }
        };
        write(&mut file, values)?;
        self.file = Some(file);
        Ok(())
    }

    /// The table of these rows.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] naming the first neuron and sample that are not; [`Error::Length`] when there is not one
    /// id for each row, or the last row is not whole; [`Error::Write`] when the rest cannot be written.
    pub fn into_table(
        self,
        sample_ids: Vec<String>,
        provenance: Provenance,
    ) -> Result<ActivationTable> {
        let (samples, width) = (sample_ids.len(), self.width);
        if self.count != samples * width {
            return Err(Error::length("activations", samples * width, self.count));
        }
        if let Some((at, value)) = self.damaged {
            let (neuron, sample) = (at % width, &sample_ids[at / width]);
            let what = format!("activation of neuron {neuron} on sample '{sample}'");
            return Err(Error::NotFinite { what, value });
        }
        let Some(file) = self.file else {
            let found = self.memory.len();
            let values = Array2::from_shape_vec((samples, width), self.memory)
                .map_err(|_| Error::length("activations", samples * width, found))?;
            return ActivationTable::of_samples(sample_ids, values, provenance);
        };
        let unwritten = |source| Error::Write {
            path: self.folder.clone(),
            source,
        };
        let file = file.into_inner().map_err(|error| error.into_error());
        let file = file.map_err(unwritten)?;
        let stamp = Stamp::of(&file).map_err(unwritten)?;
        let rows = RowFile {
            path: self.folder,
            expected: "the folder of activations that were computed",
            file: Arc::new(Mutex::new(file)),
            start: 0,
            rows: samples,
            width,
            stamp,
            limit: self.limit,
        };
        ActivationTable::of_values(sample_ids, Values::File(Arc::new(rows)), provenance)
    }
}

fn write(out: &mut impl Write, values: &[f32]) -> io::Result<()> {
    match cfg!(target_endian = "little") {
        true => out.write_all(bytemuck::cast_slice(values)),
        false => values
            .iter()
            .try_for_each(|value| out.write_all(&value.to_le_bytes())),
    }
}
