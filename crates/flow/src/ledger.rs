//! The ledger of one lane: what is in flight, what is settled, and how far everything is settled without a hole.
//!
//! Rows behind the lane's start are covered by *tiles*: a tile is the range that one cut passed, with the rows of
//! other organisations between its records. A tile is in flight, waiting to be sent again, or resolved. The prefix
//! ends at the first tile that is not resolved; only this module makes the [`Committable`] that moves a cursor.

mod close;
mod gap;
#[cfg(test)]
mod tests;

use smallvec::SmallVec;

use crate::lane_state::{Counts, OpenGap, Resolved};
use crate::sink::{LaneId, TicketId};
use crate::units::{Row, RowRange};

/// Tiles that a lane may have open, at most: one record that hangs must not let the others pile up behind it.
pub const MAX_TILES: usize = 64;

/// What became of a range of rows that a lane cut.
#[derive(Debug, Clone, Copy)]
struct Tile {
    rows: RowRange,
    /// The ticket of the attempt that is under way, or of the last one.
    number: u64,
    records: u32,
    bytes: u32,
    attempts: u32,
    state: TileState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TileState {
    InFlight,
    Waiting,
    /// A single record that the far end refused for good.
    Refused,
    Resolved,
}

/// Permission to move a lane's recorded cursor: everything before `next_row` is settled. Only [`Ledger`] makes it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the cursor does not move until this is handed to the lane"]
pub struct Committable {
    lane: LaneId,
    next_row: Row,
}

impl Committable {
    /// Where the lane restarts.
    #[must_use]
    pub fn next_row(&self) -> Row {
        self.next_row
    }

    pub(crate) fn lane(&self) -> LaneId {
        self.lane
    }
}

/// Why a verdict is not taken. The rows stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerdictRefused {
    /// It is about another lane's rows.
    #[error("the verdict belongs to another lane")]
    OtherLane,
    /// The lane's plan has changed since the cut.
    #[error("the verdict is of an older generation of this lane")]
    OldGeneration,
    /// No attempt with this ticket is under way.
    #[error("no attempt with this ticket is under way")]
    NotInFlight,
}

/// What to send again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) rows: RowRange,
    pub(crate) records: u32,
    pub(crate) bytes: u32,
}

/// The accounts of one lane.
#[derive(Debug)]
pub struct Ledger {
    lane: LaneId,
    /// Ascending and disjoint.
    tiles: SmallVec<[Tile; 2]>,
    /// Where the next cut begins: no tile begins before it and ends after it, and it is in no tile.
    scan: Row,
    counts: Counts,
    /// Gaps still to be told, oldest first, and the ticket of the attempt to tell the first one.
    gaps: Vec<OpenGap>,
    telling: Option<u64>,
    /// How many records lie before the prefix is not known exactly, see [`Ledger::close_gap`].
    is_blurred: bool,
}

impl Ledger {
    /// Bytes that it holds beside its own size.
    pub(crate) fn heap(&self) -> usize {
        let tiles = if self.tiles.spilled() { self.tiles.capacity() * size_of::<Tile>() } else { 0 };
        tiles + self.gaps.capacity() * size_of::<OpenGap>()
    }

    /// Of a lane that restarts at `next_row`.
    pub(crate) fn new(
        lane: LaneId,
        next_row: Row,
        resolved: &[Resolved],
        counts: Counts,
        gaps: Vec<OpenGap>,
    ) -> Self {
        let tiles = resolved
            .iter()
            .filter(|resolved| resolved.rows.start >= next_row && !resolved.rows.is_empty())
            .map(|resolved| Tile {
                rows: resolved.rows,
                number: 0,
                records: u32::try_from(resolved.records).unwrap_or(u32::MAX),
                bytes: 0,
                attempts: 0,
                state: TileState::Resolved,
            })
            .collect::<SmallVec<[Tile; 2]>>();
        // The state does not say whether it was blurred.
        let is_blurred = !tiles.is_empty();
        let mut ledger = Self { lane, tiles, scan: next_row, counts, gaps, telling: None, is_blurred };
        ledger.settle_prefix();
        ledger
    }

    /// The lane.
    pub(crate) fn lane(&self) -> LaneId {
        self.lane
    }

    /// What became of the settled records.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Everything before this row is settled.
    pub(crate) fn prefix(&self) -> Row {
        self.tiles.first().map_or(self.scan, |tile| self.scan.min(tile.rows.start))
    }

    /// Where the next cut begins.
    pub(crate) fn scan(&self) -> Row {
        self.scan
    }

    /// Where the next cut must end, because what follows has been cut before.
    pub(crate) fn scan_end(&self) -> Option<Row> {
        self.tiles.iter().map(|tile| tile.rows.start).find(|start| *start >= self.scan)
    }

    /// Settled records at or after the prefix.
    pub(crate) fn ahead(&self) -> impl Iterator<Item = Resolved> {
        self.tiles
            .iter()
            .filter(|tile| tile.state == TileState::Resolved)
            .map(|tile| Resolved { rows: tile.rows, records: u64::from(tile.records) })
    }

    /// How many settled records lie at or after the prefix.
    pub(crate) fn ahead_records(&self) -> u64 {
        self.ahead().map(|resolved| resolved.records).sum()
    }

    /// Records that were cut and are not settled: counted from the rows of their cuts.
    pub(crate) fn open_records(&self) -> u64 {
        let open = self.tiles.iter().filter(|tile| tile.state != TileState::Resolved);
        open.map(|tile| u64::from(tile.records)).sum()
    }

    /// Records that were cut although they lie behind [`Ledger::scan`]: they are not to be counted again there.
    pub(crate) fn cut_behind_scan(&self) -> u64 {
        let behind = self.tiles.iter().filter(|tile| tile.rows.start >= self.scan);
        behind.map(|tile| u64::from(tile.records)).sum()
    }

    /// Attempts under way, a gap's included.
    pub(crate) fn in_flight(&self) -> usize {
        let tiles = self.tiles.iter().filter(|tile| tile.state == TileState::InFlight).count();
        tiles + usize::from(self.telling.is_some())
    }

    /// Whether something has been cut that is not in the prefix.
    pub(crate) fn has_tiles(&self) -> bool {
        !self.tiles.is_empty()
    }

    /// Whether another cut would be one too many.
    pub(crate) fn is_crowded(&self) -> bool {
        self.tiles.len() >= MAX_TILES
    }

    /// The first range that has to be sent again.
    pub(crate) fn first_waiting(&self) -> Option<Waiting> {
        let tile =
            self.tiles.iter().find(|tile| matches!(tile.state, TileState::Waiting | TileState::Refused))?;
        Some(Waiting { rows: tile.rows, records: tile.records, bytes: tile.bytes })
    }

    /// Takes a new cut into flight: it covers `rows`, which begin at [`Ledger::scan`].
    pub(crate) fn open(&mut self, rows: RowRange, records: u32, bytes: usize, number: u64) -> TicketId {
        debug_assert!(rows.start == self.scan && !rows.is_empty(), "a cut begins where the last one ended");
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let tile = Tile { rows, number, records, bytes, attempts: 1, state: TileState::InFlight };
        let at = self.tiles.partition_point(|other| other.rows.start < rows.start);
        self.tiles.insert(at, tile);
        self.scan = rows.end;
        self.skip_tiles();
        TicketId { lane: self.lane, rows, number }
    }

    /// Takes the first waiting range into flight again. Gives its ticket and the number of the attempt.
    pub(crate) fn reopen(&mut self, records: u64, bytes: usize, number: u64) -> Option<(TicketId, u32)> {
        let lane = self.lane;
        let tile = self
            .tiles
            .iter_mut()
            .find(|tile| matches!(tile.state, TileState::Waiting | TileState::Refused))?;
        tile.state = TileState::InFlight;
        tile.number = number;
        tile.attempts = tile.attempts.saturating_add(1);
        tile.records = u32::try_from(records).unwrap_or(u32::MAX);
        tile.bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Some((TicketId { lane, rows: tile.rows, number }, tile.attempts))
    }

    /// Rows up to `to` hold nothing for this lane.
    pub(crate) fn passed(&mut self, to: Row) -> Option<Committable> {
        if to <= self.scan {
            return None;
        }
        let limit = self.scan_end().unwrap_or(to);
        self.scan = to.min(limit);
        self.skip_tiles();
        self.settle_prefix()
    }

    /// `records` records in `rows`, which begin at [`Ledger::scan`], are left out by the sink's own filter.
    pub fn filtered(&mut self, rows: RowRange, records: u64) -> Option<Committable> {
        debug_assert!(rows.start == self.scan, "a filter passes rows in order");
        self.counts.filtered += records;
        if self.tiles.is_empty() {
            return self.passed(rows.end);
        }
        let tile = Tile {
            rows,
            number: 0,
            records: u32::try_from(records).unwrap_or(u32::MAX),
            bytes: 0,
            attempts: 0,
            state: TileState::Resolved,
        };
        let at = self.tiles.partition_point(|other| other.rows.start < rows.start);
        self.tiles.insert(at, tile);
        self.scan = rows.end;
        self.skip_tiles();
        self.settle_prefix()
    }

    /// Begins a new generation: verdicts of attempts under way will be refused, and what was not settled is cut anew.
    pub(crate) fn renew(&mut self, lane: LaneId) {
        self.lane = lane;
        self.telling = None;
        self.recut(|_| true);
    }

    /// Forgets the cuts that are not resolved and for which `which` holds; scanning goes back to the first of them.
    fn recut(&mut self, which: impl Fn(&Tile) -> bool) {
        let first = self
            .tiles
            .iter()
            .find(|tile| tile.state != TileState::Resolved && which(tile))
            .map(|t| t.rows.start);
        self.tiles.retain(|tile| tile.state == TileState::Resolved || !which(tile));
        if let Some(first) = first {
            self.scan = self.scan.min(first);
        }
        self.skip_tiles();
    }

    /// Moves the scan out of tiles that begin where it stands.
    fn skip_tiles(&mut self) {
        for tile in &self.tiles {
            if tile.rows.start <= self.scan && self.scan < tile.rows.end {
                self.scan = tile.rows.end;
            }
        }
    }

    /// Drops resolved tiles at the prefix and joins resolved neighbours. Whether that moved the prefix is for the
    /// lane to compare: it gets the place in any case.
    fn settle_prefix(&mut self) -> Option<Committable> {
        let mut done = 0;
        for tile in &self.tiles {
            // A hole that is not cut yet ends the prefix.
            if tile.state != TileState::Resolved || tile.rows.start > self.scan {
                break;
            }
            // Tiles that touch, or lie behind the scan with nothing between them, end in the prefix.
            done += 1;
        }
        self.tiles.drain(..done);
        self.is_blurred &= !self.tiles.is_empty();
        self.tiles.dedup_by(|later, earlier| {
            let joins = earlier.state == TileState::Resolved
                && later.state == TileState::Resolved
                && earlier.rows.end == later.rows.start;
            if joins {
                earlier.rows.end = later.rows.end;
                earlier.records = earlier.records.saturating_add(later.records);
            }
            joins
        });
        self.skip_tiles();
        Some(Committable { lane: self.lane, next_row: self.prefix() })
    }
}
