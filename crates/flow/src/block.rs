//! The block, version 1: one group commit as bytes. See `docs/decisions/001-journal-format.md`.
//!
//! ```text
//! header   96 bytes, see `Header`
//! runs     24 bytes each: one organisation's neighbouring rows (dense seqs from `first_seq`)
//! names    the organisation ids that the runs point at, padded to 8
//! rows     80 bytes each: where the record is, its crc32c, and the row meta
//! body     records back to back (kind rows) or one opaque body (the other kinds), padded to 8
//! padding  zeros up to the end of a page of the file, where the writer of the segment asked for it
//! ```
//! All integers are little-endian. The header's CRC covers header, runs, names and rows; each record has its own
//! CRC in its row, any other body one in the header. So every byte is covered once, and one organisation's
//! records, which lie side by side, can be read and proven without the rest.

mod buffer;
mod build;
mod parse;
#[cfg(test)]
mod tests;

pub use buffer::{Buffer, Shelf};
pub use build::{RowFacts, RowsBuilder, control_block, control_len, padded_control_block, set_epoch};
pub use parse::{Block, BlockFault, Header, RowEntry, RunEntry, parse_header};

/// "TWB1", read as a little-endian number.
pub const MAGIC: u32 = u32::from_le_bytes(*b"TWB1");
/// The version of this layout.
pub const VERSION: u8 = 1;
/// Bytes of the header.
pub const HEADER_LEN: usize = 96;
/// Bytes of a run entry.
pub const RUN_LEN: usize = 24;
/// Bytes of a row entry.
pub const ROW_LEN: usize = 80;
/// Blocks begin at multiples of this.
pub const ALIGN: usize = 8;
/// What a write past the page cache wants of memory, of its place in the file and of its length: multiples of this.
pub const PAGE: usize = 4096;
/// The largest block in bytes that a reader accepts. A group commit closes well before it.
pub const MAX_BLOCK: usize = 64 << 20;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BlockKind {
    /// Records of one group commit.
    Rows = 1,
    /// Lane state, loss statements, or nothing but the watermark.
    Control = 2,
    /// A part of the snapshot at a segment's start.
    Snapshot = 3,
    /// The commit mark behind the last part of a snapshot.
    SnapshotEnd = 4,
}

impl BlockKind {
    /// The kind behind a byte on disk.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Rows),
            2 => Some(Self::Control),
            3 => Some(Self::Snapshot),
            4 => Some(Self::SnapshotEnd),
            _ => None,
        }
    }
}

/// The place at which a block is written: only what the writer of the segment knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The random number of the segment's opening. Never shown outside.
    pub epoch: u64,
    /// Where the block's first byte is in the partition's log.
    pub pos: crate::LogPos,
    /// Everything before this position was synced when the block was written.
    pub durable_upto: crate::LogPos,
    /// The number of the block in the partition, dense.
    pub index: u64,
    /// The row that the next record gets.
    pub base_row: crate::Row,
    /// When it is written.
    pub written_at: crate::clock::UnixMillis,
}

/// The checksum of header and table: everything before `table_end` but the checksum itself.
fn header_crc(bytes: &[u8], table_end: usize) -> u32 {
    let before = crc32c::crc32c(bytes.get(..8).unwrap_or_default());
    crc32c::crc32c_append(before, bytes.get(12..table_end).unwrap_or_default())
}

/// `len` rounded up to a multiple of [`ALIGN`].
#[must_use]
pub const fn padded(len: usize) -> usize {
    len.div_ceil(ALIGN) * ALIGN
}
