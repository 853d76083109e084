//! The tail cache: the newest blocks of every partition, as they were written. It is only a cache: what is not here
//! is read from the journal.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

use crate::block::Block;
use crate::log::{Piece, Ranges, ReadSpec, Scope, Slice};
use crate::orgs::{Directory, OrgKey};
use crate::units::{PartitionId, Row};

/// The newest blocks, bounded in bytes over all partitions.
#[derive(Debug)]
pub struct Tail {
    directory: Arc<Directory>,
    partitions: Vec<RwLock<Part>>,
    /// Bytes of each partition, and of all.
    sizes: Vec<AtomicUsize>,
    bytes: AtomicUsize,
    limit: usize,
}

#[derive(Debug)]
struct Part {
    blocks: VecDeque<Cached>,
    /// The number of the first block, counted from the first that was ever pushed.
    first: u64,
    /// Where each organisation's runs are: thousands of lanes of one organisation each read a block in a hundred, and
    /// to search them all in every block would cost more than the rest of the read.
    places: FxHashMap<OrgKey, VecDeque<RunPlace>>,
    /// One past the last durable row.
    end: Row,
}

/// A run in the cache.
#[derive(Debug, Clone, Copy)]
struct RunPlace {
    block: u64,
    run: u32,
}

#[derive(Debug)]
struct Cached {
    block: Arc<Block>,
    /// The block's rows, as its header says: kept here so that passing over a block need not touch it.
    base: Row,
    end: Row,
    /// The organisation of each run, ascending, for binary search.
    orgs: Box<[OrgKey]>,
}

/// Bytes that a run costs beside its block.
const RUN_COST: usize = size_of::<OrgKey>() + 2 * size_of::<RunPlace>();

impl Tail {
    /// A cache of at most `limit` bytes over partitions that end at `ends`.
    #[must_use]
    pub fn new(directory: Arc<Directory>, ends: &[Row], limit: usize) -> Self {
        let partitions = ends.iter().map(|end| RwLock::new(Part::new(*end))).collect();
        let sizes = ends.iter().map(|_| AtomicUsize::new(0)).collect();
        Self { directory, partitions, sizes, bytes: AtomicUsize::new(0), limit }
    }

    /// Takes a new durable block. `orgs` names the organisation of each run, ascending.
    pub fn push(&self, partition: PartitionId, block: Arc<Block>, orgs: Box<[OrgKey]>) {
        let index = usize::from(partition.0);
        let Some((part, size)) = self.partitions.get(index).zip(self.sizes.get(index)) else { return };
        let cached = Cached { base: block.header().base_row, end: block.header().end_row(), block, orgs };
        let added = cached.memory();
        part.write().push(cached);
        size.fetch_add(added, Ordering::Relaxed);
        self.bytes.fetch_add(added, Ordering::Relaxed);
        while self.bytes() > self.limit && self.shrink() {}
    }

    /// Drops the oldest block of the partition that holds most: one that was busy once and is idle now must not keep the
    /// others out.
    fn shrink(&self) -> bool {
        let largest =
            self.partitions.iter().zip(&self.sizes).max_by_key(|(_, size)| size.load(Ordering::Relaxed));
        let Some((part, size)) = largest else { return false };
        let Some(old) = part.write().pop() else { return false };
        let freed = old.memory();
        size.fetch_sub(freed, Ordering::Relaxed);
        self.bytes.fetch_sub(freed, Ordering::Relaxed);
        true
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// One past the last durable row.
    #[must_use]
    pub fn end(&self, partition: PartitionId) -> Row {
        self.partitions.get(usize::from(partition.0)).map_or(Row(0), |part| part.read().end)
    }

    /// Reads without waiting; `None` when the journal must be asked.
    #[must_use]
    pub fn read(&self, spec: &ReadSpec) -> Option<Slice> {
        let keys = self.keys(&spec.scope);
        let part = self.partitions.get(usize::from(spec.partition.0))?.read();
        if spec.from >= part.end {
            return Some(Slice::NotYet);
        }
        let first = part.blocks.partition_point(|cached| cached.end <= spec.from);
        if part.blocks.get(first)?.base > spec.from {
            return None;
        }
        let mut found = Found { pieces: Vec::new(), bytes: 0, enough: spec.max_bytes };
        let next = match keys.as_deref() {
            Some([key]) => part.find(*key, first, spec.from, &mut found),
            Some(keys) => part.scan(first, &mut found, |cached| cached.of(keys, spec.from)),
            None => part.scan(first, &mut found, |cached| cached.all_from(spec.from)),
        };
        Some(Slice::Rows { pieces: found.pieces, next })
    }

    /// The numbers of the organisations that are meant, ascending; `None` for all.
    fn keys(&self, scope: &Scope) -> Option<SmallVec<[OrgKey; 1]>> {
        match scope {
            Scope::All => None,
            Scope::Orgs(orgs) => {
                let mut keys: SmallVec<[OrgKey; 1]> = orgs
                    .iter()
                    .filter_map(|org| self.directory.find(org.as_str()))
                    .map(|entry| entry.key)
                    .collect();
                keys.sort_unstable();
                Some(keys)
            }
        }
    }
}

/// What a read has found so far.
struct Found {
    pieces: Vec<Piece>,
    bytes: usize,
    enough: usize,
}

impl Found {
    /// Whether that is enough.
    fn add(&mut self, block: &Arc<Block>, rows: Ranges) -> bool {
        if !rows.is_empty() {
            let bytes = rows.iter().filter_map(|range| block.body_range(range.clone())).map(|b| b.len());
            self.bytes += bytes.sum::<usize>();
            self.pieces.push(Piece { block: Arc::clone(block), rows });
        }
        !self.pieces.is_empty() && self.bytes >= self.enough
    }
}

impl Part {
    fn new(end: Row) -> Self {
        Self { blocks: VecDeque::new(), first: 0, places: FxHashMap::default(), end }
    }

    fn push(&mut self, cached: Cached) {
        let block = self.first + self.blocks.len() as u64;
        for (run, org) in (0u32..).zip(&cached.orgs) {
            self.places.entry(*org).or_default().push_back(RunPlace { block, run });
        }
        self.end = cached.end;
        self.blocks.push_back(cached);
    }

    fn pop(&mut self) -> Option<Cached> {
        let old = self.blocks.pop_front()?;
        for org in &old.orgs {
            if let Some(places) = self.places.get_mut(org) {
                places.pop_front();
                if places.is_empty() {
                    self.places.remove(org);
                }
            }
        }
        self.first += 1;
        Some(old)
    }

    /// Block by block from the one at index `first`. Gives the row at which the next read continues.
    fn scan(&self, first: usize, found: &mut Found, rows: impl Fn(&Cached) -> Ranges) -> Row {
        for cached in self.blocks.iter().skip(first) {
            if found.add(&cached.block, rows(cached)) {
                return cached.end;
            }
        }
        self.end
    }

    /// The same for one organisation, by the list of its runs.
    fn find(&self, key: OrgKey, first: usize, from: Row, found: &mut Found) -> Row {
        let Some(places) = self.places.get(&key) else { return self.end };
        let oldest = self.first + first as u64;
        let skip = places.partition_point(|place| place.block < oldest);
        for place in places.iter().skip(skip) {
            let at = usize::try_from(place.block - self.first).unwrap_or(usize::MAX);
            let Some(cached) = self.blocks.get(at) else { break };
            if found.add(&cached.block, cached.run_from(place.run, from)) {
                return cached.end;
            }
        }
        self.end
    }
}

impl Cached {
    fn memory(&self) -> usize {
        self.block.memory() + self.orgs.len() * RUN_COST
    }

    /// The rows of one run from `from` on.
    fn run_from(&self, run: u32, from: Row) -> Ranges {
        let Some(rows) = self.block.run_rows(run) else { return Ranges::new() };
        let wanted = u32::try_from(from.0.saturating_sub(self.base.0)).unwrap_or(u32::MAX);
        let rows = rows.start.max(wanted)..rows.end;
        if rows.is_empty() { Ranges::new() } else { smallvec![rows] }
    }

    fn all_from(&self, from: Row) -> Ranges {
        let header = self.block.header();
        let first = u32::try_from(from.0.saturating_sub(header.base_row.0)).unwrap_or(u32::MAX);
        (first < header.rows).then_some(first..header.rows).into_iter().collect()
    }

    fn of(&self, keys: &[OrgKey], from: Row) -> Ranges {
        let mut ranges = Ranges::new();
        let mut take = |run: u32| {
            let Some(range) = self.run_from(run, from).pop() else { return };
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        };
        // The shorter side is walked, the longer one searched.
        if keys.len() <= self.orgs.len() {
            for key in keys {
                if let Ok(run) = self.orgs.binary_search(key) {
                    take(u32::try_from(run).unwrap_or(u32::MAX));
                }
            }
        } else {
            for (run, org) in (0u32..).zip(&self.orgs) {
                if keys.binary_search(org).is_ok() {
                    take(run);
                }
            }
        }
        ranges
    }
}
