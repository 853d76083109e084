//! Indexer acknowledgement: ids per channel, told `true` once.

use std::collections::BTreeMap;

use flow::clock::Instant;
use rustc_hash::FxHashMap;

use crate::settings::AckPolicy;

/// All channels.
#[derive(Debug, Default)]
pub struct AckBook {
    channels: FxHashMap<String, Channel>,
}

#[derive(Debug, Default)]
struct Channel {
    next: u64,
    pending: BTreeMap<u64, Instant>,
}

impl AckBook {
    /// The id of a POST on `channel`: they count from 0 on each channel.
    pub fn issue(&mut self, channel: &str, now: Instant) -> u64 {
        let channel = self.channels.entry(channel.to_owned()).or_default();
        let id = channel.next;
        channel.next += 1;
        channel.pending.insert(id, now);
        id
    }

    /// Whether the POST behind `id` is indexed. `true` is given once; an unknown channel or id is `false`.
    pub fn ask(&mut self, channel: &str, id: u64, policy: AckPolicy, now: Instant) -> bool {
        let AckPolicy::After(delay) = policy else { return false };
        let Some(channel) = self.channels.get_mut(channel) else { return false };
        let due =
            channel.pending.get(&id).is_some_and(|since| now.saturating_duration_since(*since) >= delay);
        due && channel.pending.remove(&id).is_some()
    }

    /// What a restarted indexer remembers: nothing.
    pub fn forget(&mut self) {
        self.channels.clear();
    }
}

#[cfg(test)]
mod tests;
