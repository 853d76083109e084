//! The engine over a log in memory and scripted sinks, on a paused clock.

mod delivery;
mod failure;
mod losses;
mod races;
mod restart;
mod retention;
mod sinks;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::table::Lane;
use super::*;
use crate::clock::{Clock, Moment, UnixMillis};
use crate::lane_state::LaneState;
use crate::orgs::{Directory, UnknownOrgs};
use crate::sink::{Attempt, BatchShape, Delivery, Unconfirmed, Verdict};
use crate::status::{SinkState, SinkStatus};
use crate::testing::memory_log::MemoryLog;
use crate::testing::segments::MemorySegments;
use crate::{PartitionId, Row, Seq};

const WALL: UnixMillis = UnixMillis(1_763_800_000_000);

/// What a sink does with one attempt.
pub(super) enum Act {
    Settle(Verdict),
    /// Settles after a while.
    Later(Duration, Verdict),
    /// Accepts after a while, saying that the far end is nearly full.
    NearlyFull(Duration),
    /// Drops the delivery.
    Drop,
    Panic,
}

/// One record as a sink got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    org: String,
    seq: Option<Seq>,
    prev: Option<Option<Seq>>,
    row: Row,
    record: String,
}

/// One attempt as a sink saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    at: Moment,
    id: String,
    attempt: u32,
    records: Vec<Got>,
}

type Script = Box<dyn Fn(&Seen) -> Act + Send + Sync>;

/// A sink that does as it is told, and remembers.
pub(super) struct Scripted {
    shape: Mutex<BatchShape>,
    clock: Clock,
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    /// What it has accepted, in the order of acceptance.
    accepted: Mutex<Vec<Got>>,
}

impl Scripted {
    fn new(clock: &Clock) -> Arc<Self> {
        let shape = BatchShape { max_events: 100, max_bytes: 64 << 10, overhead: 32 };
        Arc::new(Self {
            shape: Mutex::new(shape),
            clock: clock.clone(),
            script: Mutex::new(Box::new(|_| Act::Settle(Verdict::Accepted))),
            seen: Mutex::default(),
            accepted: Mutex::default(),
        })
    }

    fn does(&self, script: impl Fn(&Seen) -> Act + Send + Sync + 'static) {
        *self.script.lock() = Box::new(script);
    }

    fn accepts(&self) {
        self.does(|_| Act::Settle(Verdict::Accepted));
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    fn accepted(&self) -> Vec<Got> {
        self.accepted.lock().clone()
    }

    /// The accepted seqs of an organisation, in order of acceptance.
    fn seqs(&self, org: &str) -> Vec<u64> {
        self.accepted
            .lock()
            .iter()
            .filter(|got| got.org == org)
            .filter_map(|got| got.seq)
            .map(|seq| seq.0)
            .collect()
    }
}

impl Sink for Scripted {
    fn shape(&self) -> BatchShape {
        *self.shape.lock()
    }

    fn deliver(self: Arc<Self>, delivery: Delivery) -> BoxFuture<'static, Attempt> {
        Box::pin(async move {
            let mut records = Vec::new();
            delivery.rows().for_each(|row| {
                records.push(Got {
                    org: row.org.to_owned(),
                    seq: row.seq,
                    prev: row.prev_seq,
                    row: row.row,
                    record: String::from_utf8(row.record.to_vec()).unwrap(),
                });
            });
            assert_eq!(records.len() as u64, delivery.rows().count());
            let seen = Seen {
                at: self.clock.now(),
                id: delivery.delivery_id(),
                attempt: delivery.attempt(),
                records,
            };
            self.seen.lock().push(seen.clone());
            let act = (self.script.lock())(&seen);
            let is_full = matches!(act, Act::NearlyFull(_));
            let verdict = match act {
                Act::Settle(verdict) => verdict,
                Act::Later(wait, verdict) => {
                    self.clock.sleep_until(self.clock.now().instant + wait).await;
                    verdict
                }
                Act::NearlyFull(wait) => {
                    self.clock.sleep_until(self.clock.now().instant + wait).await;
                    Verdict::Accepted
                }
                Act::Drop => {
                    drop(delivery);
                    // The attempt has to be something: it stays open for ever, as a lost task does.
                    return std::future::pending().await;
                }
                Act::Panic => panic!("a fault in a connector"),
            };
            let taken = match &verdict {
                Verdict::Accepted => seen.records.len(),
                Verdict::PerRow { accepted_prefix, .. } => usize::try_from(*accepted_prefix).unwrap(),
                _ => 0,
            };
            self.accepted.lock().extend(seen.records.into_iter().take(taken));
            let settled = delivery.settle(verdict);
            Attempt::Settled(if is_full { settled.nearly_full() } else { settled })
        })
    }

    fn confirm(self: Arc<Self>, due: Vec<Unconfirmed>) -> BoxFuture<'static, Vec<Attempt>> {
        Box::pin(async move {
            due.into_iter().map(|due| Attempt::Settled(due.delivery.settle(Verdict::Accepted))).collect()
        })
    }
}

pub(super) fn cause(what: &str) -> Cause {
    Cause { what: what.to_owned(), remedy: "a remedy".to_owned(), code: Some(503) }
}

pub(super) fn retry() -> Act {
    Act::Settle(Verdict::Retry { after: None, cause: cause("down") })
}

/// A process, its disk and its clock.
pub(super) struct Machine {
    disk: MemorySegments,
    clock: Clock,
    settings: LaneSettings,
    tail_bytes: usize,
    pub(super) log: Arc<MemoryLog>,
    pub(super) lanes: Lanes,
    task: JoinHandle<()>,
}

const PARTITIONS: u16 = 4;

impl Machine {
    fn new() -> Self {
        Self::with(8 << 20, LaneSettings::new(7, 2, 42))
    }

    fn with(tail_bytes: usize, settings: LaneSettings) -> Self {
        Self::boot(MemorySegments::new(PARTITIONS, 40), Clock::simulated(WALL), tail_bytes, settings)
    }

    fn boot(disk: MemorySegments, clock: Clock, tail_bytes: usize, settings: LaneSettings) -> Self {
        let directory = Directory::new(PARTITIONS, UnknownOrgs::Accept);
        let (notify, inbox) = inbox(PARTITIONS);
        let (log, recovered) = MemoryLog::open(&disk, &directory, notify, &clock, tail_bytes).unwrap();
        let backend: Arc<dyn crate::log::LogBackend> = Arc::<MemoryLog>::clone(&log);
        let (engine, lanes) =
            Engine::new(backend, directory, clock.clone(), settings.clone(), inbox, recovered);
        let task = tokio::spawn(engine.run());
        Self { disk, clock, settings, tail_bytes, log, lanes, task }
    }

    /// The process dies here; another one begins with what was synced.
    async fn crash(self) -> Self {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()));
        // Attempts of the old process must not reach into the new one: their engine is gone.
        Self::boot(self.disk, self.clock, self.tail_bytes, self.settings)
    }

    async fn wait(&self, time: Duration) {
        self.clock.sleep_until(self.clock.now().instant + time).await;
    }

    async fn millis(&self, millis: u64) {
        self.wait(Duration::from_millis(millis)).await;
    }

    async fn status(&self, name: &str) -> SinkStatus {
        let all = self.lanes.status().await.unwrap();
        let status = all.into_iter().find(|status| status.name == name).unwrap();
        assert!(status.balances(), "the identity holds at every moment: {status:?}");
        status
    }

    async fn held(&self) -> usize {
        self.lanes.counters().await.unwrap().1
    }

    fn states(&self) -> Vec<LaneState> {
        self.log.lane_states()
    }

    fn put(&self, org: &str, count: u32) {
        self.log.put(org, count, 200).unwrap();
    }
}

pub(super) fn org(name: &str) -> OrgId {
    OrgId::new(name).unwrap()
}

/// A sink of one organisation, in order, from the beginning.
pub(super) fn spec(owner: &str, name: &str, sink: &Arc<Scripted>) -> SinkSpec {
    SinkSpec {
        owner: Some(org(owner)),
        name: name.to_owned(),
        kind: "scripted",
        scope: Scope::one(org(owner)),
        target: Target::Ready(Arc::<Scripted>::clone(sink)),
        concurrency: 1,
        lane_concurrency: 1,
        max_delay: Duration::from_secs(1),
        begin: Begin::End,
        plan_epoch: 1,
        paused: false,
    }
}

/// The operator's sink for everybody.
pub(super) fn shared(name: &str, sink: &Arc<Scripted>) -> SinkSpec {
    SinkSpec { owner: None, scope: Scope::All, ..spec("nobody", name, sink) }
}

/// Two organisations of the same partition, and one of another.
pub(super) fn neighbours() -> (String, String, String) {
    let directory = Directory::new(PARTITIONS, UnknownOrgs::Accept);
    let mut by_partition: BTreeMap<PartitionId, Vec<String>> = BTreeMap::new();
    for n in 0..100 {
        let name = format!("org-{n}");
        by_partition.entry(directory.partition_of(&name)).or_default().push(name);
    }
    let mut lists = by_partition.into_values();
    let (first, second) = (lists.next().unwrap(), lists.next().unwrap());
    (first[0].clone(), first[1].clone(), second[0].clone())
}

/// An organisation of each partition.
pub(super) fn one_of_each_partition() -> Vec<String> {
    let directory = Directory::new(PARTITIONS, UnknownOrgs::Accept);
    let names = (0..100).map(|n| format!("org-{n}"));
    names
        .map(|name| (directory.partition_of(&name), name))
        .collect::<BTreeMap<_, _>>()
        .into_values()
        .collect()
}

#[test]
fn a_lane_is_small() {
    assert!(size_of::<Lane>() <= 512, "{} bytes", size_of::<Lane>());
}
