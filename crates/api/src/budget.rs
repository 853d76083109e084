//! The memory that requests may hold: bodies that are being read, and events between their body and the journal.
//!
//! Two pools, always taken in this order, so that requests cannot wait for each other in a circle: who holds
//! working memory waits for the journal only.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use flow::clock::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is counted in units of this many bytes.
const UNIT: usize = 1 << 10;
/// What one producer may have of the bodies that are being read: one of the largest.
pub(crate) const PRODUCER_UNITS: usize = crate::body::MAX_BODY / UNIT;

/// The ingest memory.
#[derive(Debug)]
pub struct Budget {
    reading: Arc<Semaphore>,
    working: Arc<Semaphore>,
    reading_units: usize,
    working_units: usize,
}

/// Some of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    permits: OwnedSemaphorePermit,
}

/// The memory did not become free in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoMemory;

impl Budget {
    /// Splits `bytes` (`memory.ingest`) into three eighths for bodies that are being read, at least the largest
    /// body, and the rest for what is being worked on.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let units = bytes / UNIT;
        let reading_units = (units / 8 * 3).clamp(PRODUCER_UNITS, Semaphore::MAX_PERMITS);
        let working_units = units.saturating_sub(reading_units).clamp(PRODUCER_UNITS, Semaphore::MAX_PERMITS);
        Self {
            reading: Arc::new(Semaphore::new(reading_units)),
            working: Arc::new(Semaphore::new(working_units)),
            reading_units,
            working_units,
        }
    }

    /// Bytes that may be charged in all.
    #[must_use]
    pub fn limit(&self) -> u64 {
        bytes(self.reading_units + self.working_units)
    }

    /// Bytes that are charged now.
    #[must_use]
    pub fn used(&self) -> u64 {
        let free = self.reading.available_permits() + self.working.available_permits();
        self.limit().saturating_sub(bytes(free))
    }

    /// Room for a body of `len` bytes, from the producer's share and from the pool.
    pub(crate) async fn read(
        &self,
        share: &Arc<Semaphore>,
        len: usize,
        deadline: Instant,
    ) -> Result<ReadCharge, NoMemory> {
        let share = take(share, units(len, PRODUCER_UNITS), deadline).await?;
        let pool = take(&self.reading, units(len, self.reading_units), deadline).await?;
        Ok(ReadCharge { share, pool })
    }

    /// Room for working on about `len` bytes. What is larger than the whole pool runs alone.
    pub(crate) async fn work(&self, len: usize, deadline: Instant) -> Result<Charge, NoMemory> {
        take(&self.working, units(len, self.working_units), deadline).await
    }
}

/// Room for a body that is being read.
#[derive(Debug)]
pub(crate) struct ReadCharge {
    share: Charge,
    pool: Charge,
}

impl ReadCharge {
    /// Makes room for `len` bytes in all, at once or not at all: waiting with something in hand could wait for
    /// ever.
    pub(crate) fn grow(&mut self, len: usize) -> bool {
        self.share.grow(len) && self.pool.grow(len)
    }
}

impl Charge {
    fn grow(&mut self, len: usize) -> bool {
        let wanted = len.div_ceil(UNIT);
        let missing = wanted.saturating_sub(self.permits.num_permits());
        if missing == 0 {
            return true;
        }
        // Twice as much as is there, so that growing is rare, but the exact need when that is not to be had.
        let eager = missing.max(self.permits.num_permits().min(PRODUCER_UNITS.saturating_sub(wanted)));
        let semaphore = Arc::clone(self.permits.semaphore());
        for ask in [eager, missing] {
            let Ok(ask) = u32::try_from(ask) else { continue };
            if let Ok(more) = Arc::clone(&semaphore).try_acquire_many_owned(ask) {
                self.permits.merge(more);
                return true;
            }
        }
        false
    }

    /// Gives back what is more than `len` bytes.
    pub(crate) fn shrink(&mut self, len: usize) {
        let spare = self.permits.num_permits().saturating_sub(len.div_ceil(UNIT).max(1));
        drop(self.permits.split(spare));
    }
}

fn units(len: usize, most: usize) -> u32 {
    u32::try_from(len.div_ceil(UNIT).clamp(1, most)).unwrap_or(u32::MAX)
}

fn bytes(units: usize) -> u64 {
    u64::try_from(units * UNIT).unwrap_or(u64::MAX)
}

async fn take(pool: &Arc<Semaphore>, units: u32, deadline: Instant) -> Result<Charge, NoMemory> {
    let acquired = tokio::time::timeout_at(deadline, Arc::clone(pool).acquire_many_owned(units)).await;
    match acquired {
        Ok(Ok(permits)) => Ok(Charge { permits }),
        // The semaphores are never closed; were one, nothing could be admitted either.
        Ok(Err(_)) | Err(_) => Err(NoMemory),
    }
}
