//! How slowly a body may come.

use std::time::Duration;

/// A body must be complete within `grace` plus its length at `bytes_per_second`. So a client that stalls is gone
/// after the grace, and one on a slow line is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// What every body may take.
    pub grace: Duration,
    /// The slowest line that is served.
    pub bytes_per_second: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), bytes_per_second: 32 << 10 }
    }
}

impl Pace {
    /// The time within which more than `read` bytes must have come.
    pub(crate) fn allowed(self, read: usize) -> Duration {
        let seconds = read as f64 / f64::from(self.bytes_per_second.max(1));
        self.grace + Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO)
    }
}
