//! The numbers of a table, in memory or in files.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, CowArray, Ix1};

use super::{MemoryLimit, row_file::RowFile};
use crate::Result;

/// `[N, D]` numbers.
#[derive(Clone, Debug)]
pub(super) enum Values {
    /// In standard layout.
    Memory(Arc<Array2<f32>>),
    File(Arc<RowFile>),
    /// Some rows of others.
    Selected {
        of: Arc<Values>,
        rows: Arc<[usize]>,
    },
    /// Those of the one and then those of the other, as wide.
    Joined(Arc<[Values; 2]>),
}

impl Values {
    /// In memory.
    pub(super) fn of(values: Array2<f32>) -> Self {
        Self::Memory(Arc::new(match values.is_standard_layout() {
            true => values,
            false => values.as_standard_layout().into_owned(),
        }))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Memory(values) => values.nrows(),
            Self::File(file) => file.rows,
            Self::Selected { rows, .. } => rows.len(),
            Self::Joined(parts) => parts.iter().map(Self::len).sum(),
        }
    }

    pub(super) fn width(&self) -> usize {
        match self {
            Self::Memory(values) => values.ncols(),
            Self::File(file) => file.width,
            Self::Selected { of, .. } => of.width(),
            Self::Joined(parts) => parts[0].width(),
        }
    }

    /// All of them, where they lie in memory as one.
    pub(super) fn in_memory(&self) -> Option<ArrayView2<'_, f32>> {
        match self {
            Self::Memory(values) => Some(values.view()),
            _ => None,
        }
    }

    /// What of them may be read into memory at once; `None` where all of them are there.
    pub(super) fn limit(&self) -> Option<MemoryLimit> {
        match self {
            Self::Memory(_) => None,
            Self::File(file) => Some(file.limit),
            Self::Selected { of, .. } => of.limit(),
            Self::Joined(parts) => parts.iter().filter_map(Self::limit).min(),
        }
    }

    /// The file that a row is in.
    pub(super) fn file_of(&self, row: usize) -> Option<&RowFile> {
        match self {
            Self::Memory(_) => None,
            Self::File(file) => Some(file),
            Self::Selected { of, rows } => of.file_of(rows[row]),
            Self::Joined(parts) => {
                let first = parts[0].len();
                match row.checked_sub(first) {
                    None => parts[0].file_of(row),
                    Some(row) => parts[1].file_of(row),
                }
            }
        }
    }

    /// A row, which is below [`len`](Self::len).
    pub(super) fn row(&self, row: usize) -> Result<CowArray<'_, f32, Ix1>> {
        if let Self::Memory(values) = self {
            return Ok(values.row(row).into());
        }
        let mut out = vec![0.0; self.width()];
        self.read(&[row], &mut out)?;
        Ok(ndarray::Array1::from(out).into())
    }

    /// Reads rows, in the order given, each below [`len`](Self::len), into as many times `D` numbers.
    pub(super) fn read(&self, rows: &[usize], out: &mut [f32]) -> Result<()> {
        match self {
            Self::Memory(values) => {
                let width = values.ncols();
                for (&row, out) in rows.iter().zip(out.chunks_mut(width.max(1))) {
                    let all = values.row(row);
                    out.iter_mut()
                        .zip(all)
                        .for_each(|(out, &value)| *out = value);
                }
                Ok(())
            }
            Self::File(file) => file.read(rows, out),
            Self::Selected { of, rows: selected } => {
                let rows: Vec<usize> = rows.iter().map(|&row| selected[row]).collect();
                of.read(&rows, out)
            }
            Self::Joined(parts) => {
                let first = parts[0].len();
                let (mut rows, mut out) = (rows, out);
                while let Some(&row) = rows.first() {
                    let is_first = row < first;
                    let run = rows.iter().take_while(|&&row| (row < first) == is_first);
                    let (now, later) = rows.split_at(run.count());
                    let (into, rest) = out.split_at_mut(now.len() * self.width());
                    match is_first {
                        true => parts[0].read(now, into)?,
                        false => {
                            let now: Vec<usize> = now.iter().map(|row| row - first).collect();
                            parts[1].read(&now, into)?;
                        }
                    }
                    (rows, out) = (later, rest);
                }
                Ok(())
            }
        }
    }

    /// The rows at `rows`, each below [`len`](Self::len), in that order: copied where they are few, and otherwise left
    /// where they are.
    pub(super) fn select(&self, rows: &[usize]) -> Result<Self> {
        let limit = self.limit().unwrap_or_default();
        if limit.holds_beside(rows.len(), self.width()) {
            return Ok(Self::Memory(Arc::new(self.gather(rows)?)));
        }
        Ok(match self {
            Self::Selected { of, rows: selected } => Self::Selected {
                of: Arc::clone(of),
                rows: rows.iter().map(|&row| selected[row]).collect(),
            },
            other => Self::Selected {
                of: Arc::new(other.clone()),
                rows: rows.into(),
            },
        })
    }

    /// Copies rows: `[R, D]`.
    pub(super) fn gather(&self, rows: &[usize]) -> Result<Array2<f32>> {
        let mut values = Array2::zeros((rows.len(), self.width()));
        if let Some(out) = values.as_slice_mut() {
            self.read(rows, out)?;
        }
        Ok(values)
    }
}
