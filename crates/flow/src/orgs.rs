//! The organisations that this process has met: id to a small number and back, and the partition of each.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use event::OrgId;
use parking_lot::RwLock;
use rustc_hash::{FxHashMap, FxHashSet};
use xxhash_rust::xxh3::xxh3_64;

use crate::units::PartitionId;

/// The number of an organisation within this process. It is never written to disk and never leaves the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrgKey(pub u32);

/// An organisation as [`Directory::resolve`] finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrgEntry {
    /// Its number in this process.
    pub key: OrgKey,
    /// The partition that owns it.
    pub partition: PartitionId,
}

/// Why an organisation is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownOrg {
    /// The text is no organisation id.
    #[error("org_id is not a valid organisation id")]
    Invalid,
    /// `unknown_org: refuse`, and no folder declares it.
    #[error("this organisation is not declared in orgs_dir, and unknown_org is `refuse`")]
    Refused,
    /// `unknown_org: accept`, and there are [`MAX_ORGS`] already.
    #[error("there are {MAX_ORGS} organisations already: declare this one in orgs_dir")]
    TooMany,
}

/// The most organisations that events may bring in by themselves.
pub const MAX_ORGS: usize = 100_000;

/// What to do with an organisation that no configuration names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownOrgs {
    /// Take it in, up to [`MAX_ORGS`].
    Accept,
    /// Refuse its events, line by line.
    Refuse,
}

/// All organisations of this process.
#[derive(Debug)]
pub struct Directory {
    partitions: u16,
    unknown: UnknownOrgs,
    table: RwLock<Table>,
    /// Raised when other organisations are the configured ones.
    generation: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    keys: FxHashMap<OrgId, OrgEntry>,
    ids: Vec<OrgId>,
    /// Those that the configuration names now. The others were only seen: in events or in the journal.
    configured: FxHashSet<OrgKey>,
}

impl Directory {
    /// An empty directory over `partitions` partitions (the number in the journal's manifest).
    #[must_use]
    pub fn new(partitions: u16, unknown: UnknownOrgs) -> Arc<Self> {
        Arc::new(Self {
            partitions: partitions.max(1),
            unknown,
            table: RwLock::default(),
            generation: AtomicU64::new(0),
        })
    }

    /// The partition of an organisation: fixed by its id and the number of partitions alone, the same in every
    /// process and release, since it says where the organisation's records are on disk.
    #[must_use]
    pub fn partition_of(&self, org: &str) -> PartitionId {
        let slot = xxh3_64(org.as_bytes()) % u64::from(self.partitions);
        PartitionId(u16::try_from(slot).unwrap_or(0))
    }

    /// How many partitions there are.
    #[must_use]
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// Looks an event's organisation up, taking it in when the configuration allows that. One that only the journal
    /// knows is as unknown as one that was never seen.
    ///
    /// # Errors
    /// [`UnknownOrg`]: the event is refused, its neighbours are not.
    pub fn resolve(&self, org: &str) -> Result<OrgEntry, UnknownOrg> {
        {
            let table = self.table.read();
            if let Some(entry) = table.keys.get(org) {
                let is_served = self.unknown == UnknownOrgs::Accept || table.configured.contains(&entry.key);
                return if is_served { Ok(*entry) } else { Err(UnknownOrg::Refused) };
            }
        }
        let id = OrgId::new(org).map_err(|_| UnknownOrg::Invalid)?;
        match self.unknown {
            UnknownOrgs::Refuse => Err(UnknownOrg::Refused),
            UnknownOrgs::Accept => self.take_in(id, MAX_ORGS).ok_or(UnknownOrg::TooMany),
        }
    }

    /// Takes in the organisations that the configuration names now: these, and no others any more. The others keep
    /// their numbers.
    pub fn configure<'a>(&self, orgs: impl IntoIterator<Item = &'a OrgId>) {
        let configured = orgs.into_iter().map(|org| self.recall(org).key).collect();
        let mut table = self.table.write();
        if table.configured != configured {
            table.configured = configured;
            self.generation.fetch_add(1, Ordering::Release);
        }
    }

    /// Changes whenever what [`Directory::resolve`] said of an organisation may hold no more.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Takes in an organisation that is on disk, or whose number is needed, without a word about whether its events are
    /// taken.
    pub fn recall(&self, org: &OrgId) -> OrgEntry {
        // usize::MAX: nobody refuses what the operator declared or what is already on disk.
        match self.take_in(org.clone(), usize::MAX) {
            Some(entry) => entry,
            None => OrgEntry { key: OrgKey(u32::MAX), partition: self.partition_of(org.as_str()) },
        }
    }

    /// The number of an organisation that is already known.
    #[must_use]
    pub fn find(&self, org: &str) -> Option<OrgEntry> {
        self.table.read().keys.get(org).copied()
    }

    /// The id behind a number of this directory.
    #[must_use]
    pub fn id(&self, key: OrgKey) -> Option<OrgId> {
        self.table.read().ids.get(key.0 as usize).cloned()
    }

    /// How many organisations are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.read().ids.len()
    }

    /// Whether none is known yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn take_in(&self, id: OrgId, limit: usize) -> Option<OrgEntry> {
        let partition = self.partition_of(id.as_str());
        let mut table = self.table.write();
        if let Some(entry) = table.keys.get(&id) {
            return Some(*entry);
        }
        if table.ids.len() >= limit {
            return None;
        }
        let entry = OrgEntry { key: OrgKey(u32::try_from(table.ids.len()).ok()?), partition };
        table.ids.push(id.clone());
        table.keys.insert(id, entry);
        Some(entry)
    }
}
