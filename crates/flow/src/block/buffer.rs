//! The memory of a block: it begins at a page, as writes past the page cache ask, and is used again once nobody reads the
//! block any more.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::PAGE;

/// Blocks from this size on begin at a page; smaller ones are not worth the room.
const LARGE: usize = 16 << 10;
/// Room beyond the block itself, for where it begins and for its padding.
const SPARE: usize = 2 * PAGE;

/// Bytes of a block.
#[derive(Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    /// The first byte of the block lies at a multiple of [`PAGE`] in memory, as long as the block fits into the room that
    /// was asked for.
    paged: bool,
    /// Where the block begins in `bytes`.
    start: usize,
    /// Where the memory goes when the last reader is done.
    shelf: Option<Arc<Shelf>>,
}

impl Buffer {
    /// An empty one for a block that is to begin at a page.
    #[must_use]
    pub fn paged() -> Self {
        Self { bytes: Vec::new(), paged: true, start: 0, shelf: None }
    }

    /// Drops the content and makes room for a block of `room` bytes.
    pub(super) fn begin(&mut self, room: usize) {
        self.bytes.clear();
        self.start = 0;
        if !self.paged {
            self.bytes.reserve(room);
            return;
        }
        self.bytes.reserve(room + SPARE);
        self.start = self.bytes.as_ptr().align_offset(PAGE).min(PAGE);
        self.bytes.resize(self.start, 0);
    }

    /// Sets the length; what is new is zero.
    pub(super) fn resize(&mut self, len: usize) {
        self.bytes.resize(self.start + len, 0);
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes of memory that it holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, paged: false, start: 0, shelf: None }
    }
}

impl From<Buffer> for Bytes {
    fn from(buffer: Buffer) -> Self {
        Self::from_owner(buffer)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(shelf) = self.shelf.take() {
            shelf.put(std::mem::take(&mut self.bytes));
        }
    }
}

/// Memory of blocks that nobody reads any more, for the next ones: fresh memory costs a page fault for every page.
#[derive(Debug)]
pub struct Shelf {
    free: Mutex<Free>,
    most: usize,
}

#[derive(Debug, Default)]
struct Free {
    /// The one that lies longest first.
    vectors: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Shelf {
    /// Keeps at most `most` bytes.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), most })
    }

    /// A buffer with room for a block of `room` bytes (see [`super::RowsBuilder::room`]).
    #[must_use]
    pub fn take(self: &Arc<Self>, room: usize) -> Buffer {
        if room < LARGE {
            return Buffer::default();
        }
        let wanted = room + SPARE;
        // Not one that is much too large: the block would hold on to all of it.
        let fits = wanted..=wanted.saturating_mul(2);
        let mut free = self.free.lock();
        let found = free
            .vectors
            .iter()
            .enumerate()
            .filter(|(_, vector)| fits.contains(&vector.capacity()))
            .min_by_key(|(_, vector)| vector.capacity())
            .map(|(at, _)| at);
        let vector = found.and_then(|at| free.vectors.remove(at));
        if let Some(vector) = &vector {
            free.bytes = free.bytes.saturating_sub(vector.capacity());
        }
        drop(free);
        let bytes = vector.unwrap_or_else(|| Vec::with_capacity(round_up(wanted)));
        Buffer { bytes, paged: true, start: 0, shelf: Some(Arc::clone(self)) }
    }

    /// Bytes that lie here.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.free.lock().bytes
    }

    fn put(&self, vector: Vec<u8>) {
        if vector.capacity() > self.most {
            return;
        }
        let mut free = self.free.lock();
        free.bytes += vector.capacity();
        free.vectors.push_back(vector);
        let mut old = Vec::new();
        while free.bytes > self.most
            && let Some(vector) = free.vectors.pop_front()
        {
            free.bytes = free.bytes.saturating_sub(vector.capacity());
            old.push(vector);
        }
        // Given back to the allocator without the lock.
        drop(free);
        drop(old);
    }
}

/// Up to an eighth more, so that blocks of about one size can use each other's memory.
fn round_up(bytes: usize) -> usize {
    let step = (bytes / 8).next_power_of_two().max(PAGE);
    bytes.next_multiple_of(step)
}

#[cfg(test)]
mod tests;
