//! How many deliveries a sink gets at one time while its far end says that it is nearly full: half as many at each such
//! word, one more after each round without it.

use crate::clock::Instant;

/// Of one sink; its configured concurrency is the ceiling.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Lowered to this; `None`: as configured.
    lowered: Option<u16>,
    /// When it was last lowered.
    since: Option<Instant>,
    /// Deliveries that were taken since then, or since it last grew, without the word.
    easy: u16,
}

impl Pace {
    /// Deliveries at one time.
    pub(super) fn limit(&self, concurrency: u16) -> u16 {
        let most = concurrency.max(1);
        self.lowered.map_or(most, |lowered| lowered.min(most))
    }

    /// The far end took a delivery that began at `started`, and says that it is nearly full.
    pub(super) fn slow(&mut self, concurrency: u16, started: Instant, now: Instant) {
        // Those that were under way when it was lowered tell of the same.
        if self.since.is_some_and(|since| started < since) {
            return;
        }
        self.lowered = Some((self.limit(concurrency) / 2).max(1));
        self.since = Some(now);
        self.easy = 0;
    }

    /// The far end took a delivery and says nothing of the kind. True when there is room for one more now.
    pub(super) fn ease(&mut self, concurrency: u16) -> bool {
        let Some(lowered) = self.lowered else { return false };
        self.easy = self.easy.saturating_add(1);
        if self.easy < lowered {
            return false;
        }
        self.easy = 0;
        let more = lowered.saturating_add(1);
        self.lowered = (more < concurrency).then_some(more);
        true
    }
}

#[cfg(test)]
mod tests;
