//! A file system in memory that forgets what was not synced.
//!
//! At a power cut every unsynced write survives sector by sector or not, each by the toss of a coin, so writes are lost,
//! reordered and torn; unsynced folder entries likewise. That is harsher than real disks, which is the point.

mod pending;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use self::pending::{Change, Coin, Entry, apply, apply_entry, apply_some, to_usize};
use super::{Access, FolderLock, Vfs, VfsFile};
use crate::direct::in_pages;

/// How a power cut treats what was not synced.
#[derive(Debug, Clone, Copy)]
pub struct PowerCut {
    /// Seeds the coin.
    pub seed: u64,
    /// How likely a sector or folder entry survives, in percent.
    pub keep_percent: u8,
}

/// Something that goes wrong once; `nth` counts calls of that sort from now on, 0 being the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A file sync fails with EIO; what it should have made durable may or may not be, and later syncs succeed
    /// without it.
    Sync(u64),
    /// A write fails with EIO after half of its bytes.
    Write(u64),
    /// A folder sync fails with EIO.
    SyncDir(u64),
    /// A read fails with EIO.
    Read(u64),
    /// From the nth changing call on every call fails: the process is as good as dead.
    Die(u64),
}

/// When a file system without direct writes says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectRefusal {
    /// When a file is opened.
    Open,
    /// At the first write.
    Write,
}

/// The simulated file system. Clones share it.
#[derive(Debug, Clone)]
pub struct SimVfs(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct State {
    nodes: Vec<Node>,
    folders: BTreeMap<PathBuf, Folder>,
    locks: BTreeSet<PathBuf>,
    generation: u64,
    capacity: Option<u64>,
    direct: Option<DirectRefusal>,
    direct_writes: u64,
    faults: Vec<Fault>,
    dead: bool,
    changes: u64,
}

#[derive(Debug, Clone, Default)]
struct Node {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone, Default)]
struct Folder {
    current: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    pending: Vec<Entry>,
    /// Its own entry in the folder above is not synced.
    is_new: bool,
}

#[derive(Debug)]
struct SimFile {
    vfs: SimVfs,
    node: usize,
    generation: u64,
    direct: bool,
}

impl Default for SimVfs {
    fn default() -> Self {
        let root = (PathBuf::from("/"), Folder::default());
        Self(Arc::new(Mutex::new(State { folders: BTreeMap::from([root]), ..State::default() })))
    }
}

impl SimVfs {
    /// An independent copy of the whole disk, to crash it in several ways.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().clone())))
    }

    /// The bytes that all files together may take.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.lock().capacity = bytes;
    }

    /// The bytes that all files together take.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.lock().used()
    }

    /// Takes no direct writes from now on, or again with `None`.
    pub fn refuse_direct(&self, refusal: Option<DirectRefusal>) {
        self.0.lock().direct = refusal;
    }

    /// How many direct writes there were.
    #[must_use]
    pub fn direct_writes(&self) -> u64 {
        self.0.lock().direct_writes
    }

    /// Arms a fault.
    pub fn inject(&self, fault: Fault) {
        self.0.lock().faults.push(fault);
    }

    /// How many changing calls there were, for [`Fault::Die`].
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.0.lock().changes
    }

    /// The process dies, the machine does not: open files and locks are gone, unsynced content stays in memory.
    pub fn kill(&self) {
        let mut state = self.0.lock();
        state.generation += 1;
        state.locks.clear();
        state.faults.clear();
        state.dead = false;
    }

    /// The power goes.
    pub fn power_cut(&self, cut: PowerCut) {
        self.kill();
        let mut coin = Coin::new(cut.seed, cut.keep_percent);
        let mut state = self.0.lock();
        for node in &mut state.nodes {
            for change in std::mem::take(&mut node.pending) {
                apply_some(&mut node.durable, &change, &mut coin);
            }
            node.current.clone_from(&node.durable);
        }
        let is_lost = |folder: &Folder, coin: &mut Coin| folder.is_new && !coin.toss();
        let lost: Vec<PathBuf> = state
            .folders
            .iter()
            .filter(|(_, folder)| is_lost(folder, &mut coin))
            .map(|(path, _)| path.clone())
            .collect();
        state.folders.retain(|path, _| !lost.iter().any(|lost| path.starts_with(lost)));
        for folder in state.folders.values_mut() {
            folder.is_new = false;
            for entry in std::mem::take(&mut folder.pending) {
                if coin.toss() {
                    apply_entry(&mut folder.durable, &entry);
                }
            }
            folder.current.clone_from(&folder.durable);
        }
    }

    /// Flips bits on the disk: `offset` counts in the file, `mask` says which bits.
    ///
    /// # Panics
    /// When there is no such byte.
    pub fn damage(&self, path: &Path, offset: u64, mask: u8) {
        let mut state = self.0.lock();
        let node = state.find(path).expect("the file to damage exists");
        for bytes in [&mut node.current, &mut node.durable] {
            if let Some(byte) = usize::try_from(offset).ok().and_then(|at| bytes.get_mut(at)) {
                *byte ^= mask;
            }
        }
    }

    fn change<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock();
        state.changes += 1;
        if state.dead
            || state
                .due(|f| matches!(f, Fault::Die(_)), |f| if let Fault::Die(n) = f { Some(n) } else { None })
        {
            state.dead = true;
            return Err(io::Error::other("the simulated process is dead"));
        }
        act(&mut state)
    }
}

impl State {
    /// Counts armed faults of one sort down; tells whether one is due now.
    fn due(&mut self, is: impl Fn(&Fault) -> bool, count: impl Fn(&mut Fault) -> Option<&mut u64>) -> bool {
        let mut hit = false;
        self.faults.retain_mut(|fault| {
            if !is(fault) {
                return true;
            }
            match count(fault) {
                Some(0) => {
                    hit = true;
                    false
                }
                Some(left) => {
                    *left -= 1;
                    true
                }
                None => true,
            }
        });
        hit
    }

    fn find(&mut self, path: &Path) -> Option<&mut Node> {
        let (dir, name) = split(path)?;
        let node = *self.folders.get(dir)?.current.get(&name)?;
        self.nodes.get_mut(node)
    }

    fn used(&self) -> u64 {
        let linked: BTreeSet<usize> =
            self.folders.values().flat_map(|f| f.current.values().copied()).collect();
        linked.iter().filter_map(|n| self.nodes.get(*n)).map(|n| n.current.len() as u64).sum()
    }

    fn room_for(&self, more: u64) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if self.used() + more > capacity => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

fn split(path: &Path) -> Option<(&Path, String)> {
    Some((path.parent()?, path.file_name()?.to_str()?.to_owned()))
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn eio() -> io::Error {
    io::Error::other("simulated EIO")
}

impl Vfs for SimVfs {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn VfsFile>> {
        let (dir, name) = split(path).ok_or_else(missing)?;
        let node = if access == Access::Create {
            self.change(|state| {
                let node = state.nodes.len();
                state.nodes.push(Node::default());
                let folder = state.folders.get_mut(dir).ok_or_else(missing)?;
                folder.current.insert(name.clone(), node);
                folder.pending.push(Entry::Link(name.clone(), node));
                Ok(node)
            })?
        } else {
            let state = self.0.lock();
            let folder = state.folders.get(dir).ok_or_else(missing)?;
            folder.current.get(&name).copied().ok_or_else(missing)?
        };
        let direct = access == Access::Direct;
        let state = self.0.lock();
        if direct && state.direct == Some(DirectRefusal::Open) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let generation = state.generation;
        Ok(Arc::new(SimFile { vfs: self.clone(), node, generation, direct }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (dir, old) = split(from).ok_or_else(missing)?;
        let (_, new) = split(to).ok_or_else(missing)?;
        self.change(|state| {
            let folder = state.folders.get_mut(dir).ok_or_else(missing)?;
            let node = folder.current.remove(&old).ok_or_else(missing)?;
            folder.current.insert(new.clone(), node);
            folder.pending.push(Entry::Rename(old, new, node));
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (dir, name) = split(path).ok_or_else(missing)?;
        self.change(|state| {
            let folder = state.folders.get_mut(dir).ok_or_else(missing)?;
            folder.current.remove(&name).ok_or_else(missing)?;
            folder.pending.push(Entry::Unlink(name));
            Ok(())
        })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            for path in path.ancestors() {
                let new = || Folder { is_new: true, ..Folder::default() };
                state.folders.entry(path.to_owned()).or_insert_with(new);
            }
            Ok(())
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        let folder = state.folders.get(dir).ok_or_else(missing)?;
        let mut names: Vec<String> = folder.current.keys().cloned().collect();
        for other in state.folders.keys() {
            if other.parent() == Some(dir) {
                names.extend(other.file_name().and_then(|n| n.to_str()).map(str::to_owned));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(|state| {
            if state.due(
                |f| matches!(f, Fault::SyncDir(_)),
                |f| if let Fault::SyncDir(n) = f { Some(n) } else { None },
            ) {
                return Err(eio());
            }
            let folder = state.folders.get_mut(dir).ok_or_else(missing)?;
            folder.pending.clear();
            folder.durable.clone_from(&folder.current);
            for (path, below) in &mut state.folders {
                below.is_new &= path.parent() != Some(dir);
            }
            Ok(())
        })
    }

    fn free_space(&self, _dir: &Path) -> io::Result<u64> {
        let state = self.0.lock();
        Ok(state.capacity.map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(state.used())))
    }

    fn lock(&self, path: &Path) -> io::Result<FolderLock> {
        if !self.0.lock().locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(FolderLock::new(SimLock { vfs: self.clone(), path: path.to_owned() }))
    }
}

struct SimLock {
    vfs: SimVfs,
    path: PathBuf,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.vfs.0.lock().locks.remove(&self.path);
    }
}

impl SimFile {
    fn with<T>(&self, act: impl FnOnce(&mut State, usize) -> io::Result<T>) -> io::Result<T> {
        self.vfs.change(|state| {
            if state.generation != self.generation {
                return Err(io::Error::other("the file was open in a process that died"));
            }
            act(state, self.node)
        })
    }
}

impl VfsFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.vfs.0.lock();
        if state.dead || state.generation != self.generation {
            return Err(io::Error::other("the simulated process is dead"));
        }
        if state.due(|f| matches!(f, Fault::Read(_)), |f| if let Fault::Read(n) = f { Some(n) } else { None })
        {
            return Err(eio());
        }
        let node = state.nodes.get(self.node).ok_or_else(missing)?;
        let rest = node.current.get(to_usize(offset)..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let direct = self.direct;
        self.with(|state, node| {
            if direct {
                if state.direct.is_some() || !in_pages(bytes, offset) {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                state.direct_writes += 1;
            }
            let fails = state.due(
                |f| matches!(f, Fault::Write(_)),
                |f| if let Fault::Write(n) = f { Some(n) } else { None },
            );
            let taken = if fails { bytes.get(..bytes.len() / 2).unwrap_or_default() } else { bytes };
            let old = state.nodes.get(node).map_or(0, |n| n.current.len() as u64);
            state.room_for((offset + taken.len() as u64).saturating_sub(old))?;
            let node = state.nodes.get_mut(node).ok_or_else(missing)?;
            let change = Change::Write { offset, bytes: taken.to_vec() };
            apply(&mut node.current, &change);
            node.pending.push(change);
            if fails { Err(eio()) } else { Ok(()) }
        })
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.with(|state, node| {
            let old = state.nodes.get(node).map_or(0, |n| n.current.len() as u64);
            let new = old.max(offset + len);
            state.room_for(new - old)?;
            let node = state.nodes.get_mut(node).ok_or_else(missing)?;
            let change = Change::Length(new);
            apply(&mut node.current, &change);
            node.pending.push(change);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|state, node| {
            let fails = state.due(
                |f| matches!(f, Fault::Sync(_)),
                |f| if let Fault::Sync(n) = f { Some(n) } else { None },
            );
            let mut coin = Coin::new(state.changes.wrapping_mul(0x9E37_79B9_7F4A_7C15), 50);
            let node = state.nodes.get_mut(node).ok_or_else(missing)?;
            for change in std::mem::take(&mut node.pending) {
                // After a failed sync the kernel takes the pages for clean: some are on the disk, the others never
                // will be, and whoever reads the file sees them all the same.
                if fails {
                    apply_some(&mut node.durable, &change, &mut coin);
                } else {
                    apply(&mut node.durable, &change);
                }
            }
            if fails { Err(eio()) } else { Ok(()) }
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(|state, node| {
            let node = state.nodes.get_mut(node).ok_or_else(missing)?;
            let change = Change::Length(len);
            apply(&mut node.current, &change);
            node.pending.push(change);
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.vfs.0.lock();
        Ok(state.nodes.get(self.node).map_or(0, |n| n.current.len() as u64))
    }
}
