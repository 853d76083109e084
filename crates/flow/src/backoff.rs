//! How long a sink that failed is left alone.

#[cfg(test)]
mod tests;

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// The first ceiling of a delay.
const FIRST: Duration = Duration::from_secs(1);
/// No delay of ours is longer.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// A far end may ask for this much, not more.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);
/// Between the probes of a blocked sink.
const FIRST_PROBE: Duration = Duration::from_secs(60);

/// Draws delays. One per process: seeded, so that a test repeats.
#[derive(Debug)]
pub struct Jitter(SmallRng);

impl Jitter {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// The delay after the failure number `failures` (from 1) in a row: full jitter below a ceiling that doubles from
    /// 1 s to 5 min, so that thousands of sinks do not come back at once; never before what the far end asked for,
    /// up to an hour.
    pub fn retry(&mut self, failures: u32, asked: Option<Duration>) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let ceiling = FIRST.saturating_mul(1 << doublings).min(LONGEST);
        match asked {
            // All clients that were told "in 30 s" come back in that second: the jitter spreads them behind it.
            Some(asked) => asked.min(LONGEST_ASKED) + self.below(FIRST),
            None => self.below(ceiling),
        }
    }

    /// The time until probe number `probes` (from 1) of a blocked sink: 1 min at first, up to 5 min.
    pub fn probe(&mut self, probes: u32) -> Duration {
        let ceiling = FIRST_PROBE.saturating_mul(probes.clamp(1, 5)).min(LONGEST);
        FIRST_PROBE + self.below(ceiling.saturating_sub(FIRST_PROBE))
    }

    fn below(&mut self, ceiling: Duration) -> Duration {
        ceiling.mul_f64(self.0.random::<f64>())
    }
}
