//! The product: commands, wiring and telemetry around the crates that do the work.

pub mod bench;
pub mod cli;
pub mod commands;
pub mod demo;
#[cfg(feature = "failpoints")]
pub mod failpoints;
pub mod generate;
pub mod grants;
pub mod master_secret;
pub mod operator_client;
pub mod otlp;
pub mod run;
pub mod sinks;
pub mod telemetry;
