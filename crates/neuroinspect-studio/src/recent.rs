//! What was made and may be asked for again, the last of it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// So many bytes are kept.
const MOST: usize = 96 * 1024 * 1024;

/// Values by their keys, the last ones that were made.
pub(crate) struct Recent<K, V>(Mutex<Kept<K, V>>);

struct Kept<K, V> {
    /// Each with its bytes.
    of_key: BTreeMap<K, (V, usize)>,
    /// Keys in the order in which they came.
    order: VecDeque<K>,
    bytes: usize,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Kept {
            of_key: BTreeMap::new(),
            order: VecDeque::new(),
            bytes: 0,
        }))
    }
}

impl<K: Copy + Ord, V: Clone> Recent<K, V> {
    pub(crate) fn get(&self, key: K) -> Option<V> {
        self.kept().of_key.get(&key).map(|(value, _)| value.clone())
    }

    /// Keeps a value of so many bytes.
    pub(crate) fn keep(&self, key: K, value: V, bytes: usize) {
        let mut kept = self.kept();
        kept.bytes += bytes;
        match kept.of_key.insert(key, (value, bytes)) {
            Some((_, before)) => kept.bytes -= before,
            None => kept.order.push_back(key),
        }
        while kept.bytes > MOST
            && let Some(oldest) = kept.order.pop_front()
        {
            let gone = kept.of_key.remove(&oldest);
            kept.bytes -= gone.map_or(0, |(_, bytes)| bytes);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_give_way() {
        let recent = Recent::default();
        for key in 0..3 {
            recent.keep(key, "a", MOST / 2);
            recent.keep(key, "b", MOST / 2);
        }
        assert_eq!(
            [0, 1, 2].map(|key| recent.get(key)),
            [None, Some("b"), Some("b")]
        );
    }
}
