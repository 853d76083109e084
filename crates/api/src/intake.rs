//! The way of every event into the journal, whatever brought it: decode, redact and render, then submit.

use std::sync::Arc;
use std::time::Duration;

use event::reject::Rejection;
use flow::PartitionId;
use flow::clock::Clock;
use flow::ingress::{Ingress, SubmitFault};
use flow::prepared::Prepared;
use parking_lot::Mutex;
use pipelines::{BodyFault, Decoded, Format, Grant, Input, Plan};

use crate::metrics::{Tallies, Tally};
use crate::quota::Quotas;

/// Decoders that are kept between requests.
const SPARE: usize = 16;
/// Bodies up to this size are decoded in place: moving to another thread would cost more than it spares the sockets.
const INLINE: usize = 2 << 20;

/// Decodes and stores. Shared by the HTTP listener, files and stdin.
pub struct Intake {
    plan: Arc<Plan>,
    ingress: Ingress,
    quotas: Quotas,
    tallies: Arc<Tallies>,
    clock: Clock,
    spare: Mutex<Vec<Decoded>>,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("ingress", &self.ingress).finish_non_exhaustive()
    }
}

/// Raw events as they came.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) format: Format,
    pub(crate) grant: &'a Grant,
    pub(crate) source: &'static str,
    /// Whether quotas apply.
    pub(crate) limited: bool,
}

/// Events that are ready for the journal and not yet in it.
#[derive(Debug)]
pub(crate) struct Draft {
    parts: Vec<(PartitionId, Prepared)>,
    pub(crate) rejected: Vec<Rejection>,
    /// How many of them by a quota.
    pub(crate) over_quota: u64,
}

impl Draft {
    /// Bytes that the events hold until they are stored.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, rows)| rows.stored_bytes()).sum()
    }

    /// Events to be stored.
    pub(crate) fn rows(&self) -> usize {
        self.parts.iter().map(|(_, rows)| rows.rows.len()).sum()
    }

    pub(crate) fn take_parts(&mut self) -> Vec<(PartitionId, Prepared)> {
        std::mem::take(&mut self.parts)
    }
}

/// How many events are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
}

impl Intake {
    /// Over a plan and the journal.
    #[must_use]
    pub fn new(
        plan: Arc<Plan>,
        ingress: Ingress,
        quotas: Quotas,
        tallies: Arc<Tallies>,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Self { plan, ingress, quotas, tallies, clock, spare: Mutex::default() })
    }

    /// The quotas, for a reload.
    #[must_use]
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// The counters.
    #[must_use]
    pub fn tallies(&self) -> &Arc<Tallies> {
        &self.tallies
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Decodes, redacts and renders. Nothing is stored yet. Refused events are counted in `tally`; a second attempt at
    /// the same batch has none.
    pub(crate) fn draft(&self, batch: Batch<'_>, tally: Option<&Tally>) -> Result<Draft, BodyFault> {
        let mut decoded = self.spare.lock().pop().unwrap_or_default();
        let result = if batch.body.len() > INLINE && may_block() {
            tokio::task::block_in_place(|| self.decode(batch, &mut decoded))
        } else {
            self.decode(batch, &mut decoded)
        };
        let drafted = result.map(|()| {
            if let Some(tally) = tally {
                self.count(&decoded, tally);
            }
            collect(&mut decoded)
        });
        let mut spare = self.spare.lock();
        if spare.len() < SPARE {
            spare.push(decoded);
        }
        drafted
    }

    /// Makes the events durable.
    pub(crate) async fn store(
        &self,
        parts: Vec<(PartitionId, Prepared)>,
        tally: &Tally,
    ) -> Result<Stored, SubmitFault> {
        let receipt = self.ingress.submit(parts).await?;
        let stored = Stored { accepted: receipt.accepted(), duplicates: receipt.duplicates() };
        tally.stored(stored.accepted, stored.duplicates);
        Ok(stored)
    }

    fn decode(&self, batch: Batch<'_>, decoded: &mut Decoded) -> Result<(), BodyFault> {
        let mut session = self.quotas.begin();
        let mut quota = |org, bytes| -> Result<(), Duration> {
            if batch.limited { session.take(org, bytes) } else { Ok(()) }
        };
        let input = Input {
            body: batch.body,
            format: batch.format,
            grant: batch.grant,
            source: batch.source,
            received_at: self.clock.now().wall,
            quota: &mut quota,
        };
        self.plan.decode(input, decoded)
    }

    fn count(&self, decoded: &Decoded, tally: &Tally) {
        for rejection in &decoded.rejected {
            tally.rejected(rejection.code, 1);
        }
        self.tallies.unknown(decoded.unknown_members());
    }
}

fn collect(decoded: &mut Decoded) -> Draft {
    let parts = (0_u16..)
        .map(PartitionId)
        .zip(decoded.parts.iter_mut().map(std::mem::take))
        .filter(|(_, rows)| !rows.rows.is_empty())
        .collect();
    Draft { parts, rejected: std::mem::take(&mut decoded.rejected), over_quota: decoded.over_quota }
}

fn may_block() -> bool {
    tokio::runtime::Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread)
}
