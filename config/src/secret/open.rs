//! Opening files that hold secrets: never out of their folder, whatever becomes of the links on the way meanwhile, and
//! never waiting for what stands there instead of a file.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, open, openat, readlinkat};
use rustix::io::Errno;

/// Links on the way to one file, as many as the system itself follows.
const MAX_LINKS: usize = 40;

/// A queue answers at once instead of waiting for a writer; a terminal does not become ours.
const SAFE: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// A folder on the way: it needs to be passed, not to be listed.
#[cfg(target_os = "linux")]
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::PATH);
#[cfg(not(target_os = "linux"))]
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// Why there is no open file.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// The way leads out of the folder.
    Outside,
    Failed(io::Error),
}

impl From<Errno> for NotOpened {
    fn from(error: Errno) -> Self {
        Self::Failed(error.into())
    }
}

/// Opens what stands at `path`, wherever that is.
pub(super) fn anywhere(path: &Path) -> Result<File, NotOpened> {
    Ok(File::from(open(path, SAFE, Mode::empty())?))
}

/// Opens `name` below the folder `secrets` of `folder`. Links inside are followed, that is how Kubernetes swaps
/// mounted secrets; one that leads out, `secrets` itself included, is refused.
pub(super) fn below(folder: &Path, name: &Path) -> Result<File, NotOpened> {
    // The folder is the operator's to place; what is in it may be somebody else's.
    let folder = open(folder, FOLDER, Mode::empty())?;
    let secrets = walk(folder, Path::new("secrets"), FOLDER)?;
    walk(secrets, name, SAFE).map(File::from)
}

/// Goes down from `root` step by step. Each step is taken from the open folder before it and follows no link by
/// itself, so that nothing that changes meanwhile can lead out of `root`; `..` goes back to the folder we came from.
fn walk(root: OwnedFd, path: &Path, last: OFlags) -> Result<OwnedFd, NotOpened> {
    let mut folders = vec![root];
    let mut ahead = steps(path)?;
    let mut links = 0;
    while let Some(step) = ahead.pop() {
        if step == OsStr::new("..") {
            folders.pop();
        }
        let here = folders.last().ok_or(NotOpened::Outside)?;
        if step == OsStr::new("..") {
            continue;
        }
        match readlinkat(here, &step, Vec::new()) {
            Ok(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP.into());
                }
                ahead.extend(steps(Path::new(OsStr::from_bytes(target.as_bytes())))?);
                continue;
            }
            // No link.
            Err(Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = if ahead.is_empty() { last } else { FOLDER };
        let found = openat(here, &step, flags.union(OFlags::NOFOLLOW), Mode::empty())?;
        if ahead.is_empty() {
            return Ok(found);
        }
        folders.push(found);
    }
    folders.pop().ok_or(NotOpened::Outside)
}

/// The steps of a path, the first one last.
fn steps(path: &Path) -> Result<Vec<OsString>, NotOpened> {
    let mut steps = Vec::new();
    for part in path.components().rev() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) | Component::ParentDir => steps.push(part.as_os_str().to_owned()),
            Component::RootDir | Component::Prefix(_) => return Err(NotOpened::Outside),
        }
    }
    Ok(steps)
}
