//! The product: commands, wiring and telemetry around the crates that do the work.

pub mod bench;
pub mod demo;
pub mod generate;
