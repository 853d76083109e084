//! What can be set about a journal.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where random numbers come from; a test gives its own.
#[derive(Clone)]
pub struct Entropy(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Entropy {
    /// From a function.
    #[must_use]
    pub fn new(next: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(next))
    }

    pub(crate) fn next(&self) -> u64 {
        (self.0)()
    }
}

impl Default for Entropy {
    fn default() -> Self {
        Self::new(rand::random)
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}

/// What can be set about a journal. Sizes in bytes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The number of partitions of a journal that is made now; an existing one keeps its own.
    pub partitions: u16,
    /// A segment is closed when it is larger than this; at most 1 GiB.
    pub segment_bytes: u64,
    /// Room is taken from the disk in steps of this.
    pub allocate_step: u64,
    /// Blocks from this size on are written past the page cache, where the file system can; `usize::MAX` for none.
    pub direct_from: usize,
    /// `buffer.max_age`.
    pub max_age: Duration,
    /// `buffer.max_bytes`, over all partitions.
    pub max_bytes: u64,
    /// Room kept for lane state, footers and restarts on a full disk: one snapshot and 64 MiB in total.
    pub ballast_bytes: u64,
    /// Memory for the indexes of sealed segments.
    pub index_cache_bytes: usize,
    /// Memory for the row tables of blocks that lanes far behind read.
    pub table_cache_bytes: usize,
    /// Where random numbers come from.
    pub entropy: Entropy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            partitions: 8,
            segment_bytes: 128 << 20,
            allocate_step: 8 << 20,
            direct_from: 32 << 10,
            max_age: Duration::from_secs(7 * 24 * 3600),
            max_bytes: 50 << 30,
            ballast_bytes: 96 << 20,
            index_cache_bytes: 16 << 20,
            table_cache_bytes: 16 << 20,
            entropy: Entropy::default(),
        }
    }
}

/// The largest segment: offsets in it are 32 bits wide, and its last block may stand at its very end.
const MAX_SEGMENT: u64 = 1 << 30;

impl Settings {
    /// How large a segment may grow in a journal of `partitions`: small enough that retention by size can work.
    pub(crate) fn segment_bytes(&self, partitions: u16) -> u64 {
        let share = self.max_bytes / (u64::from(partitions.max(1)) * 4);
        self.segment_bytes.min(share.max(1 << 20)).clamp(1, MAX_SEGMENT)
    }
}
