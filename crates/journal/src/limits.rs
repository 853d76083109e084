//! `buffer.max_age` and `buffer.max_bytes`, over all partitions together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flow::clock::UnixMillis;
use flow::units::PartitionId;
use parking_lot::Mutex;

/// The bounds of one journal, shared by its partitions.
#[derive(Debug)]
pub(crate) struct Limits {
    max_age: Duration,
    max_bytes: u64,
    bytes: AtomicU64,
    /// Per partition, when the last block of its oldest removable segment was written.
    oldest: Mutex<Vec<Option<UnixMillis>>>,
}

impl Limits {
    pub(crate) fn new(max_age: Duration, max_bytes: u64, partitions: u16) -> Self {
        Self {
            max_age,
            max_bytes,
            bytes: AtomicU64::new(0),
            oldest: Mutex::new(vec![None; usize::from(partitions)]),
        }
    }

    pub(crate) fn grow(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn shrink(&self, bytes: u64) {
        // Never more than was grown by: every segment is counted once when it is found or written.
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn set_oldest(&self, partition: PartitionId, written: Option<UnixMillis>) {
        if let Some(slot) = self.oldest.lock().get_mut(usize::from(partition.0)) {
            *slot = written;
        }
    }

    /// Whether a sealed segment whose last block was written then must go: it is too old, or the journal is too
    /// large and no partition has an older one.
    pub(crate) fn must_go(&self, written: UnixMillis, now: UnixMillis) -> bool {
        if now.since(written) > self.max_age {
            return true;
        }
        self.bytes() > self.max_bytes && self.oldest.lock().iter().flatten().all(|&other| other >= written)
    }

    /// Whether the segment that was begun then should be closed, so that its records can leave in time.
    pub(crate) fn must_close(&self, begun: UnixMillis, now: UnixMillis) -> bool {
        now.since(begun) > self.max_age / 8
    }
}

#[cfg(test)]
mod tests;
