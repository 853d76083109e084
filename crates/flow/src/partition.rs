//! The owner of one partition: it alone drops duplicates, stamps, writes and syncs.
//!
//! It does no I/O of its own ([`SegmentIo`] does) and reads no clock (the caller passes the [`Moment`]), so a
//! simulation can run it step by step. One commit is one block: whatever queued while the last sync ran.
//!
//! Refusal happens only before stamping. After stamping, any error is an [`OwnerFault`], and the process stops:
//! recovery alone decides what survived.

mod groups;
mod recency;
mod size;
mod snapshot;
mod state;
mod steady;
#[cfg(test)]
mod tests;
mod window;

use std::io;
use std::sync::Arc;

use event::OrgId;

pub use self::size::{OwnerMemory, OwnerSettings};
pub use self::snapshot::SnapshotFault;
use self::state::{LANES, State};
use self::steady::Steady;
use self::window::Seen;
use crate::block::{
    Block, BlockKind, Buffer, PAGE, Place, RowFacts, RowsBuilder, Shelf, control_len, padded_control_block,
};
use crate::clock::Moment;
use crate::fields::put_bytes;
use crate::lane_state::{LaneState, LaneStates};
use crate::log::{AppendFault, Position, Scope};
use crate::orgs::{Directory, OrgKey};
use crate::prepared::{Prepared, PreparedRow};
use crate::segment::{Expired, Refusal, ReserveError, SegmentIo};
use crate::units::{PartitionId, Row, Seq};

/// The most that one block holds, in bytes of tails.
pub const BLOCK_TARGET: usize = 8 << 20;
/// What a block may take beyond its rows or its body: its header and its padding.
const FRAME: u64 = 2 * PAGE as u64;
/// Memory of blocks that an owner keeps for its next ones.
const SHELF: usize = 2 << 20;

/// An error after which the process must stop.
#[derive(Debug, thiserror::Error)]
pub enum OwnerFault {
    /// The file system failed.
    #[error(
        "partition {partition}: {doing}: {error}; nothing of this write was acknowledged, the process stops and recovers at the next start"
    )]
    Io {
        /// The partition.
        partition: PartitionId,
        /// What was being done.
        doing: &'static str,
        /// The system's words.
        error: io::Error,
    },
    /// A bug.
    #[error(
        "owner thread {thread} panicked: {what}; nothing that waited was acknowledged, the process stops and recovers at the next start; this is a bug, please report it"
    )]
    Panicked {
        /// Which owner thread.
        thread: usize,
        /// What the panic says.
        what: String,
    },
    /// The journal holds state that cannot be read.
    #[error("partition {partition}: {fault}; run `trailwire journal verify`")]
    State {
        /// The partition.
        partition: PartitionId,
        /// What is wrong.
        fault: SnapshotFault,
    },
}

/// A batch of one request that waits for its commit.
#[derive(Debug)]
pub struct Queued<T> {
    /// The rows.
    pub rows: Prepared,
    /// Whatever the caller needs to answer it.
    pub reply: T,
}

/// What a commit did.
#[derive(Debug)]
pub struct Committed<T> {
    /// The new block, durable, if any row was stored.
    pub block: Option<Arc<Block>>,
    /// The organisations of the block's runs, run by run, ascending.
    pub orgs: Vec<OrgKey>,
    /// The batches with what became of each.
    pub answers: Vec<(T, Result<Position, AppendFault>)>,
    /// How many of the rows' ids came with other content than before.
    pub reused: u64,
    /// Whether the lane states are durable.
    pub recorded: Result<(), Refusal>,
}

/// The owner of one partition.
pub struct Owner {
    id: PartitionId,
    io: Box<dyn SegmentIo>,
    state: State,
    /// Whether some block with content lies above every watermark on disk.
    unproven: bool,
    steady: Steady,
    scratch: Scratch,
    shelf: Arc<Shelf>,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Owner")
            .field("id", &self.id)
            .field("next_row", &self.state.next_row)
            .finish_non_exhaustive()
    }
}

/// Buffers that live as long as the owner.
#[derive(Debug, Default)]
struct Scratch {
    /// Organisation, batch, row.
    order: Vec<(OrgKey, u32, u32)>,
    kept: Vec<Kept>,
    /// Organisation and number of its rows.
    runs: Vec<(OrgKey, usize)>,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    org: OrgKey,
    batch: u32,
    row: u32,
    /// Bytes of its tail.
    len: u32,
    reused: bool,
}

impl Owner {
    /// Restores the state from the journal and begins a new segment. Nothing is served before this returns.
    ///
    /// # Errors
    /// [`OwnerFault`].
    pub fn open(
        id: PartitionId,
        io: Box<dyn SegmentIo>,
        directory: Arc<Directory>,
        settings: OwnerSettings,
        now: Moment,
    ) -> Result<Self, OwnerFault> {
        let mut io = io;
        let state = State::restore(id, io.as_mut(), directory, settings)?;
        let (scratch, shelf) = (Scratch::default(), Shelf::new(SHELF));
        let mut owner = Self { id, io, state, unproven: false, steady: Steady::default(), scratch, shelf };
        owner.begin_segment(now)?;
        Ok(owner)
    }

    /// Takes the memory of its blocks from there, as other owners may, too.
    pub fn share(&mut self, shelf: &Arc<Shelf>) {
        self.shelf = Arc::clone(shelf);
    }

    /// The partition.
    #[must_use]
    pub fn id(&self) -> PartitionId {
        self.id
    }

    /// The row that the next record gets: one past the last durable row.
    #[must_use]
    pub fn next_row(&self) -> Row {
        Row(self.state.next_row)
    }

    /// The last recorded state of every lane.
    pub fn lane_states(&self) -> impl Iterator<Item = &LaneState> {
        self.state.lanes.values()
    }

    /// The next seq of every organisation of `scope` that has records here.
    #[must_use]
    pub fn org_seqs(&self, scope: &Scope) -> Vec<(OrgId, Seq)> {
        match scope {
            Scope::All => self.state.orgs.values().map(|org| (org.id.clone(), Seq(org.next))).collect(),
            Scope::Orgs(ids) => ids
                .iter()
                .filter_map(|id| {
                    let state = self.state.orgs.get(&self.state.directory.find(id.as_str())?.key)?;
                    Some((id.clone(), Seq(state.next)))
                })
                .collect(),
        }
    }

    /// Where the next block goes.
    #[must_use]
    pub fn tip(&self) -> crate::LogPos {
        self.io.tip().pos
    }

    /// Whether [`Owner::maintain`] would begin a new segment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.io.is_full()
    }

    /// Whether [`Owner::prove`] has something to prove.
    #[must_use]
    pub fn is_unproven(&self) -> bool {
        self.unproven
    }

    /// Commits what has queued: drops duplicates, stamps, writes one block of records and one of lane state, syncs.
    ///
    /// # Errors
    /// [`OwnerFault`]: the process must stop; no answer may be given.
    pub fn commit<T>(
        &mut self,
        batches: Vec<Queued<T>>,
        states: Vec<LaneStates>,
        now: Moment,
    ) -> Result<Committed<T>, OwnerFault> {
        let rows_wanted: usize = batches.iter().map(|b| b.rows.stored_bytes()).sum();
        let mut refused = None;
        if !batches.is_empty() {
            match self.io.reserve(rows_wanted as u64 + FRAME, false) {
                Ok(()) => {}
                Err(ReserveError::Refused(refusal)) => refused = Some(AppendFault::Refused(refusal)),
                Err(ReserveError::Io(error)) => return Err(self.fault("reserving space", error)),
            }
        }
        let mut control = control_body(&states);
        let mut recorded = Ok(());
        if !control.is_empty() {
            match self.io.reserve(control.len() as u64 + FRAME, true) {
                Ok(()) => states.into_iter().flat_map(|s| s.0).for_each(|state| self.state.keep_lane(state)),
                Err(ReserveError::Io(error)) => return Err(self.fault("reserving space", error)),
                // Nothing of it is written: the lanes send newer states later, and a restart repeats what is missing.
                Err(ReserveError::Refused(refusal)) => {
                    recorded = Err(refusal);
                    control.clear();
                }
            }
        }
        let (mut block, mut orgs, mut counts, mut reused) = (None, Vec::new(), Vec::new(), 0);
        if refused.is_none() && !batches.is_empty() {
            (counts, reused) = self.examine(&batches);
            if !self.scratch.kept.is_empty() {
                self.state.groups.received_at(now.wall.0);
                let (bytes, run_orgs) = self.build(&batches, now);
                self.io.write(&bytes).map_err(|e| self.fault("writing records", e))?;
                block = Block::built(bytes).map(Arc::new);
                orgs = run_orgs;
                self.unproven = true;
            }
        }
        if !control.is_empty() {
            self.write_control(BlockKind::Control, &control, now)?;
            self.unproven = true;
        }
        if block.is_some() || !control.is_empty() {
            // A duplicate's answer also rests on this sync when its first copy lies in the same group of requests.
            fail::fail_point!("owner::sync::before");
            self.io.sync().map_err(|e| self.fault("syncing the journal", e))?;
            fail::fail_point!("owner::sync::after");
        }
        let end = self.io.tip().pos;
        let mut counts = counts.into_iter();
        let answers = batches
            .into_iter()
            .map(|batch| {
                let (accepted, duplicates) = counts.next().unwrap_or((0, 0));
                let position = Position { end, next_row: Row(self.state.next_row), accepted, duplicates };
                (batch.reply, refused.map_or(Ok(position), Err))
            })
            .collect();
        Ok(Committed { block, orgs, answers, reused, recorded })
    }

    /// Writes a control block that carries the watermark, so that everything before it is known to be durable.
    ///
    /// # Errors
    /// [`OwnerFault`].
    pub fn prove(&mut self, now: Moment) -> Result<(), OwnerFault> {
        if !self.unproven {
            return Ok(());
        }
        match self.io.reserve(FRAME, true) {
            Ok(()) => {}
            // The watermark is a convenience of recovery; without space it waits.
            Err(ReserveError::Refused(_)) => return Ok(()),
            Err(ReserveError::Io(error)) => return Err(self.fault("reserving space", error)),
        }
        fail::fail_point!("owner::prove::before");
        self.write_control(BlockKind::Control, &[], now)?;
        self.io.sync().map_err(|e| self.fault("syncing the journal", e))?;
        fail::fail_point!("owner::prove::after");
        self.unproven = false;
        Ok(())
    }

    /// Begins a new segment when the current one is full, and removes what retention no longer keeps.
    ///
    /// # Errors
    /// [`OwnerFault`].
    pub fn maintain(&mut self, now: Moment) -> Result<Option<Expired>, OwnerFault> {
        if self.io.is_full() {
            self.begin_segment(now)?;
        }
        let trusted = self.steady.trusted(now);
        self.io.expire(trusted).map_err(|e| self.fault("removing an expired segment", e))
    }

    /// Finds duplicates, in order of organisation and arrival, and fills `scratch.kept`. Returns accepted and
    /// duplicate rows per batch, and how many ids were reused.
    fn examine<T>(&mut self, batches: &[Queued<T>]) -> (Vec<(u32, u32)>, u64) {
        let Scratch { order, kept, .. } = &mut self.scratch;
        order.clear();
        for (batch, queued) in (0u32..).zip(batches) {
            order.extend((0u32..).zip(&queued.rows.rows).map(|(row, r)| (r.org, batch, row)));
        }
        // Stable: within an organisation the order of arrival stays.
        order.sort_by_key(|(org, ..)| *org);
        let mut counts = vec![(0u32, 0u32); batches.len()];
        let mut reused = 0;
        kept.clear();
        let mut row_number = self.state.next_row;
        for (org, batch, row) in order.iter() {
            let Some((count, prepared)) =
                counts.get_mut(*batch as usize).zip(row_of(batches, *batch, *row).map(|(_, r)| r))
            else {
                continue;
            };
            let seen = self.state.window.examine(prepared.dedupe, prepared.content);
            if seen == Seen::Duplicate {
                count.1 += 1;
                continue;
            }
            count.0 += 1;
            let again = seen == Seen::Reused;
            reused += u64::from(again);
            self.state.window.remember(Row(row_number), prepared.dedupe, prepared.content);
            row_number += 1;
            kept.push(Kept { org: *org, batch: *batch, row: *row, len: prepared.len, reused: again });
        }
        (counts, reused)
    }

    /// Stamps `scratch.kept` and builds the block. From here on nothing may be refused.
    fn build<T>(&mut self, batches: &[Queued<T>], now: Moment) -> (Buffer, Vec<OrgKey>) {
        let place = self.place(now);
        let Scratch { kept, runs, .. } = &mut self.scratch;
        runs.clear();
        let (mut names_len, mut body) = (0, 0);
        for run in kept.chunk_by(|a, b| a.org == b.org) {
            let Some(first) = run.first() else { continue };
            names_len += self.state.org(first.org).id.as_str().len();
            body += run.iter().map(|row| row.len as usize + event::record::MAX_HEAD).sum::<usize>();
            runs.push((first.org, run.len()));
        }
        let room = RowsBuilder::room(runs.len(), kept.len(), names_len, body);
        let mut builder = RowsBuilder::new(self.shelf.take(room), runs.len(), kept.len(), names_len, body);
        let mut rest = kept.as_slice();
        for (key, count) in runs.iter() {
            let Some((run, others)) = rest.split_at_checked(*count) else { break };
            rest = others;
            // Known since the loop above.
            let Some(state) = self.state.orgs.get_mut(key) else { continue };
            let (id, first_seq) = (state.id.as_str(), state.next);
            state.next += *count as u64;
            builder.run(id, first_seq, u32::try_from(*count).unwrap_or(u32::MAX));
            for (seq, kept) in (first_seq..).zip(run) {
                let Some((batch, row)) = row_of(batches, kept.batch, kept.row) else { continue };
                let mut group_first_seq = 0;
                let mut group = None;
                if row.group != 0 {
                    let time = row.time_ms.min(now.wall.0);
                    group_first_seq = self.state.groups.join(*key, row.group, seq, time);
                    group = Some(groups::id(id, row.group, group_first_seq));
                }
                let head = event::record::head(seq, group, kept.reused);
                let facts = RowFacts {
                    kind: row.kind,
                    flags: u8::from(kept.reused),
                    status: row.status,
                    time_ms: row.time_ms,
                    app: row.app,
                    content: row.content,
                    dedupe: row.dedupe,
                    group: row.group,
                    group_first_seq,
                };
                builder.row(head.as_bytes(), batch.rows.tail(row), &facts);
            }
        }
        self.state.next_row += kept.len() as u64;
        self.state.next_index += 1;
        let padding = self.io.padding(builder.block_len());
        let run_orgs = runs.iter().map(|(org, _)| *org).collect();
        (builder.finish_padded(&place, padding), run_orgs)
    }

    fn write_control(&mut self, kind: BlockKind, body: &[u8], now: Moment) -> Result<(), OwnerFault> {
        let place = self.place(now);
        self.state.next_index += 1;
        let padding = self.io.padding(control_len(body.len()));
        let block = padded_control_block(kind, body, &place, padding);
        self.io.write(&block).map_err(|e| self.fault("writing control data", e))
    }

    fn place(&self, now: Moment) -> Place {
        let tip = self.io.tip();
        Place {
            epoch: tip.epoch,
            pos: tip.pos,
            durable_upto: tip.durable_upto,
            index: self.state.next_index,
            base_row: Row(self.state.next_row),
            written_at: now.wall,
        }
    }

    fn begin_segment(&mut self, now: Moment) -> Result<(), OwnerFault> {
        self.state.groups.close_idle(now.wall.0);
        let (parts, end) = self.state.snapshot().encode();
        self.io.roll(Row(self.state.next_row)).map_err(|e| self.fault("beginning a segment", e))?;
        match self.io.reserve(parts.len() as u64 + 65_536, true) {
            Ok(()) => {}
            Err(ReserveError::Io(error)) => return Err(self.fault("reserving space", error)),
            Err(ReserveError::Refused(refusal)) => {
                return Err(self.fault("reserving space for the snapshot", io::Error::other(refusal)));
            }
        }
        fail::fail_point!("owner::snapshot::before");
        for part in parts.chunks(snapshot::PART) {
            self.write_control(BlockKind::Snapshot, part, now)?;
        }
        self.write_control(BlockKind::SnapshotEnd, &end, now)?;
        fail::fail_point!("owner::snapshot::after");
        self.io.publish().map_err(|e| self.fault("publishing a segment", e))
    }

    fn fault(&self, doing: &'static str, error: io::Error) -> OwnerFault {
        OwnerFault::Io { partition: self.id, doing, error }
    }
}

fn control_body(states: &[LaneStates]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut lanes = Vec::new();
    for states in states.iter().filter(|s| !s.0.is_empty()) {
        lanes.clear();
        states.encode(&mut lanes);
        body.push(LANES);
        put_bytes(&mut body, &lanes);
    }
    body
}

fn row_of<T>(batches: &[Queued<T>], batch: u32, row: u32) -> Option<(&Queued<T>, &PreparedRow)> {
    let batch = batches.get(batch as usize)?;
    Some((batch, batch.rows.rows.get(row as usize)?))
}
