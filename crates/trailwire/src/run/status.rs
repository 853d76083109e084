//! What the process tells of itself, gathered from journal, owners and lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::budget::Budget;
use api::status::{JournalStatus, MemoryStatus, PartitionStatus, SinkStatus, Status, StatusSource};
use config::Memory;
use flow::PartitionId;
use flow::clock::{Clock, Moment};
use flow::lane::Lanes;
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
        let in_flight = self.lanes.counters().await.map_or(0, |(_, bytes)| bytes);
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
            memory: self.memory(in_flight),
            unknown_members: Vec::new(),
            sinks,
        }
    }

    fn memory(&self, in_flight: usize) -> Vec<MemoryStatus> {
        let part = |part, used: usize, limit: u64| MemoryStatus {
            part,
            used_bytes: used as u64,
            limit_bytes: limit,
        };
        vec![
            part("tail", self.log.tail_bytes(), self.limits.tail),
            part("in_flight", in_flight, self.limits.in_flight),
            part("ingest", usize::try_from(self.budget.used()).unwrap_or(usize::MAX), self.limits.ingest),
            part("writers", self.log.queued_bytes(), self.limits.writers),
        ]
    }
}

impl StatusSource for Source {
    fn status(&self) -> BoxFuture<'_, Status> {
        Box::pin(self.gather())
    }

    fn ready(&self) -> Result<(), String> {
        if self.serving.load(Ordering::Acquire) { Ok(()) } else { Err("starting or stopping".to_owned()) }
    }
}
