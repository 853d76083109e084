//! Counters of the intake. They are raised once per request, not per event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use event::raw::UnknownMembers;
use event::reject::{Code, REGISTRY};
use parking_lot::Mutex;

use crate::status::UnknownMember;

/// All counters of the intake.
#[derive(Debug, Default)]
pub struct Tallies {
    by_producer: Mutex<BTreeMap<(&'static str, String), Arc<Tally>>>,
    requests: Mutex<BTreeMap<u16, u64>>,
    /// From the end of a request's headers to its answer.
    pub seconds: RequestSeconds,
    unknown: Mutex<UnknownMembers>,
}

/// What one producer brought in by one route.
#[derive(Debug)]
pub struct Tally {
    accepted: AtomicU64,
    duplicates: AtomicU64,
    /// By place in the registry.
    rejected: Vec<AtomicU64>,
    bytes: AtomicU64,
    raw_bytes: AtomicU64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            accepted: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            rejected: REGISTRY.iter().map(|_| AtomicU64::new(0)).collect(),
            bytes: AtomicU64::new(0),
            raw_bytes: AtomicU64::new(0),
        }
    }
}

impl Tally {
    /// Counts events that are durable.
    pub(crate) fn stored(&self, accepted: u64, duplicates: u64) {
        self.accepted.fetch_add(accepted, Ordering::Relaxed);
        self.duplicates.fetch_add(duplicates, Ordering::Relaxed);
    }

    /// Counts one refused event.
    pub(crate) fn rejected(&self, code: Code, count: u64) {
        let place = REGISTRY.iter().position(|entry| entry.code == code);
        if let Some(counter) = place.and_then(|place| self.rejected.get(place)) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Counts the bytes of a body, as it came and decompressed.
    pub(crate) fn body(&self, bytes: usize, raw_bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.raw_bytes.fetch_add(raw_bytes as u64, Ordering::Relaxed);
    }

    /// Events stored.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Events that were there already.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates.load(Ordering::Relaxed)
    }

    /// Bytes of bodies as they came.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes of bodies after decompression.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        self.raw_bytes.load(Ordering::Relaxed)
    }

    /// Refused events by code, without the zeros.
    pub fn rejections(&self) -> impl Iterator<Item = (Code, u64)> {
        REGISTRY
            .iter()
            .zip(&self.rejected)
            .map(|(entry, count)| (entry.code, count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
    }
}

impl Tallies {
    /// The counters of one producer on one route. Producers come from the configuration, so there are few.
    #[must_use]
    pub fn of(&self, source: &'static str, producer: &str) -> Arc<Tally> {
        let mut tallies = self.by_producer.lock();
        Arc::clone(tallies.entry((source, producer.to_owned())).or_default())
    }

    /// All counters by route and producer.
    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, String, Arc<Tally>)> {
        let tallies = self.by_producer.lock();
        tallies.iter().map(|((source, name), tally)| (*source, name.clone(), Arc::clone(tally))).collect()
    }

    pub(crate) fn request(&self, status: u16, took: Duration) {
        *self.requests.lock().entry(status).or_default() += 1;
        self.seconds.observe(took);
    }

    /// Requests by HTTP status.
    #[must_use]
    pub fn requests(&self) -> Vec<(u16, u64)> {
        self.requests.lock().iter().map(|(status, count)| (*status, *count)).collect()
    }

    /// Adds the unknown members of one request.
    pub(crate) fn unknown(&self, members: &UnknownMembers) {
        if members.total() > 0 {
            self.unknown.lock().merge(members);
        }
    }

    /// How many unknown members came.
    #[must_use]
    pub fn unknown_total(&self) -> u64 {
        self.unknown.lock().total()
    }

    /// Their names.
    #[must_use]
    pub fn unknown_members(&self) -> Vec<UnknownMember> {
        let unknown = self.unknown.lock();
        unknown.names().map(|(name, count)| UnknownMember { name: name.to_owned(), count }).collect()
    }
}

/// How long requests took, in classes.
#[derive(Debug, Default)]
pub struct RequestSeconds {
    counts: [AtomicU64; SECONDS.len() + 1],
    micros: AtomicU64,
}

/// The largest value of each class, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

impl RequestSeconds {
    fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let class = SECONDS.iter().position(|bound| seconds <= *bound).unwrap_or(SECONDS.len());
        if let Some(count) = self.counts.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> super::Value {
        super::Value::Histogram {
            bounds: SECONDS.to_vec(),
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.micros.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}
