//! The engine without I/O: told what happened, it says what to do.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::counters::LaneCounters;
use super::inbox::{Marks, Shared};
use super::ready::{Ready, Standing};
use super::table::{Admission, Flight, Job, Lane, Place, SinkRow};
use super::{Begin, LaneSettings, Unread};
use crate::backoff::Jitter;
use crate::clock::{Instant, Moment};
use crate::lane_starts::Starts;
use crate::lane_state::{LaneState, LaneStates, SinkId};
use crate::limits::StartBudget;
use crate::log::{AppendFault, GapReason, LogBackend, ReadError, ReadSpec, Scope, Slice};
use crate::memory::Memory;
use crate::orgs::Directory;
use crate::sink::{Attempt, Delivery, LaneId, Sink, TicketId, Unconfirmed};
use crate::units::{PartitionId, Row};

/// One kind of what lanes need from the journal.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    /// Lanes in turn. A lane of a newer generation than its entry has given that job up.
    pub(super) waiting: VecDeque<LaneId>,
    pub(super) running: usize,
}

/// What happened.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "the large ones are the usual ones: a box would cost each delivery"
)]
pub(crate) enum Event {
    /// An attempt came back from its sink.
    Ended(Attempt),
    /// An attempt was dropped without a verdict.
    Abandoned(TicketId),
    /// Records were read from disk.
    Read(LaneId, Result<Slice, ReadError>),
    /// How many records of the lane's sink lie before the row that was asked about.
    Measured(LaneId, Result<Measured, AppendFault>),
    /// Lane states are durable, or not.
    Recorded(PartitionId, Result<(), AppendFault>),
    /// Where new lanes begin.
    Begun(u64, PartitionId, Vec<Begun>),
}

/// What a count of the records before a row found.
#[derive(Debug)]
pub(crate) enum Measured {
    /// So many.
    Records(u64),
    /// Everything before this row has gone meanwhile, for this reason: how many records lay before the row that was
    /// asked about is not known any more.
    Gone(Row, GapReason),
}

/// Where one new lane begins.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(super) sink: SinkId,
    pub(super) row: Row,
    pub(super) starts: Starts,
}

/// A lane that has to find its beginning.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(super) sink: SinkId,
    pub(super) scope: Scope,
    pub(super) from: Beginning,
}

/// From where on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Beginning {
    /// As a new sink is configured to.
    New(Begin),
    /// From this row on: the lane is known, but was about other organisations.
    Known(Row),
}

/// What to do.
#[allow(
    clippy::large_enum_variant,
    reason = "the large ones are the usual ones: a box would cost each delivery"
)]
pub(crate) enum Action {
    /// Run an attempt; its outcome comes back as [`Event::Ended`].
    Deliver(Arc<dyn Sink>, Delivery),
    /// Ask for confirmations.
    Confirm(Arc<dyn Sink>, Vec<Unconfirmed>),
    /// Read from disk.
    Read(LaneId, ReadSpec),
    /// Count what lies before a row.
    Measure(LaneId, PartitionId, Scope, Row),
    /// Write lane states.
    Record(PartitionId, LaneStates),
    /// Find where new lanes begin, for the change of this number.
    Begin(u64, PartitionId, Vec<Wanted>),
}

/// A change of the set of sinks that waits for its lanes to be recorded.
#[derive(Debug)]
pub(super) struct Applying {
    pub(super) number: u64,
    /// Partitions in which beginnings are still looked for.
    pub(super) begin: u32,
    pub(super) lanes: Vec<LaneId>,
    pub(super) reply: tokio::sync::oneshot::Sender<()>,
}

/// One partition as the engine sees it.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// One past the last durable row when the inbox was last emptied.
    pub(super) end: Row,
    /// Everything before this has expired.
    pub(super) expired: Row,
    /// Why, if that was found at the start; retention otherwise.
    pub(super) expired_reason: Option<GapReason>,
    /// Lanes of sinks that get every organisation.
    pub(super) all: Vec<u32>,
    pub(super) dirty: Vec<u32>,
    /// States of removed sinks that are to be recorded.
    pub(super) gone: Vec<LaneState>,
    pub(super) commit_at: Option<Instant>,
    /// Nothing is recorded before this, after a refusal.
    pub(super) commit_after: Option<Instant>,
    /// What is being recorded now.
    pub(super) recording: Option<Recording>,
}

/// A control block on its way.
#[derive(Debug, Default)]
pub(super) struct Recording {
    pub(super) lanes: Vec<LaneId>,
    pub(super) gone: Vec<LaneState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A sink's backoff or probe.
    Sink(u32),
    /// Confirmations of a sink are due.
    Confirm(u32),
    /// A lane may read again.
    Lane(u32),
}

/// The delivery engine.
pub(crate) struct Core {
    pub(super) log: Arc<dyn LogBackend>,
    pub(super) directory: Arc<Directory>,
    pub(super) settings: LaneSettings,
    pub(super) shared: Arc<Shared>,
    /// Lanes by the organisation's number in the marks.
    pub(super) by_org: Vec<SmallVec<[u32; 2]>>,
    pub(super) parts: Vec<Part>,
    pub(super) sinks: Vec<Option<SinkRow>>,
    pub(super) by_id: FxHashMap<SinkId, u32>,
    pub(super) lanes: Vec<Option<Lane>>,
    /// Generations of lane indices: one that is used again refuses the verdicts of its former lane.
    pub(super) generations: Vec<u32>,
    pub(super) free_lanes: Vec<u32>,
    pub(super) flights: FxHashMap<u64, Flight>,
    /// For tickets, rows of sinks and changes of the set of sinks.
    pub(super) next_number: u64,
    /// Attempts that are not old yet, oldest first.
    pub(super) young: VecDeque<(Instant, u64)>,
    pub(super) ready: Ready,
    /// Lanes that have waited as long as their sink allows.
    pub(super) overdue: VecDeque<Standing>,
    pub(super) deadlines: BinaryHeap<Reverse<(Instant, u32)>>,
    pub(super) troubled: VecDeque<u32>,
    /// Lanes that wait for a read, and those that wait for a count, each in a queue of its own: retention makes many
    /// lanes count at one time, and nobody's records are to wait for that.
    pub(super) reads: Jobs,
    pub(super) counts: Jobs,
    pub(super) timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    pub(super) budget: StartBudget,
    pub(super) memory: Memory,
    pub(super) jitter: Jitter,
    /// Places without a lane: of sinks that are not configured, or of partitions in which a sink has no more
    /// organisations.
    pub(super) recovered: FxHashMap<(SinkId, PartitionId), LaneState>,
    /// What is configured and cannot be read.
    pub(super) unread: Vec<Unread>,
    pub(super) applying: Vec<Applying>,
    pub(super) counters: LaneCounters,
    pub(super) actions: Vec<Action>,
    pub(super) closing: bool,
    /// Lanes are ready, but starts are scarce.
    pub(super) starved: bool,
    /// This turn ended with more to do.
    pub(super) unfinished: bool,
}

impl Core {
    pub(super) fn new(
        log: Arc<dyn LogBackend>,
        directory: Arc<Directory>,
        settings: LaneSettings,
        shared: Arc<Shared>,
        recovered: Vec<(PartitionId, Vec<LaneState>)>,
        now: Moment,
    ) -> Self {
        let parts = (0..directory.partitions())
            .map(|number| {
                let end = log.durable_end(PartitionId(number));
                let (expired, expired_reason) = log.oldest(PartitionId(number));
                Part { end, expired, expired_reason: Some(expired_reason), ..Part::default() }
            })
            .collect();
        let recovered = recovered
            .into_iter()
            .flat_map(|(partition, states)| {
                states.into_iter().map(move |state| ((state.sink, partition), state))
            })
            .collect();
        Self {
            budget: StartBudget::new(settings.starts_per_second, now.instant),
            memory: Memory::new(settings.memory),
            jitter: Jitter::new(settings.seed),
            log,
            directory,
            settings,
            shared,
            by_org: Vec::new(),
            parts,
            sinks: Vec::new(),
            by_id: FxHashMap::default(),
            lanes: Vec::new(),
            generations: Vec::new(),
            free_lanes: Vec::new(),
            flights: FxHashMap::default(),
            next_number: 1,
            young: VecDeque::new(),
            ready: Ready::default(),
            overdue: VecDeque::new(),
            deadlines: BinaryHeap::new(),
            troubled: VecDeque::new(),
            reads: Jobs::default(),
            counts: Jobs::default(),
            timers: BinaryHeap::new(),
            recovered,
            unread: Vec::new(),
            applying: Vec::new(),
            counters: LaneCounters::default(),
            actions: Vec::new(),
            closing: false,
            starved: false,
            unfinished: false,
        }
    }

    /// Takes what the owners marked in one partition.
    pub(super) fn marked(&mut self, partition: PartitionId, marks: &Marks, now: Moment) {
        let Some(part) = self.parts.get_mut(usize::from(partition.0)) else { return };
        let grew = marks.end > part.end;
        let expired = marks.expired > part.expired;
        part.end = part.end.max(marks.end);
        if expired {
            part.expired = marks.expired;
            part.expired_reason = None;
        }
        if grew {
            let all = std::mem::take(&mut self.parts_mut(partition).all);
            for index in &all {
                self.touch(*index, None, now);
            }
            self.parts_mut(partition).all = all;
        }
        for (slot, first) in &marks.touched {
            let lanes = self.by_org.get(*slot as usize).cloned().unwrap_or_default();
            for index in lanes {
                self.touch(index, Some(*first), now);
            }
        }
        // Last: a lane that takes itself for caught up now has nothing among what has expired.
        if expired {
            self.expired(partition, now);
        }
    }

    /// New rows for a lane, the first of them at `first`.
    fn touch(&mut self, index: u32, first: Option<Row>, now: Moment) {
        if let Some(lane) = self.lane_mut(index) {
            let was_caught_up = lane.is_caught_up();
            lane.caught_up_at = None;
            // Nothing of these organisations lies between what it has read and the first new row: a lane that was idle
            // for days starts in the tail.
            if let Some(row) = first.filter(|_| was_caught_up) {
                self.pass(index, row, now);
            }
            self.offer(index, now);
        }
    }

    pub(super) fn handle(&mut self, event: Event, now: Moment) {
        match event {
            Event::Ended(attempt) => self.ended(attempt, now),
            Event::Abandoned(ticket) => self.abandoned(ticket, now),
            Event::Read(lane, result) => self.read_done(lane, result, now),
            Event::Measured(lane, result) => self.measured(lane, result, now),
            Event::Recorded(partition, result) => self.recorded(partition, result, now),
            Event::Begun(number, partition, begun) => self.begun(number, partition, begun, now),
        }
    }

    /// Does what time and budgets allow now; the actions are then to be carried out.
    pub(super) fn turn(&mut self, now: Moment) {
        self.unfinished = false;
        self.fire_timers(now);
        self.grow_old(now);
        self.start_ready(now);
        self.start_jobs();
        self.commit_due(now);
    }

    /// Queues a lane if it has something to do and its sink takes it.
    pub(super) fn offer(&mut self, index: u32, now: Moment) {
        let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) else { return };
        if lane.place != Place::Idle {
            return;
        }
        let Some(sink) = self.sinks.get_mut(lane.sink as usize).and_then(Option::as_mut) else { return };
        if !lane.has_work(sink.spec.lane_concurrency)
            || lane.read_after.is_some_and(|after| now.instant < after)
        {
            if lane.stash.is_some() && lane.ledger.in_flight() == 0 {
                // Read ahead for rows that have been sent meanwhile.
                self.drop_stash(index);
            }
            return;
        }
        match sink.admission(now.instant) {
            Admission::No => {}
            Admission::Full => {
                lane.place = Place::Slot;
                lane.due_since = now.instant;
                sink.waiting.push_back(index);
            }
            Admission::Yes => {
                lane.due_since = now.instant;
                self.make_ready(index, false);
            }
        }
    }

    /// Gives a lane its place among those that are ready; it keeps the time since when it is due.
    pub(super) fn make_ready(&mut self, index: u32, in_front: bool) {
        let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) else { return };
        let Some(sink) = self.sinks.get(lane.sink as usize).and_then(Option::as_ref) else { return };
        lane.place = Place::Ready;
        lane.stamp = lane.stamp.wrapping_add(1);
        if !lane.has_deadline {
            lane.has_deadline = true;
            self.deadlines.push(Reverse((lane.due_since + sink.spec.max_delay, index)));
        }
        let standing = Standing { lane: index, stamp: lane.stamp };
        self.ready.push(sink.owner, standing, in_front);
    }

    /// Rows before `row` hold nothing for the lane. That alone is not worth recording, but for ranges that were settled
    /// ahead and lie in the prefix now.
    pub(super) fn pass(&mut self, index: u32, row: Row, now: Moment) {
        let Some(lane) = self.lane_mut(index) else { return };
        let had_tiles = lane.ledger.has_tiles();
        if let Some(committable) = lane.ledger.passed(row) {
            lane.commit(&committable);
            if had_tiles && !lane.ledger.has_tiles() {
                self.mark_dirty(index, now);
            }
        }
    }

    /// A number that was not given before.
    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Sends a lane to the journal for something.
    pub(super) fn queue_job(&mut self, index: u32, job: Job) {
        if let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) {
            lane.job = Some(job);
            lane.place = Place::Job;
            match job {
                Job::Read { .. } => self.reads.waiting.push_back(lane.id()),
                Job::Measure { .. } => self.counts.waiting.push_back(lane.id()),
            }
        }
    }

    /// One past the last durable row of the partition that the lanes were told of.
    pub(super) fn end_of(&self, partition: PartitionId) -> Row {
        self.parts.get(usize::from(partition.0)).map_or(Row(0), |part| part.end)
    }

    /// Everything before this row of the partition has expired, for this reason.
    pub(super) fn expired_before(&self, partition: PartitionId) -> (Row, GapReason) {
        let part = self.parts.get(usize::from(partition.0));
        let reason = part.and_then(|part| part.expired_reason).unwrap_or(GapReason::Retention);
        (part.map_or(Row(0), |part| part.expired), reason)
    }

    pub(super) fn lane(&self, index: u32) -> Option<&Lane> {
        self.lanes.get(index as usize).and_then(Option::as_ref)
    }

    pub(super) fn lane_mut(&mut self, index: u32) -> Option<&mut Lane> {
        self.lanes.get_mut(index as usize).and_then(Option::as_mut)
    }

    /// The lane, if it is still of this generation.
    pub(super) fn lane_of(&mut self, id: LaneId) -> Option<&mut Lane> {
        self.lane_mut(id.index).filter(|lane| lane.id() == id)
    }

    pub(super) fn sink(&self, index: u32) -> Option<&SinkRow> {
        self.sinks.get(index as usize).and_then(Option::as_ref)
    }

    pub(super) fn sink_mut(&mut self, index: u32) -> Option<&mut SinkRow> {
        self.sinks.get_mut(index as usize).and_then(Option::as_mut)
    }

    pub(super) fn parts_mut(&mut self, partition: PartitionId) -> &mut Part {
        let at = usize::from(partition.0);
        if at >= self.parts.len() {
            debug_assert!(false, "lanes are only made in partitions of the directory");
            self.parts.resize_with(at + 1, Part::default);
        }
        match self.parts.get_mut(at) {
            Some(part) => part,
            None => unreachable!("resized above"),
        }
    }

    /// Charges bytes to a sink.
    pub(super) fn hold(&mut self, sink: u32, bytes: usize) {
        if let Some(row) = self.sinks.get_mut(sink as usize).and_then(Option::as_mut) {
            row.charged += bytes;
            self.memory.charge(bytes, row.troubled);
        }
    }

    /// Gives bytes of a sink back, and lets lanes that wait for memory try again.
    pub(super) fn let_go(&mut self, sink: u32, bytes: usize) {
        if let Some(row) = self.sinks.get_mut(sink as usize).and_then(Option::as_mut) {
            row.charged = row.charged.saturating_sub(bytes);
            self.memory.release(bytes, row.troubled);
        } else {
            self.memory.release(bytes, false);
        }
        // Two for one: what was given back may be enough for several small ones.
        for _ in 0..2 {
            let Some(index) = self.troubled.pop_front() else { break };
            if self.lane(index).is_some_and(|lane| lane.place == Place::Troubled) {
                self.make_ready(index, false);
            }
        }
    }

    pub(super) fn drop_stash(&mut self, index: u32) {
        let Some(lane) = self.lane_mut(index) else { return };
        let sink = lane.sink;
        if let Some(stash) = lane.stash.take() {
            self.let_go(sink, stash.charged);
        }
    }

    /// When the engine has to look again although nothing happened; `None`: when something happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let commit =
            self.parts.iter().filter(|part| part.recording.is_none()).filter_map(|part| part.commit_at).min();
        let start = if self.starved {
            let overdue = self.deadlines.peek().map(|Reverse((at, _))| *at);
            let within = self.budget.next();
            Some(overdue.map_or(within, |overdue| overdue.min(within)))
        } else {
            None
        };
        [timer, commit, start].into_iter().flatten().min()
    }
}
