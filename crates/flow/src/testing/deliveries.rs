//! Deliveries for the tests of connectors, made as a lane makes them but from given records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use event::{Kind, OrgId};
use smallvec::smallvec;

use crate::block::{Block, Place, RowFacts, RowsBuilder};
use crate::clock::{Clock, Instant, UnixMillis};
use crate::lane_starts::Starts;
use crate::log::Piece;
use crate::sink::{Abandon, Delivery, GapRecord, LaneId, Rows, Settled, Ticket, TicketId, Verdict};
use crate::units::{LogPos, PartitionId, Row, RowRange, Seq};

/// The records of one delivery: runs of organisations, one after the other.
#[derive(Debug, Default)]
pub struct Batch {
    runs: Vec<Run>,
    starts: BTreeMap<OrgId, Seq>,
    replay: bool,
    gap: Option<GapRecord>,
    at: Option<Instant>,
}

#[derive(Debug)]
struct Run {
    org: String,
    first_seq: u64,
    records: Vec<(i64, Vec<u8>)>,
}

impl Batch {
    /// Without records yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The records that follow are of `org`, numbered densely from `first_seq`.
    #[must_use]
    pub fn org(mut self, org: &str, first_seq: u64) -> Self {
        self.runs.push(Run { org: org.to_owned(), first_seq, records: Vec::new() });
        self
    }

    /// A whole record with the event's time in milliseconds.
    #[must_use]
    pub fn record(mut self, time_ms: i64, record: impl Into<Vec<u8>>) -> Self {
        if let Some(run) = self.runs.last_mut() {
            run.records.push((time_ms, record.into()));
        }
        self
    }

    /// The lane got its first record of `org` at `seq`.
    #[must_use]
    pub fn started(mut self, org: OrgId, seq: u64) -> Self {
        self.starts.insert(org, Seq(seq));
        self
    }

    /// The lane replays: no record states its predecessor.
    #[must_use]
    pub fn replay(mut self) -> Self {
        self.replay = true;
        self
    }

    /// The delivery begins with this gap.
    #[must_use]
    pub fn gap(mut self, gap: GapRecord) -> Self {
        self.gap = Some(gap);
        self
    }

    /// The attempt starts at this moment; when the delivery is made if nothing is said.
    #[must_use]
    pub fn at(mut self, instant: Instant) -> Self {
        self.at = Some(instant);
        self
    }

    /// The rows alone, for encoders.
    #[must_use]
    pub fn rows(&self) -> Rows {
        let records = || self.runs.iter().flat_map(|run| &run.records);
        let count = records().count();
        let names = self.runs.iter().map(|run| run.org.len()).sum();
        let mut builder = RowsBuilder::new(Vec::new(), self.runs.len(), count, names, 0);
        for run in &self.runs {
            builder.run(&run.org, run.first_seq, u32::try_from(run.records.len()).unwrap_or(u32::MAX));
            for (time_ms, record) in &run.records {
                builder.row(&[], record, &facts(*time_ms));
            }
        }
        let place = Place {
            epoch: 1,
            pos: LogPos(0),
            durable_upto: LogPos(0),
            index: 0,
            base_row: Row(1_000),
            written_at: UnixMillis(0),
        };
        let block = Block::trusted(&Bytes::from(builder.finish(&place)));
        let rows = 0..u32::try_from(count).unwrap_or(u32::MAX);
        let starts: Vec<_> = self.starts.iter().map(|(org, seq)| (org.clone(), *seq)).collect();
        let gap_bytes = self.gap.as_ref().map_or(0, |gap| gap.record.len());
        Rows {
            pieces: block.map_or_else(
                || smallvec![],
                |block| smallvec![Piece { block: Arc::new(block), rows: smallvec![rows] }],
            ),
            starts: Arc::new(if self.replay { Starts::replay() } else { Starts::new(&starts) }),
            gap: self.gap.clone().map(Arc::new),
            count: count as u64 + u64::from(self.gap.is_some()),
            bytes: records().map(|(_, record)| record.len()).sum::<usize>() + gap_bytes,
            spans: smallvec![],
            name: None,
        }
    }

    /// A delivery of these rows, and what watches it.
    pub fn delivery(&self) -> (Delivery, Watch) {
        let rows = self.rows();
        let watch = Watch(Arc::default());
        let range = RowRange { start: Row(1_000), end: Row(1_000 + rows.count) };
        let id = TicketId { lane: LaneId { index: 0, generation: 0 }, rows: range, number: 1 };
        let home: Arc<dyn Abandon> = Arc::new(watch.clone());
        let delivery = Delivery {
            rows,
            ticket: Ticket { id, home: Some(home) },
            delivery_id: 0x00d1_0000_0000_0000_0000_0000_0000_0042,
            partition: PartitionId(0),
            attempt: 1,
            started: self.at.unwrap_or_else(|| Clock::system().now().instant),
        };
        (delivery, watch)
    }
}

fn facts(time_ms: i64) -> RowFacts {
    RowFacts {
        kind: Kind::ApiCall,
        flags: 0,
        status: 0,
        time_ms,
        app: 0,
        content: 0,
        dedupe: 0,
        group: 0,
        group_first_seq: 0,
    }
}

/// Sees whether a delivery was dropped without a verdict.
#[derive(Debug, Clone)]
pub struct Watch(Arc<AtomicBool>);

impl Watch {
    /// Whether it was.
    #[must_use]
    pub fn abandoned(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Abandon for Watch {
    fn abandoned(&self, _: TicketId) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Takes the verdict out of a settled delivery, as the lane does.
#[must_use]
pub fn verdict_of(mut settled: Settled) -> Verdict {
    // The lane has it: this is not an abandoned delivery.
    settled.ticket.home = None;
    settled.verdict
}
