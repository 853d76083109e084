//! Declared call groups that are open: which group the next call with the same key joins.
//!
//! A group closes after ten minutes without a member or after 24 hours; when an organisation or the partition has too
//! many, the least recently used one closes for the new one. A group's time is the event's own, never later than its
//! arrival, and never runs backwards. Groups never delay or replace a record.

use std::collections::{BTreeSet, HashMap};

use rustc_hash::FxBuildHasher;
use xxhash_rust::xxh3::Xxh3;

use crate::orgs::OrgKey;

/// A group without a member for this long is closed, in milliseconds.
const IDLE_MS: i64 = 10 * 60 * 1000;
/// No group is longer than this, in milliseconds.
const LONGEST_MS: i64 = 24 * 60 * 60 * 1000;
/// The most open groups of one organisation.
const PER_ORG: usize = 1_024;
/// The most open groups of one process; each partition gets its share.
pub(crate) const PER_PROCESS: usize = 262_144;

/// An open group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) first_seq: u64,
    pub(crate) opened_ms: i64,
    pub(crate) last_ms: i64,
}

/// (organisation, keyed hash of app and group key).
type Key = (OrgKey, u64);

/// All open groups of a partition.
#[derive(Debug)]
pub(crate) struct Groups {
    open: HashMap<Key, Open, FxBuildHasher>,
    /// By organisation and age in seconds: a group moves here at most once a second.
    by_org: BTreeSet<(OrgKey, i64, u64)>,
    by_age: BTreeSet<(i64, OrgKey, u64)>,
    per_org: HashMap<OrgKey, usize, FxBuildHasher>,
    limit: usize,
}

impl Groups {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            open: HashMap::default(),
            by_org: BTreeSet::new(),
            by_age: BTreeSet::new(),
            per_org: HashMap::default(),
            limit: limit.max(1),
        }
    }

    /// The first seq of the group that a call at `time_ms` with this key joins; `seq` if it opens a new one.
    pub(crate) fn join(&mut self, org: OrgKey, key: u64, seq: u64, time_ms: i64) -> u64 {
        let first_seq = match self.open.get(&(org, key)) {
            Some(open) if !closed(open, time_ms) => open.first_seq,
            _ => seq,
        };
        self.observe(org, key, first_seq, seq, time_ms);
        first_seq
    }

    /// Takes a member whose group is known, as replay does.
    pub(crate) fn observe(&mut self, org: OrgKey, key: u64, first_seq: u64, seq: u64, time_ms: i64) {
        let open = match self.open.get(&(org, key)) {
            Some(open) if open.first_seq == first_seq => {
                Open { first_seq, opened_ms: open.opened_ms, last_ms: open.last_ms.max(time_ms) }
            }
            _ => {
                debug_assert!(first_seq <= seq);
                Open { first_seq, opened_ms: time_ms, last_ms: time_ms }
            }
        };
        self.put(org, key, open);
    }

    /// Takes a group from a snapshot.
    pub(crate) fn put(&mut self, org: OrgKey, key: u64, open: Open) {
        match self.open.insert((org, key), open) {
            Some(old) if seconds(old.last_ms) == seconds(open.last_ms) => return,
            Some(old) => self.unlist(org, key, &old),
            None => *self.per_org.entry(org).or_insert(0) += 1,
        }
        self.by_org.insert((org, seconds(open.last_ms), key));
        self.by_age.insert((seconds(open.last_ms), org, key));
        if self.per_org.get(&org).is_some_and(|count| *count > PER_ORG) {
            let oldest =
                self.by_org.range((org, i64::MIN, 0)..).find(|(o, _, k)| *o == org && *k != key).copied();
            if let Some((_, _, oldest)) = oldest {
                self.close(org, oldest);
            }
        }
        if self.open.len() > self.limit {
            let oldest = self.by_age.iter().find(|(_, o, k)| (*o, *k) != (org, key)).copied();
            if let Some((_, oldest_org, oldest)) = oldest {
                self.close(oldest_org, oldest);
            }
        }
    }

    /// Forgets groups that no call at or after `now_ms` can join.
    pub(crate) fn close_idle(&mut self, now_ms: i64) {
        while let Some((age, org, key)) = self.by_age.first().copied() {
            if age.saturating_mul(1000).saturating_add(IDLE_MS + 1000) >= now_ms {
                break;
            }
            self.close(org, key);
        }
    }

    /// All open groups, for the snapshot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (OrgKey, u64, &Open)> {
        self.open.iter().map(|((org, key), open)| (*org, *key, open))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    fn close(&mut self, org: OrgKey, key: u64) {
        if let Some(old) = self.open.remove(&(org, key)) {
            self.unlist(org, key, &old);
            if let Some(count) = self.per_org.get_mut(&org) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.per_org.remove(&org);
                }
            }
        }
    }

    fn unlist(&mut self, org: OrgKey, key: u64, old: &Open) {
        self.by_org.remove(&(org, seconds(old.last_ms), key));
        self.by_age.remove(&(seconds(old.last_ms), org, key));
    }
}

/// Whether a call at `time_ms` comes too late for the group. A call with an older time joins it.
fn closed(open: &Open, time_ms: i64) -> bool {
    time_ms.saturating_sub(open.last_ms) > IDLE_MS || time_ms.saturating_sub(open.opened_ms) > LONGEST_MS
}

const fn seconds(ms: i64) -> i64 {
    ms.div_euclid(1000)
}

/// The group's public id: organisation, key and first seq, hashed.
pub(crate) fn id(org: &str, key: u64, first_seq: u64) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(org.as_bytes());
    hash.update(&key.to_le_bytes());
    hash.update(&first_seq.to_le_bytes());
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORG: OrgKey = OrgKey(1);
    const MINUTE: i64 = 60_000;

    #[test]
    fn calls_join_until_ten_quiet_minutes_have_passed() {
        let mut groups = Groups::new(10);
        assert_eq!(groups.join(ORG, 5, 100, 0), 100);
        assert_eq!(groups.join(ORG, 5, 101, 10 * MINUTE), 100);
        assert_eq!(groups.join(ORG, 5, 102, 20 * MINUTE), 100);
        assert_eq!(groups.join(ORG, 5, 103, 30 * MINUTE + 1), 103);
        assert_eq!(groups.join(OrgKey(2), 5, 0, 0), 0);
    }

    #[test]
    fn an_older_time_joins_and_does_not_turn_the_time_back() {
        let mut groups = Groups::new(10);
        groups.join(ORG, 5, 1, 100 * MINUTE);
        assert_eq!(groups.join(ORG, 5, 2, 3 * MINUTE), 1);
        assert_eq!(groups.join(ORG, 5, 3, 110 * MINUTE), 1);
    }

    #[test]
    fn no_group_is_longer_than_a_day() {
        let mut groups = Groups::new(10);
        let mut first = 0;
        for minute in 0..=(24 * 60 + 5) {
            first = groups.join(ORG, 5, 1000 + minute as u64, minute * MINUTE);
        }
        assert_eq!(first, 1000 + 24 * 60 + 1);
    }

    #[test]
    fn the_least_recently_used_closes_for_a_new_one() {
        let mut groups = Groups::new(2);
        groups.join(ORG, 1, 1, 0);
        groups.join(ORG, 2, 2, 2000);
        groups.join(ORG, 1, 3, 4000);
        groups.join(ORG, 3, 4, 6000);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups.join(ORG, 1, 5, 8000), 1);
        assert_eq!(groups.join(ORG, 2, 6, 8000), 6);
    }

    #[test]
    fn one_organisation_cannot_take_more_than_its_share() {
        let mut groups = Groups::new(PER_PROCESS);
        groups.join(OrgKey(9), 7, 1, 0);
        for key in 0..(PER_ORG as u64 + 50) {
            groups.join(ORG, key, key, key as i64 * 1000);
        }
        assert_eq!(groups.len(), PER_ORG + 1);
        groups.close_idle(10_000_000_000);
        assert_eq!((groups.len(), groups.by_org.len(), groups.by_age.len()), (0, 0, 0));
    }
}
