//! What the writer of a partition and its readers share.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow::block::{Block, BlockFault};
use flow::segment::ReadError;
use flow::units::{LogPos, PartitionId, Row};
use parking_lot::RwLock;

use crate::cache::Cache;
use crate::footer::{FooterFault, SealedIndex, Trailer};
use crate::index::{Index, Run};
use crate::scan;
use crate::segment_header::{HEADER_SPACE, SegmentHeader};
use crate::state::Loss;
use crate::vfs::{Access, Vfs, VfsFile};

/// Names a segment in this process.
pub(crate) type SegmentKey = (PartitionId, LogPos);

/// Open files and loaded indexes of sealed segments, bounded, shared by all partitions.
#[derive(Debug)]
pub(crate) struct Caches {
    files: Cache<SegmentKey, dyn VfsFile>,
    indexes: Cache<SegmentKey, SealedIndex>,
    /// Headers and tables of blocks, checked: lanes that are far behind read the same blocks one after the other, each
    /// for its own organisation. The key is the block's position.
    pub(crate) tables: Cache<SegmentKey, Block>,
}

/// Open files kept at most; a process often has 1,024 descriptors in all.
const OPEN_FILES: usize = 128;

impl Caches {
    pub(crate) fn new(index_bytes: usize, table_bytes: usize) -> Self {
        let tables = Cache::new(table_bytes);
        Self { files: Cache::new(OPEN_FILES), indexes: Cache::new(index_bytes), tables }
    }
}

/// A sealed segment.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) header: SegmentHeader,
    pub(crate) trailer: Trailer,
    pub(crate) file_len: u64,
}

/// The segment that is being written, as far as it is durable.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<dyn VfsFile>,
    pub(crate) index: Index,
}

/// All segments of a partition.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Oldest first.
    pub(crate) sealed: VecDeque<Arc<Sealed>>,
    pub(crate) active: Option<Active>,
    pub(crate) losses: Arc<Vec<Loss>>,
}

impl View {
    /// The oldest row that was not expired.
    pub(crate) fn oldest(&self) -> Row {
        self.oldest_place().0
    }

    /// The row before which everything was expired: the oldest one, or the first one of what was declared lost right
    /// before it.
    pub(crate) fn expired(&self) -> Row {
        let mut row = self.oldest();
        // Ascending: each may begin where the one before ends.
        for loss in self.losses.iter().rev() {
            let rows = loss.rows();
            if loss.org.is_none() && rows.start < row && row <= rows.end {
                row = rows.start;
            }
        }
        row
    }

    /// Where the oldest segment begins.
    pub(crate) fn oldest_place(&self) -> (Row, LogPos) {
        let header = self
            .sealed
            .front()
            .map(|s| &s.header)
            .or_else(|| self.active.as_ref().map(|active| &active.header));
        header.map_or((Row(0), LogPos(0)), |header| (header.base_row, header.base))
    }

    /// One past the last durable row.
    pub(crate) fn end(&self) -> Row {
        match (&self.active, self.sealed.back()) {
            (Some(active), _) => active.index.summary.end_row,
            (None, Some(sealed)) => sealed.trailer.summary.end_row,
            (None, None) => Row(0),
        }
    }

    /// The sealed segment that holds `row`, or the first one behind it.
    pub(crate) fn sealed_at(&self, row: Row) -> Option<Arc<Sealed>> {
        let at = self.sealed.partition_point(|sealed| sealed.trailer.summary.end_row <= row);
        self.sealed.get(at).cloned()
    }
}

/// One partition.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) partition: PartitionId,
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) dir: PathBuf,
    pub(crate) caches: Arc<Caches>,
    pub(crate) view: RwLock<View>,
}

impl Shared {
    pub(crate) fn key(&self, header: &SegmentHeader) -> SegmentKey {
        (self.partition, header.base)
    }

    /// The open file of a sealed segment.
    pub(crate) fn file(&self, sealed: &Sealed) -> io::Result<Arc<dyn VfsFile>> {
        let key = self.key(&sealed.header);
        if let Some(file) = self.caches.files.get(key) {
            return Ok(file);
        }
        let file = self.vfs.open(&segment_path(&self.dir, sealed.header.base), Access::Read)?;
        self.caches.files.put(key, &file, 1);
        Ok(file)
    }

    /// The index of a sealed segment.
    pub(crate) fn index(&self, sealed: &Sealed, file: &dyn VfsFile) -> Result<Arc<SealedIndex>, ReadError> {
        let key = self.key(&sealed.header);
        if let Some(index) = self.caches.indexes.get(key) {
            return Ok(index);
        }
        match sealed.trailer.load(file) {
            Ok(index) => Ok(self.keep(key, index)),
            Err(FooterFault::Io(error)) => Err(error.into()),
            Err(fault) => self.rebuild(sealed, file, &fault),
        }
    }

    /// The runs of `org` in a sealed segment.
    pub(crate) fn runs(
        &self,
        sealed: &Sealed,
        file: &dyn VfsFile,
        index: &SealedIndex,
        org: &str,
    ) -> Result<Vec<Run>, ReadError> {
        let Some(entry) = index.org(org) else { return Ok(Vec::new()) };
        match index.runs(file, &entry) {
            Ok(runs) => Ok(runs),
            Err(FooterFault::Io(error)) => Err(error.into()),
            Err(fault) => {
                let rebuilt = self.rebuild(sealed, file, &fault)?;
                let runs = rebuilt.org(org).map(|entry| rebuilt.runs(file, &entry)).transpose();
                runs.map(Option::unwrap_or_default).map_err(|fault| self.footer_damage(sealed, &fault))
            }
        }
    }

    fn keep(&self, key: SegmentKey, index: SealedIndex) -> Arc<SealedIndex> {
        let index = Arc::new(index);
        self.caches.indexes.put(key, &index, index.memory());
        index
    }

    /// The index of a segment whose footer is damaged, from its blocks. The footer itself is written anew by
    /// `repair`.
    fn rebuild(
        &self,
        sealed: &Sealed,
        file: &dyn VfsFile,
        fault: &FooterFault,
    ) -> Result<Arc<SealedIndex>, ReadError> {
        let (header, end) = (&sealed.header, sealed.header.offset_of(sealed.trailer.summary.end));
        let losses = Arc::clone(&self.view.read().losses);
        let found = scan::scan(file, header, HEADER_SPACE, end, &losses)?;
        if let Some(hole) = found.holes.first() {
            return Err(self.damaged(header.base, hole.from, hole.fault));
        }
        tracing::warn!(file = self.label(header.base), %fault, "damaged footer: the index is rebuilt from the blocks");
        let mut index = Index::new(header);
        for seen in &found.blocks {
            // The offsets of a sealed segment fit: its writer checked that.
            index.add(&seen.block, u32::try_from(seen.offset).unwrap_or(u32::MAX));
        }
        Ok(self.keep(self.key(header), SealedIndex::rebuilt(&index)))
    }

    pub(crate) fn forget(&self, header: &SegmentHeader) {
        self.caches.files.forget(self.key(header));
        self.caches.indexes.forget(self.key(header));
    }

    fn footer_damage(&self, sealed: &Sealed, fault: &FooterFault) -> ReadError {
        ReadError::Damaged {
            file: self.label(sealed.header.base),
            offset: sealed.header.offset_of(sealed.trailer.summary.end),
            detail: fault.to_string(),
        }
    }

    pub(crate) fn damaged(&self, base: LogPos, offset: u64, fault: BlockFault) -> ReadError {
        ReadError::Damaged { file: self.label(base), offset, detail: fault.to_string() }
    }

    /// The segment's name for people: folder and file.
    pub(crate) fn label(&self, base: LogPos) -> String {
        segment_label(self.partition, base)
    }
}

/// Where the segment that begins at `base` is.
pub(crate) fn segment_path(dir: &Path, base: LogPos) -> PathBuf {
    dir.join(segment_name(base))
}

/// The name of the segment file that begins at `base`.
pub(crate) fn segment_name(base: LogPos) -> String {
    format!("{:020}.seg", base.0)
}

/// The base position that a file name says, when it is a segment's.
pub(crate) fn segment_base(name: &str) -> Option<LogPos> {
    let digits = name.strip_suffix(".seg").filter(|digits| digits.len() == 20)?;
    digits.parse().ok().map(LogPos)
}

/// The name of a partition's folder.
pub(crate) fn partition_name(partition: PartitionId) -> String {
    format!("p{:03}", partition.0)
}

pub(crate) fn segment_label(partition: PartitionId, base: LogPos) -> String {
    format!("{}/{}", partition_name(partition), segment_name(base))
}
