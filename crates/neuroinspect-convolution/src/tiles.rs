//! Which pixels are summed together.

use crate::layout::Layout;

/// Vectors of windows side by side.
#[derive(Clone, Debug)]
pub(crate) struct Tiles {
    pub(crate) vectors: Vec<Vector>,
    runs: Vec<Run>,
}

/// As many windows as a vector has lanes, some of them perhaps between rows and of no use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vector {
    /// Where the first window starts.
    pub(crate) base: usize,
    runs: [usize; 2],
}

/// Lanes of a vector that are pixels beside each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) lane: usize,
    /// Which pixel of the values' map the first is.
    pub(crate) pixel: usize,
    pub(crate) length: usize,
}

impl Tiles {
    pub(crate) fn new(layout: &Layout, lanes: usize) -> Self {
        let [height, width] = layout.size_out;
        let pitch = layout.pitch;
        let mut tiles = Self {
            vectors: Vec::new(),
            runs: Vec::new(),
        };
        let by_rows = height * width.div_ceil(lanes);
        let across = ((height - 1) * pitch + width).div_ceil(lanes);
        // To store a vector that crosses rows takes as long as some sums.
        if by_rows * 10 <= across * 11 {
            for row in 0..height {
                for column in (0..width).step_by(lanes) {
                    let run = Run {
                        lane: 0,
                        pixel: row * width + column,
                        length: lanes.min(width - column),
                    };
                    tiles.push(row * pitch + column, [run]);
                }
            }
        } else {
            for base in (0..across).map(|index| index * lanes) {
                let rows = base / pitch..height.min((base + lanes - 1) / pitch + 1);
                let runs = rows.filter_map(|row| {
                    let first = base.max(row * pitch);
                    let end = (base + lanes).min(row * pitch + width);
                    (first < end).then(|| Run {
                        lane: first - base,
                        pixel: row * width + first - row * pitch,
                        length: end - first,
                    })
                });
                tiles.push(base, runs);
            }
        }
        tiles
    }

    fn push(&mut self, base: usize, runs: impl IntoIterator<Item = Run>) {
        let first = self.runs.len();
        self.runs.extend(runs);
        let runs = [first, self.runs.len()];
        self.vectors.push(Vector { base, runs });
    }

    pub(crate) fn runs(&self, vector: Vector) -> &[Run] {
        &self.runs[vector.runs[0]..vector.runs[1]]
    }
}
