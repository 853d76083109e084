//! `manifest.json`: written once, when the journal is made.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::segment_header::LogId;
use crate::vfs::{Access, Vfs, read_up_to, replace_file};

/// The file's name in the journal's folder.
pub(crate) const NAME: &str = "manifest.json";
/// The format that this program writes; it reads this one and, once there is one, the one before.
pub(crate) const FORMAT: u32 = 1;
/// The most partitions a journal may have.
pub const MAX_PARTITIONS: u16 = 1024;

const MAX_LEN: usize = 64 << 10;

/// What is fixed for a journal's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manifest {
    /// The journal's identity.
    pub log: LogId,
    /// How many partitions it has.
    pub partitions: u16,
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    format: u32,
    log_id: String,
    partitions: u16,
    /// Of the three others as text: one flipped bit in `partitions` would hide records.
    crc32c: u32,
}

fn crc(format: u32, log_id: &str, partitions: u16) -> u32 {
    crc32c::crc32c(format!("{format} {log_id} {partitions}").as_bytes())
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file system failed.
    #[error("manifest.json: {0}")]
    Io(#[from] io::Error),
    /// Written by a newer Trailwire.
    #[error(
        "manifest.json: journal format {0} is newer than this program reads ({FORMAT}): upgrade Trailwire"
    )]
    Newer(u32),
    /// Not what Trailwire wrote.
    #[error(
        "manifest.json is damaged ({0}): restore the file from a backup; every segment carries the same log id"
    )]
    Damaged(String),
}

impl Manifest {
    /// Reads the manifest; `None` when there is none.
    pub(crate) fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Option<Self>, ManifestError> {
        let file = match vfs.open(&dir.join(NAME), Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let bytes = read_up_to(&*file, 0, MAX_LEN)?;
        Self::parse(&bytes).map(Some)
    }

    fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let damaged = |error: serde_json::Error| ManifestError::Damaged(error.to_string());
        let Version { format } = serde_json::from_slice(bytes).map_err(damaged)?;
        let file: File = match serde_json::from_slice(bytes) {
            Ok(file) => file,
            Err(_) if format > FORMAT => return Err(ManifestError::Newer(format)),
            Err(error) => return Err(damaged(error)),
        };
        // Before the format is believed: one flipped bit must not send the operator looking for an upgrade.
        if crc(file.format, &file.log_id, file.partitions) != file.crc32c {
            return Err(ManifestError::Damaged("checksum mismatch".to_owned()));
        }
        if format > FORMAT {
            return Err(ManifestError::Newer(format));
        }
        let mut log = [0; 16];
        hex::decode_to_slice(&file.log_id, &mut log)
            .map_err(|_| ManifestError::Damaged("log_id is not 32 hexadecimal digits".to_owned()))?;
        if !(1..=MAX_PARTITIONS).contains(&file.partitions) {
            return Err(ManifestError::Damaged(format!("partitions must be 1 to {MAX_PARTITIONS}")));
        }
        Ok(Self { log: LogId(log), partitions: file.partitions })
    }

    /// Writes the manifest, durably.
    pub(crate) fn write(&self, vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
        let (format, log_id, partitions) = (FORMAT, self.log.to_string(), self.partitions);
        let crc32c = crc(format, &log_id, partitions);
        let file = File { format, log_id, partitions, crc32c };
        let mut json = serde_json::to_vec_pretty(&file)?;
        json.push(b'\n');
        replace_file(vfs, dir, NAME, &json)
    }
}

#[cfg(test)]
mod tests;
