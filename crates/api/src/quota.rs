//! Ingest quotas: how much one organisation may bring in. Unlimited unless the operator says otherwise.

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use flow::clock::{Clock, Instant};
use flow::orgs::OrgKey;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Rate, RateLimiter};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

/// What one organisation may bring in. A burst of one second's worth is let through, and never less than one event
/// of the largest size: otherwise such an event could not pass at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Events per second.
    pub events: Option<NonZeroU32>,
    /// Bytes of raw events per second.
    pub bytes: Option<NonZeroU32>,
}

impl Quota {
    fn is_unlimited(self) -> bool {
        self.events.is_none() && self.bytes.is_none()
    }
}

/// The quotas of all organisations.
#[derive(Debug)]
pub struct Quotas {
    rules: ArcSwap<Rules>,
    time: Time,
}

#[derive(Debug)]
struct Rules {
    default: Quota,
    by_org: FxHashMap<OrgKey, Quota>,
    /// Made when an organisation's first event comes.
    meters: RwLock<FxHashMap<OrgKey, Arc<Meter>>>,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Time, NoOpMiddleware<Duration>>;

#[derive(Debug)]
struct Meter {
    events: Option<Limiter>,
    bytes: Option<Limiter>,
}

/// governor's clock, over ours: the time since the quotas were made.
#[derive(Debug, Clone)]
struct Time {
    clock: Clock,
    origin: Instant,
}

impl governor::clock::Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.clock.now().instant.saturating_duration_since(self.origin)
    }
}

impl Quotas {
    /// Quotas for organisations that are not in `by_org`, and for those that are.
    #[must_use]
    pub fn new(default: Quota, by_org: impl IntoIterator<Item = (OrgKey, Quota)>, clock: &Clock) -> Self {
        let time = Time { clock: clock.clone(), origin: clock.now().instant };
        Self { rules: ArcSwap::from_pointee(Rules::new(default, by_org)), time }
    }

    /// No quota for anybody.
    #[must_use]
    pub fn unlimited(clock: &Clock) -> Self {
        Self::new(Quota::default(), [], clock)
    }

    /// Takes new rules, from the next request on. What was used up so far is forgotten.
    pub fn replace(&self, default: Quota, by_org: impl IntoIterator<Item = (OrgKey, Quota)>) {
        self.rules.store(Arc::new(Rules::new(default, by_org)));
    }

    /// The quotas as one request sees them.
    pub(crate) fn begin(&self) -> Session<'_> {
        Session { rules: self.rules.load_full(), time: &self.time, last: None }
    }
}

impl Rules {
    fn new(default: Quota, by_org: impl IntoIterator<Item = (OrgKey, Quota)>) -> Self {
        Self { default, by_org: by_org.into_iter().collect(), meters: RwLock::default() }
    }

    fn meter(&self, org: OrgKey, time: &Time) -> Option<Arc<Meter>> {
        let quota = self.by_org.get(&org).copied().unwrap_or(self.default);
        if quota.is_unlimited() {
            return None;
        }
        if let Some(meter) = self.meters.read().get(&org) {
            return Some(Arc::clone(meter));
        }
        let limiter = |rate: Option<NonZeroU32>, burst: NonZeroU32| {
            rate.map(|rate| {
                let rate = Rate::per_second(rate).allow_burst(rate.max(burst));
                RateLimiter::direct_with_clock(rate, time.clone())
            })
        };
        let mut meters = self.meters.write();
        let meter = meters.entry(org).or_insert_with(|| {
            let events = limiter(quota.events, NonZeroU32::MIN);
            Arc::new(Meter { events, bytes: limiter(quota.bytes, MAX_EVENT) })
        });
        Some(Arc::clone(meter))
    }
}

/// The quotas during one request.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    rules: Arc<Rules>,
    time: &'a Time,
    last: Option<(OrgKey, Option<Arc<Meter>>)>,
}

impl Session<'_> {
    /// Asks for one event of `bytes` bytes; what is refused should be tried again after the time in the error.
    pub(crate) fn take(&mut self, org: OrgKey, bytes: u64) -> Result<(), Duration> {
        let meter = match &self.last {
            Some((last, meter)) if *last == org => meter,
            _ => {
                let meter = self.rules.meter(org, self.time);
                &self.last.insert((org, meter)).1
            }
        };
        let Some(meter) = meter else { return Ok(()) };
        // Bytes first: when they are refused, no event is counted.
        if let Some(limiter) = &meter.bytes {
            take(limiter, u32::try_from(bytes).unwrap_or(u32::MAX))?;
        }
        match &meter.events {
            Some(limiter) => take(limiter, 1),
            None => Ok(()),
        }
    }
}

/// The largest event, in bytes.
const MAX_EVENT: NonZeroU32 = NonZeroU32::MIN.saturating_add((256 << 10) - 1);
/// The wait for what can never pass: more bytes than the largest event has.
const NEVER: Duration = Duration::from_secs(3600);

fn take(limiter: &Limiter, cells: u32) -> Result<(), Duration> {
    let Some(cells) = NonZeroU32::new(cells) else { return Ok(()) };
    match limiter.check_n(cells) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(not_until)) => Err(not_until.wait_time_from(limiter.clock().now())),
        Err(_) => Err(NEVER),
    }
}
