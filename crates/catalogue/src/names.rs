//! A set of short names, built when the program is compiled, looked up with a hash of a few instructions.

/// The longest name, in bytes.
pub(crate) const MAX_LEN: usize = 40;

/// The most slots that one look-up may have to pass; the build fails rather than have more.
const MAX_PROBES: usize = 8;

/// An open-addressed table of the lines of a text. `SLOTS` is a power of two, at least twice the number of lines.
#[derive(Debug)]
pub(crate) struct Names<const SLOTS: usize> {
    text: &'static [u8],
    /// Start and length of a name in `text`; length 0 for an empty slot.
    slots: [(u16, u16); SLOTS],
}

impl<const SLOTS: usize> Names<SLOTS> {
    /// The set of the lines of `text`. Evaluated by the compiler, so what it cannot take stops the build.
    #[allow(clippy::indexing_slicing, reason = "runs in the compiler, where a slip stops the build")]
    pub(crate) const fn new(text: &'static str) -> Self {
        assert!(SLOTS.is_power_of_two() && text.len() < 1 << 16);
        let text = text.as_bytes();
        let mut slots = [(0, 0); SLOTS];
        let (mut start, mut at, mut count) = (0, 0, 0);
        while at < text.len() {
            if text[at] == b'\n' {
                let len = at - start;
                assert!(len > 0 && len <= MAX_LEN, "a name has 1 to 40 bytes");
                let mut slot = slot_of(text.split_at(start).1.split_at(len).0) % SLOTS;
                let mut probes = 1;
                while slots[slot].1 != 0 {
                    slot = (slot + 1) % SLOTS;
                    probes += 1;
                }
                assert!(probes <= MAX_PROBES, "the names collide too often: change the hash");
                slots[slot] = (start as u16, len as u16);
                count += 1;
                start = at + 1;
            }
            at += 1;
        }
        assert!(
            start == text.len() && count * 2 <= SLOTS,
            "the text ends with a line end and fills half the slots"
        );
        Self { text, slots }
    }

    /// Whether `name` is one of the lines.
    #[inline]
    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        if name.is_empty() || name.len() > MAX_LEN {
            return false;
        }
        let first = slot_of(name);
        for probe in 0..MAX_PROBES {
            match self.slots.get((first + probe) % SLOTS) {
                Some(&(start, len)) if len != 0 => {
                    let (start, len) = (start as usize, len as usize);
                    if len == name.len() && self.text.get(start..start + len) == Some(name) {
                        return true;
                    }
                }
                _ => return false,
            }
        }
        false
    }

    /// The names, in the order of the text.
    #[cfg(test)]
    pub(crate) fn lines(&self) -> impl Iterator<Item = &'static [u8]> {
        self.text.split(|b| *b == b'\n').filter(|line| !line.is_empty())
    }
}

/// Mixes the first and the last eight bytes (of shorter names, four; of the shortest, three single bytes) and the
/// length. Enough for these lists; the build checks it.
#[inline]
const fn slot_of(name: &[u8]) -> usize {
    let (first, last) = match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => {
                (u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64)
            }
            _ => match name {
                [a] => (*a as u64, 0),
                [a, b] => (*a as u64, *b as u64),
                [a, b, c] => (*a as u64, *b as u64 | (*c as u64) << 8),
                _ => (0, 0),
            },
        },
    };
    let mixed = (first ^ last.rotate_left(23) ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as usize
}
