//! The duplicate window: the keys of the last rows of a partition, by journal position.
//!
//! It holds nothing that the row tables do not hold, so it is refilled from them and a snapshot stores only where it
//! starts.

use hashbrown::HashTable;

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

/// The last `capacity` rows, as a ring by row number, and a table from key to slot.
#[derive(Debug)]
pub(crate) struct Window {
    ring: Vec<Entry>,
    slots: HashTable<u32>,
    capacity: usize,
}

impl Window {
    /// A window over the last `capacity` rows (at least 1). Memory grows with use: 24 bytes a row and about 10 for
    /// the table.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { ring: Vec::new(), slots: HashTable::new(), capacity: capacity.clamp(1, u32::MAX as usize) }
    }

    /// The first row that the window covers when `next` is the next row.
    pub(crate) fn start(&self, next: Row) -> Row {
        Row(next.0.saturating_sub(self.capacity as u64))
    }

    /// Brings the place of a key into the processor's cache. The table is larger than that cache, and look-ups that do not
    /// wait for each other's outcome wait for memory together.
    pub(crate) fn touch(&self, dedupe: u128) {
        let found = self.slots.find(hash(split(dedupe)), |_| false);
        std::hint::black_box(found.is_some());
    }

    pub(crate) fn examine(&self, dedupe: u128, content: u64) -> Seen {
        let key = split(dedupe);
        match self.slots.find(hash(key), |slot| self.entry(*slot).key == key) {
            None => Seen::New,
            Some(slot) if self.entry(*slot).content == content => Seen::Duplicate,
            Some(_) => Seen::Reused,
        }
    }

    /// Remembers a stored row. Rows come in ascending order; some may be missing.
    pub(crate) fn remember(&mut self, row: Row, dedupe: u128, content: u64) {
        let key = split(dedupe);
        let at = (row.0 % self.capacity as u64) as usize;
        let slot = at as u32;
        if at >= self.ring.len() {
            self.ring.resize(at + 1, Entry::default());
        }
        let old = self.entry(slot);
        if !old.is_empty() {
            // A later row with the same key may have taken the table's entry over: then it stays.
            if let Ok(found) = self.slots.find_entry(hash(old.key), |other| *other == slot) {
                found.remove();
            }
        }
        if let Some(entry) = self.ring.get_mut(at) {
            *entry = Entry { key, content };
        }
        let ring = &self.ring;
        if self.slots.len() == self.slots.capacity() {
            // Growing reads every key again from the ring, so it grows in large steps.
            let more = (self.slots.len() * 7).max(4096).min(self.capacity.saturating_sub(self.slots.len()));
            self.slots.reserve(more, |other| hash(ring.get(*other as usize).map_or([0, 0], |e| e.key)));
        }
        let key_of = |slot: &u32| ring.get(*slot as usize).map_or([0, 0], |e| e.key);
        match self.slots.find_mut(hash(key), |other| key_of(other) == key) {
            Some(other) => *other = slot,
            None => {
                self.slots.insert_unique(hash(key), slot, |other| hash(key_of(other)));
            }
        }
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

/// The key is a hash already.
const fn hash(key: [u64; 2]) -> u64 {
    key[0] ^ key[1]
}

#[cfg(test)]
mod tests;
