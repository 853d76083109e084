//! The log of one machine: owner threads over segments, a tail cache, and a reader.

mod allowance;
mod inbox;
#[cfg(test)]
mod tests;
mod thread;

use std::sync::Arc;
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::allowance::{Allowance, Writers};
use self::inbox::{Inbox, Item};
use crate::block::{Block, Shelf};
use crate::clock::Clock;
use crate::lane_state::{LaneState, LaneStates};
use crate::log::{AppendFault, Extent, LogBackend, OrgSeqs, Position, ReadError, ReadSpec, Scope, Slice};
use crate::orgs::Directory;
use crate::partition::{Owner, OwnerFault, OwnerMemory, OwnerSettings};
use crate::prepared::Prepared;
use crate::segment::{Expired, SegmentIo, SegmentRead};
use crate::tail::Tail;
use crate::units::{PartitionId, Row};

/// Who wants to know what the owners do. Called from owner threads: it must return quickly.
pub trait Observer: Send + Sync + 'static {
    /// A block has become durable and is in the tail cache.
    fn appended(&self, partition: PartitionId, block: &Arc<Block>);
    /// Rows can no longer be read.
    fn expired(&self, partition: PartitionId, expired: Expired);
    /// The owner has failed. Nothing more is acknowledged; the process must stop at once.
    fn failed(&self, fault: &OwnerFault);
}

/// Numbers for metrics, summed over partitions.
#[derive(Debug, Default)]
pub struct LogCounters {
    /// Blocks with records that were written.
    pub blocks: std::sync::atomic::AtomicU64,
    /// Bytes of them.
    pub bytes: std::sync::atomic::AtomicU64,
    /// Records stored.
    pub rows: std::sync::atomic::AtomicU64,
    /// Rows that were duplicates.
    pub duplicates: std::sync::atomic::AtomicU64,
    /// Rows whose id came with other content before.
    pub reused: std::sync::atomic::AtomicU64,
    /// Syncs.
    pub syncs: std::sync::atomic::AtomicU64,
    /// How many blocks had how many records, by the classes of [`BLOCK_ROWS`].
    pub block_rows: [std::sync::atomic::AtomicU64; BLOCK_ROWS.len() + 1],
}

/// The largest number of records of each class of [`LogCounters::block_rows`]; the last class holds larger blocks.
pub const BLOCK_ROWS: [u64; 8] = [1, 10, 30, 100, 300, 1_000, 3_000, 10_000];

impl LogCounters {
    pub(crate) fn count_block_rows(&self, rows: u64) {
        let class = BLOCK_ROWS.iter().position(|most| rows <= *most).unwrap_or(BLOCK_ROWS.len());
        if let Some(count) = self.block_rows.get(class) {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// Memory of blocks that owners keep for their next ones, at most: a few large ones. Not more than a quarter of what
/// they have for writing.
const SHELF: usize = 16 << 20;

/// Sizes of the local log.
#[derive(Debug, Clone, Copy)]
pub struct LocalSettings {
    /// Rows in the duplicate window, over all partitions.
    pub window: usize,
    /// Bytes of the tail cache.
    pub tail_bytes: usize,
    /// Bytes of rows that may wait for the owners or be under way to the disk, over all partitions.
    pub queued_bytes: usize,
    /// Bytes that the owners may be writing at one time, with the memory that they keep for their next blocks.
    pub writer_bytes: usize,
    /// Bytes of open groups, over all partitions.
    pub group_bytes: usize,
    /// Owner threads, at most.
    pub threads: usize,
}

/// The log over the partitions of one machine.
pub struct LocalLog {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    inboxes: Vec<Inbox>,
    wakers: Vec<Arc<inbox::Waker>>,
    allowance: Arc<Allowance>,
    writers: Writers,
    shelf: Arc<Shelf>,
    /// What each owner's state takes, as it was after its last commit.
    owners: Vec<Mutex<OwnerMemory>>,
    tail: Tail,
    reader: Arc<dyn SegmentRead>,
    counters: LogCounters,
}

impl Shared {
    fn note(&self, partition: PartitionId, memory: OwnerMemory) {
        if let Some(noted) = self.owners.get(usize::from(partition.0)) {
            *noted.lock() = memory;
        }
    }
}

/// Bytes of memory, over all partitions.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogMemory {
    /// The tail cache.
    pub tail: usize,
    /// Rows that are not durable yet.
    pub queued: usize,
    /// Blocks that are being written, and memory that is kept for the next ones.
    pub writing: usize,
    /// The owners' state.
    pub owners: OwnerMemory,
}

impl std::fmt::Debug for LocalLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalLog").field("partitions", &self.shared.inboxes.len()).finish_non_exhaustive()
    }
}

/// An opened log and what its journal knew of the lanes.
#[derive(Debug)]
pub struct Opened {
    /// The log.
    pub log: Arc<LocalLog>,
    /// The last recorded lane states, by partition.
    pub lanes: Vec<(PartitionId, Vec<LaneState>)>,
}

/// Owners that are restored and do not run yet: lanes are built from their state before the first append.
#[derive(Debug)]
pub struct Restored {
    owners: Vec<Owner>,
    directory: Arc<Directory>,
    settings: LocalSettings,
}

impl Restored {
    /// Restores every partition, one thread each, as many at a time as owner threads are allowed.
    ///
    /// # Errors
    /// The first [`OwnerFault`].
    pub fn open(
        partitions: Vec<Box<dyn SegmentIo>>,
        directory: Arc<Directory>,
        settings: LocalSettings,
        clock: &Clock,
    ) -> Result<Self, OwnerFault> {
        let count = u16::try_from(partitions.len()).unwrap_or(u16::MAX);
        let owner_settings = OwnerSettings::share_of(count, settings.window, settings.group_bytes);
        let mut work: Vec<(PartitionId, Box<dyn SegmentIo>)> =
            (0u16..).map(PartitionId).zip(partitions).collect();
        let mut owners = Vec::with_capacity(work.len());
        while !work.is_empty() {
            let rest = work.split_off(settings.threads.max(1).min(work.len()));
            let batch = std::mem::replace(&mut work, rest);
            let results: Vec<Result<Owner, OwnerFault>> = std::thread::scope(|scope| {
                let handles: Vec<_> = batch
                    .into_iter()
                    .map(|(id, io)| {
                        let directory = Arc::clone(&directory);
                        scope.spawn(move || Owner::open(id, io, directory, owner_settings, clock.now()))
                    })
                    .collect();
                handles
                    .into_iter()
                    .map(|handle| match handle.join() {
                        Ok(result) => result,
                        Err(panic) => std::panic::resume_unwind(panic),
                    })
                    .collect()
            });
            for owner in results {
                owners.push(owner?);
            }
        }
        Ok(Self { owners, directory, settings })
    }

    /// Starts the owner threads.
    ///
    /// # Errors
    /// When the system gives no thread; those that run end again.
    pub fn start(
        self,
        reader: Arc<dyn SegmentRead>,
        clock: &Clock,
        observer: &Arc<dyn Observer>,
    ) -> std::io::Result<Opened> {
        let lanes =
            self.owners.iter().map(|owner| (owner.id(), owner.lane_states().cloned().collect())).collect();
        let ends: Vec<Row> = self.owners.iter().map(Owner::next_row).collect();
        let threads = self.settings.threads.clamp(1, self.owners.len().max(1));
        let wakers: Vec<Arc<inbox::Waker>> =
            (0..threads).map(|_| Arc::new(inbox::Waker::default())).collect();
        let allowance = Arc::new(Allowance::new(self.settings.queued_bytes));
        let kept = SHELF.min(self.settings.writer_bytes / 4);
        let shared = Arc::new(Shared {
            inboxes: (0..self.owners.len()).map(|_| Inbox::new(Arc::clone(&allowance))).collect(),
            wakers,
            allowance,
            writers: Writers::new(self.settings.writer_bytes - kept),
            shelf: Shelf::new(kept),
            owners: (0..self.owners.len()).map(|_| Mutex::default()).collect(),
            tail: Tail::new(self.directory, &ends, self.settings.tail_bytes),
            reader,
            counters: LogCounters::default(),
        });
        let mut sets: Vec<Vec<Owner>> = (0..threads).map(|_| Vec::new()).collect();
        for (at, mut owner) in self.owners.into_iter().enumerate() {
            owner.share(&shared.shelf);
            if let Some(set) = sets.get_mut(at % threads) {
                set.push(owner);
            }
        }
        let log = Arc::new(LocalLog { shared: Arc::clone(&shared), threads: Mutex::default() });
        for (at, owners) in sets.into_iter().enumerate() {
            match thread::spawn(at, owners, Arc::clone(&shared), clock.clone(), Arc::clone(observer)) {
                Ok(handle) => log.threads.lock().push(handle),
                Err(error) => {
                    log.shut_down();
                    return Err(error);
                }
            }
        }
        Ok(Opened { log, lanes })
    }
}

impl LocalLog {
    /// Numbers for metrics.
    #[must_use]
    pub fn counters(&self) -> &LogCounters {
        &self.shared.counters
    }

    /// What takes how much memory.
    #[must_use]
    pub fn memory(&self) -> LogMemory {
        let mut owners = OwnerMemory::default();
        for noted in &self.shared.owners {
            owners.add(&noted.lock());
        }
        LogMemory {
            tail: self.shared.tail.bytes(),
            queued: self.shared.allowance.used(),
            writing: self.shared.writers.used() + self.shared.shelf.bytes(),
            owners,
        }
    }

    /// Bytes of one partition's rows that are not durable yet.
    #[must_use]
    pub fn queued_bytes_of(&self, partition: PartitionId) -> usize {
        self.shared.inboxes.get(usize::from(partition.0)).map_or(0, Inbox::bytes)
    }

    /// Commits what has queued, writes the watermark and ends the owner threads. Later appends get
    /// [`AppendFault::Stopped`]. Blocks; call it off the runtime's threads.
    pub fn shut_down(&self) {
        for inbox in &self.shared.inboxes {
            inbox.close();
        }
        for waker in &self.shared.wakers {
            waker.wake();
        }
        for thread in self.threads.lock().drain(..) {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }

    fn queue(&self, partition: PartitionId, item: Item) -> Result<(), AppendFault> {
        let index = usize::from(partition.0);
        let inbox = self.shared.inboxes.get(index).ok_or(AppendFault::Stopped(partition))?;
        inbox.push(item).map_err(|full| match full {
            inbox::PushError::Full => AppendFault::Busy(partition),
            inbox::PushError::Closed => AppendFault::Stopped(partition),
        })?;
        if let Some(waker) = self.shared.wakers.get(index % self.shared.wakers.len().max(1)) {
            waker.wake();
        }
        Ok(())
    }

    fn ask<T: Send + 'static>(
        &self,
        partition: PartitionId,
        item: impl FnOnce(oneshot::Sender<T>) -> Item,
    ) -> BoxFuture<'static, Result<T, AppendFault>> {
        let (reply, answer) = oneshot::channel();
        let queued = self.queue(partition, item(reply));
        Box::pin(async move {
            queued?;
            // A reply that is dropped comes from an owner that failed.
            answer.await.map_err(|_| AppendFault::Stopped(partition))
        })
    }
}

impl LogBackend for LocalLog {
    fn append(
        &self,
        partition: PartitionId,
        rows: Prepared,
    ) -> BoxFuture<'static, Result<Position, AppendFault>> {
        let asked = self.ask(partition, |reply| Item::Rows(rows, reply));
        Box::pin(async move { asked.await? })
    }

    fn record(
        &self,
        partition: PartitionId,
        states: LaneStates,
    ) -> BoxFuture<'static, Result<Position, AppendFault>> {
        let asked = self.ask(partition, |reply| Item::States(states, reply));
        Box::pin(async move { asked.await? })
    }

    fn read(&self, spec: ReadSpec) -> BoxFuture<'static, Result<Slice, ReadError>> {
        if let Some(slice) = self.shared.tail.read(&spec) {
            return Box::pin(std::future::ready(Ok(slice)));
        }
        let reader = Arc::clone(&self.shared.reader);
        Box::pin(async move {
            let read = move || reader.read(spec.partition, spec.from, &spec.scope, spec.max_bytes);
            match tokio::task::spawn_blocking(read).await {
                Ok(result) => result,
                Err(error) => Err(ReadError::Io(std::io::Error::other(error))),
            }
        })
    }

    fn read_tail(&self, spec: &ReadSpec) -> Option<Slice> {
        self.shared.tail.read(spec)
    }

    fn extent(&self, partition: PartitionId, scope: &Scope, from: Row) -> Extent {
        self.shared.reader.extent(partition, scope, from)
    }

    fn oldest(&self, partition: PartitionId) -> (Row, crate::log::GapReason) {
        self.shared.reader.oldest(partition)
    }

    fn durable_end(&self, partition: PartitionId) -> Row {
        self.shared.tail.end(partition)
    }

    fn org_seqs(
        &self,
        partition: PartitionId,
        scope: Scope,
    ) -> BoxFuture<'static, Result<OrgSeqs, AppendFault>> {
        self.ask(partition, |reply| Item::OrgSeqs(scope, reply))
    }
}
