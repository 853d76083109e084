//! Ingest quotas: how much one organisation may bring in. Unlimited unless the operator says otherwise.

#[cfg(test)]
mod tests;

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use flow::clock::{Clock, Instant};
use flow::orgs::OrgKey;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Cells, RateLimiter};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

/// So much in a time, such as 5,000 an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How much.
    pub amount: NonZeroU64,
    /// In which time.
    pub per: Duration,
}

/// What one organisation may bring in. The whole amount may come at once; what is used up comes back evenly over the
/// rate's time. Never less than one event of the largest size may come at once: otherwise such an event could not pass
/// at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Events.
    pub events: Option<Rate>,
    /// Bytes of raw events.
    pub bytes: Option<Rate>,
}

impl Rate {
    /// A limiter that lets the whole amount through at once, and `least` in any case.
    fn limiter(self, least: NonZeroU32, time: &Time) -> Option<Limiter> {
        let burst = NonZeroU32::new(u32::try_from(self.amount.get()).unwrap_or(u32::MAX))?;
        // One cell in less than a nanosecond is more than any machine brings in.
        let cell = (self.per.as_nanos() / u128::from(self.amount.get())).max(1);
        let cell = Duration::from_nanos(u64::try_from(cell).unwrap_or(u64::MAX));
        let cells = Cells::with_period(cell)?.allow_burst(burst.max(least));
        Some(RateLimiter::direct_with_clock(cells, time.clone()))
    }
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
    /// Events that were counted and then refused for their bytes. They are let through before the limiter is asked: it
    /// cannot take anything back.
    counted: AtomicU32,
}

impl Meter {
    fn take(&self, bytes: u64) -> Result<(), Duration> {
        if let Some(limiter) = &self.events
            && !self.take_counted()
        {
            take(limiter, 1)?;
        }
        let Some(limiter) = &self.bytes else { return Ok(()) };
        take(limiter, u32::try_from(bytes).unwrap_or(u32::MAX)).inspect_err(|_| {
            if self.events.is_some() {
                self.counted.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    fn take_counted(&self) -> bool {
        self.counted
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |counted| counted.checked_sub(1))
            .is_ok()
    }
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
        let mut meters = self.meters.write();
        let meter = meters.entry(org).or_insert_with(|| {
            Arc::new(Meter {
                events: quota.events.and_then(|rate| rate.limiter(NonZeroU32::MIN, time)),
                bytes: quota.bytes.and_then(|rate| rate.limiter(MAX_EVENT, time)),
                counted: AtomicU32::new(0),
            })
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
        meter.as_ref().map_or(Ok(()), |meter| meter.take(bytes))
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
