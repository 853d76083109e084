//! Lanes: each sink's deliveries from each partition.
//!
//! One task per process drives [`core::Core`], which does no I/O: it is told what happened (rows appended, an attempt
//! ended, a timer fired) and says what to do (deliver, fetch, record). There is no task per lane: a lane is a row in a
//! table; a task exists only per running delivery and per read from disk.
//!
//! A lane pulls: it cuts a batch at its own cursor when its organisations have rows, its sink answers, and the budgets
//! of starts and memory allow it. So a dead sink costs its own reads and nothing else.

mod apply;
mod begin;
mod commit;
pub(crate) mod core;
mod counters;
mod cut;
mod engine;
mod gap;
mod health;
mod inbox;
mod jobs;
mod pace;
mod ready;
mod settle;
mod size;
mod start;
mod table;
#[cfg(test)]
mod tests;
mod views;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use event::OrgId;

pub use self::counters::LaneCounters;
pub use self::engine::{Engine, EngineStopped, Lanes};
pub use self::inbox::{Inbox, LogObserver, Notify, inbox};
pub use self::size::LaneMemory;
use crate::clock::UnixMillis;
use crate::lane_state::SinkId;
use crate::log::Scope;
use crate::sink::{Cause, Sink};

/// Sizes and rates of the delivery engine.
#[derive(Debug, Clone)]
pub struct LaneSettings {
    /// The journal's id, part of every delivery id.
    pub journal_id: u128,
    /// Deliveries that may start in a second, over all sinks.
    pub starts_per_second: u32,
    /// Bytes that deliveries in flight may hold.
    pub memory: usize,
    /// Reads from disk at one time.
    pub reads: usize,
    /// How long settled rows may wait before the cursor is recorded.
    pub commit_every: Duration,
    /// For the jitter of retries.
    pub seed: u64,
}

impl LaneSettings {
    /// The design's figures for a machine with `cores` cores.
    #[must_use]
    pub fn new(journal_id: u128, cores: u32, seed: u64) -> Self {
        Self {
            journal_id,
            starts_per_second: 2_200 * cores.max(1),
            memory: 64 << 20,
            reads: 4,
            commit_every: Duration::from_millis(200),
            seed,
        }
    }
}

/// Where a new sink begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Begin {
    /// With what comes after it was added.
    #[default]
    End,
    /// With the first record of the journal. What retention has removed since is told as a gap.
    Earliest,
    /// With the first block that was written at or after this time.
    Time(UnixMillis),
}

/// What a sink delivers to.
#[derive(Clone)]
pub enum Target {
    /// A destination.
    Ready(Arc<dyn Sink>),
    /// The settings cannot be used: the sink is blocked with these words until they are changed.
    Unusable(Cause),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(_) => f.write_str("Ready"),
            Self::Unusable(cause) => f.debug_tuple("Unusable").field(&cause.what).finish(),
        }
    }
}

impl Target {
    /// Whether both are one and the same destination, or fail for the same cause.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ready(own), Self::Ready(other)) => Arc::ptr_eq(own, other),
            (Self::Unusable(own), Self::Unusable(other)) => own == other,
            _ => false,
        }
    }
}

/// All sinks as they are configured.
#[derive(Debug, Clone, Default)]
pub struct Configured {
    /// Those that are known.
    pub sinks: Vec<SinkSpec>,
    /// What is written and cannot be read. Lanes that it may be about are no removed ones.
    pub unread: Vec<Unread>,
}

impl From<Vec<SinkSpec>> for Configured {
    fn from(sinks: Vec<SinkSpec>) -> Self {
        Self { sinks, unread: Vec::new() }
    }
}

/// Something that is written and of which it is not known which sinks are in it, or whose records they get: no lane can
/// be made of it. What the journal knows of such sinks keeps its place and is shown as blocked.
#[derive(Debug, Clone)]
pub struct Unread {
    /// The organisation that owns it; `None` for the operator's, and when nobody knows whose it is.
    pub owner: Option<OrgId>,
    /// The sinks of that owner that it may be about.
    pub sinks: UnreadSinks,
    /// What is wrong with it.
    pub cause: Cause,
}

/// Which sinks something that cannot be read may be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnreadSinks {
    /// This one.
    One(String),
    /// Any of its owner: a whole file, which is shown under this name.
    Any(String),
    /// Nobody knows whose it is: a folder, which is shown under this name.
    Nobodys(String),
}

impl Unread {
    /// Whether it may be about this sink.
    fn may_be(&self, owner: Option<&OrgId>, name: &str) -> bool {
        let same = self.owner.as_ref() == owner;
        match &self.sinks {
            UnreadSinks::One(own) => same && own == name,
            UnreadSinks::Any(_) => same,
            UnreadSinks::Nobodys(_) => false,
        }
    }
}

/// A configured sink.
#[derive(Debug, Clone)]
pub struct SinkSpec {
    /// The organisation that owns it; `None` for the operator's shared sinks.
    pub owner: Option<OrgId>,
    /// Its name within the owner.
    pub name: String,
    /// Its type, for the status page (`splunk_hec`).
    pub kind: &'static str,
    /// Whose records it gets.
    pub scope: Scope,
    /// Where they go.
    pub target: Target,
    /// Deliveries in flight over all its lanes, at most.
    pub concurrency: u16,
    /// Deliveries in flight in one lane, at most: 1 keeps the order of each organisation.
    pub lane_concurrency: u16,
    /// How long records may wait for a start when those are scarce.
    pub max_delay: Duration,
    /// Where it begins if the journal does not know it.
    pub begin: Begin,
    /// Hash of filter, select, encoding and batch limits: when it changes, deliveries are cut anew.
    pub plan_epoch: u64,
    /// A person has paused it.
    pub paused: bool,
}

impl SinkSpec {
    /// Whether nothing is different.
    fn is_same(&self, other: &Self) -> bool {
        let Self {
            owner,
            name,
            kind,
            scope,
            target,
            concurrency,
            lane_concurrency,
            max_delay,
            begin,
            plan_epoch,
            paused,
        } = self;
        (owner, name, kind, scope, begin)
            == (&other.owner, &other.name, &other.kind, &other.scope, &other.begin)
            && (concurrency, lane_concurrency) == (&other.concurrency, &other.lane_concurrency)
            && (max_delay, plan_epoch, paused) == (&other.max_delay, &other.plan_epoch, &other.paused)
            && target.is_same(&other.target)
    }

    /// The id under which the journal knows the sink.
    #[must_use]
    pub fn id(&self) -> SinkId {
        SinkId::of(self.owner.as_ref(), &self.name)
    }

    /// `organisation/name`, or `*/name`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{}", self.owner.as_ref().map_or("*", OrgId::as_str), self.name)
    }
}
