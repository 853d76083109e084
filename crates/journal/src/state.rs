//! `state.json` of a partition: which segment is the newest, and what a repair declared lost.
//!
//! Rewritten at every roll. Without it the journal still opens, but a vanished newest segment goes unnoticed and
//! accepted losses count as damage again.

use std::io;
use std::path::Path;

use flow::units::{LogPos, Row, RowRange};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::vfs::{Access, Vfs, read_up_to, replace_file};

pub(crate) const NAME: &str = "state.json";
const VERSION: u32 = 1;
/// Far above what the losses of one partition take.
const MAX_LEN: usize = 64 << 20;

/// Damage that the operator accepted: these rows are gone, and readers are told so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The first lost row.
    pub first_row: u64,
    /// One past the last lost row; equal to `first_row` when only lane state or a snapshot was lost.
    pub end_row: u64,
    /// Whose record it was, when only single records of a readable block were lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// Nothing behind the lost rows tells their number: `end_row` is an upper bound, and so are the seqs that the
    /// organisations of this partition may have lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upper_bound: bool,
    /// The unreadable bytes, as positions in the partition's log: the first one, and one past the last one. Equal
    /// when the block around the lost records is readable.
    pub from: u64,
    /// See `from`.
    pub to: u64,
    /// When it was accepted, milliseconds since 1970.
    pub accepted_ms: i64,
    /// What was wrong.
    pub detail: String,
}

impl Loss {
    /// The lost rows.
    #[must_use]
    pub fn rows(&self) -> RowRange {
        RowRange { start: Row(self.first_row), end: Row(self.end_row) }
    }

    pub(crate) fn bytes(&self) -> (LogPos, LogPos) {
        (LogPos(self.from), LogPos(self.to))
    }
}

/// Where readable blocks go on behind `pos`, which is the same unless accepted losses begin there.
pub(crate) fn after_losses(losses: &[Loss], pos: LogPos) -> LogPos {
    let mut pos = pos;
    while let Some(loss) = losses.iter().find(|loss| loss.from == pos.0 && loss.to > loss.from) {
        pos = LogPos(loss.to);
    }
    pos
}

/// The content of `state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct PartitionState {
    /// Base position of the newest published segment.
    pub(crate) newest: Option<u64>,
    /// How large it may become, in bytes: bounds what is lost when it vanishes.
    #[serde(default)]
    pub(crate) newest_limit: u64,
    /// Ascending.
    pub(crate) losses: Vec<Loss>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StateFault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("version {0} is newer than this program reads ({VERSION}): upgrade Trailwire")]
    Newer(u32),
    #[error("damaged ({0})")]
    Damaged(String),
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    version: u32,
    crc32c: u32,
    #[serde(borrow)]
    state: &'a RawValue,
}

fn crc(version: u32, state: &RawValue) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&version.to_le_bytes()), state.get().as_bytes())
}

impl PartitionState {
    /// Reads the state; an empty one when there is no file.
    pub(crate) fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Self, StateFault> {
        let file = match vfs.open(&dir.join(NAME), Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let len = usize::try_from(file.len()?).unwrap_or(MAX_LEN).min(MAX_LEN);
        Self::parse(&read_up_to(&*file, 0, len)?)
    }

    fn parse(bytes: &[u8]) -> Result<Self, StateFault> {
        let damaged = |error: serde_json::Error| StateFault::Damaged(error.to_string());
        let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(damaged)?;
        // The envelope is the same in every version, so that a flipped bit is not taken for a newer one.
        if crc(envelope.version, envelope.state) != envelope.crc32c {
            return Err(StateFault::Damaged("checksum mismatch".to_owned()));
        }
        if envelope.version > VERSION {
            return Err(StateFault::Newer(envelope.version));
        }
        serde_json::from_str(envelope.state.get()).map_err(damaged)
    }

    /// Writes the state, durably.
    pub(crate) fn write(&self, vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
        let state = serde_json::value::to_raw_value(self)?;
        let envelope = Envelope { version: VERSION, crc32c: crc(VERSION, &state), state: &state };
        replace_file(vfs, dir, NAME, &serde_json::to_vec(&envelope)?)
    }
}

#[cfg(test)]
mod tests;
