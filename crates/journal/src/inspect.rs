//! `trailwire journal inspect`: what a journal holds, without changing it.

use std::collections::BTreeMap;
use std::path::Path;

use flow::block::{BlockFault, BlockKind, RowEntry};
use flow::units::{PartitionId, Row, Seq};
use serde::Serialize;

use crate::damage::Damage;
use crate::journal::{OpenError, io_at};
use crate::manifest::FORMAT;
use crate::scan::{self, Seen};
use crate::segment_header::{HEADER_SPACE, SegmentHeader, Sort};
use crate::shared::{partition_name, segment_label};
use crate::state::Loss;
use crate::survey::{Content, Segment, survey};
use crate::verify::manifest_of;
use crate::vfs::Vfs;

/// What a journal holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InspectReport {
    /// The journal's identity.
    pub log_id: String,
    /// The version of the format.
    pub format: u32,
    /// Its partitions, in order.
    pub partitions: Vec<PartitionReport>,
}

/// What a partition holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionReport {
    /// Its number.
    pub partition: u16,
    /// The oldest row that can still be read.
    pub oldest_row: u64,
    /// The row that the next record gets.
    pub next_row: u64,
    /// The position before which everything is proven durable.
    pub durable_upto: u64,
    /// Rows behind that position: readable, and copied by the next start.
    pub unproven_rows: u64,
    /// Bytes of a torn tail.
    pub torn_bytes: u64,
    /// Bytes of all segment files.
    pub bytes: u64,
    /// Oldest first.
    pub segments: Vec<SegmentReport>,
    /// What is there of each organisation.
    pub orgs: BTreeMap<String, OrgReport>,
    /// What was declared lost.
    pub losses: Vec<Loss>,
    /// What is damaged, as far as a start would notice; `verify` reads everything.
    pub damages: Vec<Damage>,
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SegmentReport {
    /// The file, from the journal's folder.
    pub file: String,
    /// Whether it has a good footer.
    pub sealed: bool,
    /// Whether recovery made it.
    pub recovered: bool,
    /// Its first position.
    pub base: u64,
    /// One past its last position.
    pub end: u64,
    /// Its first row.
    pub base_row: u64,
    /// One past its last row.
    pub end_row: u64,
    /// Blocks, all kinds together.
    pub blocks: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of its snapshot.
    pub snapshot_bytes: u64,
    /// When its first and its last block were written, milliseconds since 1970.
    pub written_ms: Option<(i64, i64)>,
}

/// What is there of an organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct OrgReport {
    /// Its first seq that is still there.
    pub first_seq: u64,
    /// One past its last seq.
    pub next_seq: u64,
    /// Records.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Tells what the journal in `dir` holds. Takes no lock: beside a running process the newest blocks may be missing.
///
/// # Errors
/// [`OpenError`].
pub fn inspect(vfs: &dyn Vfs, dir: &Path) -> Result<InspectReport, OpenError> {
    let manifest = manifest_of(vfs, dir)?;
    let mut partitions = Vec::new();
    for partition in (0..manifest.partitions).map(PartitionId) {
        let found = survey(vfs, &dir.join(partition_name(partition)), partition, manifest.log)?;
        let mut report = PartitionReport {
            partition: partition.0,
            oldest_row: found.segments.first().map_or(0, |segment| segment.header.base_row.0),
            next_row: found.segments.last().map_or(0, |segment| segment.content.end_row(&segment.header).0),
            durable_upto: 0,
            unproven_rows: 0,
            torn_bytes: 0,
            bytes: 0,
            segments: Vec::new(),
            orgs: BTreeMap::new(),
            losses: found.state.losses,
            damages: found.damages,
        };
        for segment in &found.segments {
            report.add(partition, segment)?;
        }
        partitions.push(report);
    }
    Ok(InspectReport { log_id: manifest.log.to_string(), format: FORMAT, partitions })
}

impl PartitionReport {
    fn add(&mut self, partition: PartitionId, segment: &Segment) -> Result<(), OpenError> {
        let file = segment_label(partition, segment.header.base);
        let mut report = SegmentReport {
            sealed: matches!(segment.content, Content::Sealed(_)),
            recovered: matches!(segment.header.sort, Sort::Recovered(_)),
            base: segment.header.base.0,
            end: 0,
            base_row: segment.header.base_row.0,
            end_row: segment.content.end_row(&segment.header).0,
            blocks: 0,
            bytes: segment.file_len,
            snapshot_bytes: 0,
            written_ms: None,
            file,
        };
        match &segment.content {
            Content::Sealed(trailer) => {
                let summary = &trailer.summary;
                let index = trailer
                    .load(&*segment.file)
                    .map_err(|fault| io_at(report.file.clone())(std::io::Error::other(fault)))?;
                report.end = summary.end.0;
                report.blocks = index.blocks.len() as u64;
                report.snapshot_bytes = summary.snapshot_bytes;
                report.written_ms =
                    (report.blocks > 0).then_some((summary.first_written.0, summary.last_written.0));
                self.durable_upto = summary.end.0;
                for (org, entry) in index.orgs() {
                    self.count(org, entry.first_seq, entry.end_seq, entry.rows, entry.bytes);
                }
            }
            Content::Scanned(scanned) => {
                report.end = segment.header.pos_of(scanned.end).0;
                report.blocks = scanned.blocks.len() as u64;
                self.durable_upto = scanned.proven.0;
                self.torn_bytes += scanned.torn;
                for seen in &scanned.blocks {
                    self.add_block(segment, seen, &mut report);
                }
            }
        }
        self.bytes += report.bytes;
        self.segments.push(report);
        Ok(())
    }

    fn add_block(&mut self, segment: &Segment, seen: &Seen, report: &mut SegmentReport) {
        let header = seen.block.header();
        if segment.header.pos_of(seen.offset).0 >= self.durable_upto {
            self.unproven_rows += u64::from(header.rows);
        }
        if header.kind == BlockKind::Snapshot {
            report.snapshot_bytes += u64::from(header.body_len);
        }
        let written = header.written_at.0;
        let (first, last) = report.written_ms.unwrap_or((written, written));
        report.written_ms = Some((first.min(written), last.max(written)));
        for run in seen.block.runs() {
            let range = seen.block.body_range(run.first..run.first.saturating_add(run.count)).unwrap_or(0..0);
            let end = Seq(run.first_seq.0 + u64::from(run.count));
            self.count(run.org, run.first_seq, end, u64::from(run.count), u64::from(range.end - range.start));
        }
    }

    fn count(&mut self, org: &str, first: Seq, end: Seq, rows: u64, bytes: u64) {
        if rows == 0 {
            return;
        }
        let entry = self.orgs.entry(org.to_owned()).or_default();
        if entry.rows == 0 {
            entry.first_seq = first.0;
        }
        entry.next_seq = end.0;
        entry.rows += rows;
        entry.bytes += bytes;
    }
}

/// One record, as [`visit_records`] shows it.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    /// The partition.
    pub partition: PartitionId,
    /// The row.
    pub row: Row,
    /// The organisation.
    pub org: &'a str,
    /// The number within the organisation.
    pub seq: Seq,
    /// The row meta.
    pub meta: &'a RowEntry,
    /// The record: canonical JSON.
    pub record: &'a [u8],
}

/// Why reading records stopped.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    /// The journal cannot be read at all.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A block cannot be read.
    #[error("{file}: damaged at byte {offset} ({fault}); `trailwire journal verify` shows all damage")]
    Damaged {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        fault: BlockFault,
    },
}

/// Shows every readable record of the journal in `dir`, partition by partition, in the order of rows. What was
/// declared lost is left out. Takes no lock.
///
/// # Errors
/// [`VisitError`]; records before the damage were shown.
pub fn visit_records(
    vfs: &dyn Vfs,
    dir: &Path,
    visit: &mut dyn FnMut(&RecordView<'_>),
) -> Result<(), VisitError> {
    let manifest = manifest_of(vfs, dir)?;
    for partition in (0..manifest.partitions).map(PartitionId) {
        let path = dir.join(partition_name(partition));
        let found = survey(vfs, &path, partition, manifest.log).map_err(OpenError::from)?;
        if !found.damages.is_empty() {
            return Err(OpenError::Damaged(found.damages).into());
        }
        for segment in &found.segments {
            visit_segment(partition, segment, &found.state.losses, visit)?;
        }
    }
    Ok(())
}

fn visit_segment(
    partition: PartitionId,
    segment: &Segment,
    losses: &[Loss],
    visit: &mut dyn FnMut(&RecordView<'_>),
) -> Result<(), VisitError> {
    let file = segment_label(partition, segment.header.base);
    let io = |error| VisitError::Open(io_at(segment_label(partition, segment.header.base))(error));
    let damaged = |offset, fault| VisitError::Damaged { file: file.clone(), offset, fault };
    let scanned;
    let blocks = match &segment.content {
        Content::Scanned(scanned) => &scanned.blocks,
        Content::Sealed(trailer) => {
            let end = segment.header.offset_of(trailer.summary.end);
            scanned = scan_all(segment, &segment.header, end, losses).map_err(io)?;
            if let Some(hole) = scanned.holes.first() {
                return Err(damaged(hole.from, hole.fault));
            }
            &scanned.blocks
        }
    };
    for seen in blocks.iter().filter(|seen| seen.block.header().kind == BlockKind::Rows) {
        let block = scan::with_body(&*segment.file, seen).map_err(io)?;
        for run in block.runs() {
            for index in run.first..run.first.saturating_add(run.count) {
                let row = Row(block.header().base_row.0 + u64::from(index));
                if losses.iter().any(|loss| loss.first_row <= row.0 && row.0 < loss.end_row) {
                    continue;
                }
                let (Some(meta), Some(record), Ok(())) =
                    (block.row(index), block.record(index), block.check_record(index))
                else {
                    return Err(damaged(seen.offset, BlockFault::BodyCrc));
                };
                let seq = Seq(run.first_seq.0 + u64::from(index - run.first));
                visit(&RecordView { partition, row, org: run.org, seq, meta: &meta, record });
            }
        }
    }
    Ok(())
}

fn scan_all(
    segment: &Segment,
    header: &SegmentHeader,
    end: u64,
    losses: &[Loss],
) -> std::io::Result<scan::Scan> {
    scan::scan(&*segment.file, header, HEADER_SPACE, end, losses)
}
