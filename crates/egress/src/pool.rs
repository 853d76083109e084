//! The idle connections of one endpoint. The latest used is taken first, so that the others can age.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flow::clock::Instant;
use parking_lot::Mutex;

use crate::connection::Connection;
use crate::stream::Stream;

/// An idle connection is dropped after this time: before the usual receivers and balancers (60 s and more) drop it.
const MAX_IDLE: Duration = Duration::from_secs(45);
/// A connection that has been idle for this long gives its buffers back: it is probably one of thousands.
const PACK_AFTER: Duration = Duration::from_secs(2);
/// A connection is not used again after this time, so that a change of the destination's addresses takes effect.
const MAX_AGE: Duration = Duration::from_secs(300);
/// Idle connections of one endpoint.
const MAX_KEPT: usize = 32;

struct Idle {
    /// Taken out only in passing, while it is packed.
    kept: Option<Kept>,
    opened: Instant,
    since: Instant,
}

/// An idle connection.
pub(crate) enum Kept {
    /// As the last exchange left it.
    Whole(Connection),
    /// Without buffers.
    Packed(Stream),
}

impl Kept {
    /// Ready for a request, unless the peer has closed it.
    pub(crate) async fn open(self) -> Option<Connection> {
        let mut connection = match self {
            Self::Whole(connection) => connection,
            Self::Packed(stream) => Connection::open(stream).await.ok()?,
        };
        connection.is_open().then_some(connection)
    }
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

    /// The connection that was used last, and when it was opened. Whether the peer has closed it shows when it is opened
    /// for use.
    pub(crate) fn take(&self, now: Instant) -> Option<(Kept, Instant)> {
        loop {
            let idle = self.idle.lock().pop()?;
            self.total.fetch_sub(1, Ordering::Relaxed);
            let fresh = now.saturating_duration_since(idle.since) < MAX_IDLE
                && now.saturating_duration_since(idle.opened) < MAX_AGE;
            if let Some(kept) = idle.kept.filter(|_| fresh) {
                return Some((kept, idle.opened));
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
            idle.push(Idle { kept: Some(Kept::Whole(leased.connection)), opened: leased.opened, since: now });
            self.total.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Drops what has been idle for too long, and packs what has been idle for a while.
    pub(crate) fn sweep(&self, now: Instant) {
        let mut idle = self.idle.lock();
        let before = idle.len();
        idle.retain_mut(|idle| {
            let unused = now.saturating_duration_since(idle.since);
            unused < MAX_IDLE && (unused < PACK_AFTER || idle.pack())
        });
        self.total.fetch_sub(before - idle.len(), Ordering::Relaxed);
        if idle.is_empty() {
            idle.shrink_to_fit();
        }
    }
}

impl Idle {
    /// Gives its buffers back. False when the connection turns out to be closed.
    fn pack(&mut self) -> bool {
        self.kept = match self.kept.take() {
            Some(Kept::Whole(connection)) => connection.pack().map(Kept::Packed),
            packed => packed,
        };
        self.kept.is_some()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.total.fetch_sub(self.idle.get_mut().len(), Ordering::Relaxed);
    }
}
