//! Where events enter: every route into the system hands its prepared rows to [`Ingress::submit`], and may call an
//! event stored only with the [`Receipt`] that comes back.

use futures_util::future::join_all;

use crate::log::{AppendFault, Durable, Log};
use crate::prepared::Prepared;
use crate::units::PartitionId;

/// Hands rows to their partitions' owners.
#[derive(Debug, Clone)]
pub struct Ingress {
    log: Log,
}

/// Proof that every row of a request is durable or was already.
#[derive(Debug)]
#[must_use = "this is what the answer to the producer rests on"]
pub struct Receipt {
    proofs: Vec<Durable>,
}

impl Receipt {
    /// Rows that were stored.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.proofs.iter().map(|proof| u64::from(proof.position().accepted)).sum()
    }

    /// Rows that the journal already held.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.proofs.iter().map(|proof| u64::from(proof.position().duplicates)).sum()
    }
}

/// Some partition did not take its rows. Rows of other partitions may be stored: when the producer sends all of them
/// again, those count as duplicates.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.first())]
pub struct SubmitFault {
    /// What went wrong where; never empty.
    pub faults: Vec<(PartitionId, AppendFault)>,
}

impl SubmitFault {
    fn first(&self) -> String {
        self.faults.first().map_or_else(String::new, |(_, fault)| fault.to_string())
    }
}

impl Ingress {
    /// Over a log.
    #[must_use]
    pub fn new(log: Log) -> Self {
        Self { log }
    }

    /// Appends the rows of one request and waits until all of them are durable.
    ///
    /// # Errors
    /// [`SubmitFault`]: nothing may be acknowledged; the producer sends everything again.
    pub async fn submit(&self, parts: Vec<(PartitionId, Prepared)>) -> Result<Receipt, SubmitFault> {
        let appends =
            parts.into_iter().filter(|(_, rows)| !rows.rows.is_empty()).map(|(partition, rows)| async move {
                self.log.append(partition, rows).await.map_err(|fault| (partition, fault))
            });
        let (mut proofs, mut faults) = (Vec::new(), Vec::new());
        for result in join_all(appends).await {
            match result {
                Ok(proof) => proofs.push(proof),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(Receipt { proofs }) } else { Err(SubmitFault { faults }) }
    }
}
