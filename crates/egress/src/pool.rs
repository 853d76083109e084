//! The idle connections of one endpoint. The latest used is taken first, so that the others can age.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flow::clock::Instant;
use parking_lot::Mutex;

use crate::connection::Connection;

/// An idle connection is dropped after this time: before the usual receivers and balancers (60 s and more) drop it.
const MAX_IDLE: Duration = Duration::from_secs(45);
/// A connection is not used again after this time, so that a change of the destination's addresses takes effect.
const MAX_AGE: Duration = Duration::from_secs(300);
/// Idle connections of one endpoint.
const MAX_KEPT: usize = 32;

struct Idle {
    connection: Connection,
    opened: Instant,
    since: Instant,
}

/// A connection in use, with its birth.
pub(crate) struct Leased {
    pub(crate) connection: Connection,
    pub(crate) opened: Instant,
}

pub(crate) struct Pool {
    idle: Mutex<Vec<Idle>>,
    /// Idle connections over all endpoints of the client, and how many there may be.
    total: Arc<AtomicUsize>,
    max_total: usize,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} idle)", self.idle.lock().len())
    }
}

impl Pool {
    pub(crate) fn new(total: Arc<AtomicUsize>, max_total: usize) -> Self {
        Self { idle: Mutex::default(), total, max_total }
    }

    /// An open connection, if there is one.
    pub(crate) fn take(&self, now: Instant) -> Option<Leased> {
        loop {
            let mut idle = self.idle.lock().pop()?;
            self.total.fetch_sub(1, Ordering::Relaxed);
            let fresh = now.saturating_duration_since(idle.since) < MAX_IDLE
                && now.saturating_duration_since(idle.opened) < MAX_AGE;
            if fresh && idle.connection.is_open() {
                return Some(Leased { connection: idle.connection, opened: idle.opened });
            }
        }
    }

    /// Keeps a connection whose last exchange is whole.
    pub(crate) fn put(&self, mut leased: Leased, now: Instant) {
        if now.saturating_duration_since(leased.opened) >= MAX_AGE || !leased.connection.is_reusable() {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.len() < MAX_KEPT && self.total.load(Ordering::Relaxed) < self.max_total {
            idle.push(Idle { connection: leased.connection, opened: leased.opened, since: now });
            self.total.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Drops what has been idle for too long.
    pub(crate) fn sweep(&self, now: Instant) {
        let mut idle = self.idle.lock();
        let before = idle.len();
        idle.retain(|idle| now.saturating_duration_since(idle.since) < MAX_IDLE);
        self.total.fetch_sub(before - idle.len(), Ordering::Relaxed);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.total.fetch_sub(self.idle.get_mut().len(), Ordering::Relaxed);
    }
}
