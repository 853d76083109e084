//! Redacted, rendered and not yet stamped rows, on their way to one partition's owner.

use event::Kind;

use crate::orgs::OrgKey;

/// The rows of one request for one partition.
///
/// A row's bytes are the tail of its record: everything after the stamped part, from `"id":` to the final `}`.
/// The owner puts `{"v":1,"seq":N,` before it.
#[derive(Debug, Default)]
pub struct Prepared {
    /// The tails, back to back.
    pub arena: Vec<u8>,
    /// One entry a row, in the order in which they arrived.
    pub rows: Vec<PreparedRow>,
}

impl Prepared {
    /// An upper bound of the bytes that these rows take in a block.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        self.arena.len() + self.rows.len() * PER_ROW
    }

    /// The tail of `row`, empty if the row is not of this batch.
    #[must_use]
    pub fn tail(&self, row: &PreparedRow) -> &[u8] {
        let start = row.offset as usize;
        self.arena.get(start..start.saturating_add(row.len as usize)).unwrap_or_default()
    }
}

/// Row entry, stamped part and the row's share of the run table, at most.
const PER_ROW: usize = 80 + 112 + 24 + event::ids::ORG_ID_MAX;

/// What the owner must know of a row without reading its bytes.
#[derive(Debug, Clone, Copy)]
pub struct PreparedRow {
    /// The organisation, in the process's [`crate::orgs::Directory`].
    pub org: OrgKey,
    /// Where the tail starts in the arena.
    pub offset: u32,
    /// The tail's length in bytes.
    pub len: u32,
    /// The position in the request (line or array index from 1), for answers.
    pub line: u32,
    /// Keyed hash of (organisation, producer, event id).
    pub dedupe: u128,
    /// Keyed hash of the tail without its `received_at`.
    pub content: u64,
    /// The event's own time, milliseconds since 1970.
    pub time_ms: i64,
    /// Hash of the app's id or key, 0 when there is none.
    pub app: u64,
    /// Keyed hash of (app, declared group key), 0 when the call declared no group.
    pub group: u64,
    /// HTTP status, 0 when there is none.
    pub status: u16,
    /// The kind.
    pub kind: Kind,
}
