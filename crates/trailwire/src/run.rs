//! The daemon: everything wired together, from the journal's recovery to the last recorded cursor.
//!
//! The order of the start is part of what is promised: the journal is recovered and synced before any lane, answer or
//! stamp uses it, and the beginnings of new sinks are durable before the first event is acknowledged.

mod idle;
mod outward;
mod reload;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::admin::Admin;
use api::budget::Budget;
use api::ingest::{Ingest, Patience};
use api::intake::Intake;
use api::metrics::{Signals, Tallies};
use api::quota::Quotas;
use api::server::{Drained, Limits, serve};
use event::OrgId;
use flow::clock::Clock;
use flow::ingress::Ingress;
use flow::lane::{Engine, LaneSettings, Lanes, LogObserver, inbox};
use flow::local::{LocalLog, LocalSettings, Observer, Restored};
use flow::log::{Log, LogBackend};
use flow::orgs::{Directory, UnknownOrgs};
use flow::partition::OwnerFault;
use flow::segment::{SegmentIo, SegmentRead};
use pipelines::{Grant, Keys, Plan};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cli::Exit;
use crate::sinks::{Configuration, Made};
use crate::{grants, master_secret, operator_client, otlp};

/// How long deliveries under way may take once the process was told to stop.
const DRAIN: Duration = Duration::from_secs(15);

/// Why the daemon does not start.
#[derive(Debug)]
pub struct StartFault {
    /// What to end the process with.
    pub exit: Exit,
    /// In words.
    pub error: anyhow::Error,
}

impl From<anyhow::Error> for StartFault {
    fn from(error: anyhow::Error) -> Self {
        Self { exit: Exit::Failure, error }
    }
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    /// Where events are taken.
    pub ingest: SocketAddr,
    /// Where status and metrics are.
    pub admin: SocketAddr,
    core: Core,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<Drained>>,
    reloading: reload::Reloading,
    signals: Arc<Signals>,
    exporting: Option<JoinHandle<()>>,
}

/// The daemon without its listeners: journal, owners, lanes and the way in.
#[derive(Debug)]
pub struct Core {
    intake: Arc<Intake>,
    budget: Arc<Budget>,
    lanes: Lanes,
    made: Made,
    log: Arc<LocalLog>,
    engine: JoinHandle<()>,
    grants: BTreeMap<String, Arc<Grant>>,
    source: Arc<status::Source>,
    tallies: Arc<Tallies>,
    client: egress::Client,
    _sweeping: idle::Sweeping,
    directory: Arc<Directory>,
    clock: Clock,
}

impl Core {
    /// Recovers the journal and starts owners and lanes.
    ///
    /// # Errors
    /// [`StartFault`].
    pub async fn start(configuration: &Configuration) -> Result<Self, StartFault> {
        let operator = &configuration.operator;
        let clock = Clock::system();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let folder = operator.data_dir.join("journal");
        make_folder(&operator.data_dir)
            .with_context(|| format!("creating {}", operator.data_dir.display()))?;
        let is_old = folder.join("manifest.json").try_exists().context("looking at the journal")?;
        let secret = master_secret::load(&operator.data_dir, operator.master_secret.as_ref(), is_old)?;
        master_secret::check(&operator.data_dir, &secret, is_old)?;
        let opened = open_journal(&folder, configuration)?;
        for (partition, recovery) in opened.recoveries.iter().enumerate() {
            tracing::debug!(partition, ?recovery, "recovered");
        }
        let partitions = u16::try_from(opened.writers.len()).unwrap_or(u16::MAX);
        let unknown = match operator.unknown_org {
            config::UnknownOrg::Accept => UnknownOrgs::Accept,
            config::UnknownOrg::Refuse => UnknownOrgs::Refuse,
        };
        let directory = Directory::new(partitions, unknown);
        directory.configure(configuration.orgs.iter().map(|org| &org.id));
        let settings = LocalSettings {
            window: operator.dedupe_window as usize,
            tail_bytes: bytes(operator.memory.tail),
            queued_bytes: bytes(operator.memory.ingest),
            writer_bytes: bytes(operator.memory.writers),
            group_bytes: bytes(status::groups_part(operator.memory.lanes)),
            threads: operator.threads.map_or(cores, usize::from),
        };
        let writers: Vec<Box<dyn SegmentIo>> =
            opened.writers.into_iter().map(|writer| Box::new(writer) as Box<dyn SegmentIo>).collect();
        let (restore_directory, restore_clock) = (Arc::clone(&directory), clock.clone());
        let restored = tokio::task::spawn_blocking(move || {
            Restored::open(writers, restore_directory, settings, &restore_clock)
        })
        .await
        .context("restoring the journal's state")?
        .map_err(|fault| StartFault { exit: exit_of(&fault), error: fault.into() })?;

        let (notify, inbox) = inbox(partitions);
        let observer: Arc<dyn Observer> = LogObserver::new(notify, stop);
        let reader: Arc<dyn SegmentRead> = Arc::<journal::Reader>::clone(&opened.reader);
        let opened_log = restored.start(reader, &clock, &observer).context("starting an owner thread")?;
        let log: Arc<LocalLog> = opened_log.log;
        let backend: Arc<dyn LogBackend> = Arc::<LocalLog>::clone(&log);
        let mut lane_settings = LaneSettings::new(
            u128::from_le_bytes(opened.log.0),
            u32::try_from(cores).unwrap_or(1),
            rand::random(),
        );
        lane_settings.starts_per_second =
            operator.delivery_starts_per_core.saturating_mul(u32::try_from(cores).unwrap_or(1));
        lane_settings.memory = bytes(operator.memory.in_flight);
        let (engine, lanes) = Engine::new(
            Arc::clone(&backend),
            Arc::clone(&directory),
            clock.clone(),
            lane_settings,
            inbox,
            opened_log.lanes,
        );
        let engine = tokio::spawn(engine.run());

        let client = outward::client(operator, &clock)?;
        let mut made = Made::default();
        lanes.apply(made.make(configuration, &client)).await.context("starting the sinks")?;

        let plan = Arc::new(Plan::new(Keys::derive(&secret), Arc::clone(&directory)));
        let tallies = Arc::new(Tallies::default());
        let quotas = Quotas::new(
            grants::quota(&operator.ingest_per_org),
            configuration.orgs.iter().map(|org| (directory.recall(&org.id).key, grants::quota(&org.ingest))),
            &clock,
        );
        let intake =
            Intake::new(plan, Ingress::new(Log::new(backend)), quotas, Arc::clone(&tallies), clock.clone());
        let budget = Arc::new(Budget::new(bytes(operator.memory.ingest)));
        let source = Arc::new(status::Source::new(
            opened.log.to_string(),
            lanes.clone(),
            Arc::clone(&log),
            opened.reader,
            Arc::clone(&budget),
            operator.memory,
            clock.clone(),
        ));
        source.check_tables().await;
        Ok(Self {
            intake,
            budget,
            lanes,
            made,
            log,
            engine,
            grants: grants::all(operator)?,
            source,
            tallies,
            _sweeping: idle::Sweeping::start(client.clone(), clock.clone()),
            client,
            directory,
            clock,
        })
    }

    /// The way in for files and standard input.
    #[must_use]
    pub fn intake(&self) -> &Arc<Intake> {
        &self.intake
    }

    /// What a producer may send.
    #[must_use]
    pub fn grant(&self, producer: &str) -> Option<Arc<Grant>> {
        self.grants.get(producer).map(Arc::clone)
    }

    /// Resolves when the delivery engine has ended though nobody told it to: from then on nothing is delivered, and the
    /// process must stop. [`Core::shut_down`] is not for such a core.
    pub async fn failed(&mut self) -> anyhow::Error {
        end_of(&mut self.engine).await
    }

    /// Lets deliveries under way finish, records every cursor, writes the watermark.
    ///
    /// # Errors
    /// When a part had failed before.
    pub async fn shut_down(self) -> anyhow::Result<()> {
        let Self { lanes, log, engine, source, .. } = self;
        source.leave();
        let drained = lanes.shut_down(DRAIN).await;
        engine.await.context("the delivery engine panicked")?;
        tokio::task::spawn_blocking(move || log.shut_down()).await.context("ending the owners")?;
        drained.context("ending the lanes")
    }
}

impl Daemon {
    /// Starts everything and listens.
    ///
    /// # Errors
    /// [`StartFault`].
    pub async fn start(
        configuration: Configuration,
        path: PathBuf,
        environment: BTreeMap<String, String>,
    ) -> Result<Self, StartFault> {
        let operator = &configuration.operator;
        // Taken first: a port in use should not cost a recovery.
        let ingest = bind(operator.listen.ingest, "listen.ingest").await?;
        let admin = bind(operator.listen.admin, "listen.admin").await?;
        let (ingest_address, admin_address) = (address(&ingest)?, address(&admin)?);
        let mut core = Core::start(&configuration).await?;
        let producers = grants::producers(operator)?;
        if producers.is_empty() {
            tracing::warn!("no producer is configured: every request to /v1/events will be refused");
        }
        let signals = Signals::new(Arc::clone(&core.tallies), Arc::<status::Source>::clone(&core.source));
        let token = operator.admin_token.as_ref().map(grants::token);
        let pages = Admin::new(Arc::clone(&signals), token, admin_address)
            .map_err(|fault| StartFault { exit: Exit::Configuration, error: fault.into() })?;
        let intake =
            Ingest::new(Arc::clone(&core.intake), producers, Arc::clone(&core.budget), Patience::default());
        let (stop, stopped) = watch::channel(false);
        let listeners = vec![
            tokio::spawn(serve(
                ingest,
                Arc::<Ingest>::clone(&intake),
                Limits::default(),
                core.clock.clone(),
                stopped.clone(),
            )),
            tokio::spawn(serve(admin, pages, Limits::default(), core.clock.clone(), stopped.clone())),
        ];
        let exporting = match &operator.otlp_endpoint {
            Some(endpoint) => {
                let client = operator_client::client(&operator.egress_roots, &core.clock)?;
                let task = otlp::start(endpoint, &client, &signals, &core.clock, stopped)
                    .with_context(|| format!("exporting metrics to {endpoint}"))?;
                Some(task)
            }
            None => None,
        };
        core.source.enter();
        let reloading =
            reload::Reloading::new(path, environment, configuration, std::mem::take(&mut core.made), intake);
        Ok(Self {
            ingest: ingest_address,
            admin: admin_address,
            core,
            stop,
            listeners,
            reloading,
            signals,
            exporting,
        })
    }

    /// Journal, lanes and the way in.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Status and metrics.
    #[must_use]
    pub fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// See [`Core::failed`].
    pub async fn failed(&mut self) -> anyhow::Error {
        self.core.failed().await
    }

    /// Reads the configuration again and applies what changed. What cannot be read leaves the old in force.
    pub async fn reload(&mut self) {
        self.reloading.apply(&self.core).await;
    }

    /// Stops listening, lets requests and deliveries finish, and records where every sink is.
    ///
    /// # Errors
    /// When a part had failed before.
    pub async fn shut_down(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        for listener in self.listeners {
            let drained = listener.await.context("a listener panicked")?;
            if drained.cut > 0 {
                tracing::warn!(requests = drained.cut, "cut requests that took too long");
            }
        }
        let ended = self.core.shut_down().await;
        // Bounded by the exporter's own time-out, and of less weight than the cursors.
        if let Some(exporting) = self.exporting
            && let Err(error) = exporting.await
        {
            tracing::warn!(%error, "the export of metrics ended badly");
        }
        ended
    }
}

fn bytes(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn open_journal(
    folder: &std::path::Path,
    configuration: &Configuration,
) -> Result<journal::Journal, StartFault> {
    let operator = &configuration.operator;
    let settings = journal::Settings {
        partitions: operator.journal.partitions,
        segment_bytes: operator.journal.segment_bytes,
        max_age: operator.buffer.max_age,
        max_bytes: operator.buffer.max_bytes,
        ..journal::Settings::default()
    };
    journal::open(disk(), folder, &settings).map_err(|error| {
        let exit = match &error {
            journal::OpenError::Locked(_) => Exit::Locked,
            journal::OpenError::Damaged(_) => Exit::Damaged,
            _ => Exit::Failure,
        };
        StartFault { exit, error: error.into() }
    })
}

#[cfg(not(feature = "failpoints"))]
fn disk() -> Arc<dyn journal::vfs::Vfs> {
    Arc::new(journal::vfs::OsVfs)
}

#[cfg(feature = "failpoints")]
use crate::failpoints::disk;

async fn bind(address: SocketAddr, key: &str) -> Result<TcpListener, StartFault> {
    TcpListener::bind(address).await.map_err(|error| StartFault {
        exit: Exit::Failure,
        error: anyhow::Error::new(error).context(format!("listening on {address} (`{key}`)")),
    })
}

fn address(listener: &TcpListener) -> anyhow::Result<SocketAddr> {
    listener.local_addr().context("asking for the listener's address")
}

/// Makes the folder and those above it, and their entries durable: a journal in a folder that a power cut takes away
/// would be gone with everything that was acknowledged.
fn make_folder(folder: &std::path::Path) -> std::io::Result<()> {
    let above = || folder.ancestors().filter(|path| !path.as_os_str().is_empty());
    let missing = above().take_while(|path| !path.try_exists().unwrap_or(true)).count();
    std::fs::create_dir_all(folder)?;
    // Also where nothing is missing: an earlier start may have ended between the two steps.
    for path in above().take(missing.max(1)) {
        let parent = path.parent().unwrap_or(path);
        let parent = if parent.as_os_str().is_empty() { std::path::Path::new(".") } else { parent };
        match std::fs::File::open(parent).and_then(|parent| parent.sync_all()) {
            // A folder above that is not ours to read: whoever made ours there has to know.
            Err(error) if missing == 0 && error.kind() == std::io::ErrorKind::PermissionDenied => {}
            other => other?,
        }
    }
    Ok(())
}

/// Only damage sends the operator to `journal repair`: a full or failing disk must not.
fn exit_of(fault: &OwnerFault) -> Exit {
    match fault {
        OwnerFault::State { .. } => Exit::Damaged,
        OwnerFault::Io { error, .. } if error.kind() == std::io::ErrorKind::InvalidData => Exit::Damaged,
        OwnerFault::Io { .. } | OwnerFault::Panicked { .. } => Exit::Failure,
    }
}

/// Why the engine has ended.
async fn end_of(engine: &mut JoinHandle<()>) -> anyhow::Error {
    let text = "the delivery engine has ended, nothing is delivered any more: the process stops, and a restart goes on at \
                the recorded places; this is a bug, please report it";
    match engine.await {
        Ok(()) => anyhow::Error::msg(text),
        Err(error) => anyhow::Error::new(error).context(text),
    }
}

/// An owner that failed ends the process.
fn stop(fault: &OwnerFault) {
    tracing::error!(%fault, "stopping: only a restart can tell what the disk holds");
    std::process::exit(i32::from(Exit::Failure as u8));
}

/// The organisation that owns a sink, as text.
pub(crate) fn owner_text(owner: Option<&OrgId>) -> String {
    owner.map_or_else(|| "*".to_owned(), ToString::to_string)
}
