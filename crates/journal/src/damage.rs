//! What is wrong with a journal, in words for the operator.

use std::fmt;

use serde::Serialize;

/// What sort of damage it is: decides what a repair does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DamageKind {
    /// Blocks that were durable cannot be read.
    Blocks,
    /// Records of a readable block do not match their checksum.
    Record,
    /// The body of a control or snapshot block does not match its checksum.
    State,
    /// The header of a segment; repaired without loss from the block behind it.
    SegmentHeader,
    /// A whole segment cannot be read.
    Segment,
    /// A segment is missing.
    Missing,
    /// The newest segment holds no complete snapshot.
    Snapshot,
    /// `state.json`; repaired without loss, but losses accepted earlier must be accepted again.
    StateFile,
}

/// A stretch of a journal that should be readable and is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The partition.
    pub partition: u16,
    /// The file, from the journal's folder.
    pub file: String,
    /// What sort of damage.
    pub kind: DamageKind,
    /// Offset in the file of the first unreadable byte.
    pub from: u64,
    /// One past the last unreadable byte.
    pub to: u64,
    /// The first row that is lost with it.
    pub first_row: u64,
    /// One past the last row that is lost with it.
    pub end_row: u64,
    /// Whose record it is, when that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// Base position of the segment.
    #[serde(skip)]
    pub(crate) base: u64,
    /// Whether `end_row` is an upper bound only.
    pub upper_bound: bool,
    /// What is wrong.
    pub detail: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: bytes {} to {}: {}", self.file, self.from, self.to, self.detail)?;
        match (self.end_row.saturating_sub(self.first_row), self.upper_bound) {
            (0, _) => Ok(()),
            (n, false) => write!(f, " (rows {} to {}, {n} in all)", self.first_row, self.end_row - 1),
            (n, true) => write!(f, " (at most {n} rows from {} on)", self.first_row),
        }
    }
}
