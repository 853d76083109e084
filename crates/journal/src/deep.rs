//! Reading everything: every block, every record, every footer, against every checksum.

use std::path::Path;

use flow::block::{Block, BlockKind};
use flow::units::PartitionId;

use crate::damage::{Damage, DamageKind};
use crate::footer::{SealedIndex, Trailer};
use crate::index::Index;
use crate::scan::{self, Seen};
use crate::segment_header::{HEADER_SPACE, LogId};
use crate::shared::{partition_name, segment_label};
use crate::state::Loss;
use crate::survey::{Content, Segment, Survey, SurveyError, survey};
use crate::vfs::Vfs;

/// What reading everything showed.
#[derive(Debug)]
pub(crate) struct Deep {
    pub(crate) survey: Survey,
    /// All damage, that of the survey included.
    pub(crate) damages: Vec<Damage>,
    /// Per segment of the survey: why its footer must be written anew.
    pub(crate) bad_footers: Vec<Option<String>>,
}

/// Reads everything of a partition.
pub(crate) fn deep(
    vfs: &dyn Vfs,
    dir: &Path,
    partition: PartitionId,
    log: LogId,
) -> Result<Deep, SurveyError> {
    let survey = survey(vfs, &dir.join(partition_name(partition)), partition, log)?;
    let mut damages = survey.damages.clone();
    let mut bad_footers = Vec::new();
    for segment in &survey.segments {
        let file = segment_label(partition, segment.header.base);
        let wrap = |error| SurveyError::Io { file: file.clone(), error };
        let mut walk = Walk { partition, segment, losses: &survey.state.losses, damages: &mut damages };
        let bad = match &segment.content {
            Content::Sealed(trailer) => walk.sealed(trailer).map_err(wrap)?,
            Content::Scanned(scanned) => {
                // Behind the watermark a bad body is a torn tail, which the survey has cut.
                let proven_at = segment.header.offset_of(scanned.proven);
                let proven = scanned.blocks.iter().filter(|seen| seen.offset < proven_at);
                walk.bodies(proven).map_err(wrap)?;
                None
            }
        };
        bad_footers.push(bad);
    }
    Ok(Deep { survey, damages, bad_footers })
}

struct Walk<'a> {
    partition: PartitionId,
    segment: &'a Segment,
    losses: &'a [Loss],
    damages: &'a mut Vec<Damage>,
}

impl Walk<'_> {
    /// Reads a sealed segment; tells what is wrong with its footer.
    fn sealed(&mut self, trailer: &Trailer) -> std::io::Result<Option<String>> {
        let (header, file) = (&self.segment.header, &*self.segment.file);
        let end = header.offset_of(trailer.summary.end);
        let found = scan::scan(file, header, HEADER_SPACE, end, self.losses)?;
        for hole in &found.holes {
            let next = found.blocks.iter().find(|seen| seen.offset >= hole.to);
            let end_row = next.map_or(trailer.summary.end_row, |seen| seen.block.header().base_row);
            self.push(
                DamageKind::Blocks,
                (hole.from, hole.to),
                (hole.row.0, end_row.0),
                None,
                hole.fault.to_string(),
            );
        }
        self.bodies(found.blocks.iter())?;
        let mut index = Index::new(header);
        for seen in &found.blocks {
            index.add(&seen.block, u32::try_from(seen.offset).unwrap_or(u32::MAX));
        }
        if let Err(fault) = trailer.verify(file) {
            return Ok(Some(fault.to_string()));
        }
        let same = match trailer.load(file) {
            Ok(loaded) => loaded.same_as(&SealedIndex::rebuilt(&index)),
            Err(fault) => return Ok(Some(fault.to_string())),
        };
        let holes = !found.holes.is_empty();
        Ok((!holes && !same).then(|| "the footer does not tell what the blocks hold".to_owned()))
    }

    /// Checks every body.
    fn bodies<'b>(&mut self, blocks: impl Iterator<Item = &'b Seen>) -> std::io::Result<()> {
        for seen in blocks {
            let block = scan::with_body(&*self.segment.file, seen)?;
            let header = *block.header();
            let whole = block.body().len() == header.body_len as usize;
            if whole && block.check_body().is_ok() {
                continue;
            }
            if header.kind == BlockKind::Rows {
                self.records(seen, &block);
            } else {
                let row = header.base_row.0;
                let detail = format!("a block of kind {:?} does not match its checksum", header.kind);
                self.push(DamageKind::State, (seen.offset, seen.end()), (row, row), None, detail);
            }
        }
        Ok(())
    }

    fn records(&mut self, seen: &Seen, block: &Block) {
        let header = block.header();
        for run in block.runs() {
            for index in run.first..run.first.saturating_add(run.count) {
                let sound = block.record(index).is_some() && block.check_record(index).is_ok();
                let row = header.base_row.0 + u64::from(index);
                let told = self.losses.iter().any(|loss| loss.first_row <= row && row < loss.end_row);
                if sound || told {
                    continue;
                }
                let place = block.row(index).map_or((0, 0), |entry| (entry.offset, entry.len));
                let from = seen.offset + header.table_end() as u64 + u64::from(place.0);
                let detail = "a record does not match its checksum".to_owned();
                let org = Some(run.org.to_owned());
                self.push(DamageKind::Record, (from, from + u64::from(place.1)), (row, row + 1), org, detail);
            }
        }
    }

    fn push(
        &mut self,
        kind: DamageKind,
        bytes: (u64, u64),
        rows: (u64, u64),
        org: Option<String>,
        detail: String,
    ) {
        self.damages.push(Damage {
            partition: self.partition.0,
            file: segment_label(self.partition, self.segment.header.base),
            kind,
            from: bytes.0,
            to: bytes.1,
            first_row: rows.0,
            end_row: rows.1.max(rows.0),
            org,
            base: self.segment.header.base.0,
            upper_bound: false,
            detail,
        });
    }
}
