//! The only place that reads the time.
//!
//! Monotonic time comes from tokio, so that a test with a paused runtime stops it; wall time comes from the
//! system, or, in a [`Clock::simulated`] clock, runs along with tokio's.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use tokio::time::Instant;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The milliseconds from `earlier` to `self`, 0 when the clock went back.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Both times of one moment, as the owner and the lanes take them.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// For durations and deadlines.
    pub instant: Instant,
    /// For what is written into records and answers.
    pub wall: UnixMillis,
}

/// Tells the time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
enum Inner {
    System,
    Simulated { origin: Instant, wall: UnixMillis },
}

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Inner::System))
    }

    /// A clock whose wall time starts at `wall` and moves with tokio's time, which a test can pause.
    #[must_use]
    pub fn simulated(wall: UnixMillis) -> Self {
        Self(Arc::new(Inner::Simulated { origin: instant_now(), wall }))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Moment {
        let instant = instant_now();
        let wall = match &*self.0 {
            Inner::System => wall_now(),
            Inner::Simulated { origin, wall } => {
                let passed = instant.saturating_duration_since(*origin).as_millis();
                UnixMillis(wall.0.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX)))
            }
        };
        Moment { instant, wall }
    }

    /// Now, for durations and deadlines only.
    #[must_use]
    pub fn instant(&self) -> Instant {
        instant_now()
    }

    /// Waits until `deadline`. Only the loops of this crate may wait on the time on behalf of a sink.
    pub async fn sleep_until(&self, deadline: Instant) {
        tokio::time::sleep_until(deadline).await;
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the clock")]
fn instant_now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "this is the clock")]
fn wall_now() -> UnixMillis {
    let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    UnixMillis(millis)
}
