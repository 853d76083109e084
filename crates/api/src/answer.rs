//! Answers: JSON bodies, the words of refusals, and the headers that every answer carries.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use event::reject::{Code, Rejection};
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::route::Route;

/// What every answer is.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A request that is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    /// The methods that the address has, for 405.
    pub(crate) allow: Option<&'static str>,
    /// The addresses that there are, for 404.
    pub(crate) routes: Vec<&'static Route>,
    /// The body was not read to its end, so the connection cannot be used again.
    pub(crate) closes: bool,
}

impl Refusal {
    /// A refusal with the status of its code.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(code.entry().http_status).unwrap_or(StatusCode::BAD_REQUEST);
        Self {
            code,
            status,
            message: message.into(),
            retry_after: None,
            allow: None,
            routes: Vec::new(),
            closes: false,
        }
    }

    /// Asks the client to come back after `wait`.
    pub(crate) fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Ends the connection after the answer.
    pub(crate) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// The answer, with what the request led to besides (`rejected` of a request that is over quota).
    pub(crate) fn answer(&self, outcome: Option<&Outcome<'_>>) -> Answer {
        let mut answer = json(self.status, &RefusalBody { refusal: self, outcome });
        let headers = answer.headers_mut();
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds(wait)));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"trailwire\""));
        }
        if self.code == Code::UnsupportedMedia {
            headers.insert(http::header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"));
        }
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// What became of the events of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome<'a> {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejected: &'a [Rejection],
}

impl Outcome<'_> {
    fn members<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("accepted", &self.accepted)?;
        map.serialize_entry("duplicates", &self.duplicates)?;
        map.serialize_entry("rejected", &Rejected(self.rejected))?;
        Ok(())
    }
}

impl Serialize for Outcome<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.members(&mut map)?;
        map.end()
    }
}

struct Rejected<'a>(&'a [Rejection]);

impl Serialize for Rejected<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Item<'a> {
            line: u32,
            code: &'a str,
            // Only so many are told in words; the code says it too.
            #[serde(skip_serializing_if = "str::is_empty")]
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            retry_after: Option<u64>,
        }
        serializer.collect_seq(self.0.iter().map(|rejection| Item {
            line: rejection.line,
            code: rejection.code.name(),
            message: &rejection.message,
            retry_after: rejection.retry_after.map(seconds),
        }))
    }
}

struct RefusalBody<'a> {
    refusal: &'a Refusal,
    outcome: Option<&'a Outcome<'a>>,
}

impl Serialize for RefusalBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Error<'a> {
            code: &'a str,
            message: &'a str,
            retry: bool,
            docs: String,
        }
        let code = self.refusal.code;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(
            "error",
            &Error {
                code: code.name(),
                message: &self.refusal.message,
                retry: code.entry().retry,
                docs: format!("docs/errors/{}.md", code.name()),
            },
        )?;
        if let Some(outcome) = self.outcome {
            outcome.members(&mut map)?;
        }
        if !self.refusal.routes.is_empty() {
            map.serialize_entry("routes", &self.refusal.routes)?;
        }
        map.end()
    }
}

/// Whole seconds, rounded up, at least one: a client that is told 0 comes back at once.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    match serde_json::to_vec(body) {
        Ok(mut bytes) => {
            bytes.push(b'\n');
            with_type(status, "application/json", bytes)
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            with_type(StatusCode::INTERNAL_SERVER_ERROR, "application/json", b"{}\n".to_vec())
        }
    }
}

/// An answer with the headers that all of them carry.
pub(crate) fn with_type(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    protect(headers);
    answer
}

/// No browser has any business here, and no cache.
fn protect(headers: &mut HeaderMap) {
    const FIXED: [(HeaderName, &str); 5] = [
        (CACHE_CONTROL, "no-store"),
        (http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (http::header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (http::header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
