//! Bounds over all owners together: what may wait at them, and what they may be writing at one time.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};

/// Bytes of rows that may be in the owners' queues and not durable yet.
#[derive(Debug)]
pub(super) struct Allowance {
    limit: usize,
    used: AtomicUsize,
}

impl Allowance {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }

    /// Takes bytes, or not. What is larger than all of it is let in when nothing else is there.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let take = |used: usize| {
            let all = used.checked_add(bytes)?;
            (used == 0 || all <= self.limit).then_some(all)
        };
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }
}

/// Bytes that owner threads may be writing at one time. A thread waits for its turn with nothing in hand, so none waits
/// for another in a circle.
#[derive(Debug)]
pub(super) struct Writers {
    limit: usize,
    used: Mutex<usize>,
    freed: Condvar,
}

/// Some of it; given back when dropped.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    writers: &'a Writers,
    bytes: usize,
}

impl Writers {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, used: Mutex::new(0), freed: Condvar::new() }
    }

    /// Waits until there is room. A write that is larger than all of it runs alone.
    pub(super) fn enter(&self, bytes: usize) -> Writing<'_> {
        let mut used = self.used.lock();
        while *used > 0 && used.saturating_add(bytes) > self.limit {
            self.freed.wait(&mut used);
        }
        *used += bytes;
        Writing { writers: self, bytes }
    }

    pub(super) fn used(&self) -> usize {
        *self.used.lock()
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        *self.writers.used.lock() -= self.bytes;
        self.writers.freed.notify_all();
    }
}

#[cfg(test)]
mod tests;
