//! How many exchanges may be under way with one host and port, over all tenants.
//!
//! A waiter is served in order of arrival. A tenant may hold a quarter of a destination's slots at most, so that
//! its hanging requests never take a shared receiver away from the others.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::destination::Host;

type Key = (Host, u16);

/// All destinations in use.
#[derive(Debug)]
pub(crate) struct Caps {
    per_destination: usize,
    destinations: Mutex<FxHashMap<Key, Arc<Cap>>>,
}

/// One host and port.
#[derive(Debug)]
struct Cap {
    slots: Arc<Semaphore>,
    tenants: Mutex<FxHashMap<Arc<str>, Arc<Semaphore>>>,
    /// Set once all its addresses turned out to be of the operator's allow list: such a destination has no cap.
    exempt: AtomicBool,
}

/// One tenant's way to one destination.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    cap: Arc<Cap>,
    own: Arc<Semaphore>,
}

/// The right to one exchange; given back on drop.
#[derive(Debug)]
pub(crate) struct Slot {
    _held: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Caps {
    pub(crate) fn new(per_destination: usize) -> Self {
        Self { per_destination: per_destination.max(1), destinations: Mutex::default() }
    }

    pub(crate) fn share(&self, host: &Host, port: u16, tenant: &Arc<str>) -> Share {
        let mut destinations = self.destinations.lock();
        let cap = destinations.entry((host.clone(), port)).or_insert_with(|| {
            Arc::new(Cap {
                slots: Arc::new(Semaphore::new(self.per_destination)),
                tenants: Mutex::default(),
                exempt: AtomicBool::new(false),
            })
        });
        let quarter = (self.per_destination / 4).max(1);
        let own = Arc::clone(
            cap.tenants.lock().entry(Arc::clone(tenant)).or_insert_with(|| Arc::new(Semaphore::new(quarter))),
        );
        Share { cap: Arc::clone(cap), own }
    }

    /// Forgets what no endpoint uses any more.
    pub(crate) fn sweep(&self) {
        self.destinations.lock().retain(|_, cap| {
            cap.tenants.lock().retain(|_, own| Arc::strong_count(own) > 1);
            Arc::strong_count(cap) > 1
        });
    }
}

impl Share {
    /// Waits for a slot, first the tenant's own, then the destination's.
    pub(crate) async fn slot(&self) -> Slot {
        if self.cap.exempt.load(Ordering::Relaxed) {
            return Slot { _held: None };
        }
        // Neither semaphore is ever closed; if one were, the exchange would go on without a cap.
        let held = match Arc::clone(&self.own).acquire_owned().await {
            Ok(own) => Arc::clone(&self.cap.slots).acquire_owned().await.ok().map(|slot| (own, slot)),
            Err(_) => None,
        };
        Slot { _held: held }
    }

    pub(crate) fn is_exempt(&self) -> bool {
        self.cap.exempt.load(Ordering::Relaxed)
    }

    pub(crate) fn set_exempt(&self, exempt: bool) {
        if self.cap.exempt.load(Ordering::Relaxed) != exempt {
            self.cap.exempt.store(exempt, Ordering::Relaxed);
        }
    }
}
