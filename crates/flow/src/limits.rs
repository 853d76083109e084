//! The process-wide budget of delivery starts.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::clock::Instant;

/// Starts are given out in steps of this: each wake-up of the engine then serves several.
pub const STEP: Duration = Duration::from_millis(16);

/// A delivery costs CPU whatever its size. When starts are scarce, batches grow by waiting: that is the only linger.
///
/// A token bucket that holds a tenth of a second of starts; every attempt takes one, retries included.
#[derive(Debug)]
pub struct StartBudget {
    per_second: f64,
    tokens: f64,
    at: Instant,
}

impl StartBudget {
    /// `per_second` starts, the bucket full at `now`.
    #[must_use]
    pub fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self { per_second, tokens: Self::burst(per_second), at: now }
    }

    /// Whether a start is within the budget.
    #[must_use]
    pub fn has_one(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= 1.0
    }

    /// Takes one start. One that could not wait any longer is taken all the same: the next ones wait for it.
    pub fn take(&mut self, now: Instant) {
        self.refill(now);
        self.tokens = (self.tokens - 1.0).max(-Self::burst(self.per_second));
    }

    /// When the next start is within the budget, and those of a whole [`STEP`] with it.
    #[must_use]
    pub fn next(&self) -> Instant {
        let missing = (1.0 - self.tokens).max(0.0);
        self.at + Duration::from_secs_f64(missing / self.per_second) + STEP
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * self.per_second).min(Self::burst(self.per_second));
    }

    fn burst(per_second: f64) -> f64 {
        (per_second / 10.0).max(1.0)
    }
}
