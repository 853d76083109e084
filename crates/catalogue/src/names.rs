//! A set of short names, built when the program is compiled, looked up with a hash of a few instructions.

/// The longest name, in bytes.
pub(crate) const MAX_LEN: usize = 40;

/// The most slots that one look-up may have to pass; the build fails rather than have more.
const MAX_PROBES: usize = 8;

/// An open-addressed table of the lines of a text. `SLOTS` is a power of two, at least twice the number of lines.
#[derive(Debug)]
pub(crate) struct Names<const SLOTS: usize> {
    text: &'static [u8],
    slots: [Slot; SLOTS],
}

/// Where a name stands in the text. Four bytes, so that a table and its text stay in the processor's nearest memory.
#[derive(Debug, Clone, Copy)]
struct Slot {
    start: u16,
    /// 0 where there is no name.
    len: u8,
    /// Bits of the hash that do not choose the slot.
    mark: u8,
}

/// Length, first and last eight bytes of a name: all of it, if it has at most sixteen. (Of names shorter than eight
/// the first and last four, or each byte.)
#[derive(Debug, Clone, Copy)]
struct Ends {
    first: u64,
    last: u64,
    len: u8,
}

impl<const SLOTS: usize> Names<SLOTS> {
    /// The set of the lines of `text`. Evaluated by the compiler, so what it cannot take stops the build.
    #[allow(clippy::indexing_slicing, reason = "runs in the compiler, where a slip stops the build")]
    pub(crate) const fn new(text: &'static str) -> Self {
        assert!(SLOTS.is_power_of_two() && text.len() < 1 << 16);
        let text = text.as_bytes();
        let mut slots = [Slot { start: 0, len: 0, mark: 0 }; SLOTS];
        let (mut start, mut at, mut count) = (0, 0, 0);
        while at < text.len() {
            if text[at] == b'\n' {
                let len = at - start;
                assert!(len > 0 && len <= MAX_LEN, "a name has 1 to 40 bytes");
                let hash = Ends::of(text.split_at(start).1.split_at(len).0).hash();
                let mut slot = hash % SLOTS;
                let mut probes = 1;
                while slots[slot].len != 0 {
                    slot = (slot + 1) % SLOTS;
                    probes += 1;
                }
                assert!(probes <= MAX_PROBES, "the names collide too often: change the hash");
                slots[slot] = Slot { start: start as u16, len: len as u8, mark: mark(hash) };
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
        let ends = Ends::of(name);
        let hash = ends.hash();
        let mark = mark(hash);
        for probe in 0..MAX_PROBES {
            match self.slots.get((hash + probe) % SLOTS) {
                Some(slot) if slot.len != 0 => {
                    if slot.mark == mark && usize::from(slot.len) == name.len() {
                        let line = self.line(slot);
                        if Ends::of(line).equal(ends) && (name.len() <= 16 || line == name) {
                            return true;
                        }
                    }
                }
                _ => return false,
            }
        }
        false
    }

    fn line(&self, slot: &Slot) -> &'static [u8] {
        let start = usize::from(slot.start);
        self.text.get(start..start + usize::from(slot.len)).unwrap_or_default()
    }

    /// The names, in the order of the text.
    #[cfg(test)]
    pub(crate) fn lines(&self) -> impl Iterator<Item = &'static [u8]> {
        self.text.split(|b| *b == b'\n').filter(|line| !line.is_empty())
    }
}

/// Eight of the upper bits of a hash: tables have at most 2^16 slots.
#[inline]
const fn mark(hash: usize) -> u8 {
    (hash >> 16) as u8
}

impl Ends {
    #[inline]
    const fn of(name: &[u8]) -> Self {
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
        Self { first, last, len: name.len() as u8 }
    }

    /// Enough for these lists; the build checks it.
    #[inline]
    const fn hash(self) -> usize {
        let mixed =
            (self.first ^ self.last.rotate_left(23) ^ self.len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 40) as usize
    }

    #[inline]
    const fn equal(self, other: Self) -> bool {
        self.first == other.first && self.last == other.last && self.len == other.len
    }
}
