//! The end of a sealed segment file, version 1: its index, so that opening and counting read no block.
//!
//! ```text
//! blocks      32 bytes each: offset, table length, body length, rows, base row - segment's, kind u8, zero u8,
//!             padding u16, written at
//! directory   64 bytes each, by name: name offset, name length, first run, runs, rows, bytes, first seq, end seq,
//!             crc32c of its runs, 4 zero, 8 zero
//! names       the organisation ids
//! runs        24 bytes each: block, first, count, bytes, first seq
//! trailer     192 bytes, the last of the file
//! ```

use std::io;

use flow::block::BlockKind;
use flow::clock::UnixMillis;
use flow::units::{LogPos, Row, Seq};

use crate::bytes_le::{crc_around, u16_at, u32_at, u64_at};
use crate::index::{BlockEntry, Index, OrgRuns, Run, Summary};
use crate::segment_header::{LogId, SegmentHeader};
use crate::vfs::{VfsFile, read_up_to};

/// "TWF1", read as a little-endian number.
const MAGIC: u32 = u32::from_le_bytes(*b"TWF1");
const VERSION: u8 = 1;
/// Bytes of the trailer.
pub(crate) const TRAILER_LEN: usize = 192;
const BLOCK_LEN: usize = 32;
const DIRECTORY_LEN: usize = 64;
const RUN_LEN: usize = 24;
const SECTIONS_AT: usize = 120;

/// A part of the footer in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Section {
    offset: u64,
    len: u64,
    crc: u32,
}

/// The trailer: the summary and where the rest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) summary: Summary,
    sections: [Section; 4],
}

/// What the directory says of one organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OrgEntry {
    name: (u32, u32),
    first_run: u32,
    runs: u32,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) first_seq: Seq,
    pub(crate) end_seq: Seq,
    crc: u32,
}

/// Blocks and directory of a sealed segment in memory.
#[derive(Debug)]
pub(crate) struct SealedIndex {
    pub(crate) blocks: Vec<BlockEntry>,
    directory: Vec<OrgEntry>,
    names: String,
    runs: Runs,
}

/// Where the runs are.
#[derive(Debug)]
enum Runs {
    InFile(Section),
    /// The footer is damaged: this index was rebuilt from the blocks.
    InMemory(Vec<u8>),
}

/// Why a footer cannot be used; it is rebuilt from the blocks then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FooterFault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("there is no footer")]
    Missing,
    #[error("footer version {0} is newer than this program reads ({VERSION}): upgrade Trailwire")]
    Newer(u8),
    #[error("footer checksum mismatch")]
    Crc,
    #[error("the footer belongs to another segment")]
    Foreign,
}

/// The parts of a footer as bytes.
struct Parts {
    blocks: Vec<u8>,
    directory: Vec<u8>,
    names: Vec<u8>,
    runs: Vec<u8>,
}

impl Parts {
    fn of(index: &Index) -> Self {
        let mut blocks = Vec::with_capacity(index.blocks.len() * BLOCK_LEN);
        for block in &index.blocks {
            let row = low_u32(block.base_row.0.saturating_sub(index.summary.base_row.0));
            for number in [block.offset, block.table_len, block.body_len, block.rows, row] {
                blocks.extend_from_slice(&number.to_le_bytes());
            }
            blocks.extend_from_slice(&[block.kind as u8, 0]);
            blocks.extend_from_slice(&block.padding.to_le_bytes());
            blocks.extend_from_slice(&block.written_at.0.to_le_bytes());
        }
        let mut orgs: Vec<_> = index.orgs.iter().collect();
        orgs.sort_unstable_by_key(|(name, _)| *name);
        let mut parts = Self { blocks, directory: Vec::new(), names: Vec::new(), runs: Vec::new() };
        for (name, org) in orgs {
            parts.add_org(name, org);
        }
        parts
    }

    fn add_org(&mut self, name: &str, org: &OrgRuns) {
        let start = self.runs.len();
        for run in &org.runs {
            for number in [run.block, run.first, run.count, run.bytes] {
                self.runs.extend_from_slice(&number.to_le_bytes());
            }
            self.runs.extend_from_slice(&run.first_seq.0.to_le_bytes());
        }
        let first_seq = org.runs.first().map_or(0, |run| run.first_seq.0);
        let end_seq = org.runs.last().map_or(0, |run| run.first_seq.0 + u64::from(run.count));
        for number in [self.names.len(), name.len(), start / RUN_LEN, org.runs.len()] {
            self.directory.extend_from_slice(&low_u32(number as u64).to_le_bytes());
        }
        for number in [org.rows, org.bytes, first_seq, end_seq] {
            self.directory.extend_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(self.runs.get(start..).unwrap_or_default());
        self.directory.extend_from_slice(&crc.to_le_bytes());
        self.directory.extend_from_slice(&[0; 12]);
        self.names.extend_from_slice(name.as_bytes());
    }
}

/// The footer of a segment whose blocks end at `offset` of the file.
pub(crate) fn encode(index: &Index, log: LogId, offset: u64) -> Vec<u8> {
    let Parts { blocks, directory, names, runs } = Parts::of(index);
    let mut footer = Vec::new();
    let mut sections = [Section::default(); 4];
    for (section, bytes) in sections.iter_mut().zip([blocks, directory, names, runs]) {
        *section = Section {
            offset: offset + footer.len() as u64,
            len: bytes.len() as u64,
            crc: crc32c::crc32c(&bytes),
        };
        footer.extend_from_slice(&bytes);
    }
    footer.extend_from_slice(&trailer(&index.summary, log, &sections));
    footer
}

fn trailer(summary: &Summary, log: LogId, sections: &[Section; 4]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(TRAILER_LEN);
    bytes.extend_from_slice(&MAGIC.to_le_bytes());
    bytes.extend_from_slice(&[VERSION, 0, 0, 0]);
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&log.0);
    for number in [
        summary.base.0,
        summary.end.0,
        summary.base_row.0,
        summary.end_row.0,
        summary.epoch,
        summary.record_bytes,
        summary.first_written.0.cast_unsigned(),
        summary.last_written.0.cast_unsigned(),
        summary.snapshot_end,
        summary.snapshot_bytes,
        sections.first().map_or(0, |section| section.offset),
    ] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for section in sections {
        bytes.extend_from_slice(&section.len.to_le_bytes());
        bytes.extend_from_slice(&section.crc.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
    }
    bytes.resize(TRAILER_LEN, 0);
    let crc = crc_around(&bytes, 8);
    if let Some(slot) = bytes.get_mut(8..12) {
        slot.copy_from_slice(&crc.to_le_bytes());
    }
    bytes
}

impl Trailer {
    /// Reads the end of `file` and checks that it belongs to the segment that begins with `header`.
    pub(crate) fn read(file: &dyn VfsFile, header: &SegmentHeader) -> Result<Self, FooterFault> {
        let at = file.len()?.checked_sub(TRAILER_LEN as u64).ok_or(FooterFault::Missing)?;
        let bytes = read_up_to(file, at, TRAILER_LEN)?;
        if u32_at(&bytes, 0) != MAGIC || bytes.len() < TRAILER_LEN {
            return Err(FooterFault::Missing);
        }
        if crc_around(&bytes, 8) != u32_at(&bytes, 8) {
            return Err(FooterFault::Crc);
        }
        match bytes.get(4) {
            Some(&version) if version > VERSION => return Err(FooterFault::Newer(version)),
            _ => {}
        }
        let number = |index: usize| u64_at(&bytes, 32 + index * 8);
        let summary = Summary {
            base: LogPos(number(0)),
            end: LogPos(number(1)),
            base_row: Row(number(2)),
            end_row: Row(number(3)),
            epoch: number(4),
            record_bytes: number(5),
            first_written: UnixMillis(number(6).cast_signed()),
            last_written: UnixMillis(number(7).cast_signed()),
            snapshot_end: number(8),
            snapshot_bytes: number(9),
        };
        let mut sections = [Section::default(); 4];
        let mut offset = number(10);
        let start = offset;
        for (index, section) in sections.iter_mut().enumerate() {
            let entry = SECTIONS_AT + index * 16;
            *section = Section { offset, len: u64_at(&bytes, entry), crc: u32_at(&bytes, entry + 8) };
            offset = offset.checked_add(section.len).ok_or(FooterFault::Crc)?;
        }
        let own = summary.base == header.base
            && summary.base_row == header.base_row
            && summary.epoch == header.epoch
            && bytes.get(16..32) == Some(&header.log.0[..])
            && start == header.offset_of(summary.end)
            && offset == at;
        if own { Ok(Self { summary, sections }) } else { Err(FooterFault::Foreign) }
    }

    /// Reads blocks and directory.
    pub(crate) fn load(&self, file: &dyn VfsFile) -> Result<SealedIndex, FooterFault> {
        let [blocks, directory, names, runs] = self.sections;
        let base = self.summary.base_row;
        let blocks = read_section(file, blocks)?;
        let blocks =
            blocks.chunks_exact(BLOCK_LEN).map(|entry| block_entry(entry, base)).collect::<Option<Vec<_>>>();
        let directory = read_section(file, directory)?;
        let names = String::from_utf8(read_section(file, names)?).map_err(|_| FooterFault::Crc)?;
        Ok(SealedIndex {
            blocks: blocks.ok_or(FooterFault::Crc)?,
            directory: directory.chunks_exact(DIRECTORY_LEN).map(org_entry).collect(),
            names,
            runs: Runs::InFile(runs),
        })
    }

    /// Checks the checksum of every part, the runs included.
    pub(crate) fn verify(&self, file: &dyn VfsFile) -> Result<(), FooterFault> {
        for section in self.sections {
            read_section(file, section)?;
        }
        Ok(())
    }
}

fn read_section(file: &dyn VfsFile, section: Section) -> Result<Vec<u8>, FooterFault> {
    let len = usize::try_from(section.len).map_err(|_| FooterFault::Crc)?;
    let bytes = read_up_to(file, section.offset, len)?;
    if bytes.len() == len && crc32c::crc32c(&bytes) == section.crc {
        Ok(bytes)
    } else {
        Err(FooterFault::Crc)
    }
}

fn block_entry(entry: &[u8], base: Row) -> Option<BlockEntry> {
    Some(BlockEntry {
        offset: u32_at(entry, 0),
        table_len: u32_at(entry, 4),
        body_len: u32_at(entry, 8),
        rows: u32_at(entry, 12),
        base_row: Row(base.0.saturating_add(u64::from(u32_at(entry, 16)))),
        kind: BlockKind::from_byte(*entry.get(20)?)?,
        padding: u16_at(entry, 22),
        written_at: UnixMillis(u64_at(entry, 24).cast_signed()),
    })
}

fn org_entry(entry: &[u8]) -> OrgEntry {
    OrgEntry {
        name: (u32_at(entry, 0), u32_at(entry, 4)),
        first_run: u32_at(entry, 8),
        runs: u32_at(entry, 12),
        rows: u64_at(entry, 16),
        bytes: u64_at(entry, 24),
        first_seq: Seq(u64_at(entry, 32)),
        end_seq: Seq(u64_at(entry, 40)),
        crc: u32_at(entry, 48),
    }
}

impl SealedIndex {
    /// From an index that was rebuilt from the blocks.
    pub(crate) fn rebuilt(index: &Index) -> Self {
        let Parts { directory, names, runs, .. } = Parts::of(index);
        Self {
            blocks: index.blocks.clone(),
            directory: directory.chunks_exact(DIRECTORY_LEN).map(org_entry).collect(),
            names: String::from_utf8(names).unwrap_or_default(),
            runs: Runs::InMemory(runs),
        }
    }

    /// Whether both tell the same of blocks and organisations.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.blocks == other.blocks && self.directory == other.directory && self.names == other.names
    }

    /// Bytes held in memory.
    pub(crate) fn memory(&self) -> usize {
        let runs = if let Runs::InMemory(runs) = &self.runs { runs.len() } else { 0 };
        runs + self.blocks.len() * size_of::<BlockEntry>()
            + self.directory.len() * size_of::<OrgEntry>()
            + self.names.len()
            + size_of::<Self>()
    }

    fn name(&self, entry: &OrgEntry) -> &str {
        let start = entry.name.0 as usize;
        self.names.get(start..start.saturating_add(entry.name.1 as usize)).unwrap_or_default()
    }

    /// What the directory says of `org`.
    pub(crate) fn org(&self, org: &str) -> Option<OrgEntry> {
        let at = self.directory.binary_search_by(|entry| self.name(entry).cmp(org)).ok()?;
        self.directory.get(at).copied()
    }

    /// All organisations, by name.
    pub(crate) fn orgs(&self) -> impl Iterator<Item = (&str, &OrgEntry)> {
        self.directory.iter().map(|entry| (self.name(entry), entry))
    }

    /// Reads the runs of one organisation.
    pub(crate) fn runs(&self, file: &dyn VfsFile, org: &OrgEntry) -> Result<Vec<Run>, FooterFault> {
        let len = org.runs as usize * RUN_LEN;
        let start = u64::from(org.first_run) * RUN_LEN as u64;
        let bytes = match &self.runs {
            Runs::InFile(section) if start.saturating_add(len as u64) > section.len => {
                return Err(FooterFault::Crc);
            }
            Runs::InFile(section) => read_up_to(file, section.offset + start, len)?,
            Runs::InMemory(runs) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                runs.get(start..start.saturating_add(len)).unwrap_or_default().to_vec()
            }
        };
        if bytes.len() != len || crc32c::crc32c(&bytes) != org.crc {
            return Err(FooterFault::Crc);
        }
        Ok(bytes
            .chunks_exact(RUN_LEN)
            .map(|run| Run {
                block: u32_at(run, 0),
                first: u32_at(run, 4),
                count: u32_at(run, 8),
                bytes: u32_at(run, 12),
                first_seq: Seq(u64_at(run, 16)),
            })
            .collect())
    }
}

/// Counts and lengths within one segment are far below 4 GiB.
fn low_u32(n: u64) -> u32 {
    debug_assert!(u32::try_from(n).is_ok());
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
