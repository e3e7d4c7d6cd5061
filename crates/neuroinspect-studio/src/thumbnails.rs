//! Thumbnails that were made, the last ones of them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::body::Bytes;

/// So many bytes are kept.
const MOST: usize = 96 * 1024 * 1024;

/// Thumbnails by row, the last ones that were made.
#[derive(Debug, Default)]
pub(crate) struct Thumbnails(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    of_row: HashMap<usize, Bytes>,
    /// Rows in the order in which they came.
    order: VecDeque<usize>,
    bytes: usize,
}

impl Thumbnails {
    pub(crate) fn get(&self, row: usize) -> Option<Bytes> {
        self.kept().of_row.get(&row).cloned()
    }

    pub(crate) fn keep(&self, row: usize, bytes: &Bytes) {
        let mut kept = self.kept();
        if kept.of_row.insert(row, bytes.clone()).is_none() {
            kept.order.push_back(row);
            kept.bytes += bytes.len();
        }
        while kept.bytes > MOST
            && let Some(oldest) = kept.order.pop_front()
        {
            let gone = kept.of_row.remove(&oldest);
            kept.bytes -= gone.map_or(0, |gone| gone.len());
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_give_way() {
        let thumbnails = Thumbnails::default();
        let large = Bytes::from(vec![0; MOST / 2]);
        for row in 0..3 {
            thumbnails.keep(row, &large);
            thumbnails.keep(row, &large);
        }
        let known = |row| thumbnails.get(row).is_some();
        assert_eq!([0, 1, 2].map(known), [false, true, true]);
    }
}
