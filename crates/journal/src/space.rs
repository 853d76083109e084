//! Room on the disk: taken before anything is stamped, with a ballast that keeps cursors moving on a full disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flow::segment::{Refusal, ReserveError};
use parking_lot::Mutex;

use crate::vfs::{Access, Vfs, VfsFile};

const NAME: &str = "ballast";
/// The ballast is given up in steps, so that another program on the disk cannot take all of it at once.
const STEP: u64 = 4 << 20;

/// What room is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Events: nothing of the ballast, and only while it is whole.
    Events,
    /// Lane state: the ballast but for its last part, for without it the process could not be started again.
    LaneState,
    /// Segments, snapshots, footers, and what recovery copies: all of the ballast.
    Upkeep,
}

impl Use {
    /// What has to stay of a ballast of `target` bytes.
    fn kept(self, target: u64) -> u64 {
        match self {
            Self::Events => target,
            Self::LaneState => target / 4,
            Self::Upkeep => 0,
        }
    }
}

/// The room of one journal, shared by its partitions.
#[derive(Debug)]
pub(crate) struct Space {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    target: u64,
    ballast: Mutex<Ballast>,
    /// The ballast is not whole: no more events until it is again.
    short: AtomicBool,
}

#[derive(Debug)]
struct Ballast {
    file: Arc<dyn VfsFile>,
    len: u64,
}

impl Space {
    /// Takes over the ballast file of the last run as it is; [`Space::refill`] makes it whole.
    pub(crate) fn open(vfs: Arc<dyn Vfs>, dir: &Path, target: u64) -> io::Result<Self> {
        let path = dir.join(NAME);
        let file = match vfs.open(&path, Access::Write) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => vfs.open(&path, Access::Create)?,
            Err(error) => return Err(error),
        };
        let len = file.len()?;
        let ballast = Mutex::new(Ballast { file, len });
        Ok(Self { vfs, dir: dir.to_owned(), target, ballast, short: AtomicBool::new(len < target) })
    }

    /// Takes room for the bytes `from..to` of `file`.
    pub(crate) fn allocate(
        &self,
        file: &dyn VfsFile,
        from: u64,
        to: u64,
        purpose: Use,
    ) -> Result<(), ReserveError> {
        if to <= from {
            return Ok(());
        }
        crate::failpoint::at("journal::allocate::before")?;
        if purpose == Use::Events {
            self.ready()?;
        }
        loop {
            let error = match file.allocate(from, to - from) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if error.kind() == io::ErrorKind::Unsupported {
                return self.trust_free_space(to - from, purpose);
            }
            if !is_full(&error) {
                return Err(error.into());
            }
            if purpose == Use::Events || !self.release(to - from, purpose.kept(self.target))? {
                return Err(Refusal::DiskFull.into());
            }
        }
    }

    /// Runs `act`, which may be repeated, and gives up ballast for it as long as the disk is full.
    pub(crate) fn make_room<T>(&self, mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match act() {
                Err(error) if is_full(&error) && self.release(STEP, 0)? => {}
                other => return other,
            }
        }
    }

    /// Whether events may be taken into room that is there already.
    pub(crate) fn ready(&self) -> Result<(), ReserveError> {
        if self.short.load(Ordering::Relaxed) && !self.refill()? {
            return Err(Refusal::DiskFull.into());
        }
        Ok(())
    }

    /// For file systems that cannot promise room (some network ones): what they say is free must do.
    fn trust_free_space(&self, bytes: u64, purpose: Use) -> Result<(), ReserveError> {
        if self.vfs.free_space(&self.dir)? >= bytes.saturating_add(purpose.kept(self.target)) {
            return Ok(());
        }
        Err(Refusal::DiskFull.into())
    }

    /// Gives up a part of the ballast; `false` when no more than `kept` is left.
    fn release(&self, bytes: u64, kept: u64) -> io::Result<bool> {
        let mut ballast = self.ballast.lock();
        if ballast.len <= kept {
            return Ok(false);
        }
        let len = ballast.len.saturating_sub(bytes.max(STEP)).max(kept);
        crate::failpoint::at("journal::ballast::release::before")?;
        ballast.file.truncate(len)?;
        crate::failpoint::at("journal::ballast::release::after")?;
        ballast.len = len;
        if !self.short.swap(true, Ordering::Relaxed) {
            tracing::warn!("the disk is full: no events are taken until there is room; deliveries go on");
        }
        Ok(true)
    }

    /// Tries to make the ballast whole again; tells whether it is.
    pub(crate) fn refill(&self) -> io::Result<bool> {
        let mut ballast = self.ballast.lock();
        let missing = self.target.saturating_sub(ballast.len);
        if missing > 0 {
            // Asked first: a failed allocation would fill the disk to the brim before it gives up.
            if self.vfs.free_space(&self.dir)? < missing {
                return Ok(false);
            }
            crate::failpoint::at("journal::ballast::refill::before")?;
            match ballast.file.allocate(ballast.len, missing) {
                Ok(()) => {
                    crate::failpoint::at("journal::ballast::refill::after")?;
                    ballast.len = self.target;
                }
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
                Err(error) if is_full(&error) => {
                    ballast.file.truncate(ballast.len)?;
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
            tracing::info!(bytes = self.target, "the disk space kept for lane state and restarts is whole");
        }
        self.short.store(false, Ordering::Relaxed);
        Ok(true)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests;
