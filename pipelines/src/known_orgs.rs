//! The organisations of the last events, so that most events need not ask the directory: that is shared by all threads
//! behind a lock, and lies scattered over more memory than a processor keeps near.

use std::sync::Arc;

use flow::PartitionId;
use flow::orgs::{Directory, OrgEntry, OrgKey};

/// Places for organisations; a power of two.
const SETS: usize = 1024;
/// Organisations that may share a place.
const WAYS: usize = 4;
/// Longer ids are not remembered.
const MAX_LEN: usize = 48;

/// What the directory said of up to 4,096 organisations, in 272 KiB that are taken when the first one is remembered.
///
/// What a directory said of an organisation holds as long as its generation: it forgets none and moves none, but may
/// refuse one later.
#[derive(Debug, Default)]
pub(crate) struct KnownOrgs {
    /// The directory that said it.
    of: Option<Arc<Directory>>,
    /// And its generation then.
    generation: u64,
    /// Of each place the marks of those that are there; 0 for none.
    marks: Vec<[u32; WAYS]>,
    orgs: Vec<Known>,
    request: u32,
}

/// One cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Known {
    id: [u8; MAX_LEN],
    key: OrgKey,
    /// The request whose sender is known to be allowed to speak for it.
    allowed_in: u32,
    partition: PartitionId,
    len: u8,
}

impl Known {
    const NONE: Self =
        Self { id: [0; MAX_LEN], key: OrgKey(0), allowed_in: 0, partition: PartitionId(0), len: 0 };

    fn id(&self) -> &[u8] {
        self.id.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn entry(&self) -> OrgEntry {
        OrgEntry { key: self.key, partition: self.partition }
    }
}

/// An organisation that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) entry: OrgEntry,
    /// Whether it was found to be allowed in this request.
    pub(crate) allowed: bool,
}

impl KnownOrgs {
    /// Begins a request: nobody has been allowed anything yet.
    pub(crate) fn begin(&mut self, directory: &Arc<Directory>) {
        let generation = directory.generation();
        let same =
            self.generation == generation && self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, directory));
        match self.request.checked_add(1) {
            Some(request) if same => self.request = request,
            // Another directory or generation, or the numbers of requests are spent.
            _ => {
                *self = Self { of: Some(Arc::clone(directory)), generation, request: 1, ..Self::default() };
            }
        }
    }

    /// What is known of `org`.
    #[inline]
    pub(crate) fn find(&self, org: &[u8]) -> Option<Found> {
        let (set, mark) = place(org);
        let marks = self.marks.get(set)?;
        for (way, _) in marks.iter().enumerate().filter(|(_, found)| **found == mark) {
            let known = self.orgs.get(set * WAYS + way)?;
            if known.id() == org {
                return Some(Found { entry: known.entry(), allowed: known.allowed_in == self.request });
            }
        }
        None
    }

    /// Remembers that the directory has `org`, and that this request may speak for it.
    pub(crate) fn allow(&mut self, org: &[u8], entry: OrgEntry) {
        if org.len() > MAX_LEN {
            return;
        }
        if self.marks.is_empty() {
            self.marks = vec![[0; WAYS]; SETS];
            self.orgs = vec![Known::NONE; SETS * WAYS];
        }
        let (set, mark) = place(org);
        let Some(marks) = self.marks.get_mut(set) else { return };
        let held = (0..WAYS).find(|way| {
            marks.get(*way) == Some(&mark)
                && self.orgs.get(set * WAYS + way).is_some_and(|known| known.id() == org)
        });
        // Where all ways are taken, the place that the organisation always takes: of a few too many for one set, the
        // others stay.
        let way =
            held.or_else(|| marks.iter().position(|mark| *mark == 0)).unwrap_or((mark >> 8) as usize % WAYS);
        let (Some(held), Some(known)) = (marks.get_mut(way), self.orgs.get_mut(set * WAYS + way)) else {
            return;
        };
        *held = mark;
        let mut id = [0; MAX_LEN];
        for (to, from) in id.iter_mut().zip(org) {
            *to = *from;
        }
        *known = Known {
            id,
            key: entry.key,
            allowed_in: self.request,
            partition: entry.partition,
            // At most MAX_LEN.
            len: org.len() as u8,
        };
    }
}

/// The set of an organisation and its mark there, which is never 0. Ids differ at their ends; those that do not are
/// recognised all the same, and only share a place.
#[inline]
fn place(org: &[u8]) -> (usize, u32) {
    let end = |chunk: Option<&[u8; 8]>| chunk.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let (first, last) = if org.len() < 8 {
        (org.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)), 0)
    } else {
        (end(org.first_chunk()), end(org.last_chunk()))
    };
    let mixed = (first ^ last.rotate_left(29)).wrapping_add(org.len() as u64);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    #[allow(clippy::cast_possible_truncation, reason = "halves of the number")]
    let (high, low) = ((mixed >> 32) as u32, mixed as u32);
    ((high >> 22) as usize % SETS, low.rotate_left(16) | 1)
}

#[cfg(test)]
mod tests;
