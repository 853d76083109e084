//! The spine: ingress, partition owner, lanes, ledger, verdicts, limits and the clock.
//!
//! The path of one event through this crate: [`ingress`] hands prepared rows to their partition's owner
//! ([`partition`]), which stamps them, writes one [`block`] and syncs it; the block enters the tail cache; the
//! [`lane`]s whose organisations it holds become due, cut a batch and give it to a [`sink::Sink`] as a
//! [`sink::Delivery`]; the verdict closes the range in the [`ledger`], and the contiguous prefix is recorded
//! through the same owner.
//!
//! What this crate must not know: files (that is `journal`), HTTP, JSON, YAML, any particular sink.

pub mod backoff;
pub mod block;
pub mod clock;
pub mod dead_letters;
mod fields;
pub mod ingress;
pub mod lane;
pub mod lane_starts;
pub mod lane_state;
pub mod ledger;
pub mod limits;
pub mod local;
pub mod log;
pub mod memory;
pub mod orgs;
pub mod partition;
pub mod prepared;
pub mod segment;
pub mod sink;
pub mod status;
pub mod tail;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod units;

pub use units::{LogPos, PartitionId, Row, Seq};

/// The names of this crate's fail points.
pub const FAIL_POINTS: &[&str] = &[
    "owner::sync::before",
    "owner::sync::after",
    "owner::answer::before",
    "owner::prove::before",
    "owner::prove::after",
    "owner::snapshot::before",
    "owner::snapshot::after",
    "lane::send::before",
    "lane::settle::before",
    "lane::settle::after",
    "lane::commit::before",
    "lane::commit::after",
];
