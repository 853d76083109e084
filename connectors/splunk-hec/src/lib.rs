//! The sink type `splunk_hec`: Splunk's HTTP Event Collector and what imitates it.
//!
//! [`encode`] turns records into a body, [`sink`] makes one attempt, [`reply`] judges the answer. Waiting, retrying,
//! splitting and cursors are `flow`'s; sockets, TLS and the address guard are `egress`'s.
//!
//! What this crate must not know: time, other sinks, files.

#![allow(rustdoc::bare_urls, reason = "the comments of settings are the descriptions in the JSON Schema")]

pub mod encode;
pub mod reply;
pub mod settings;
pub mod sink;

pub use settings::{Compression, PartialAccept, SINK_TYPE, Settings};
pub use sink::HecSink;
