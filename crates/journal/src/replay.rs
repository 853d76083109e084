//! Telling an owner what the journal holds, at its start.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use flow::block::{Block, BlockKind, Place, RowsBuilder};
use flow::clock::UnixMillis;
use flow::segment::ReadError;
use flow::units::{LogPos, Row};

use crate::index::{BlockEntry, block_of};
use crate::scan::Ahead;
use crate::shared::{Sealed, Shared};

fn plain(error: ReadError) -> io::Error {
    match error {
        ReadError::Io(error) => error,
        damaged @ ReadError::Damaged { .. } => {
            io::Error::new(io::ErrorKind::InvalidData, damaged.to_string())
        }
    }
}

/// The parts of the last complete snapshot, then every block behind it.
pub(crate) fn state(shared: &Shared, end_row: Row, visit: &mut dyn FnMut(&Block)) -> io::Result<()> {
    let sealed = segments(shared);
    let start = last_snapshot(&sealed).unwrap_or(0);
    let (mut index_after, mut row_after) = (0, Row(0));
    for (at, segment) in sealed.iter().enumerate().skip(start) {
        let file = shared.file(segment)?;
        let mut ahead = Ahead::new(&*file);
        let index = shared.index(segment, &*file).map_err(plain)?;
        let snapshot_end = segment.trailer.summary.snapshot_end;
        for entry in &index.blocks {
            let snapshot = matches!(entry.kind, BlockKind::Snapshot | BlockKind::SnapshotEnd);
            // Parts of an incomplete snapshot (a repaired segment) mean nothing.
            if snapshot && (at != start || u64::from(entry.offset) >= snapshot_end) {
                continue;
            }
            let block = block(shared, segment, &mut ahead, entry)?;
            index_after = block.header().index + 1;
            row_after = block.header().end_row();
            visit(&block);
        }
    }
    if !shared.view.read().losses.is_empty() {
        visit(&no_rows(index_after, row_after.max(end_row))?);
    }
    Ok(())
}

/// A block without rows that tells at which row the partition goes on: behind the last block that can be read, rows may
/// have been declared lost.
fn no_rows(index: u64, base_row: Row) -> io::Result<Block> {
    let pos = LogPos(0);
    let place =
        Place { epoch: 0, pos, durable_upto: pos, index, base_row, written_at: UnixMillis::default() };
    let bytes = RowsBuilder::new(Vec::new(), 0, 0, 0, 0).finish(&place);
    Block::parse(&Bytes::from(bytes)).map_err(io::Error::other)
}

/// Rows at or after `from` that were declared lost behind the last complete snapshot, and of which even the organisation
/// is not known.
pub(crate) fn unknown_rows(shared: &Shared, from: Row) -> u64 {
    let sealed = segments(shared);
    let known = last_snapshot(&sealed).and_then(|at| sealed.get(at)).map_or(0, |s| s.header.base.0);
    let losses = Arc::clone(&shared.view.read().losses);
    let unknown =
        losses.iter().filter(|loss| loss.org.is_none() && loss.from >= known && loss.rows().start >= from);
    unknown.map(|loss| loss.rows().len()).sum()
}

fn segments(shared: &Shared) -> Vec<Arc<Sealed>> {
    shared.view.read().sealed.iter().cloned().collect()
}

fn last_snapshot(sealed: &[Arc<Sealed>]) -> Option<usize> {
    sealed.iter().rposition(|segment| segment.trailer.summary.snapshot_end > 0)
}

/// The row tables from `from` on.
pub(crate) fn rows(shared: &Shared, from: Row, visit: &mut dyn FnMut(&Block)) -> io::Result<()> {
    for segment in segments(shared).iter().filter(|s| s.trailer.summary.end_row > from) {
        let file = shared.file(segment)?;
        let mut ahead = Ahead::new(&*file);
        let index = shared.index(segment, &*file).map_err(plain)?;
        let first = block_of(&index.blocks, from);
        for entry in index.blocks.get(first..).unwrap_or_default() {
            if entry.kind == BlockKind::Rows {
                visit(&block(shared, segment, &mut ahead, entry)?);
            }
        }
    }
    Ok(())
}

/// A block with rows by its table alone, any other whole and checked.
fn block(shared: &Shared, segment: &Sealed, ahead: &mut Ahead<'_>, entry: &BlockEntry) -> io::Result<Block> {
    let len = if entry.kind == BlockKind::Rows { entry.table_end() } else { entry.total_len() };
    let bytes = Bytes::copy_from_slice(ahead.get(u64::from(entry.offset), len)?);
    ahead.passed(entry.total_len());
    let block = if entry.kind == BlockKind::Rows { Block::from_table(bytes) } else { Block::parse(&bytes) };
    block.map_err(|fault| plain(shared.damaged(segment.header.base, u64::from(entry.offset), fault)))
}
