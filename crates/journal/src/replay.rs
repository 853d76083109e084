//! Telling an owner what the journal holds, at its start.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use flow::block::{Block, BlockKind};
use flow::segment::ReadError;
use flow::units::Row;

use crate::index::{BlockEntry, block_of};
use crate::shared::{Sealed, Shared};
use crate::vfs::{VfsFile, read_up_to};

fn plain(error: ReadError) -> io::Error {
    match error {
        ReadError::Io(error) => error,
        damaged @ ReadError::Damaged { .. } => {
            io::Error::new(io::ErrorKind::InvalidData, damaged.to_string())
        }
    }
}

/// The parts of the last complete snapshot, then every block behind it.
pub(crate) fn state(shared: &Shared, visit: &mut dyn FnMut(&Block)) -> io::Result<()> {
    let sealed: Vec<Arc<Sealed>> = shared.view.read().sealed.iter().cloned().collect();
    let start = sealed.iter().rposition(|s| s.trailer.summary.snapshot_end > 0).unwrap_or(0);
    for (at, segment) in sealed.iter().enumerate().skip(start) {
        let file = shared.file(segment)?;
        let index = shared.index(segment, &*file).map_err(plain)?;
        let snapshot_end = segment.trailer.summary.snapshot_end;
        for entry in &index.blocks {
            let snapshot = matches!(entry.kind, BlockKind::Snapshot | BlockKind::SnapshotEnd);
            // Parts of an incomplete snapshot (a repaired segment) mean nothing.
            let wanted = !snapshot || (at == start && u64::from(entry.offset) < snapshot_end);
            if wanted {
                visit(&block(shared, segment, &*file, entry)?);
            }
        }
    }
    Ok(())
}

/// The row tables from `from` on.
pub(crate) fn rows(shared: &Shared, from: Row, visit: &mut dyn FnMut(&Block)) -> io::Result<()> {
    let sealed: Vec<Arc<Sealed>> = shared.view.read().sealed.iter().cloned().collect();
    for segment in sealed.iter().filter(|s| s.trailer.summary.end_row > from) {
        let file = shared.file(segment)?;
        let index = shared.index(segment, &*file).map_err(plain)?;
        let first = block_of(&index.blocks, from);
        for entry in index.blocks.get(first..).unwrap_or_default() {
            if entry.kind == BlockKind::Rows {
                visit(&block(shared, segment, &*file, entry)?);
            }
        }
    }
    Ok(())
}

/// A block with rows by its table alone, any other whole and checked.
fn block(shared: &Shared, segment: &Sealed, file: &dyn VfsFile, entry: &BlockEntry) -> io::Result<Block> {
    let len = if entry.kind == BlockKind::Rows { entry.table_end() } else { entry.total_len() };
    let bytes = Bytes::from(read_up_to(file, u64::from(entry.offset), len)?);
    let block = if entry.kind == BlockKind::Rows { Block::from_table(bytes) } else { Block::parse(&bytes) };
    block.map_err(|fault| plain(shared.damaged(segment.header.base, u64::from(entry.offset), fault)))
}
