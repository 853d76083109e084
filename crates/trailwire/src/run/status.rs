//! What the process tells of itself, gathered from journal, owners and lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use api::budget::Budget;
use api::status::{
    JournalStatus, MemoryStatus, OrgText, PartitionStatus, SinkError, SinkState, SinkStatus, Status, StatusSource, Time,
};
use config::Memory;
use flow::PartitionId;
use flow::clock::{Clock, Moment};
use flow::lane::Lanes;
use flow::local::LocalLog;
use flow::log::{LogBackend, Scope};
use flow::segment::SegmentRead;
use flow::status as lanes;
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
            Ok(sinks) => sinks.into_iter().map(sink).collect(),
            Err(error) => {
                tracing::warn!(%error, "the status page has no sinks");
                Vec::new()
            }
        };
        let in_flight = self.lanes.counters().await.map_or(0, |(_, bytes)| bytes);
        let counters = self.log.counters();
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let partitions = (0..u16::try_from(self.reader.partitions()).unwrap_or(u16::MAX))
            .map(|id| PartitionStatus {
                id,
                oldest_row: self.reader.oldest(PartitionId(id)).0.0,
                next_row: self.log.durable_end(PartitionId(id)).0,
                queued_bytes: 0,
                disk_bytes: self.reader.disk_bytes(PartitionId(id)),
            })
            .collect();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            log_id: self.log_id.clone(),
            uptime_seconds: self.clock.now().instant.saturating_duration_since(self.started.instant).as_secs(),
            partitions,
            journal: JournalStatus {
                appends: read(&counters.blocks),
                syncs: read(&counters.syncs),
                bytes: read(&counters.bytes),
                rows: read(&counters.rows),
                duplicates: read(&counters.duplicates),
                id_reused: read(&counters.reused),
                block_rows: api::status::Histogram::default(),
            },
            memory: self.memory(in_flight),
            unknown_members: Vec::new(),
            sinks,
        }
    }

    fn memory(&self, in_flight: usize) -> Vec<MemoryStatus> {
        let part = |part, used: usize, limit: u64| MemoryStatus { part, used_bytes: used as u64, limit_bytes: limit };
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

fn sink(status: lanes::SinkStatus) -> SinkStatus {
    let scope = status.org.clone().map_or(Scope::All, Scope::one);
    SinkStatus {
        org: status.org.map(OrgText),
        name: status.name,
        kind: status.kind.to_owned(),
        state: match status.state {
            lanes::SinkState::Live => SinkState::Live,
            lanes::SinkState::CatchingUp => SinkState::CatchingUp,
            lanes::SinkState::BackingOff => SinkState::BackingOff,
            lanes::SinkState::Blocked => SinkState::Blocked,
            lanes::SinkState::Paused => SinkState::Paused,
            lanes::SinkState::Removed => SinkState::Removed,
        },
        stamped: status.stamped,
        start: status.start,
        delivered: status.counts.delivered,
        filtered: status.counts.filtered,
        grouped: status.counts.grouped,
        dead_lettered: status.counts.dead_lettered,
        discarded: status.counts.discarded,
        expired: status.counts.expired,
        lost: status.counts.lost,
        pending: status.pending,
        pending_bytes: status.pending_bytes,
        open_gaps: status.open_gaps,
        next_attempt: status.next_attempt.map(Time),
        in_flight: status.in_flight,
        retries: status.retries,
        #[allow(clippy::cast_precision_loss, reason = "a lag in milliseconds is far below 2^53")]
        lag_seconds: status.lag_ms as f64 / 1000.0,
        last_success: status.last_success.map(Time),
        last_error: status.last_error.map(|error| SinkError {
            what: error.cause.what,
            remedy: error.cause.remedy,
            code: error.cause.code,
            at: Some(Time(error.at)),
        }),
        scope,
    }
}
