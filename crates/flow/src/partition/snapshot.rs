//! The snapshot at a segment's start, version 1: what the stamps and lanes of a partition have come to.
//!
//! ```text
//! u32 version, u64 next_row, u64 window_start
//! u32 n, n x { text org, u64 next_seq }
//! u32 n, n x { u32 org (index above), u64 key, u64 first_seq, i64 opened_ms, i64 last_ms }
//! bytes lane states (see `lane_state`)
//! ```
//! It is cut into parts of at most [`PART`] bytes, a block each, and closed by a block that carries its length and
//! checksum: a snapshot without that mark is none.

use event::OrgId;

use super::groups::Open;
use crate::fields::{BadField, Fields, put_bytes, put_u32, put_u64};
use crate::lane_state::LaneStates;
use crate::units::{Row, Seq};

/// The largest part, in bytes.
pub(crate) const PART: usize = 1 << 20;
const VERSION: u32 = 1;

/// The content of a snapshot.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) next_row: Row,
    pub(crate) window_start: Row,
    pub(crate) orgs: Vec<(OrgId, Seq)>,
    /// Index into `orgs`, key, group.
    pub(crate) groups: Vec<(u32, u64, Open)>,
    pub(crate) lanes: LaneStates,
}

/// Why a snapshot cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotFault {
    /// Written by a newer release.
    #[error("snapshot version {0} is newer than this program reads ({VERSION}): upgrade Trailwire")]
    Newer(u32),
    /// The end mark does not match the parts.
    #[error("the snapshot's parts do not match its end mark")]
    Parts,
    /// A field is malformed although all checksums match: written by a broken program.
    #[error(transparent)]
    Field(#[from] BadField),
}

impl Snapshot {
    /// The bodies of the blocks to write: parts, then the end mark.
    pub(crate) fn encode(&self) -> (Vec<u8>, [u8; 12]) {
        let mut out = Vec::new();
        put_u32(&mut out, VERSION as usize);
        put_u64(&mut out, self.next_row.0);
        put_u64(&mut out, self.window_start.0);
        put_u32(&mut out, self.orgs.len());
        for (org, next) in &self.orgs {
            put_bytes(&mut out, org.as_str().as_bytes());
            put_u64(&mut out, next.0);
        }
        put_u32(&mut out, self.groups.len());
        for (org, key, open) in &self.groups {
            put_u32(&mut out, *org as usize);
            put_u64(&mut out, *key);
            put_u64(&mut out, open.first_seq);
            put_u64(&mut out, open.opened_ms.cast_unsigned());
            put_u64(&mut out, open.last_ms.cast_unsigned());
        }
        let mut lanes = Vec::new();
        self.lanes.encode(&mut lanes);
        put_bytes(&mut out, &lanes);
        let mut end = [0u8; 12];
        let (len, crc) = end.split_at_mut(8);
        len.copy_from_slice(&(out.len() as u64).to_le_bytes());
        crc.copy_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        (out, end)
    }

    /// From the parts, put together, and the body of the end mark.
    pub(crate) fn decode(parts: &[u8], end: &[u8]) -> Result<Self, SnapshotFault> {
        let mut mark = Fields::new(end);
        if mark.u64("snapshot length")? != parts.len() as u64
            || mark.u32("snapshot checksum")? != crc32c::crc32c(parts)
        {
            return Err(SnapshotFault::Parts);
        }
        let mut fields = Fields::new(parts);
        let version = fields.u32("snapshot version")?;
        if version > VERSION {
            return Err(SnapshotFault::Newer(version));
        }
        let next_row = Row(fields.u64("next row")?);
        let window_start = Row(fields.u64("window start")?);
        let mut orgs = Vec::new();
        for _ in 0..fields.u32("number of organisations")? {
            let org = OrgId::new(fields.text("organisation")?).map_err(|_| BadField("organisation"))?;
            orgs.push((org, Seq(fields.u64("next seq")?)));
        }
        let mut groups = Vec::new();
        for _ in 0..fields.u32("number of groups")? {
            let org = fields.u32("group's organisation")?;
            let key = fields.u64("group key")?;
            let open = Open {
                first_seq: fields.u64("group's first seq")?,
                opened_ms: fields.i64("group's opening")?,
                last_ms: fields.i64("group's last member")?,
            };
            groups.push((org, key, open));
        }
        let lanes = LaneStates::decode(fields.bytes("lane states")?)?;
        if !fields.is_empty() {
            return Err(BadField("snapshot").into());
        }
        Ok(Self { next_row, window_start, orgs, groups, lanes })
    }
}
