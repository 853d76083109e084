//! What the process tells of itself: the one source of numbers behind `/v1/status`, `/metrics` and OTLP.

mod org;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use event::OrgId;
use flow::clock::UnixMillis;
use flow::local::{BLOCK_ROWS, LogCounters};
use flow::log::Scope;
pub use flow::status::SinkState;
use futures_util::future::BoxFuture;
use serde::{Serialize, Serializer};

pub use self::org::{OrgSink, OrgStatus, SharedSink};

/// Gives the numbers of the journal, the memory and the sinks. The product implements it over `flow`.
pub trait StatusSource: Send + Sync + 'static {
    /// The numbers now. Called for each status page and each scrape.
    fn status(&self) -> BoxFuture<'_, Status>;

    /// Whether events are taken. It must not look at any sink: a dead receiver is no reason to send producers away.
    ///
    /// # Errors
    /// What is missing, in words.
    fn ready(&self) -> Result<(), String>;
}

/// The answer of `/v1/status`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// The version of the program.
    pub version: String,
    /// The journal's id.
    pub log_id: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// The journal, partition by partition.
    pub partitions: Vec<PartitionStatus>,
    /// The journal's work since the start, over all partitions.
    pub journal: JournalStatus,
    /// Memory, use by use.
    pub memory: Vec<MemoryStatus>,
    /// Member names of raw events that this version does not know, most of them misspelt.
    pub unknown_members: Vec<UnknownMember>,
    /// Every sink.
    pub sinks: Vec<SinkStatus>,
}

/// One partition.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PartitionStatus {
    /// Its number.
    pub id: u16,
    /// The oldest row that can still be read.
    pub oldest_row: u64,
    /// One past the last durable row.
    pub next_row: u64,
    /// Bytes of events that wait for the owner.
    pub queued_bytes: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
}

/// What the owners did since the start.
#[derive(Debug, Clone, Default, Serialize)]
pub struct JournalStatus {
    /// Blocks with records that were appended.
    pub appends: u64,
    /// Syncs.
    pub syncs: u64,
    /// Bytes appended.
    pub bytes: u64,
    /// Records stored.
    pub rows: u64,
    /// Events that were there already.
    pub duplicates: u64,
    /// Records whose id had come with other content before.
    pub id_reused: u64,
    /// How many records a block holds.
    pub block_rows: Histogram,
}

impl JournalStatus {
    /// From the counters of the owners.
    #[must_use]
    pub fn new(counters: &LogCounters) -> Self {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            appends: read(&counters.blocks),
            syncs: read(&counters.syncs),
            bytes: read(&counters.bytes),
            rows: read(&counters.rows),
            duplicates: read(&counters.duplicates),
            id_reused: read(&counters.reused),
            block_rows: Histogram {
                bounds: BLOCK_ROWS.to_vec(),
                counts: counters.block_rows.iter().map(read).collect(),
                sum: read(&counters.rows),
            },
        }
    }
}

/// Observations in classes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Histogram {
    /// The largest value of each class, ascending; one more class holds what is larger than all.
    pub bounds: Vec<u64>,
    /// How many observations fell into each class, not summed up: one entry more than `bounds`.
    pub counts: Vec<u64>,
    /// The sum of all observations.
    pub sum: u64,
}

/// One part of the memory split.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MemoryStatus {
    /// `tail`, `in_flight`, `ingest`, `ids`, `lanes`, `writers`.
    pub part: &'static str,
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes that may be used.
    pub limit_bytes: u64,
}

/// A member of raw events that nobody reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownMember {
    /// Its name, cut to a bounded length.
    pub name: String,
    /// In how many places it came.
    pub count: u64,
}

/// One sink: the sum of its lanes, and the worst of their states.
///
/// `stamped − start = delivered + filtered + grouped + dead_lettered + discarded + expired + lost + pending`.
#[derive(Debug, Clone, Serialize)]
pub struct SinkStatus {
    /// The organisation that owns it, `null` for the operator's own.
    pub org: Option<OrgText>,
    /// Its name.
    pub name: String,
    /// Its type, such as `splunk_hec`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is doing.
    #[serde(serialize_with = "state_name")]
    pub state: SinkState,
    /// Records of its organisations that were stamped, since the journal began.
    pub stamped: u64,
    /// Those of them that came before the sink was added.
    pub start: u64,
    /// Accepted by the far end.
    pub delivered: u64,
    /// Left out by its filter.
    pub filtered: u64,
    /// Told by a group summary instead.
    pub grouped: u64,
    /// Refused for good and kept.
    pub dead_lettered: u64,
    /// Given up by a person.
    pub discarded: u64,
    /// Removed by retention before delivery.
    pub expired: u64,
    /// Lost by damage that the operator accepted.
    pub lost: u64,
    /// Still to be delivered, counted from the journal.
    pub pending: u64,
    /// Bytes of these records.
    pub pending_bytes: u64,
    /// Attempts that are under way.
    pub in_flight: u64,
    /// Attempts beyond the first of a batch, since the start.
    pub retries: u64,
    /// Gaps that the sink has still to be told of.
    pub open_gaps: u64,
    /// The age of the oldest record that is pending.
    pub lag_seconds: f64,
    /// When the far end accepted something.
    pub last_success: Option<Time>,
    /// What went wrong last; kept after a success.
    pub last_error: Option<SinkError>,
    /// When the next attempt is due, while it backs off or is blocked.
    pub next_attempt: Option<Time>,
    /// Whose records it gets; `None` when that is not known any more.
    #[serde(skip)]
    pub scope: Option<Scope>,
}

impl SinkStatus {
    /// From what the delivery engine says.
    #[must_use]
    pub fn new(sink: flow::status::SinkStatus) -> Self {
        Self {
            scope: sink.scope,
            org: sink.org.map(OrgText),
            name: sink.name,
            kind: sink.kind.to_owned(),
            state: sink.state,
            stamped: sink.stamped,
            start: sink.start,
            delivered: sink.counts.delivered,
            filtered: sink.counts.filtered,
            grouped: sink.counts.grouped,
            dead_lettered: sink.counts.dead_lettered,
            discarded: sink.counts.discarded,
            expired: sink.counts.expired,
            lost: sink.counts.lost,
            pending: sink.pending,
            pending_bytes: sink.pending_bytes,
            in_flight: sink.in_flight,
            retries: sink.retries,
            open_gaps: sink.open_gaps,
            lag_seconds: sink.lag_ms as f64 / 1000.0,
            last_success: sink.last_success.map(Time),
            last_error: sink.last_error.map(|error| SinkError {
                what: error.cause.what,
                remedy: error.cause.remedy,
                code: error.cause.code,
                at: Some(Time(error.at)),
            }),
            next_attempt: sink.next_attempt.map(Time),
        }
    }

    /// Whether both sides of the identity agree.
    #[must_use]
    pub fn balances(&self) -> bool {
        let right = [
            self.delivered,
            self.filtered,
            self.grouped,
            self.dead_lettered,
            self.discarded,
            self.expired,
            self.lost,
            self.pending,
        ];
        self.stamped.checked_sub(self.start) == Some(right.iter().sum())
    }
}

fn state_name<S: Serializer>(state: &SinkState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

/// Why a sink does not deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SinkError {
    /// What happened, in words.
    pub what: String,
    /// What a person can do about it.
    pub remedy: String,
    /// HTTP status or protocol code.
    pub code: Option<u32>,
    /// When.
    pub at: Option<Time>,
}

/// A moment, written as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub UnixMillis);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = event::time::format_ms(self.0.0);
        serializer.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// An organisation's id, written as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrgText(pub OrgId);

impl Serialize for OrgText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}
