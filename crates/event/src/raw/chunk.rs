//! Sixteen bytes of a string at a time: where it may end and what it is made of.
//!
//! This classification decides the speed of decoding, so it uses the vector instructions that every machine of the
//! supported kinds has. A test compares it with a plain loop.

use wide::u8x16;

/// How many bytes are looked at together.
pub(crate) const WIDTH: usize = 16;

/// Sixteen bytes. The masks have one bit for each, the first byte in bit 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk(u8x16);

impl Chunk {
    #[inline(always)]
    pub(crate) fn new(bytes: &[u8; WIDTH]) -> Self {
        Self(u8x16::new(*bytes))
    }

    /// All zero.
    #[inline(always)]
    pub(crate) fn zero() -> Self {
        Self(u8x16::splat(0))
    }

    /// The bitwise or.
    #[inline(always)]
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// A quote, a backslash or a control character.
    #[inline(always)]
    pub(crate) fn stops(self) -> u32 {
        let x = self.0;
        (x.simd_eq(every(b'"')) | x.simd_eq(every(b'\\')) | within(x, 0, 0x1f)).to_bitmask()
    }

    /// Anything outside `A-Z a-z 0-9 - . / : _`.
    #[inline(always)]
    pub(crate) fn odd(self) -> u32 {
        let x = self.0;
        let plain = within(x | every(0x20), b'a', 25) | within(x, b'-', b':' - b'-') | x.simd_eq(every(b'_'));
        !plain.to_bitmask() & 0xffff
    }

    /// `J` or `T`, the rarest letters of the token shapes that the redaction looks for.
    #[inline(always)]
    pub(crate) fn suspect(self) -> u32 {
        (self.0.simd_eq(every(b'J')) | self.0.simd_eq(every(b'T'))).to_bitmask()
    }

    /// Not ASCII.
    #[inline(always)]
    pub(crate) fn not_ascii(self) -> u32 {
        // The mask is of the highest bits.
        self.0.to_bitmask()
    }
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

#[cfg(test)]
mod tests;
