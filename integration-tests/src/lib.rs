//! What the tests of the whole product share: building and starting the binary, a plain HTTP client, a load of events
//! with canaries, and a judge of what came out.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code: a failure is a failed test"
)]

pub mod binary;
pub mod canary;
pub mod command;
pub mod daemon;
pub mod disk;
pub mod http;
pub mod judge;
pub mod kills;
pub mod planted;
pub mod poll;
pub mod producer;
pub mod workspace;
