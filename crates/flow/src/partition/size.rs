//! What an owner may take in memory, and what it takes.

use super::{Owner, groups};
use crate::lane_state::{LaneState, SinkId};

/// Sizes that an owner needs.
#[derive(Debug, Clone, Copy)]
pub struct OwnerSettings {
    /// Rows in the duplicate window of this partition.
    pub window: usize,
    /// Open groups of this partition.
    pub groups: usize,
}

impl OwnerSettings {
    /// The share of one of `partitions` in a window of rows and in the memory of open groups of the whole process.
    #[must_use]
    pub fn share_of(partitions: u16, window: usize, group_bytes: usize) -> Self {
        let partitions = usize::from(partitions.max(1));
        let groups = (group_bytes / groups::COST).min(groups::PER_PROCESS);
        Self { window: window / partitions, groups: groups / partitions }
    }
}

/// Bytes that an owner's state takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnerMemory {
    /// The duplicate window.
    pub ids: usize,
    /// Open groups.
    pub groups: usize,
    /// The last recorded state of each lane.
    pub lanes: usize,
}

impl OwnerMemory {
    /// Adds another owner's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.ids += other.ids;
        self.groups += other.groups;
        self.lanes += other.lanes;
    }
}

/// The recorded state of a lane in memory: the state, its label and its list of beginnings, and the tree's room for it.
const LANE_STATE: usize = size_of::<LaneState>() + size_of::<SinkId>() + 192;

impl Owner {
    /// What its state takes. Cheap: asked after each commit.
    #[must_use]
    pub fn memory(&self) -> OwnerMemory {
        OwnerMemory {
            ids: self.state.window.memory(),
            groups: self.state.groups.memory(),
            lanes: self.state.lanes.len() * LANE_STATE,
        }
    }
}
