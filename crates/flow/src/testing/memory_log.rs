//! A log in memory on one thread: real owners over [`MemorySegments`] and a real tail cache, without owner threads, so
//! that a test with a paused clock is deterministic.

use std::sync::Arc;

use event::Kind;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::segments::MemorySegments;
use crate::clock::Clock;
use crate::lane::Notify;
use crate::lane_state::{LaneState, LaneStates};
use crate::log::{
    AppendFault, Extent, GapReason, LogBackend, OrgSeqs, Position, ReadError, ReadSpec, Scope, Slice,
};
use crate::orgs::Directory;
use crate::partition::{Owner, OwnerSettings, Queued};
use crate::prepared::{Prepared, PreparedRow};
use crate::segment::SegmentRead;
use crate::tail::Tail;
use crate::units::{PartitionId, Row};

/// The log.
pub struct MemoryLog {
    owners: Vec<Mutex<Owner>>,
    tail: Tail,
    reader: Arc<dyn SegmentRead>,
    directory: Arc<Directory>,
    notify: Notify,
    clock: Clock,
}

impl std::fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLog").field("partitions", &self.owners.len()).finish_non_exhaustive()
    }
}

/// The lane states that each partition holds.
pub type Recovered = Vec<(PartitionId, Vec<LaneState>)>;

impl MemoryLog {
    /// Opens the partitions of `disk` as a new process would; gives the lane states that they hold.
    ///
    /// # Errors
    /// The first partition that cannot be restored.
    pub fn open(
        disk: &MemorySegments,
        directory: &Arc<Directory>,
        notify: Notify,
        clock: &Clock,
        tail_bytes: usize,
    ) -> Result<(Arc<Self>, Recovered), crate::partition::OwnerFault> {
        let settings = OwnerSettings { window: 1 << 12, groups: 1 << 12 };
        let mut owners = Vec::new();
        let mut lanes = Vec::new();
        let mut ends = Vec::new();
        for (number, io) in (0u16..).zip(disk.open()) {
            let id = PartitionId(number);
            let owner = Owner::open(id, io, Arc::clone(directory), settings, clock.now())?;
            lanes.push((id, owner.lane_states().cloned().collect()));
            ends.push(owner.next_row());
            owners.push(Mutex::new(owner));
        }
        let log = Self {
            owners,
            tail: Tail::new(Arc::clone(directory), &ends, tail_bytes),
            reader: disk.reader(),
            directory: Arc::clone(directory),
            notify,
            clock: clock.clone(),
        };
        Ok((Arc::new(log), lanes))
    }

    /// Appends `count` records of about `bytes` bytes for one organisation, in one block.
    ///
    /// # Errors
    /// [`AppendFault`].
    pub fn put(&self, org: &str, count: u32, bytes: usize) -> Result<Position, AppendFault> {
        self.put_all(&[(org, count)], bytes)
    }

    /// Appends records for several organisations of one partition, in one block.
    ///
    /// # Errors
    /// [`AppendFault`].
    pub fn put_all(&self, orgs: &[(&str, u32)], bytes: usize) -> Result<Position, AppendFault> {
        let mut prepared = Prepared::default();
        let mut partition = PartitionId(0);
        for (org, count) in orgs {
            let entry = self.directory.resolve(org).map_err(|_| AppendFault::Busy(partition))?;
            partition = entry.partition;
            let first = self.owner(partition)?.lock().next_row().0 + prepared.rows.len() as u64;
            for id in first..first + u64::from(*count) {
                let mut tail = format!("\"id\":\"{}-{id}\",\"org_id\":\"{org}\",\"pad\":\"", partition.0);
                tail.extend(std::iter::repeat_n('x', bytes.saturating_sub(tail.len() + 24)));
                tail.push_str("\"}");
                prepared.rows.push(PreparedRow {
                    org: entry.key,
                    offset: u32::try_from(prepared.arena.len()).unwrap_or(u32::MAX),
                    len: u32::try_from(tail.len()).unwrap_or(u32::MAX),
                    line: 1,
                    dedupe: u128::from(id) + 1,
                    content: id,
                    time_ms: self.clock.now().wall.0,
                    app: 0,
                    group: 0,
                    status: 200,
                    kind: Kind::ApiCall,
                });
                prepared.arena.extend_from_slice(tail.as_bytes());
            }
        }
        self.commit(partition, vec![Queued { rows: prepared, reply: () }], Vec::new())
    }

    /// Bytes in the tail cache.
    #[must_use]
    pub fn tail_bytes(&self) -> usize {
        self.tail.bytes()
    }

    /// Applies retention now, as [`MemorySegments::keep_segments`] has set it.
    ///
    /// # Errors
    /// [`AppendFault`].
    pub fn maintain(&self, partition: PartitionId) -> Result<(), AppendFault> {
        let expired = self.owner(partition)?.lock().maintain(self.clock.now());
        if let Some(expired) = expired.map_err(|_| AppendFault::Stopped(partition))? {
            self.notify.expired(partition, expired.rows.end);
        }
        Ok(())
    }

    /// The lane states that a restart would find.
    #[must_use]
    pub fn lane_states(&self) -> Vec<LaneState> {
        self.owners.iter().flat_map(|owner| owner.lock().lane_states().cloned().collect::<Vec<_>>()).collect()
    }

    fn owner(&self, partition: PartitionId) -> Result<&Mutex<Owner>, AppendFault> {
        self.owners.get(usize::from(partition.0)).ok_or(AppendFault::Stopped(partition))
    }

    fn commit(
        &self,
        partition: PartitionId,
        batches: Vec<Queued<()>>,
        states: Vec<LaneStates>,
    ) -> Result<Position, AppendFault> {
        let mut owner = self.owner(partition)?.lock();
        let done =
            owner.commit(batches, states, self.clock.now()).map_err(|_| AppendFault::Stopped(partition))?;
        let position = Position { end: owner.tip(), next_row: owner.next_row(), accepted: 0, duplicates: 0 };
        if owner.is_full() {
            owner.maintain(self.clock.now()).map_err(|_| AppendFault::Stopped(partition))?;
        }
        drop(owner);
        if let Some(block) = done.block {
            self.tail.push(partition, Arc::clone(&block), done.orgs.into_boxed_slice());
            self.notify.appended(partition, &block);
        }
        match done.answers.into_iter().next() {
            Some(((), answer)) => answer,
            None => done.recorded.map(|()| position).map_err(AppendFault::Refused),
        }
    }
}

impl LogBackend for MemoryLog {
    fn append(
        &self,
        partition: PartitionId,
        rows: Prepared,
    ) -> BoxFuture<'static, Result<Position, AppendFault>> {
        let result = self.commit(partition, vec![Queued { rows, reply: () }], Vec::new());
        Box::pin(std::future::ready(result))
    }

    fn record(
        &self,
        partition: PartitionId,
        states: LaneStates,
    ) -> BoxFuture<'static, Result<Position, AppendFault>> {
        Box::pin(std::future::ready(self.commit(partition, Vec::new(), vec![states])))
    }

    fn read(&self, spec: ReadSpec) -> BoxFuture<'static, Result<Slice, ReadError>> {
        let slice = match self.tail.read(&spec) {
            Some(slice) => Ok(slice),
            None => self.reader.read(spec.partition, spec.from, &spec.scope, spec.max_bytes),
        };
        Box::pin(std::future::ready(slice))
    }

    fn read_tail(&self, spec: &ReadSpec) -> Option<Slice> {
        self.tail.read(spec)
    }

    fn extent(&self, partition: PartitionId, scope: &Scope, from: Row) -> Extent {
        self.reader.extent(partition, scope, from)
    }

    fn org_seqs(
        &self,
        partition: PartitionId,
        scope: Scope,
    ) -> BoxFuture<'static, Result<OrgSeqs, AppendFault>> {
        let answer = self.owner(partition).map(|owner| {
            let owner = owner.lock();
            (owner.next_row(), owner.org_seqs(&scope))
        });
        Box::pin(std::future::ready(answer))
    }

    fn oldest(&self, partition: PartitionId) -> (Row, GapReason) {
        self.reader.oldest(partition)
    }

    fn durable_end(&self, partition: PartitionId) -> Row {
        self.tail.end(partition)
    }
}
