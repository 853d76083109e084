//! The YAML keys of a Splunk HEC sink, and their compile step.

use std::time::Duration;

use config::{Batch, RequestLimits, Scope, SecretRef, SecretSource, SinkContext, SinkDefaults, SinkType};
use http::Uri;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// The value of `type:`.
pub const SINK_TYPE: &str = "splunk_hec";

/// Bytes of a body before compression: what the oldest receivers in use accept, and the most that an operator may set.
const DEFAULT_BATCH_BYTES: usize = 1_000_000;
const MAX_BATCH_BYTES: u64 = 2 << 20;

/// The longest index, sourcetype, source or host.
const MAX_NAME: usize = 256;

/// The entry for the binary's table of sink types; `wrap` puts the settings into the binary's own type.
#[must_use]
pub fn sink_type<T>(compile: fn(&mut Scope<'_>, &SinkContext<'_>) -> Option<T>) -> SinkType<T> {
    SinkType { name: SINK_TYPE, defaults: DEFAULTS, compile, schema: || schema_for!(Raw) }
}

const DEFAULTS: SinkDefaults = SinkDefaults {
    batch: Batch { max_bytes: DEFAULT_BATCH_BYTES, max_events: 5_000, max_delay: Duration::from_secs(1) },
    request: RequestLimits { timeout: Duration::from_secs(30), concurrency: 4 },
    max_batch_bytes: MAX_BATCH_BYTES,
};

/// A Splunk HTTP Event Collector, or a receiver that speaks its protocol.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    /// The collector: a base URL such as https://http-inputs-acme.splunkcloud.com or
    /// https://splunk.example.com:8088, or the full URL of /services/collector/event.
    #[schemars(required)]
    endpoint: Option<String>,
    /// The HEC token.
    #[schemars(required)]
    token: Option<SecretRef>,
    /// The index; the token's own when left out.
    index: Option<String>,
    /// The sourcetype.
    #[serde(default = "default_sourcetype")]
    sourcetype: String,
    /// The source.
    #[serde(default = "default_source")]
    source: String,
    /// The host; the organisation's id when left out.
    host: Option<String>,
    /// Compression of request bodies.
    #[serde(default)]
    compression: Compression,
    /// Whether the receiver keeps what stood before an event that it refuses: `prefix` for Splunk itself, `none`
    /// when in doubt (a repeat is better than a loss).
    #[serde(default)]
    partial_accept: PartialAccept,
    /// Indexer acknowledgement: `off`. Not supported yet: `preferred`, `required`.
    #[serde(default)]
    ack: Ack,
}

/// Compression of request bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// `Content-Encoding: gzip`.
    Gzip,
}

/// What a receiver does with the events before one that it refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartialAccept {
    /// It refuses them too, or nobody knows.
    #[default]
    None,
    /// It keeps them: Splunk.
    Prefix,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Ack {
    #[default]
    Off,
    Preferred,
    Required,
}

fn default_sourcetype() -> String {
    "trailwire:record".to_owned()
}

fn default_source() -> String {
    "trailwire".to_owned()
}

/// A Splunk HEC sink, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The full URL of the collector's event endpoint: scheme http or https, no user, no query. Whether http is
    /// allowed is decided by `egress`, when it knows the address.
    pub endpoint: Uri,
    /// The token; read it for each attempt.
    pub token: SecretSource,
    /// The index; `None`: the token's.
    pub index: Option<String>,
    /// The sourcetype.
    pub sourcetype: String,
    /// The source.
    pub source: String,
    /// The host; `None`: the id of the record's organisation.
    pub host: Option<String>,
    /// Compression of bodies.
    pub compression: Compression,
    /// The receiver's dialect.
    pub partial_accept: PartialAccept,
    /// How records are gathered.
    pub batch: Batch,
    /// Bounds of requests.
    pub request: RequestLimits,
}

impl Settings {
    /// Reads and checks the keys of one sink. `None` when an error was noted in `scope`.
    pub fn compile(scope: &mut Scope<'_>, context: &SinkContext<'_>) -> Option<Self> {
        let raw: Raw = scope.read()?;
        if raw.ack != Ack::Off {
            scope.not_supported_yet("ack");
        }
        let endpoint = scope.require("endpoint", raw.endpoint).and_then(|text| endpoint(scope, &text));
        let token = scope.secret("token", raw.token);
        check_name(scope, "sourcetype", &raw.sourcetype);
        check_name(scope, "source", &raw.source);
        for (key, value) in [("index", &raw.index), ("host", &raw.host)] {
            if let Some(value) = value {
                check_name(scope, key, value);
            }
        }
        let (endpoint, token) = (endpoint?, token?);
        (!scope.has_errors()).then_some(Self {
            endpoint,
            token,
            index: raw.index,
            sourcetype: raw.sourcetype,
            source: raw.source,
            host: raw.host,
            compression: raw.compression,
            partial_accept: raw.partial_accept,
            batch: context.common.batch,
            request: context.common.request,
        })
    }
}

fn check_name(scope: &mut Scope<'_>, key: &str, value: &str) {
    if value.is_empty() || value.len() > MAX_NAME || value.chars().any(char::is_control) {
        scope.error(key, format!("must have 1 to {MAX_NAME} bytes and no control characters"));
    }
}

/// Why a text is no collector. The text is not shown: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum BadEndpoint {
    #[error("not a URL")]
    NotUrl,
    #[error("must begin with https:// (or http://, if the operator allows that for the address)")]
    Scheme,
    #[error("must not hold a user or password")]
    User,
    #[error("must not hold a query or fragment")]
    Query,
    #[error("names another endpoint of the collector than the one for events")]
    OtherEndpoint,
}

fn endpoint(scope: &mut Scope<'_>, text: &str) -> Option<Uri> {
    match parse_endpoint(text) {
        Ok(uri) => Some(uri),
        Err(bad) => {
            let hint =
                "write a base URL such as https://splunk.example.com:8088; the token goes into `token`";
            scope.error_with_hint("endpoint", bad.to_string(), hint);
            None
        }
    }
}

fn parse_endpoint(text: &str) -> Result<Uri, BadEndpoint> {
    let uri: Uri = text.trim().parse().map_err(|_| BadEndpoint::NotUrl)?;
    match uri.scheme_str() {
        Some("https" | "http") => {}
        _ => return Err(BadEndpoint::Scheme),
    }
    let authority = uri.authority().ok_or(BadEndpoint::NotUrl)?;
    if authority.as_str().contains('@') {
        return Err(BadEndpoint::User);
    }
    // `Authority::port` is silent on a port that is no port.
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    let port_is_good = match port.strip_prefix(':') {
        Some(digits) => digits.parse::<u16>().is_ok_and(|port| port > 0),
        None => port.is_empty(),
    };
    if authority.host().is_empty() || !port_is_good {
        return Err(BadEndpoint::NotUrl);
    }
    if uri.query().is_some() || text.contains('#') {
        return Err(BadEndpoint::Query);
    }
    let path = uri.path().trim_end_matches('/');
    let full = match path.rsplit_once("/services/collector") {
        Some((_, "" | "/event" | "/event/1.0")) => path.to_owned(),
        Some((_, rest)) if rest.starts_with('/') => return Err(BadEndpoint::OtherEndpoint),
        _ => format!("{path}/services/collector/event"),
    };
    let scheme = uri.scheme_str().unwrap_or("https");
    Uri::builder()
        .scheme(scheme)
        .authority(authority.as_str())
        .path_and_query(full)
        .build()
        .map_err(|_| BadEndpoint::NotUrl)
}
