//! Rows that can no longer be read: how they are counted, and that the sink is told of them.

use smallvec::SmallVec;

use super::{Committable, Ledger, Tile, TileState};
use crate::lane_state::OpenGap;
use crate::log::GapReason;
use crate::sink::TicketId;
use crate::units::{Row, RowRange, Seq};

/// Adjacent gaps are told as one, so a lane that stands still under retention keeps one entry and not thousands.
const MAX_GAPS: usize = 16;

impl Ledger {
    /// Whether something that is neither settled nor under way lies before `end`.
    pub(crate) fn has_unsettled_before(&self, end: Row) -> bool {
        let is_waiting = |tile: &Tile| matches!(tile.state, TileState::Waiting | TileState::Refused);
        self.scan < end || self.tiles.iter().any(|tile| tile.rows.start < end && is_waiting(tile))
    }

    /// Up to which row the gap that ends at `end` has to be counted: `end`, or the end of a tile around it that is
    /// settled or under way.
    pub(crate) fn gap_end(&self, end: Row) -> Row {
        let is_kept = |tile: &&Tile| matches!(tile.state, TileState::InFlight | TileState::Resolved);
        let around = self.tiles.iter().filter(is_kept).filter(|tile| tile.rows.start < end);
        around.map(|tile| tile.rows.end).max().map_or(end, |around| around.max(end))
    }

    /// Closes everything before `measured` (from [`Ledger::gap_end`]) as unreadable, but for what is under way: the
    /// outcome of such an attempt decides about its own rows. So does what ends before `from`: it can still be read,
    /// and waits to be sent again. `before_measured` says how many records of the sink lie before `measured`, `begin`
    /// how many of those lie before the lane's start.
    pub(crate) fn close_gap(
        &mut self,
        from: Row,
        measured: Row,
        reason: GapReason,
        begin: u64,
        before_measured: u64,
        is_one_org: bool,
    ) -> Option<Committable> {
        let start = self.prefix();
        if measured <= start {
            return None;
        }
        let settled = begin + self.counts.settled();
        // Of a lane's records the first ones are settled, but for what is open: so this is the seq at the prefix.
        let first_open = settled.saturating_sub(self.ahead_records());
        let is_kept = |tile: &Tile| tile.state == TileState::InFlight || tile.rows.end <= from;
        self.recut(|tile| tile.rows.start < measured && !is_kept(tile));
        let records = |which: &dyn Fn(&&Tile) -> bool| -> u64 {
            self.tiles.iter().filter(which).map(|tile| u64::from(tile.records)).sum()
        };
        let settled_behind = records(&|tile| tile.state == TileState::Resolved && tile.rows.end > measured);
        let open = records(&|tile| tile.state != TileState::Resolved && tile.rows.end <= measured);
        let count =
            before_measured.saturating_sub(settled.saturating_sub(settled_behind)).saturating_sub(open);
        let is_exact = is_one_org && !self.is_blurred;
        // Behind what is kept the gap is the last of what was measured.
        let is_behind = from > start && self.tiles.iter().any(|tile| tile.rows.start < from);
        let (told_from, first_seq) =
            if is_behind { (from, before_measured.saturating_sub(count)) } else { (start, first_open) };
        self.resolve_holes(start, measured, count);
        self.scan = self.scan.max(measured);
        self.skip_tiles();
        if count > 0 {
            match reason {
                GapReason::Retention => self.counts.expired += count,
                GapReason::Corruption => self.counts.lost += count,
            }
            let seqs = is_exact.then_some((Seq(first_seq), Seq(before_measured.saturating_sub(1))));
            self.add_gap(OpenGap { rows: RowRange { start: told_from, end: measured }, seqs, count, reason });
        }
        self.settle_prefix()
    }

    /// Lays settled tiles over what is in no tile. In which of several holes the `count` records were is not known: the sum
    /// is right, but what lies before the prefix is not, until everything that is open now has ended.
    fn resolve_holes(&mut self, start: Row, end: Row, count: u64) {
        let mut holes: SmallVec<[RowRange; 4]> = SmallVec::new();
        let mut at = start;
        for tile in self.tiles.iter().filter(|tile| tile.rows.start < end) {
            holes.push(RowRange { start: at, end: tile.rows.start });
            at = at.max(tile.rows.end);
        }
        holes.push(RowRange { start: at, end });
        holes.retain(|rows| !rows.is_empty());
        self.is_blurred |= holes.len() > 1 && count > 0;
        let mut records = u32::try_from(count).unwrap_or(u32::MAX);
        for rows in holes {
            let tile = Tile { rows, number: 0, records, bytes: 0, attempts: 0, state: TileState::Resolved };
            records = 0;
            let place = self.tiles.partition_point(|other| other.rows.start < rows.start);
            self.tiles.insert(place, tile);
        }
    }

    /// The next gap to tell, unless one is being told.
    pub(crate) fn untold_gap(&self) -> Option<&OpenGap> {
        self.gaps.first().filter(|_| self.telling.is_none())
    }

    /// Whether a gap is told or has to be told before anything else.
    pub(crate) fn has_gaps(&self) -> bool {
        !self.gaps.is_empty()
    }

    /// Gaps still to be told.
    pub(crate) fn gaps(&self) -> &[OpenGap] {
        &self.gaps
    }

    /// Takes the first gap into flight.
    pub(crate) fn tell(&mut self, number: u64) -> Option<TicketId> {
        let rows = self.untold_gap()?.rows;
        self.telling = Some(number);
        Some(TicketId { lane: self.lane, rows, number })
    }

    fn add_gap(&mut self, gap: OpenGap) {
        let first_joinable = usize::from(self.telling.is_some());
        let full = self.gaps.len() >= MAX_GAPS;
        if self.gaps.len() > first_joinable
            && let Some(last) = self.gaps.last_mut()
            && last.reason == gap.reason
            && (last.rows.end == gap.rows.start || full)
        {
            // What lies between two that do not touch was delivered: it must not be named as missing.
            let touches = last.rows.end == gap.rows.start;
            last.rows.end = gap.rows.end;
            last.count += gap.count;
            last.seqs =
                last.seqs.zip(gap.seqs).filter(|_| touches).map(|((first, _), (_, last))| (first, last));
            return;
        }
        self.gaps.push(gap);
    }
}
