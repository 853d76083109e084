//! The seam to the store of dead letters: records that one sink refused for good. The store comes later; that a lane
//! passes such a record only after the store has it is fixed here.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::lane_state::SinkId;
use crate::sink::{Cause, LaneId};
use crate::units::{PartitionId, RowRange};

/// A record that a sink refused, on its way into the store.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The sink.
    pub sink: SinkId,
    /// The partition.
    pub partition: PartitionId,
    /// The record's row (with the rows of other organisations that the cut passed).
    pub rows: RowRange,
    /// The far end's words.
    pub cause: Cause,
    /// The record.
    pub record: Vec<u8>,
}

/// Why a record could not be parked. The lane keeps its cursor and tries again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the dead-letter store failed: {0}; the sink keeps its place and this is retried")]
pub struct ParkFault(pub String);

/// Keeps dead letters.
pub trait DeadLetterStore: Send + Sync + 'static {
    /// Resolves once the letter is durable.
    fn park(&self, letter: DeadLetter) -> BoxFuture<'static, Result<(), ParkFault>>;
}

/// The dead letters. Only it makes [`Parked`], the proof that lets a lane pass a refused record.
#[derive(Clone)]
pub struct DeadLetters(Arc<dyn DeadLetterStore>);

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeadLetters")
    }
}

/// A refused record that its lane wants to park. Only the lane makes it.
#[derive(Debug)]
pub struct Refused {
    pub(crate) lane: LaneId,
    pub(crate) rows: RowRange,
    pub(crate) letter: DeadLetter,
}

/// Proof that a refused record is in the dead-letter store. It cannot be made outside this module.
#[derive(Debug)]
#[must_use = "the lane passes the record only with this"]
pub struct Parked {
    lane: LaneId,
    rows: RowRange,
}

impl Parked {
    pub(crate) fn into_parts(self) -> (LaneId, RowRange) {
        (self.lane, self.rows)
    }
}

impl DeadLetters {
    /// Over a store.
    #[must_use]
    pub fn new(store: Arc<dyn DeadLetterStore>) -> Self {
        Self(store)
    }

    /// Parks a record; the proof exists only once it is durable.
    ///
    /// # Errors
    /// [`ParkFault`].
    pub async fn park(&self, refused: Refused) -> Result<Parked, ParkFault> {
        let Refused { lane, rows, letter } = refused;
        self.0.park(letter).await?;
        Ok(Parked { lane, rows })
    }
}
