//! Numbers that look random and are a pure function of their inputs, the same in every release.
//!
//! Not `rand`: its generators may change their output with a new version, and the output of `generate` may not. This is
//! the finaliser of SplitMix64, a bijection of 64 bits.

/// Mixes one number.
const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of numbers for one subject.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dice(u64);

impl Dice {
    /// The stream of `number` within `subject` of `seed`.
    pub(super) const fn new(seed: u64, subject: Subject, number: u64) -> Self {
        Self(mix(mix(mix(seed) ^ subject as u64) ^ number))
    }

    /// The next number.
    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// The next number below `bound`, 0 if there is none below.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        ((self.next() as u128 * bound as u128) >> 64) as u64
    }

    /// One of `choices`.
    pub(super) fn pick<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        let at = usize::try_from(self.below(choices.len() as u64)).unwrap_or(0);
        choices.get(at).copied().unwrap_or_default()
    }

    /// The next UUID: version 4 in form.
    pub(super) fn uuid(&mut self) -> [u8; 36] {
        uuid((u128::from(self.next()) << 64) | u128::from(self.next()))
    }
}

/// What a stream is about, so that equal numbers of different things differ.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(super) enum Subject {
    Org = 1,
    App = 2,
    Installation = 3,
    Event = 4,
    EventId = 5,
}

/// Lower case hexadecimal digits of `number`, the highest first.
pub(super) fn hex<const DIGITS: usize>(number: u128) -> [u8; DIGITS] {
    let mut text = [0; DIGITS];
    let mut rest = number;
    for digit in text.iter_mut().rev() {
        *digit = match (rest & 15) as u8 {
            low @ 0..10 => b'0' + low,
            high => b'a' + (high - 10),
        };
        rest >>= 4;
    }
    text
}

/// `bits` as a UUID of version 4, but for the six bits that tell version and variant.
pub(super) fn uuid(bits: u128) -> [u8; 36] {
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let mut digits = hex::<32>(bits).into_iter();
    let mut text = [b'-'; 36];
    for (at, place) in text.iter_mut().enumerate() {
        if !matches!(at, 8 | 13 | 18 | 23) {
            *place = digits.next().unwrap_or(b'0');
        }
    }
    text
}
