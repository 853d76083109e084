//! One attempt: token, body, request, verdict.

mod channel;
mod head;
#[cfg(test)]
mod tests;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use egress::{BadDestination, Client, Endpoint, Fault};
use flate2::write::GzEncoder;
use flow::sink::{Attempt, BatchShape, Cause, Delivery, Sink, Unconfirmed, Verdict};
use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;

use crate::encode::{Encoder, Metadata};
use crate::reply::{self, Adjust, Answer, Judgement, Sent};
use crate::settings::{Compression, Settings};
use channel::Channel;
use head::Kept;

/// The sink of one collector.
#[derive(Debug)]
pub struct HecSink {
    encoder: Encoder,
    settings: Settings,
    endpoint: Endpoint,
    target: PathAndQuery,
    shape: BatchShape,
    channel: Channel,
    head: Kept,
    /// Set for good once the collector turns out not to read gzip.
    plain: AtomicBool,
}

impl HecSink {
    /// A sink whose connections belong to `tenant`, [`egress::OPERATOR`] for one of the operator's own. Nothing is
    /// resolved or connected yet.
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
        Ok(Self {
            encoder,
            settings,
            endpoint,
            target,
            shape,
            channel: Channel::new(),
            head: Kept::default(),
            plain,
        })
    }

    async fn attempt(&self, delivery: &mut Delivery) -> Judgement {
        let head = match self.head(delivery.started()) {
            Ok(head) => head,
            Err(cause) => return Verdict::Blocked(cause).into(),
        };
        let rows = delivery.rows();
        let mut body = Vec::with_capacity(self.room(rows.bytes(), rows.count()));
        self.encoder.encode(rows, &delivery.delivery_id(), &mut body);
        let (bytes, records) = (body.len(), rows.count());
        delivery.release();
        let body = match head.gzip {
            true => match compressed(body).await {
                Ok(body) => body,
                Err(err) => return ours(format!("the body could not be compressed: {err}")).into(),
            },
            false => body,
        };
        let sending = self.endpoint.send_as(&head.request, Bytes::from(body), self.settings.request.timeout);
        let reply = match sending.await {
            Ok(reply) => reply,
            Err(fault) => return of_fault(&fault).into(),
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
            gzip: head.gzip,
            channel_renewed: head.channel_renewed,
            partial_accept: self.settings.partial_accept,
            token: head.token.expose(),
        };
        let judgement = reply::judge(&answer, &sent);
        match judgement.adjust {
            Some(Adjust::NewChannel) => self.channel.renew(&head.channel),
            Some(Adjust::NoCompression) => self.plain.store(true, Ordering::Relaxed),
            None if head.channel_renewed && judgement.verdict == Verdict::Accepted => {
                self.channel.accepted(&head.channel);
            }
            None => {
                return match judgement.verdict {
                    Verdict::Blocked(cause) => self.blocked(&head, cause).into(),
                    _ => judgement,
                };
            }
        }
        self.head.forget();
        judgement
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
            let judgement = self.attempt(&mut delivery).await;
            let settled = delivery.settle(judgement.verdict);
            Attempt::Settled(if judgement.nearly_full { settled.nearly_full() } else { settled })
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
    if fault.is_veiled() {
        // Whether anything was sent would tell that a port is open.
        what.push_str("; the events are sent again");
    } else if fault.outcome_unknown() {
        what.push_str("; whether it took the events is not known, so they are sent again");
    }
    let cause = Cause { what, remedy: fault.remedy().to_owned(), code: None };
    if fault.needs_a_person() { Verdict::Blocked(cause) } else { Verdict::Retry { after: None, cause } }
}

fn ours(what: String) -> Verdict {
    let remedy = "report this as a fault of Trailwire".to_owned();
    Verdict::Retry { after: None::<Duration>, cause: Cause { what, remedy, code: None } }
}
