//! What the partition owner and the log reader need of a place that keeps blocks.
//!
//! `journal` implements both traits over files; the simulation implements them over memory with lost, reordered and
//! torn writes. The conformance suite of the feature `testing` holds for every implementation.

use std::io;

use crate::block::Block;
use crate::clock::UnixMillis;
use crate::log::{Extent, GapReason, Scope, Slice};
use crate::units::{LogPos, PartitionId, Row, RowRange};

/// Why an append is refused before anything was stamped or written. Nothing is lost; the producer may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The disk or the quota of the data folder is full, but for the ballast that keeps cursors moving.
    #[error(
        "no disk space left for events: free some, or lower buffer.max_bytes; deliveries go on meanwhile"
    )]
    DiskFull,
}

/// Why reserving space failed.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// Refused; the caller answers "try again later".
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The file system failed: the process stops.
    #[error("reserving space: {0}")]
    Io(#[from] io::Error),
}

/// Where the next block goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Random number of the segment's opening.
    pub epoch: u64,
    /// The position of the next byte.
    pub pos: LogPos,
    /// Everything before this is synced.
    pub durable_upto: LogPos,
}

/// A range of rows that retention has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// The rows that can no longer be read.
    pub rows: RowRange,
}

/// The writing half of one partition. Only the partition's owner holds it; it blocks.
///
/// After an error of `write`, `sync`, `seal`, `begin` or `publish` the owner stops the process: the kernel may have
/// dropped dirty pages, so nothing may be tried again on the same file.
pub trait SegmentIo: Send {
    /// Where the next block goes. A block must be built for exactly this place.
    fn tip(&self) -> Tip;

    /// Makes sure that `bytes` more can be written, before anything is stamped.
    ///
    /// # Errors
    /// [`ReserveError`]. With `ballast` the space kept for lane state and restarts may be used.
    fn reserve(&mut self, bytes: u64, ballast: bool) -> Result<(), ReserveError>;

    /// How many zeros a block of `len` bytes at the tip is to carry behind it, so that the next one begins at a page of
    /// the file: a multiple of [`crate::block::ALIGN`] below [`crate::block::PAGE`].
    fn padding(&self, len: usize) -> usize {
        let _ = len;
        0
    }

    /// Writes one finished block at the tip, with one call. Not durable yet. Of a large block, memory that begins at a
    /// page ([`crate::block::Buffer`]) is written without a copy.
    ///
    /// # Errors
    /// The file system's.
    fn write(&mut self, block: &[u8]) -> io::Result<()>;

    /// Makes everything written durable; moves `tip().durable_upto` to `tip().pos`.
    ///
    /// # Errors
    /// The file system's.
    fn sync(&mut self) -> io::Result<()>;

    /// Whether the segment is large enough to be closed.
    fn is_full(&self) -> bool;

    /// Closes the segment with a footer and opens the next one, under a name that recovery ignores until
    /// [`SegmentIo::publish`]. The owner then writes the snapshot into it.
    ///
    /// # Errors
    /// The file system's.
    fn roll(&mut self, next_row: Row) -> io::Result<()>;

    /// Syncs the new segment, gives it its name and syncs the directory.
    ///
    /// # Errors
    /// The file system's.
    fn publish(&mut self) -> io::Result<()>;

    /// Removes sealed segments that are older than the limit or beyond the size, oldest first, never the last one.
    /// Returns what readers can no longer get.
    ///
    /// # Errors
    /// The file system's.
    fn expire(&mut self, now: UnixMillis) -> io::Result<Option<Expired>>;

    /// Rows at or after `from`, and behind the last complete snapshot, of which a repair could not even tell the
    /// organisation: any of them may have lost that many records since its last known one, so the owner leaves out as
    /// many seqs of each rather than give one out twice.
    fn unknown_rows(&self, from: Row) -> u64 {
        let _ = from;
        0
    }

    /// Tells the state of the partition to `visit`, block by block, oldest first: the snapshot parts of the last
    /// complete snapshot, then every block behind it. Record bodies may be left out ([`Block::from_table`]).
    ///
    /// # Errors
    /// The file system's, or damage found only now.
    fn replay(&mut self, visit: &mut dyn FnMut(&Block)) -> io::Result<()>;

    /// Tells the row tables from `from` on, oldest first, to refill the duplicate window. Rows that retention has
    /// removed are left out.
    ///
    /// # Errors
    /// The file system's, or damage found only now.
    fn replay_rows(&mut self, from: Row, visit: &mut dyn FnMut(&Block)) -> io::Result<()>;
}

/// Why a read failed. Nothing is skipped: the lane tries again or the operator repairs.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system failed; retried.
    #[error("reading the journal: {0}")]
    Io(#[from] io::Error),
    /// A checksum does not match; needs `trailwire journal repair`.
    #[error("{file}: damaged at byte {offset} ({detail}); stop Trailwire and run `trailwire journal verify`")]
    Damaged {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        detail: String,
    },
}

/// The reading half of all partitions. Shared by all lanes; it blocks, so callers run it on a blocking thread.
pub trait SegmentRead: Send + Sync + 'static {
    /// Reads records of `scope` from `from` on, from what was durable when asked: at least one block's worth if
    /// there is any, at most about `max_bytes`. [`Slice::NotYet`] when there is nothing at or after `from`.
    ///
    /// # Errors
    /// [`ReadError`].
    fn read(
        &self,
        partition: PartitionId,
        from: Row,
        scope: &Scope,
        max_bytes: usize,
    ) -> Result<Slice, ReadError>;

    /// Counts what `scope` has at and after `from`: from footers and indexes, reads no record.
    fn extent(&self, partition: PartitionId, scope: &Scope, from: Row) -> Extent;

    /// The oldest row that can still be read, and why older ones cannot. What was declared lost right before that row was
    /// not expired: then it is the first lost one, of which a read tells why.
    fn oldest(&self, partition: PartitionId) -> (Row, GapReason);
}
