//! The numbers of the journal, each a type of its own so that they cannot be confused.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A partition: the unit of ownership. Counted from 0.
    PartitionId(u16)
);
number!(
    /// The place of a record in its partition: dense from 0, never changed. Cursors, ledgers and delivery ids
    /// speak of rows.
    Row(u64)
);
number!(
    /// The number of a record within its organisation: dense from 0. Receivers see it.
    Seq(u64)
);
number!(
    /// A byte position in a partition's log: it runs on over segments and never goes back.
    LogPos(u64)
);

/// Rows from `start` up to, not including, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RowRange {
    /// The first row.
    pub start: Row,
    /// One past the last row.
    pub end: Row,
}

impl RowRange {
    /// How many rows.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether there is no row in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.end.0 <= self.start.0
    }
}
