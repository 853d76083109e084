//! Walking through the blocks of a segment file, past what is no block.

use std::io;

use bytes::Bytes;
use flow::block::{ALIGN, Block, BlockFault, BlockKind, HEADER_LEN, MAGIC, padded, parse_header};
use flow::units::{LogPos, Row};

use crate::bytes_le::{u32_at, u64_at};
use crate::segment_header::SegmentHeader;
use crate::state::Loss;
use crate::vfs::{VfsFile, read_up_to};

/// Read with a header, so that small tables take one call; nothing behind the limit is asked for.
const FIRST_READ: usize = 4096;
/// Read at a time when looking for the next block.
const SEARCH_READ: usize = 1 << 20;

/// A stretch of a segment in which no block can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hole {
    /// Offset in the file of its first byte.
    pub(crate) from: u64,
    /// One past its last byte: where the next readable block begins, or the end that was scanned to.
    pub(crate) to: u64,
    /// The next row before it.
    pub(crate) row: Row,
    /// What is wrong at `from`.
    pub(crate) fault: BlockFault,
    /// Whether a readable block follows.
    pub(crate) followed: bool,
}

/// A readable block (header and table; the body is not looked at).
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) offset: u64,
    pub(crate) block: Block,
}

impl Seen {
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.block.header().total_len() as u64
    }
}

/// What a scan found, both ascending.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) blocks: Vec<Seen>,
    pub(crate) holes: Vec<Hole>,
}

/// Reads a file from front to back, ahead where blocks are small, so that many tiny blocks do not take a call each.
pub(crate) struct Ahead<'a> {
    file: &'a dyn VfsFile,
    start: u64,
    bytes: Vec<u8>,
    /// How much more than asked is read.
    more: usize,
}

/// Read ahead while blocks are smaller than a quarter of it.
const AHEAD: usize = 256 << 10;

impl<'a> Ahead<'a> {
    pub(crate) fn new(file: &'a dyn VfsFile) -> Self {
        Self { file, start: 0, bytes: Vec::new(), more: 0 }
    }

    /// `len` bytes at `offset`, fewer only at the end of the file.
    pub(crate) fn get(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let inside = |start: u64, held: usize| {
            let at = usize::try_from(offset.checked_sub(start)?).ok()?;
            (at.checked_add(len)? <= held).then_some(at)
        };
        let at = match inside(self.start, self.bytes.len()) {
            Some(at) => at,
            None => {
                self.bytes = read_up_to(self.file, offset, len.max(self.more))?;
                self.start = offset;
                0
            }
        };
        let end = at.saturating_add(len).min(self.bytes.len());
        Ok(self.bytes.get(at..end).unwrap_or_default())
    }

    /// Told of every block's length, it learns whether reading ahead pays.
    pub(crate) fn passed(&mut self, block_len: usize) {
        self.more = if block_len < AHEAD / 4 { AHEAD } else { 0 };
    }
}

/// Reads header and table of the block at `offset`, which must say that it belongs exactly there.
pub(crate) fn block_at(
    file: &dyn VfsFile,
    segment: &SegmentHeader,
    offset: u64,
    limit: u64,
) -> io::Result<Result<Block, BlockFault>> {
    next_at(&mut Ahead::new(file), segment, offset, limit)
}

fn next_at(
    ahead: &mut Ahead<'_>,
    segment: &SegmentHeader,
    offset: u64,
    limit: u64,
) -> io::Result<Result<Block, BlockFault>> {
    let room = usize::try_from(limit.saturating_sub(offset)).unwrap_or(usize::MAX);
    let header = match parse_header(ahead.get(offset, FIRST_READ.min(room))?) {
        Ok(header) => header,
        Err(fault) => return Ok(Err(fault)),
    };
    if header.epoch != segment.epoch || header.pos != segment.pos_of(offset) {
        return Ok(Err(BlockFault::Inconsistent("the block belongs elsewhere")));
    }
    if header.durable_upto > header.pos {
        return Ok(Err(BlockFault::Inconsistent("the block claims that itself is durable")));
    }
    if header.total_len() > room {
        return Ok(Err(BlockFault::Short));
    }
    let table = ahead.get(offset, header.table_end())?;
    if table.len() < header.table_end() {
        return Ok(Err(BlockFault::Short));
    }
    // A copy of just the table: it is kept, and must not keep what was read ahead alive.
    let table = Bytes::copy_from_slice(table);
    ahead.passed(header.total_len());
    Ok(Block::from_table(table))
}

/// Reads the body behind `seen`; nothing of it is checked, and it may be cut short.
pub(crate) fn with_body(file: &dyn VfsFile, seen: &Seen) -> io::Result<Block> {
    let header = seen.block.header();
    let body = read_up_to(file, seen.offset + header.table_end() as u64, header.body_len as usize)?;
    Ok(seen.block.clone().with_body(Bytes::from(body), 0))
}

/// Whether the whole block behind `seen` is there, every record of it as its checksum says.
pub(crate) fn is_whole(file: &dyn VfsFile, seen: &Seen) -> io::Result<bool> {
    let block = with_body(file, seen)?;
    Ok(block.body().len() == seen.block.header().body_len as usize && block.check_body().is_ok())
}

/// Walks through the blocks from `start` to `limit` (offsets in the file). Holes that `losses` cover are passed
/// silently.
pub(crate) fn scan(
    file: &dyn VfsFile,
    segment: &SegmentHeader,
    start: u64,
    limit: u64,
    losses: &[Loss],
) -> io::Result<Scan> {
    let mut found = Scan::default();
    let mut offset = start;
    let mut row = segment.base_row;
    let mut after_hole = false;
    let mut ahead = Ahead::new(file);
    while offset < limit {
        let pos = segment.pos_of(offset);
        // Asked first: of a lost control block the header may be good.
        if let Some(loss) = losses.iter().find(|loss| loss.bytes().0 == pos && loss.bytes().1 > pos) {
            offset = segment.offset_of(loss.bytes().1);
            row = row.max(loss.rows().end);
            after_hole = true;
            continue;
        }
        let fault = match next_at(&mut ahead, segment, offset, limit)? {
            Ok(block) if in_order(&block, row, after_hole) => {
                row = block.header().end_row();
                let seen = Seen { offset, block };
                offset = seen.end();
                found.blocks.push(seen);
                after_hole = false;
                continue;
            }
            Ok(_) => BlockFault::Inconsistent("the rows do not follow the block before"),
            Err(fault) => fault,
        };
        after_hole = true;
        let next = next_block(file, segment, offset + ALIGN as u64, limit, row)?;
        found.holes.push(Hole {
            from: offset,
            to: next.unwrap_or(limit),
            row,
            fault,
            followed: next.is_some(),
        });
        offset = next.unwrap_or(limit);
    }
    Ok(found)
}

fn in_order(block: &Block, row: Row, after_hole: bool) -> bool {
    let base = block.header().base_row;
    base == row || (after_hole && base > row)
}

/// Looks for the next readable block at or after `from`.
fn next_block(
    file: &dyn VfsFile,
    segment: &SegmentHeader,
    from: u64,
    limit: u64,
    row: Row,
) -> io::Result<Option<u64>> {
    let mut offset = from;
    while offset < limit {
        let len = usize::try_from(limit - offset).unwrap_or(usize::MAX).min(SEARCH_READ);
        let bytes = read_up_to(file, offset, len)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        // Windows overlap by a header, so that none is missed at their edges.
        let mut at = 0;
        while at + 32 <= bytes.len() {
            let pos = segment.pos_of(offset + at as u64);
            let plausible = u32_at(&bytes, at) == MAGIC
                && u64_at(&bytes, at + 16) == segment.epoch
                && u64_at(&bytes, at + 24) == pos.0;
            if plausible {
                let place = offset + at as u64;
                if let Ok(block) = block_at(file, segment, place, limit)?
                    && block.header().base_row >= row
                {
                    return Ok(Some(place));
                }
            }
            at += ALIGN;
        }
        if bytes.len() < SEARCH_READ {
            return Ok(None);
        }
        offset += (bytes.len() - HEADER_LEN) as u64;
    }
    Ok(None)
}

/// What the blocks of an owner's segment themselves prove to be durable: their watermarks, and the complete snapshot,
/// which was synced before the segment got its name.
pub(crate) fn proven(segment: &SegmentHeader, blocks: &[Seen]) -> LogPos {
    let mut proven = segment.base;
    let mut snapshot = false;
    for seen in blocks {
        let header = seen.block.header();
        proven = proven.max(header.durable_upto);
        if header.kind == BlockKind::SnapshotEnd && !snapshot {
            snapshot = true;
            proven = proven.max(segment.pos_of(seen.end()));
        }
    }
    proven
}

/// Whether a block says nothing but how far its segment was durable.
pub(crate) fn is_watermark(block: &Block) -> bool {
    let header = block.header();
    header.kind == BlockKind::Control && header.body_len == 0
}

const _: () = assert!(padded(HEADER_LEN) == HEADER_LEN && SEARCH_READ.is_multiple_of(ALIGN));
