//! Rows that can no longer be read: how they are counted, and that the sink is told of them.

use super::{Committable, Ledger, TileState};
use crate::lane_state::OpenGap;
use crate::log::GapReason;
use crate::sink::TicketId;
use crate::units::{Row, RowRange, Seq};

/// Adjacent gaps are told as one, so a lane that stands still under retention keeps one entry and not thousands.
const MAX_GAPS: usize = 16;

impl Ledger {
    /// Up to which row the gap that ends at `end` has to be counted: `end`, or the end of a settled tile around it.
    /// `None` while an attempt for rows before `end` is under way: its outcome decides whether they are missing.
    pub(crate) fn gap_end(&self, end: Row) -> Option<Row> {
        let mut measured = end;
        for tile in self.tiles.iter().filter(|tile| tile.rows.start < end) {
            match tile.state {
                TileState::InFlight => return None,
                TileState::Resolved => measured = measured.max(tile.rows.end),
                TileState::Waiting | TileState::Refused => {}
            }
        }
        Some(measured)
    }

    /// Closes everything before `measured` (from [`Ledger::gap_end`]) as unreadable. `before_prefix` and
    /// `before_measured` say how many records of the sink lie before the prefix and before `measured`.
    pub(crate) fn close_gap(
        &mut self,
        measured: Row,
        reason: GapReason,
        before_prefix: u64,
        before_measured: u64,
        is_one_org: bool,
    ) -> Option<Committable> {
        let start = self.prefix();
        if measured <= start {
            return None;
        }
        let settled: u64 = self
            .ahead()
            .filter(|resolved| resolved.rows.end <= measured)
            .map(|resolved| resolved.records)
            .sum();
        let count = before_measured.saturating_sub(before_prefix).saturating_sub(settled);
        self.recut(|tile| tile.rows.start < measured);
        self.tiles.retain(|tile| tile.state != TileState::Resolved || tile.rows.end > measured);
        self.scan = self.scan.max(measured);
        self.skip_tiles();
        if count > 0 {
            match reason {
                GapReason::Retention => self.counts.expired += count,
                GapReason::Corruption => self.counts.lost += count,
            }
            let seqs = is_one_org.then_some((Seq(before_prefix), Seq(before_measured.saturating_sub(1))));
            self.add_gap(OpenGap { rows: RowRange { start, end: measured }, seqs, count, reason });
        }
        self.settle_prefix()
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
            last.rows.end = gap.rows.end;
            last.count += gap.count;
            last.seqs = last.seqs.zip(gap.seqs).map(|((first, _), (_, last))| (first, last));
            return;
        }
        self.gaps.push(gap);
    }
}
