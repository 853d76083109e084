//! The first bytes of a segment file, version 1.
//!
//! ```text
//!  0  "TWS1"          4  version u8   5  sort u8   6  partition u16
//!  8  crc32c of these 80 bytes without itself (in every version)   12 zero
//! 16  log id, 16 bytes
//! 32  base position  40 base row   48 epoch   56 end position, sort `recovered` only   64 zero
//! ```
//! Blocks begin at [`HEADER_SPACE`], so that no later write touches the sector of the header.

use flow::units::{LogPos, PartitionId, Row};

use crate::bytes_le::{crc_around, u16_at, u32_at, u64_at};

/// "TWS1", read as a little-endian number.
const MAGIC: u32 = u32::from_le_bytes(*b"TWS1");
/// The version of this layout, and of segments as such.
pub(crate) const VERSION: u8 = 1;
/// Bytes that mean something.
pub(crate) const HEADER_LEN: usize = 80;
/// Where the first block begins in the file.
pub(crate) const HEADER_SPACE: u64 = 4096;

/// The identity of a journal: random, made once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub [u8; 16]);

impl std::fmt::Display for LogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What made a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// An owner: it begins with a complete snapshot.
    Owned,
    /// Recovery: blocks of the segment before it whose durability nothing proved, copied and synced. It was complete
    /// and sealed before it got its name, and ends at this position.
    Recovered(LogPos),
}

/// The first bytes of a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) sort: Sort,
    pub(crate) partition: PartitionId,
    pub(crate) log: LogId,
    pub(crate) base: LogPos,
    pub(crate) base_row: Row,
    pub(crate) epoch: u64,
}

/// Why bytes are no segment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderFault {
    #[error("no segment begins here")]
    NoMagic,
    #[error("segment version {0} is newer than this program reads ({VERSION}): upgrade Trailwire")]
    Newer(u8),
    #[error("segment header checksum mismatch")]
    Crc,
    #[error("segment header makes no sense")]
    Inconsistent,
}

impl SegmentHeader {
    /// The bytes, without the space up to the first block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (sort, end) = match self.sort {
            Sort::Owned => (1, 0),
            Sort::Recovered(end) => (2, end.0),
        };
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(&MAGIC.to_le_bytes());
        bytes.extend_from_slice(&[VERSION, sort]);
        bytes.extend_from_slice(&self.partition.0.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&self.log.0);
        for number in [self.base.0, self.base_row.0, self.epoch, end] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.resize(HEADER_LEN, 0);
        let crc = crc_around(&bytes, 8);
        if let Some(slot) = bytes.get_mut(8..12) {
            slot.copy_from_slice(&crc.to_le_bytes());
        }
        bytes
    }

    /// Reads and checks.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, HeaderFault> {
        if u32_at(bytes, 0) != MAGIC {
            return Err(HeaderFault::NoMagic);
        }
        let bytes = bytes.get(..HEADER_LEN).ok_or(HeaderFault::NoMagic)?;
        // Every version keeps this checksum, so that a flipped bit does not send the operator looking for an upgrade.
        if crc_around(bytes, 8) != u32_at(bytes, 8) {
            return Err(HeaderFault::Crc);
        }
        let version = bytes.get(4).copied().unwrap_or(0);
        if version > VERSION {
            return Err(HeaderFault::Newer(version));
        }
        let sort = match bytes.get(5) {
            Some(1) => Sort::Owned,
            Some(2) => Sort::Recovered(LogPos(u64_at(bytes, 56))),
            _ => return Err(HeaderFault::Inconsistent),
        };
        let mut log = [0; 16];
        log.copy_from_slice(bytes.get(16..32).ok_or(HeaderFault::NoMagic)?);
        Ok(Self {
            sort,
            partition: PartitionId(u16_at(bytes, 6)),
            log: LogId(log),
            base: LogPos(u64_at(bytes, 32)),
            base_row: Row(u64_at(bytes, 40)),
            epoch: u64_at(bytes, 48),
        })
    }

    /// Where in the file the byte at `pos` is.
    pub(crate) fn offset_of(&self, pos: LogPos) -> u64 {
        pos.0.saturating_sub(self.base.0).saturating_add(HEADER_SPACE)
    }

    /// The position of the byte at `offset` of the file.
    pub(crate) fn pos_of(&self, offset: u64) -> LogPos {
        LogPos(self.base.0.saturating_add(offset.saturating_sub(HEADER_SPACE)))
    }
}

#[cfg(test)]
mod tests;
