//! Little-endian numbers in byte slices, without panics.

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// The checksum of `bytes` without the four bytes at `hole`, where the checksum itself stands.
pub(crate) fn crc_around(bytes: &[u8], hole: usize) -> u32 {
    let before = crc32c::crc32c(bytes.get(..hole).unwrap_or_default());
    crc32c::crc32c_append(before, bytes.get(hole + 4..).unwrap_or_default())
}
