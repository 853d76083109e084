//! The task that drives the core, and the handle with which the rest of the process talks to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::commit::answer;
use super::core::{Action, Core, Event};
use super::counters::LaneCounters;
use super::inbox::{Inbox, Marks, Shared};
use super::size::LaneMemory;
use super::{Configured, LaneSettings, begin, jobs};
use crate::clock::{Clock, Instant, Moment};
use crate::lane_state::{LaneState, SinkId};
use crate::limits::STEP;
use crate::log::{LogBackend, Scope};
use crate::orgs::Directory;
use crate::sink::Attempt;
use crate::status::{SinkStatus, SinkView, Stamps};
use crate::units::{PartitionId, Row};

/// How long counting what has expired takes, and how often the status waits for that. An owner that does not answer is
/// not waited for for ever.
const COUNTING: Duration = Duration::from_millis(5);
const COUNTING_TRIES: usize = 40;
/// How often a status is made anew because records expired meanwhile.
const EXPIRY_TRIES: usize = 4;
/// While starts are scarce nothing can begin before the next one is due: what ends meanwhile is taken in together, but
/// not later than this. It is the step in which starts are given out as well, see [`crate::limits::StartBudget`].
const TOGETHER: Duration = STEP;
/// Commands that may wait for the engine.
const COMMANDS: usize = 64;

/// The delivery engine: [`Engine::run`] is its task.
pub struct Engine {
    core: Core,
    shared: Arc<Shared>,
    log: Arc<dyn LogBackend>,
    clock: Clock,
    commands: mpsc::Receiver<Command>,
    events: Vec<Event>,
    marks: Marks,
    shutdown: Option<Shutdown>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

struct Shutdown {
    until: Instant,
    recorded: bool,
    reply: oneshot::Sender<()>,
}

enum Command {
    Apply(Configured, oneshot::Sender<()>),
    Pause(SinkId, bool, oneshot::Sender<bool>),
    Views(oneshot::Sender<Vec<SinkView>>),
    Counters(oneshot::Sender<(LaneCounters, usize)>),
    Memory(oneshot::Sender<LaneMemory>),
    Shutdown(Duration, oneshot::Sender<()>),
}

/// The engine's task has ended: the process is on its way down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the delivery engine has stopped: the process is on its way down")]
pub struct EngineStopped;

/// Talks to the engine. Cheap to clone.
#[derive(Clone)]
pub struct Lanes {
    commands: mpsc::Sender<Command>,
    log: Arc<dyn LogBackend>,
    clock: Clock,
    partitions: u16,
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lanes")
    }
}

impl Lanes {
    /// Makes `configured` the configured sinks. Resolves when the beginnings of new ones are durable: wait for it before
    /// events are acknowledged that they must get.
    ///
    /// # Errors
    /// [`EngineStopped`].
    pub async fn apply(&self, configured: impl Into<Configured> + Send) -> Result<(), EngineStopped> {
        let configured = configured.into();
        self.ask(|reply| Command::Apply(configured, reply)).await
    }

    /// Pauses a sink, or lets it go on. False when there is none with this id.
    ///
    /// # Errors
    /// [`EngineStopped`].
    pub async fn set_paused(&self, sink: SinkId, paused: bool) -> Result<bool, EngineStopped> {
        self.ask(|reply| Command::Pause(sink, paused, reply)).await
    }

    /// The status of every sink, ordered by organisation and name. What is pending is counted from the journal, off
    /// the engine's task.
    ///
    /// # Errors
    /// [`EngineStopped`], also when an owner has stopped.
    pub async fn status(&self) -> Result<Vec<SinkStatus>, EngineStopped> {
        for _ in 1..EXPIRY_TRIES {
            let before = self.oldest();
            let status = self.status_once().await?;
            // What expired between the view and the count would be in neither.
            if self.oldest() == before {
                return Ok(status);
            }
        }
        self.status_once().await
    }

    fn oldest(&self) -> Vec<Row> {
        (0..self.partitions).map(|number| self.log.oldest(PartitionId(number)).0).collect()
    }

    async fn status_once(&self) -> Result<Vec<SinkStatus>, EngineStopped> {
        let mut views = self.ask(Command::Views).await?;
        for _ in 0..COUNTING_TRIES {
            if views.iter().flat_map(|view| &view.lanes).all(|lane| !lane.is_counting) {
                break;
            }
            self.clock.sleep_until(self.clock.now().instant + COUNTING).await;
            views = self.ask(Command::Views).await?;
        }
        let mut stamps = Vec::with_capacity(usize::from(self.partitions));
        for number in 0..self.partitions {
            // After the views: what a view holds as settled was stamped before.
            let asked = self.log.org_seqs(PartitionId(number), Scope::All).await;
            let (end, seqs) = asked.map_err(|_| EngineStopped)?;
            stamps.push(Stamps::new(end, seqs));
        }
        let (log, now) = (Arc::clone(&self.log), self.clock.now().wall);
        let complete = move || crate::status::complete(&log, views, &stamps, now);
        tokio::task::spawn_blocking(complete).await.map_err(|_| EngineStopped)
    }

    /// What the engine counts, and the bytes that deliveries hold now.
    ///
    /// # Errors
    /// [`EngineStopped`].
    pub async fn counters(&self) -> Result<(LaneCounters, usize), EngineStopped> {
        self.ask(Command::Counters).await
    }

    /// What the engine holds in memory.
    ///
    /// # Errors
    /// [`EngineStopped`].
    pub async fn memory(&self) -> Result<LaneMemory, EngineStopped> {
        self.ask(Command::Memory).await
    }

    /// Starts no more deliveries, waits up to `grace` for those under way, records every cursor and ends the engine.
    ///
    /// # Errors
    /// [`EngineStopped`]: it had ended before.
    pub async fn shut_down(&self, grace: Duration) -> Result<(), EngineStopped> {
        self.ask(|reply| Command::Shutdown(grace, reply)).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, EngineStopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| EngineStopped)?;
        answer.await.map_err(|_| EngineStopped)
    }
}

impl Engine {
    /// Over a log whose owners fill `inbox`, with the lane states that the journal held (`recovered`).
    #[must_use]
    pub fn new(
        log: Arc<dyn LogBackend>,
        directory: Arc<Directory>,
        clock: Clock,
        settings: LaneSettings,
        inbox: Inbox,
        recovered: Vec<(PartitionId, Vec<LaneState>)>,
    ) -> (Self, Lanes) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let lanes = Lanes {
            commands: sender,
            log: Arc::clone(&log),
            clock: clock.clone(),
            partitions: directory.partitions(),
        };
        let shared = inbox.0;
        let core =
            Core::new(Arc::clone(&log), directory, settings, Arc::clone(&shared), recovered, clock.now());
        let engine = Self {
            core,
            shared,
            log,
            clock,
            commands,
            events: Vec::new(),
            marks: Marks::default(),
            shutdown: None,
        };
        (engine, lanes)
    }

    /// Runs until [`Lanes::shut_down`], or until every [`Lanes`] is gone.
    pub async fn run(mut self) {
        loop {
            let now = self.clock.now();
            self.take_in(now);
            self.core.turn(now);
            self.act();
            if self.is_finished(now) {
                break;
            }
            if self.core.unfinished {
                tokio::task::yield_now().await;
                continue;
            }
            let deadline = self.next_deadline();
            let command = if self.core.starved {
                let latest = now.instant + TOGETHER;
                let until = deadline.map_or(latest, |deadline| deadline.min(latest));
                tokio::select! {
                    biased;
                    command = self.commands.recv() => match command {
                        Some(command) => Some(command),
                        None => break,
                    },
                    () = self.clock.sleep_until(until) => None,
                }
            } else {
                let woken = self.shared.woken();
                let time = async {
                    match deadline {
                        Some(deadline) => self.clock.sleep_until(deadline).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    () = woken => None,
                    command = self.commands.recv() => match command {
                        Some(command) => Some(command),
                        None => break,
                    },
                    () = time => None,
                }
            };
            if let Some(command) = command {
                self.obey(command);
            }
        }
        if let Some(shutdown) = self.shutdown {
            answer(shutdown.reply, ());
        }
    }

    fn take_in(&mut self, now: Moment) {
        let Self { core, shared, events, marks, .. } = self;
        shared.take_marks(marks, |partition, marks| core.marked(partition, marks, now));
        shared.take_events(events);
        for event in events.drain(..) {
            core.handle(event, now);
        }
    }

    fn obey(&mut self, command: Command) {
        let now = self.clock.now();
        match command {
            Command::Apply(configured, reply) => self.core.apply(configured, reply, now),
            Command::Pause(sink, paused, reply) => answer(reply, self.core.set_paused(sink, paused, now)),
            Command::Views(reply) => answer(reply, self.core.views(now)),
            Command::Counters(reply) => answer(reply, (self.core.counters, self.core.memory.used())),
            Command::Memory(reply) => answer(reply, self.core.memory_use()),
            Command::Shutdown(grace, reply) => {
                self.core.closing = true;
                self.shutdown = Some(Shutdown { until: now.instant + grace, recorded: false, reply });
            }
        }
    }

    fn act(&mut self) {
        for action in self.core.actions.drain(..) {
            let (shared, log) = (Arc::clone(&self.shared), Arc::clone(&self.log));
            match action {
                Action::Deliver(sink, delivery) => {
                    tokio::spawn(async move {
                        fail::fail_point!("lane::send::before");
                        let attempt = sink.deliver(delivery).await;
                        shared.push(Event::Ended(attempt));
                    });
                }
                Action::Confirm(sink, due) => {
                    tokio::spawn(async move {
                        for attempt in sink.confirm(due).await {
                            shared.push(Event::Ended(attempt));
                        }
                    });
                }
                Action::Read(lane, spec) => {
                    tokio::spawn(async move { shared.push(Event::Read(lane, log.read(spec).await)) });
                }
                Action::Measure(lane, partition, scope, row) => {
                    tokio::spawn(async move {
                        let counted = jobs::records_before(log, partition, scope, row).await;
                        shared.push(Event::Measured(lane, counted));
                    });
                }
                Action::Record(partition, states) => {
                    tokio::spawn(async move {
                        fail::fail_point!("lane::commit::before");
                        let recorded = log.record(partition, states).await;
                        fail::fail_point!("lane::commit::after");
                        shared.push(Event::Recorded(partition, recorded.map(|_| ())));
                    });
                }
                Action::Begin(number, partition, wanted) => {
                    let clock = self.clock.clone();
                    tokio::spawn(async move {
                        if let Some(begun) = begin::find(log, clock, partition, wanted).await {
                            shared.push(Event::Begun(number, partition, begun));
                        }
                    });
                }
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let shutdown = self.shutdown.as_ref().map(|shutdown| shutdown.until);
        [self.core.deadline(), shutdown].into_iter().flatten().min()
    }

    /// Whether a shutdown is complete: nothing under way (or no time left), and everything recorded.
    fn is_finished(&mut self, now: Moment) -> bool {
        let Some(shutdown) = &mut self.shutdown else { return false };
        let is_late = now.instant >= shutdown.until;
        if !self.core.flights.is_empty() && !is_late {
            return false;
        }
        if !shutdown.recorded {
            shutdown.recorded = true;
            // Recording has its own time, so that a sink that hangs does not cost the cursors of the others.
            shutdown.until = now.instant + Duration::from_secs(5);
            self.core.record_now(now);
            self.act();
            return self.core.is_recorded();
        }
        self.core.is_recorded() || is_late
    }
}

/// Tells whether the attempt type can travel between threads; the engine depends on it.
const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<Attempt>();
    is_send::<Event>();
};
