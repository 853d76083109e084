//! `trailwire.yaml` as it is written. Defaults are not here but in `default.yaml`.

use std::collections::BTreeMap;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::secret::SecretRef;
use crate::selection::RawSelection;
use crate::units::{ByteRate, ByteSize, Ceiling, EventRate, Interval};

/// The operator's file, trailwire.yaml.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawOperator {
    /// The version of this format: 1.
    #[serde(rename = "version")]
    pub(crate) _version: u64,
    /// Secrets may stand in the files themselves. For trying things out.
    pub(crate) development: bool,
    /// Where journal and keys are.
    pub(crate) data_dir: String,
    /// Addresses to listen on.
    pub(crate) listen: RawListen,
    /// The admin listener.
    pub(crate) admin: RawAdmin,
    /// Who may send events, by name.
    pub(crate) producers: BTreeMap<String, RawProducer>,
    /// Sources other than HTTP. None are supported yet.
    #[schemars(with = "BTreeMap<String, AnyValue>")]
    pub(crate) sources: BTreeMap<String, serde::de::IgnoredAny>,
    /// How much of the journal is kept.
    pub(crate) buffer: RawBuffer,
    /// The apps.
    pub(crate) apps: RawApps,
    /// The folder of organisations.
    pub(crate) orgs_dir: String,
    /// The operator's own sinks.
    pub(crate) shared_sinks: String,
    /// Events of organisations that no folder declares.
    pub(crate) unknown_org: RawUnknownOrg,
    /// What the operator says about organisations, by id: their folder, and what is open to them.
    pub(crate) orgs: BTreeMap<String, RawGrant>,
    /// Where sinks may connect to.
    pub(crate) egress: RawEgress,
    /// What producers may send.
    pub(crate) limits: RawLimits,
    /// What is sent twice.
    pub(crate) dedupe: RawDedupe,
    /// The memory of each part, at most.
    pub(crate) memory: RawMemory,
    /// Requests that sinks begin per second and core before batches are left to grow.
    pub(crate) delivery_starts_per_core: u32,
    /// The shape of a new journal.
    pub(crate) journal: RawJournal,
    /// How many threads serve sockets, and how many at most write the journal: auto (one per core) or a number.
    #[schemars(with = "Threads")]
    pub(crate) threads: String,
    /// Our own log lines.
    pub(crate) log: RawLog,
    /// Metrics for others.
    pub(crate) telemetry: RawTelemetry,
    /// The secret from which every keyed hash is derived. None: made once in data_dir.
    pub(crate) master_secret: Option<SecretRef>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawListen {
    /// For producers: ADDRESS:PORT.
    pub(crate) ingest: String,
    /// For status, metrics and administration: ADDRESS:PORT.
    pub(crate) admin: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAdmin {
    /// The bearer token; required if listen.admin is not a loopback address.
    pub(crate) token: Option<SecretRef>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawProducer {
    /// Its bearer token; or token_sha256.
    pub(crate) token: Option<SecretRef>,
    /// SHA-256 of its bearer token in 64 hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9a-fA-F]{64}$"))]
    pub(crate) token_sha256: Option<String>,
    /// A second token that is accepted as well, while senders change from one to the other.
    pub(crate) token_next: Option<SecretRef>,
    /// SHA-256 of the second token in 64 hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9a-fA-F]{64}$"))]
    pub(crate) token_next_sha256: Option<String>,
    /// For which organisations it may speak.
    #[schemars(required)]
    pub(crate) orgs: Option<RawSelection>,
    /// Which kinds it may send: api_call, lifecycle, app_event, audit_event.
    #[schemars(required)]
    pub(crate) kinds: Option<RawSelection>,
    /// For which apps, by id or key, it may speak; all when left out.
    pub(crate) apps: Option<RawSelection>,
    /// Who vouches for its events: the platform on which the calls were made (when left out), a proxy between app and
    /// platform, or the app's vendor.
    pub(crate) asserted_by: Option<RawAssertedBy>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawAssertedBy {
    Platform,
    Proxy,
    Vendor,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawBuffer {
    /// Older records go.
    pub(crate) max_age: Interval,
    /// The oldest records go when the journal is larger.
    pub(crate) max_bytes: ByteSize,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawApps {
    /// Files that say which apps there are.
    pub(crate) files: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawUnknownOrg {
    Accept,
    Refuse,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawGrant {
    /// Variables that begin with this are open to the organisation's files, such as ACME_.
    pub(crate) env_prefix: Option<String>,
    /// The organisation's folder below orgs_dir. No other folder may declare it, and this one no other.
    pub(crate) folder: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawEgress {
    /// Addresses that sinks may reach although they are private.
    pub(crate) allow: Vec<RawAllowedNet>,
    /// Files with certificates (PEM) of authorities to trust besides the public ones.
    pub(crate) ca_files: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawAllowedNet {
    /// A network such as 10.1.2.0/24 or one address.
    #[schemars(with = "String", required)]
    pub(crate) cidr: Option<RawNet>,
    /// Whether http:// is allowed there.
    #[serde(default)]
    pub(crate) plaintext: bool,
    /// Which sinks may reach it: all, those of every organisation included, or only those of shared_sinks.yaml.
    #[serde(default)]
    pub(crate) sinks: RawAllowedSinks,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawAllowedSinks {
    #[default]
    All,
    Shared,
}

/// A network, or an address that stands for itself alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawNet(pub(crate) IpNet);

impl<'de> Deserialize<'de> for RawNet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let net =
            text.parse::<IpNet>().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from));
        net.map(Self).ok_or_else(|| serde::de::Error::custom("expected a network such as 10.1.2.0/24"))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLimits {
    /// What one organisation may send.
    pub(crate) ingest_per_org: RawQuota,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawQuota {
    /// Events in a time.
    pub(crate) events: Ceiling<EventRate>,
    /// Bytes of raw events in a time.
    pub(crate) bytes: Ceiling<ByteRate>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDedupe {
    /// How many event ids are remembered, over all organisations.
    pub(crate) window: u32,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawMemory {
    /// The journal's newest blocks, from which lanes read.
    pub(crate) tail: ByteSize,
    /// Deliveries on their way.
    pub(crate) in_flight: ByteSize,
    /// Requests of producers, decompressed.
    pub(crate) ingest: ByteSize,
    /// Ids of the duplicate window.
    pub(crate) ids: ByteSize,
    /// Lane tables and open groups.
    pub(crate) lanes: ByteSize,
    /// Buffers of the partitions' writers.
    pub(crate) writers: ByteSize,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawJournal {
    /// Partitions of a journal that is made now; one that exists keeps its number.
    pub(crate) partitions: u16,
    /// A segment is closed when it has this many bytes.
    pub(crate) segment_bytes: ByteSize,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawLog {
    /// How the lines look.
    pub(crate) format: RawLogFormat,
    /// error, warn, info, debug, trace, or a filter such as info,journal=debug.
    pub(crate) level: String,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawLogFormat {
    Pretty,
    Json,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawTelemetry {
    /// Where OpenTelemetry metrics go: OTLP over HTTP.
    pub(crate) otlp_endpoint: Option<String>,
}

/// Any YAML, in the schema.
struct AnyValue;

impl JsonSchema for AnyValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AnyValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

struct Threads;

impl JsonSchema for Threads {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Threads".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1, "maximum": 1024 }] })
    }
}
