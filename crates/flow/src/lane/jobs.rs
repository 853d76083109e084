//! Reads from disk and counts, a few at a time.

use std::cmp::Reverse;
use std::time::Duration;

use super::core::{Action, Core, Measured, Timer};
use super::cut::Stash;
use super::table::{Admission, Job, Place};
use crate::clock::Moment;
use crate::log::{AppendFault, Piece, ReadError, ReadSpec, Scope, Slice};
use crate::sink::{Cause, LaneId};
use crate::units::{PartitionId, Row, RowRange};

/// Counts at one time.
const COUNTS: usize = 2;

impl Core {
    pub(super) fn start_jobs(&mut self) {
        if !self.closing {
            self.start_reads();
            self.start_counts();
        }
    }

    fn start_reads(&mut self) {
        /// Reads that one turn looks at, at most: those for which there is no memory wait at the end of the queue.
        const LOOKS: usize = 64;
        for _ in 0..LOOKS.min(self.reads.waiting.len()) {
            if self.reads.running >= self.settings.reads.max(1) {
                return;
            }
            let Some(id) = self.reads.waiting.pop_front() else { return };
            let Some((partition, scope, job)) = self.job_of(id) else { continue };
            let Job::Read { from, max_bytes } = job else { continue };
            let is_troubled =
                self.lane(id.index).and_then(|lane| self.sink(lane.sink)).is_some_and(|s| s.troubled);
            let mut room = self.memory.room(is_troubled);
            if room == 0 && !self.memory.is_idle(is_troubled) {
                if !self.flights.is_empty() || self.reads.running > 0 || !self.drop_waiting_stashes(id.index)
                {
                    self.reads.waiting.push_back(id);
                    continue;
                }
                // Nobody else will give memory back: what is held now is its own.
                room = self.memory.room(is_troubled);
            }
            let max_bytes = max_bytes.min(room.max(1));
            self.reads.running += 1;
            self.actions.push(Action::Read(id, ReadSpec { partition, from, scope, max_bytes }));
        }
    }

    fn start_counts(&mut self) {
        while self.counts.running < COUNTS {
            let Some(id) = self.counts.waiting.pop_front() else { return };
            let Some((partition, scope, Job::Measure { measured, .. })) = self.job_of(id) else { continue };
            self.counts.running += 1;
            self.actions.push(Action::Measure(id, partition, scope, measured));
        }
    }

    /// What a lane waits for, if it still does.
    fn job_of(&self, id: LaneId) -> Option<(PartitionId, Scope, Job)> {
        let lane = self.lane(id.index).filter(|lane| lane.id() == id && lane.place == Place::Job)?;
        Some((lane.partition, self.sink(lane.sink)?.spec.scope.clone(), lane.job?))
    }

    /// Ends a lane's job; gives it if the lane is still the same.
    fn job_done(&mut self, id: LaneId) -> Option<Job> {
        let lane = self.lane_of(id).filter(|lane| lane.place == Place::Job)?;
        let job = lane.job.take()?;
        lane.place = Place::Idle;
        Some(job)
    }

    pub(super) fn read_done(&mut self, id: LaneId, result: Result<Slice, ReadError>, now: Moment) {
        self.counters.reads += 1;
        self.reads.running = self.reads.running.saturating_sub(1);
        let Some(Job::Read { from, .. }) = self.job_done(id) else { return };
        match result {
            Ok(Slice::Rows { pieces, next }) => {
                self.note_read(id.index);
                self.keep(id.index, from, pieces, next, now);
                self.check_expired(id.index, now);
                self.continue_at_once(id.index, now);
            }
            Ok(Slice::Gap { rows, reason }) => {
                self.note_read(id.index);
                self.find_gap(id.index, rows, reason);
            }
            Ok(Slice::NotYet) => {
                self.note_read(id.index);
                // That was so when it was read. What has been appended since may have been told to the lane already.
                let end = self.lane(id.index).map_or(Row(0), |lane| self.end_of(lane.partition));
                if let Some(lane) = self.lane_mut(id.index).filter(|lane| lane.ledger.scan() >= end) {
                    lane.caught_up_at = Some(lane.ledger.scan());
                    lane.behind = false;
                }
                self.check_expired(id.index, now);
                self.offer(id.index, now);
            }
            Err(error) => self.read_failed(id.index, &error.to_string(), now),
        }
    }

    fn note_read(&mut self, index: u32) {
        if let Some(lane) = self.lane_mut(index) {
            lane.read_failures = 0;
        }
    }

    /// Keeps what was read until it is cut, unless the sink is left alone by now.
    fn keep(&mut self, index: u32, from: Row, pieces: Vec<Piece>, next: Row, now: Moment) {
        let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) else { return };
        let sink = lane.sink;
        let is_waiting = lane.ledger.first_waiting().is_some();
        if pieces.is_empty() && !is_waiting && lane.stash.is_none() {
            // Only other organisations' rows were passed.
            if lane.ledger.scan() == from {
                self.pass(index, next, now);
            }
            return;
        }
        if self.sink(sink).is_none_or(|row| row.admission(now.instant) == Admission::No) {
            self.drop_stash(index);
            return;
        }
        // A part of a block pins no more than itself: that much is charged.
        let charged = pieces.iter().map(|piece| piece.block.memory()).sum();
        let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) else { return };
        match &mut lane.stash {
            Some(stash) if stash.next == from => {
                stash.pieces.extend(pieces);
                stash.next = next;
                stash.charged += charged;
            }
            _ => {
                self.drop_stash(index);
                if let Some(lane) = self.lane_mut(index) {
                    lane.stash = Some(Box::new(Stash { from, pieces: pieces.into(), next, charged }));
                }
            }
        }
        self.hold(sink, charged);
    }

    /// A lane that has what it asked for need not queue again behind those that came later.
    fn continue_at_once(&mut self, index: u32, now: Moment) {
        let Some(lane) = self.lane(index) else { return };
        let Some(sink) = self.sink(lane.sink) else { return };
        if lane.place == Place::Idle
            && lane.has_work(sink.spec.lane_concurrency)
            && sink.admission(now.instant) == Admission::Yes
        {
            self.make_ready(index, true);
        } else {
            self.offer(index, now);
        }
    }

    fn read_failed(&mut self, index: u32, what: &str, now: Moment) {
        let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) else { return };
        lane.read_failures = lane.read_failures.saturating_add(1);
        let after =
            now.instant + Duration::from_millis(500) + self.jitter.retry(lane.read_failures.min(7), None);
        lane.read_after = Some(after);
        let sink = lane.sink;
        self.timers.push(Reverse((after, Timer::Lane(index))));
        if let Some(sink) = self.sink_mut(sink) {
            tracing::error!(sink = %sink.label, what, "a lane cannot read the journal; it tries again");
            let remedy =
                "check the disk under data_dir; nothing is skipped, and reading is tried again".to_owned();
            sink.fail(now.wall, Cause { what: what.to_owned(), remedy, code: None });
        }
    }

    pub(super) fn measured(&mut self, id: LaneId, result: Result<Measured, AppendFault>, now: Moment) {
        self.counts.running = self.counts.running.saturating_sub(1);
        let Some(Job::Measure { rows, measured, reason }) = self.job_done(id) else { return };
        match result {
            Ok(Measured::Gone(end, reason)) => {
                self.find_gap(id.index, RowRange { start: Row(0), end: end.max(rows.end) }, reason);
            }
            Ok(Measured::Records(before_measured)) => {
                // Attempts may have ended meanwhile: then what is to be counted is another range.
                let is_still_so =
                    self.lane(id.index).is_some_and(|lane| lane.ledger.gap_end(rows.end) == measured);
                if is_still_so {
                    self.close_gap(id.index, rows.start, measured, reason, before_measured, now);
                } else {
                    self.find_gap(id.index, rows, reason);
                }
                self.check_expired(id.index, now);
                self.offer(id.index, now);
            }
            Err(fault) => self.read_failed(id.index, &fault.to_string(), now),
        }
    }
}

/// Counts the records of `scope` before `row`. Asks the owner and the journal's indexes; reads no record.
pub(super) async fn records_before(
    log: std::sync::Arc<dyn crate::log::LogBackend>,
    partition: PartitionId,
    scope: Scope,
    row: Row,
) -> Result<Measured, AppendFault> {
    if matches!(scope, Scope::All) {
        // Every row is a record of this scope.
        return Ok(Measured::Records(row.0));
    }
    let (end, seqs) = log.org_seqs(partition, scope.clone()).await?;
    let stamped: u64 = seqs.iter().map(|(_, seq)| seq.0).sum();
    let count = move || {
        let behind = crate::status::extent_between(&log, partition, &scope, row, end).rows;
        // Looked at last: as long as the row itself can be read, everything behind it was counted.
        (behind, log.oldest(partition))
    };
    match tokio::task::spawn_blocking(count).await {
        Ok((_, (oldest, reason))) if oldest > row => Ok(Measured::Gone(oldest, reason)),
        Ok((behind, _)) => Ok(Measured::Records(stamped.saturating_sub(behind))),
        Err(_) => Err(AppendFault::Stopped(partition)),
    }
}
