//! Closing attempts: verdicts, abandoned deliveries, dead letters.

use super::{Committable, Ledger, Tile, TileState, VerdictRefused};
use crate::dead_letters::{DeadLetter, Parked, Refused};
use crate::sink::{Rows, Settled, TicketId, Verdict};
use crate::units::RowRange;

impl Ledger {
    /// Takes the verdict of an attempt of this lane. `Some` when the prefix of settled rows moved.
    ///
    /// # Errors
    /// [`VerdictRefused`]: nothing changed.
    pub fn close(&mut self, settled: Settled) -> Result<Option<Committable>, VerdictRefused> {
        let Settled { verdict, mut ticket, rows, .. } = settled;
        // It has its verdict: whether that is taken or not, nobody needs to hear of it again.
        ticket.home = None;
        let before = self.prefix();
        if self.is_telling(ticket.id)? {
            self.telling = None;
            if verdict != Verdict::Accepted {
                return Ok(None);
            }
            self.gaps.drain(..self.gaps.len().min(1));
            // A told gap is worth recording although no row moved.
            return Ok(self.settle_prefix());
        }
        let at = self.in_flight_at(ticket.id)?;
        match verdict {
            Verdict::Accepted => self.resolve_first(at, u64::MAX, &rows),
            Verdict::Retry { .. } | Verdict::Blocked(_) => self.set_state(at, TileState::Waiting),
            Verdict::Split(_) => {
                self.set_state(at, TileState::Waiting);
                if rows.count() > 1 {
                    self.split(at, rows.count() / 2, &rows);
                } else {
                    self.set_state(at, TileState::Refused);
                }
            }
            Verdict::PerRow { accepted_prefix, refused, .. } => {
                self.set_state(at, TileState::Waiting);
                let accepted = accepted_prefix.min(rows.count());
                if let Some(refused) =
                    refused.filter(|refused| *refused >= accepted && *refused < rows.count())
                {
                    self.split(at, refused + 1, &rows);
                    let alone = self.split(at, refused, &rows);
                    if refused == accepted {
                        self.set_state(alone, TileState::Refused);
                    }
                }
                self.resolve_first(at, accepted, &rows);
            }
        }
        let committable = self.settle_prefix();
        Ok(committable.filter(|_| self.prefix() > before))
    }

    /// An attempt ended without a verdict: its rows are sent again.
    ///
    /// # Errors
    /// [`VerdictRefused`]: nothing changed.
    pub(crate) fn abandon(&mut self, ticket: TicketId) -> Result<(), VerdictRefused> {
        if self.is_telling(ticket)? {
            self.telling = None;
        } else {
            let at = self.in_flight_at(ticket)?;
            self.set_state(at, TileState::Waiting);
        }
        Ok(())
    }

    /// A refused record lies in the dead-letter store.
    ///
    /// # Errors
    /// [`VerdictRefused`]: the lane no longer waits for that.
    pub fn parked(&mut self, parked: Parked) -> Result<Option<Committable>, VerdictRefused> {
        let (lane, rows) = parked.into_parts();
        self.check_lane(lane)?;
        let before = self.prefix();
        let tile = self.tiles.iter_mut().find(|tile| tile.rows == rows && tile.state == TileState::Refused);
        let Some(tile) = tile else { return Err(VerdictRefused::NotInFlight) };
        tile.state = TileState::Resolved;
        self.counts.dead_lettered += u64::from(tile.records);
        let committable = self.settle_prefix();
        Ok(committable.filter(|_| self.prefix() > before))
    }

    /// The record that the far end refused for good, if the lane waits for its being parked. `letter` gives what the
    /// store keeps of it.
    pub fn refused(&self, letter: impl FnOnce(RowRange) -> DeadLetter) -> Option<Refused> {
        let tile = self.tiles.iter().find(|tile| tile.state == TileState::Refused)?;
        Some(Refused { lane: self.lane, rows: tile.rows, letter: letter(tile.rows) })
    }

    fn is_telling(&self, ticket: TicketId) -> Result<bool, VerdictRefused> {
        self.check_lane(ticket.lane)?;
        Ok(self.telling == Some(ticket.number))
    }

    fn check_lane(&self, lane: crate::sink::LaneId) -> Result<(), VerdictRefused> {
        if lane.index != self.lane.index {
            return Err(VerdictRefused::OtherLane);
        }
        if lane.generation != self.lane.generation {
            return Err(VerdictRefused::OldGeneration);
        }
        Ok(())
    }

    fn in_flight_at(&self, ticket: TicketId) -> Result<usize, VerdictRefused> {
        self.tiles
            .iter()
            .position(|tile| {
                tile.state == TileState::InFlight && tile.number == ticket.number && tile.rows == ticket.rows
            })
            .ok_or(VerdictRefused::NotInFlight)
    }

    fn set_state(&mut self, at: usize, state: TileState) {
        if let Some(tile) = self.tiles.get_mut(at) {
            tile.state = state;
        }
    }

    /// The first `records` records of the tile are delivered; the rest keeps its state.
    fn resolve_first(&mut self, at: usize, records: u64, rows: &Rows) {
        if records == 0 {
            return;
        }
        self.split(at, records, rows);
        if let Some(tile) = self.tiles.get_mut(at) {
            tile.state = TileState::Resolved;
            self.counts.delivered += u64::from(tile.records);
        }
    }

    /// Splits the tile before its record number `records`; gives the index of the second part (of the tile itself when
    /// it has no more records than that). `rows` are the records of the tile before any split, from its first row on.
    fn split(&mut self, at: usize, records: u64, rows: &Rows) -> usize {
        let Some(tile) = self.tiles.get_mut(at) else { return at };
        let Ok(first) = u32::try_from(records) else { return at };
        let Some(row) = rows.row_at(records).filter(|_| first > 0 && first < tile.records) else { return at };
        let mut second = Tile { rows: RowRange { start: row, end: tile.rows.end }, ..*tile };
        second.records = tile.records - first;
        // How many bytes each part has is known only when it is read again; this is near enough for the memory budget.
        let share = u64::from(tile.bytes) * u64::from(first) / u64::from(tile.records.max(1));
        tile.rows.end = row;
        tile.records = first;
        let total = tile.bytes;
        tile.bytes = u32::try_from(share).unwrap_or(u32::MAX);
        second.bytes = total.saturating_sub(tile.bytes);
        self.tiles.insert(at + 1, second);
        at + 1
    }
}
