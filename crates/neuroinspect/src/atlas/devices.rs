//! Work that several devices share.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Work that is taken in its order. What a device could not do is given back, and done by another.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// How many are being worked on, and may come back.
    under_way: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(work: impl IntoIterator<Item = T>) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: work.into_iter().collect(),
                under_way: 0,
                closed: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// The next work; waits while work is under way that may come back. `None` when there is none left.
    pub(super) fn next(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(work) = state.waiting.pop_front() {
                state.under_way += 1;
                return Some(work);
            }
            if state.under_way == 0 {
                return None;
            }
            state = (self.changed.wait(state)).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends what was taken; work that is given back comes next.
    pub(super) fn end(&self, given_back: Option<T>) {
        let mut state = self.lock();
        state.under_way -= 1;
        if let Some(work) = given_back {
            state.waiting.push_front(work);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Lets nobody take more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// How much has not been ended.
    pub(super) fn left(&self) -> usize {
        let state = self.lock();
        state.waiting.len() + state.under_way
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    #[test]
    fn what_comes_back_is_done_by_who_waits() {
        let queue = Queue::new([1, 2]);
        assert_eq!((queue.next(), queue.next()), (Some(1), Some(2)));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| [queue.next(), queue.next()]);
            thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished());
            queue.end(None);
            queue.end(Some(2));
            thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished(), "2 may come back again");
            queue.end(None);
            assert_eq!(waiting.join().unwrap(), [Some(2), None]);
        });
    }

    #[test]
    fn nothing_is_taken_of_what_is_closed() {
        let queue = Queue::new([1, 2]);
        assert_eq!(queue.next(), Some(1));
        queue.close();
        assert_eq!(queue.next(), None);
        queue.end(None);
        assert_eq!(queue.left(), 1);
    }
}
