//! The journal: the durable, partitioned, append-only sequence of records, in files.
//!
//! It implements what the partition owner and the log reader need of files ([`flow::segment`]): segments of blocks,
//! recovery after crashes and power cuts, snapshots at segment starts, footers, retention, and gaps. Blocks come
//! ready-made from the owner; to this crate records, lane states and snapshots are opaque bytes.
//!
//! What this crate must not know: what a record says, lanes, sinks, HTTP, configuration files, the time (callers
//! bring it).
//!
//! The path of a block: [`Writer`] appends it to the open segment and syncs; from then on [`Reader`] sees it. A full
//! segment is closed with a footer (`footer`), from which readers count and find an organisation's records without
//! reading others. [`open()`] looks at every partition (`survey`), refuses damage, cuts a torn tail, and copies what
//! is readable but not proven durable (`recover`) before anybody sees it.

mod bytes_le;
mod cache;
mod damage;
mod deep;
mod direct;
mod extent;
pub mod failpoint;
mod fetch;
mod footer;
mod index;
mod inspect;
mod journal;
mod limits;
mod manifest;
mod reader;
mod recover;
mod repair;
mod replay;
mod scan;
mod seal;
mod segment_header;
mod settings;
mod shared;
mod space;
mod state;
mod survey;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod verify;
pub mod vfs;
mod writer;

pub use damage::{Damage, DamageKind};
pub use inspect::{
    InspectReport, OrgReport, PartitionReport, RecordView, SegmentReport, VisitError, inspect, visit_records,
};
pub use journal::{Journal, OpenError, open};
pub use manifest::{MAX_PARTITIONS, Manifest, ManifestError};
pub use reader::Reader;
pub use recover::Recovery;
pub use repair::{RepairSummary, repair};
pub use segment_header::LogId;
pub use settings::{Entropy, Settings};
pub use state::Loss;
pub use verify::{Finding, Severity, verify};
pub use writer::Writer;
