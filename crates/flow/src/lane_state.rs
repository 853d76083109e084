//! The durable state of a lane: where its sink is in the partition, and what became of everything before.

use std::fmt;

use event::OrgId;

use crate::log::GapReason;
use crate::units::{Row, RowRange, Seq};

/// Names a sink for the journal: hash of owner and name, the same in every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SinkId(pub u128);

impl SinkId {
    /// The id of the sink `name` of `owner` (an organisation, or `None` for the operator's shared sinks).
    #[must_use]
    pub fn of(owner: Option<&OrgId>, name: &str) -> Self {
        let owner = owner.map_or("*", OrgId::as_str);
        Self(xxhash_rust::xxh3::xxh3_128(format!("{owner}/{name}").as_bytes()))
    }
}

impl fmt::Display for SinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The right side of the accounting identity, but for what is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Accepted by the far end.
    pub delivered: u64,
    /// Left out by the sink's own filter.
    pub filtered: u64,
    /// Told by a group summary instead (0 until a sink can choose groups).
    pub grouped: u64,
    /// Refused for good and kept as dead letters.
    pub dead_lettered: u64,
    /// Dead letters or pending records that a person discarded.
    pub discarded: u64,
    /// Removed by retention before delivery.
    pub expired: u64,
    /// Lost by damage that the operator accepted.
    pub lost: u64,
}

impl Counts {
    /// Everything that is settled.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.delivered + self.filtered + self.grouped + self.dead_lettered + self.discarded + self.expired + self.lost
    }
}

/// A gap that the sink has not been told of yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenGap {
    /// The rows.
    pub rows: RowRange,
    /// How many of them were for this sink; `None` when the journal can no longer tell per organisation.
    pub count: u64,
    /// Why.
    pub reason: GapReason,
}

/// One lane's durable state. Everything before `next_row` is settled and counted; `settled` rows at or after it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneState {
    /// The sink.
    pub sink: SinkId,
    /// `organisation/name` or `*/name`, so that the state of a removed sink can be shown.
    pub label: String,
    /// Restart point.
    pub next_row: Row,
    /// Ranges at or after `next_row` that are settled already (out-of-order completion), ascending.
    pub resolved: Vec<RowRange>,
    /// Where the lane began.
    pub start_row: Row,
    /// What became of the settled records.
    pub counts: Counts,
    /// For each organisation that had records before `start_row`: the seq of its first record after it. An
    /// organisation that is not listed began at 0. Sent once when the lane is made and in every snapshot.
    pub starts: Option<Vec<(OrgId, Seq)>>,
    /// Gaps still to be told, oldest first.
    pub gaps: Vec<OpenGap>,
    /// Hash of filter, select, encoding and batch limits.
    pub plan_epoch: u64,
    /// The sink is no longer configured; kept until a person confirms.
    pub removed: bool,
}

/// Lane states on their way into a control block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaneStates(pub Vec<LaneState>);
