//! The operator's settings: `trailwire.yaml`, checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use event::record::AssertedBy;
use event::{Kind, OrgId};
use ipnet::IpNet;
use rustls_pki_types::CertificateDer;

use crate::secret::SecretSource;
use crate::selection::Selection;
use crate::token::TokenHash;
use crate::units::{ByteRate, EventRate};

mod apps;
mod compile;
mod grants;
mod producer;
mod raw;
mod trust;

pub(crate) use compile::compile;
pub(crate) use grants::Grants;
pub(crate) use raw::RawOperator;

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The folder of `trailwire.yaml`, from which relative paths are taken.
    pub folder: PathBuf,
    /// Secrets may stand in the files themselves.
    pub development: bool,
    /// Where journal and keys are.
    pub data_dir: PathBuf,
    /// Where to listen.
    pub listen: Listen,
    /// The bearer token of the admin listener; `None` only if that is bound to loopback.
    pub admin_token: Option<TokenHash>,
    /// Who may send events.
    pub producers: Vec<Producer>,
    /// How much of the journal is kept.
    pub buffer: Buffer,
    /// Files that say which apps there are.
    pub app_files: Vec<PathBuf>,
    /// The folder of organisations.
    pub orgs_dir: PathBuf,
    /// Events of organisations that no folder declares.
    pub unknown_org: UnknownOrg,
    /// Addresses that sinks may reach although they are private.
    pub egress_allow: Vec<AllowedNet>,
    /// Authorities to trust besides the public ones, DER. Each can be used as one.
    pub egress_roots: Vec<CertificateDer<'static>>,
    /// What one organisation may send, unless its own file says otherwise.
    pub ingest_per_org: Quota,
    /// Event ids that are remembered, over all organisations.
    pub dedupe_window: u32,
    /// Bounds of memory.
    pub memory: Memory,
    /// Requests that sinks begin per second and core before batches are left to grow.
    pub delivery_starts_per_core: u32,
    /// Shape of a new journal.
    pub journal: Journal,
    /// Threads that serve sockets, and as many at most that write the journal; `None`: one per core.
    pub threads: Option<u16>,
    /// Our own log lines.
    pub log: Log,
    /// Where OpenTelemetry metrics go (OTLP over HTTP), if anywhere.
    pub otlp_endpoint: Option<String>,
    /// The secret from which every keyed hash is derived; `None`: made once in `data_dir`.
    pub master_secret: Option<SecretSource>,
}

/// Addresses to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// For producers.
    pub ingest: SocketAddr,
    /// For status, metrics and administration.
    pub admin: SocketAddr,
}

/// An authenticated sender of raw events.
#[derive(Debug, Clone)]
pub struct Producer {
    /// Its name; records carry it.
    pub name: String,
    /// SHA-256 of its token, and of the next one while one is being replaced. Compare in constant time.
    pub tokens: Vec<TokenHash>,
    /// For which organisations it may speak.
    pub orgs: Selection<OrgId>,
    /// Which kinds it may send.
    pub kinds: Selection<Kind>,
    /// For which apps (by id or key) it may speak.
    pub apps: Selection<String>,
    /// Who vouches for its events; records carry it.
    pub asserted_by: AssertedBy,
}

/// How much of the journal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// Older records go.
    pub max_age: Duration,
    /// The oldest records go when the journal is larger.
    pub max_bytes: u64,
}

/// What to do with an organisation that no folder declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownOrg {
    /// Take it in.
    Accept,
    /// Refuse its events.
    Refuse,
}

/// A network that sinks may reach although it is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedNet {
    /// The network.
    pub cidr: IpNet,
    /// Whether http:// is allowed there.
    pub plaintext: bool,
    /// Whether only the operator's own sinks may reach it.
    pub shared_only: bool,
}

/// What one organisation may send; `None`: as much as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Events in a time.
    pub events: Option<EventRate>,
    /// Bytes of raw events in a time.
    pub bytes: Option<ByteRate>,
}

/// Bounds of memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The journal's newest blocks, from which lanes read.
    pub tail: u64,
    /// Deliveries on their way.
    pub in_flight: u64,
    /// Requests of producers, decompressed.
    pub ingest: u64,
    /// Ids of the duplicate window.
    pub ids: u64,
    /// Lane tables and open groups.
    pub lanes: u64,
    /// Buffers of the partitions' writers.
    pub writers: u64,
}

/// The shape of a new journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journal {
    /// Partitions of a journal that is made now. One that exists keeps its number.
    pub partitions: u16,
    /// A segment is closed when it has this many bytes.
    pub segment_bytes: u64,
}

/// Our own log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How they look.
    pub format: LogFormat,
    /// Which are written: a level, or a filter in the syntax of `tracing-subscriber`.
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}
