//! The writing half of one partition.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use flow::block::{Block, BlockKind, Header, parse_header};
use flow::clock::UnixMillis;
use flow::segment::{Expired, ReserveError, SegmentIo, Tip};
use flow::units::{LogPos, PartitionId, Row, RowRange};

use crate::direct::Direct;
use crate::index::Index;
use crate::limits::Limits;
use crate::replay;
use crate::seal::{refused, seal};
use crate::segment_header::{HEADER_SPACE, SegmentHeader, Sort};
use crate::settings::Entropy;
use crate::shared::{Active, Shared, segment_name, segment_path};
use crate::space::{Space, Use};
use crate::state::{Loss, PartitionState};
use crate::vfs::{Access, FolderLock, VfsFile};

/// The writing half of one partition; its owner holds it. See [`SegmentIo`] for the order of calls.
#[derive(Debug)]
pub struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) space: Arc<Space>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) direct: Arc<Direct>,
    pub(crate) log: crate::segment_header::LogId,
    pub(crate) segment_bytes: u64,
    pub(crate) allocate_step: u64,
    pub(crate) entropy: Entropy,
    pub(crate) state: PartitionState,
    /// Where the next segment begins while none is open.
    pub(crate) end: LogPos,
    pub(crate) end_row: Row,
    pub(crate) open: Option<Open>,
    /// An error happened after which nothing may be written any more.
    pub(crate) failed: bool,
    /// The open segment holds records that must leave in time.
    pub(crate) aged: bool,
    pub(crate) _lock: Arc<FolderLock>,
}

/// A segment is full here whatever its snapshot takes: offsets are 32 bits wide.
const MAX_WRITTEN: u64 = 3 << 30;

/// The segment that is being written.
#[derive(Debug)]
pub(crate) struct Open {
    header: SegmentHeader,
    file: Arc<dyn VfsFile>,
    /// The same file for writes past the page cache.
    direct: Option<Arc<dyn VfsFile>>,
    /// The last block was a large one.
    behind_large: bool,
    /// Its temporary name, until it is published.
    unpublished: Option<PathBuf>,
    snapshot_done: bool,
    /// It is large enough from here on. Behind a snapshot at least half of a segment's size is for blocks: with one that is
    /// as large as a segment every commit would begin another segment.
    full_at: u64,
    /// Offsets in the file.
    written: u64,
    allocated: u64,
    /// Bytes reserved and not yet written.
    promised: u64,
    durable: u64,
    row: Row,
    /// Blocks that are written and not yet synced.
    staged: Vec<(Block, u32)>,
    /// Bytes counted in the limits.
    counted: u64,
}

fn misuse(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

impl Writer {
    /// The partition.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.shared.partition
    }

    /// What repairs declared lost. An owner that finds [`Loss::upper_bound`] must not give out seqs that the lost
    /// rows may have had.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        &self.state.losses
    }

    /// The row that the next record gets.
    #[must_use]
    pub fn next_row(&self) -> Row {
        self.open.as_ref().map_or(self.end_row, |open| open.row)
    }

    /// Runs `act`; after its failure nothing is written any more.
    fn guarded<T>(&mut self, act: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.failed {
            return Err(io::Error::other("an earlier write failed: the process must stop"));
        }
        let result = act(self);
        self.failed = result.is_err();
        result
    }

    fn write_block(&mut self, block: &[u8]) -> io::Result<()> {
        let open = self.open.as_mut().ok_or_else(|| misuse("no segment is open: roll first"))?;
        let header = parse_header(block).map_err(io::Error::other)?;
        open.check(&header, block.len())?;
        let offset = u32::try_from(open.written).map_err(|_| misuse("the segment is full: roll first"))?;
        let table = Bytes::copy_from_slice(block.get(..header.table_end()).unwrap_or_default());
        let seen = Block::trusted_table(table).ok_or_else(|| misuse("no block"))?;
        crate::failpoint::at("journal::write::before")?;
        open.put(&self.direct, block)?;
        crate::failpoint::at("journal::write::after")?;
        open.behind_large = self.direct.is_large(block.len().saturating_sub(header.padding as usize));
        open.written += block.len() as u64;
        open.promised = open.promised.saturating_sub(block.len() as u64);
        open.row = header.end_row();
        open.snapshot_done |= header.kind == BlockKind::SnapshotEnd;
        open.staged.push((seen, offset));
        Ok(())
    }

    fn sync_open(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        // What was reserved beyond what was written is given back.
        open.promised = 0;
        if open.durable == open.written {
            return Ok(());
        }
        crate::failpoint::at("journal::sync::before")?;
        open.file.sync()?;
        crate::failpoint::at("journal::sync::after")?;
        open.durable = open.written;
        let mut view = self.shared.view.write();
        if let Some(active) = &mut view.active {
            for (block, offset) in open.staged.drain(..) {
                active.index.add(&block, offset);
            }
        }
        drop(view);
        self.limits.grow(open.written - open.counted);
        open.counted = open.written;
        Ok(())
    }

    /// Closes the open segment; readers go on with it as a sealed one.
    fn seal_open(&mut self) -> io::Result<()> {
        self.sync_open()?;
        let Some(open) = self.open.take() else { return Ok(()) };
        if open.unpublished.is_some() {
            return Err(misuse("the open segment was never published"));
        }
        let index = match &self.shared.view.read().active {
            Some(active) => active.index.clone(),
            None => Index::new(&open.header),
        };
        let sealed = Arc::new(seal(&*open.file, &open.header, &index, &self.space)?);
        self.end = index.summary.end;
        self.end_row = index.summary.end_row;
        self.limits.grow(sealed.file_len.saturating_sub(open.counted));
        let mut view = self.shared.view.write();
        view.sealed.push_back(sealed);
        view.active = None;
        drop(view);
        self.note_oldest();
        Ok(())
    }

    fn begin(&mut self, next_row: Row) -> io::Result<()> {
        if next_row != self.end_row {
            return Err(misuse("the next segment must continue with the row behind the last one"));
        }
        let header = SegmentHeader {
            sort: Sort::Owned,
            partition: self.shared.partition,
            log: self.log,
            base: self.end,
            base_row: self.end_row,
            epoch: self.entropy.next(),
        };
        let path = self.shared.dir.join(format!("{}.new", segment_name(header.base)));
        let file = self.space.make_room(|| self.shared.vfs.open(&path, Access::Create))?;
        self.space.allocate(&*file, 0, HEADER_SPACE, Use::Upkeep).map_err(refused)?;
        crate::failpoint::at("journal::begin::write::before")?;
        file.write_all_at(&header.encode(), 0)?;
        crate::failpoint::at("journal::begin::after")?;
        let direct = self.direct.open(&*self.shared.vfs, &path)?;
        self.aged = false;
        self.open = Some(Open {
            header,
            file: Arc::clone(&file),
            direct,
            behind_large: false,
            unpublished: Some(path),
            snapshot_done: false,
            full_at: self.segment_bytes,
            written: HEADER_SPACE,
            allocated: HEADER_SPACE,
            promised: 0,
            durable: HEADER_SPACE,
            row: header.base_row,
            staged: Vec::new(),
            counted: 0,
        });
        let index = Index::new(&header);
        self.shared.view.write().active = Some(Active { header, file, index });
        Ok(())
    }

    fn publish_open(&mut self) -> io::Result<()> {
        crate::failpoint::at("journal::publish::sync::before")?;
        self.sync_open()?;
        let Some(open) = &mut self.open else { return Err(misuse("no segment is open: roll first")) };
        let Some(new) = &open.unpublished else { return Err(misuse("the segment is published already")) };
        if !open.snapshot_done {
            return Err(misuse("a segment is published with a complete snapshot only"));
        }
        let (vfs, dir, base) = (&*self.shared.vfs, &self.shared.dir, open.header.base);
        crate::failpoint::at("journal::publish::rename::before")?;
        vfs.rename(new, &segment_path(dir, base))?;
        crate::failpoint::at("journal::publish::rename::after")?;
        vfs.sync_dir(dir)?;
        crate::failpoint::at("journal::publish::dir_sync::after")?;
        self.state.newest = Some(base.0);
        open.full_at = self.segment_bytes.max(open.written + self.segment_bytes / 2).min(MAX_WRITTEN);
        self.state.newest_limit = open.full_at.saturating_add(flow::block::MAX_BLOCK as u64);
        // Losses that retention has passed are told as expired. One right before the oldest segment is none of these: with
        // the first segments set aside by a repair, it is all that says that they were not expired.
        let (row, pos) = self.shared.view.read().oldest_place();
        self.state.losses.retain(|loss| loss.end_row >= row.0 || loss.to >= pos.0);
        let state = &self.state;
        self.space.make_room(|| state.write(vfs, dir))?;
        crate::failpoint::at("journal::publish::after")?;
        open.unpublished = None;
        Ok(())
    }

    fn allocate(&mut self, bytes: u64, ballast: bool) -> Result<(), ReserveError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        // Records and lane state of one commit are reserved one after the other, and both before anything is written.
        let promised = open.promised.saturating_add(bytes);
        let needed = open.written.saturating_add(promised);
        if needed <= open.allocated {
            // Room that was taken earlier; but events wait as long as the ballast is not whole.
            if !ballast {
                self.space.ready()?;
            }
            open.promised = promised;
            return Ok(());
        }
        let purpose = match (ballast, &open.unpublished) {
            (false, _) => Use::Events,
            (true, None) => Use::LaneState,
            // A snapshot: without it there is no segment to go on with.
            (true, Some(_)) => Use::Upkeep,
        };
        let generous = needed.max(open.allocated.saturating_add(self.allocate_step));
        let from = open.allocated;
        let end = match self.space.allocate(&*open.file, from, generous, Use::Events) {
            Ok(()) => generous,
            Err(ReserveError::Refused(_)) if ballast || generous > needed => {
                self.space.allocate(&*open.file, from, needed, purpose)?;
                needed
            }
            Err(error) => return Err(error),
        };
        open.allocated = end;
        open.promised = promised;
        Ok(())
    }

    fn expire_sealed(&mut self, now: UnixMillis) -> io::Result<Option<Expired>> {
        let mut rows: Option<RowRange> = None;
        loop {
            let mut view = self.shared.view.write();
            // The last segment stays: it holds the snapshot.
            if view.active.is_none() && view.sealed.len() < 2 {
                break;
            }
            let due =
                |s: &Arc<crate::shared::Sealed>| self.limits.must_go(s.trailer.summary.last_written, now);
            let Some(oldest) = view.sealed.front().filter(|s| due(s)).cloned() else { break };
            // Readers are told first, so that none finds a file missing that it was sent to.
            view.sealed.pop_front();
            drop(view);
            self.shared.forget(&oldest.header);
            self.limits.shrink(oldest.file_len);
            self.note_oldest();
            crate::failpoint::at("journal::expire::unlink::before")?;
            match self.shared.vfs.remove(&segment_path(&self.shared.dir, oldest.header.base)) {
                // Somebody removed it by hand: it is gone all the same.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
            crate::failpoint::at("journal::expire::unlink::after")?;
            // One by one: a crash must not bring back an older segment without the one behind it.
            self.shared.vfs.sync_dir(&self.shared.dir)?;
            crate::failpoint::at("journal::expire::dir_sync::after")?;
            let summary = &oldest.trailer.summary;
            let start = rows.map_or(summary.base_row, |rows| rows.start);
            rows = Some(RowRange { start, end: self.shared.view.read().oldest() });
        }
        if let Some(active) = &self.shared.view.read().active {
            let summary = &active.index.summary;
            self.aged =
                summary.end_row > summary.base_row && self.limits.must_close(summary.first_written, now);
        }
        Ok(rows.filter(|rows| !rows.is_empty()).map(|rows| Expired { rows }))
    }

    pub(crate) fn note_oldest(&self) {
        let oldest = self.shared.view.read().sealed.front().map(|s| s.trailer.summary.last_written);
        self.limits.set_oldest(self.shared.partition, oldest);
    }
}

impl Open {
    /// Writes a block at the tip.
    fn put(&mut self, direct: &Direct, block: &[u8]) -> io::Result<()> {
        if let Some(file) = self.direct.as_ref().filter(|_| direct.suits(block, self.written)) {
            match file.write_all_at(block, self.written) {
                // Nothing of it counts: the same bytes go to the same place through the page cache.
                Err(error) if direct.is_refusal(&error) => self.direct = None,
                other => return other,
            }
        }
        self.file.write_all_at(block, self.written)
    }

    /// The owner builds blocks for exactly the tip; anything else would be read back as damage.
    fn check(&self, header: &Header, len: usize) -> io::Result<()> {
        if header.epoch != self.header.epoch || header.pos != self.header.pos_of(self.written) {
            return Err(misuse("the block was built for another place"));
        }
        if header.durable_upto > self.header.pos_of(self.durable) {
            return Err(misuse("the block claims that more is durable than is"));
        }
        if header.base_row != self.row || header.total_len() != len {
            return Err(misuse("the block's rows or length do not fit"));
        }
        let snapshot = matches!(header.kind, BlockKind::Snapshot | BlockKind::SnapshotEnd);
        if snapshot != self.unpublished.is_some() {
            return Err(misuse(
                "before a segment is published it takes snapshot blocks, afterwards all others",
            ));
        }
        Ok(())
    }
}

impl SegmentIo for Writer {
    fn tip(&self) -> Tip {
        match &self.open {
            Some(open) => Tip {
                epoch: open.header.epoch,
                pos: open.header.pos_of(open.written),
                durable_upto: open.header.pos_of(open.durable),
            },
            None => Tip { epoch: 0, pos: self.end, durable_upto: self.end },
        }
    }

    fn reserve(&mut self, bytes: u64, ballast: bool) -> Result<(), ReserveError> {
        if self.failed {
            return Err(io::Error::other("an earlier write failed: the process must stop").into());
        }
        let result = self.allocate(bytes, ballast);
        self.failed |= matches!(result, Err(ReserveError::Io(_)));
        result
    }

    fn padding(&self, len: usize) -> usize {
        match &self.open {
            // Snapshots are written once a segment, and nothing large comes behind them at once.
            Some(open) if open.direct.is_some() && open.unpublished.is_none() => {
                self.direct.padding(len, open.written, open.behind_large)
            }
            _ => 0,
        }
    }

    fn write(&mut self, block: &[u8]) -> io::Result<()> {
        self.guarded(|writer| writer.write_block(block))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.guarded(Self::sync_open)
    }

    fn is_full(&self) -> bool {
        self.aged || self.open.as_ref().is_some_and(|open| open.written >= open.full_at)
    }

    fn roll(&mut self, next_row: Row) -> io::Result<()> {
        self.guarded(|writer| {
            writer.seal_open()?;
            writer.begin(next_row)
        })
    }

    fn publish(&mut self) -> io::Result<()> {
        self.guarded(Self::publish_open)
    }

    fn expire(&mut self, now: UnixMillis) -> io::Result<Option<Expired>> {
        self.guarded(|writer| writer.expire_sealed(now))
    }

    fn unknown_rows(&self, from: Row) -> u64 {
        replay::unknown_rows(&self.shared, from)
    }

    fn replay(&mut self, visit: &mut dyn FnMut(&Block)) -> io::Result<()> {
        replay::state(&self.shared, self.end_row, visit)
    }

    fn replay_rows(&mut self, from: Row, visit: &mut dyn FnMut(&Block)) -> io::Result<()> {
        replay::rows(&self.shared, from, visit)
    }
}
