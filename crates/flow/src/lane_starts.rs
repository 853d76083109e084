//! Where each organisation began for a lane, from which `prev_seq` follows.

use event::OrgId;
use rustc_hash::FxHashMap;

use crate::units::Seq;

/// The first seq of each organisation for one lane that selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Starts {
    first: FxHashMap<OrgId, Seq>,
    replay: bool,
}

impl Starts {
    /// From a lane's durable state.
    #[must_use]
    pub fn new(starts: &[(OrgId, Seq)]) -> Self {
        Self { first: starts.iter().cloned().collect(), replay: false }
    }

    /// As the durable state holds it, ordered by organisation.
    #[must_use]
    pub fn list(&self) -> Vec<(OrgId, Seq)> {
        let mut list: Vec<_> = self.first.iter().map(|(org, seq)| (org.clone(), *seq)).collect();
        list.sort_unstable();
        list
    }

    /// Bytes that it takes, its own size with it.
    pub(crate) fn heap(&self) -> usize {
        let names: usize = self.first.keys().map(|org| org.as_str().len()).sum();
        size_of::<Self>() + self.first.capacity() * (size_of::<(OrgId, Seq)>() + 2) + names
    }

    /// Of a lane that repeats a range: it states no previous seq.
    #[must_use]
    pub fn replay() -> Self {
        Self { first: FxHashMap::default(), replay: true }
    }

    /// The seq of the organisation's first record for this lane.
    #[must_use]
    pub fn first(&self, org: &str) -> Seq {
        self.first.get(org).copied().unwrap_or_default()
    }

    /// The sum of all first seqs: the `start` term of the accounting identity of a lane about certain organisations.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.first.values().map(|seq| seq.0).sum()
    }

    /// The previous seq as a receiver gets it.
    #[must_use]
    pub fn prev(&self, org: &str, seq: Seq) -> Option<Option<Seq>> {
        if self.replay {
            return None;
        }
        if seq <= self.first(org) { Some(None) } else { Some(Some(Seq(seq.0 - 1))) }
    }
}
