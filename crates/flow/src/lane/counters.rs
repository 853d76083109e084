//! What the engine counts.

/// What the engine counts, since the process started.
#[derive(Debug, Default, Clone, Copy)]
pub struct LaneCounters {
    /// Attempts started.
    pub attempts: u64,
    /// Attempts that ended without a verdict.
    pub abandoned: u64,
    /// Verdicts that were refused: of another lane, an older generation, or for nothing in flight.
    pub refused_verdicts: u64,
    /// Reads from disk.
    pub reads: u64,
    /// Control blocks asked for.
    pub records: u64,
}
