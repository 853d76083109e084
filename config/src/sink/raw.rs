//! The common keys of a sink as the YAML gives them.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::selection::RawSelection;
use crate::units::{ByteRate, ByteSize, EventRate, Interval};

/// The keys that are read here and left out of a type's own keys.
pub(crate) const COMMON_KEYS: &[&str] =
    &["type", "orgs", "select", "encoding", "batch", "request", "rate_limit", "from", "paused"];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCommon {
    /// The type of sink.
    #[serde(rename = "type")]
    #[schemars(skip)]
    pub(crate) _kind: Option<String>,
    /// Only in shared_sinks.yaml, and required there: `"*"` or a list of organisation ids.
    #[schemars(skip)]
    pub(crate) orgs: Option<RawSelection>,
    /// Which records the sink gets.
    #[serde(default)]
    pub(crate) select: RawSelect,
    /// How a record is written.
    #[serde(default)]
    pub(crate) encoding: RawEncoding,
    /// How records are gathered into one request.
    #[serde(default)]
    pub(crate) batch: RawBatch,
    /// Bounds of requests.
    #[serde(default)]
    pub(crate) request: RawRequest,
    /// The most that is sent in a time, retries included. Not supported yet.
    pub(crate) rate_limit: Option<RawRateLimit>,
    /// Where a new sink begins: `end`, `earliest` or a time in RFC 3339, such as 2026-11-22T08:00:00Z. Without
    /// meaning once the sink has a cursor.
    #[schemars(with = "Option<String>")]
    pub(crate) from: Option<String>,
    /// Stops the sink; it keeps its place.
    #[serde(default)]
    pub(crate) paused: bool,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawSelect {
    /// `all`: every record.
    pub(crate) calls: RawCalls,
    /// A filter. Not supported yet: leave it out or empty.
    pub(crate) filter: String,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawCalls {
    #[default]
    All,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawEncoding {
    /// `record`: the canonical record as JSON.
    pub(crate) format: RawFormat,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawFormat {
    #[default]
    Record,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawBatch {
    /// Bytes of a batch before compression, at most.
    pub(crate) max_bytes: Option<ByteSize>,
    /// Records of a batch, at most.
    pub(crate) max_events: Option<u32>,
    /// The longest time that a record waits for others.
    pub(crate) max_delay: Option<Interval>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawRequest {
    /// The time for a whole exchange.
    pub(crate) timeout: Option<Interval>,
    /// Requests at once; 1 keeps the order.
    pub(crate) concurrency: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read so that a misspelt key is told; the whole key is refused for now")]
pub(crate) struct RawRateLimit {
    /// Records in a time.
    pub(crate) events: Option<EventRate>,
    /// Bytes in a time.
    pub(crate) bytes: Option<ByteRate>,
    /// Requests in a time.
    pub(crate) requests: Option<EventRate>,
}
