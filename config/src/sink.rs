//! What every sink has in common, and the table of sink types.

use std::time::Duration;

use event::OrgId;
use schemars::Schema;

use crate::org::Org;
use crate::problem::{Place, Problems};
use crate::scope::Scope;
use crate::selection::Selection;

mod compile;
mod file;
mod raw;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use compile::compile_common;
pub(crate) use file::{BAD_NAME, SinkFile, SinkList, compile_file, compile_orgs, is_name};
pub(crate) use raw::{COMMON_KEYS, RawCommon};

/// A type of sink: what `type:` says, and how its keys become settings. The binary hands a table of these in, so
/// that this crate knows no connector.
#[derive(Debug)]
pub struct SinkType<T> {
    /// The value of `type:`.
    pub name: &'static str,
    /// What a sink of this type does unless its file says otherwise.
    pub defaults: SinkDefaults,
    /// The compile step: a pure function of the YAML (and of secrets, which it only refers to). `None` when an error
    /// was noted in the scope.
    pub compile: fn(&mut Scope<'_>, &SinkContext<'_>) -> Option<T>,
    /// The JSON Schema of the type's own keys: an object schema with `properties` and `required`.
    pub schema: fn() -> Schema,
}

/// Defaults and bounds that belong to a type of sink.
#[derive(Debug, Clone, Copy)]
pub struct SinkDefaults {
    /// Of `batch`.
    pub batch: Batch,
    /// Of `request`.
    pub request: RequestLimits,
    /// The largest `batch.max_bytes`.
    pub max_batch_bytes: u64,
}

/// How records are gathered into one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Bytes of a batch before compression, at most.
    pub max_bytes: usize,
    /// Records of a batch, at most.
    pub max_events: u32,
    /// The longest time that a record waits for others while the sink has a right to send.
    pub max_delay: Duration,
}

/// Bounds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// The time for a whole exchange, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Requests at once, over all lanes of the sink.
    pub concurrency: u32,
}

/// Which records a sink gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Calls {
    /// Every record.
    #[default]
    All,
}

/// How a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// The canonical record.
    #[default]
    Record,
}

/// Where a sink begins that has no cursor yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartFrom {
    /// At what comes next.
    #[default]
    End,
    /// At the oldest record that the journal still has.
    Earliest,
    /// At the first record received at or after this time, in milliseconds since 1970.
    Time(i64),
}

/// The keys that every sink has. `URL`, credentials and limits are read per attempt, the rest per cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkCommon {
    /// `select.calls`.
    pub calls: Calls,
    /// `encoding.format`.
    pub format: Format,
    /// `batch`.
    pub batch: Batch,
    /// `request`.
    pub request: RequestLimits,
    /// `from`.
    pub from: StartFrom,
    /// `paused: true`: a person stopped it. It keeps its cursor.
    pub paused: bool,
}

impl SinkCommon {
    /// What the plan epoch is the hash of: filter, select, encoding and batch limits, in a fixed spelling.
    #[must_use]
    pub fn plan(&self) -> String {
        let Self { calls: Calls::All, format: Format::Record, batch, .. } = self;
        format!(
            "calls=all filter= format=record max_bytes={} max_events={} max_delay_ms={}",
            batch.max_bytes,
            batch.max_events,
            batch.max_delay.as_millis()
        )
    }
}

/// Who a sink is of and what it is called: what a compile step may want to know.
#[derive(Debug, Clone, Copy)]
pub struct SinkContext<'a> {
    /// The sink's name.
    pub name: &'a str,
    /// The organisation that owns it; `None` for the operator's.
    pub owner: Option<&'a OrgId>,
    /// The common keys.
    pub common: &'a SinkCommon,
}

/// One sink, ready to be made.
#[derive(Debug, Clone)]
pub struct SinkConfig<T> {
    /// The organisation that owns it; `None` for the operator's (`shared_sinks.yaml`).
    pub owner: Option<OrgId>,
    /// The name, unique for its owner.
    pub name: String,
    /// Whose records it gets. For a sink with an owner: that one.
    pub orgs: Selection<OrgId>,
    /// The value of `type:`.
    pub sink_type: &'static str,
    /// The common keys.
    pub common: SinkCommon,
    /// The keys of its type.
    pub settings: T,
    /// Where it is written.
    pub place: Place,
}

impl<T: PartialEq> SinkConfig<T> {
    /// Whether both say the same, wherever it is written.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let Self { owner, name, orgs, sink_type, common, settings, place: _ } = self;
        *owner == other.owner
            && *name == other.name
            && *orgs == other.orgs
            && *sink_type == other.sink_type
            && *common == other.common
            && *settings == other.settings
    }
}

/// A sink that is written but cannot be made: it is shown as blocked, keeps its cursor if it has one, and does not
/// hinder any other.
#[derive(Debug, Clone)]
pub struct BrokenSink {
    /// The organisation that owns it; `None` for the operator's, and when `folder` does not say whose it is.
    pub owner: Option<OrgId>,
    /// The folder below `orgs_dir`; `None` for the operator's.
    pub folder: Option<String>,
    /// The name; `None` when a whole file or folder cannot be relied on, so that any sink of that owner may be in it.
    pub name: Option<String>,
    /// Whose records it would get, if that at least can be read. Of one sink only, never of a file.
    pub orgs: Option<Selection<OrgId>>,
    /// Why.
    pub problems: Problems,
}

impl BrokenSink {
    /// The file that it is about, as the first problem names it.
    #[must_use]
    pub fn file(&self) -> Option<String> {
        self.problems.first().map(|problem| problem.place.source())
    }

    /// Whether this may be the sink `name` of `owner`, so that what ran under that name must not be taken for
    /// removed. `before` are the organisations as they were last read: they tell whose a folder was.
    #[must_use]
    pub fn may_be(&self, owner: Option<&OrgId>, name: &str, before: &[Org]) -> bool {
        let same_owner = match (&self.owner, &self.folder) {
            (Some(own), _) => owner == Some(own),
            (None, None) => owner.is_none(),
            (None, Some(folder)) => before.iter().any(|org| org.folder == *folder && owner == Some(&org.id)),
        };
        same_owner && self.name.as_ref().is_none_or(|own| own == name)
    }
}
