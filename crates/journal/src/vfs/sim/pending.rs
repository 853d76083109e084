//! What was not synced, and how much of it survives a power cut.

use std::collections::BTreeMap;

const SECTOR: u64 = 512;

/// A change of a file.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Length(u64),
}

/// A change of a folder.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Link(String, usize),
    Unlink(String),
    Rename(String, String, usize),
}

pub(super) fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(len) => content.resize(to_usize(*len), 0),
        Change::Write { offset, bytes } => {
            let start = to_usize(*offset);
            let end = start + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            if let Some(slot) = content.get_mut(start..end) {
                slot.copy_from_slice(bytes);
            }
        }
    }
}

pub(super) fn apply_some(content: &mut Vec<u8>, change: &Change, coin: &mut Coin) {
    match change {
        Change::Length(_) => {
            if coin.toss() {
                apply(content, change);
            }
        }
        Change::Write { offset, bytes } => {
            let mut at = *offset;
            let end = offset + bytes.len() as u64;
            while at < end {
                let stop = ((at / SECTOR + 1) * SECTOR).min(end);
                if coin.toss() {
                    let part = bytes.get(to_usize(at - offset)..to_usize(stop - offset)).unwrap_or_default();
                    apply(content, &Change::Write { offset: at, bytes: part.to_vec() });
                }
                at = stop;
            }
        }
    }
}

pub(super) fn apply_entry(entries: &mut BTreeMap<String, usize>, entry: &Entry) {
    match entry {
        Entry::Link(name, node) => {
            entries.insert(name.clone(), *node);
        }
        Entry::Unlink(name) => {
            entries.remove(name);
        }
        Entry::Rename(from, to, node) => {
            entries.remove(from);
            entries.insert(to.clone(), *node);
        }
    }
}

pub(super) fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Tells what survives: its state, and how likely it is in percent.
pub(super) struct Coin(u64, u8);

impl Coin {
    pub(super) fn new(seed: u64, keep_percent: u8) -> Self {
        Self(seed | 1, keep_percent)
    }

    pub(super) fn toss(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) % 100 < u64::from(self.1)
    }
}
