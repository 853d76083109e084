//! Recording lane states: batched, one control block per partition at a time.

use std::time::Duration;

use super::core::{Action, Core, Recording};
use crate::clock::Moment;
use crate::lane_state::LaneStates;
use crate::log::AppendFault;
use crate::units::PartitionId;

/// After a refused record: the owner is busy or stopped.
const AGAIN: Duration = Duration::from_secs(1);
/// The same for one that the disk has no room for: that takes a person.
const SLOWLY: Duration = Duration::from_secs(10);

impl Core {
    /// The lane's state is to be recorded.
    pub(super) fn mark_dirty(&mut self, index: u32, now: Moment) {
        let delay = self.settings.commit_every;
        let Some(lane) = self.lane_mut(index) else { return };
        let partition = lane.partition;
        if !lane.dirty {
            lane.dirty = true;
            self.parts_mut(partition).dirty.push(index);
        }
        self.commit_by(partition, now.instant + delay);
    }

    pub(super) fn commit_by(&mut self, partition: PartitionId, at: crate::clock::Instant) {
        let part = self.parts_mut(partition);
        let at = part.commit_after.map_or(at, |after| after.max(at));
        part.commit_at = Some(part.commit_at.map_or(at, |before| before.min(at)));
    }

    pub(super) fn commit_due(&mut self, now: Moment) {
        for number in 0..self.directory.partitions() {
            let partition = PartitionId(number);
            let part = self.parts_mut(partition);
            if part.recording.is_none() && part.commit_at.is_some_and(|at| at <= now.instant) {
                self.record(partition);
            }
        }
    }

    fn record(&mut self, partition: PartitionId) {
        let part = self.parts_mut(partition);
        part.commit_at = None;
        let dirty = std::mem::take(&mut part.dirty);
        let gone = std::mem::take(&mut part.gone);
        let mut states = gone.clone();
        let mut lanes = Vec::with_capacity(dirty.len());
        for index in dirty {
            let Some(lane) = self.lanes.get_mut(index as usize).and_then(Option::as_mut) else { continue };
            let Some(sink) = self.sinks.get(lane.sink as usize).and_then(Option::as_ref) else { continue };
            if lane.partition == partition && lane.dirty {
                lane.dirty = false;
                lane.recorded_row = lane.next_row();
                states.push(lane.state(sink));
                lanes.push(lane.id());
            }
        }
        if states.is_empty() {
            return;
        }
        self.counters.records += 1;
        self.parts_mut(partition).recording = Some(Recording { lanes, gone });
        self.actions.push(Action::Record(partition, LaneStates(states)));
    }

    pub(super) fn recorded(&mut self, partition: PartitionId, result: Result<(), AppendFault>, now: Moment) {
        let Some(recording) = self.parts_mut(partition).recording.take() else { return };
        match result {
            Ok(()) => {
                self.parts_mut(partition).commit_after = None;
                for id in recording.lanes {
                    if let Some(lane) = self.lane_of(id) {
                        lane.starts_recorded = true;
                    }
                }
                self.finish_applying();
            }
            Err(fault) => {
                let after =
                    now.instant + if matches!(fault, AppendFault::Refused(_)) { SLOWLY } else { AGAIN };
                self.parts_mut(partition).commit_after = Some(after);
                tracing::warn!(%fault, "lane states could not be recorded; a crash now would repeat more deliveries");
                for id in recording.lanes {
                    if self.lane_of(id).is_some() {
                        self.mark_dirty(id.index, now);
                    }
                }
                let part = self.parts_mut(partition);
                part.gone.extend(recording.gone);
                part.commit_at = Some(after);
            }
        }
    }

    /// Whether everything that changed is recorded.
    pub(super) fn is_recorded(&self) -> bool {
        self.parts
            .iter()
            .all(|part| part.recording.is_none() && part.dirty.is_empty() && part.gone.is_empty())
    }

    /// Records everything now. Lanes that have delivered all there is move to the end: a restart need not look for
    /// them among other organisations' rows.
    pub(super) fn record_now(&mut self, now: Moment) {
        for index in 0..u32::try_from(self.lanes.len()).unwrap_or(u32::MAX) {
            if self.lane(index).is_some_and(|lane| lane.moved_unrecorded()) {
                self.mark_dirty(index, now);
            }
        }
        for part in &mut self.parts {
            if !part.dirty.is_empty() || !part.gone.is_empty() {
                part.commit_at = Some(now.instant);
            }
        }
        self.commit_due(now);
    }

    /// Answers those who wait until their sinks' beginnings are recorded.
    pub(super) fn finish_applying(&mut self) {
        let lanes = &self.lanes;
        let is_recorded = |id: &crate::sink::LaneId| {
            lanes
                .get(id.index as usize)
                .and_then(Option::as_ref)
                .is_none_or(|lane| lane.id() != *id || lane.starts_recorded)
        };
        let mut waiting = std::mem::take(&mut self.applying);
        for applying in &mut waiting {
            applying.lanes.retain(|id| !is_recorded(id));
        }
        for applying in waiting {
            if applying.begin == 0 && applying.lanes.is_empty() {
                answer(applying.reply, ());
            } else {
                self.applying.push(applying);
            }
        }
    }
}

/// Who asked may have gone: what was asked for is done all the same.
pub(super) fn answer<T>(reply: tokio::sync::oneshot::Sender<T>, value: T) {
    let _gone: Result<(), T> = reply.send(value);
}
