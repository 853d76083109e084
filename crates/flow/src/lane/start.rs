//! Starting deliveries: which lane, with which rows.

use std::cmp::Reverse;
use std::collections::VecDeque;

use xxhash_rust::xxh3::xxh3_128;

use super::Target;
use super::core::{Action, Core};
use super::cut::{Cut, Fed, Limit, Stash};
use super::ready::Standing;
use super::table::{Admission, Flight, Job, Place};
use crate::clock::Moment;
use crate::log::{GapReason, ReadSpec, Slice};
use crate::memory::charge_for;
use crate::sink::{Delivery, Rows, Ticket, TicketId};
use crate::units::{PartitionId, Row, RowRange};

/// Deliveries that one turn starts, at most: then the engine looks at what happened meanwhile.
const STARTS_PER_TURN: usize = 256;
/// A cut is not worth making for less than this, unless the sink's batches are smaller.
const LEAST_ROOM: usize = 64 << 10;

/// What came of giving a lane its turn.
enum Turn {
    /// Started, or had nothing to send, or waits for something else.
    Done,
    /// There is no memory: nobody else can start either.
    NoMemory,
}

/// What gathering rows led to.
enum Gathered {
    /// Records, and where the next cut begins; whether everything known was read.
    Records { cut: Cut, next: Row, caught_up: bool },
    /// Nothing up to this row.
    Nothing { next: Row, caught_up: bool },
    /// They must be read from disk, from this row on.
    OnDisk(Row),
    /// They can no longer be read.
    Gap(RowRange, GapReason),
}

impl Core {
    pub(super) fn start_ready(&mut self, now: Moment) {
        self.collect_overdue(now);
        while self.memory.is_idle(true)
            && let Some(index) = self.troubled.pop_front()
        {
            if self.lane(index).is_some_and(|lane| lane.place == Place::Troubled) {
                self.make_ready(index, false);
            }
        }
        self.starved = false;
        if self.closing {
            return;
        }
        for _ in 0..STARTS_PER_TURN {
            let Some(standing) = self.next_lane(now) else { return };
            let sink = self.lane(standing.lane).map(|lane| lane.sink);
            let attempts = self.counters.attempts;
            match self.give_turn(standing.lane, now) {
                // It took no place, so nothing will end that would call the next one.
                Turn::Done if self.counters.attempts == attempts => self.call_next(sink, now),
                Turn::Done => {}
                Turn::NoMemory => {
                    self.make_ready(standing.lane, true);
                    return;
                }
            }
        }
        self.unfinished = !self.ready.is_empty() || !self.overdue.is_empty();
    }

    /// Lanes that have waited as long as their sink allows go first, whether there are starts or not.
    fn collect_overdue(&mut self, now: Moment) {
        while let Some(Reverse((at, index))) = self.deadlines.peek().copied() {
            if at > now.instant {
                break;
            }
            self.deadlines.pop();
            let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) else { continue };
            lane.has_deadline = false;
            if lane.place != Place::Ready {
                continue;
            }
            let delay =
                self.sinks.get(lane.sink as usize).and_then(Option::as_ref).map(|sink| sink.spec.max_delay);
            let due = lane.due_since + delay.unwrap_or_default();
            if due <= now.instant {
                self.overdue.push_back(Standing { lane: index, stamp: lane.stamp });
            } else {
                lane.has_deadline = true;
                self.deadlines.push(Reverse((due, index)));
            }
        }
    }

    fn next_lane(&mut self, now: Moment) -> Option<Standing> {
        let lanes = &self.lanes;
        let current = |standing: Standing| {
            let lane = lanes.get(standing.lane as usize).and_then(Option::as_ref);
            lane.is_some_and(|lane| lane.place == Place::Ready && lane.stamp == standing.stamp)
        };
        while let Some(standing) = self.overdue.pop_front() {
            if current(standing) {
                return Some(standing);
            }
        }
        if self.ready.is_empty() {
            return None;
        }
        if !self.budget.has_one(now.instant) {
            self.starved = true;
            return None;
        }
        self.ready.pop(current)
    }

    fn give_turn(&mut self, index: u32, now: Moment) -> Turn {
        let Some(lane) = self.lane_mut(index) else { return Turn::Done };
        lane.place = Place::Idle;
        let (sink_index, partition) = (lane.sink, lane.partition);
        let Some(sink) = self.sink(sink_index) else { return Turn::Done };
        if sink.admission(now.instant) != Admission::Yes {
            self.wait_again(index, now);
            return Turn::Done;
        }
        let Target::Ready(target) = &sink.spec.target else { return Turn::Done };
        let (shape, is_troubled) = (target.shape(), sink.troubled);
        let (expired, reason) = self.expired_before(partition);
        let Some(lane) = self.lane(index) else { return Turn::Done };
        if !lane.has_work(sink.spec.lane_concurrency) {
            return Turn::Done;
        }
        if lane.ledger.untold_gap().is_some() {
            self.tell_gap(index, now);
            return Turn::Done;
        }
        if lane.ledger.has_unsettled_before(expired) {
            self.find_gap(index, RowRange { start: Row(0), end: expired }, reason);
            return Turn::Done;
        }
        let Some(lane) = self.lane(index) else { return Turn::Done };
        let waiting = lane.ledger.first_waiting();
        let room = self.memory.room(is_troubled);
        let least = shape.max_bytes.min(LEAST_ROOM);
        let needed = waiting.map_or(least, |waiting| waiting.bytes as usize);
        let stashed = lane.stash.as_ref().map_or(0, |stash| stash.charged);
        if room.saturating_add(stashed) < needed && !self.memory.is_idle(is_troubled) {
            if self.flights.is_empty() {
                // Nothing will end and give memory back: what others have read ahead has to go.
                self.drop_other_stashes(index);
            } else if is_troubled && self.memory.room(false) >= needed {
                self.set_place(index, Place::Troubled);
                self.troubled.push_back(index);
                return Turn::Done;
            } else {
                return Turn::NoMemory;
            }
        }
        let Some(lane) = self.lane(index) else { return Turn::Done };
        let room = room.saturating_add(stashed).max(needed);
        let (from, limit) = match waiting {
            Some(waiting) => (waiting.rows.start, Limit::all_before(waiting.rows.end)),
            None => (lane.ledger.scan(), Limit::of(&shape, room, lane.ledger.scan_end())),
        };
        match self.gather(index, from, limit, waiting.is_some()) {
            Gathered::OnDisk(row) => self.read_from_disk(
                index,
                row,
                waiting.map_or(shape.max_bytes, |waiting| waiting.bytes as usize),
            ),
            Gathered::Gap(rows, reason) => self.find_gap(index, rows, reason),
            Gathered::Nothing { next, caught_up } => {
                self.found_nothing(index, waiting.map(|w| w.rows), next, caught_up, now)
            }
            Gathered::Records { next, .. } if waiting.is_some_and(|waiting| next < waiting.rows.end) => {
                self.found_nothing(index, waiting.map(|waiting| waiting.rows), next, false, now);
            }
            Gathered::Records { cut, next, caught_up } => {
                self.send(index, cut, waiting.is_some(), next, caught_up, now);
            }
        }
        Turn::Done
    }

    fn drop_other_stashes(&mut self, index: u32) {
        for other in 0..u32::try_from(self.lanes.len()).unwrap_or(u32::MAX) {
            if other != index {
                self.drop_stash(other);
            }
        }
    }

    /// Takes from the lanes what they have read ahead. False if one keeps it, because it is its turn to send that.
    pub(super) fn drop_waiting_stashes(&mut self, index: u32) -> bool {
        let mut all = true;
        for other in 0..u32::try_from(self.lanes.len()).unwrap_or(u32::MAX) {
            match self.lane(other) {
                Some(lane) if other != index && lane.stash.is_some() => {
                    if lane.place == Place::Ready {
                        all = false;
                    } else {
                        self.drop_stash(other);
                    }
                }
                _ => {}
            }
        }
        all
    }

    fn set_place(&mut self, index: u32, place: Place) {
        if let Some(lane) = self.lane_mut(index) {
            lane.place = place;
        }
    }

    /// The sink had no place after all: the lane waits, and keeps the time since when it is due.
    fn wait_again(&mut self, index: u32, now: Moment) {
        let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) else { return };
        let Some(sink) = self.sinks.get_mut(lane.sink as usize).and_then(Option::as_mut) else { return };
        if sink.admission(now.instant) == Admission::Full {
            lane.place = Place::Slot;
            sink.waiting.push_back(index);
        }
    }

    /// Nothing is there for the lane.
    fn found_nothing(
        &mut self,
        index: u32,
        waiting: Option<RowRange>,
        next: Row,
        caught_up: bool,
        now: Moment,
    ) {
        let Some(lane) = self.lane_mut(index) else { return };
        if let Some(rows) = waiting {
            // A part of what was cut before is there no more: it is cut anew, and what is missing shows as a gap.
            tracing::warn!(
                start = rows.start.0,
                end = rows.end.0,
                "a range to send again has changed; it is cut anew"
            );
            let id = lane.id();
            lane.ledger.renew(id);
            lane.caught_up_at = None;
        } else {
            lane.behind &= !caught_up;
            self.pass(index, next, now);
            if let Some(lane) = self.lane_mut(index) {
                lane.caught_up_at = caught_up.then(|| lane.ledger.scan());
            }
        }
        self.offer(index, now);
    }

    /// Collects rows for one delivery: from what was read ahead, then from the tail.
    fn gather(&mut self, index: u32, from: Row, limit: Limit, is_retry: bool) -> Gathered {
        let mut cut = Cut::new(limit);
        let mut at = from;
        if let Some(full) = self.take_stash(index, &mut cut, &mut at) {
            return finish(cut, full, false);
        }
        let Some(lane) = self.lanes.get(index as usize).and_then(Option::as_ref) else {
            return Gathered::Nothing { next: at, caught_up: true };
        };
        let Some(sink) = self.sinks.get(lane.sink as usize).and_then(Option::as_ref) else {
            return Gathered::Nothing { next: at, caught_up: true };
        };
        let end = self.end_of(lane.partition);
        let mut spec =
            ReadSpec { partition: lane.partition, from: at, scope: sink.spec.scope.clone(), max_bytes: 0 };
        loop {
            if at >= limit.end {
                return finish(cut, at, false);
            }
            spec.from = at;
            spec.max_bytes = cut.bytes_left();
            match self.log.read_tail(&spec) {
                None if is_retry && !cut.is_empty() => return self.keep_for_later(index, cut, from, at),
                None if cut.is_empty() => return Gathered::OnDisk(at),
                None => return finish(cut, at, false),
                Some(Slice::NotYet) => return finish(cut, at, true),
                Some(Slice::Gap { rows, reason }) if cut.is_empty() => return Gathered::Gap(rows, reason),
                Some(Slice::Gap { .. }) => return finish(cut, at, false),
                Some(Slice::Rows { pieces, next }) => {
                    cut.pieces.reserve(pieces.len());
                    for piece in &pieces {
                        if let Fed::Full(row) = cut.feed(piece, at) {
                            return finish(cut, row, false);
                        }
                    }
                    at = next.min(limit.end);
                    if at >= end {
                        return finish(cut, at, at < limit.end);
                    }
                }
            }
        }
    }

    /// A retry lies half in memory and half on disk: what is there is kept until the rest is read.
    fn keep_for_later(&mut self, index: u32, cut: Cut, from: Row, next: Row) -> Gathered {
        let charged = charge_for(cut.bytes);
        let Some(lane) = self.lane_mut(index) else { return Gathered::OnDisk(from) };
        let sink = lane.sink;
        let pieces: VecDeque<_> = cut.pieces.into_iter().collect();
        lane.stash = Some(Box::new(Stash { from, pieces, next, charged }));
        self.hold(sink, charged);
        Gathered::OnDisk(next)
    }

    /// Feeds the cut from what was read ahead. `Some(row)` when the cut is full there.
    fn take_stash(&mut self, index: u32, cut: &mut Cut, at: &mut Row) -> Option<Row> {
        let lane = self.lane_mut(index)?;
        if lane.stash.as_ref().is_some_and(|stash| stash.from != *at) {
            // The lane has turned to other rows, such as a range to send again.
            self.drop_stash(index);
            return None;
        }
        let sink = lane.sink;
        let stash = lane.stash.as_mut()?;
        let (mut full, mut freed) = (None, 0);
        while let Some(piece) = stash.pieces.front() {
            if let Fed::Full(row) = cut.feed(piece, *at) {
                stash.from = row;
                full = Some(row);
                break;
            }
            freed += piece.block.memory();
            stash.pieces.pop_front();
        }
        freed = freed.min(stash.charged);
        stash.charged -= freed;
        let next = stash.next;
        self.let_go(sink, freed);
        if full.is_some() {
            return full;
        }
        *at = next;
        self.drop_stash(index);
        None
    }

    fn read_from_disk(&mut self, index: u32, from: Row, bytes: usize) {
        const MOST: usize = 4 << 20;
        if let Some(lane) = self.lane_mut(index) {
            lane.behind = true;
        }
        self.queue_job(index, Job::Read { from, max_bytes: bytes.clamp(1, MOST) });
    }

    fn send(&mut self, index: u32, cut: Cut, is_retry: bool, next: Row, caught_up: bool, now: Moment) {
        let number = self.number();
        let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) else { return };
        let Some(sink) = self.sinks.get_mut(lane.sink as usize).and_then(Option::as_mut) else { return };
        let (ticket, attempt) = if is_retry {
            sink.retries += 1;
            let Some(reopened) = lane.ledger.reopen(cut.records, cut.bytes, number) else { return };
            reopened
        } else {
            lane.behind &= !caught_up;
            let rows = RowRange { start: lane.ledger.scan(), end: next };
            let records = u32::try_from(cut.records).unwrap_or(u32::MAX);
            let ticket = lane.ledger.open(rows, records, cut.bytes, number);
            lane.caught_up_at = caught_up.then(|| lane.ledger.scan());
            (ticket, 1)
        };
        let delivery_id =
            delivery_id(self.settings.journal_id, sink, lane.partition, false, cut.first, cut.last);
        let rows = Rows::of_records(cut.pieces, std::sync::Arc::clone(&lane.starts), cut.bytes);
        if sink.troubled {
            // Who knows how long this attempt takes: what it does not carry is read again when it is needed.
            self.drop_stash(index);
        }
        self.launch(index, rows, ticket, delivery_id, attempt, now);
    }

    /// Hands a delivery to its sink.
    pub(super) fn launch(
        &mut self,
        index: u32,
        rows: Rows,
        ticket: TicketId,
        delivery_id: u128,
        attempt: u32,
        now: Moment,
    ) {
        let Some(lane) = self.lanes.get(index as usize).and_then(Option::as_ref) else { return };
        let (sink_index, partition) = (lane.sink, lane.partition);
        let Some(sink) = self.sinks.get_mut(sink_index as usize).and_then(Option::as_mut) else { return };
        let Target::Ready(target) = &sink.spec.target else { return };
        let target = std::sync::Arc::clone(target);
        let charged = charge_for(rows.bytes());
        sink.in_flight = sink.in_flight.saturating_add(1);
        let flight = Flight {
            lane: ticket.lane,
            sink: sink_index,
            serial: sink.serial,
            charged,
            started: now.instant,
            is_probe: sink.begin_probe(),
            is_old: false,
        };
        self.ready.charge(sink.owner, rows.bytes());
        self.hold(sink_index, charged);
        self.flights.insert(ticket.number, flight);
        self.young.push_back((now.instant, ticket.number));
        self.budget.take(now.instant);
        self.counters.attempts += 1;
        let home: std::sync::Arc<dyn crate::sink::Abandon> =
            std::sync::Arc::<super::inbox::Shared>::clone(&self.shared);
        let ticket = Ticket { id: ticket, home: Some(home) };
        let started = now.instant;
        let delivery = Delivery { rows, ticket, delivery_id, partition, attempt, started };
        self.actions.push(Action::Deliver(target, delivery));
        self.offer(index, now);
    }
}

fn finish(cut: Cut, next: Row, caught_up: bool) -> Gathered {
    if cut.is_empty() {
        Gathered::Nothing { next, caught_up }
    } else {
        Gathered::Records { cut, next, caught_up }
    }
}

/// The same for every attempt of a cut, in every process.
pub(super) fn delivery_id(
    journal: u128,
    sink: &super::table::SinkRow,
    partition: PartitionId,
    is_gap: bool,
    first: Row,
    last: Row,
) -> u128 {
    let mut bytes = [0u8; 59];
    let mut at = 0;
    let mut put = |field: &[u8]| {
        if let Some(slot) = bytes.get_mut(at..at + field.len()) {
            slot.copy_from_slice(field);
        }
        at += field.len();
    };
    put(&journal.to_le_bytes());
    put(&sink.id.0.to_le_bytes());
    put(&partition.0.to_le_bytes());
    put(&sink.spec.plan_epoch.to_le_bytes());
    put(&[u8::from(is_gap)]);
    put(&first.0.to_le_bytes());
    put(&last.0.to_le_bytes());
    xxh3_128(&bytes)
}
