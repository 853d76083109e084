//! What a sink's status says, and the accounting identity behind it.

use std::sync::Arc;

use event::OrgId;
use rustc_hash::FxHashMap;

use crate::clock::UnixMillis;
use crate::lane_state::{Counts, OpenGap, SinkId};
use crate::log::{Extent, LogBackend, Scope};
use crate::sink::Cause;
use crate::units::{PartitionId, Row, Seq};

/// The state of a sink, the worst of its lanes. Ordered from well to gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SinkState {
    /// Delivers as records come.
    Live,
    /// Delivers from disk what it has missed.
    CatchingUp,
    /// The far end failed; tried again with growing delays.
    BackingOff,
    /// Needs a person; keeps its place and probes itself.
    Blocked,
    /// A person has paused it.
    Paused,
    /// No longer configured; its place is kept until a person confirms.
    Removed,
}

impl SinkState {
    /// The word on the status page and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::CatchingUp => "catching_up",
            Self::BackingOff => "backing_off",
            Self::Blocked => "blocked",
            Self::Paused => "paused",
            Self::Removed => "removed",
        }
    }
}

/// What went wrong last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: UnixMillis,
    /// What, and what to do about it.
    pub cause: Cause,
}

/// The status of one sink.
#[derive(Debug, Clone)]
pub struct SinkStatus {
    /// Its id in the journal.
    pub id: SinkId,
    /// The organisation that owns it; `None` for the operator's shared sinks.
    pub org: Option<OrgId>,
    /// Whose records it gets; `None` when that is not known any more, as for a removed shared sink.
    pub scope: Option<Scope>,
    /// Its name.
    pub name: String,
    /// Its type; empty for a removed sink.
    pub kind: &'static str,
    /// Its state.
    pub state: SinkState,
    /// Records stamped for the organisations it gets, since the journal began.
    pub stamped: u64,
    /// Those of them that came before it was added.
    pub start: u64,
    /// What became of the others.
    pub counts: Counts,
    /// Records that it has still to get: counted from the journal's rows, never by subtraction.
    pub pending: u64,
    /// Bytes of these, those that were settled out of order included.
    pub pending_bytes: u64,
    /// Attempts under way.
    pub in_flight: u64,
    /// Attempts beyond the first of a cut, since the process started.
    pub retries: u64,
    /// Age of the oldest pending record in milliseconds, 0 when there is none.
    pub lag_ms: u64,
    /// The last delivery that was accepted.
    pub last_success: Option<UnixMillis>,
    /// The last failure; kept after a success.
    pub last_error: Option<LastError>,
    /// When the next attempt is due, for a sink that is backing off or blocked.
    pub next_attempt: Option<UnixMillis>,
    /// Gaps that it has still to be told of.
    pub open_gaps: u64,
}

impl SinkStatus {
    /// Of a sink of which nothing is known but its id.
    pub(crate) fn empty(id: SinkId) -> Self {
        Self {
            id,
            org: None,
            scope: None,
            name: String::new(),
            kind: "",
            state: SinkState::Live,
            stamped: 0,
            start: 0,
            counts: Counts::default(),
            pending: 0,
            pending_bytes: 0,
            in_flight: 0,
            retries: 0,
            lag_ms: 0,
            last_success: None,
            last_error: None,
            next_attempt: None,
            open_gaps: 0,
        }
    }

    /// Whether `stamped − start` equals everything that became of it.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.stamped.checked_sub(self.start) == Some(self.counts.settled() + self.pending)
    }
}

/// A sink as the engine knows it: everything but what the journal has to count.
#[derive(Debug, Clone)]
pub(crate) struct SinkView {
    pub(crate) status: SinkStatus,
    /// `None`: nobody knows.
    pub(crate) scope: Option<Scope>,
    pub(crate) lanes: Vec<LaneView>,
}

/// One lane of it.
#[derive(Debug, Clone)]
pub(crate) struct LaneView {
    pub(crate) partition: PartitionId,
    /// From where on nothing has been cut.
    pub(crate) scan: Row,
    /// Records that were cut and are not settled.
    pub(crate) open_records: u64,
    /// Records that were cut although they lie behind `scan`.
    pub(crate) cut_behind_scan: u64,
    /// The oldest row that is not settled, for its age.
    pub(crate) prefix: Row,
    /// Rows have expired and are not counted yet: the view is worth taking again.
    pub(crate) is_counting: bool,
    pub(crate) counts: Counts,
    pub(crate) start: u64,
    pub(crate) gaps: Vec<OpenGap>,
}

/// The next seq of every organisation of a partition, and the row at that moment.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    pub(crate) end: Row,
    pub(crate) next: FxHashMap<OrgId, Seq>,
}

impl Stamps {
    pub(crate) fn new(end: Row, next: Vec<(OrgId, Seq)>) -> Self {
        Self { end, next: next.into_iter().collect() }
    }

    /// Records of `scope` that were stamped before `end`. Of everybody's they are the rows: each organisation leaves out
    /// seqs for records that were lost without a name, but they were one organisation's.
    pub(crate) fn stamped(&self, scope: &Scope) -> u64 {
        match scope {
            Scope::All => self.end.0,
            Scope::Orgs(orgs) => orgs.iter().filter_map(|org| self.next.get(org)).map(|seq| seq.0).sum(),
        }
    }
}

/// Counts what `scope` has in `from..end`. The journal may grow meanwhile: it is asked again until what lies behind
/// `end` was the same before and after. Blocks.
pub(crate) fn extent_between(
    log: &Arc<dyn LogBackend>,
    partition: PartitionId,
    scope: &Scope,
    from: Row,
    end: Row,
) -> Extent {
    const TRIES: usize = 64;
    if from >= end {
        return Extent::default();
    }
    let mut behind = log.extent(partition, scope, end);
    for _ in 0..TRIES {
        let all = log.extent(partition, scope, from);
        let again = log.extent(partition, scope, end);
        if again.rows == behind.rows {
            return Extent {
                rows: all.rows.saturating_sub(behind.rows),
                bytes: all.bytes.saturating_sub(behind.bytes),
                oldest_ms: all.oldest_ms.filter(|_| all.rows > behind.rows),
            };
        }
        behind = again;
    }
    let all = log.extent(partition, scope, from);
    Extent { rows: all.rows.saturating_sub(behind.rows), ..all }
}

/// Completes the views with what the journal counts. Blocks.
pub(crate) fn complete(
    log: &Arc<dyn LogBackend>,
    views: Vec<SinkView>,
    stamps: &[Stamps],
    now: UnixMillis,
) -> Vec<SinkStatus> {
    views.into_iter().map(|view| complete_one(log, view, stamps, now)).collect()
}

fn complete_one(log: &Arc<dyn LogBackend>, view: SinkView, stamps: &[Stamps], now: UnixMillis) -> SinkStatus {
    let mut status = view.status;
    let mut oldest: Option<i64> = None;
    for lane in &view.lanes {
        let Some(stamps) = stamps.get(usize::from(lane.partition.0)) else { continue };
        let Some(scope) = &view.scope else {
            // What became of it is known; what is pending cannot be counted.
            status.stamped += lane.start + lane.counts.settled();
            status.start += lane.start;
            status.open_gaps += lane.gaps.len() as u64;
            status.counts.add(&lane.counts);
            continue;
        };
        let extent = extent_between(log, lane.partition, scope, lane.scan, stamps.end);
        let pending = extent.rows.saturating_sub(lane.cut_behind_scan) + lane.open_records;
        status.stamped += stamps.stamped(scope);
        status.start += lane.start;
        status.pending += pending;
        status.open_gaps += lane.gaps.len() as u64;
        status.counts.add(&lane.counts);
        if pending > 0 {
            let all = log.extent(lane.partition, scope, lane.prefix);
            oldest = [oldest, all.oldest_ms].into_iter().flatten().min();
            status.pending_bytes += all.bytes;
        }
    }
    status.lag_ms = oldest
        .map_or(0, |oldest| u64::try_from(now.since(UnixMillis(oldest)).as_millis()).unwrap_or(u64::MAX));
    status
}
