//! `trailwire journal repair`: declares damage lost, durably, so that every reader is told and the journal opens.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow::clock::UnixMillis;
use flow::units::PartitionId;
use serde::Serialize;

use crate::damage::{Damage, DamageKind};
use crate::deep::{Deep, deep};
use crate::index::Index;
use crate::journal::{OpenError, enter, io_at};
use crate::scan;
use crate::seal::seal;
use crate::segment_header::HEADER_SPACE;
use crate::shared::{partition_name, segment_path};
use crate::space::Space;
use crate::state::Loss;
use crate::survey::{Content, Segment, survey};
use crate::vfs::{Access, Vfs, read_up_to};

/// What a repair did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RepairSummary {
    /// Whether anything was changed. Without acceptance nothing is as soon as something would be declared lost.
    pub changed: bool,
    /// What is declared lost.
    pub losses: Vec<Damage>,
    /// What is put in order without loss.
    pub mended: Vec<String>,
    /// Copies of unreadable bytes, kept for whoever looks into the cause.
    pub kept: Vec<String>,
    /// What the operator must know besides.
    pub warnings: Vec<String>,
}

struct Repairer<'a> {
    vfs: &'a dyn Vfs,
    dir: PathBuf,
    partition: PartitionId,
    now: UnixMillis,
    summary: &'a mut RepairSummary,
}

/// Repairs the journal in `dir`; no other process may have it open.
///
/// Records that cannot be read are declared lost only with `accept_loss`; readers then get them as a gap.
///
/// # Errors
/// [`OpenError`].
pub fn repair(
    vfs: &Arc<dyn Vfs>,
    dir: &Path,
    accept_loss: bool,
    now: UnixMillis,
) -> Result<RepairSummary, OpenError> {
    let (_lock, manifest) = enter(&**vfs, dir, None)?;
    let mut summary = RepairSummary::default();
    let mut found = Vec::new();
    for partition in (0..manifest.partitions).map(PartitionId) {
        found.push((partition, deep(&**vfs, dir, partition, manifest.log)?));
    }
    let lossy = |damage: &Damage| !matches!(damage.kind, DamageKind::SegmentHeader | DamageKind::StateFile);
    summary.losses = found.iter().flat_map(|(_, deep)| &deep.damages).filter(|d| lossy(d)).cloned().collect();
    if !summary.losses.is_empty() && !accept_loss {
        return Ok(summary);
    }
    // A target of nothing: the ballast is there to be used, and is made whole by the next start.
    let space = Space::open(Arc::clone(vfs), dir, 0).map_err(io_at("ballast"))?;
    for (partition, deep) in &found {
        let dir = dir.join(partition_name(*partition));
        let mut repairer = Repairer { vfs: &**vfs, dir, partition: *partition, now, summary: &mut summary };
        repairer.headers(deep).map_err(io_at(partition_name(*partition)))?;
        repairer.losses(deep).map_err(io_at(partition_name(*partition)))?;
    }
    // Only now, with the losses written down, do footers and blocks tell the same.
    for (partition, before) in &found {
        footers(vfs, dir, *partition, before, &space, &mut summary)?;
    }
    for (partition, _) in &found {
        let after = survey(&**vfs, &dir.join(partition_name(*partition)), *partition, manifest.log)?;
        let oldest = after.segments.first().map_or(0, |segment| segment.header.base_row.0);
        if oldest > 0 && !after.segments.iter().any(Segment::has_snapshot) {
            summary.warnings.push(format!(
                "{}: no complete snapshot is left: seqs and sink positions are known only from what can be read",
                partition_name(*partition)
            ));
        }
    }
    Ok(summary)
}

impl Repairer<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}/{name}", partition_name(self.partition))
    }

    fn headers(&mut self, deep: &Deep) -> io::Result<()> {
        for damage in deep.damages.iter().filter(|damage| damage.kind == DamageKind::SegmentHeader) {
            let Some(segment) = deep.survey.segments.iter().find(|s| s.header.base.0 == damage.base) else {
                continue;
            };
            let file = self.vfs.open(&segment.path, Access::Write)?;
            file.write_all_at(&segment.header.encode(), 0)?;
            file.sync()?;
            self.summary.changed = true;
            self.summary.mended.push(format!("{}: segment header written anew", damage.file));
        }
        Ok(())
    }

    /// Writes down what is lost, keeps the unreadable bytes, and moves unreadable segments aside.
    fn losses(&mut self, deep: &Deep) -> io::Result<()> {
        let mut state = deep.survey.state.clone();
        let mut unreadable = Vec::new();
        let mut write = false;
        for damage in &deep.damages {
            let segment = deep.survey.segments.iter().find(|s| s.header.base.0 == damage.base);
            let (from, to) = match damage.kind {
                DamageKind::SegmentHeader => continue,
                DamageKind::StateFile => {
                    write = true;
                    self.summary.mended.push(format!("{}: written anew", damage.file));
                    continue;
                }
                DamageKind::Record | DamageKind::Blocks | DamageKind::State | DamageKind::Snapshot => {
                    let Some(segment) = segment else { continue };
                    let from = segment.header.pos_of(damage.from).0;
                    // Around single records the block stays readable.
                    let record = damage.kind == DamageKind::Record;
                    let to = segment.header.pos_of(damage.to.next_multiple_of(8)).0;
                    (from, if record { from } else { to })
                }
                DamageKind::Segment | DamageKind::Missing => {
                    (damage.base, damage.base + damage.to.next_multiple_of(8))
                }
            };
            let to =
                if damage.kind == DamageKind::Segment { self.up_to_next(deep, damage.base, to) } else { to };
            match (damage.kind, segment) {
                (DamageKind::Segment, _) => unreadable.push(damage.base),
                (_, Some(segment)) => self.keep(segment, damage)?,
                _ => {}
            }
            state.losses.push(Loss {
                first_row: damage.first_row,
                end_row: damage.end_row,
                org: damage.org.clone(),
                upper_bound: damage.upper_bound,
                from,
                to,
                accepted_ms: self.now.0,
                detail: damage.detail.clone(),
            });
            write = true;
        }
        if write {
            state.losses.sort_by_key(|loss| (loss.first_row, loss.from));
            state.write(self.vfs, &self.dir)?;
            self.summary.changed = true;
        }
        // After the losses are durable: a crash in between leaves the damage to be found again.
        for base in unreadable {
            let path = segment_path(&self.dir, flow::LogPos(base));
            let bad = path.with_extension("seg.bad");
            self.vfs.rename(&path, &bad)?;
            self.vfs.sync_dir(&self.dir)?;
            self.summary.kept.extend(bad.file_name().and_then(|n| n.to_str()).map(|n| self.name(n)));
        }
        Ok(())
    }

    /// An unreadable segment ends where the next one begins.
    fn up_to_next(&self, deep: &Deep, base: u64, to: u64) -> u64 {
        deep.survey.segments.iter().map(|s| s.header.base.0).find(|&next| next > base).unwrap_or(to)
    }

    /// Copies unreadable bytes beside the segment.
    fn keep(&mut self, segment: &Segment, damage: &Damage) -> io::Result<()> {
        let end = damage.to.min(segment.file_len);
        let len = usize::try_from(end.saturating_sub(damage.from)).unwrap_or(0);
        let bytes = read_up_to(&*segment.file, damage.from, len)?;
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        let name = format!("{:020}.{}.bad", damage.base, damage.from);
        let file = self.vfs.open(&self.dir.join(&name), Access::Create)?;
        file.write_all_at(&bytes, 0)?;
        file.sync()?;
        self.summary.kept.push(self.name(&name));
        Ok(())
    }
}

/// Writes the footers of sealed segments anew where they are damaged or tell of blocks that are lost now.
fn footers(
    vfs: &Arc<dyn Vfs>,
    dir: &Path,
    partition: PartitionId,
    before: &Deep,
    space: &Space,
    summary: &mut RepairSummary,
) -> Result<(), OpenError> {
    let name = partition_name(partition);
    let state = crate::state::PartitionState::read(&**vfs, &dir.join(&name));
    let state =
        state.map_err(|fault| OpenError::Io { what: name.clone(), error: io::Error::other(fault) })?;
    for (segment, bad) in before.survey.segments.iter().zip(&before.bad_footers) {
        let lost = |damage: &Damage| {
            damage.base == segment.header.base.0
                && matches!(damage.kind, DamageKind::Blocks | DamageKind::State)
        };
        let stale = bad.is_some() || before.damages.iter().any(lost);
        // A segment without a footer gets one from the next start.
        let Content::Sealed(trailer) = &segment.content else { continue };
        if !stale {
            continue;
        }
        let end = segment.header.offset_of(trailer.summary.end);
        let rewrite = || -> io::Result<()> {
            let found = scan::scan(&*segment.file, &segment.header, HEADER_SPACE, end, &state.losses)?;
            let mut index = Index::new(&segment.header);
            for seen in &found.blocks {
                index.add(&seen.block, u32::try_from(seen.offset).map_err(io::Error::other)?);
            }
            let file = vfs.open(&segment.path, Access::Write)?;
            seal(&*file, &segment.header, &index, space).map(|_| ())
        };
        rewrite().map_err(io_at(crate::shared::segment_label(partition, segment.header.base)))?;
        summary.changed = true;
        summary.mended.push(format!(
            "{name}/{}: footer written anew",
            crate::shared::segment_name(segment.header.base)
        ));
    }
    Ok(())
}
