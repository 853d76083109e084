//! The wall time that retention goes by. A clock that jumps ahead by days would let every sealed segment expire at once, and
//! nothing brings them back when it is set right.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::clock::{Instant, Moment, UnixMillis};

/// The wall clock may run ahead of the monotonic one by this between two looks: time servers correct less.
const JUMP: Duration = Duration::from_secs(3600);
/// A clock that has run evenly for this long after a jump is right: a machine that slept, or whose clock was wrong before.
const STABLE: Duration = Duration::from_secs(3600);

/// Holds a jump of the wall clock back until it has proven itself. A restart believes the clock at once.
#[derive(Debug, Default)]
pub(super) struct Steady {
    last: Option<Moment>,
    /// Since when, and by how much the wall clock is ahead of what is believed.
    held: Option<(Instant, Duration)>,
}

impl Steady {
    /// The time to go by now.
    pub(super) fn trusted(&mut self, now: Moment) -> UnixMillis {
        let last = self.last.replace(now).unwrap_or(now);
        let passed = now.instant.saturating_duration_since(last.instant);
        let ahead = now.wall.since(last.wall).saturating_sub(passed);
        if ahead > JUMP {
            let before = self.held.map_or(Duration::ZERO, |(_, held)| held);
            self.held = Some((now.instant, before.saturating_add(ahead)));
            tracing::warn!(
                ahead_seconds = ahead.as_secs(),
                "the clock has jumped ahead: nothing expires by that for an hour; set it right if it is wrong"
            );
        } else if let Some((since, held)) = self.held {
            let back = last.wall.since(now.wall);
            let is_right = now.instant.saturating_duration_since(since) >= STABLE;
            // Set back again: what it was ahead by is gone with that.
            let held = held.saturating_sub(back);
            self.held = Some((since, held)).filter(|_| !is_right && held > JUMP);
        }
        let held = self.held.map_or(Duration::ZERO, |(_, held)| held).as_millis();
        UnixMillis(now.wall.0.saturating_sub(i64::try_from(held).unwrap_or(i64::MAX)))
    }
}
