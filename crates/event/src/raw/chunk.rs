//! Sixteen bytes of a string at a time: where it may end and what it is made of.
//!
//! This classification decides the speed of decoding, so it uses the vector instructions that every machine of the
//! supported kinds has. A test compares it with a plain loop.

use wide::u8x16;

/// How many bytes are looked at together.
pub(crate) const WIDTH: usize = 16;

/// One bit for each of the sixteen bytes, the first byte in bit 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Masks {
    /// A quote, a backslash or a control character.
    pub(crate) stop: u32,
    /// Anything outside `A-Z a-z 0-9 - . / : _`.
    pub(crate) odd: u32,
    /// `J` or `T`, the rarest letters of the token shapes that the redaction looks for.
    pub(crate) suspect: u32,
    /// Not ASCII.
    pub(crate) not_ascii: u32,
}

#[inline(always)]
fn every(byte: u8) -> u8x16 {
    u8x16::splat(byte)
}

/// All ones where `first <= x <= first + span`.
#[inline(always)]
fn within(x: u8x16, first: u8, span: u8) -> u8x16 {
    let moved = x - every(first);
    moved.min(every(span)).simd_eq(moved)
}

#[inline(always)]
fn stop(x: u8x16) -> u32 {
    (x.simd_eq(every(b'"')) | x.simd_eq(every(b'\\')) | within(x, 0, 0x1f)).to_bitmask()
}

/// The `stop` mask alone, for member names.
#[inline(always)]
pub(crate) fn stops(chunk: &[u8; WIDTH]) -> u32 {
    stop(u8x16::new(*chunk))
}

/// Classifies a chunk.
#[inline(always)]
pub(crate) fn classify(chunk: &[u8; WIDTH]) -> Masks {
    let x = u8x16::new(*chunk);
    let plain = within(x | every(0x20), b'a', 25) | within(x, b'-', b':' - b'-') | x.simd_eq(every(b'_'));
    let suspect = x.simd_eq(every(b'J')) | x.simd_eq(every(b'T'));
    Masks {
        stop: stop(x),
        odd: !plain.to_bitmask() & 0xffff,
        suspect: suspect.to_bitmask(),
        // The mask is of the highest bits.
        not_ascii: x.to_bitmask(),
    }
}

#[cfg(test)]
mod tests;
