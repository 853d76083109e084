//! Sinks come, change and go. Only the sinks that changed are touched; the others never notice.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use rustc_hash::FxHashSet;
use tokio::sync::oneshot;
use xxhash_rust::xxh3::Xxh3;

use super::core::{Action, Applying, Beginning, Begun, Core, Timer, Wanted};
use super::table::{Health, Lane, Place, SinkRow};
use super::{Begin, Configured, SinkSpec, Target};
use crate::clock::Moment;
use crate::lane_starts::Starts;
use crate::lane_state::{Counts, LaneState, SinkId};
use crate::ledger::Ledger;
use crate::log::Scope;
use crate::sink::LaneId;
use crate::units::{PartitionId, Row};

impl Core {
    /// Makes `configured` the set of sinks. `reply` is answered when the beginnings of new ones are recorded: events that
    /// are acknowledged after that reach them even if the process dies at once.
    pub(super) fn apply(&mut self, configured: Configured, reply: oneshot::Sender<()>, now: Moment) {
        let Configured { sinks: specs, unread } = configured;
        self.unread = unread;
        let wanted: FxHashSet<SinkId> = specs.iter().map(SinkSpec::id).collect();
        let gone: Vec<u32> =
            self.by_id.iter().filter(|(id, _)| !wanted.contains(id)).map(|(_, at)| *at).collect();
        for index in gone {
            self.remove_sink(index, now);
        }
        let mut begin: Vec<Vec<Wanted>> = self.parts.iter().map(|_| Vec::new()).collect();
        let mut fresh = Vec::new();
        for spec in specs {
            match self.by_id.get(&spec.id()).copied() {
                Some(index) if self.sink(index).is_some_and(|sink| sink.spec.scope == spec.scope) => {
                    self.change_sink(index, spec, now);
                }
                Some(index) => {
                    // Other organisations: the places are kept, by partition.
                    self.remove_sink(index, now);
                    self.add_sink(spec, &mut begin, &mut fresh, now);
                }
                None => self.add_sink(spec, &mut begin, &mut fresh, now),
            }
        }
        let mut asked = 0;
        let number = self.number();
        for (partition, wanted) in (0u16..).zip(begin) {
            if !wanted.is_empty() {
                asked += 1;
                self.actions.push(Action::Begin(number, PartitionId(partition), wanted));
            }
        }
        self.applying.push(Applying { number, begin: asked, lanes: fresh, reply });
        self.finish_applying();
    }

    fn add_sink(&mut self, spec: SinkSpec, begin: &mut [Vec<Wanted>], fresh: &mut Vec<LaneId>, now: Moment) {
        let owner = self.ready.owner(spec.owner.as_ref());
        let serial = self.number();
        let row = SinkRow::new(spec, owner, serial);
        let (id, scope, first) = (row.id, row.spec.scope.clone(), row.spec.begin);
        let free =
            self.sinks.iter().position(Option::is_none).filter(|_| self.by_id.len() < self.sinks.len());
        let at = free.unwrap_or(self.sinks.len());
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        match self.sinks.get_mut(at) {
            Some(slot) => *slot = Some(row),
            None => self.sinks.push(Some(row)),
        }
        self.by_id.insert(id, index);
        for partition in self.partitions_of(&scope) {
            let known = self.recovered.get(&(id, partition)).map(|state| (state.scope, state.next_row));
            if let Some((before, row)) = known {
                if before == self.scope_in(&scope, partition) {
                    self.restore_lane(index, partition, now);
                } else if let Some(list) = begin.get_mut(usize::from(partition.0)) {
                    list.push(Wanted { sink: id, scope: scope.clone(), from: Beginning::Known(row) });
                }
            } else if first == Begin::Earliest {
                fresh.push(self.new_lane(index, partition, Row(0), Starts::default(), now));
            } else if let Some(list) = begin.get_mut(usize::from(partition.0)) {
                list.push(Wanted { sink: id, scope: scope.clone(), from: Beginning::New(first) });
            }
        }
    }

    fn partitions_of(&self, scope: &Scope) -> Vec<PartitionId> {
        match scope {
            Scope::All => (0..self.directory.partitions()).map(PartitionId).collect(),
            Scope::Orgs(orgs) => {
                let set: BTreeSet<PartitionId> =
                    orgs.iter().map(|org| self.directory.partition_of(org.as_str())).collect();
                set.into_iter().collect()
            }
        }
    }

    /// Where new lanes begin has been found.
    pub(super) fn begun(&mut self, number: u64, partition: PartitionId, begun: Vec<Begun>, now: Moment) {
        let mut made = Vec::new();
        for lane in begun {
            let index = self.by_id.get(&lane.sink).copied();
            // A sink that went and came back while its beginning was looked for has been given one already.
            if let Some(index) = index.filter(|index| !self.has_lane(*index, partition)) {
                made.push(self.new_lane(index, partition, lane.row, lane.starts, now));
            }
        }
        if let Some(applying) = self.applying.iter_mut().find(|applying| applying.number == number) {
            applying.begin = applying.begin.saturating_sub(1);
            applying.lanes.extend(made);
        }
        self.finish_applying();
    }

    fn has_lane(&self, sink: u32, partition: PartitionId) -> bool {
        let lanes = self.sink(sink).map(|row| row.lanes.as_slice()).unwrap_or_default();
        lanes.iter().filter_map(|index| self.lane(*index)).any(|lane| lane.partition == partition)
    }

    fn new_lane(
        &mut self,
        sink: u32,
        partition: PartitionId,
        row: Row,
        starts: Starts,
        now: Moment,
    ) -> LaneId {
        let id = self.lane_slot();
        // A lane whose organisations changed keeps its place and what it has still to tell; its counts begin anew.
        let known =
            self.sink(sink).map(|sink| sink.id).and_then(|sink| self.recovered.remove(&(sink, partition)));
        let gaps = known.map(|state| state.gaps).unwrap_or_default();
        let ledger = Ledger::new(id, row, &[], Counts::default(), gaps);
        self.put_lane(Lane::new(sink, partition, ledger, starts, row, now.instant), now);
        self.mark_dirty(id.index, now);
        // At once: until this is durable, a crash would let the sink begin later than it was promised.
        self.commit_by(partition, now.instant);
        id
    }

    fn restore_lane(&mut self, sink: u32, partition: PartitionId, now: Moment) {
        let Some(row) = self.sink(sink) else { return };
        let plan_epoch = row.spec.plan_epoch;
        let Some(state) = self.recovered.remove(&(row.id, partition)) else { return };
        let id = self.lane_slot();
        let ledger = Ledger::new(id, state.next_row, &state.resolved, state.counts, state.gaps);
        let starts_recorded = state.starts.is_some();
        let starts = Starts::new(&state.starts.unwrap_or_default());
        let mut lane = Lane::new(sink, partition, ledger, starts, state.start_row, now.instant);
        lane.starts_recorded = starts_recorded;
        self.put_lane(lane, now);
        if state.removed || plan_epoch != state.plan_epoch {
            self.mark_dirty(id.index, now);
        }
    }

    /// Hash of the organisations of `scope` that live in the partition; 0 for all.
    fn scope_in(&self, scope: &Scope, partition: PartitionId) -> u64 {
        let Scope::Orgs(orgs) = scope else { return 0 };
        let mut hash = Xxh3::new();
        for org in orgs.iter().filter(|org| self.directory.partition_of(org.as_str()) == partition) {
            hash.update(org.as_str().as_bytes());
            hash.update(b"\n");
        }
        hash.digest()
    }

    fn lane_slot(&mut self) -> LaneId {
        let index = self.free_lanes.pop().unwrap_or_else(|| {
            self.lanes.push(None);
            self.generations.push(0);
            u32::try_from(self.lanes.len() - 1).unwrap_or(u32::MAX)
        });
        LaneId { index, generation: self.next_generation(index) }
    }

    fn next_generation(&mut self, index: u32) -> u32 {
        let Some(generation) = self.generations.get_mut(index as usize) else { return 0 };
        *generation = generation.wrapping_add(1);
        *generation
    }

    fn put_lane(&mut self, lane: Lane, now: Moment) {
        let (index, sink, partition) = (lane.id().index, lane.sink, lane.partition);
        if let Some(slot) = self.lanes.get_mut(index as usize) {
            *slot = Some(lane);
        }
        let scope = self.sink(sink).map_or(0, |row| self.scope_in(&row.spec.scope, partition));
        if let Some(lane) = self.lane_mut(index) {
            lane.scope = scope;
        }
        let Some(row) = self.sink_mut(sink) else { return };
        row.lanes.push(index);
        match row.spec.scope.clone() {
            Scope::All => self.parts_mut(partition).all.push(index),
            Scope::Orgs(orgs) => {
                for org in orgs.iter().filter(|org| self.directory.partition_of(org.as_str()) == partition) {
                    let slot = self.shared.slot(org) as usize;
                    if self.by_org.len() <= slot {
                        self.by_org.resize_with(slot + 1, Default::default);
                    }
                    if let Some(lanes) = self.by_org.get_mut(slot) {
                        lanes.push(index);
                    }
                }
            }
        }
        // It is marked for from now on; what came before it reads by itself.
        self.check_expired(index, now);
        self.offer(index, now);
    }

    /// The sink is no longer configured. Its place is kept and shown until a person confirms.
    fn remove_sink(&mut self, index: u32, now: Moment) {
        for lane in self.sink(index).map(|sink| sink.lanes.clone()).unwrap_or_default() {
            self.drop_stash(lane);
        }
        let Some(sink) = self.sinks.get_mut(index as usize).and_then(Option::take) else { return };
        self.by_id.remove(&sink.id);
        if sink.troubled {
            self.memory.reclassify(sink.charged, false);
        }
        for index in &sink.lanes {
            let Some(lane) = self.lanes.get_mut(*index as usize).and_then(Option::take) else { continue };
            let partition = lane.partition;
            let state = LaneState { removed: true, ..lane.state(&sink) };
            let mut kept = state.clone();
            kept.starts = Some(lane.starts.list());
            self.recovered.insert((sink.id, partition), kept);
            let part = self.parts_mut(partition);
            part.all.retain(|other| other != index);
            part.gone.push(state);
            self.commit_by(partition, now.instant);
            for lanes in &mut self.by_org {
                lanes.retain(|other| other != index);
            }
            self.free_lanes.push(*index);
        }
        tracing::info!(sink = %sink.label, "the sink is no longer configured; its place is kept");
    }

    /// Settings changed: they hold from the next cut or attempt on, the place is kept. Where nothing did, nothing
    /// happens: whoever edits one sink does not make the others probe their destinations.
    fn change_sink(&mut self, index: u32, spec: SinkSpec, now: Moment) {
        let Some(sink) = self.sinks.get_mut(index as usize).and_then(Option::as_mut) else { return };
        if sink.spec.is_same(&spec) {
            return;
        }
        let is_same_plan = sink.spec.plan_epoch == spec.plan_epoch;
        sink.spec = spec;
        // Whoever changed something wants to see at once whether it helps.
        match &mut sink.health {
            Health::Live => {}
            Health::BackingOff { until, .. } | Health::Blocked { until, .. } => *until = now.instant,
        }
        let lanes = sink.lanes.clone();
        if !is_same_plan {
            for lane in &lanes {
                self.renew_lane(*lane, now);
            }
        }
        self.rest(index);
        self.timers.push(Reverse((now.instant, Timer::Sink(index))));
        for lane in lanes {
            self.offer(lane, now);
        }
    }

    /// The plan changed: what is not settled is cut anew, and verdicts on the old cuts are refused.
    fn renew_lane(&mut self, index: u32, now: Moment) {
        self.drop_stash(index);
        let generation = self.next_generation(index);
        let Some(lane) = self.lane_mut(index) else { return };
        lane.ledger.renew(LaneId { index, generation });
        lane.caught_up_at = None;
        lane.job = None;
        if lane.place == Place::Job {
            lane.place = Place::Idle;
        }
        self.mark_dirty(index, now);
    }

    /// A person pauses a sink, or lets it go on.
    pub(super) fn set_paused(&mut self, id: SinkId, paused: bool, now: Moment) -> bool {
        let Some(index) = self.by_id.get(&id).copied() else { return false };
        if let Some(sink) = self.sink_mut(index) {
            sink.paused = paused;
            sink.spec.paused &= paused;
        }
        self.rest(index);
        self.wake_sink(index, now);
        true
    }

    /// A sink that waits for a person holds nothing that was read ahead.
    fn rest(&mut self, index: u32) {
        let Some(sink) = self.sink(index) else { return };
        if sink.is_paused() || matches!(sink.spec.target, Target::Unusable(_)) {
            for lane in sink.lanes.clone() {
                self.drop_stash(lane);
            }
        }
    }

    /// Whether the sink can deliver at all.
    pub(super) fn unusable(sink: &SinkRow) -> Option<&crate::sink::Cause> {
        match &sink.spec.target {
            Target::Ready(_) => None,
            Target::Unusable(cause) => Some(cause),
        }
    }
}
