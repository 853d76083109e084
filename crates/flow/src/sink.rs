//! What a connector sees: a [`Delivery`] to send, and the verdict to give back.
//!
//! A delivery can be settled once, by value; a delivery that is dropped counts as *not delivered*.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use smallvec::SmallVec;

use crate::clock::Instant;
use crate::log::Piece;
use crate::units::{PartitionId, Row, RowRange, Seq};

/// How a sink wants its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchShape {
    /// Records in a batch, at most.
    pub max_events: u32,
    /// Bytes of a batch as sent and before compression, at most.
    pub max_bytes: usize,
    /// Bytes that the encoding adds to each record, at most, so that a cut keeps to `max_bytes`.
    pub overhead: usize,
}

/// One record (or gap) of a delivery.
#[derive(Debug, Clone, Copy)]
pub struct RowView<'a> {
    /// The organisation.
    pub org: &'a str,
    /// The number within the organisation; `None` for a gap or heartbeat.
    pub seq: Option<Seq>,
    /// The seq of the previous record that this sink was given of that organisation: `Some(None)` on the first one,
    /// `None` when the lane does not state it (replay).
    pub prev_seq: Option<Option<Seq>>,
    /// The row in the partition.
    pub row: Row,
    /// The event's time, milliseconds since 1970.
    pub time_ms: i64,
    /// The record: canonical JSON, an object.
    pub record: &'a [u8],
}

/// What a delivery carries.
#[derive(Debug, Clone)]
pub struct Rows {
    pub(crate) pieces: SmallVec<[Piece; 2]>,
    pub(crate) starts: Arc<crate::lane_starts::Starts>,
    pub(crate) gap: Option<Arc<GapRecord>>,
    pub(crate) count: u64,
    pub(crate) bytes: usize,
    /// The rows of `pieces` once those are released.
    pub(crate) spans: SmallVec<[RowRange; 2]>,
    /// Which record it is, once it is released, if it is one.
    pub(crate) name: Option<Box<str>>,
}

/// A gap as it is told to a sink: a record of its own without `seq`.
#[derive(Debug, Clone)]
pub struct GapRecord {
    /// The organisation, or `*` for a shared sink.
    pub org: String,
    /// The unreadable rows.
    pub rows: RowRange,
    /// When it was found, milliseconds since 1970.
    pub time_ms: i64,
    /// The JSON.
    pub record: Vec<u8>,
}

impl Rows {
    /// Records of the journal.
    pub(crate) fn of_records(
        pieces: SmallVec<[Piece; 2]>,
        starts: Arc<crate::lane_starts::Starts>,
        bytes: usize,
    ) -> Self {
        let count = pieces.iter().map(Piece::count).sum();
        Self { pieces, starts, gap: None, count, bytes, spans: SmallVec::new(), name: None }
    }

    /// A gap alone.
    pub(crate) fn of_gap(gap: GapRecord, starts: Arc<crate::lane_starts::Starts>) -> Self {
        let bytes = gap.record.len();
        Self {
            pieces: SmallVec::new(),
            starts,
            gap: Some(Arc::new(gap)),
            count: 1,
            bytes,
            spans: SmallVec::new(),
            name: None,
        }
    }

    /// Lets go of the blocks and keeps only which rows they were.
    fn release(&mut self) {
        self.name = self.single();
        for piece in self.pieces.drain(..) {
            self.spans.extend(spans(&piece));
        }
    }

    /// Which record this is, in words for a person who has to find it; `None` unless it is one.
    pub(crate) fn single(&self) -> Option<Box<str>> {
        if self.count != 1 || self.name.is_some() {
            return self.name.clone();
        }
        let mut name = None;
        self.for_each(|row| {
            let seq = row.seq.map_or_else(|| "a gap".to_owned(), |seq| format!("seq {}", seq.0));
            let id = event::record::View::of(row.record).ok();
            let id = id.map_or_else(String::new, |view| format!(", event id {}", view.id));
            name = Some(format!("organisation {}, {seq}{id}", row.org).into_boxed_str());
        });
        name
    }

    /// The row of the record at `index`; `None` past the last one and for a gap.
    pub(crate) fn row_at(&self, index: u64) -> Option<Row> {
        let mut left = index;
        let held = self.pieces.iter().flat_map(spans);
        for span in self.spans.iter().copied().chain(held) {
            if left < span.len() {
                return Some(Row(span.start.0 + left));
            }
            left -= span.len();
        }
        None
    }

    /// How many records, a gap counting as one.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Bytes of the records.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Calls `each` for every record, in order of rows.
    pub fn for_each(&self, mut each: impl FnMut(RowView<'_>)) {
        if let Some(gap) = &self.gap {
            each(RowView {
                org: &gap.org,
                seq: None,
                prev_seq: None,
                row: gap.rows.start,
                time_ms: gap.time_ms,
                record: &gap.record,
            });
        }
        for piece in &self.pieces {
            let block = &piece.block;
            let base = block.header().base_row.0;
            // A lane of one organisation wants one run of hundreds.
            let first = piece.rows.first().map_or(0, |range| block.run_index_of(range.start));
            let mut runs = block.runs_from(first).peekable();
            for range in &piece.rows {
                for index in range.clone() {
                    while runs.next_if(|run| run.first + run.count <= index).is_some() {}
                    let (Some(run), Some((time_ms, record))) = (runs.peek(), block.timed_record(index))
                    else {
                        debug_assert!(false, "a delivery holds only rows that were read");
                        continue;
                    };
                    let seq = Seq(run.first_seq.0 + u64::from(index - run.first));
                    each(RowView {
                        org: run.org,
                        seq: Some(seq),
                        prev_seq: self.starts.prev(run.org, seq),
                        row: Row(base + u64::from(index)),
                        time_ms,
                        record,
                    });
                }
            }
        }
    }
}

/// The ranges of a piece as rows of the partition.
fn spans(piece: &Piece) -> impl Iterator<Item = RowRange> {
    let base = piece.block.header().base_row.0;
    piece.rows.iter().map(move |range| RowRange {
        start: Row(base + u64::from(range.start)),
        end: Row(base + u64::from(range.end)),
    })
}

/// Names the lane to which a delivery belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LaneId {
    /// Index in the lane table of this process.
    pub(crate) index: u32,
    /// Raised each time the lane's plan changes: a verdict of an older generation is refused.
    pub(crate) generation: u32,
}

/// Learns that a delivery ended without a verdict.
pub(crate) trait Abandon: Send + Sync {
    fn abandoned(&self, ticket: TicketId);
}

/// What a ticket stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TicketId {
    pub(crate) lane: LaneId,
    pub(crate) rows: RowRange,
    pub(crate) number: u64,
}

/// The right to settle one delivery, once. Dropping it tells the lane "not delivered".
pub(crate) struct Ticket {
    pub(crate) id: TicketId,
    pub(crate) home: Option<Arc<dyn Abandon>>,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.abandoned(self.id);
        }
    }
}

/// One batch on its way to a sink: one attempt.
#[derive(Debug)]
#[must_use = "a delivery that is dropped counts as not delivered"]
pub struct Delivery {
    pub(crate) rows: Rows,
    pub(crate) ticket: Ticket,
    pub(crate) delivery_id: u128,
    pub(crate) partition: PartitionId,
    pub(crate) attempt: u32,
    pub(crate) started: Instant,
}

impl Delivery {
    /// What to send.
    #[must_use]
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Lets go of the records, once they are encoded: an attempt that hangs then costs its body only, and not the
    /// blocks that the records lie in. [`Delivery::rows`] gives no records afterwards, but still their number.
    pub fn release(&mut self) {
        self.rows.release();
    }

    /// Stable across retries of the same cut; 32 hexadecimal digits.
    #[must_use]
    pub fn delivery_id(&self) -> String {
        format!("{:032x}", self.delivery_id)
    }

    /// The partition that the rows are of.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// 1 for the first attempt of this cut.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the lane started this attempt: a connector that keeps something for a while, such as a secret that it has
    /// read, tells its age by this and never reads the time itself.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Ends the delivery with a verdict.
    pub fn settle(self, verdict: Verdict) -> Settled {
        Settled { verdict, nearly_full: false, ticket: self.ticket, rows: self.rows }
    }
}

impl Settled {
    /// How the delivery ended.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The far end took it and says that it is nearly full: the lane lowers the sink's concurrency for a while.
    pub fn nearly_full(mut self) -> Self {
        self.nearly_full = true;
        self
    }
}

/// A delivery that has its verdict. Only [`Delivery::settle`] makes it.
#[derive(Debug)]
#[must_use = "hand it back to the lane: an ignored verdict counts as not delivered"]
pub struct Settled {
    pub(crate) verdict: Verdict,
    pub(crate) nearly_full: bool,
    pub(crate) ticket: Ticket,
    pub(crate) rows: Rows,
}

/// The far end's words, safe to show: bounded, without control characters and without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What happened, in words.
    pub what: String,
    /// What a person can do about it.
    pub remedy: String,
    /// HTTP status or protocol code, for status pages and metrics.
    pub code: Option<u32>,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The far end has all of it.
    Accepted,
    /// Not accepted, and the far end (or the way to it) is to blame: try the same again.
    Retry {
        /// Not before this time, if the far end said so.
        after: Option<Duration>,
        /// Why.
        cause: Cause,
    },
    /// Not accepted, and trying again without a change of settings cannot help. The cursor stays.
    Blocked(Cause),
    /// Not accepted because the batch is too large, or because some record in it is bad and the far end does not say
    /// which: send the halves. A single record that gets this verdict is refused.
    Split(Cause),
    /// Judged record by record.
    PerRow {
        /// How many records from the first on the far end has.
        accepted_prefix: u64,
        /// Index of the record that the far end refused, if any.
        refused: Option<u64>,
        /// Why.
        cause: Cause,
    },
}

/// What an attempt led to.
#[derive(Debug)]
#[must_use]
pub enum Attempt {
    /// A verdict.
    Settled(Settled),
    /// The far end took it but has not confirmed it yet (HEC indexer acknowledgement, RELP).
    Unconfirmed(Unconfirmed),
}

/// A delivery that waits for the far end's confirmation, with what the connector needs to ask for it.
#[derive(Debug)]
#[must_use = "dropping it counts as not delivered"]
pub struct Unconfirmed {
    /// The delivery.
    pub delivery: Delivery,
    /// The far end's handle, such as an acknowledgement id.
    pub handle: u64,
    /// When to ask first.
    pub ask_after: Duration,
}

/// One destination. One attempt per call: no sleeping, no retrying, no reading of the time.
pub trait Sink: Send + Sync + 'static {
    /// How the sink wants its batches. Read at every cut.
    fn shape(&self) -> BatchShape;

    /// Sends one batch.
    fn deliver(self: Arc<Self>, delivery: Delivery) -> BoxFuture<'static, Attempt>;

    /// Asks for confirmations that are due. The lane owns the timer.
    fn confirm(self: Arc<Self>, due: Vec<Unconfirmed>) -> BoxFuture<'static, Vec<Attempt>>;
}
