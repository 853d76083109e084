//! The load: producers that post generated events in batches over kept connections. A process of its own.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use flow::clock::{Clock, Instant, UnixMillis};
use http::Method;
use parking_lot::Mutex;
use receiver::ledger::{Latency, LatencyMeter};
use serde::{Deserialize, Serialize};

use super::http::{Answer, Connection};
use super::process::Usage;
use crate::generate::{Generator, Spec};

/// Command line of the load process. It prints `ready` when it has made its events, waits for a line, runs, and prints
/// its outcome as JSON.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The daemon's ingest URL.
    #[arg(long)]
    pub url: String,
    /// The producer's token; of a bench, hence no secret.
    #[arg(long)]
    pub token: String,
    /// How many events.
    #[arg(long)]
    pub events: u64,
    /// The number of the first event.
    #[arg(long, default_value_t = 0)]
    pub first: u64,
    /// Organisations.
    #[arg(long)]
    pub orgs: u32,
    /// Apps.
    #[arg(long)]
    pub apps: u32,
    /// Seed.
    #[arg(long)]
    pub seed: u64,
    /// Events of one request.
    #[arg(long, default_value_t = 1_000)]
    pub batch: u64,
    /// Connections, each with one request at a time.
    #[arg(long, default_value_t = 4)]
    pub connections: u64,
    /// Events per second; without it, as fast as answers come.
    #[arg(long)]
    pub rate: Option<u64>,
    /// Make events while running instead of before: for more than fit into memory.
    #[arg(long)]
    pub on_the_fly: bool,
    /// Post HEC envelopes to a receiver instead of raw events to a daemon: to measure the measuring itself.
    #[arg(long)]
    pub hec: bool,
}

/// An envelope as a daemon would send it, around an event.
const HEC_BEFORE: &[u8] = b"{\"time\":1795305600.000,\"host\":\"84383462-b484-4cc4-bb21-ef2ecb49a2b1\",\
    \"source\":\"trailwire\",\"sourcetype\":\"trailwire:record\",\"index\":\"app_calls\",\"event\":";
const HEC_AFTER: &[u8] =
    b",\"received_at\":\"2026-11-22T00:00:00.000Z\"},\"fields\":{\"seq\":1234,\"prev_seq\":1233,\
    \"delivery_id\":\"00112233445566778899aabbccddeeff\"}}";

/// What came of the load.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Events that were answered as accepted.
    pub(super) accepted: u64,
    /// Events that were answered as duplicates.
    pub(super) duplicates: u64,
    /// Events that were answered as rejected.
    pub(super) rejected: u64,
    /// Requests by status; 0 for those without an answer.
    pub(super) statuses: BTreeMap<u16, u64>,
    /// From the first request to the last answer.
    pub(super) microseconds: u64,
    /// Milliseconds from a request (with a rate: from its scheduled time) to its answer.
    pub(super) answer: Latency,
    /// CPU of the load process while it sent, microseconds.
    pub(super) cpu_us: u64,
    /// The first answer that was not 200, for the error message.
    pub(super) complaint: Option<String>,
}

/// A request that is ready to go but for the times of its events.
struct Batch {
    body: Vec<u8>,
    /// Where each line starts.
    lines: Vec<usize>,
}

impl Batch {
    fn make(generator: &Generator, numbers: Range<u64>, hec: bool) -> Self {
        let mut batch = Self { body: Vec::new(), lines: Vec::new() };
        for number in numbers {
            if hec {
                batch.body.extend_from_slice(HEC_BEFORE);
            }
            batch.lines.push(batch.body.len());
            generator.event(number, &mut batch.body);
            if hec {
                // The last brace goes behind what is added to the event.
                batch.body.pop();
                batch.body.extend_from_slice(HEC_AFTER);
            }
            batch.body.push(b'\n');
        }
        batch
    }

    /// Sets the time of each event, so that the receiver can tell how long it was on its way.
    fn stamped(mut self, time: UnixMillis) -> Bytes {
        let text = event::time::format_ms(time.0);
        for line in self.lines {
            let place = line + Generator::TIME.start..line + Generator::TIME.end;
            if let Some(place) = self.body.get_mut(place) {
                place.copy_from_slice(&text);
            }
        }
        self.body.into()
    }
}

struct Load {
    args: Args,
    generator: Generator,
    made: Mutex<Vec<Option<Batch>>>,
    next: AtomicU64,
    outcome: Mutex<Outcome>,
    answers: Mutex<LatencyMeter>,
    clock: Clock,
}

/// How long a batch is tried again before the load gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// The wait before a batch is tried again when the answer does not say.
const RETRY: Duration = Duration::from_millis(100);

/// Runs the process.
///
/// # Errors
/// Standard input or output is closed, or the daemon takes nothing for a minute.
pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let spec = Spec { seed: args.seed, orgs: args.orgs, apps: args.apps, ..Spec::default() };
    let load = Load {
        generator: Generator::new(spec),
        made: Mutex::default(),
        next: AtomicU64::new(0),
        outcome: Mutex::default(),
        answers: Mutex::default(),
        clock: Clock::system(),
        args,
    };
    if !load.args.on_the_fly {
        *load.made.lock() = (0..load.batches()).map(|at| Some(load.make(at))).collect();
    }
    println!("ready");
    std::io::stdout().flush()?;
    let mut go = String::new();
    if std::io::stdin().read_line(&mut go)? == 0 {
        return Ok(());
    }
    let before = Usage::of(std::process::id())?;
    let mut outcome = tokio::task::LocalSet::new().block_on(&runtime, play(Rc::new(load)))?;
    outcome.cpu_us = Usage::of(std::process::id())?.cpu_us() - before.cpu_us();
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

async fn play(load: Rc<Load>) -> anyhow::Result<Outcome> {
    let start = load.clock.now();
    let producers: Vec<_> = (0..load.args.connections.max(1))
        .map(|_| {
            let load = Rc::clone(&load);
            tokio::task::spawn_local(async move { load.produce(start.instant, start.wall).await })
        })
        .collect();
    for producer in producers {
        producer.await.context("a producer panicked")??;
    }
    let mut outcome = load.outcome.lock().clone();
    outcome.microseconds =
        u64::try_from((load.clock.now().instant - start.instant).as_micros()).unwrap_or(u64::MAX);
    outcome.answer = load.answers.lock().latency();
    Ok(outcome)
}

impl Load {
    fn batches(&self) -> u64 {
        self.args.events.div_ceil(self.args.batch.max(1))
    }

    fn make(&self, at: u64) -> Batch {
        let start = at * self.args.batch;
        let end = self.args.events.min(start + self.args.batch);
        Batch::make(&self.generator, self.args.first + start..self.args.first + end, self.args.hec)
    }

    /// One connection: takes batch after batch.
    async fn produce(&self, start: Instant, start_wall: UnixMillis) -> anyhow::Result<()> {
        let mut connection = Connection::new(&self.args.url);
        let scheme = if self.args.hec { "Splunk" } else { "Bearer" };
        let authorization = format!("{scheme} {}", self.args.token);
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/x-ndjson")];
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            if at >= self.batches() {
                return Ok(());
            }
            let made =
                usize::try_from(at).ok().and_then(|at| self.made.lock().get_mut(at).and_then(Option::take));
            let batch = made.unwrap_or_else(|| self.make(at));
            // With a rate, a batch that is late because earlier ones were slow is still dated with its scheduled time:
            // otherwise a slow daemon would slow its own clock.
            let time = match self.args.rate {
                None => self.clock.now().wall,
                Some(rate) => {
                    let after = Duration::from_secs_f64((at * self.args.batch) as f64 / rate.max(1) as f64);
                    self.clock.sleep_until(start + after).await;
                    UnixMillis(
                        start_wall.0.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)),
                    )
                }
            };
            let body = batch.stamped(time);
            self.post(&mut connection, &headers, body).await?;
            self.answers.lock().add(time.0, self.clock.now().wall);
        }
    }

    /// Posts a batch until it is taken.
    async fn post(
        &self,
        connection: &mut Connection,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<()> {
        let give_up = self.clock.now().instant + PATIENCE;
        let path = if self.args.hec { "/services/collector/event" } else { "/v1/events" };
        loop {
            let answer = connection.send(Method::POST, path, headers, body.clone()).await;
            let wait = match answer {
                Ok(answer) => {
                    let status = answer.status.as_u16();
                    *self.outcome.lock().statuses.entry(status).or_default() += 1;
                    if status == 200 {
                        if !self.args.hec {
                            self.count(&answer);
                        }
                        return Ok(());
                    }
                    self.complain(|| format!("{status}: {}", String::from_utf8_lossy(&answer.body)));
                    anyhow::ensure!(
                        matches!(status, 429 | 503),
                        "the daemon answered {status}: {}",
                        answer.json()
                    );
                    answer.retry_after_s.map_or(RETRY, Duration::from_secs)
                }
                Err(error) => {
                    *self.outcome.lock().statuses.entry(0).or_default() += 1;
                    self.complain(|| format!("{error:#}"));
                    RETRY
                }
            };
            let next = self.clock.now().instant + wait;
            anyhow::ensure!(
                next < give_up,
                "the daemon took nothing for {PATIENCE:?}: {:?}",
                self.outcome.lock().complaint
            );
            self.clock.sleep_until(next).await;
        }
    }

    fn count(&self, answer: &Answer) {
        #[derive(Deserialize)]
        struct Taken {
            accepted: u64,
            #[serde(default)]
            duplicates: u64,
            #[serde(default)]
            rejected: Vec<serde_json::Value>,
        }
        match serde_json::from_slice::<Taken>(&answer.body) {
            Ok(taken) => {
                let mut outcome = self.outcome.lock();
                outcome.accepted += taken.accepted;
                outcome.duplicates += taken.duplicates;
                outcome.rejected += taken.rejected.len() as u64;
                drop(outcome);
                if let Some(first) = taken.rejected.first() {
                    self.complain(|| first.to_string());
                }
            }
            Err(error) => self.complain(|| format!("the answer cannot be read: {error}")),
        }
    }

    fn complain(&self, words: impl FnOnce() -> String) {
        self.outcome.lock().complaint.get_or_insert_with(words);
    }
}
