//! Opening a journal.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow::units::PartitionId;
use parking_lot::RwLock;

use crate::damage::Damage;
use crate::direct::Direct;
use crate::limits::Limits;
use crate::manifest::{self, Manifest, ManifestError};
use crate::reader::Reader;
use crate::recover::{Recovered, Recoverer, Recovery};
use crate::segment_header::LogId;
use crate::settings::Settings;
use crate::shared::{Caches, Shared, View, partition_name};
use crate::space::Space;
use crate::survey::{SurveyError, survey};
use crate::vfs::{FolderLock, Vfs};
use crate::writer::Writer;

const LOCK: &str = "lock";

/// An open journal: every partition recovered, nothing written yet.
#[derive(Debug)]
pub struct Journal {
    /// Its identity.
    pub log: LogId,
    /// One writer per partition, in order.
    pub writers: Vec<Writer>,
    /// The reader of all partitions.
    pub reader: Arc<Reader>,
    /// What recovery did, per partition.
    pub recoveries: Vec<Recovery>,
}

/// Why a journal does not open. Nothing was changed but for what recovery may do safely.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works in the folder.
    #[error("{} is in use by another process: stop it first", .0.display())]
    Locked(PathBuf),
    /// The file system failed.
    #[error("{what}: {error}")]
    Io {
        /// Where.
        what: String,
        /// How.
        error: io::Error,
    },
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Partitions are there without a manifest, or the manifest names partitions that are not there.
    #[error("{0}")]
    Incomplete(String),
    /// Written by a newer Trailwire.
    #[error("{file}: {detail}")]
    Newer {
        /// The file.
        file: String,
        /// What is newer.
        detail: String,
    },
    /// A segment of another journal.
    #[error("{0}")]
    Foreign(String),
    /// Something that was durable cannot be read.
    #[error(
        "the journal is damaged, so Trailwire does not start: {}; `trailwire journal verify` shows all of it, \
         `trailwire journal repair --accept-loss` declares it lost and tells every sink",
        list(.0)
    )]
    Damaged(Vec<Damage>),
}

fn list(damages: &[Damage]) -> String {
    let mut text: Vec<String> = damages.iter().take(5).map(ToString::to_string).collect();
    if damages.len() > text.len() {
        text.push(format!("and {} more", damages.len() - text.len()));
    }
    text.join("; ")
}

impl From<SurveyError> for OpenError {
    fn from(error: SurveyError) -> Self {
        match error {
            SurveyError::Io { file, error } => Self::Io { what: file, error },
            SurveyError::Newer { file, detail } => Self::Newer { file, detail },
            foreign @ SurveyError::Foreign { .. } => Self::Foreign(foreign.to_string()),
        }
    }
}

pub(crate) fn io_at(what: impl Into<String>) -> impl FnOnce(io::Error) -> OpenError {
    let what = what.into();
    move |error| OpenError::Io { what, error }
}

/// Locks the folder, reads or makes the manifest.
pub(crate) fn enter(
    vfs: &dyn Vfs,
    dir: &Path,
    make: Option<&Settings>,
) -> Result<(FolderLock, Manifest), OpenError> {
    let nothing = || OpenError::Incomplete(format!("{}: there is no journal", dir.display()));
    if make.is_none() && Manifest::read(vfs, dir)?.is_none() {
        // Before the lock, which would leave a file in somebody else's folder.
        return Err(nothing());
    }
    if make.is_some() {
        make_folder(vfs, dir).map_err(io_at(dir.display().to_string()))?;
    }
    let lock = vfs.lock(&dir.join(LOCK)).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked(dir.to_owned()),
        _ => OpenError::Io { what: LOCK.to_owned(), error },
    })?;
    let manifest = match (Manifest::read(vfs, dir)?, make) {
        (Some(manifest), _) => manifest,
        (None, Some(settings)) => create(vfs, dir, settings)?,
        (None, None) => return Err(nothing()),
    };
    Ok((lock, manifest))
}

/// Makes the folder and those above it, and their entries durable: what is synced in a folder that a power cut takes away
/// is gone with it.
fn make_folder(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let above = || dir.ancestors().filter(|path| !path.as_os_str().is_empty());
    let is_missing =
        |path: &&Path| vfs.list(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let missing = above().take_while(is_missing).count();
    vfs.create_dir(dir)?;
    // Also where nothing is missing: an earlier start may have ended between the two steps.
    for path in above().take(missing.max(1)) {
        let parent = path.parent().unwrap_or(path);
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        match vfs.sync_dir(parent) {
            // A folder above that is not ours to read: whoever made ours there has to know.
            Err(error) if missing == 0 && error.kind() == io::ErrorKind::PermissionDenied => {}
            other => other?,
        }
    }
    Ok(())
}

fn create(vfs: &dyn Vfs, dir: &Path, settings: &Settings) -> Result<Manifest, OpenError> {
    let partitions = settings.partitions.clamp(1, manifest::MAX_PARTITIONS);
    // The folders first: once there is a manifest, a missing folder is a loss.
    for partition in 0..partitions {
        let path = dir.join(partition_name(PartitionId(partition)));
        vfs.create_dir(&path).map_err(io_at(path.display().to_string()))?;
        let names = vfs.list(&path).map_err(io_at(path.display().to_string()))?;
        if names.iter().any(|name| crate::shared::segment_base(name).is_some()) {
            let text = "manifest.json is missing, and there are segments: restore it from a backup";
            return Err(OpenError::Incomplete(text.to_owned()));
        }
    }
    vfs.sync_dir(dir).map_err(io_at(dir.display().to_string()))?;
    let mut log = [0; 16];
    for half in log.chunks_exact_mut(8) {
        half.copy_from_slice(&settings.entropy.next().to_le_bytes());
    }
    let manifest = Manifest { log: LogId(log), partitions };
    manifest.write(vfs, dir).map_err(io_at(manifest::NAME))?;
    Ok(manifest)
}

/// Opens the journal in `dir`, or makes one there. Recovery is complete when this returns: everything that the
/// readers can see is durable.
///
/// # Errors
/// [`OpenError`].
pub fn open(vfs: Arc<dyn Vfs>, dir: &Path, settings: &Settings) -> Result<Journal, OpenError> {
    let (lock, manifest) = enter(&*vfs, dir, Some(settings))?;
    let lock = Arc::new(lock);
    let space = Space::open(Arc::clone(&vfs), dir, settings.ballast_bytes).map_err(io_at("ballast"))?;
    let space = Arc::new(space);
    let recovered = recover_all(&vfs, dir, manifest, &space, settings)?;
    // After recovery, which may need the room itself.
    space.refill().map_err(io_at("ballast"))?;
    let limits = Arc::new(Limits::new(settings.max_age, settings.max_bytes, manifest.partitions));
    let caches = Arc::new(Caches::new(settings.index_cache_bytes, settings.table_cache_bytes));
    let segment_bytes = settings.segment_bytes(manifest.partitions);
    let direct = Arc::new(Direct::new(settings.direct_from));
    let (mut writers, mut shareds, mut recoveries) = (Vec::new(), Vec::new(), Vec::new());
    for (number, recovered) in (0..).zip(recovered) {
        let partition = PartitionId(number);
        let Recovered { sealed, state, end, end_row, what } = recovered;
        limits.grow(sealed.iter().map(|s| s.file_len).sum());
        let view = View { sealed, active: None, losses: Arc::new(state.losses.clone()) };
        let shared = Arc::new(Shared {
            partition,
            vfs: Arc::clone(&vfs),
            dir: dir.join(partition_name(partition)),
            caches: Arc::clone(&caches),
            view: RwLock::new(view),
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            space: Arc::clone(&space),
            limits: Arc::clone(&limits),
            direct: Arc::clone(&direct),
            log: manifest.log,
            segment_bytes,
            allocate_step: settings.allocate_step,
            entropy: settings.entropy.clone(),
            state,
            end,
            end_row,
            open: None,
            failed: false,
            aged: false,
            _lock: Arc::clone(&lock),
        };
        writer.note_oldest();
        writers.push(writer);
        shareds.push(shared);
        recoveries.push(what);
    }
    Ok(Journal { log: manifest.log, writers, reader: Arc::new(Reader::new(shareds)), recoveries })
}

type Outcome = Result<Result<Recovered, Vec<Damage>>, OpenError>;

/// Recovers all partitions, several at a time; reports all damage at once.
fn recover_all(
    vfs: &Arc<dyn Vfs>,
    dir: &Path,
    manifest: Manifest,
    space: &Space,
    settings: &Settings,
) -> Result<Vec<Recovered>, OpenError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let partitions: Vec<PartitionId> = (0..manifest.partitions).map(PartitionId).collect();
    let share = partitions.len().div_ceil(threads).max(1);
    let one = |partition: PartitionId| recover_one(&**vfs, dir, manifest.log, partition, space, settings);
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let one = &one;
        let running: Vec<_> = partitions
            .chunks(share)
            .map(|chunk| scope.spawn(move || chunk.iter().map(|&p| one(p)).collect::<Vec<_>>()))
            .collect();
        let panicked = || vec![Err(OpenError::Incomplete("recovery panicked: this is a bug".to_owned()))];
        running.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|_| panicked())).collect()
    });
    let (mut recovered, mut damages) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome? {
            Ok(one) => recovered.push(one),
            Err(found) => damages.extend(found),
        }
    }
    if damages.is_empty() { Ok(recovered) } else { Err(OpenError::Damaged(damages)) }
}

fn recover_one(
    vfs: &dyn Vfs,
    dir: &Path,
    log: LogId,
    partition: PartitionId,
    space: &Space,
    settings: &Settings,
) -> Outcome {
    let name = partition_name(partition);
    let dir = dir.join(&name);
    let found = match survey(vfs, &dir, partition, log) {
        Err(SurveyError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            let text =
                format!("{name} is missing: manifest.json says that it was there; restore it from a backup");
            return Err(OpenError::Incomplete(text));
        }
        found => found?,
    };
    if !found.damages.is_empty() {
        return Ok(Err(found.damages));
    }
    let entropy = || settings.entropy.next();
    let recoverer = Recoverer { vfs, dir: &dir, partition, space, entropy: &entropy };
    let recovered = recoverer.run(found).map_err(io_at(name))?;
    if recovered.what != Recovery::default() {
        tracing::warn!(partition = partition.0, what = ?recovered.what, "the journal was not closed in order: recovered");
    }
    Ok(Ok(recovered))
}
