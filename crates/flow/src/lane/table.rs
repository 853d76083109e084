//! The rows of the engine's tables: lanes and sinks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::cut::Stash;
use super::pace::Pace;
use super::{SinkSpec, Target};
use crate::clock::{Instant, UnixMillis};
use crate::lane_starts::Starts;
use crate::lane_state::{LaneState, SinkId};
use crate::ledger::{Committable, Ledger};
use crate::sink::{Cause, LaneId, Unconfirmed};
use crate::status::LastError;
use crate::units::{PartitionId, Row, RowRange};

/// One sink's deliveries from one partition. Ten thousand of them are usual: see the size test.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) sink: u32,
    pub(super) partition: PartitionId,
    pub(super) ledger: Ledger,
    pub(super) starts: Arc<Starts>,
    pub(super) start_row: Row,
    /// Hash of the organisations that it is about.
    pub(super) scope: u64,
    /// What is recorded as the restart point: moved only by a [`Committable`].
    next_row: Row,
    /// The restart point in the last state that was sent to be recorded.
    pub(super) recorded_row: Row,
    pub(super) stash: Option<Box<Stash>>,
    pub(super) job: Option<Job>,
    pub(super) place: Place,
    /// Raised at each queueing: an older place in a queue is void.
    pub(super) stamp: u32,
    /// Since when it has waited for its turn.
    pub(super) due_since: Instant,
    /// Where its cuts stood when it had read everything that was durable when the inbox was last emptied. Kept as the
    /// place and not as a flag: when the cuts go back, it holds no more by itself, and nothing can be jumped over.
    pub(super) caught_up_at: Option<Row>,
    /// It reads from disk.
    pub(super) behind: bool,
    /// Its state differs from what was recorded.
    pub(super) dirty: bool,
    /// Where its organisations began is recorded.
    pub(super) starts_recorded: bool,
    /// It has an entry in the list of deadlines.
    pub(super) has_deadline: bool,
    /// Failed reads in a row.
    pub(super) read_failures: u32,
    /// Not read before this time, after a failed read.
    pub(super) read_after: Option<Instant>,
}

/// Where a lane waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: nothing to do, or its sink takes nothing.
    Idle,
    /// For its turn.
    Ready,
    /// For one of its sink's places.
    Slot,
    /// For memory of the half that troubled sinks share.
    Troubled,
    /// For a read or a count.
    Job,
}

/// What a lane needs from the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// Records from this row on.
    Read { from: Row, max_bytes: usize },
    /// Nothing in `rows` can be read: how many records lie before `measured`?
    Measure { rows: RowRange, measured: Row, reason: crate::log::GapReason },
}

impl Lane {
    pub(super) fn new(
        sink: u32,
        partition: PartitionId,
        ledger: Ledger,
        starts: Starts,
        start_row: Row,
        now: Instant,
    ) -> Self {
        Self {
            sink,
            partition,
            next_row: ledger.prefix(),
            recorded_row: ledger.prefix(),
            ledger,
            starts: Arc::new(starts),
            start_row,
            scope: 0,
            stash: None,
            job: None,
            place: Place::Idle,
            stamp: 0,
            due_since: now,
            caught_up_at: None,
            behind: false,
            dirty: false,
            starts_recorded: false,
            has_deadline: false,
            read_failures: 0,
            read_after: None,
        }
    }

    pub(super) fn id(&self) -> LaneId {
        self.ledger.lane()
    }

    pub(super) fn next_row(&self) -> Row {
        self.next_row
    }

    /// The restart point has passed other organisations' rows since it was recorded.
    pub(super) fn moved_unrecorded(&self) -> bool {
        self.next_row != self.recorded_row
    }

    /// Moves the restart point.
    pub(super) fn commit(&mut self, committable: &Committable) {
        if committable.lane() == self.id() {
            debug_assert!(committable.next_row() >= self.next_row, "a cursor never goes back");
            self.next_row = self.next_row.max(committable.next_row());
        }
    }

    /// The `start` term of the accounting identity.
    pub(super) fn start(&self) -> u64 {
        start(self.scope, self.start_row, || self.starts.total())
    }

    /// Whether it has read everything that it knows of.
    pub(super) fn is_caught_up(&self) -> bool {
        self.caught_up_at == Some(self.ledger.scan())
    }

    /// Whether everything that it knows of has been read and settled, and told.
    pub(super) fn is_done(&self) -> bool {
        self.is_caught_up() && !self.ledger.has_tiles() && !self.ledger.has_gaps()
    }

    /// Whether it still delivers what it had to read from disk.
    pub(super) fn is_behind(&self) -> bool {
        let is_done =
            self.is_caught_up() && self.ledger.first_waiting().is_none() && self.ledger.in_flight() == 0;
        self.behind && !is_done
    }

    /// Whether there is something to send that may be sent now, but for what its sink says.
    pub(super) fn has_work(&self, lane_concurrency: u16) -> bool {
        if self.ledger.in_flight() >= usize::from(lane_concurrency.max(1)) {
            return false;
        }
        if self.ledger.has_gaps() {
            return self.ledger.untold_gap().is_some();
        }
        self.ledger.first_waiting().is_some() || (!self.is_caught_up() && !self.ledger.is_crowded())
    }

    /// What is written into the journal.
    pub(super) fn state(&self, sink: &SinkRow) -> LaneState {
        LaneState {
            sink: sink.id,
            label: Arc::clone(&sink.label),
            next_row: self.next_row,
            resolved: self.ledger.ahead().filter(|resolved| resolved.rows.start >= self.next_row).collect(),
            start_row: self.start_row,
            counts: *self.ledger.counts(),
            starts: (!self.starts_recorded).then(|| self.starts.list()),
            gaps: self.ledger.gaps().to_vec(),
            plan_epoch: sink.spec.plan_epoch,
            scope: self.scope,
            removed: false,
        }
    }
}

/// Records of a lane's sink before the lane began: rows when it is about everybody (`scope` 0), as what was stamped is,
/// see [`crate::status::Stamps::stamped`].
pub(super) fn start(scope: u64, start_row: Row, first_seqs: impl FnOnce() -> u64) -> u64 {
    if scope == 0 { start_row.0 } else { first_seqs() }
}

/// A configured sink and its health, which its lanes share.
#[derive(Debug)]
pub(super) struct SinkRow {
    pub(super) id: SinkId,
    pub(super) serial: u64,
    pub(super) label: Arc<str>,
    pub(super) spec: SinkSpec,
    pub(super) lanes: Vec<u32>,
    /// Its owner's number in the queue.
    pub(super) owner: u32,
    pub(super) health: Health,
    /// A person has paused it while the process runs; a change of settings does not undo that.
    pub(super) paused: bool,
    pub(super) in_flight: u16,
    pub(super) pace: Pace,
    /// Lanes that wait for one of its places.
    pub(super) waiting: VecDeque<u32>,
    /// Bytes in flight and read ahead.
    pub(super) charged: usize,
    /// Attempts that have been open for long.
    pub(super) old: u16,
    pub(super) troubled: bool,
    pub(super) failures: u32,
    pub(super) probes: u32,
    pub(super) retries: u64,
    pub(super) last_success: Option<UnixMillis>,
    pub(super) last_error: Option<Box<LastError>>,
    /// Deliveries that the far end took and has not confirmed, and when to ask.
    pub(super) unconfirmed: Vec<(Instant, Unconfirmed)>,
}

/// Whether a sink takes deliveries.
#[derive(Debug)]
pub(super) enum Health {
    Live,
    /// Failed: one attempt at `until`.
    BackingOff {
        since: Instant,
        until: Instant,
        probing: bool,
    },
    /// Needs a person: one attempt at `until`, in case that person has acted at the far end.
    Blocked {
        since: Instant,
        until: Instant,
        probing: bool,
    },
}

/// What a sink says to a lane that wants to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Yes,
    /// All its places are taken.
    Full,
    /// Not until a timer or a person says otherwise.
    No,
}

impl SinkRow {
    pub(super) fn new(spec: SinkSpec, owner: u32, serial: u64) -> Self {
        Self {
            id: spec.id(),
            serial,
            label: spec.label().into(),
            spec,
            lanes: Vec::new(),
            owner,
            health: Health::Live,
            paused: false,
            in_flight: 0,
            pace: Pace::default(),
            waiting: VecDeque::new(),
            charged: 0,
            old: 0,
            troubled: false,
            failures: 0,
            probes: 0,
            retries: 0,
            last_success: None,
            last_error: None,
            unconfirmed: Vec::new(),
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused || self.spec.paused
    }

    pub(super) fn admission(&self, now: Instant) -> Admission {
        if self.is_paused() || matches!(self.spec.target, Target::Unusable(_)) {
            return Admission::No;
        }
        match self.health {
            Health::Live if self.in_flight < self.pace.limit(self.spec.concurrency) => Admission::Yes,
            Health::Live => Admission::Full,
            Health::BackingOff { until, probing, .. } | Health::Blocked { until, probing, .. } => {
                if probing || now < until { Admission::No } else { Admission::Yes }
            }
        }
    }

    /// Marks the attempt that starts now as the probe, if the sink is not well.
    pub(super) fn begin_probe(&mut self) -> bool {
        match &mut self.health {
            Health::Live => false,
            Health::BackingOff { probing, .. } | Health::Blocked { probing, .. } => {
                *probing = true;
                true
            }
        }
    }

    /// Whether an attempt says something about the sink as it is now. One that began before the sink was left alone
    /// tells of the time before that: only what was tried since decides whether it is left alone any longer.
    pub(super) fn is_news(&self, flight: &Flight) -> bool {
        match self.health {
            Health::Live => true,
            Health::BackingOff { since, .. } | Health::Blocked { since, .. } => {
                flight.started > since || (flight.is_probe && flight.started == since)
            }
        }
    }

    pub(super) fn fail(&mut self, at: UnixMillis, cause: Cause) {
        self.last_error = Some(Box::new(LastError { at, cause }));
    }
}

/// An attempt under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) lane: LaneId,
    pub(super) sink: u32,
    /// Of the sink's row: a sink that was removed and came back is another row.
    pub(super) serial: u64,
    pub(super) charged: usize,
    pub(super) started: Instant,
    pub(super) is_probe: bool,
    pub(super) is_old: bool,
}

/// An attempt that has been open for this long makes its sink troubled.
pub(super) const LONG: Duration = Duration::from_secs(2);
