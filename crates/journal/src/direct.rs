//! Writing large blocks past the page cache: what is written is read from the tail cache, and copying it into pages that
//! the kernel has to find, to write back and to take away again costs more than the rest of the write.
//!
//! The file system wants whole pages: of memory, of the file and in length. So a large block is padded to the end of a
//! page of the file, and so is a small one directly behind it; behind any other block the next one begins anywhere, and a
//! large one there goes through the page cache once more, and ends at a page.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flow::block::PAGE;

use crate::vfs::{Access, Vfs, VfsFile};

/// How one journal writes large blocks; shared by its partitions.
#[derive(Debug)]
pub(crate) struct Direct {
    /// Blocks from this size on are large.
    from: usize,
    /// The file system takes no such writes.
    refused: AtomicBool,
}

impl Direct {
    pub(crate) fn new(from: usize) -> Self {
        Self { from, refused: AtomicBool::new(false) }
    }

    /// Opens the file at `path`, which exists, for writes past the page cache. `None` where that cannot be.
    pub(crate) fn open(&self, vfs: &dyn Vfs, path: &Path) -> io::Result<Option<Arc<dyn VfsFile>>> {
        if self.from == usize::MAX || self.refused.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match vfs.open(path, Access::Direct) {
            Ok(file) => Ok(Some(file)),
            Err(error) if self.is_refusal(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether `error` says that the file system takes no writes past its cache: then none is tried again.
    pub(crate) fn is_refusal(&self, error: &io::Error) -> bool {
        let refusal = matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported);
        if refusal && !self.refused.swap(true, Ordering::Relaxed) {
            tracing::info!(%error, "the file system takes no writes past its page cache: the journal writes through it, which costs more CPU");
        }
        refusal
    }

    pub(crate) fn is_large(&self, len: usize) -> bool {
        len >= self.from
    }

    /// Zeros behind a block of `len` bytes at `offset` of the file. `behind_large`: the block before it is a large one.
    pub(crate) fn padding(&self, len: usize, offset: u64, behind_large: bool) -> usize {
        let page = PAGE as u64;
        let padded = self.is_large(len) || (behind_large && offset.is_multiple_of(page));
        if !padded {
            return 0;
        }
        let end = offset.saturating_add(len as u64);
        usize::try_from(end.next_multiple_of(page).saturating_sub(end)).unwrap_or(0)
    }

    /// Whether `block` can be written past the page cache at `offset` of the file.
    pub(crate) fn suits(&self, block: &[u8], offset: u64) -> bool {
        self.is_large(block.len()) && in_pages(block, offset)
    }
}

/// Whether memory, offset and length are whole pages.
pub(crate) fn in_pages(bytes: &[u8], offset: u64) -> bool {
    bytes.as_ptr().addr().is_multiple_of(PAGE)
        && bytes.len().is_multiple_of(PAGE)
        && offset.is_multiple_of(PAGE as u64)
}

#[cfg(test)]
mod tests;
