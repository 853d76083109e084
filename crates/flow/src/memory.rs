//! The memory that deliveries in flight may hold, over all sinks.

#[cfg(test)]
mod tests;

/// A body is larger than its records: envelopes, and the connector's own copies.
const TENTHS: usize = 13;

/// What is charged for a delivery of that many record bytes.
#[must_use]
pub const fn charge_for(bytes: usize) -> usize {
    bytes.saturating_mul(TENTHS) / 10
}

/// The budget. At most half of it goes to *troubled* sinks: those whose last attempt failed or has been open for long,
/// so that thousands of dead receivers leave the other half to those that answer.
#[derive(Debug)]
pub struct Memory {
    limit: usize,
    used: usize,
    troubled: usize,
}

impl Memory {
    /// A budget of `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, used: 0, troubled: 0 }
    }

    /// Bytes of records that a new delivery may have. A budget of which nothing is used gives all of it, so that one
    /// record that is larger than the budget is not stuck for ever.
    #[must_use]
    pub const fn room(&self, troubled: bool) -> usize {
        let free = self.limit.saturating_sub(self.used);
        let half = (self.limit / 2).saturating_sub(self.troubled);
        let free = if troubled && half < free { half } else { free };
        free / TENTHS * 10
    }

    /// Whether nothing is charged (to troubled sinks, if `troubled`).
    #[must_use]
    pub const fn is_idle(&self, troubled: bool) -> bool {
        if troubled { self.troubled == 0 } else { self.used == 0 }
    }

    /// Charges bytes.
    pub const fn charge(&mut self, bytes: usize, troubled: bool) {
        self.used = self.used.saturating_add(bytes);
        if troubled {
            self.troubled = self.troubled.saturating_add(bytes);
        }
    }

    /// Gives bytes back.
    pub const fn release(&mut self, bytes: usize, troubled: bool) {
        self.used = self.used.saturating_sub(bytes);
        if troubled {
            self.troubled = self.troubled.saturating_sub(bytes);
        }
    }

    /// A sink with `bytes` in flight has become troubled, or has recovered.
    pub const fn reclassify(&mut self, bytes: usize, troubled: bool) {
        if troubled {
            self.troubled = self.troubled.saturating_add(bytes);
        } else {
            self.troubled = self.troubled.saturating_sub(bytes);
        }
    }

    /// Bytes charged now.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used
    }
}
