//! One attempt: token, body, request, verdict.

mod channel;
#[cfg(test)]
mod tests;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use egress::{BadDestination, Client, Endpoint, Fault, Request};
use flate2::write::GzEncoder;
use flow::sink::{Attempt, BatchShape, Cause, Delivery, Sink, Unconfirmed, Verdict};
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::encode::{Encoder, Metadata};
use crate::reply::{self, Adjust, Answer, Sent};
use crate::settings::{Compression, Settings};
use channel::Channel;

/// The sink of one collector.
#[derive(Debug)]
pub struct HecSink {
    encoder: Encoder,
    settings: Settings,
    endpoint: Endpoint,
    target: PathAndQuery,
    shape: BatchShape,
    channel: Channel,
    /// Set for good once the collector turns out not to read gzip.
    plain: AtomicBool,
}

const CHANNEL: HeaderName = HeaderName::from_static("x-splunk-request-channel");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

impl HecSink {
    /// A sink whose connections belong to `tenant`. Nothing is resolved or connected yet.
    ///
    /// # Errors
    /// [`BadDestination`] when the endpoint can never be a destination.
    pub fn new(settings: Settings, client: &Client, tenant: &str) -> Result<Self, BadDestination> {
        let endpoint = client.endpoint(tenant, &settings.endpoint)?;
        let target =
            settings.endpoint.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let encoder = Encoder::new(Metadata {
            host: settings.host.as_deref(),
            source: &settings.source,
            sourcetype: &settings.sourcetype,
            index: settings.index.as_deref(),
        });
        let shape = BatchShape {
            max_events: settings.batch.max_events,
            max_bytes: settings.batch.max_bytes,
            overhead: encoder.overhead(),
        };
        let plain = AtomicBool::new(settings.compression == Compression::None);
        Ok(Self { encoder, settings, endpoint, target, shape, channel: Channel::new(), plain })
    }

    async fn attempt(&self, delivery: &mut Delivery) -> Verdict {
        let token = match self.settings.token.read() {
            Ok(token) => token,
            Err(err) => {
                return Verdict::Blocked(Cause {
                    what: err.to_string(),
                    remedy: "put the collector's token where the sink's token setting points".to_owned(),
                    code: None,
                });
            }
        };
        let Some(authorization) = authorization(token.expose()) else {
            return Verdict::Blocked(Cause {
                what: "the token holds characters that cannot stand in a header".to_owned(),
                remedy: "write the token alone into the secret, without quotes or line breaks inside"
                    .to_owned(),
                code: None,
            });
        };
        let rows = delivery.rows();
        let mut body = Vec::with_capacity(self.room(rows.bytes(), rows.count()));
        self.encoder.encode(rows, &delivery.delivery_id(), &mut body);
        let (bytes, records) = (body.len(), rows.count());
        delivery.release();
        let gzip = !self.plain.load(Ordering::Relaxed);
        let body = match gzip {
            true => match compressed(body).await {
                Ok(body) => body,
                Err(err) => return ours(format!("the body could not be compressed: {err}")),
            },
            false => body,
        };
        let (channel, channel_renewed) = self.channel.get();
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(CHANNEL, channel.clone());
        headers.insert(CONTENT_TYPE, JSON);
        if gzip {
            headers.insert(CONTENT_ENCODING, GZIP);
        }
        let request = Request {
            method: Method::POST,
            target: self.target.clone(),
            headers,
            body: Bytes::from(body),
            timeout: self.settings.request.timeout,
        };
        let reply = match self.endpoint.send(request).await {
            Ok(reply) => reply,
            Err(fault) => return of_fault(&fault),
        };
        let content_type =
            reply.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let answer = Answer {
            status: reply.status.as_u16(),
            retry_after: reply.retry_after,
            content_type,
            body: &reply.body,
        };
        let sent = Sent {
            records,
            bytes,
            gzip,
            channel_renewed,
            partial_accept: self.settings.partial_accept,
            token: token.expose(),
        };
        let judgement = reply::judge(&answer, &sent);
        match judgement.adjust {
            Some(Adjust::NewChannel) => self.channel.renew(&channel),
            Some(Adjust::NoCompression) => self.plain.store(true, Ordering::Relaxed),
            None if judgement.verdict == Verdict::Accepted => self.channel.accepted(&channel),
            None => {}
        }
        judgement.verdict
    }

    /// Room for a body; the envelope is mostly far smaller than its bound.
    fn room(&self, record_bytes: usize, records: u64) -> usize {
        let envelopes = usize::try_from(records).unwrap_or(usize::MAX).saturating_mul(self.shape.overhead);
        record_bytes.saturating_add(envelopes).min(self.shape.max_bytes.max(record_bytes))
    }
}

impl Sink for HecSink {
    fn shape(&self) -> BatchShape {
        self.shape
    }

    fn deliver(self: Arc<Self>, mut delivery: Delivery) -> BoxFuture<'static, Attempt> {
        Box::pin(async move {
            let verdict = self.attempt(&mut delivery).await;
            Attempt::Settled(delivery.settle(verdict))
        })
    }

    fn confirm(self: Arc<Self>, due: Vec<Unconfirmed>) -> BoxFuture<'static, Vec<Attempt>> {
        // This sink asks for no acknowledgements yet, so it never made one of these; what it cannot confirm is unknown
        // and is sent again.
        let settled = due.into_iter().map(|unconfirmed| {
            Attempt::Settled(unconfirmed.delivery.settle(Verdict::Retry {
                after: None,
                cause: Cause {
                    what: "the collector's acknowledgement cannot be asked for".to_owned(),
                    remedy: "wait: it is sent again by itself".to_owned(),
                    code: None,
                },
            }))
        });
        Box::pin(std::future::ready(settled.collect()))
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

/// Off the I/O threads: a megabyte takes milliseconds.
async fn compressed(body: Vec<u8>) -> io::Result<Vec<u8>> {
    let work = tokio::task::spawn_blocking(move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), flate2::Compression::fast());
        encoder.write_all(&body)?;
        encoder.finish()
    });
    work.await.map_err(io::Error::other)?
}

fn of_fault(fault: &Fault) -> Verdict {
    let mut what = fault.to_string();
    if fault.outcome_unknown() {
        what.push_str("; whether it took the events is not known, so they are sent again");
    }
    let cause = Cause { what, remedy: fault.remedy().to_owned(), code: None };
    if fault.needs_a_person() { Verdict::Blocked(cause) } else { Verdict::Retry { after: None, cause } }
}

fn ours(what: String) -> Verdict {
    let remedy = "report this as a fault of Trailwire".to_owned();
    Verdict::Retry { after: None::<Duration>, cause: Cause { what, remedy, code: None } }
}
