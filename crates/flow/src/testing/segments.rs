//! Segments in memory that forget at a crash whatever was not synced.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::block::{Block, BlockKind, parse_header};
use crate::clock::UnixMillis;
use crate::log::{Extent, GapReason, Piece, Scope, Slice};
use crate::segment::{Expired, ReadError, Refusal, ReserveError, SegmentIo, SegmentRead, Tip};
use crate::units::{LogPos, PartitionId, Row, RowRange};

/// What a partition keeps.
#[derive(Debug, Default)]
struct Disk {
    segments: Vec<Segment>,
    /// What a writer may still write before "disk full".
    space: Option<u64>,
    /// What lane state may still take then; `None` for as much as it wants.
    ballast: Option<u64>,
    /// The next operations that fail.
    fail_sync: bool,
    full_at: usize,
    keep: Option<usize>,
    /// Rows that a repair has declared lost, of organisations that are not known.
    lost: Vec<RowRange>,
}

#[derive(Debug, Default, Clone)]
struct Segment {
    blocks: Vec<Bytes>,
    synced: usize,
    published: bool,
}

impl Segment {
    fn base(&self) -> Option<Row> {
        self.blocks.iter().find_map(|b| parse_header(b).ok()).map(|h| h.base_row)
    }
}

/// All partitions of a simulated machine. Cheap to clone; clones share the disk.
#[derive(Debug, Clone)]
pub struct MemorySegments {
    disks: Arc<Vec<Mutex<Disk>>>,
}

impl MemorySegments {
    /// Empty partitions whose segments are full after `full_at` blocks.
    #[must_use]
    pub fn new(partitions: u16, full_at: usize) -> Self {
        let disk = || Mutex::new(Disk { full_at, ..Disk::default() });
        Self { disks: Arc::new((0..partitions).map(|_| disk()).collect()) }
    }

    /// Opens every partition for writing, as a new process would: what was not synced is gone.
    #[must_use]
    pub fn open(&self) -> Vec<Box<dyn SegmentIo>> {
        (0..self.disks.len())
            .map(|partition| {
                if let Some(disk) = self.disks.get(partition) {
                    let mut disk = disk.lock();
                    disk.segments.retain(|segment| segment.published);
                    for segment in &mut disk.segments {
                        segment.blocks.truncate(segment.synced);
                    }
                    disk.fail_sync = false;
                }
                Box::new(Writer {
                    disks: Arc::clone(&self.disks),
                    partition,
                    epoch: 0,
                    pos: LogPos(0),
                    durable: LogPos(0),
                }) as Box<dyn SegmentIo>
            })
            .collect()
    }

    /// The reading half.
    #[must_use]
    pub fn reader(&self) -> Arc<dyn SegmentRead> {
        Arc::new(Reader { disks: Arc::clone(&self.disks) })
    }

    /// From now on only `bytes` more fit, or everything again with `None`.
    pub fn limit_space(&self, partition: usize, bytes: Option<u64>) {
        if let Some(disk) = self.disks.get(partition) {
            disk.lock().space = bytes;
        }
    }

    /// From now on lane state has only `bytes`, or again as much as it wants with `None`.
    pub fn limit_ballast(&self, partition: usize, bytes: Option<u64>) {
        if let Some(disk) = self.disks.get(partition) {
            disk.lock().ballast = bytes;
        }
    }

    /// The next sync fails.
    pub fn fail_next_sync(&self, partition: usize) {
        if let Some(disk) = self.disks.get(partition) {
            disk.lock().fail_sync = true;
        }
    }

    /// At the next maintenance only the newest `segments` stay.
    pub fn keep_segments(&self, partition: usize, segments: Option<usize>) {
        if let Some(disk) = self.disks.get(partition) {
            disk.lock().keep = segments;
        }
    }

    /// The block that holds `row` is lost, and was accepted as such; to be told before the partition is opened again. Tells
    /// how many rows that are.
    #[must_use]
    pub fn lose_block(&self, partition: usize, row: Row) -> u64 {
        let Some(disk) = self.disks.get(partition) else { return 0 };
        let mut disk = disk.lock();
        let mut lost = None;
        for segment in &mut disk.segments {
            let at = segment.blocks.iter().position(|bytes| {
                parse_header(bytes).is_ok_and(|header| {
                    header.kind == BlockKind::Rows && header.base_row <= row && row < header.end_row()
                })
            });
            if let Some(header) = at.map(|at| segment.blocks.remove(at)).and_then(|b| parse_header(&b).ok()) {
                segment.synced -= 1;
                lost = Some(RowRange { start: header.base_row, end: header.end_row() });
            }
        }
        disk.lost.extend(lost);
        lost.map_or(0, |rows| rows.len())
    }

    /// Every synced block of a partition, oldest first.
    #[must_use]
    pub fn blocks(&self, partition: usize) -> Vec<Block> {
        self.disks.get(partition).map(|disk| disk.lock().synced()).unwrap_or_default()
    }
}

impl Disk {
    fn synced(&self) -> Vec<Block> {
        self.segments
            .iter()
            .flat_map(|segment| segment.blocks.iter().take(segment.synced))
            .filter_map(|bytes| Block::parse(bytes).ok())
            .collect()
    }
}

struct Writer {
    disks: Arc<Vec<Mutex<Disk>>>,
    partition: usize,
    epoch: u64,
    pos: LogPos,
    durable: LogPos,
}

impl Writer {
    fn disk<T>(&self, act: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        let disk = self.disks.get(self.partition).ok_or_else(|| io::Error::other("no such partition"))?;
        act(&mut disk.lock())
    }
}

impl SegmentIo for Writer {
    fn tip(&self) -> Tip {
        Tip { epoch: self.epoch, pos: self.pos, durable_upto: self.durable }
    }

    fn reserve(&mut self, bytes: u64, ballast: bool) -> Result<(), ReserveError> {
        let refused = self.disk(|disk| {
            // A snapshot has room of its own.
            let is_snapshot = disk.segments.last().is_some_and(|segment| !segment.published);
            let left = if ballast { disk.ballast.filter(|_| !is_snapshot) } else { disk.space };
            Ok(left.is_some_and(|left| left < bytes))
        })?;
        if refused { Err(Refusal::DiskFull.into()) } else { Ok(()) }
    }

    fn write(&mut self, block: &[u8]) -> io::Result<()> {
        let header = parse_header(block).map_err(io::Error::other)?;
        if header.pos != self.pos || header.epoch != self.epoch || header.total_len() != block.len() {
            return Err(io::Error::other("block built for another place"));
        }
        self.disk(|disk| {
            let segment = disk.segments.last_mut().ok_or_else(|| io::Error::other("no segment"))?;
            segment.blocks.push(Bytes::copy_from_slice(block));
            if let Some(space) = &mut disk.space {
                *space = space.saturating_sub(block.len() as u64);
            }
            Ok(())
        })?;
        self.pos = LogPos(self.pos.0 + block.len() as u64);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk(|disk| {
            if disk.fail_sync {
                return Err(io::Error::other("injected sync error"));
            }
            for segment in &mut disk.segments {
                segment.synced = segment.blocks.len();
            }
            Ok(())
        })?;
        self.durable = self.pos;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.disk(|disk| Ok(disk.segments.last().is_some_and(|s| s.blocks.len() >= disk.full_at)))
            .unwrap_or(false)
    }

    fn roll(&mut self, _next_row: Row) -> io::Result<()> {
        self.epoch += 1;
        self.disk(|disk| {
            disk.segments.push(Segment::default());
            Ok(())
        })
    }

    fn publish(&mut self) -> io::Result<()> {
        self.sync()?;
        self.disk(|disk| {
            if let Some(segment) = disk.segments.last_mut() {
                segment.published = true;
            }
            Ok(())
        })
    }

    fn expire(&mut self, _now: UnixMillis) -> io::Result<Option<Expired>> {
        self.disk(|disk| {
            let Some(keep) = disk.keep else { return Ok(None) };
            let surplus = disk.segments.len().saturating_sub(keep.max(1));
            let start = disk.segments.first().and_then(Segment::base);
            disk.segments.drain(..surplus);
            let end = disk.segments.first().and_then(Segment::base);
            Ok(start
                .zip(end)
                .filter(|(s, e)| surplus > 0 && s < e)
                .map(|(start, end)| Expired { rows: RowRange { start, end } }))
        })
    }

    fn unknown_rows(&self, from: Row) -> u64 {
        let lost = |disk: &mut Disk| {
            Ok(disk.lost.iter().filter(|rows| rows.start >= from).map(|rows| rows.len()).sum())
        };
        self.disk(lost).unwrap_or(0)
    }

    fn replay(&mut self, visit: &mut dyn FnMut(&Block)) -> io::Result<()> {
        let blocks = self.disk(|disk| Ok(disk.synced()))?;
        let end = blocks.iter().rposition(|b| b.header().kind == BlockKind::SnapshotEnd);
        let start = end.map_or(0, |end| {
            let before = blocks.iter().take(end).rposition(|b| b.header().kind != BlockKind::Snapshot);
            before.map_or(0, |at| at + 1)
        });
        for block in blocks.iter().skip(start) {
            visit(block);
        }
        if let Some(last) = blocks.last() {
            self.pos = LogPos(last.header().pos.0 + last.header().total_len() as u64);
            self.durable = self.pos;
            self.epoch = last.header().epoch;
        }
        Ok(())
    }

    fn replay_rows(&mut self, from: Row, visit: &mut dyn FnMut(&Block)) -> io::Result<()> {
        let blocks = self.disk(|disk| Ok(disk.synced()))?;
        for block in
            blocks.iter().filter(|b| b.header().kind == BlockKind::Rows && b.header().end_row() > from)
        {
            visit(block);
        }
        Ok(())
    }
}

struct Reader {
    disks: Arc<Vec<Mutex<Disk>>>,
}

impl Reader {
    /// Accepted losses at or behind `from`, the next one first.
    fn lost(&self, partition: PartitionId, from: Row) -> Vec<RowRange> {
        let Some(disk) = self.disks.get(usize::from(partition.0)) else { return Vec::new() };
        let mut lost: Vec<RowRange> =
            disk.lock().lost.iter().filter(|rows| rows.end > from).copied().collect();
        lost.sort_unstable_by_key(|rows| rows.start);
        lost
    }

    fn rows(&self, partition: PartitionId) -> (Row, Vec<Block>) {
        let Some(disk) = self.disks.get(usize::from(partition.0)) else { return (Row(0), Vec::new()) };
        let disk = disk.lock();
        let oldest = disk.segments.first().and_then(Segment::base).unwrap_or_default();
        let blocks = disk.synced().into_iter().filter(|b| b.header().kind == BlockKind::Rows).collect();
        (oldest, blocks)
    }
}

fn ranges(block: &Block, scope: &Scope, from: Row) -> crate::log::Ranges {
    let skip = u32::try_from(from.0.saturating_sub(block.header().base_row.0)).unwrap_or(u32::MAX);
    block
        .runs()
        .filter(|run| scope.covers(run.org))
        .map(|run| run.first.max(skip)..run.first + run.count)
        .filter(|range| !range.is_empty())
        .collect()
}

impl SegmentRead for Reader {
    fn read(
        &self,
        partition: PartitionId,
        from: Row,
        scope: &Scope,
        max_bytes: usize,
    ) -> Result<Slice, ReadError> {
        let (oldest, blocks) = self.rows(partition);
        if from < oldest {
            return Ok(Slice::Gap {
                rows: RowRange { start: from, end: oldest },
                reason: GapReason::Retention,
            });
        }
        let lost = self.lost(partition, from).first().copied();
        if let Some(lost) = lost.filter(|lost| lost.start <= from) {
            let rows = RowRange { start: from, end: lost.end };
            return Ok(Slice::Gap { rows, reason: GapReason::Corruption });
        }
        let (mut pieces, mut bytes, mut next) = (Vec::new(), 0, from);
        for block in blocks.into_iter().filter(|b| b.header().end_row() > from) {
            if lost.is_some_and(|lost| lost.start < block.header().end_row()) {
                break;
            }
            next = block.header().end_row();
            let rows = ranges(&block, scope, from);
            bytes += rows.iter().filter_map(|r| block.body_range(r.clone())).map(|r| r.len()).sum::<usize>();
            if !rows.is_empty() {
                pieces.push(Piece { block: Arc::new(block), rows });
            }
            if bytes >= max_bytes {
                break;
            }
        }
        Ok(if next > from { Slice::Rows { pieces, next } } else { Slice::NotYet })
    }

    fn extent(&self, partition: PartitionId, scope: &Scope, from: Row) -> Extent {
        let mut extent = Extent::default();
        if *scope == Scope::All {
            let lost = self.lost(partition, from);
            extent.rows = lost.iter().map(|rows| rows.end.0 - rows.start.max(from).0).sum();
        }
        for block in self.rows(partition).1.iter().filter(|b| b.header().end_row() > from) {
            for range in ranges(block, scope, from) {
                extent.rows += u64::from(range.end - range.start);
                extent.bytes += block.body_range(range).map_or(0, |r| r.len() as u64);
                extent.oldest_ms.get_or_insert_with(|| block.header().written_at.0);
            }
        }
        extent
    }

    fn oldest(&self, partition: PartitionId) -> (Row, GapReason) {
        (self.rows(partition).0, GapReason::Retention)
    }
}
