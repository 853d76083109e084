//! The numbers of this process by name. Names and labels are closed: no metric exists that is not in [`Metric`].

mod collect;
mod otlp;
mod tally;
#[cfg(test)]
pub(crate) mod tests;
mod text;

pub use self::collect::Signals;
pub use self::otlp::register;
pub use self::tally::{RequestSeconds, Tallies, Tally};
pub(crate) use self::text::{CONTENT_TYPE, render};

/// How a number behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in classes.
    Histogram,
}

macro_rules! metrics {
    ($($variant:ident = $nature:ident $name:literal, $help:literal;)*) => {
        /// Everything that is measured.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $(#[doc = $help] $variant,)*
        }

        impl Metric {
            /// All of them, in the order in which they are written.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it says.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }

            /// How it behaves.
            #[must_use]
            pub const fn nature(self) -> Nature {
                match self { $(Self::$variant => Nature::$nature,)* }
            }
        }
    };
}

metrics! {
    Build = Gauge "trailwire_build_info", "Always 1; the version is a label.";
    Uptime = Gauge "trailwire_uptime_seconds", "Seconds since the start.";
    EventsAccepted = Counter "trailwire_events_accepted_total", "Events that were stored, by source and producer.";
    EventsDuplicate = Counter "trailwire_events_duplicate_total", "Events that the journal already held.";
    EventsRejected = Counter "trailwire_events_rejected_total", "Events that were refused, by code.";
    IngestBytes = Counter "trailwire_ingest_bytes_total", "Bytes of bodies as they came, maybe compressed.";
    IngestRawBytes = Counter "trailwire_ingest_raw_bytes_total", "Bytes of bodies after decompression.";
    Requests = Counter "trailwire_ingest_requests_total", "Requests to the ingest listener, by HTTP status.";
    RequestSeconds = Histogram "trailwire_ingest_request_seconds", "From the end of a request's headers to its answer.";
    UnknownMembers = Counter "trailwire_unknown_members_total", "Members of raw events that this version does not know.";
    JournalAppends = Counter "trailwire_journal_appends_total", "Blocks with records that were appended.";
    JournalSyncs = Counter "trailwire_journal_syncs_total", "Syncs of the journal.";
    JournalBytes = Counter "trailwire_journal_bytes_total", "Bytes appended to the journal.";
    JournalRows = Counter "trailwire_journal_rows_total", "Records appended to the journal.";
    JournalIdReused = Counter "trailwire_journal_id_reused_total", "Records whose id had come with other content before.";
    JournalBlockRows = Histogram "trailwire_journal_block_rows", "Records in one block.";
    PartitionNextRow = Counter "trailwire_partition_next_row", "One past the last durable row of a partition.";
    PartitionOldestRow = Counter "trailwire_partition_oldest_row", "The oldest readable row of a partition.";
    PartitionQueuedBytes = Gauge "trailwire_partition_queued_bytes", "Bytes of events that wait for a partition's owner.";
    PartitionDiskBytes = Gauge "trailwire_partition_disk_bytes", "Bytes that a partition takes on disk.";
    MemoryUsed = Gauge "trailwire_memory_used_bytes", "Memory in use, by part of the split.";
    MemoryLimit = Gauge "trailwire_memory_limit_bytes", "Memory that may be used, by part of the split.";
    Sinks = Gauge "trailwire_sinks", "Sinks, by type and state.";
    SinksUnbalanced = Gauge "trailwire_sinks_unbalanced", "Sinks whose accounting identity does not hold: always 0, or there is a fault in Trailwire.";
    SinkState = Gauge "trailwire_sink_state", "1 for the state that a sink is in.";
    SinkStamped = Counter "trailwire_sink_stamped_total", "Records of a sink's organisations that were stamped.";
    SinkStart = Gauge "trailwire_sink_start", "Those that came before the sink was added.";
    SinkDelivered = Counter "trailwire_sink_delivered_total", "Records that the far end accepted.";
    SinkFiltered = Counter "trailwire_sink_filtered_total", "Records that the sink's filter left out.";
    SinkGrouped = Counter "trailwire_sink_grouped_total", "Records told by a group summary instead.";
    SinkDeadLettered = Counter "trailwire_sink_dead_lettered_total", "Records refused for good and kept.";
    SinkDiscarded = Counter "trailwire_sink_discarded_total", "Records that a person gave up.";
    SinkExpired = Counter "trailwire_sink_expired_total", "Records that retention removed before delivery.";
    SinkLost = Counter "trailwire_sink_lost_total", "Records lost by damage that the operator accepted.";
    SinkPending = Gauge "trailwire_sink_pending", "Records still to be delivered, counted from the journal.";
    SinkInFlight = Gauge "trailwire_sink_in_flight", "Attempts that are under way.";
    SinkRetries = Counter "trailwire_sink_retries_total", "Attempts beyond the first of a batch.";
    SinkPendingBytes = Gauge "trailwire_sink_pending_bytes", "Bytes of the pending records.";
    SinkOpenGaps = Gauge "trailwire_sink_open_gaps", "Gaps that the sink has still to be told of.";
    SinkLag = Gauge "trailwire_sink_lag_seconds", "The age of the oldest pending record.";
    SinkLastSuccess = Gauge "trailwire_sink_last_success_timestamp_seconds", "When the far end accepted something, in seconds since 1970.";
}

/// The label names that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// The version of the program.
    Version,
    /// The route by which events came: `http`, `stdin`, `file`.
    Source,
    /// The producer.
    Producer,
    /// A rejection code.
    Code,
    /// An HTTP status.
    Status,
    /// A partition.
    Partition,
    /// A part of the memory split.
    Part,
    /// The organisation that owns a sink, empty for the operator's, `other` beyond the bound.
    Org,
    /// A sink.
    Sink,
    /// A type of sinks.
    Type,
    /// What a sink is doing.
    State,
}

impl Label {
    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Source => "source",
            Self::Producer => "producer",
            Self::Code => "code",
            Self::Status => "status",
            Self::Partition => "partition",
            Self::Part => "part",
            Self::Org => "org",
            Self::Sink => "sink",
            Self::Type => "type",
            Self::State => "state",
        }
    }
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Of what.
    pub metric: Metric,
    /// Which one.
    pub labels: Vec<(Label, String)>,
    /// How much.
    pub value: Value,
}

/// The value of a [`Sample`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A whole number.
    Int(u64),
    /// A fraction.
    Float(f64),
    /// Observations in classes.
    Histogram {
        /// The largest value of each class, ascending.
        bounds: Vec<f64>,
        /// Observations in each class, one entry more than `bounds`.
        counts: Vec<u64>,
        /// The sum of all observations.
        sum: f64,
    },
}
