//! All file access of the journal, behind one small trait.
//!
//! The real implementation is [`OsVfs`]; the simulated one (feature `testing`) keeps unsynced writes apart and, at a
//! simulated power cut, drops, reorders and tears them.

#[cfg(any(test, feature = "failpoints"))]
mod lossy;
mod os;
#[cfg(any(test, feature = "testing"))]
mod sim;

use std::any::Any;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

#[cfg(any(test, feature = "failpoints"))]
pub use lossy::LossyVfs;
pub use os::OsVfs;
#[cfg(any(test, feature = "testing"))]
pub use sim::{DirectRefusal, Fault, PowerCut, SimVfs};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It exists, and is only read.
    Read,
    /// It exists, and is read and written.
    Write,
    /// It is made, empty; whatever stood under the name is replaced.
    Create,
    /// It exists, and is only written, past the page cache: memory, offset and length of every write are multiples of
    /// [`flow::block::PAGE`]. `InvalidInput`, when it is opened or at the first write, where the file system has no such
    /// writes. Another open file of the same name reads what was written, and its sync makes it durable.
    Direct,
}

/// A held lock; dropping it frees the folder.
pub struct FolderLock(#[allow(dead_code, reason = "held, never looked at")] Box<dyn Any + Send + Sync>);

impl FolderLock {
    /// Holds `guard` until dropped.
    #[must_use]
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for FolderLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FolderLock")
    }
}

/// The file system. Every call blocks. Errors are the file system's own.
#[allow(clippy::missing_errors_doc, reason = "every method fails as the file system does, and only so")]
pub trait Vfs: fmt::Debug + Send + Sync + 'static {
    /// Opens a file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn VfsFile>>;

    /// Gives a file another name, replacing what stands there. Durable only after [`Vfs::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Durable only after [`Vfs::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder; it is no error when it exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes the entries of a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that this process may still take on the folder's file system.
    fn free_space(&self, dir: &Path) -> io::Result<u64>;

    /// Locks a folder against other processes through a lock file; `WouldBlock` when another one holds it.
    fn lock(&self, path: &Path) -> io::Result<FolderLock>;
}

/// An open file.
#[allow(clippy::missing_errors_doc, reason = "every method fails as the file system does, and only so")]
pub trait VfsFile: fmt::Debug + Send + Sync + 'static {
    /// Reads into `buffer` from `offset` on; returns fewer bytes than asked only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes sure that the disk has room for these bytes of the file, which read as zero until written.
    /// `Unsupported` when the file system cannot promise that.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()>;

    /// Makes content and length durable.
    fn sync(&self) -> io::Result<()>;

    /// Sets the length.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether there is nothing in it.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Reads exactly `len` bytes at `offset`, or as many as there are.
///
/// # Errors
/// The file system's.
pub fn read_up_to(file: &dyn VfsFile, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; len];
    let got = file.read_at(&mut buffer, offset)?;
    buffer.truncate(got);
    Ok(buffer)
}

/// Writes a small file so that a crash leaves either the old or the new content: beside it, synced, renamed, and the
/// folder synced.
///
/// # Errors
/// The file system's.
pub fn replace_file(vfs: &dyn Vfs, dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let new = dir.join(format!("{name}.new"));
    let file = vfs.open(&new, Access::Create)?;
    crate::failpoint::at("journal::replace::write::before")?;
    file.write_all_at(content, 0)?;
    crate::failpoint::at("journal::replace::sync::before")?;
    file.sync()?;
    crate::failpoint::at("journal::replace::rename::before")?;
    vfs.rename(&new, &dir.join(name))?;
    crate::failpoint::at("journal::replace::rename::after")?;
    vfs.sync_dir(dir)?;
    crate::failpoint::at("journal::replace::dir_sync::after")
}
