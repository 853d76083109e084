//! Bringing a partition's folder into order after whatever ended the last run. Nothing uses what it holds before.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use flow::block::{BlockKind, set_epoch};
use flow::units::{LogPos, PartitionId, Row};
use serde::Serialize;

use crate::index::Index;
use crate::scan::{Seen, is_watermark};
use crate::seal::seal;
use crate::segment_header::{HEADER_SPACE, SegmentHeader, Sort};
use crate::shared::{Sealed, segment_name, segment_path};
use crate::space::Space;
use crate::state::{PartitionState, after_losses};
use crate::survey::{Content, Scanned, Segment, Survey};
use crate::vfs::{Access, Vfs, read_up_to};

/// What recovery did to a partition, for the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// Bytes of a torn tail that were cut.
    pub torn_bytes: u64,
    /// Blocks whose durability nothing proved: copied and synced.
    pub copied_blocks: u64,
    /// Records in them.
    pub copied_rows: u64,
    /// Footers that were written anew.
    pub rebuilt_footers: u64,
}

/// A partition in order: everything sealed and durable.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) sealed: VecDeque<Arc<Sealed>>,
    pub(crate) state: PartitionState,
    /// Where the next segment begins.
    pub(crate) end: LogPos,
    pub(crate) end_row: Row,
    pub(crate) what: Recovery,
}

pub(crate) struct Recoverer<'a> {
    pub(crate) vfs: &'a dyn Vfs,
    pub(crate) dir: &'a Path,
    pub(crate) partition: PartitionId,
    pub(crate) space: &'a Space,
    pub(crate) entropy: &'a dyn Fn() -> u64,
}

impl Recoverer<'_> {
    /// Puts an undamaged partition in order.
    pub(crate) fn run(&self, survey: Survey) -> io::Result<Recovered> {
        let Survey { segments, mut state, leftovers, .. } = survey;
        for name in &leftovers {
            self.vfs.remove(&self.dir.join(name))?;
        }
        if !leftovers.is_empty() {
            self.vfs.sync_dir(self.dir)?;
        }
        let mut what = Recovery::default();
        let mut sealed = VecDeque::new();
        let count = segments.len();
        for (at, segment) in segments.into_iter().enumerate() {
            match &segment.content {
                Content::Sealed(trailer) => {
                    let (header, file_len) = (segment.header, segment.file_len);
                    sealed.push_back(Arc::new(Sealed { header, trailer: *trailer, file_len }));
                }
                Content::Scanned(scanned) => {
                    if at + 1 == count && segment.header.sort == Sort::Owned {
                        self.finish_newest(&segment, scanned, &mut sealed, &mut state, &mut what)?;
                    } else {
                        sealed.push_back(Arc::new(self.close(&segment, &scanned.blocks)?));
                        what.rebuilt_footers += 1;
                    }
                }
            }
        }
        let last = sealed.back().map(|s: &Arc<Sealed>| s.trailer.summary);
        let (end, end_row) = last.map_or((LogPos(0), Row(0)), |summary| (summary.end, summary.end_row));
        // Rows and positions that were lost at the very end are not given out again.
        let lost = state.losses.iter().filter(|loss| loss.from >= end.0);
        let lost_row = lost.map(|loss| loss.end_row).max().unwrap_or(0);
        Ok(Recovered {
            end: after_losses(&state.losses, end),
            end_row: end_row.max(Row(lost_row)),
            sealed,
            state,
            what,
        })
    }

    /// The segment in which the last run ended: keep what is proven, copy what is readable but not proven, cut the
    /// rest.
    fn finish_newest(
        &self,
        segment: &Segment,
        scanned: &Scanned,
        sealed: &mut VecDeque<Arc<Sealed>>,
        state: &mut PartitionState,
        what: &mut Recovery,
    ) -> io::Result<()> {
        what.torn_bytes = scanned.torn;
        let proven_at = segment.header.offset_of(scanned.proven);
        let split = scanned.blocks.partition_point(|seen| seen.offset < proven_at);
        let (kept, unproven) = scanned.blocks.split_at(split);
        let worth = |seen: &Seen| {
            !is_watermark(&seen.block)
                && matches!(seen.block.header().kind, BlockKind::Rows | BlockKind::Control)
        };
        let copied = if unproven.iter().any(worth) {
            Some(self.copy(segment, scanned, unproven, what)?)
        } else {
            None
        };
        // Only now: until the copy is durable these bytes are the only ones, and their records may be acknowledged.
        if kept.is_empty() {
            self.set_aside(segment, sealed, state)?;
        } else {
            sealed.push_back(Arc::new(self.close(segment, kept)?));
        }
        sealed.extend(copied.map(Arc::new));
        Ok(())
    }

    /// Copies blocks into a segment of their own, complete and durable before it gets its name.
    fn copy(
        &self,
        segment: &Segment,
        scanned: &Scanned,
        blocks: &[Seen],
        what: &mut Recovery,
    ) -> io::Result<Sealed> {
        crate::failpoint::at("journal::recover::copy::before")?;
        let from = &segment.header;
        let base_row = blocks.first().map_or(from.base_row, |seen| seen.block.header().base_row);
        let end = from.pos_of(scanned.end);
        let header = SegmentHeader {
            sort: Sort::Recovered(end),
            base: scanned.proven,
            base_row,
            epoch: (self.entropy)(),
            ..*from
        };
        if header.base == from.base {
            return Err(io::Error::other("no block of the segment is proven durable, not even its snapshot"));
        }
        let new = self.dir.join(format!("{}.new", segment_name(header.base)));
        let file = self.space.make_room(|| self.vfs.open(&new, Access::Create))?;
        self.space
            .allocate(&*file, 0, header.offset_of(end), crate::space::Use::Upkeep)
            .map_err(crate::seal::refused)?;
        file.write_all_at(&header.encode(), 0)?;
        let mut index = Index::new(&header);
        for seen in blocks {
            let len = seen.block.header().total_len();
            let mut bytes = read_up_to(&*segment.file, seen.offset, len)?;
            if bytes.len() != len || !set_epoch(&mut bytes, header.epoch) {
                return Err(io::Error::other("a block vanished while it was copied"));
            }
            let pos = from.pos_of(seen.offset);
            let offset = header.offset_of(pos);
            crate::failpoint::at("journal::recover::write::before")?;
            file.write_all_at(&bytes, offset)?;
            index.add(&seen.block, u32::try_from(offset).map_err(io::Error::other)?);
            what.copied_blocks += 1;
            what.copied_rows += u64::from(seen.block.header().rows);
        }
        crate::failpoint::at("journal::recover::sync::before")?;
        let sealed = seal(&*file, &header, &index, self.space)?;
        crate::failpoint::at("journal::recover::rename::before")?;
        self.vfs.rename(&new, &segment_path(self.dir, header.base))?;
        crate::failpoint::at("journal::recover::rename::after")?;
        self.vfs.sync_dir(self.dir)?;
        crate::failpoint::at("journal::recover::dir_sync::after")?;
        Ok(sealed)
    }

    /// Closes a segment behind `blocks`, which are durable.
    fn close(&self, segment: &Segment, blocks: &[Seen]) -> io::Result<Sealed> {
        let mut index = Index::new(&segment.header);
        for seen in blocks {
            index.add(&seen.block, u32::try_from(seen.offset).map_err(io::Error::other)?);
        }
        let file = self.vfs.open(&segment.path, Access::Write)?;
        seal(&*file, &segment.header, &index, self.space)
    }

    /// A segment of which nothing is left (its snapshot was lost, and the loss accepted) makes room for the next one.
    fn set_aside(
        &self,
        segment: &Segment,
        sealed: &VecDeque<Arc<Sealed>>,
        state: &mut PartitionState,
    ) -> io::Result<()> {
        tracing::warn!(partition = self.partition.0, path = %segment.path.display(), "segment set aside: nothing in it is readable");
        state.newest = sealed.back().map(|s| s.header.base.0);
        self.space.make_room(|| state.write(self.vfs, self.dir))?;
        self.vfs.rename(&segment.path, &segment.path.with_extension("seg.bad"))?;
        self.vfs.sync_dir(self.dir)
    }
}

const _: () = assert!(HEADER_SPACE as usize >= crate::segment_header::HEADER_LEN);
