//! From a key to its slot in the ring: several hash tables, chosen by the key.
//!
//! A table has a power of two of buckets and holds entries in seven eighths of them, so one table for 262,144 rows would
//! have 524,288 buckets. Five smaller ones do with 327,680.

use hashbrown::HashTable;

/// A table's load is uneven by about the square root of it: this many of those are left free.
const SPARE_DEVIATIONS: f64 = 6.0;
const MOST_TABLES: usize = 8;

#[derive(Debug)]
pub(super) struct Slots {
    tables: Box<[HashTable<u32>]>,
    /// Entries for which each table is made, at most.
    planned: usize,
}

impl Slots {
    pub(super) fn new(capacity: usize) -> Self {
        let count =
            (1..=MOST_TABLES).min_by_key(|count| count * buckets(planned(capacity, *count))).unwrap_or(1);
        Self { tables: (0..count).map(|_| HashTable::new()).collect(), planned: planned(capacity, count) }
    }

    /// The slot with this key.
    pub(super) fn find(&self, key: [u64; 2], key_of: impl Fn(u32) -> [u64; 2]) -> Option<u32> {
        self.tables.get(self.table_of(key))?.find(hash(key), |slot| key_of(*slot) == key).copied()
    }

    /// Takes the slot out, if its key still leads to it.
    pub(super) fn remove(&mut self, key: [u64; 2], slot: u32) {
        let at = self.table_of(key);
        if let Some(table) = self.tables.get_mut(at)
            && let Ok(found) = table.find_entry(hash(key), |other| *other == slot)
        {
            found.remove();
        }
    }

    /// Makes `slot` the one with this key.
    pub(super) fn put(&mut self, key: [u64; 2], slot: u32, key_of: impl Fn(u32) -> [u64; 2]) {
        let (at, planned) = (self.table_of(key), self.planned);
        let Some(table) = self.tables.get_mut(at) else { return };
        if let Some(other) = table.find_mut(hash(key), |other| key_of(*other) == key) {
            *other = slot;
            return;
        }
        if table.len() == table.capacity() {
            make_room(table, planned, |slot| hash(key_of(*slot)));
        }
        table.insert_unique(hash(key), slot, |other| hash(key_of(*other)));
    }

    /// Bytes that the tables take.
    pub(super) fn memory(&self) -> usize {
        self.tables.iter().map(HashTable::allocation_size).sum()
    }

    fn table_of(&self, key: [u64; 2]) -> usize {
        // The upper half of one part, spread over the tables; the hash within a table is of both parts.
        let spread = u128::from(key[1]) * self.tables.len() as u128;
        usize::try_from(spread >> 64).unwrap_or(0)
    }
}

/// Growing reads every key again from the ring, so a table grows in large steps. One that has its full size and no room
/// is full of marks of what was removed: it is filled anew and does not grow.
fn make_room(table: &mut HashTable<u32>, planned: usize, hash_of: impl Fn(&u32) -> u64) {
    if table.len() >= planned || table.num_buckets() < buckets(planned) {
        let step = (table.len() * 7).max(1_024).min(planned.saturating_sub(table.len())).max(1);
        table.reserve(step, hash_of);
    } else {
        let entries: Vec<u32> = table.drain().collect();
        for slot in entries {
            table.insert_unique(hash_of(&slot), slot, &hash_of);
        }
    }
}

/// What one of `count` tables has to hold.
fn planned(capacity: usize, count: usize) -> usize {
    let share = capacity.div_ceil(count);
    if count == 1 { share } else { share + ((share as f64).sqrt() * SPARE_DEVIATIONS) as usize }
}

/// Buckets of a table with that many entries.
fn buckets(entries: usize) -> usize {
    (entries.saturating_mul(8) / 7 + 1).next_power_of_two()
}

/// The key is a hash already.
const fn hash(key: [u64; 2]) -> u64 {
    key[0] ^ key[1]
}
