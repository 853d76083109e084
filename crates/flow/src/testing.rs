//! For tests of this crate and of others: segments in memory, builders, and conformance suites.

pub mod deliveries;
pub mod memory_log;
pub mod segments;
