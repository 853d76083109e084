//! The delivery engine's share of a delivery: from the notification of a block to the recorded verdict, with sinks that
//! accept at once. `cargo bench -p flow --bench lanes`

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark stops at the first surprise")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use event::{Kind, OrgId};
use flow::block::Block;
use flow::clock::{Clock, UnixMillis};
use flow::lane::{Begin, Engine, LaneSettings, Lanes, Notify, SinkSpec, Target, inbox};
use flow::lane_state::LaneStates;
use flow::log::{
    AppendFault, Extent, GapReason, LogBackend, OrgSeqs, Position, ReadError, ReadSpec, Scope, Slice,
};
use flow::orgs::{Directory, OrgKey, UnknownOrgs};
use flow::partition::{Owner, OwnerSettings, Queued};
use flow::prepared::{Prepared, PreparedRow};
use flow::segment::{Expired, ReserveError, SegmentIo, Tip};
use flow::sink::{Attempt, BatchShape, Delivery, Sink, Unconfirmed, Verdict};
use flow::tail::Tail;
use flow::{LogPos, PartitionId, Row};
use futures_util::future::BoxFuture;

fn main() {
    divan::main();
}

struct Nowhere(u64);

impl SegmentIo for Nowhere {
    fn tip(&self) -> Tip {
        Tip { epoch: 1, pos: LogPos(self.0), durable_upto: LogPos(self.0) }
    }
    fn reserve(&mut self, _: u64, _: bool) -> Result<(), ReserveError> {
        Ok(())
    }
    fn write(&mut self, block: &[u8]) -> io::Result<()> {
        self.0 += block.len() as u64;
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn is_full(&self) -> bool {
        false
    }
    fn roll(&mut self, _: Row) -> io::Result<()> {
        Ok(())
    }
    fn publish(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn expire(&mut self, _: UnixMillis) -> io::Result<Option<Expired>> {
        Ok(None)
    }
    fn replay(&mut self, _: &mut dyn FnMut(&Block)) -> io::Result<()> {
        Ok(())
    }
    fn replay_rows(&mut self, _: Row, _: &mut dyn FnMut(&Block)) -> io::Result<()> {
        Ok(())
    }
}

/// A tail without a journal behind it.
struct TailOnly(Tail);

impl LogBackend for TailOnly {
    fn append(&self, p: PartitionId, _: Prepared) -> BoxFuture<'static, Result<Position, AppendFault>> {
        Box::pin(std::future::ready(Err(AppendFault::Stopped(p))))
    }
    fn record(
        &self,
        p: PartitionId,
        states: LaneStates,
    ) -> BoxFuture<'static, Result<Position, AppendFault>> {
        let mut bytes = Vec::new();
        states.encode(&mut bytes);
        divan::black_box(bytes);
        let next_row = self.0.end(p);
        Box::pin(std::future::ready(Ok(Position { end: LogPos(0), next_row, accepted: 0, duplicates: 0 })))
    }
    fn read(&self, _: ReadSpec) -> BoxFuture<'static, Result<Slice, ReadError>> {
        Box::pin(std::future::ready(Ok(Slice::NotYet)))
    }
    fn read_tail(&self, spec: &ReadSpec) -> Option<Slice> {
        self.0.read(spec)
    }
    fn extent(&self, _: PartitionId, _: &Scope, _: Row) -> Extent {
        Extent::default()
    }
    fn org_seqs(&self, p: PartitionId, _: Scope) -> BoxFuture<'static, Result<OrgSeqs, AppendFault>> {
        Box::pin(std::future::ready(Ok((self.0.end(p), Vec::new()))))
    }
    fn oldest(&self, _: PartitionId) -> (Row, GapReason) {
        (Row(0), GapReason::Retention)
    }
    fn durable_end(&self, p: PartitionId) -> Row {
        self.0.end(p)
    }
}

struct AtOnce(Arc<AtomicU64>);

impl Sink for AtOnce {
    fn shape(&self) -> BatchShape {
        BatchShape { max_events: 5_000, max_bytes: 1_000_000, overhead: 300 }
    }
    fn deliver(self: Arc<Self>, delivery: Delivery) -> BoxFuture<'static, Attempt> {
        self.0.fetch_add(delivery.rows().count(), Ordering::Relaxed);
        Box::pin(std::future::ready(Attempt::Settled(delivery.settle(Verdict::Accepted))))
    }
    fn confirm(self: Arc<Self>, _: Vec<Unconfirmed>) -> BoxFuture<'static, Vec<Attempt>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

struct Bench {
    runtime: tokio::runtime::Runtime,
    owner: Owner,
    log: Arc<TailOnly>,
    directory: Arc<Directory>,
    notify: Notify,
    clock: Clock,
    orgs: Vec<OrgId>,
    got: Arc<AtomicU64>,
    put: u64,
    lanes: Lanes,
}

impl Bench {
    /// `sinks` of one organisation each, or one for all with 0.
    fn new(orgs: usize, sinks: usize) -> Self {
        let directory = Directory::new(1, UnknownOrgs::Accept);
        let orgs: Vec<OrgId> =
            (0..orgs).map(|n| OrgId::new(&format!("{n:08}-0000-4000-8000-000000000000")).unwrap()).collect();
        for org in &orgs {
            directory.recall(org);
        }
        let clock = Clock::system();
        let settings = OwnerSettings { window: 262_144, groups: 32_768 };
        let io = Box::new(Nowhere(0));
        let owner = Owner::open(PartitionId(0), io, Arc::clone(&directory), settings, clock.now()).unwrap();
        let log = Arc::new(TailOnly(Tail::new(Arc::clone(&directory), &[Row(0)], 96 << 20)));
        let (notify, inbox) = inbox(1);
        let settings = LaneSettings { starts_per_second: u32::MAX, ..LaneSettings::new(7, 1, 1) };
        let backend: Arc<dyn LogBackend> = Arc::<TailOnly>::clone(&log);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (engine, lanes) =
            Engine::new(backend, Arc::clone(&directory), clock.clone(), settings, inbox, Vec::new());
        drop(runtime.spawn(engine.run()));
        let got = Arc::new(AtomicU64::new(0));
        let target = Target::Ready(Arc::new(AtOnce(Arc::clone(&got))));
        let spec = |owner: Option<OrgId>, scope| SinkSpec {
            owner,
            name: "soc".to_owned(),
            kind: "bench",
            scope,
            target: target.clone(),
            concurrency: 4,
            lane_concurrency: 1,
            max_delay: Duration::from_secs(1),
            begin: Begin::End,
            plan_epoch: 1,
            paused: false,
        };
        let specs = if sinks == 0 {
            vec![spec(None, Scope::All)]
        } else {
            orgs.iter().take(sinks).map(|org| spec(Some(org.clone()), Scope::one(org.clone()))).collect()
        };
        runtime.block_on(lanes.apply(specs)).unwrap();
        Self { runtime, owner, log, directory, notify, clock, orgs, got, put: 0, lanes }
    }

    /// A block of `rows` rows over the first `orgs` organisations.
    fn block(&mut self, rows: u64, orgs: usize) -> (Arc<Block>, Vec<OrgKey>) {
        let mut prepared = Prepared::default();
        for n in 0..rows {
            let id = self.put + n;
            let org = &self.orgs[n as usize % orgs];
            prepared.rows.push(PreparedRow {
                org: self.directory.resolve(org.as_str()).unwrap().key,
                offset: prepared.arena.len() as u32,
                len: 820,
                line: 1,
                dedupe: u128::from(id) + 1,
                content: id,
                time_ms: 0,
                app: 1,
                group: 0,
                status: 200,
                kind: Kind::ApiCall,
            });
            prepared.arena.resize(prepared.arena.len() + 820, b'x');
        }
        self.put += rows;
        let done =
            self.owner.commit(vec![Queued { rows: prepared, reply: () }], vec![], self.clock.now()).unwrap();
        (done.block.unwrap(), done.orgs)
    }

    /// Publishes a block and runs until everything is delivered.
    fn deliver(&self, block: &Arc<Block>, orgs: Vec<OrgKey>) {
        self.log.0.push(PartitionId(0), Arc::clone(block), orgs.into_boxed_slice());
        self.notify.appended(PartitionId(0), block);
        self.runtime.block_on(async {
            while self.got.load(Ordering::Relaxed) < self.put {
                tokio::task::yield_now().await;
            }
        });
    }
}

fn per_delivery(bencher: Bencher<'_, '_>, sinks: usize, touched: usize, rows_each: u64) {
    let bench = std::cell::RefCell::new(Bench::new(sinks, sinks));
    bencher
        .counter(ItemsCount::new(touched))
        .with_inputs(|| bench.borrow_mut().block(touched as u64 * rows_each, touched))
        .bench_local_values(|(block, orgs)| bench.borrow().deliver(&block, orgs));
}

/// 250 deliveries of 4 records: one block for 250 of 2,000 sinks. Items are deliveries.
#[divan::bench(sample_count = 200)]
fn two_thousand_sinks(bencher: Bencher<'_, '_>) {
    per_delivery(bencher, 2_000, 250, 4);
}

/// The same with 10,000 sinks.
#[divan::bench(sample_count = 200)]
fn ten_thousand_sinks(bencher: Bencher<'_, '_>) {
    per_delivery(bencher, 10_000, 250, 4);
}

/// One delivery of one record in a row: with its own wake-up each time.
#[divan::bench(sample_count = 1000)]
fn one_at_a_time(bencher: Bencher<'_, '_>) {
    per_delivery(bencher, 2_000, 1, 1);
}

/// One shared sink, 1,000 records in a block over 250 organisations. Items are records.
#[divan::bench(sample_count = 200)]
fn shared_sink(bencher: Bencher<'_, '_>) {
    let bench = std::cell::RefCell::new(Bench::new(250, 0));
    bencher
        .counter(ItemsCount::new(1_000u32))
        .with_inputs(|| bench.borrow_mut().block(1_000, 250))
        .bench_local_values(|(block, orgs)| bench.borrow().deliver(&block, orgs));
}

/// What a block costs its owner's thread: 1,000 rows of 250 organisations, each with a sink.
#[divan::bench]
fn notify_of_a_block(bencher: Bencher<'_, '_>) {
    let mut bench = Bench::new(250, 250);
    let (block, _) = bench.block(1_000, 250);
    bencher.bench_local(|| bench.notify.appended(PartitionId(0), &block));
    drop(bench.lanes);
}
