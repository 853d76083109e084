//! HTTP: raw events in, status and metrics out; and the way in for files and stdin.
//!
//! A request passes, in this order: [`server`] (connections, their limits, shutdown), `route`, [`auth`], the ingest
//! memory ([`budget`]), [`body`] (pace, size, decompression under a cap), [`intake`] (decode, redact, render; then the
//! journal) and `answer`. [`admin`] is the other listener. [`metrics`] and [`status`] are the one source of numbers.
//!
//! What this crate must not know: files and segments of the journal, any particular sink, the configuration's YAML.

pub mod admin;
mod answer;
pub mod auth;
pub mod body;
pub mod budget;
pub mod feed;
pub mod ingest;
pub mod intake;
pub mod metrics;
pub mod quota;
mod route;
pub mod server;
pub mod status;
#[cfg(test)]
mod tests;

/// The names of this crate's fail points.
pub const FAIL_POINTS: &[&str] = &["ingest::submit::before", "ingest::answer::before"];
