//! `POST /v1/events`: from a request to its answer. 200 is said only with the journal's receipt in hand.

mod finish;
mod media;
mod pool;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use event::reject::Code;
use flow::ingress::SubmitFault;
use flow::log::AppendFault;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use pipelines::BodyFault;

use self::finish::Finish;
use self::media::Media;
use self::pool::Pool;
use crate::answer::{Answer, Outcome, Refusal, json};
use crate::auth::{Admitted, NoToken, Producers, bearer};
use crate::body::{self, Encoding, InflateFault, MAX_BODY, Pace, ReadFault};
use crate::budget::{Budget, Charge};
use crate::intake::{Batch, Draft, Intake};
use crate::route;
use crate::server::Service;

/// The word for this route in records and metrics.
const SOURCE: &str = "http";
/// What a body of unannounced length is charged before its first byte.
const CHUNKED_START: usize = 256 << 10;

/// How patient the listener is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How slowly bodies may come.
    pub pace: Pace,
    /// How long a request may wait for ingest memory.
    pub memory: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { pace: Pace::default(), memory: Duration::from_secs(10) }
    }
}

/// Answers on the ingest listener.
#[derive(Debug)]
pub struct Ingest {
    intake: Arc<Intake>,
    producers: ArcSwap<Producers>,
    budget: Arc<Budget>,
    patience: Patience,
    bodies: Pool,
}

/// What the access log says of a request besides its status.
#[derive(Default)]
struct Note {
    producer: String,
    bytes: usize,
    events: u64,
}

impl Ingest {
    /// A listener that hands what it takes to `intake` and holds no more memory than `budget`.
    #[must_use]
    pub fn new(
        intake: Arc<Intake>,
        producers: Producers,
        budget: Arc<Budget>,
        patience: Patience,
    ) -> Arc<Self> {
        let producers = ArcSwap::from_pointee(producers);
        Arc::new(Self { intake, producers, budget, patience, bodies: Pool::default() })
    }

    /// Takes a new table of producers, from the next request on.
    pub fn replace_producers(&self, producers: Producers) {
        self.producers.store(Arc::new(producers));
    }

    async fn take(&self, request: Request<Incoming>, note: &mut Note) -> Result<Answer, Refusal> {
        let (head, mut incoming) = request.into_parts();
        route::find(route::INGEST, &head.method, head.uri.path())?;
        let producer = self.producer(&head.headers)?;
        producer.grant.producer().clone_into(&mut note.producer);
        let media = Media::of(&head.headers).map_err(Refusal::closing)?;
        let clock = self.intake.clock();
        let deadline = clock.now().instant + self.patience.memory;

        let announced = incoming.size_hint().exact().map(|len| usize::try_from(len).unwrap_or(usize::MAX));
        if announced.is_some_and(|len| len > MAX_BODY) {
            return Err(refuse_read(ReadFault::TooLarge));
        }
        let mut reading = self
            .budget
            .read(&producer.share, announced.unwrap_or(CHUNKED_START), deadline)
            .await
            .map_err(|_| no_memory().closing())?;
        let mut buffer = self.bodies.take();
        body::read(&mut incoming, &mut buffer, clock, self.patience.pace, &mut |len| reading.grow(len))
            .await
            .map_err(refuse_read)?;
        note.bytes = buffer.len();

        let estimate = media.encoding.inflated_limit(buffer.len());
        let mut working = self
            .budget
            .work(estimate.saturating_mul(media.encoding.copies()), deadline)
            .await
            .map_err(|_| no_memory())?;
        let draft = self.draft(&buffer, media, &producer, &mut working);
        drop(buffer);
        drop(reading);
        let mut draft = draft?;
        note.events = draft.rows() as u64 + draft.rejected.len() as u64;

        if draft.rows() == 0 {
            return Ok(answer(&draft, 0, 0));
        }
        fail::fail_point!("ingest::submit::before");
        let tally = self.intake.tallies().of(SOURCE, producer.grant.producer());
        let (intake, parts) = (Arc::clone(&self.intake), draft.take_parts());
        let stored = Finish::new(async move {
            let stored = intake.store(parts, &tally).await;
            drop(working);
            stored
        });
        let stored = stored.await.map_err(|fault| refuse_store(&fault))?;
        fail::fail_point!("ingest::answer::before");
        Ok(answer(&draft, stored.accepted, stored.duplicates))
    }

    fn producer(&self, headers: &HeaderMap) -> Result<Arc<Admitted>, Refusal> {
        let producers = self.producers.load();
        let message = match bearer(headers) {
            Ok(token) => match producers.find(token) {
                Some(producer) => return Ok(producer),
                None if producers.is_empty() => "no producer is configured: add one under `producers`",
                None => "no producer has this token",
            },
            Err(NoToken::Missing) => "send the producer's token as `Authorization: Bearer TOKEN`",
            Err(NoToken::NotBearer) => "the header Authorization holds no single bearer token",
        };
        Err(Refusal::new(Code::Unauthorised, message).closing())
    }

    fn draft(
        &self,
        received: &[u8],
        media: Media,
        producer: &Admitted,
        working: &mut Charge,
    ) -> Result<Draft, Refusal> {
        let mut inflated = self.bodies.take();
        let body = match media.encoding {
            Encoding::Identity => received,
            encoding => {
                body::inflate(received, encoding, &mut inflated).map_err(refuse_inflate)?;
                inflated.as_slice()
            }
        };
        let tally = self.intake.tallies().of(SOURCE, producer.grant.producer());
        tally.body(received.len(), body.len());
        let batch =
            Batch { body, format: media.format(body), grant: &producer.grant, source: SOURCE, limited: true };
        let draft = self.intake.draft(batch, Some(&tally)).map_err(refuse_body)?;
        working.shrink(draft.bytes());
        Ok(draft)
    }
}

impl Service for Ingest {
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> BoxFuture<'static, Response<Full<Bytes>>> {
        Box::pin(async move {
            let begun = self.intake.clock().now().instant;
            let mut note = Note::default();
            let answer = match self.take(request, &mut note).await {
                Ok(answer) => answer,
                Err(refusal) => refusal.answer(None),
            };
            let took = self.intake.clock().now().instant.saturating_duration_since(begun);
            let status = answer.status().as_u16();
            self.intake.tallies().request(status, took);
            // No path, no query, no header: whatever a client put there stays out of the log.
            tracing::debug!(
                target: "api::access",
                status,
                %peer,
                producer = note.producer,
                bytes = note.bytes,
                events = note.events,
                ms = took.as_secs_f64() * 1000.0,
            );
            answer
        })
    }
}

/// The answer to a body that was decoded. 429 only if the quota refused every event: then, and only then, sending the
/// whole body again is right.
fn answer(draft: &Draft, accepted: u64, duplicates: u64) -> Answer {
    let outcome = Outcome { accepted, duplicates, rejected: &draft.rejected };
    let rejected = draft.rejected.len() as u64;
    if accepted + duplicates == 0 && rejected > 0 && draft.over_quota == rejected {
        // When the first of them may pass; the rest is told line by line.
        let wait = draft.rejected.iter().filter_map(|rejection| rejection.retry_after).min();
        return Refusal::new(Code::OverQuotaAll, "every event is over its organisation's ingest quota")
            .after(wait.unwrap_or(Duration::from_secs(1)))
            .answer(Some(&outcome));
    }
    json(StatusCode::OK, &outcome)
}

fn no_memory() -> Refusal {
    Refusal::new(Code::Busy, "the memory for incoming bodies is in use: send the same again later")
        .after(Duration::from_secs(1))
}

fn refuse_read(fault: ReadFault) -> Refusal {
    let message = fault.to_string();
    match fault {
        ReadFault::TooLarge => Refusal::new(Code::BodyTooLarge, message),
        ReadFault::TooSlow => {
            let mut refusal = Refusal::new(Code::BodyIncomplete, message);
            refusal.status = StatusCode::REQUEST_TIMEOUT;
            refusal
        }
        ReadFault::Incomplete => Refusal::new(Code::BodyIncomplete, message),
        ReadFault::NoMemory => Refusal::new(Code::Busy, message).after(Duration::from_secs(1)),
    }
    .closing()
}

fn refuse_inflate(fault: InflateFault) -> Refusal {
    let code = match fault {
        InflateFault::Invalid(_) => Code::BadCompression,
        InflateFault::TooLarge => Code::BodyTooLarge,
        InflateFault::Ratio => Code::CompressionRatio,
    };
    Refusal::new(code, fault.to_string())
}

fn refuse_body(fault: BodyFault) -> Refusal {
    Refusal::new(fault.code, fault.message)
}

fn refuse_store(fault: &SubmitFault) -> Refusal {
    let (mut code, mut wait) = (Code::Busy, 1);
    for (_, fault) in &fault.faults {
        match fault {
            AppendFault::Stopped(_) => (code, wait) = (Code::Stopping, 5),
            AppendFault::Refused(_) if code != Code::Stopping => (code, wait) = (Code::DiskFull, 30),
            AppendFault::Refused(_) | AppendFault::Busy(_) => {}
        }
    }
    let message = format!(
        "{fault}; send the whole batch again: events of it that are stored already will count as duplicates"
    );
    Refusal::new(code, message).after(Duration::from_secs(wait))
}
