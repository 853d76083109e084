//! From counters and status to samples.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{Label, Metric, Sample, Tallies, Value};
use crate::status::{SinkState, SinkStatus, Status, StatusSource};

/// Sinks that have series of their own, at most. The others are summed up by type under `org="other"`, so that a
/// large installation does not drown its Prometheus.
const SINKS: usize = 1000;

/// The numbers of this process.
pub struct Signals {
    tallies: Arc<Tallies>,
    source: Arc<dyn StatusSource>,
    latest: ArcSwap<Vec<Sample>>,
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signals").field("latest", &self.latest.load().len()).finish_non_exhaustive()
    }
}

impl Signals {
    /// Numbers of the intake and of everything behind it.
    #[must_use]
    pub fn new(tallies: Arc<Tallies>, source: Arc<dyn StatusSource>) -> Arc<Self> {
        Arc::new(Self { tallies, source, latest: ArcSwap::default() })
    }

    /// The status with what the intake knows.
    pub async fn status(&self) -> Status {
        let mut status = self.source.status().await;
        status.unknown_members = self.tallies.unknown_members();
        status
    }

    /// Whether events are taken.
    pub(crate) fn ready(&self) -> Result<(), String> {
        self.source.ready()
    }

    /// Takes all numbers anew. OTLP exports what was taken last: call this before each export.
    pub async fn collect(&self) -> Arc<Vec<Sample>> {
        let status = self.source.status().await;
        let mut out = Samples(Vec::new());
        out.process(&status);
        out.intake(&self.tallies);
        out.journal(&status);
        out.sinks(&status.sinks);
        let samples = Arc::new(out.0);
        self.latest.store(Arc::clone(&samples));
        samples
    }

    /// What [`Signals::collect`] took last.
    #[must_use]
    pub fn latest(&self) -> Arc<Vec<Sample>> {
        self.latest.load_full()
    }
}

struct Samples(Vec<Sample>);

impl Samples {
    fn put(&mut self, metric: Metric, labels: &[(Label, &str)], value: Value) {
        let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
        self.0.push(Sample { metric, labels, value });
    }

    fn int(&mut self, metric: Metric, labels: &[(Label, &str)], value: u64) {
        self.put(metric, labels, Value::Int(value));
    }

    fn process(&mut self, status: &Status) {
        self.int(Metric::Build, &[(Label::Version, &status.version)], 1);
        self.int(Metric::Uptime, &[], status.uptime_seconds);
        for part in &status.memory {
            self.int(Metric::MemoryUsed, &[(Label::Part, part.part)], part.used_bytes);
            self.int(Metric::MemoryLimit, &[(Label::Part, part.part)], part.limit_bytes);
        }
    }

    fn intake(&mut self, tallies: &Tallies) {
        for (source, producer, tally) in tallies.all() {
            let labels = [(Label::Source, source), (Label::Producer, producer.as_str())];
            self.int(Metric::EventsAccepted, &labels, tally.accepted());
            self.int(Metric::EventsDuplicate, &labels, tally.duplicates());
            self.int(Metric::IngestBytes, &labels, tally.bytes());
            self.int(Metric::IngestRawBytes, &labels, tally.raw_bytes());
            let [source, producer] = labels;
            for (code, count) in tally.rejections() {
                self.int(Metric::EventsRejected, &[source, producer, (Label::Code, code.name())], count);
            }
        }
        for (status, count) in tallies.requests() {
            self.int(Metric::Requests, &[(Label::Status, &status.to_string())], count);
        }
        self.put(Metric::RequestSeconds, &[], tallies.seconds.value());
        self.int(Metric::UnknownMembers, &[], tallies.unknown_total());
    }

    fn journal(&mut self, status: &Status) {
        let journal = &status.journal;
        self.int(Metric::JournalAppends, &[], journal.appends);
        self.int(Metric::JournalSyncs, &[], journal.syncs);
        self.int(Metric::JournalBytes, &[], journal.bytes);
        self.int(Metric::JournalRows, &[], journal.rows);
        self.int(Metric::JournalIdReused, &[], journal.id_reused);
        if !journal.block_rows.counts.is_empty() {
            let rows = &journal.block_rows;
            let bounds = rows.bounds.iter().map(|bound| *bound as f64).collect();
            let value = Value::Histogram { bounds, counts: rows.counts.clone(), sum: rows.sum as f64 };
            self.put(Metric::JournalBlockRows, &[], value);
        }
        for partition in &status.partitions {
            let id = partition.id.to_string();
            let labels = [(Label::Partition, id.as_str())];
            self.int(Metric::PartitionNextRow, &labels, partition.next_row);
            self.int(Metric::PartitionOldestRow, &labels, partition.oldest_row);
            self.int(Metric::PartitionQueuedBytes, &labels, partition.queued_bytes);
            self.int(Metric::PartitionDiskBytes, &labels, partition.disk_bytes);
        }
    }

    fn sinks(&mut self, sinks: &[SinkStatus]) {
        let mut states: BTreeMap<(&str, SinkState), u64> = BTreeMap::new();
        for sink in sinks {
            *states.entry((sink.kind.as_str(), sink.state)).or_default() += 1;
        }
        for ((kind, state), count) in states {
            self.int(Metric::Sinks, &[(Label::Type, kind), (Label::State, state.name())], count);
        }
        let unbalanced = sinks.iter().filter(|sink| !sink.balances()).count();
        self.int(Metric::SinksUnbalanced, &[], unbalanced as u64);

        // The operator's own sinks come first: `None` sorts before every organisation.
        let mut order: Vec<&SinkStatus> = sinks.iter().collect();
        order.sort_by(|a, b| (&a.org, &a.name).cmp(&(&b.org, &b.name)));
        let (own, rest) = order.split_at(order.len().min(SINKS));
        for sink in own {
            let org = sink.org.as_ref().map_or("", |org| org.0.as_str());
            self.sink(org, &sink.name, &sink.kind, &Terms::of(sink));
            let labels =
                [(Label::Org, org), (Label::Sink, sink.name.as_str()), (Label::State, sink.state.name())];
            self.int(Metric::SinkState, &labels, 1);
        }
        let mut others: BTreeMap<&str, Terms> = BTreeMap::new();
        for sink in rest {
            others.entry(&sink.kind).or_default().add(&Terms::of(sink));
        }
        for (kind, terms) in others {
            self.sink("other", "other", kind, &terms);
        }
    }

    fn sink(&mut self, org: &str, name: &str, kind: &str, terms: &Terms) {
        let labels = [(Label::Org, org), (Label::Sink, name), (Label::Type, kind)];
        for (metric, value) in terms.counts {
            self.int(metric, &labels, value);
        }
        self.put(Metric::SinkLag, &labels, Value::Float(terms.lag));
        if let Some(at) = terms.last_success {
            self.put(Metric::SinkLastSuccess, &labels, Value::Float(at));
        }
    }
}

/// What one series set says of one sink, or of many.
struct Terms {
    counts: [(Metric, u64); 14],
    lag: f64,
    last_success: Option<f64>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            counts: [
                (Metric::SinkStamped, 0),
                (Metric::SinkStart, 0),
                (Metric::SinkDelivered, 0),
                (Metric::SinkFiltered, 0),
                (Metric::SinkGrouped, 0),
                (Metric::SinkDeadLettered, 0),
                (Metric::SinkDiscarded, 0),
                (Metric::SinkExpired, 0),
                (Metric::SinkLost, 0),
                (Metric::SinkPending, 0),
                (Metric::SinkInFlight, 0),
                (Metric::SinkRetries, 0),
                (Metric::SinkPendingBytes, 0),
                (Metric::SinkOpenGaps, 0),
            ],
            lag: 0.0,
            last_success: None,
        }
    }
}

impl Terms {
    fn of(sink: &SinkStatus) -> Self {
        let mut terms = Self::default();
        let values = [
            sink.stamped,
            sink.start,
            sink.delivered,
            sink.filtered,
            sink.grouped,
            sink.dead_lettered,
            sink.discarded,
            sink.expired,
            sink.lost,
            sink.pending,
            sink.in_flight,
            sink.retries,
            sink.pending_bytes,
            sink.open_gaps,
        ];
        for ((_, count), value) in terms.counts.iter_mut().zip(values) {
            *count = value;
        }
        terms.lag = sink.lag_seconds;
        terms.last_success = sink.last_success.map(|time| time.0.0 as f64 / 1000.0);
        terms
    }

    /// Sums the counts; of lag and success the worst stands.
    fn add(&mut self, other: &Self) {
        for ((_, count), (_, more)) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.lag = self.lag.max(other.lag);
        self.last_success = match (self.last_success, other.last_success) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}
