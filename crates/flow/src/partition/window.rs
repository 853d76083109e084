//! The duplicate window: the keys of the last rows of a partition, by journal position.
//!
//! It holds nothing that the row tables do not hold, so it is refilled from them and a snapshot stores only where it
//! starts.

mod slots;

use self::slots::Slots;
use crate::units::Row;

/// What the window knows of a row that asks to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing: store it.
    New,
    /// The same id with the same content: a resend, not stored again.
    Duplicate,
    /// The same id with other content: stored and marked.
    Reused,
}

/// 24 bytes, so two halves instead of a `u128` with its alignment.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    key: [u64; 2],
    content: u64,
}

impl Entry {
    const fn is_empty(&self) -> bool {
        self.key[0] == 0 && self.key[1] == 0
    }
}

/// The last `capacity` rows, as a ring by row number, and tables from key to slot.
#[derive(Debug)]
pub(crate) struct Window {
    ring: Vec<Entry>,
    slots: Slots,
    capacity: usize,
}

impl Window {
    /// A window over the last `capacity` rows (at least 1), up to 32 bytes a row: 24 in the ring, the rest in the tables. The
    /// configuration counts on that. The ring is taken at once, so that it is never moved; the kernel gives its pages as they
    /// are used. The tables grow with use: small ones stay in the processor's cache.
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, u32::MAX as usize);
        let mut ring = Vec::new();
        // Where that much is not to be had, it grows as it is used.
        drop(ring.try_reserve_exact(capacity));
        Self { ring, slots: Slots::new(capacity), capacity }
    }

    /// The first row that the window covers when `next` is the next row.
    pub(crate) fn start(&self, next: Row) -> Row {
        Row(next.0.saturating_sub(self.capacity as u64))
    }

    pub(crate) fn examine(&self, dedupe: u128, content: u64) -> Seen {
        let key = split(dedupe);
        match self.slots.find(key, |slot| self.entry(slot).key) {
            None => Seen::New,
            Some(slot) if self.entry(slot).content == content => Seen::Duplicate,
            Some(_) => Seen::Reused,
        }
    }

    /// Remembers a stored row. Rows come in ascending order; some may be missing.
    pub(crate) fn remember(&mut self, row: Row, dedupe: u128, content: u64) {
        let key = split(dedupe);
        let at = (row.0 % self.capacity as u64) as usize;
        let slot = at as u32;
        if at >= self.ring.len() {
            self.lengthen(at + 1);
        }
        let old = self.entry(slot);
        if !old.is_empty() {
            // A later row with the same key may have taken the table's entry over: then it stays.
            self.slots.remove(old.key, slot);
        }
        if let Some(entry) = self.ring.get_mut(at) {
            *entry = Entry { key, content };
        }
        let ring = &self.ring;
        self.slots.put(key, slot, |other| ring.get(other as usize).map_or([0, 0], |entry| entry.key));
    }

    /// Bytes that it takes now.
    pub(crate) fn memory(&self) -> usize {
        self.ring.capacity() * size_of::<Entry>() + self.slots.memory()
    }

    /// Doubles the ring, but not beyond what it will ever need.
    fn lengthen(&mut self, len: usize) {
        if len > self.ring.capacity() {
            let wanted = (self.ring.capacity() * 2).max(len).max(1_024).min(self.capacity);
            self.ring.reserve_exact(wanted - self.ring.len());
        }
        self.ring.resize(len, Entry::default());
    }

    fn entry(&self, slot: u32) -> Entry {
        self.ring.get(slot as usize).copied().unwrap_or_default()
    }
}

/// Zero marks an empty slot, so the one hash that is zero is moved aside.
const fn split(dedupe: u128) -> [u64; 2] {
    let dedupe = if dedupe == 0 { 1 } else { dedupe };
    [dedupe as u64, (dedupe >> 64) as u64]
}

#[cfg(test)]
mod tests;
