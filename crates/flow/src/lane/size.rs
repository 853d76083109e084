//! What the tables of lanes and sinks take in memory.

use super::core::Core;
use super::table::{Lane, SinkRow};
use crate::lane_state::{LaneState, SinkId};
use crate::log::Scope;
use crate::units::PartitionId;

/// Bytes that the engine holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneMemory {
    /// Charged for deliveries on their way and for what was read ahead.
    pub in_flight: usize,
    /// The tables of lanes and sinks: their rows, and what the rows point to. Not what a connector keeps of its own.
    pub tables: usize,
}

/// An allocator's rounding, and the share of a map that is not used.
const EACH: usize = 16;

impl Core {
    pub(super) fn memory_use(&self) -> LaneMemory {
        let lanes = self.lanes.capacity() * (size_of::<Option<Lane>>() + size_of::<u32>())
            + self.lanes.iter().flatten().map(Lane::heap).sum::<usize>();
        let sinks = self.sinks.capacity() * size_of::<Option<SinkRow>>()
            + self.by_id.capacity() * (size_of::<(SinkId, u32)>() + EACH)
            + self.sinks.iter().flatten().map(SinkRow::heap).sum::<usize>();
        let removed = self.recovered.capacity() * (size_of::<((SinkId, PartitionId), LaneState)>() + EACH);
        LaneMemory { in_flight: self.memory.used(), tables: lanes + sinks + removed }
    }
}

impl Lane {
    fn heap(&self) -> usize {
        self.ledger.heap() + self.starts.heap() + EACH
    }
}

impl SinkRow {
    fn heap(&self) -> usize {
        let scope = match &self.spec.scope {
            Scope::All => 0,
            Scope::Orgs(orgs) => orgs.iter().map(|org| org.as_str().len() + 4 * EACH).sum(),
        };
        let error = self.last_error.as_ref().map_or(0, |error| {
            size_of_val(&**error) + error.cause.what.capacity() + error.cause.remedy.capacity()
        });
        self.label.len()
            + self.spec.name.capacity()
            + self.spec.owner.as_ref().map_or(0, |owner| owner.as_str().len())
            + self.lanes.capacity() * size_of::<u32>()
            + self.waiting.capacity() * size_of::<u32>()
            + scope
            + error
            + 4 * EACH
    }
}
