//! The head of the requests: the token, the channel, and what follows from them. It is kept from one attempt to the
//! next, since a delivery of a few records costs little more than its head.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use config::Secret;
use flow::clock::Instant;
use flow::sink::{Cause, Verdict};
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use parking_lot::Mutex;

use super::HecSink;

/// A token is looked up again after this time, or as soon as the collector refuses it: until then a change of its file
/// is not seen. Every look is a walk through the file system, and thousands of sinks send several times a second.
const LOOKED_UP: Duration = Duration::from_secs(5);

const CHANNEL: HeaderName = HeaderName::from_static("x-splunk-request-channel");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// What the requests of one sink have in common for now.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) request: egress::Head,
    pub(super) token: Secret,
    pub(super) channel: HeaderValue,
    /// The channel before was refused, and no batch accepted since.
    pub(super) channel_renewed: bool,
    pub(super) gzip: bool,
}

/// The last head, and when its token was looked up.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Option<(Instant, Arc<Head>)>>);

impl Kept {
    /// The next attempt makes a head anew.
    pub(super) fn forget(&self) {
        *self.0.lock() = None;
    }
}

impl HecSink {
    /// The head for an attempt that starts at `now`.
    pub(super) fn head(&self, now: Instant) -> Result<Arc<Head>, Cause> {
        let mut kept = self.head.0.lock();
        if let Some((at, head)) = &*kept
            && now.saturating_duration_since(*at) < LOOKED_UP
        {
            return Ok(Arc::clone(head));
        }
        // What cannot be read any more must not be used any more.
        let last = kept.take();
        let token = self.settings.token.read().map_err(|err| Cause {
            what: err.to_string(),
            remedy: "put the collector's token where the sink's token setting points".to_owned(),
            code: None,
        })?;
        let head = match last {
            Some((_, head)) if head.token.expose() == token.expose() => head,
            _ => Arc::new(self.new_head(token)?),
        };
        *kept = Some((now, Arc::clone(&head)));
        Ok(head)
    }

    /// The collector wants a person. If one has put another token in place since the attempt's own was looked up, that
    /// was about the old one.
    pub(super) fn blocked(&self, head: &Head, cause: Cause) -> Verdict {
        self.head.forget();
        match self.settings.token.read() {
            Ok(token) if token.expose() != head.token.expose() => Verdict::Retry { after: None, cause },
            _ => Verdict::Blocked(cause),
        }
    }

    fn new_head(&self, token: Secret) -> Result<Head, Cause> {
        let authorization = authorization(token.expose()).ok_or_else(|| Cause {
            what: "the token holds characters that cannot stand in a header".to_owned(),
            remedy: "write the token alone into the secret, without quotes or line breaks inside".to_owned(),
            code: None,
        })?;
        let gzip = !self.plain.load(Ordering::Relaxed);
        let (channel, channel_renewed) = self.channel.get();
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(CHANNEL, channel.clone());
        headers.insert(CONTENT_TYPE, JSON);
        if gzip {
            headers.insert(CONTENT_ENCODING, GZIP);
        }
        let request = self.endpoint.head(Method::POST, self.target.clone(), headers).map_err(|fault| {
            Cause { what: fault.to_string(), remedy: fault.remedy().to_owned(), code: None }
        })?;
        Ok(Head { request, token, channel, channel_renewed, gzip })
    }
}

fn authorization(token: &str) -> Option<HeaderValue> {
    // Only what a header carries unchanged: `HeaderValue` alone would take any byte above 0x7f as well.
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let mut value = HeaderValue::try_from(format!("Splunk {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}
