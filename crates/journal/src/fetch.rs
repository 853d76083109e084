//! Bringing records from a segment file, every one of them proven by its checksum.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use flow::block::{Block, BlockFault};
use flow::log::{Piece, Scope, Slice};
use flow::segment::ReadError;
use flow::units::Row;

use crate::index::{BlockEntry, Run};
use crate::reader::MAX_BLOCKS;
use crate::segment_header::SegmentHeader;
use crate::shared::Shared;
use crate::vfs::{VfsFile, read_up_to};

/// Blocks up to this size are read whole even for one organisation: one call instead of two.
const SMALL: usize = 32 << 10;
/// Bytes at most that one call reads over several blocks.
const STRETCH: u64 = 16 << 20;

/// A segment to read from.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn VfsFile>,
}

/// The rows of a scope in one segment, block by block.
#[derive(Debug)]
pub(crate) struct Picked {
    blocks: Vec<(BlockEntry, Vec<Range<u32>>)>,
    /// About how many bytes of records they are.
    pub(crate) bytes: usize,
    /// Where to continue.
    pub(crate) next: Row,
    /// It ends where it does because it is enough for one read.
    pub(crate) is_cut: bool,
}

impl Picked {
    /// Orders runs of several organisations by row, clips them to `from..limit`, and takes what fits into `room`
    /// bytes and [`MAX_BLOCKS`] blocks, but at least one.
    pub(crate) fn new(mut runs: Vec<Run>, blocks: &[BlockEntry], from: Row, limit: Row, room: usize) -> Self {
        runs.sort_unstable_by_key(|run| (run.block, run.first));
        let mut picked = Self { blocks: Vec::new(), bytes: 0, next: limit, is_cut: false };
        let mut current = None;
        for run in runs {
            let Some(block) = blocks.get(run.block as usize) else { continue };
            let rows = clip(block, run.first..run.first.saturating_add(run.count), from, limit);
            if rows.is_empty() {
                continue;
            }
            let is_crowded = picked.blocks.len() >= MAX_BLOCKS && current != Some(run.block);
            if picked.bytes >= room || is_crowded {
                // Everything before this run is taken or of nobody in the scope.
                picked.next = Row(block.base_row.0 + u64::from(rows.start));
                picked.is_cut = true;
                break;
            }
            // The share of the run that is left after clipping.
            let share = u64::from(run.bytes) * u64::from(rows.end - rows.start) / u64::from(run.count.max(1));
            picked.bytes = picked.bytes.saturating_add(usize::try_from(share).unwrap_or(usize::MAX).max(1));
            match picked.blocks.last_mut() {
                Some((_, ranges)) if current == Some(run.block) => match ranges.last_mut() {
                    Some(last) if last.end == rows.start => last.end = rows.end,
                    _ => ranges.push(rows),
                },
                _ => picked.blocks.push((*block, vec![rows])),
            }
            current = Some(run.block);
        }
        picked
    }
}

/// The part of `rows` (indices in the block) that lies in `from..limit`.
fn clip(block: &BlockEntry, rows: Range<u32>, from: Row, limit: Row) -> Range<u32> {
    let index = |row: Row| u32::try_from(row.0.saturating_sub(block.base_row.0)).unwrap_or(u32::MAX);
    rows.start.max(index(from))..rows.end.min(index(limit))
}

/// Reads whole blocks, all of whose rows are wanted.
pub(crate) fn fetch_all(
    source: &Source<'_>,
    blocks: &[BlockEntry],
    from: Row,
    limit: Row,
) -> Result<Slice, ReadError> {
    let mut pieces = Vec::with_capacity(blocks.len());
    let mut next = from;
    let mut rest = blocks;
    while let Some(first) = rest.first() {
        let start = u64::from(first.offset);
        let count = rest.iter().take_while(|block| block.end() - start <= STRETCH).count().max(1);
        let (stretch, later) = rest.split_at(count);
        rest = later;
        let end = stretch.last().map_or(start, BlockEntry::end);
        let bytes = Bytes::from(read_up_to(&*source.file, start, usize::try_from(end - start).unwrap_or(0))?);
        for block in stretch {
            if block.base_row > next {
                return Err(
                    source.damaged(block, BlockFault::Inconsistent("the rows before this block are missing"))
                );
            }
            let at = usize::try_from(u64::from(block.offset) - start).unwrap_or(usize::MAX);
            let own = bytes.get(at..at.saturating_add(block.total_len())).map(|own| bytes.slice_ref(own));
            let own = own.ok_or_else(|| source.damaged(block, BlockFault::Short))?;
            let rows = clip(block, 0..block.rows, next, limit);
            let whole = source.table(block, own.slice(..block.table_end()))?;
            let body = own.slice(block.table_end()..block.table_end() + block.body_len as usize);
            let whole = Arc::new(whole.with_body(body, 0));
            source.check(block, &whole, &rows)?;
            next = Row(block.base_row.0 + u64::from(rows.end));
            pieces.push(Piece { block: whole, rows: std::iter::once(rows).collect() });
        }
    }
    if next <= from {
        let detail = format!("row {from} is in no block");
        let file = source.shared.label(source.header.base);
        return Err(ReadError::Damaged { file, offset: 0, detail });
    }
    Ok(Slice::Rows { pieces, next })
}

/// Reads the picked rows: header and table of each block, and of the body only what is wanted.
pub(crate) fn fetch_picked(
    source: &Source<'_>,
    picked: &Picked,
    scope: &Scope,
) -> Result<Vec<Piece>, ReadError> {
    let mut pieces = Vec::new();
    for (block, ranges) in &picked.blocks {
        let key = (source.shared.partition, source.header.pos_of(u64::from(block.offset)));
        let known = source.shared.caches.tables.get(key).filter(|table| source.is_block(table, block));
        if known.is_none() && block.total_len() <= SMALL {
            pieces.push(small(source, block, ranges, scope)?);
            continue;
        }
        let table = match known {
            Some(table) => table,
            None => {
                let bytes = read_up_to(&*source.file, u64::from(block.offset), block.table_end())?;
                let table = Arc::new(source.table(block, Bytes::from(bytes))?);
                source.shared.caches.tables.put(key, &table, table.memory());
                table
            }
        };
        source.check_owners(block, &table, ranges, scope)?;
        for rows in ranges {
            let part = table.body_range(rows.clone()).unwrap_or(0..0);
            let len = (part.end - part.start) as usize;
            let at = u64::from(block.offset) + block.table_end() as u64 + u64::from(part.start);
            let body = Bytes::from(read_up_to(&*source.file, at, len)?);
            let read = Arc::new(Block::clone(&table).with_body(body, part.start));
            source.check(block, &read, rows)?;
            pieces.push(Piece { block: read, rows: std::iter::once(rows.clone()).collect() });
        }
    }
    Ok(pieces)
}

/// Reads a small block whole.
fn small(
    source: &Source<'_>,
    block: &BlockEntry,
    ranges: &[Range<u32>],
    scope: &Scope,
) -> Result<Piece, ReadError> {
    let bytes = Bytes::from(read_up_to(&*source.file, u64::from(block.offset), block.total_len())?);
    if bytes.len() < block.total_len() {
        return Err(source.damaged(block, BlockFault::Short));
    }
    let table = source.table(block, bytes.slice(..block.table_end()))?;
    source.check_owners(block, &table, ranges, scope)?;
    let body = bytes.slice(block.table_end()..block.table_end() + block.body_len as usize);
    let read = Arc::new(table.with_body(body, 0));
    for rows in ranges {
        source.check(block, &read, rows)?;
    }
    Ok(Piece { block: read, rows: ranges.iter().cloned().collect() })
}

impl Source<'_> {
    fn damaged(&self, block: &BlockEntry, fault: BlockFault) -> ReadError {
        self.shared.damaged(self.header.base, u64::from(block.offset), fault)
    }

    /// Header and table, checked against what the index says.
    fn table(&self, entry: &BlockEntry, bytes: Bytes) -> Result<Block, ReadError> {
        let block = Block::from_table(bytes).map_err(|fault| self.damaged(entry, fault))?;
        if self.is_block(&block, entry) {
            return Ok(block);
        }
        Err(self.damaged(entry, BlockFault::Inconsistent("not the block of the index")))
    }

    fn is_block(&self, block: &Block, entry: &BlockEntry) -> bool {
        let header = block.header();
        header.epoch == self.header.epoch
            && header.pos == self.header.pos_of(u64::from(entry.offset))
            && BlockEntry::new(header, entry.offset) == *entry
    }

    /// Checks the checksums of the rows that are handed out, and that they were read at all.
    fn check(&self, entry: &BlockEntry, block: &Block, rows: &Range<u32>) -> Result<(), ReadError> {
        for index in rows.clone() {
            let sound = block.record(index).is_some() && block.check_record(index).is_ok();
            if !sound {
                return Err(self.damaged(entry, BlockFault::BodyCrc));
            }
        }
        Ok(())
    }

    /// No organisation gets another one's records, whatever the index says.
    fn check_owners(
        &self,
        entry: &BlockEntry,
        block: &Block,
        ranges: &[Range<u32>],
        scope: &Scope,
    ) -> Result<(), ReadError> {
        let foreign = block.runs().any(|run| {
            let end = run.first.saturating_add(run.count);
            ranges.iter().any(|rows| rows.start < end && run.first < rows.end) && !scope.covers(run.org)
        });
        if foreign {
            return Err(self.damaged(entry, BlockFault::Inconsistent("the index names another organisation")));
        }
        Ok(())
    }
}
