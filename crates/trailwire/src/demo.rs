//! `trailwire demo`: the whole product on one screen, without network or other servers.
//!
//! The daemon that runs here is the product's own, with a configuration on disk like any other; only the receiver and
//! the recorded events are the demo's. It is started through a function that is passed in, so that this module knows
//! nothing of the wiring.

mod console;
mod sample;
mod summary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use flow::clock::Clock;
use futures_util::future::BoxFuture;
use http::Method;
use receiver::{Receiver, Settings, Token};
use serde_json::Value;

use crate::bench::http::Connection;
use crate::bench::installation::{Installation, OrgSink, PRODUCER_VARIABLE, SHARED_TOKEN, Sinks};
use crate::cli::Exit;
use sample::Sample;
use summary::{Intake, Summary};

/// Command line of `demo`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Exit codes: 0 all was delivered and the receiver has no complaint; 1 otherwise.

Examples:
  trailwire demo
  trailwire demo --exit-when-done --data /tmp/demo && trailwire journal inspect /tmp/demo/data/journal --totals")]
pub struct Args {
    /// End after the summary, for scripts.
    #[arg(long)]
    pub exit_when_done: bool,
    /// Keep configuration and journal in this folder and go on with what is there; without it, a temporary one.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// A daemon that serves.
pub struct Served {
    /// URL of the ingest listener.
    pub ingest: String,
    /// URL of the admin listener.
    pub admin: String,
    /// Ends it in order when awaited.
    pub stop: BoxFuture<'static, anyhow::Result<()>>,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served")
            .field("ingest", &self.ingest)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

/// The producer's token; good for this demo on loopback only.
const PRODUCER_TOKEN: &str = "demo-producer-token";
/// Deliveries of the sample, at most.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the status page is asked whether all is delivered.
const POLL: Duration = Duration::from_millis(50);
/// Events of one request.
const BATCH: usize = 100;

/// Runs the demo. `start` starts the daemon with the configuration at a path and these variables.
///
/// # Errors
/// Files, ports, a daemon that does not take the sample or does not deliver it within a minute.
pub async fn run(
    args: Args,
    start: impl AsyncFnOnce(PathBuf, BTreeMap<String, String>) -> anyhow::Result<Served>,
) -> anyhow::Result<Exit> {
    let temporary = match &args.data {
        None => Some(
            tempfile::Builder::new()
                .prefix("trailwire-demo-")
                .tempdir()
                .context("making a temporary folder")?,
        ),
        Some(_) => None,
    };
    let folder = temporary
        .as_ref()
        .map(tempfile::TempDir::path)
        .or(args.data.as_deref())
        .unwrap_or_else(|| Path::new("."));
    let sample = Sample::shipped()?;
    let receiver = Receiver::start(collector(&sample)).await.context("starting the demo's receiver")?;
    let sinks: Vec<OrgSink> =
        sample.orgs.iter().map(|(id, name)| OrgSink { id: id.clone(), name: name.clone() }).collect();
    let installation = Installation::write(folder, &receiver.url(), Sinks::Both(&sinks), "")?;
    let environment = BTreeMap::from([(PRODUCER_VARIABLE.to_owned(), PRODUCER_TOKEN.to_owned())]);
    let served = start(installation.config(), environment).await.context("starting the daemon")?;

    let intake = post(&served.ingest, &sample).await?;
    let clock = Clock::system();
    let status = settle(&served.admin, &clock).await?;
    let summary = Summary::of(&sample, intake, &status, &receiver);
    print!("{summary}");
    if args.exit_when_done {
        served.stop.await.context("ending the daemon")?;
        return Ok(if summary.is_clean() { Exit::Success } else { Exit::Failure });
    }
    let stay = console::Stay { sample: &sample, receiver: &receiver, served: &served, folder, clock: &clock };
    stay.until_quit().await?;
    served.stop.await.context("ending the daemon")?;
    Ok(Exit::Success)
}

/// A receiver that knows whose records may come with which token.
fn collector(sample: &Sample) -> Settings {
    let shared = Settings::enterprise().token(Token::new(SHARED_TOKEN));
    sample.orgs.keys().fold(shared, |settings, id| settings.token(Token::for_orgs(id, [id.as_str()])))
}

async fn post(ingest: &str, sample: &Sample) -> anyhow::Result<Intake> {
    let mut connection = Connection::new(ingest);
    let authorization = format!("Bearer {PRODUCER_TOKEN}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/x-ndjson")];
    let mut intake = Intake::default();
    for lines in sample.lines.chunks(BATCH) {
        let body = Bytes::from(lines.join("\n"));
        let answer = connection.send(Method::POST, "/v1/events", &headers, body).await?;
        let told = answer.json();
        anyhow::ensure!(answer.status == 200, "the daemon answered {}: {told}", answer.status);
        intake.add(lines.len(), &told);
    }
    Ok(intake)
}

/// Waits until no sink has anything pending; the last status page, whatever it says, when that takes too long.
async fn settle(admin: &str, clock: &Clock) -> anyhow::Result<Value> {
    let mut connection = Connection::new(admin);
    let give_up = clock.now().instant + PATIENCE;
    loop {
        let answer = connection.get("/v1/status").await?;
        anyhow::ensure!(answer.status == 200, "the status page answered {}", answer.status);
        let status = answer.json();
        let now = clock.now().instant;
        if summary::pending(&status) == 0 || now > give_up {
            return Ok(status);
        }
        clock.sleep_until(now + POLL).await;
    }
}
