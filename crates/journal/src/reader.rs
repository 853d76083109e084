//! The reading half of all partitions.

use std::io;
use std::sync::Arc;

use flow::log::{Extent, GapReason, Scope, Slice};
use flow::segment::{ReadError, SegmentRead};
use flow::units::{PartitionId, Row, RowRange};

use crate::extent;
use crate::fetch::{Picked, Source, fetch_all, fetch_picked};
use crate::index::{BlockEntry, Run, block_of};
use crate::shared::{Active, Sealed, Shared, View};
use crate::state::Loss;

/// Reads every partition of one journal. Cheap to share; blocks while it reads from disk.
#[derive(Debug)]
pub struct Reader {
    partitions: Vec<Arc<Shared>>,
}

/// How often a read starts over because retention removed the file that it was about to open.
const ATTEMPTS: usize = 4;

/// Blocks at most in one read, so that many tiny blocks do not hold a reader for long.
pub(crate) const MAX_BLOCKS: usize = 4096;

/// Where a read must stop.
struct Bounds {
    /// Rows before this are wanted.
    limit: Row,
}

impl Reader {
    pub(crate) fn new(partitions: Vec<Arc<Shared>>) -> Self {
        Self { partitions }
    }

    /// How many partitions there are.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// One past the last durable row of a partition.
    #[must_use]
    pub fn durable_end(&self, partition: PartitionId) -> Row {
        self.shared(partition).map_or(Row(0), |shared| shared.view.read().end())
    }

    /// Bytes of a partition's segments.
    #[must_use]
    pub fn disk_bytes(&self, partition: PartitionId) -> u64 {
        let Some(shared) = self.shared(partition) else { return 0 };
        let view = shared.view.read();
        let sealed: u64 = view.sealed.iter().map(|sealed| sealed.file_len).sum();
        sealed
            + view
                .active
                .as_ref()
                .map_or(0, |active| active.index.summary.end.0.saturating_sub(active.header.base.0))
    }

    pub(crate) fn shared(&self, partition: PartitionId) -> Option<&Arc<Shared>> {
        self.partitions.get(usize::from(partition.0))
    }
}

/// Tells gap, nothing yet, or up to where records can be read.
fn bounds(view: &View, scope: &Scope, from: Row) -> Result<Bounds, Slice> {
    let oldest = view.oldest();
    if from < oldest {
        let lost = |loss: &&Loss| loss.org.is_none() && loss.rows().start <= from && from < loss.rows().end;
        if let Some(loss) = view.losses.iter().find(lost) {
            let rows = RowRange { start: from, end: loss.rows().end };
            return Err(Slice::Gap { rows, reason: GapReason::Corruption });
        }
        let end = view.losses.iter().filter(|loss| loss.org.is_none() && loss.rows().start > from);
        let end = end.map(|loss| loss.rows().start).fold(oldest, Row::min);
        return Err(Slice::Gap { rows: RowRange { start: from, end }, reason: GapReason::Retention });
    }
    let end = view.end();
    if from >= end {
        return Err(Slice::NotYet);
    }
    let concerns = |loss: &&Loss| {
        !loss.rows().is_empty()
            && loss.rows().end > from
            && loss.org.as_deref().is_none_or(|org| scope.covers(org))
    };
    let Some(loss) = view.losses.iter().filter(concerns).min_by_key(|loss| loss.first_row) else {
        return Ok(Bounds { limit: end });
    };
    if loss.rows().start <= from {
        let rows = RowRange { start: from, end: loss.rows().end };
        return Err(Slice::Gap { rows, reason: GapReason::Corruption });
    }
    Ok(Bounds { limit: loss.rows().start.min(end) })
}

impl Shared {
    fn read_all(&self, from: Row, limit: Row, max_bytes: usize) -> Result<Slice, ReadError> {
        let view = self.view.read();
        let (source, blocks) = match locate(&view, from)? {
            Place::Sealed(sealed) => {
                drop(view);
                let file = self.file(&sealed)?;
                let index = self.index(&sealed, &*file)?;
                let blocks = wanted(&index.blocks, from, limit, max_bytes);
                (Source { shared: self, header: sealed.header, file }, blocks)
            }
            Place::Active(active) => {
                let blocks = wanted(&active.index.blocks, from, limit, max_bytes);
                (Source { shared: self, header: active.header, file: Arc::clone(&active.file) }, blocks)
            }
        };
        fetch_all(&source, &blocks, from, limit)
    }

    fn read_orgs(&self, scope: &Scope, from: Row, limit: Row, max_bytes: usize) -> Result<Slice, ReadError> {
        let mut pieces = Vec::new();
        let mut next = from;
        let mut room = max_bytes.max(1);
        let mut is_cut = false;
        while next < limit && room > 0 && !is_cut {
            let step = self.pick(scope, next, limit, room).and_then(|(source, picked)| {
                let read = fetch_picked(&source, &picked, scope)?;
                Ok((read, picked))
            });
            match step {
                Ok((read, picked)) => {
                    pieces.extend(read);
                    next = picked.next;
                    room = room.saturating_sub(picked.bytes);
                    is_cut = picked.is_cut;
                }
                // What was read before stays good; the next read meets the trouble again.
                Err(_) if next > from => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Slice::Rows { pieces, next })
    }

    /// The runs of the scope in the segment that holds `from`.
    fn pick(
        &self,
        scope: &Scope,
        from: Row,
        limit: Row,
        room: usize,
    ) -> Result<(Source<'_>, Picked), ReadError> {
        let view = self.view.read();
        match locate(&view, from)? {
            Place::Sealed(sealed) => {
                drop(view);
                let file = self.file(&sealed)?;
                let index = self.index(&sealed, &*file)?;
                let mut listed = Listed::default();
                for org in scope_orgs(scope, || index.orgs().map(|(name, _)| name)) {
                    let all = self.runs(&sealed, &*file, &index, org)?;
                    listed.add(&all, &index.blocks, from, room);
                }
                let limit = limit.min(sealed.trailer.summary.end_row);
                let picked = listed.pick(&index.blocks, from, limit, room);
                Ok((Source { shared: self, header: sealed.header, file }, picked))
            }
            Place::Active(active) => {
                let picked =
                    active_runs(active, scope, from, room).pick(&active.index.blocks, from, limit, room);
                Ok((Source { shared: self, header: active.header, file: Arc::clone(&active.file) }, picked))
            }
        }
    }
}

/// The segment that holds a row.
enum Place<'a> {
    Sealed(Arc<Sealed>),
    Active(&'a Active),
}

/// Finds the segment that holds `from`, in one look: between two looks segments are closed and removed, and the first
/// one that is left would be taken for the one that was meant.
fn locate(view: &View, from: Row) -> Result<Place<'_>, ReadError> {
    if from < view.oldest() {
        // The caller starts over and finds a gap.
        return Err(gone());
    }
    match (view.sealed_at(from), &view.active) {
        (Some(sealed), _) => Ok(Place::Sealed(sealed)),
        (None, Some(active)) => Ok(Place::Active(active)),
        (None, None) => Err(gone()),
    }
}

/// The scope's organisations that may be in a segment: whichever list is shorter decides what is asked.
fn scope_orgs<'a, I>(scope: &'a Scope, there: impl FnOnce() -> I) -> Vec<&'a str>
where
    I: Iterator<Item = &'a str>,
{
    match scope {
        Scope::All => there().collect(),
        Scope::Orgs(orgs) if orgs.len() <= 64 => orgs.iter().map(event::OrgId::as_str).collect(),
        Scope::Orgs(orgs) => there().filter(|org| orgs.contains(*org)).collect(),
    }
}

fn active_runs(active: &Active, scope: &Scope, from: Row, room: usize) -> Listed {
    let mut listed = Listed::default();
    for org in scope_orgs(scope, || active.index.orgs.keys().map(|name| &**name)) {
        if let Some(org) = active.index.orgs.get(org) {
            listed.add(&org.runs, &active.index.blocks, from, room);
        }
    }
    listed
}

/// The runs of a scope's organisations that a read can use.
#[derive(Debug, Default)]
struct Listed {
    runs: Vec<Run>,
    /// The first row that was left out: nothing is known of this one and those behind it.
    cut: Option<Row>,
}

impl Listed {
    /// Adds those runs of one organisation that a read of `room` bytes from `from` on can use.
    fn add(&mut self, runs: &[Run], blocks: &[BlockEntry], from: Row, room: usize) {
        let (listed, rest) = tail(runs, blocks, from, room);
        self.runs.extend_from_slice(listed);
        let first = rest.first().and_then(|run| Some((run, blocks.get(run.block as usize)?)));
        if let Some((run, block)) = first {
            let row = Row(block.base_row.0 + u64::from(run.first));
            self.cut = Some(self.cut.map_or(row, |cut| cut.min(row)));
        }
    }

    /// What fits, of the rows before `limit` and before whatever was left out.
    fn pick(self, blocks: &[BlockEntry], from: Row, limit: Row, room: usize) -> Picked {
        let end = self.cut.map_or(limit, |cut| cut.min(limit));
        let mut picked = Picked::new(self.runs, blocks, from, end, room);
        picked.is_cut |= end < limit;
        picked
    }
}

/// Splits the runs of one organisation from `from` on: those that a read of `room` bytes can use, and the rest.
fn tail<'a>(runs: &'a [Run], blocks: &[BlockEntry], from: Row, room: usize) -> (&'a [Run], &'a [Run]) {
    let first_block = block_of(blocks, from);
    let start = runs.partition_point(|run| (run.block as usize) < first_block);
    let rest = runs.get(start..).unwrap_or_default();
    let mut bytes = 0usize;
    // One more than fits: the first may lie before `from` within its block.
    let mut end = 0;
    for run in rest {
        end += 1;
        if bytes > room || end > MAX_BLOCKS {
            break;
        }
        if run.block as usize > first_block {
            bytes = bytes.saturating_add(run.bytes as usize);
        }
    }
    rest.split_at_checked(end).unwrap_or((rest, &[]))
}

/// The blocks with rows that a read of all rows takes.
fn wanted(blocks: &[BlockEntry], from: Row, limit: Row, max_bytes: usize) -> Vec<BlockEntry> {
    let mut taken = Vec::new();
    let mut bytes = 0usize;
    for block in blocks.get(block_of(blocks, from)..).unwrap_or_default() {
        if block.base_row >= limit || bytes >= max_bytes.max(1) || taken.len() >= MAX_BLOCKS {
            break;
        }
        if block.rows > 0 {
            bytes = bytes.saturating_add(block.body_len as usize);
            taken.push(*block);
        }
    }
    taken
}

/// The file went away between the look at the view and its opening.
fn gone() -> ReadError {
    ReadError::Io(io::ErrorKind::NotFound.into())
}

impl SegmentRead for Reader {
    fn read(
        &self,
        partition: PartitionId,
        from: Row,
        scope: &Scope,
        max_bytes: usize,
    ) -> Result<Slice, ReadError> {
        let Some(shared) = self.shared(partition) else { return Ok(Slice::NotYet) };
        let mut last = gone();
        for _ in 0..ATTEMPTS {
            let bounds = match bounds(&shared.view.read(), scope, from) {
                Ok(bounds) => bounds,
                Err(answer) => return Ok(answer),
            };
            let result = match scope {
                Scope::All => shared.read_all(from, bounds.limit, max_bytes),
                Scope::Orgs(_) => shared.read_orgs(scope, from, bounds.limit, max_bytes),
            };
            match result {
                Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => last = error.into(),
                other => return other,
            }
        }
        Err(last)
    }

    fn extent(&self, partition: PartitionId, scope: &Scope, from: Row) -> Extent {
        let Some(shared) = self.shared(partition) else { return Extent::default() };
        extent::count(shared, scope, from)
    }

    fn oldest(&self, partition: PartitionId) -> (Row, GapReason) {
        let expired = self.shared(partition).map_or(Row(0), |shared| shared.view.read().expired());
        (expired, GapReason::Retention)
    }
}
