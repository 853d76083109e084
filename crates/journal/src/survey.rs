//! Looking at a partition's folder without changing it: what is there, what is torn, what is damaged.
//!
//! Opening, `verify`, `repair` and `inspect` all begin here, so they cannot disagree.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow::block::{BlockFault, BlockKind, parse_header};
use flow::units::{LogPos, PartitionId, Row};

use crate::damage::{Damage, DamageKind};
use crate::footer::{FooterFault, Trailer};
use crate::index::Index;
use crate::scan::{self, Hole, Scan, Seen};
use crate::segment_header::{HEADER_LEN, HEADER_SPACE, HeaderFault, LogId, SegmentHeader, Sort};
use crate::shared::{segment_base, segment_label};
use crate::state::{self, Loss, PartitionState, StateFault};
use crate::vfs::{Access, Vfs, VfsFile, read_up_to};

/// The fewest bytes that a record takes with its entries, for an upper bound of how many there were.
const LEAST_PER_ROW: u64 = 96;

/// Why a partition cannot be looked at at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SurveyError {
    #[error("{file}: {error}")]
    Io { file: String, error: io::Error },
    #[error("{file}: {detail}")]
    Newer { file: String, detail: String },
    #[error("{file} belongs to another journal (log id {found}, this one is {own}): move it away")]
    Foreign { file: String, found: LogId, own: LogId },
}

/// What a segment holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// It has a good footer.
    Sealed(Trailer),
    /// It was read block by block.
    Scanned(Scanned),
}

/// A segment without a good footer.
#[derive(Debug)]
pub(crate) struct Scanned {
    /// The readable blocks that count: none of a torn tail.
    pub(crate) blocks: Vec<Seen>,
    /// Everything before this position is durable.
    pub(crate) proven: LogPos,
    /// Where the blocks that count end in the file.
    pub(crate) end: u64,
    /// Bytes of a torn tail behind it, without the zeros of unused space.
    pub(crate) torn: u64,
}

/// A readable segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn VfsFile>,
    pub(crate) file_len: u64,
    pub(crate) content: Content,
}

/// What there is in a partition's folder.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Readable segments, oldest first.
    pub(crate) segments: Vec<Segment>,
    pub(crate) state: PartitionState,
    pub(crate) damages: Vec<Damage>,
    /// Files of work that never finished.
    pub(crate) leftovers: Vec<String>,
}

struct Opened {
    base: LogPos,
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    file_len: u64,
    header: Option<SegmentHeader>,
}

struct Surveyor<'a> {
    vfs: &'a dyn Vfs,
    dir: &'a Path,
    partition: PartitionId,
    log: LogId,
    damages: Vec<Damage>,
}

/// Looks at a partition.
pub(crate) fn survey(
    vfs: &dyn Vfs,
    dir: &Path,
    partition: PartitionId,
    log: LogId,
) -> Result<Survey, SurveyError> {
    let mut surveyor = Surveyor { vfs, dir, partition, log, damages: Vec::new() };
    let names =
        vfs.list(dir).map_err(|error| surveyor.io(&crate::shared::partition_name(partition), error))?;
    let state = surveyor.state()?;
    let leftovers = names.iter().filter(|name| name.ends_with(".new")).cloned().collect();
    let mut opened = Vec::new();
    for base in names.iter().filter_map(|name| segment_base(name)) {
        opened.push(surveyor.open(base)?);
    }
    surveyor.check_newest(&state, &opened);
    let mut segments = Vec::new();
    let mut row = None;
    let count = opened.len();
    let nexts: Vec<_> =
        opened.iter().skip(1).map(|next| (next.base, next.header.map(|h| h.base_row))).collect();
    for (at, segment) in opened.into_iter().enumerate() {
        let next = nexts.get(at).copied();
        let Some(header) = segment.header else {
            surveyor.unreadable(&segment, row, next, &state);
            continue;
        };
        let content = surveyor.content(&segment, &header, next, &state.losses, at + 1 == count)?;
        row = Some(content.end_row(&header));
        let Opened { path, file, file_len, .. } = segment;
        segments.push(Segment { header, path, file, file_len, content });
    }
    let mut damages = surveyor.damages;
    for missing in damages.iter_mut().filter(|damage| damage.kind == DamageKind::Missing) {
        let row = row.unwrap_or_default().0;
        (missing.first_row, missing.end_row) = (row, row + missing.to / LEAST_PER_ROW);
    }
    Ok(Survey { segments, state, damages, leftovers })
}

impl Segment {
    /// Whether it holds a complete snapshot.
    pub(crate) fn has_snapshot(&self) -> bool {
        match &self.content {
            Content::Sealed(trailer) => trailer.summary.snapshot_end > 0,
            Content::Scanned(scanned) => {
                let mut index = Index::new(&self.header);
                for seen in &scanned.blocks {
                    index.add(&seen.block, u32::try_from(seen.offset).unwrap_or(u32::MAX));
                }
                index.summary.snapshot_end > 0
            }
        }
    }
}

impl Content {
    /// One past the last row of what counts.
    pub(crate) fn end_row(&self, header: &SegmentHeader) -> Row {
        match self {
            Self::Sealed(trailer) => trailer.summary.end_row,
            Self::Scanned(scanned) => {
                scanned.blocks.last().map_or(header.base_row, |s| s.block.header().end_row())
            }
        }
    }
}

impl Surveyor<'_> {
    fn io(&self, file: &str, error: io::Error) -> SurveyError {
        SurveyError::Io { file: file.to_owned(), error }
    }

    fn label(&self, base: LogPos) -> String {
        segment_label(self.partition, base)
    }

    fn damage(
        &mut self,
        kind: DamageKind,
        base: LogPos,
        bytes: (u64, u64),
        rows: (Row, Row),
        detail: String,
    ) {
        self.damages.push(Damage {
            partition: self.partition.0,
            file: self.label(base),
            kind,
            from: bytes.0,
            to: bytes.1,
            first_row: rows.0.0,
            end_row: rows.1.0.max(rows.0.0),
            org: None,
            base: base.0,
            upper_bound: false,
            detail,
        });
    }

    fn state(&mut self) -> Result<PartitionState, SurveyError> {
        let file = format!("{}/{}", crate::shared::partition_name(self.partition), state::NAME);
        match PartitionState::read(self.vfs, self.dir) {
            Ok(state) => Ok(state),
            Err(StateFault::Io(error)) => Err(SurveyError::Io { file, error }),
            Err(fault @ StateFault::Newer(_)) => Err(SurveyError::Newer { file, detail: fault.to_string() }),
            Err(fault @ StateFault::Damaged(_)) => {
                self.damage(DamageKind::StateFile, LogPos(0), (0, 0), (Row(0), Row(0)), fault.to_string());
                if let Some(damage) = self.damages.last_mut() {
                    damage.file = file;
                }
                Ok(PartitionState::default())
            }
        }
    }

    fn open(&mut self, base: LogPos) -> Result<Opened, SurveyError> {
        let path = crate::shared::segment_path(self.dir, base);
        let wrap = |error| SurveyError::Io { file: segment_label(self.partition, base), error };
        let file = self.vfs.open(&path, Access::Read).map_err(wrap)?;
        let file_len = file.len().map_err(wrap)?;
        let bytes = read_up_to(&*file, 0, HEADER_LEN).map_err(wrap)?;
        let fault = match SegmentHeader::parse(&bytes) {
            Ok(header) if header.log != self.log => {
                let file = self.label(base);
                return Err(SurveyError::Foreign { file, found: header.log, own: self.log });
            }
            Ok(header) if header.base == base && header.partition == self.partition => {
                return Ok(Opened { base, path, file, file_len, header: Some(header) });
            }
            Ok(_) => HeaderFault::Inconsistent,
            Err(fault @ HeaderFault::Newer(_)) => {
                return Err(SurveyError::Newer { file: self.label(base), detail: fault.to_string() });
            }
            Err(fault) => fault,
        };
        let header = self.rebuilt_header(base, &*file, file_len).map_err(wrap)?;
        if header.is_some() {
            let bytes = (0, HEADER_LEN as u64);
            self.damage(DamageKind::SegmentHeader, base, bytes, (Row(0), Row(0)), fault.to_string());
        }
        Ok(Opened { base, path, file, file_len, header })
    }

    /// A segment's header from its first block, when that one is good.
    fn rebuilt_header(
        &self,
        base: LogPos,
        file: &dyn VfsFile,
        file_len: u64,
    ) -> io::Result<Option<SegmentHeader>> {
        let bytes = read_up_to(file, HEADER_SPACE, flow::block::HEADER_LEN)?;
        let Ok(first) = parse_header(&bytes) else { return Ok(None) };
        // Only an owner's segment begins with a snapshot; where a recovered one ends, its blocks do not say.
        if !matches!(first.kind, BlockKind::Snapshot | BlockKind::SnapshotEnd) {
            return Ok(None);
        }
        let header = SegmentHeader {
            sort: Sort::Owned,
            partition: self.partition,
            log: self.log,
            base,
            base_row: first.base_row,
            epoch: first.epoch,
        };
        Ok(scan::block_at(file, &header, HEADER_SPACE, file_len)?.is_ok().then_some(header))
    }

    fn check_newest(&mut self, state: &PartitionState, opened: &[Opened]) {
        let Some(newest) = state.newest else { return };
        let there = opened.last().is_some_and(|last| last.base.0 >= newest)
            || state.losses.iter().any(|loss| loss.from <= newest && loss.to > newest);
        if !there {
            // The rows follow once the segments before are read.
            let detail = "the newest segment is missing: it was there when state.json was written".to_owned();
            let bytes = (0, state.newest_limit.max(1));
            self.damage(DamageKind::Missing, LogPos(newest), bytes, (Row(0), Row(0)), detail);
            if let Some(damage) = self.damages.last_mut() {
                damage.upper_bound = true;
            }
        }
    }

    fn unreadable(
        &mut self,
        segment: &Opened,
        row: Option<Row>,
        next: Option<(LogPos, Option<Row>)>,
        state: &PartitionState,
    ) {
        if state.losses.iter().any(|loss| loss.from <= segment.base.0 && loss.to > segment.base.0) {
            return;
        }
        // The newest one may have been cut short, too.
        let limit = if state.newest == Some(segment.base.0) { state.newest_limit } else { 0 };
        let bytes = segment.file_len.max(limit).max(1);
        let most = bytes / LEAST_PER_ROW;
        let end = next.and_then(|(_, row)| row);
        // Of the oldest segment nobody tells the first row.
        let first = row.or_else(|| end.map(|end| Row(end.0.saturating_sub(most)))).unwrap_or_default();
        let bound = Row(first.0 + most);
        let detail = "neither the segment's header nor its first block can be read".to_owned();
        let rows = (first, end.unwrap_or(bound));
        self.damage(DamageKind::Segment, segment.base, (0, bytes), rows, detail);
        if let Some(damage) = self.damages.last_mut() {
            damage.upper_bound = end.is_none() || row.is_none();
        }
    }

    fn content(
        &mut self,
        segment: &Opened,
        header: &SegmentHeader,
        next: Option<(LogPos, Option<Row>)>,
        losses: &[Loss],
        last: bool,
    ) -> Result<Content, SurveyError> {
        let file = self.label(segment.base);
        let wrap = |error| SurveyError::Io { file: file.clone(), error };
        let mut sealed_end = None;
        match Trailer::read(&*segment.file, header) {
            Ok(trailer) if follows(&trailer, next, losses) => {
                // Only the newest footer can be torn: later segments begin after a footer is synced. A damaged part of
                // an older one is found, and rebuilt in memory, when it is needed.
                if next.is_some() {
                    return Ok(Content::Sealed(trailer));
                }
                match trailer.verify(&*segment.file) {
                    Ok(()) => return Ok(Content::Sealed(trailer)),
                    Err(FooterFault::Io(error)) => return Err(wrap(error)),
                    Err(_) => {}
                }
                // The blocks were synced before the footer was begun, so it still proves them.
                sealed_end = Some(trailer.summary.end);
            }
            Ok(_) | Err(FooterFault::Missing | FooterFault::Crc | FooterFault::Foreign) => {}
            Err(FooterFault::Io(error)) => return Err(wrap(error)),
            Err(fault @ FooterFault::Newer(_)) => {
                return Err(SurveyError::Newer { file: self.label(segment.base), detail: fault.to_string() });
            }
        }
        let known_end = match (next, header.sort) {
            (Some((base, _)), _) => Some(base),
            (None, Sort::Recovered(end)) => Some(end),
            (None, Sort::Owned) => sealed_end,
        };
        let limit = known_end.map_or(segment.file_len, |end| header.offset_of(end));
        let found = scan::scan(&*segment.file, header, HEADER_SPACE, limit, losses).map_err(wrap)?;
        if known_end.is_some() || !last {
            Ok(Content::Scanned(self.closed(header, found, known_end, next.and_then(|(_, row)| row), limit)))
        } else {
            self.open_ended(segment, header, found, losses, limit).map(Content::Scanned).map_err(wrap)
        }
    }

    /// A segment whose end is known: every byte of it was durable.
    fn closed(
        &mut self,
        header: &SegmentHeader,
        found: Scan,
        end: Option<LogPos>,
        next_row: Option<Row>,
        limit: u64,
    ) -> Scanned {
        for hole in &found.holes {
            self.hole(header, &found.blocks, hole, next_row);
        }
        let blocks_end = found.blocks.last().map_or(HEADER_SPACE, Seen::end);
        Scanned {
            blocks: found.blocks,
            proven: end.unwrap_or_else(|| header.pos_of(limit)),
            end: blocks_end,
            torn: 0,
        }
    }

    /// The newest segment, which was being written when the process ended.
    fn open_ended(
        &mut self,
        segment: &Opened,
        header: &SegmentHeader,
        found: Scan,
        losses: &[Loss],
        limit: u64,
    ) -> io::Result<Scanned> {
        let mut proven = scan::proven(header, &found.blocks);
        let proven_at = header.offset_of(proven);
        let mut cut = limit;
        for hole in &found.holes {
            if hole.from < proven_at {
                self.hole(header, &found.blocks, hole, None);
            } else {
                cut = cut.min(hole.from);
            }
        }
        for seen in found.blocks.iter().filter(|seen| seen.offset >= proven_at && seen.offset < cut) {
            if !scan::is_whole(&*segment.file, seen)? {
                cut = cut.min(seen.offset);
                break;
            }
        }
        let torn = torn_bytes(&*segment.file, cut, limit)?;
        let mut blocks = found.blocks;
        blocks.retain(|seen| seen.offset < cut);
        let complete = blocks.iter().any(|seen| seen.block.header().kind == BlockKind::SnapshotEnd);
        let accepted = losses.iter().any(|loss| loss.from >= header.base.0 && loss.to > loss.from);
        if !complete && !accepted {
            // The snapshot was synced before the segment got its name, so this is no torn tail.
            let row = blocks.last().map_or(header.base_row, |seen| seen.block.header().end_row());
            let detail = "the snapshot at the segment's start is not complete".to_owned();
            self.damage(DamageKind::Snapshot, header.base, (cut, limit), (row, row), detail);
        }
        proven = proven.min(header.pos_of(cut));
        Ok(Scanned { blocks, proven, end: cut, torn })
    }

    fn hole(&mut self, header: &SegmentHeader, blocks: &[Seen], hole: &Hole, next_row: Option<Row>) {
        let end = blocks
            .iter()
            .find(|seen| seen.offset >= hole.to)
            .map(|seen| seen.block.header().base_row)
            .or(next_row)
            .unwrap_or(hole.row);
        let detail = match hole.fault {
            // A newer block comes in a newer segment only, so here it is a flipped bit.
            BlockFault::Newer(version) => format!("impossible block version {version}"),
            fault => fault.to_string(),
        };
        self.damage(DamageKind::Blocks, header.base, (hole.from, hole.to), (hole.row, end), detail);
    }
}

/// Whether what comes behind a sealed segment is what its footer expects.
fn follows(trailer: &Trailer, next: Option<(LogPos, Option<Row>)>, losses: &[Loss]) -> bool {
    let Some((base, row)) = next else { return true };
    let summary = &trailer.summary;
    if summary.end == base {
        return row.is_none_or(|row| row == summary.end_row || covered(losses, summary.end_row, row));
    }
    state::after_losses(losses, summary.end) >= base
}

fn covered(losses: &[Loss], from: Row, to: Row) -> bool {
    losses.iter().any(|loss| loss.first_row <= from.0 && loss.end_row >= to.0)
}

/// How many bytes from `from` on are not just zeros.
fn torn_bytes(file: &dyn VfsFile, from: u64, limit: u64) -> io::Result<u64> {
    let mut last = from;
    let mut at = from;
    while at < limit {
        let len = usize::try_from(limit - at).unwrap_or(usize::MAX).min(1 << 20);
        let bytes = read_up_to(file, at, len)?;
        if bytes.is_empty() {
            break;
        }
        if let Some(index) = bytes.iter().rposition(|&byte| byte != 0) {
            last = at + index as u64 + 1;
        }
        at += bytes.len() as u64;
    }
    Ok(last - from)
}
