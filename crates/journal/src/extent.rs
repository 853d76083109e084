//! Counting what is there, from footers and indexes alone.

use std::io;
use std::sync::Arc;

use event::OrgId;
use flow::clock::UnixMillis;
use flow::log::{Extent, Scope};
use flow::segment::ReadError;
use flow::units::Row;

use crate::index::{BlockEntry, Run, block_of};
use crate::shared::{Active, Sealed, Shared};

/// What `scope` has at and after `from`. Rows that a repair declared lost count among everybody's as long as `from` is
/// before them; whose they were is not known.
pub(crate) fn count(shared: &Shared, scope: &Scope, from: Row) -> Extent {
    // One look: between two, the open segment may be closed, and would be counted in neither.
    let (sealed, newest, expired, end) = {
        let view = shared.view.read();
        let start = view.sealed.partition_point(|s| s.trailer.summary.end_row <= from);
        let sealed: Vec<Arc<Sealed>> = view.sealed.iter().skip(start).cloned().collect();
        let newest = view.active.as_ref().map(|active| count_active(active, scope, from)).unwrap_or_default();
        (sealed, newest, view.expired(), view.end())
    };
    let mut extent = Extent::default();
    for segment in &sealed {
        match add_sealed(shared, segment, scope, from, &mut extent) {
            Ok(()) => {}
            // Removed by retention meanwhile: there is nothing of it to count.
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::error!(%error, "counting pending records: the figure is too low"),
        }
    }
    let rows = match scope {
        Scope::All => end.0.saturating_sub(from.max(expired).0),
        Scope::Orgs(_) => extent.rows + newest.rows,
    };
    Extent { rows, bytes: extent.bytes + newest.bytes, oldest_ms: extent.oldest_ms.or(newest.oldest_ms) }
}

fn count_active(active: &Active, scope: &Scope, from: Row) -> Extent {
    let mut extent = Extent::default();
    let index = &active.index;
    match scope {
        Scope::All => add_all(&index.blocks, from, &mut extent),
        Scope::Orgs(orgs) => {
            for org in orgs.iter().filter_map(|org| index.orgs.get(org.as_str())) {
                add_runs(&org.runs, &index.blocks, from, &mut extent);
            }
        }
    }
    extent
}

fn add_sealed(
    shared: &Shared,
    segment: &Sealed,
    scope: &Scope,
    from: Row,
    extent: &mut Extent,
) -> Result<(), ReadError> {
    let summary = &segment.trailer.summary;
    if *scope == Scope::All && from <= summary.base_row && summary.end_row > summary.base_row {
        extent.rows += summary.end_row.0 - summary.base_row.0;
        extent.bytes += summary.record_bytes;
        note_time(extent, summary.first_written);
        return Ok(());
    }
    let file = shared.file(segment)?;
    let index = shared.index(segment, &*file)?;
    match scope {
        Scope::All => add_all(&index.blocks, from, extent),
        Scope::Orgs(orgs) => {
            for org in orgs.iter().map(OrgId::as_str) {
                let Some(entry) = index.org(org) else { continue };
                if from <= summary.base_row && extent.oldest_ms.is_some() {
                    // The time of the oldest record is known already, so the totals are enough.
                    extent.rows += entry.rows;
                    extent.bytes += entry.bytes;
                } else {
                    add_runs(&shared.runs(segment, &*file, &index, org)?, &index.blocks, from, extent);
                }
            }
        }
    }
    Ok(())
}

fn note_time(extent: &mut Extent, written: UnixMillis) {
    extent.oldest_ms = Some(extent.oldest_ms.map_or(written.0, |oldest| oldest.min(written.0)));
}

fn add_all(blocks: &[BlockEntry], from: Row, extent: &mut Extent) {
    for block in blocks.get(block_of(blocks, from)..).unwrap_or_default() {
        if block.rows > 0 {
            add_part(block, 0, block.rows, block.body_len, from, extent);
        }
    }
}

fn add_runs(runs: &[Run], blocks: &[BlockEntry], from: Row, extent: &mut Extent) {
    let first = block_of(blocks, from);
    let start = runs.partition_point(|run| (run.block as usize) < first);
    for run in runs.get(start..).unwrap_or_default() {
        if let Some(block) = blocks.get(run.block as usize) {
            add_part(block, run.first, run.count, run.bytes, from, extent);
        }
    }
}

/// Adds `count` neighbouring rows of a block, less those before `from`; bytes in proportion.
fn add_part(block: &BlockEntry, first: u32, count: u32, bytes: u32, from: Row, extent: &mut Extent) {
    let start = block.base_row.0 + u64::from(first);
    let skipped = from.0.saturating_sub(start).min(u64::from(count));
    let left = u64::from(count) - skipped;
    if left > 0 {
        extent.rows += left;
        extent.bytes += u64::from(bytes) * left / u64::from(count.max(1));
        note_time(extent, block.written_at);
    }
}
