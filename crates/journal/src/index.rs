//! What a segment holds, as its writer collects it block by block.

use flow::block::{ALIGN, Block, BlockKind, HEADER_LEN, Header};
use flow::clock::UnixMillis;
use flow::units::{LogPos, Row, Seq};
use rustc_hash::FxHashMap;

use crate::segment_header::{HEADER_SPACE, SegmentHeader};

/// Padding is told in 16 bits: less than a page.
const _: () = assert!(flow::block::PAGE <= 1 << 16);

/// One block of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockEntry {
    /// Where in the file.
    pub(crate) offset: u32,
    pub(crate) table_len: u32,
    pub(crate) body_len: u32,
    /// Bytes behind the body, less than a page.
    pub(crate) padding: u16,
    pub(crate) rows: u32,
    pub(crate) base_row: Row,
    pub(crate) written_at: UnixMillis,
    pub(crate) kind: BlockKind,
}

impl BlockEntry {
    pub(crate) fn new(header: &Header, offset: u32) -> Self {
        Self {
            offset,
            table_len: header.table_len,
            body_len: header.body_len,
            padding: u16::try_from(header.padding).unwrap_or(0),
            rows: header.rows,
            base_row: header.base_row,
            written_at: header.written_at,
            kind: header.kind,
        }
    }

    pub(crate) fn end_row(&self) -> Row {
        Row(self.base_row.0.saturating_add(u64::from(self.rows)))
    }

    /// Bytes of header and table.
    pub(crate) fn table_end(&self) -> usize {
        HEADER_LEN + self.table_len as usize
    }

    /// Bytes of the whole block.
    pub(crate) fn total_len(&self) -> usize {
        (self.table_end() + self.body_len as usize).next_multiple_of(ALIGN) + usize::from(self.padding)
    }

    /// Where in the file the next block begins.
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.offset) + self.total_len() as u64
    }
}

/// Neighbouring rows of one organisation in one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// The number of the block in the segment.
    pub(crate) block: u32,
    /// Index of the first row in the block.
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// Bytes of the records.
    pub(crate) bytes: u32,
    pub(crate) first_seq: Seq,
}

/// All rows of one organisation in a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OrgRuns {
    pub(crate) runs: Vec<Run>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// What is known of a segment without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) base: LogPos,
    pub(crate) end: LogPos,
    pub(crate) base_row: Row,
    pub(crate) end_row: Row,
    pub(crate) epoch: u64,
    /// Bytes of the records.
    pub(crate) record_bytes: u64,
    /// When the first and the last block were written.
    pub(crate) first_written: UnixMillis,
    pub(crate) last_written: UnixMillis,
    /// Where in the file the blocks behind the complete snapshot begin; 0 when there is none.
    pub(crate) snapshot_end: u64,
    /// Bytes of the snapshot's bodies.
    pub(crate) snapshot_bytes: u64,
}

/// The index of the segment that is being written.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) summary: Summary,
    pub(crate) blocks: Vec<BlockEntry>,
    pub(crate) orgs: FxHashMap<Box<str>, OrgRuns>,
    /// A block was not where the one before it ends.
    broken: bool,
}

impl Index {
    pub(crate) fn new(header: &SegmentHeader) -> Self {
        Self {
            summary: Summary {
                base: header.base,
                end: header.base,
                base_row: header.base_row,
                end_row: header.base_row,
                epoch: header.epoch,
                record_bytes: 0,
                first_written: UnixMillis(i64::MAX),
                last_written: UnixMillis(i64::MIN),
                snapshot_end: 0,
                snapshot_bytes: 0,
            },
            blocks: Vec::new(),
            orgs: FxHashMap::default(),
            broken: false,
        }
    }

    /// Takes in a block (its body may be missing) that stands at `offset` of the file.
    pub(crate) fn add(&mut self, block: &Block, offset: u32) {
        let header = block.header();
        let entry = BlockEntry::new(header, offset);
        let number = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        for run in block.runs() {
            let bytes = block
                .body_range(run.first..run.first.saturating_add(run.count))
                .map_or(0, |r| r.end - r.start);
            // Looked up by text first: an organisation's name is copied once a segment, not once a run.
            let org = match self.orgs.get_mut(run.org) {
                Some(org) => org,
                None => self.orgs.entry(run.org.into()).or_default(),
            };
            org.runs.push(Run {
                block: number,
                first: run.first,
                count: run.count,
                bytes,
                first_seq: run.first_seq,
            });
            org.rows += u64::from(run.count);
            org.bytes += u64::from(bytes);
        }
        // Behind a lost part a snapshot is not complete, even if its end is there.
        let before = self.blocks.last().map_or(HEADER_SPACE, BlockEntry::end);
        self.broken |= u64::from(offset) != before;
        let broken = self.broken;
        let summary = &mut self.summary;
        match header.kind {
            BlockKind::Rows => summary.record_bytes += u64::from(header.body_len),
            BlockKind::Snapshot if summary.snapshot_end == 0 => {
                summary.snapshot_bytes += u64::from(header.body_len)
            }
            BlockKind::SnapshotEnd if summary.snapshot_end == 0 && !broken => {
                summary.snapshot_end = entry.end()
            }
            _ => {}
        }
        summary.first_written = summary.first_written.min(header.written_at);
        summary.last_written = summary.last_written.max(header.written_at);
        summary.end = LogPos(header.pos.0.saturating_add(entry.total_len() as u64));
        summary.end_row = header.end_row();
        self.blocks.push(entry);
    }
}

/// The number of the first block that holds `row` or a later one.
pub(crate) fn block_of(blocks: &[BlockEntry], row: Row) -> usize {
    blocks.partition_point(|block| block.end_row() <= row)
}
