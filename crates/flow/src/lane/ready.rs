//! Whose turn it is: lanes that have something to send and whose sink would take it. First in, first out within an
//! owner, and a fair share of bytes between owners (deficit round robin).

use std::collections::VecDeque;

use event::OrgId;
use rustc_hash::FxHashMap;

/// Bytes that an owner may send in one round.
const QUANTUM: i64 = 64 << 10;

/// A lane's place in the queue: the stamp tells whether it still stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) lane: u32,
    pub(super) stamp: u32,
}

/// The owners with lanes that are ready.
#[derive(Debug, Default)]
pub(super) struct Ready {
    rotation: VecDeque<u32>,
    owners: Vec<Owner>,
    by_name: FxHashMap<Option<OrgId>, u32>,
}

#[derive(Debug, Default)]
struct Owner {
    lanes: VecDeque<Standing>,
    /// Bytes that it may still send in this round; below zero it has sent more than its share.
    deficit: i64,
    is_listed: bool,
}

impl Ready {
    /// The number of an owner (`None`: the operator).
    pub(super) fn owner(&mut self, name: Option<&OrgId>) -> u32 {
        let next = u32::try_from(self.owners.len()).unwrap_or(u32::MAX);
        let number = *self.by_name.entry(name.cloned()).or_insert(next);
        if number == next {
            self.owners.push(Owner::default());
        }
        number
    }

    /// A lane takes its place at the end of its owner's queue, or at the front if it was there before.
    pub(super) fn push(&mut self, owner: u32, standing: Standing, in_front: bool) {
        let Some(entry) = self.owners.get_mut(owner as usize) else { return };
        if in_front {
            entry.lanes.push_front(standing);
        } else {
            entry.lanes.push_back(standing);
        }
        if !entry.is_listed {
            entry.is_listed = true;
            self.rotation.push_back(owner);
        }
    }

    /// Takes the next lane. Places that are not `current` any more are dropped on the way.
    pub(super) fn pop(&mut self, current: impl Fn(Standing) -> bool) -> Option<Standing> {
        loop {
            let owner = *self.rotation.front()?;
            let entry = self.owners.get_mut(owner as usize)?;
            while entry.lanes.front().is_some_and(|standing| !current(*standing)) {
                entry.lanes.pop_front();
            }
            if entry.lanes.is_empty() {
                // What was not used is not saved up; a debt is kept.
                entry.deficit = entry.deficit.min(0);
                entry.is_listed = false;
                self.rotation.pop_front();
            } else if entry.deficit <= 0 {
                entry.deficit += QUANTUM;
                self.rotation.rotate_left(1);
            } else {
                return entry.lanes.pop_front();
            }
        }
    }

    /// Whether some lane may be ready.
    pub(super) fn is_empty(&self) -> bool {
        self.rotation.is_empty()
    }

    /// An owner has sent that much.
    pub(super) fn charge(&mut self, owner: u32, bytes: usize) {
        if let Some(entry) = self.owners.get_mut(owner as usize) {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            // Small deliveries are not free either.
            entry.deficit = entry.deficit.saturating_sub(bytes.max(1_024));
        }
    }
}
