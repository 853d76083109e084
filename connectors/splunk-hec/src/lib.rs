//! The sink for Splunk's HTTP Event Collector and for receivers that speak its protocol.

pub mod settings;

pub use settings::{Compression, PartialAccept, SINK_TYPE, Settings};
