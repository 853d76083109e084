//! The log as ingress and lanes see it: append, record lane state, read, count.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use event::OrgId;
use futures_util::future::BoxFuture;
use smallvec::SmallVec;

use crate::block::Block;
use crate::prepared::Prepared;
pub use crate::segment::ReadError;
use crate::segment::Refusal;
use crate::units::{LogPos, PartitionId, Row, RowRange, Seq};

/// Which organisations' records a lane is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of them (a sink of the operator).
    All,
    /// These, ordered.
    Orgs(Arc<BTreeSet<OrgId>>),
}

impl Scope {
    /// A single organisation.
    #[must_use]
    pub fn one(org: OrgId) -> Self {
        Self::Orgs(Arc::new(BTreeSet::from([org])))
    }

    /// Whether the organisation is meant.
    #[must_use]
    pub fn covers(&self, org: &str) -> bool {
        match self {
            Self::All => true,
            Self::Orgs(orgs) => orgs.contains(org),
        }
    }
}

/// Records of a read that lie in one block: indices into it, each range within one run or over neighbouring runs.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The block, or the part of it that holds these rows.
    pub block: Arc<Block>,
    /// Which rows of it, ascending and disjoint.
    pub rows: Ranges,
}

/// Ranges of row indices in one block: a single one for a lane of one organisation.
pub type Ranges = SmallVec<[Range<u32>; 1]>;

impl Piece {
    /// How many records.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.rows.iter().map(|r| u64::from(r.end.saturating_sub(r.start))).sum()
    }
}

/// Why a range of rows cannot be delivered. The names are part of gap records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GapReason {
    /// `buffer.max_age` or `buffer.max_bytes`.
    Retention = 1,
    /// Damage that the operator accepted with `trailwire journal repair`.
    Corruption = 2,
}

impl GapReason {
    /// The word in gap records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Corruption => "corruption",
        }
    }
}

/// What a read found.
#[derive(Debug, Clone)]
pub enum Slice {
    /// Records, and the row at which the next read continues (rows of other organisations may lie between).
    Rows {
        /// Block by block, ascending; may be empty when only other organisations' rows were passed.
        pieces: Vec<Piece>,
        /// Where to continue.
        next: Row,
    },
    /// Nothing before `rows.end` can be read any more.
    Gap {
        /// The unreadable rows, from the asked row on.
        rows: RowRange,
        /// Why.
        reason: GapReason,
    },
    /// Nothing yet at or after the asked row.
    NotYet,
}

/// How much there is from some row on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// Records.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the block of the oldest of them was written, milliseconds since 1970.
    pub oldest_ms: Option<i64>,
}

/// What to read.
#[derive(Debug, Clone)]
pub struct ReadSpec {
    /// The partition.
    pub partition: PartitionId,
    /// The first row that is wanted.
    pub from: Row,
    /// Whose records.
    pub scope: Scope,
    /// About how many bytes of records at most.
    pub max_bytes: usize,
}

/// Where appended rows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The end of the block that holds the last of them.
    pub end: LogPos,
    /// One past the last row of that block.
    pub next_row: Row,
    /// Rows that were stored.
    pub accepted: u32,
    /// Rows that the journal already held.
    pub duplicates: u32,
}

/// Why an append did not happen. Whatever the fault, nothing of the batch was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendFault {
    /// Refused before stamping.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The owner's queue is full.
    #[error("partition {0} has a full queue: try again later")]
    Busy(PartitionId),
    /// The owner has stopped: the process is on its way down.
    #[error("partition {0} has stopped after a write error: see the log; the process restarts")]
    Stopped(PartitionId),
}

/// What keeps the log: an owner with the journal, an owner with memory, later Kafka's local copy.
pub trait LogBackend: Send + Sync + 'static {
    /// Queues rows to the owner of `partition`; resolves when they are durable (duplicates: when the block of the
    /// group in which they were examined is durable).
    fn append(
        &self,
        partition: PartitionId,
        rows: Prepared,
    ) -> BoxFuture<'static, Result<Position, AppendFault>>;

    /// Queues the state of lanes to the same owner; resolves when it is durable.
    fn record(
        &self,
        partition: PartitionId,
        states: crate::lane_state::LaneStates,
    ) -> BoxFuture<'static, Result<Position, AppendFault>>;

    /// Reads from the tail cache or the journal.
    fn read(&self, spec: ReadSpec) -> BoxFuture<'static, Result<Slice, ReadError>>;

    /// Reads from the tail cache only, without waiting; `None` when the row is no longer (or never was) there.
    fn read_tail(&self, spec: &ReadSpec) -> Option<Slice>;

    /// Counts from footers, indexes and tail; reads no record.
    fn extent(&self, partition: PartitionId, scope: &Scope, from: Row) -> Extent;

    /// The next seq of every organisation of `scope` that has records in the partition, and the row at that moment:
    /// where a new lane begins.
    fn org_seqs(
        &self,
        partition: PartitionId,
        scope: Scope,
    ) -> BoxFuture<'static, Result<OrgSeqs, AppendFault>>;

    /// The oldest row that can still be read, and why older ones cannot.
    fn oldest(&self, partition: PartitionId) -> (Row, GapReason);

    /// One past the last durable row.
    fn durable_end(&self, partition: PartitionId) -> Row;
}

/// A row, and the seq that the next record of each organisation gets there.
pub type OrgSeqs = (Row, Vec<(OrgId, Seq)>);

/// The log. Only it makes [`Durable`], the proof that lets ingress answer "stored".
#[derive(Clone)]
pub struct Log(Arc<dyn LogBackend>);

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

/// Proof that rows are durable. It cannot be made outside this module.
#[derive(Debug)]
#[must_use = "this is what the answer to the producer rests on"]
pub struct Durable {
    position: Position,
}

impl Durable {
    /// Where the rows lie.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }
}

impl Log {
    /// Over a backend.
    #[must_use]
    pub fn new(backend: Arc<dyn LogBackend>) -> Self {
        Self(backend)
    }

    /// Appends rows; the proof exists only once they are durable.
    ///
    /// # Errors
    /// [`AppendFault`]: nothing was acknowledged.
    pub async fn append(&self, partition: PartitionId, rows: Prepared) -> Result<Durable, AppendFault> {
        let position = self.0.append(partition, rows).await?;
        Ok(Durable { position })
    }

    /// The backend, for reading and for lane state.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn LogBackend> {
        &self.0
    }
}
