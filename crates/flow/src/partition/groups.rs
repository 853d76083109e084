//! Declared call groups that are open: which group the next call with the same key joins.
//!
//! A group closes after ten minutes without a member or after 24 hours; when an organisation or the partition has too
//! many, the least recently used one closes for the new one. A group's time is the event's own, never later than its
//! arrival, and never runs backwards. Groups never delay or replace a record.

use event::ids::ORG_ID_MAX;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_128;

use super::recency::{Linked, Links, List};
use crate::orgs::OrgKey;

/// A group without a member for this long is closed, in milliseconds.
const IDLE_MS: i64 = 10 * 60 * 1000;
/// No group is longer than this, in milliseconds.
const LONGEST_MS: i64 = 24 * 60 * 60 * 1000;
/// The most open groups of one organisation.
const PER_ORG: u32 = 1_024;
/// The most open groups of one process; each partition gets its share.
pub(crate) const PER_PROCESS: usize = 262_144;

/// Bytes that a group takes, at most: its slot, its place in the map, and its part of its organisation's list.
pub(crate) const COST: usize = 120;

/// An open group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) first_seq: u64,
    pub(crate) opened_ms: i64,
    pub(crate) last_ms: i64,
}

/// (organisation, keyed hash of app and group key).
type Key = (OrgKey, u64);

#[derive(Debug)]
struct Slot {
    org: OrgKey,
    /// When its last member arrived, in seconds since 1970. Not the events' own time: those of yesterday may come today.
    used_s: u32,
    key: u64,
    open: Open,
    /// Among all of the partition, and among those of its organisation.
    in_all: Links,
    in_org: Links,
}

struct InAll<'a>(&'a mut [Slot]);

impl Linked for InAll<'_> {
    fn links(&mut self, at: u32) -> Option<&mut Links> {
        self.0.get_mut(at as usize).map(|slot| &mut slot.in_all)
    }
}

struct InOrg<'a>(&'a mut [Slot]);

impl Linked for InOrg<'_> {
    fn links(&mut self, at: u32) -> Option<&mut Links> {
        self.0.get_mut(at as usize).map(|slot| &mut slot.in_org)
    }
}

/// All open groups of a partition: a map to slots, and the slots in the order in which they were last used.
#[derive(Debug)]
pub(crate) struct Groups {
    slots: Vec<Slot>,
    free: Vec<u32>,
    at: FxHashMap<Key, u32>,
    all: List,
    orgs: FxHashMap<OrgKey, List>,
    limit: usize,
    /// When what is taken now arrived, in seconds since 1970.
    now_s: u32,
}

impl Groups {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            at: FxHashMap::default(),
            all: List::default(),
            orgs: FxHashMap::default(),
            limit: limit.clamp(1, u32::MAX as usize),
            now_s: 0,
        }
    }

    /// What is taken from now on arrived at this time.
    pub(crate) fn received_at(&mut self, ms: i64) {
        self.now_s = seconds(ms);
    }

    /// The first seq of the group that a call at `time_ms` with this key joins; `seq` if it opens a new one.
    pub(crate) fn join(&mut self, org: OrgKey, key: u64, seq: u64, time_ms: i64) -> u64 {
        let found = self.at.get(&(org, key)).copied();
        if let Some((at, slot)) = found.and_then(|at| Some((at, self.slots.get_mut(at as usize)?))) {
            slot.open = if closed(&slot.open, time_ms) {
                Open { first_seq: seq, opened_ms: time_ms, last_ms: time_ms }
            } else {
                Open { last_ms: slot.open.last_ms.max(time_ms), ..slot.open }
            };
            let first_seq = slot.open.first_seq;
            self.touch(org, at);
            return first_seq;
        }
        self.put(org, key, Open { first_seq: seq, opened_ms: time_ms, last_ms: time_ms });
        seq
    }

    /// Takes a member whose group is known, as replay does.
    pub(crate) fn observe(&mut self, org: OrgKey, key: u64, first_seq: u64, time_ms: i64) {
        let known =
            self.at.get(&(org, key)).and_then(|at| self.slots.get(*at as usize)).map(|slot| slot.open);
        let open = match known {
            Some(open) if open.first_seq == first_seq => Open { last_ms: open.last_ms.max(time_ms), ..open },
            _ => Open { first_seq, opened_ms: time_ms, last_ms: time_ms },
        };
        self.put(org, key, open);
    }

    /// Takes a group, from a snapshot for example, as the one that was used last.
    pub(crate) fn put(&mut self, org: OrgKey, key: u64, open: Open) {
        if let Some(at) = self.at.get(&(org, key)).copied() {
            if let Some(slot) = self.slots.get_mut(at as usize) {
                slot.open = open;
            }
            self.touch(org, at);
            return;
        }
        if self.orgs.get(&org).is_some_and(|list| list.len() >= PER_ORG)
            && let Some(oldest) = self.orgs.get(&org).and_then(List::oldest)
        {
            self.close(oldest);
        }
        if self.at.len() >= self.limit
            && let Some(oldest) = self.all.oldest()
        {
            self.close(oldest);
        }
        let (in_all, in_org) = (Links::default(), Links::default());
        let slot = Slot { org, used_s: self.now_s, key, open, in_all, in_org };
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(place) = self.slots.get_mut(at as usize) {
                    *place = slot;
                }
                at
            }
            None => {
                let at = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
                self.slots.push(slot);
                at
            }
        };
        self.at.insert((org, key), at);
        let slots = &mut self.slots;
        self.all.push(at, &mut InAll(slots));
        self.orgs.entry(org).or_default().push(at, &mut InOrg(slots));
    }

    /// Forgets the groups of which no member has arrived for so long that one that is sent when it happens would not
    /// join them.
    pub(crate) fn close_idle(&mut self, now_ms: i64) {
        let now_s = seconds(now_ms);
        let is_idle = |slot: &Slot| i64::from(now_s.saturating_sub(slot.used_s)) * 1_000 > IDLE_MS;
        while let Some(oldest) = self.all.oldest() {
            if !self.slots.get(oldest as usize).is_some_and(is_idle) {
                break;
            }
            self.close(oldest);
        }
    }

    /// All open groups, for the snapshot: the least recently used first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (OrgKey, u64, &Open)> {
        let slot = |at: u32| self.slots.get(at as usize);
        let first = self.all.oldest();
        std::iter::successors(first, move |at| slot(*at)?.in_all.newer())
            .filter_map(slot)
            .map(|slot| (slot.org, slot.key, &slot.open))
    }

    /// Bytes that they take.
    pub(crate) fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
            + self.free.capacity() * size_of::<u32>()
            + map_memory::<(Key, u32)>(self.at.capacity())
            + map_memory::<(OrgKey, List)>(self.orgs.capacity())
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    /// Makes a group the one that was used last.
    fn touch(&mut self, org: OrgKey, at: u32) {
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.used_s = self.now_s;
        }
        let slots = &mut self.slots;
        self.all.touch(at, &mut InAll(slots));
        if let Some(list) = self.orgs.get_mut(&org) {
            list.touch(at, &mut InOrg(slots));
        }
    }

    fn close(&mut self, at: u32) {
        let Some(key) = self.slots.get(at as usize).map(|slot| (slot.org, slot.key)) else { return };
        self.at.remove(&key);
        let slots = &mut self.slots;
        self.all.remove(at, &mut InAll(slots));
        if let Some(list) = self.orgs.get_mut(&key.0) {
            list.remove(at, &mut InOrg(slots));
            if list.len() == 0 {
                self.orgs.remove(&key.0);
            }
        }
        self.free.push(at);
    }
}

/// A hash map's bytes: seven eighths of its buckets are its capacity, and each has a byte of its own.
fn map_memory<T>(capacity: usize) -> usize {
    capacity * 8 / 7 * (size_of::<T>() + 1)
}

/// Seconds since 1970.
fn seconds(ms: i64) -> u32 {
    u32::try_from(ms.div_euclid(1_000).max(0)).unwrap_or(u32::MAX)
}

/// Whether a call at `time_ms` comes too late for the group. A call with an older time joins it.
fn closed(open: &Open, time_ms: i64) -> bool {
    time_ms.saturating_sub(open.last_ms) > IDLE_MS || time_ms.saturating_sub(open.opened_ms) > LONGEST_MS
}

/// The group's public id: organisation, key and first seq, hashed.
pub(crate) fn id(org: &str, key: u64, first_seq: u64) -> u128 {
    // In one piece: the state of a hash that is fed piece by piece is larger than everything that is hashed.
    let mut bytes = [0; ORG_ID_MAX + 16];
    let mut len = 0;
    for part in [org.as_bytes(), &key.to_le_bytes(), &first_seq.to_le_bytes()] {
        if let Some(slot) = bytes.get_mut(len..len + part.len()) {
            slot.copy_from_slice(part);
            len += part.len();
        } else {
            debug_assert!(false, "an organisation id is at most ORG_ID_MAX long");
        }
    }
    xxh3_128(bytes.get(..len).unwrap_or_default())
}

#[cfg(test)]
mod tests;
