//! Names to addresses. A trait, so that tests can answer with whatever an attacker would.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

/// The name could not be resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name could not be resolved")]
pub struct NotResolved;

/// Resolves names.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of `name`. A final dot means: exactly this name, no search domains.
    fn resolve(&self, name: String) -> BoxFuture<'static, Result<Vec<IpAddr>, NotResolved>>;
}

/// Lookups at the same time. A name service that hangs holds a thread for each, so they are few.
const LOOKUPS: usize = 32;

/// The resolver of the operating system.
#[derive(Debug)]
pub struct SystemResolver {
    slots: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, name: String) -> BoxFuture<'static, Result<Vec<IpAddr>, NotResolved>> {
        let slots = Arc::clone(&self.slots);
        Box::pin(async move {
            let slot = slots.acquire_owned().await.map_err(|_| NotResolved)?;
            let lookup = tokio::task::spawn_blocking(move || {
                // Held until the lookup ends, even when the caller has given up.
                let _slot = slot;
                let found = (name.as_str(), 0u16).to_socket_addrs()?;
                Ok::<_, std::io::Error>(found.map(|address| address.ip()).collect::<Vec<_>>())
            });
            lookup.await.map_err(|_| NotResolved)?.map_err(|_| NotResolved)
        })
    }
}
