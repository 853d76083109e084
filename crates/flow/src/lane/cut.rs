//! Cutting a batch from blocks, within the sink's limits.

use std::collections::VecDeque;
use std::ops::Range;

use smallvec::SmallVec;

use crate::block::Block;
use crate::log::{Piece, Ranges};
use crate::sink::BatchShape;
use crate::units::Row;

/// Records read from disk that wait to be cut.
#[derive(Debug, Default)]
pub(super) struct Stash {
    /// The first row that is wanted of them.
    pub(super) from: Row,
    pub(super) pieces: VecDeque<Piece>,
    /// Where the next read continues.
    pub(super) next: Row,
    /// Bytes charged for them.
    pub(super) charged: usize,
}

/// How much a cut may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) events: u64,
    /// Bytes as sent.
    pub(super) bytes: usize,
    pub(super) overhead: usize,
    /// Bytes of records, for the memory budget.
    pub(super) room: usize,
    /// Nothing from this row on.
    pub(super) end: Row,
}

impl Limit {
    /// Of a new cut.
    pub(super) fn of(shape: &BatchShape, room: usize, end: Option<Row>) -> Self {
        Self {
            events: u64::from(shape.max_events.max(1)),
            bytes: shape.max_bytes,
            overhead: shape.overhead,
            room,
            end: end.unwrap_or(Row(u64::MAX)),
        }
    }

    /// Of a retry: all of a range that was cut before.
    pub(super) const fn all_before(end: Row) -> Self {
        Self { events: u64::MAX, bytes: usize::MAX, overhead: 0, room: usize::MAX, end }
    }
}

/// What has been cut so far.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) pieces: SmallVec<[Piece; 2]>,
    pub(super) records: u64,
    /// Bytes of records.
    pub(super) bytes: usize,
    /// First and last record.
    pub(super) first: Row,
    pub(super) last: Row,
    limit: Limit,
}

/// Where feeding a piece ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// All of it was taken (or is before the wanted rows).
    All,
    /// The batch is full, or the end of the range is reached: the next cut begins at this row.
    Full(Row),
}

impl Cut {
    pub(super) fn new(limit: Limit) -> Self {
        Self { pieces: SmallVec::new(), records: 0, bytes: 0, first: Row(0), last: Row(0), limit }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes of records that may still come.
    pub(super) fn bytes_left(&self) -> usize {
        self.limit.bytes.min(self.limit.room).saturating_sub(self.bytes).max(1)
    }

    /// Takes from `piece` what is at or after `from` and fits.
    pub(super) fn feed(&mut self, piece: &Piece, from: Row) -> Fed {
        let base = piece.block.header().base_row.0;
        let skip = index(from, base);
        let end = index(self.limit.end, base);
        let mut taken = Ranges::with_capacity(piece.rows.len());
        let mut full = None;
        for range in &piece.rows {
            let wanted = range.start.max(skip)..range.end.min(end);
            if wanted.start < wanted.end {
                let fits = self.fitting(&piece.block, &wanted);
                if fits > wanted.start {
                    self.take(&piece.block, wanted.start..fits, base);
                    taken.push(wanted.start..fits);
                }
                if fits < wanted.end {
                    full = Some(Row(base + u64::from(fits)));
                    break;
                }
            }
            if range.end > end {
                full = Some(self.limit.end);
                break;
            }
        }
        if !taken.is_empty() {
            self.pieces.push(Piece { block: std::sync::Arc::clone(&piece.block), rows: taken });
        }
        full.map_or(Fed::All, Fed::Full)
    }

    /// How far into `wanted` the batch can go; a first record fits whatever its size.
    fn fitting(&self, block: &Block, wanted: &Range<u32>) -> u32 {
        let by_count = self.limit.events.saturating_sub(self.records).min(u64::from(u32::MAX));
        let last = wanted.end.min(wanted.start.saturating_add(u32::try_from(by_count).unwrap_or(u32::MAX)));
        let fits = |end: u32| {
            let bytes = self.bytes.saturating_add(bytes_of(block, wanted.start..end));
            let records = self.records + u64::from(end - wanted.start);
            let overhead = self.limit.overhead.saturating_mul(usize::try_from(records).unwrap_or(usize::MAX));
            bytes <= self.limit.room && bytes.saturating_add(overhead) <= self.limit.bytes
        };
        if fits(last) {
            return last;
        }
        let (mut low, mut high) = (wanted.start, last);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if fits(middle) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        if low == wanted.start && self.is_empty() { low + 1 } else { low }
    }

    fn take(&mut self, block: &Block, rows: Range<u32>, base: u64) {
        if self.is_empty() {
            self.first = Row(base + u64::from(rows.start));
        }
        self.last = Row(base + u64::from(rows.end) - 1);
        self.records += u64::from(rows.end - rows.start);
        self.bytes += bytes_of(block, rows);
    }
}

fn bytes_of(block: &Block, rows: Range<u32>) -> usize {
    if rows.is_empty() { 0 } else { block.body_range(rows).map_or(0, |range| range.len()) }
}

/// The index of `row` in a block that begins at `base`, or the nearest that there is.
fn index(row: Row, base: u64) -> u32 {
    u32::try_from(row.0.saturating_sub(base)).unwrap_or(u32::MAX)
}
