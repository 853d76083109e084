//! The tail cache: the newest blocks of every partition, as they were written. It is only a cache: what is not here
//! is read from the journal.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;
use smallvec::SmallVec;

use crate::block::Block;
use crate::log::{Piece, Ranges, ReadSpec, Scope, Slice};
use crate::orgs::{Directory, OrgKey};
use crate::units::{PartitionId, Row};

/// The newest blocks, bounded in bytes over all partitions.
#[derive(Debug)]
pub struct Tail {
    directory: Arc<Directory>,
    partitions: Vec<RwLock<Part>>,
    bytes: AtomicUsize,
    limit: usize,
}

#[derive(Debug)]
struct Part {
    blocks: VecDeque<Cached>,
    /// One past the last durable row.
    end: Row,
}

#[derive(Debug)]
struct Cached {
    block: Arc<Block>,
    /// The organisation of each run, ascending, for binary search.
    orgs: Box<[OrgKey]>,
}

impl Tail {
    /// A cache of at most `limit` bytes over partitions that end at `ends`.
    #[must_use]
    pub fn new(directory: Arc<Directory>, ends: &[Row], limit: usize) -> Self {
        let partitions =
            ends.iter().map(|end| RwLock::new(Part { blocks: VecDeque::new(), end: *end })).collect();
        Self { directory, partitions, bytes: AtomicUsize::new(0), limit }
    }

    /// Takes a new durable block. `orgs` names the organisation of each run, ascending.
    pub fn push(&self, partition: PartitionId, block: Arc<Block>, orgs: Box<[OrgKey]>) {
        let Some(part) = self.partitions.get(usize::from(partition.0)) else { return };
        let added = block.memory() + orgs.len() * 4;
        let mut part = part.write();
        part.end = block.header().end_row();
        part.blocks.push_back(Cached { block, orgs });
        let mut total = self.bytes.fetch_add(added, Ordering::Relaxed) + added;
        // Only this partition gives way, so that no two locks are held; the others do when they next append.
        while total > self.limit {
            let Some(old) = part.blocks.pop_front() else { break };
            let freed = old.block.memory() + old.orgs.len() * 4;
            total = self.bytes.fetch_sub(freed, Ordering::Relaxed) - freed;
        }
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
        let first = part.blocks.partition_point(|cached| cached.block.header().end_row() <= spec.from);
        let oldest = part.blocks.get(first)?.block.header().base_row;
        if oldest > spec.from {
            return None;
        }
        let (mut pieces, mut bytes, mut next) = (Vec::new(), 0, spec.from);
        for cached in part.blocks.iter().skip(first) {
            let rows = match &keys {
                None => cached.all_from(spec.from),
                Some(keys) => cached.of(keys, spec.from),
            };
            next = cached.block.header().end_row();
            if rows.is_empty() {
                continue;
            }
            bytes += rows
                .iter()
                .filter_map(|range| cached.block.body_range(range.clone()))
                .map(|b| b.len())
                .sum::<usize>();
            pieces.push(Piece { block: Arc::clone(&cached.block), rows });
            if bytes >= spec.max_bytes {
                break;
            }
        }
        Some(Slice::Rows { pieces, next })
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

impl Cached {
    fn all_from(&self, from: Row) -> Ranges {
        let header = self.block.header();
        let first = u32::try_from(from.0.saturating_sub(header.base_row.0)).unwrap_or(u32::MAX);
        (first < header.rows).then_some(first..header.rows).into_iter().collect()
    }

    fn of(&self, keys: &[OrgKey], from: Row) -> Ranges {
        let base = self.block.header().base_row.0;
        let first_wanted = u32::try_from(from.0.saturating_sub(base)).unwrap_or(u32::MAX);
        let mut ranges = Ranges::new();
        let mut take = |run: u32| {
            let Some(run) = self.block.run(run) else { return };
            let range = run.first.max(first_wanted)..run.first + run.count;
            if range.is_empty() {
                return;
            }
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
