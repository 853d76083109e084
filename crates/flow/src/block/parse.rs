//! Reading blocks: nothing is believed before its CRC is checked.

use std::ops::Range;

use bytes::Bytes;
use event::Kind;

use super::{
    ALIGN, BlockKind, Buffer, HEADER_LEN, MAGIC, MAX_BLOCK, PAGE, ROW_LEN, RUN_LEN, VERSION, padded,
};
use crate::clock::UnixMillis;
use crate::units::{LogPos, Row, Seq};

/// Why bytes are no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockFault {
    /// No block begins here.
    #[error("no block begins here")]
    NoMagic,
    /// Written by a newer Trailwire.
    #[error("block version {0} is newer than this program reads ({VERSION}): upgrade Trailwire")]
    Newer(u8),
    /// The bytes end before the block does.
    #[error("the block is cut short")]
    Short,
    /// Header or table do not match their checksum.
    #[error("header checksum mismatch")]
    HeaderCrc,
    /// A record or the body does not match its checksum.
    #[error("body checksum mismatch")]
    BodyCrc,
    /// Checksums match but the content makes no sense: written by a broken program.
    #[error("inconsistent block: {0}")]
    Inconsistent(&'static str),
}

/// The fixed part of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the block holds.
    pub kind: BlockKind,
    /// Random number of the segment's opening.
    pub epoch: u64,
    /// Where the block's first byte is in the partition's log.
    pub pos: LogPos,
    /// Everything before this was synced when the block was written.
    pub durable_upto: LogPos,
    /// The row of the first record, or the next row for kinds without records.
    pub base_row: Row,
    /// How many records.
    pub rows: u32,
    /// How many runs.
    pub runs: u32,
    /// Bytes between header and body.
    pub table_len: u32,
    /// Bytes of the body without padding.
    pub body_len: u32,
    /// Checksum of the body, for kinds without rows.
    pub body_crc: u32,
    /// When it was written.
    pub written_at: UnixMillis,
    /// Dense number of the block in the partition.
    pub index: u64,
    /// Zeros behind the body. Nothing rests on them, so nothing is wrong when they are not zero.
    pub padding: u32,
    crc: u32,
}

impl Header {
    /// Bytes of the whole block on disk.
    #[must_use]
    pub fn total_len(&self) -> usize {
        padded(self.table_end() + self.body_len as usize) + self.padding as usize
    }

    /// Bytes of header and table together: where the body begins.
    #[must_use]
    pub fn table_end(&self) -> usize {
        HEADER_LEN + self.table_len as usize
    }

    /// One past the last row.
    #[must_use]
    pub fn end_row(&self) -> Row {
        Row(self.base_row.0 + u64::from(self.rows))
    }
}

/// Reads a header's fields and checks that its lengths are possible. Its checksum also covers the table, so it is
/// checked by [`Block::parse`] and [`Block::from_table`] only.
///
/// # Errors
/// [`BlockFault`].
pub fn parse_header(bytes: &[u8]) -> Result<Header, BlockFault> {
    if bytes.len() < 4 || u32_at(bytes, 0) != MAGIC {
        return Err(BlockFault::NoMagic);
    }
    if bytes.len() < HEADER_LEN {
        return Err(BlockFault::Short);
    }
    let version = byte_at(bytes, 4);
    if version > VERSION {
        return Err(BlockFault::Newer(version));
    }
    let kind = BlockKind::from_byte(byte_at(bytes, 5)).ok_or(BlockFault::Inconsistent("unknown kind"))?;
    let header = Header {
        kind,
        crc: u32_at(bytes, 8),
        table_len: u32_at(bytes, 12),
        epoch: u64_at(bytes, 16),
        pos: LogPos(u64_at(bytes, 24)),
        durable_upto: LogPos(u64_at(bytes, 32)),
        base_row: Row(u64_at(bytes, 40)),
        rows: u32_at(bytes, 48),
        runs: u32_at(bytes, 52),
        body_len: u32_at(bytes, 56),
        body_crc: u32_at(bytes, 60),
        written_at: UnixMillis(u64_at(bytes, 64).cast_signed()),
        index: u64_at(bytes, 72),
        padding: u32_at(bytes, 80),
    };
    if header.padding as usize >= PAGE || !(header.padding as usize).is_multiple_of(ALIGN) {
        return Err(BlockFault::Inconsistent("padding"));
    }
    let fixed = (header.runs as usize)
        .checked_mul(RUN_LEN)
        .and_then(|runs| (header.rows as usize).checked_mul(ROW_LEN).and_then(|rows| rows.checked_add(runs)));
    match fixed {
        Some(fixed) if fixed <= header.table_len as usize => {}
        _ => return Err(BlockFault::Inconsistent("table length")),
    }
    let total = (HEADER_LEN + ALIGN + header.padding as usize)
        .checked_add(header.table_len as usize)
        .and_then(|l| l.checked_add(header.body_len as usize));
    match total {
        Some(total) if total <= MAX_BLOCK => Ok(header),
        _ => Err(BlockFault::Inconsistent("length")),
    }
}

/// One organisation's neighbouring rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunEntry<'a> {
    /// The organisation.
    pub org: &'a str,
    /// The seq of the first of them; the others follow densely.
    pub first_seq: Seq,
    /// The index in the block of the first of them.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// Where a record is, and its row meta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowEntry {
    /// Offset of the record in the body.
    pub offset: u32,
    /// Length of the record.
    pub len: u32,
    /// crc32c of the record.
    pub crc: u32,
    /// The kind; a kind of a newer release reads as `Notice` would: opaque.
    pub kind: Option<Kind>,
    /// Bit 0: `id_reused`.
    pub flags: u8,
    /// HTTP status or 0.
    pub status: u16,
    /// The event's time, milliseconds since 1970.
    pub time_ms: i64,
    /// Hash of the app or 0.
    pub app: u64,
    /// Keyed hash of the tail without `received_at`.
    pub content: u64,
    /// Keyed hash of (organisation, producer, id).
    pub dedupe: u128,
    /// Keyed hash of (app, group key) or 0.
    pub group: u64,
    /// First seq of that group.
    pub group_first_seq: u64,
}

/// A block in memory: header and table whole, and the body or a part of it.
///
/// A lagging lane reads only the part that holds its organisation's records; a record outside that part is `None`.
#[derive(Debug, Clone)]
pub struct Block {
    header: Header,
    table: Bytes,
    body: Bytes,
    body_from: u32,
    /// Memory that it keeps, if that is more than its bytes.
    held: usize,
}

impl Block {
    /// Checks and takes a whole block at the start of `bytes`; what follows it is ignored.
    ///
    /// # Errors
    /// [`BlockFault`]; every record's checksum is checked.
    pub fn parse(bytes: &Bytes) -> Result<Self, BlockFault> {
        let header = parse_header(bytes)?;
        if bytes.len() < header.total_len() {
            return Err(BlockFault::Short);
        }
        let body_at = header.table_end();
        let block = Self::from_table(bytes.slice(..body_at))?
            .with_body(bytes.slice(body_at..body_at + header.body_len as usize), 0);
        block.check_body()?;
        Ok(block)
    }

    /// Takes a block that this process has just built: nothing is checked again.
    #[must_use]
    pub fn trusted(bytes: &Bytes) -> Option<Self> {
        let header = parse_header(bytes).ok()?;
        let body_at = header.table_end();
        if bytes.len() < header.total_len() {
            return None;
        }
        Some(Self {
            header,
            table: bytes.slice(..body_at),
            body: bytes.slice(body_at..body_at + header.body_len as usize),
            body_from: 0,
            held: bytes.len(),
        })
    }

    /// The same of a buffer, which may be larger than the block.
    #[must_use]
    pub fn built(buffer: Buffer) -> Option<Self> {
        let held = buffer.capacity();
        Some(Self { held, ..Self::trusted(&Bytes::from(buffer))? })
    }

    /// Checks and takes header and table only (`bytes` holds exactly them); the body is still to come.
    ///
    /// # Errors
    /// [`BlockFault`].
    pub fn from_table(bytes: Bytes) -> Result<Self, BlockFault> {
        let header = parse_header(&bytes)?;
        if bytes.len() < header.table_end() {
            return Err(BlockFault::Short);
        }
        if super::header_crc(&bytes, header.table_end()) != header.crc {
            return Err(BlockFault::HeaderCrc);
        }
        let block = Self { header, table: bytes, body: Bytes::new(), body_from: 0, held: 0 };
        block.check_table()?;
        Ok(block)
    }

    /// Takes header and table of a block that this process has just built: nothing is checked again.
    #[must_use]
    pub fn trusted_table(bytes: Bytes) -> Option<Self> {
        let header = parse_header(&bytes).ok()?;
        let table = (bytes.len() >= header.table_end()).then(|| bytes.slice(..header.table_end()))?;
        Some(Self { header, table, body: Bytes::new(), body_from: 0, held: 0 })
    }

    /// The same block with the part of its body that starts at byte `from`.
    #[must_use]
    pub fn with_body(mut self, body: Bytes, from: u32) -> Self {
        self.body = body;
        self.body_from = from;
        self
    }

    /// Checks the checksum of every record (or of the opaque body) that is present.
    ///
    /// # Errors
    /// [`BlockFault::BodyCrc`].
    pub fn check_body(&self) -> Result<(), BlockFault> {
        if self.header.kind != BlockKind::Rows {
            let whole = self.body.len() == self.header.body_len as usize;
            return if whole && crc32c::crc32c(&self.body) == self.header.body_crc {
                Ok(())
            } else {
                Err(BlockFault::BodyCrc)
            };
        }
        for index in 0..self.header.rows {
            self.check_record(index)?;
        }
        Ok(())
    }

    /// Checks the checksum of one record, if its bytes are present.
    ///
    /// # Errors
    /// [`BlockFault::BodyCrc`].
    pub fn check_record(&self, index: u32) -> Result<(), BlockFault> {
        match (self.row(index), self.record(index)) {
            (Some(row), Some(record)) if crc32c::crc32c(record) != row.crc => Err(BlockFault::BodyCrc),
            _ => Ok(()),
        }
    }

    fn check_table(&self) -> Result<(), BlockFault> {
        let mut expected = 0;
        for index in 0..self.header.runs {
            let run = self.run(index).ok_or(BlockFault::Inconsistent("run"))?;
            if run.first != expected {
                return Err(BlockFault::Inconsistent("runs do not follow each other"));
            }
            expected = run.first.checked_add(run.count).ok_or(BlockFault::Inconsistent("run count"))?;
        }
        if expected != self.header.rows {
            return Err(BlockFault::Inconsistent("runs do not cover the rows"));
        }
        let mut body = 0u32;
        for index in 0..self.header.rows {
            let row = self.row(index).ok_or(BlockFault::Inconsistent("row"))?;
            if row.offset != body {
                return Err(BlockFault::Inconsistent("records do not follow each other"));
            }
            body = row.offset.checked_add(row.len).ok_or(BlockFault::Inconsistent("record length"))?;
        }
        if self.header.rows > 0 && body != self.header.body_len {
            return Err(BlockFault::Inconsistent("records do not fill the body"));
        }
        Ok(())
    }

    /// The fixed part.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The run at `index`.
    #[must_use]
    pub fn run(&self, index: u32) -> Option<RunEntry<'_>> {
        if index >= self.header.runs {
            return None;
        }
        let at = HEADER_LEN + index as usize * RUN_LEN;
        let entry = self.table.get(at..at + RUN_LEN)?;
        let name_at = HEADER_LEN + self.header.runs as usize * RUN_LEN + u32_at(entry, 16) as usize;
        let name = self.table.get(name_at..name_at.checked_add(u32_at(entry, 20) as usize)?)?;
        Some(RunEntry {
            org: std::str::from_utf8(name).ok()?,
            first_seq: Seq(u64_at(entry, 0)),
            first: u32_at(entry, 8),
            count: u32_at(entry, 12),
        })
    }

    /// The rows of the run at `index`.
    #[must_use]
    pub fn run_rows(&self, index: u32) -> Option<Range<u32>> {
        if index >= self.header.runs {
            return None;
        }
        let at = HEADER_LEN + index as usize * RUN_LEN;
        let entry = self.table.get(at..at + RUN_LEN)?;
        let first = u32_at(entry, 8);
        Some(first..first.checked_add(u32_at(entry, 12))?)
    }

    /// All runs, in the order of their rows.
    pub fn runs(&self) -> impl Iterator<Item = RunEntry<'_>> {
        self.runs_from(0)
    }

    /// The runs from the one at `first` on.
    pub fn runs_from(&self, first: u32) -> impl Iterator<Item = RunEntry<'_>> {
        (first..self.header.runs).filter_map(|index| self.run(index))
    }

    /// The index of the run that holds the row at `index`; the number of runs when no run does.
    #[must_use]
    pub fn run_index_of(&self, index: u32) -> u32 {
        let (mut low, mut high) = (0, self.header.runs);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.run_rows(middle).is_none_or(|rows| rows.end <= index) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The row entry at `index`.
    #[must_use]
    pub fn row(&self, index: u32) -> Option<RowEntry> {
        if index >= self.header.rows {
            return None;
        }
        let rows_at = self.table.len().checked_sub(self.header.rows as usize * ROW_LEN)?;
        let entry = self.table.get(rows_at..)?.get(index as usize * ROW_LEN..)?.get(..ROW_LEN)?;
        Some(RowEntry {
            offset: u32_at(entry, 0),
            len: u32_at(entry, 4),
            crc: u32_at(entry, 8),
            kind: Kind::try_from(byte_at(entry, 12)).ok(),
            flags: byte_at(entry, 13),
            status: u16::from_le_bytes([byte_at(entry, 14), byte_at(entry, 15)]),
            time_ms: u64_at(entry, 16).cast_signed(),
            app: u64_at(entry, 24),
            content: u64_at(entry, 32),
            dedupe: u128::from(u64_at(entry, 40)) | (u128::from(u64_at(entry, 48)) << 64),
            group: u64_at(entry, 56),
            group_first_seq: u64_at(entry, 64),
        })
    }

    /// The bytes of the record at `index`, if that part of the body was read.
    #[must_use]
    pub fn record(&self, index: u32) -> Option<&[u8]> {
        let row = self.row(index)?;
        let start = row.offset.checked_sub(self.body_from)? as usize;
        self.body.get(start..start.checked_add(row.len as usize)?)
    }

    /// The time of the event at `index`, milliseconds since 1970, and its record, if that part of the body was read.
    #[must_use]
    pub fn timed_record(&self, index: u32) -> Option<(i64, &[u8])> {
        let row = self.row(index)?;
        let start = row.offset.checked_sub(self.body_from)? as usize;
        Some((row.time_ms, self.body.get(start..start.checked_add(row.len as usize)?)?))
    }

    /// The part of the body that holds the records of `rows` (indices in the block), as offsets in the body.
    #[must_use]
    pub fn body_range(&self, rows: Range<u32>) -> Option<Range<u32>> {
        let first = self.row(rows.start)?;
        let last = self.row(rows.end.checked_sub(1)?)?;
        Some(first.offset..last.offset.checked_add(last.len)?)
    }

    /// The opaque body of a block without rows.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.held.max(self.table.len() + self.body.len())
    }
}

fn byte_at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}
