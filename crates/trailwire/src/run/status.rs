//! What the process tells of itself, gathered from journal, owners and lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::budget::Budget;
use api::status::{JournalStatus, MemoryStatus, PartitionStatus, SinkStatus, Status, StatusSource};
use config::Memory;
use flow::PartitionId;
use flow::clock::{Clock, Moment};
use flow::lane::{LaneMemory, Lanes};
use flow::local::LocalLog;
use flow::log::LogBackend;
use flow::segment::SegmentRead;
use futures_util::future::BoxFuture;

/// The numbers of this process.
#[derive(Debug)]
pub(super) struct Source {
    log_id: String,
    lanes: Lanes,
    log: Arc<LocalLog>,
    reader: Arc<journal::Reader>,
    budget: Arc<Budget>,
    limits: Memory,
    clock: Clock,
    started: Moment,
    serving: AtomicBool,
}

impl Source {
    pub(super) fn new(
        log_id: String,
        lanes: Lanes,
        log: Arc<LocalLog>,
        reader: Arc<journal::Reader>,
        budget: Arc<Budget>,
        limits: Memory,
        clock: Clock,
    ) -> Self {
        let started = clock.now();
        Self { log_id, lanes, log, reader, budget, limits, clock, started, serving: AtomicBool::new(false) }
    }

    pub(super) fn enter(&self) {
        self.serving.store(true, Ordering::Release);
    }

    pub(super) fn leave(&self) {
        self.serving.store(false, Ordering::Release);
    }

    async fn gather(&self) -> Status {
        let sinks = match self.lanes.status().await {
            Ok(sinks) => sinks.into_iter().map(SinkStatus::new).collect(),
            Err(error) => {
                tracing::warn!(%error, "the status page has no sinks");
                Vec::new()
            }
        };
        let lanes = self.lanes.memory().await.unwrap_or_default();
        let partitions = (0..u16::try_from(self.reader.partitions()).unwrap_or(u16::MAX))
            .map(|id| PartitionStatus {
                id,
                oldest_row: self.reader.oldest(PartitionId(id)).0.0,
                next_row: self.log.durable_end(PartitionId(id)).0,
                queued_bytes: self.log.queued_bytes_of(PartitionId(id)) as u64,
                disk_bytes: self.reader.disk_bytes(PartitionId(id)),
            })
            .collect();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            log_id: self.log_id.clone(),
            uptime_seconds: self
                .clock
                .now()
                .instant
                .saturating_duration_since(self.started.instant)
                .as_secs(),
            partitions,
            journal: JournalStatus::new(self.log.counters()),
            memory: self.memory(&lanes),
            unknown_members: Vec::new(),
            sinks,
        }
    }

    /// Warns when the tables of the configured sinks take more than their part. They follow from the configuration, so
    /// nothing is refused: what could be is somebody's sink.
    pub(super) async fn check_tables(&self) {
        let Ok(lanes) = self.lanes.memory().await else { return };
        let (used, limit) = (lanes.tables as u64, self.limits.lanes - groups_part(self.limits.lanes));
        if used > limit {
            tracing::warn!(
                used,
                limit,
                "the tables of sinks and lanes are larger than planned: raise memory.lanes"
            );
        }
    }

    fn memory(&self, lanes: &LaneMemory) -> Vec<MemoryStatus> {
        let log = self.log.memory();
        let part = |part, used: usize, limit: u64| MemoryStatus {
            part,
            used_bytes: used as u64,
            limit_bytes: limit,
        };
        // Rows of an HTTP request are charged to it until they are durable; those of files and stdin only wait.
        let ingest = usize::try_from(self.budget.used()).unwrap_or(usize::MAX).max(log.queued);
        vec![
            part("tail", log.tail, self.limits.tail),
            part("in_flight", lanes.in_flight, self.limits.in_flight),
            part("ingest", ingest, self.limits.ingest),
            part("ids", log.owners.ids, self.limits.ids),
            part("lanes", lanes.tables + log.owners.lanes + log.owners.groups, self.limits.lanes),
            part("writers", log.writing, self.limits.writers),
        ]
    }
}

/// The part of `memory.lanes` for open groups.
pub(super) fn groups_part(lanes: u64) -> u64 {
    lanes / 8 * 5
}

impl StatusSource for Source {
    fn status(&self) -> BoxFuture<'_, Status> {
        Box::pin(self.gather())
    }

    fn ready(&self) -> Result<(), String> {
        if self.serving.load(Ordering::Acquire) { Ok(()) } else { Err("starting or stopping".to_owned()) }
    }
}
