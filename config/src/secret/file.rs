//! Secrets in files: below one folder, readable by their owner only, read again when they change.

use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::open::{self, NotOpened};
use super::{Secret, SecretError};
use crate::disk;

/// The longest secret.
const MAX_BYTES: u64 = 64 << 10;

/// A file that holds a secret.
pub(super) struct SecretFile {
    /// The folder whose `secrets` it must not leave, and its name there.
    below: Option<(PathBuf, PathBuf)>,
    path: PathBuf,
    shown: String,
    last: Mutex<Option<(Stamp, Secret)>>,
}

/// What tells one content of a file from another without reading it.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64, i64, i64, u32),
    modified: Option<std::time::SystemTime>,
    len: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec(), metadata.mode()),
            modified: metadata.modified().ok(),
            len: metadata.len(),
        }
    }
}

impl SecretFile {
    /// The file `name` below the folder `secrets` of `folder`; `None` if the name alone leads elsewhere.
    pub(super) fn below(folder: &Path, name: &str) -> Option<Self> {
        let plain = !name.ends_with('/')
            && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        plain.then(|| Self {
            below: Some((folder.to_owned(), PathBuf::from(name))),
            path: folder.join("secrets").join(name),
            ..Self::anywhere(Path::new(""), name)
        })
    }

    /// The file `name`, from `folder` if it is relative.
    pub(super) fn anywhere(folder: &Path, name: &str) -> Self {
        Self {
            below: None,
            path: folder.join(name),
            shown: format!("${{file:{name}}}"),
            last: Mutex::new(None),
        }
    }

    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The value as it is now.
    pub(super) fn read(&self) -> Result<Secret, SecretError> {
        // It only tells whether something is new: what is read is what was opened and checked.
        let seen = std::fs::metadata(&self.path).map(|metadata| Stamp::of(&metadata)).ok();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((stamp, secret)) = &*last
            && Some(stamp) == seen.as_ref()
        {
            return Ok(secret.clone());
        }
        // What cannot be read any more must not be used any more.
        *last = None;
        let (stamp, secret) = self.load()?;
        *last = Some((stamp, secret.clone()));
        Ok(secret)
    }

    fn load(&self) -> Result<(Stamp, Secret), SecretError> {
        let fail = |error: std::io::Error| self.unreadable(&error);
        let opened = match &self.below {
            Some((folder, name)) => open::below(folder, name),
            None => open::anywhere(&self.path),
        };
        let mut file = opened.map_err(|error| match error {
            NotOpened::Outside => SecretError::Outside { reference: self.shown.clone() },
            NotOpened::Failed(error) => self.unreadable(&error),
        })?;
        let metadata = file.metadata().map_err(fail)?;
        if !metadata.is_file() {
            return Err(self.unusable("is not a file"));
        }
        self.check_mode(&metadata)?;
        let mut text = String::new();
        file.by_ref().take(MAX_BYTES + 1).read_to_string(&mut text).map_err(fail)?;
        let secret = usable(text.trim_end_matches(['\n', '\r']), &self.shown)?;
        Ok((Stamp::of(&metadata), secret))
    }

    fn check_mode(&self, metadata: &Metadata) -> Result<(), SecretError> {
        let mode = metadata.mode() & 0o7777;
        // A file that belongs to somebody else (a mounted secret: root's, mode 0440) can only be given to us through
        // its group.
        let ours = metadata.uid() == rustix::process::geteuid().as_raw();
        let forbidden = if ours { 0o077 } else { 0o027 };
        if mode & forbidden == 0 {
            Ok(())
        } else {
            Err(SecretError::Exposed { reference: self.shown.clone(), mode })
        }
    }

    fn unreadable(&self, error: &std::io::Error) -> SecretError {
        SecretError::Unreadable { reference: self.shown.clone(), reason: disk::reason(error) }
    }

    fn unusable(&self, what: &'static str) -> SecretError {
        SecretError::Unusable { reference: self.shown.clone(), what }
    }
}

/// Checks that a value can be a secret at all.
pub(super) fn usable(value: &str, reference: &str) -> Result<Secret, SecretError> {
    let what = if value.is_empty() {
        "is empty"
    } else if value.len() as u64 > MAX_BYTES {
        "is longer than 64 KiB"
    } else if value.contains('\0') {
        "holds a NUL byte"
    } else {
        return Ok(Secret::new(value.to_owned()));
    };
    Err(SecretError::Unusable { reference: reference.to_owned(), what })
}
