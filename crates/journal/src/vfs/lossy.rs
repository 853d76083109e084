//! The machine's file system, with a memory of what was not synced (feature `failpoints`): a crash test can let the
//! process die as in a power cut. A plain SIGKILL leaves every write in the kernel's hands, so it cannot tell an answer
//! after the sync from one before it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Access, FolderLock, OsVfs, Vfs, VfsFile};

/// A disk writes sectors of this size whole.
const SECTOR: u64 = 512;

/// The machine's file system; what was written and not synced can be taken back.
///
/// Names and lengths are not taken back.
#[derive(Debug, Default)]
pub struct LossyVfs {
    inner: OsVfs,
    unsynced: Arc<Mutex<Vec<Change>>>,
}

#[derive(Debug)]
struct Change {
    /// Which file of the disk, whatever its name.
    number: u64,
    file: Arc<dyn VfsFile>,
    offset: u64,
    /// What stood there; shorter where the file ended.
    before: Vec<u8>,
    len: u64,
}

#[derive(Debug)]
struct LossyFile {
    number: u64,
    inner: Arc<dyn VfsFile>,
    /// The same file through the page cache: a file for direct writes can neither be read nor be written everywhere.
    plain: Arc<dyn VfsFile>,
    unsynced: Arc<Mutex<Vec<Change>>>,
}

impl LossyVfs {
    /// Takes back a random part of what was not synced: whole writes, their ends, their beginnings. From then on every
    /// write and sync waits for ever, so the process must end at once.
    pub fn cut(&self, random: &mut dyn FnMut() -> u64) {
        let mut unsynced = self.unsynced.lock();
        for change in unsynced.drain(..).rev() {
            let sector = change.offset + random() % (change.len + 1);
            let sector = sector.next_multiple_of(SECTOR).min(change.offset + change.len);
            let (from, to) = match random() % 6 {
                0 => continue,
                1 => (sector, change.offset + change.len),
                2 => (change.offset, sector),
                _ => (change.offset, change.offset + change.len),
            };
            let skip = usize::try_from(from - change.offset).unwrap_or(usize::MAX);
            let len = usize::try_from(to - from).unwrap_or(0);
            let mut old: Vec<u8> = change.before.into_iter().skip(skip).take(len).collect();
            old.resize(len, 0);
            if let Err(error) = change.file.write_all_at(&old, from) {
                tracing::error!(%error, "a write could not be taken back");
            }
        }
        // Whoever writes or syncs now stands still until the process is gone.
        std::mem::forget(unsynced);
    }
}

impl Vfs for LossyVfs {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn VfsFile>> {
        let inner = self.inner.open(path, access)?;
        let plain = match access {
            Access::Direct => self.inner.open(path, Access::Write)?,
            Access::Read | Access::Write | Access::Create => Arc::clone(&inner),
        };
        let number = std::fs::metadata(path)?.ino();
        Ok(Arc::new(LossyFile { number, inner, plain, unsynced: Arc::clone(&self.unsynced) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_space(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<FolderLock> {
        self.inner.lock(path)
    }
}

impl VfsFile for LossyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut unsynced = self.unsynced.lock();
        let before = super::read_up_to(&*self.plain, offset, bytes.len())?;
        let (number, file) = (self.number, Arc::clone(&self.plain));
        unsynced.push(Change { number, file, offset, before, len: bytes.len() as u64 });
        self.inner.write_all_at(bytes, offset)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.inner.allocate(offset, len)
    }

    fn sync(&self) -> io::Result<()> {
        let mut unsynced = self.unsynced.lock();
        self.inner.sync()?;
        unsynced.retain(|change| change.number != self.number);
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.inner.truncate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}

#[cfg(test)]
mod tests;
