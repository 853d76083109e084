//! Receiver, daemon and load together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use flow::clock::Clock;
use receiver::Totals;

use super::child::Child;
use super::http::Connection;
use super::installation::{Installation, OrgSink, PRODUCER_VARIABLE};
use super::load::{self, Outcome};
use super::process::Usage;

/// The producer's token; of a bench on loopback, hence no secret.
const PRODUCER_TOKEN: &str = "bench-producer-0123456789abcdef";
/// Starting and recovering, at most.
const START: Duration = Duration::from_secs(120);
/// One answer of a child, at most.
const ANSWER: Duration = Duration::from_secs(10);
/// Making events and sending them, at most.
const LOAD: Duration = Duration::from_secs(3_600);
/// Deliveries may stand still for this long.
const STANDSTILL: Duration = Duration::from_secs(30);
/// How often the receiver is asked for its counts.
const POLL: Duration = Duration::from_millis(50);

/// A folder to work in: one that is removed, or one that stays.
#[derive(Debug)]
pub(crate) enum Folder {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Folder {
    pub(crate) fn new(kept: Option<&Path>) -> anyhow::Result<Self> {
        match kept {
            None => Ok(Self::Temporary(tempfile::tempdir().context("making a temporary folder")?)),
            Some(path) => {
                std::fs::create_dir_all(path).with_context(|| format!("creating {}", path.display()))?;
                Ok(Self::Kept(path.to_owned()))
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }
}

/// The far end.
#[derive(Debug)]
pub(crate) struct Collector {
    child: Child,
    pub(crate) url: String,
}

impl Collector {
    /// Starts it; with `orgs`, each is a token for its own records only.
    pub(crate) async fn start(folder: &Path, orgs: Option<&[OrgSink]>) -> anyhow::Result<Self> {
        let mut args = vec!["bench-receiver".to_owned()];
        if let Some(orgs) = orgs {
            let list = folder.join("receiver-orgs");
            std::fs::write(&list, orgs.iter().map(|org| format!("{}\n", org.id)).collect::<String>())
                .with_context(|| format!("writing {}", list.display()))?;
            args.extend(["--orgs".to_owned(), list.to_string_lossy().into_owned()]);
        }
        let mut child = Child::start("receiver", args, &[], &folder.join("receiver.log"))?;
        let url = child.line(ANSWER).await?;
        Ok(Self { child, url })
    }

    pub(crate) async fn totals(&mut self) -> anyhow::Result<Totals> {
        self.child.ask("totals", ANSWER).await
    }

    pub(crate) async fn reset(&mut self) -> anyhow::Result<()> {
        self.child.tell("reset").await
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        self.child.usage()
    }

    /// Waits until it has got `events`, as long as they keep coming.
    pub(crate) async fn wait_for(&mut self, events: u64, clock: &Clock) -> anyhow::Result<Totals> {
        let mut last = (0, clock.now().instant);
        loop {
            let totals = self.totals().await?;
            let now = clock.now().instant;
            if totals.events >= events {
                return Ok(totals);
            }
            if totals.events > last.0 {
                last = (totals.events, now);
            }
            if now - last.1 > STANDSTILL {
                bail!("{} of {events} events were delivered, then none for {STANDSTILL:?}", totals.events);
            }
            clock.sleep_until(now + POLL).await;
        }
    }
}

/// The daemon under measurement.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) child: Child,
    pub(crate) ingest: String,
    pub(crate) admin: String,
}

impl Daemon {
    /// `trailwire run` with this installation; returns when it says that it is ready.
    pub(crate) async fn start(installation: &Installation) -> anyhow::Result<Self> {
        let config = installation.config();
        let args = ["run".as_ref(), "--config".as_ref(), config.as_os_str()];
        let environment = [(PRODUCER_VARIABLE, PRODUCER_TOKEN)];
        let mut child =
            Child::start("daemon", args, &environment, &installation.folder().join("daemon.log"))?;
        loop {
            let line = child.line(START).await?;
            let Some(words) = line.strip_prefix("ready ") else { continue };
            let value = |key: &str| {
                let found = words.split(' ').find_map(|word| word.strip_prefix(key)).map(str::to_owned);
                found.with_context(|| format!("the daemon said `{line}`, without {key}"))
            };
            return Ok(Self { ingest: value("ingest=")?, admin: value("admin=")?, child });
        }
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        self.child.usage()
    }

    /// Ends it with SIGTERM; it must end well.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let status = self.child.terminate(START).await?;
        anyhow::ensure!(status.success(), "the daemon ended with {status}");
        Ok(())
    }

    /// Bytes that each part of the memory split says it uses.
    pub(crate) async fn memory(&self) -> anyhow::Result<Vec<(String, u64)>> {
        let status = Connection::new(&self.admin).get("/v1/status").await?.json();
        let parts = status.get("memory").and_then(serde_json::Value::as_array);
        let part = |part: &serde_json::Value| {
            Some((part.get("part")?.as_str()?.to_owned(), part.get("used_bytes")?.as_u64()?))
        };
        Ok(parts.context("a status page lists the memory")?.iter().filter_map(part).collect())
    }

    /// The sum of one term of the accounting identity over all sinks.
    pub(crate) async fn sum(&self, term: &str) -> anyhow::Result<u64> {
        let status = Connection::new(&self.admin).get("/v1/status").await?.json();
        let sinks =
            status.get("sinks").and_then(serde_json::Value::as_array).context("a status page lists sinks")?;
        Ok(sinks.iter().filter_map(|sink| sink.get(term)?.as_u64()).sum())
    }
}

/// What to send.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) events: u64,
    pub(crate) first: u64,
    pub(crate) orgs: u32,
    pub(crate) apps: u32,
    pub(crate) seed: u64,
    pub(crate) batch: u64,
    pub(crate) connections: u64,
    pub(crate) rate: Option<u64>,
    pub(crate) on_the_fly: bool,
    pub(crate) hec: bool,
}

/// A load process that has made its events and waits.
#[derive(Debug)]
pub(crate) struct Load(Child);

impl Load {
    pub(crate) async fn prepare(plan: &Plan, url: &str, folder: &Path) -> anyhow::Result<Self> {
        let mut args = vec!["bench-load".to_owned()];
        let mut add = |name: &str, value: String| args.extend([format!("--{name}"), value]);
        add("url", url.to_owned());
        add("token", PRODUCER_TOKEN.to_owned());
        add("events", plan.events.to_string());
        add("first", plan.first.to_string());
        add("orgs", plan.orgs.to_string());
        add("apps", plan.apps.to_string());
        add("seed", plan.seed.to_string());
        add("batch", plan.batch.to_string());
        add("connections", plan.connections.to_string());
        if let Some(rate) = plan.rate {
            add("rate", rate.to_string());
        }
        if plan.on_the_fly {
            args.push("--on-the-fly".to_owned());
        }
        if plan.hec {
            args.push("--hec".to_owned());
        }
        let mut child = Child::start("load", args, &[], &folder.join("load.log"))?;
        let ready = child.line(LOAD).await?;
        anyhow::ensure!(ready == "ready", "the load said `{ready}`");
        Ok(Self(child))
    }

    /// Runs it to its end. The process has ended afterwards.
    pub(crate) async fn go(&mut self) -> anyhow::Result<Outcome> {
        let outcome: load::Outcome = self.0.ask("go", LOAD).await?;
        anyhow::ensure!(
            outcome.rejected == 0,
            "{} events were rejected, such as {}",
            outcome.rejected,
            outcome.complaint.as_deref().unwrap_or("?")
        );
        Ok(outcome)
    }
}
