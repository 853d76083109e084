use std::sync::Arc;

use event::{Kind, OrgId};
use parking_lot::Mutex;

use super::*;
use crate::Seq;
use crate::clock::Clock;
use crate::ingress::Ingress;
use crate::log::Log;
use crate::orgs::UnknownOrgs;
use crate::prepared::PreparedRow;
use crate::testing::segments::MemorySegments;

#[derive(Default)]
struct Seen {
    panics: std::sync::atomic::AtomicBool,
    rows: Mutex<Vec<(PartitionId, Row)>>,
    expired: Mutex<Vec<PartitionId>>,
    failed: Mutex<Option<String>>,
}

impl Observer for Seen {
    fn appended(&self, partition: PartitionId, block: &Arc<Block>) {
        assert!(!self.panics.load(std::sync::atomic::Ordering::Relaxed), "a bug");
        self.rows.lock().push((partition, block.header().end_row()));
    }
    fn expired(&self, partition: PartitionId, _: Expired) {
        self.expired.lock().push(partition);
    }
    fn failed(&self, fault: &OwnerFault) {
        *self.failed.lock() = Some(fault.to_string());
    }
}

struct Machine {
    disk: MemorySegments,
    directory: Arc<Directory>,
    log: Arc<LocalLog>,
    seen: Arc<Seen>,
}

const QUEUED: usize = 64 << 10;

fn machine(tail_bytes: usize) -> Machine {
    start(MemorySegments::new(4, 50), tail_bytes)
}

fn start(disk: MemorySegments, tail_bytes: usize) -> Machine {
    let directory = Directory::new(4, UnknownOrgs::Accept);
    let settings = LocalSettings {
        window: 4096,
        tail_bytes,
        queued_bytes: QUEUED,
        writer_bytes: 1 << 20,
        group_bytes: 1 << 20,
        threads: 2,
    };
    let clock = Clock::system();
    let restored = Restored::open(disk.open(), Arc::clone(&directory), settings, &clock).unwrap();
    let seen = Arc::new(Seen::default());
    let observer: Arc<dyn Observer> = Arc::<Seen>::clone(&seen);
    let opened = restored.start(disk.reader(), &clock, &observer).unwrap();
    Machine { disk, directory, log: opened.log, seen }
}

fn rows(directory: &Directory, org: &str, ids: std::ops::Range<u64>) -> (PartitionId, Prepared) {
    let entry = directory.resolve(org).unwrap();
    let mut prepared = Prepared::default();
    for id in ids {
        let tail = format!("\"id\":\"{id}\"}}");
        prepared.rows.push(PreparedRow {
            org: entry.key,
            offset: prepared.arena.len() as u32,
            len: tail.len() as u32,
            line: 1,
            dedupe: u128::from(id) + 1,
            content: 0,
            time_ms: 0,
            app: 0,
            group: 0,
            status: 0,
            kind: Kind::ApiCall,
        });
        prepared.arena.extend_from_slice(tail.as_bytes());
    }
    (entry.partition, prepared)
}

fn spec(partition: PartitionId, from: u64, org: &str) -> ReadSpec {
    ReadSpec { partition, from: Row(from), scope: Scope::one(OrgId::new(org).unwrap()), max_bytes: 1 << 20 }
}

fn count(slice: &Slice) -> u64 {
    match slice {
        Slice::Rows { pieces, .. } => pieces.iter().map(crate::log::Piece::count).sum(),
        Slice::Gap { .. } | Slice::NotYet => 0,
    }
}

#[tokio::test]
async fn a_receipt_means_durable_and_readable() {
    let machine = machine(1 << 20);
    let ingress = Ingress::new(Log::new(Arc::<LocalLog>::clone(&machine.log)));
    let parts = vec![rows(&machine.directory, "acme", 0..10), rows(&machine.directory, "borealis", 100..105)];
    let partition = parts[0].0;
    let receipt = ingress.submit(parts).await.unwrap();
    assert_eq!((receipt.accepted(), receipt.duplicates()), (15, 0));
    let again = ingress.submit(vec![rows(&machine.directory, "acme", 0..12)]).await.unwrap();
    assert_eq!((again.accepted(), again.duplicates()), (2, 10));
    let slice = machine.log.read_tail(&spec(partition, 0, "acme")).unwrap();
    assert_eq!(count(&slice), 12);
    assert_eq!(machine.log.extent(partition, &Scope::one(OrgId::new("acme").unwrap()), Row(0)).rows, 12);
    assert!(!machine.seen.rows.lock().is_empty());
    machine.log.shut_down();
    let stopped = ingress.submit(vec![rows(&machine.directory, "acme", 50..51)]).await.unwrap_err();
    assert!(matches!(stopped.faults[0].1, AppendFault::Stopped(_)));
}

#[tokio::test]
async fn retention_is_looked_at_right_after_the_start() {
    let machine = machine(1 << 20);
    let partition = rows(&machine.directory, "acme", 0..0).0;
    for id in 0..40 {
        let (_, batch) = rows(&machine.directory, "acme", id * 10..id * 10 + 10);
        machine.log.append(partition, batch).await.unwrap();
    }
    machine.log.shut_down();
    machine.disk.keep_segments(usize::from(partition.0), Some(1));
    let again = start(machine.disk, 1 << 20);
    // The second question is taken up after everything that the owner did when it took up the first one.
    for _ in 0..2 {
        again.log.org_seqs(partition, Scope::All).await.unwrap();
    }
    assert_eq!(*again.seen.expired.lock(), [partition]);
}

#[tokio::test]
async fn what_left_the_tail_is_read_from_the_segments() {
    let machine = machine(1);
    let (partition, batch) = rows(&machine.directory, "acme", 0..10);
    machine.log.append(partition, batch).await.unwrap();
    assert!(machine.log.read_tail(&spec(partition, 0, "acme")).is_none());
    let slice = machine.log.read(spec(partition, 3, "acme")).await.unwrap();
    assert_eq!(count(&slice), 7);
    let end = machine.log.durable_end(partition);
    assert!(matches!(machine.log.read_tail(&spec(partition, end.0, "acme")), Some(Slice::NotYet)));
    machine.log.shut_down();
}

#[tokio::test]
async fn a_sync_error_stops_the_owner_and_acknowledges_nothing() {
    let machine = machine(1 << 20);
    let (partition, batch) = rows(&machine.directory, "acme", 0..10);
    machine.disk.fail_next_sync(usize::from(partition.0));
    let answer = machine.log.append(partition, batch).await;
    assert_eq!(answer, Err(AppendFault::Stopped(partition)));
    machine.log.shut_down();
    let fault = machine.seen.failed.lock().clone().unwrap();
    assert!(
        fault.contains("injected sync error") && fault.contains("nothing of this write was acknowledged")
    );
}

#[tokio::test]
async fn a_panic_of_an_owner_ends_the_process() {
    let machine = machine(1 << 20);
    machine.seen.panics.store(true, std::sync::atomic::Ordering::Relaxed);
    let (partition, batch) = rows(&machine.directory, "acme", 0..10);
    assert_eq!(machine.log.append(partition, batch).await, Err(AppendFault::Stopped(partition)));
    machine.log.shut_down();
    let fault = machine.seen.failed.lock().clone().unwrap();
    assert!(fault.contains("panicked: a bug") && fault.contains("please report"), "{fault}");
}

#[test]
fn lane_state_and_questions_do_not_wait_behind_rows() {
    let directory = Directory::new(4, UnknownOrgs::Accept);
    let inbox = Inbox::new(Arc::new(Allowance::new(1)));
    let (reply, _row) = oneshot::channel();
    inbox.push(Item::Rows(rows(&directory, "acme", 0..10).1, reply)).unwrap();
    let (reply, _row) = oneshot::channel();
    assert!(inbox.push(Item::Rows(rows(&directory, "acme", 10..20).1, reply)).is_err(), "it is full");
    let (reply, _state) = oneshot::channel();
    inbox.push(Item::States(LaneStates::default(), reply)).unwrap();
    let (reply, _question) = oneshot::channel();
    inbox.push(Item::OrgSeqs(Scope::All, reply)).unwrap();
    inbox.close();
    let taken = inbox.take(1).items;
    assert!(matches!(taken.as_slice(), [Item::States(..), Item::OrgSeqs(..), Item::Rows(..)]), "{taken:?}");
    assert!(inbox.is_done());
}

#[test]
fn lane_state_overtakes_the_rows_of_later_commits() {
    let directory = Directory::new(4, UnknownOrgs::Accept);
    let inbox = Inbox::new(Arc::new(Allowance::new(1 << 20)));
    for n in 0..3 {
        let (reply, _row) = oneshot::channel();
        inbox.push(Item::Rows(rows(&directory, "acme", n * 10..n * 10 + 10).1, reply)).unwrap();
    }
    let (reply, _state) = oneshot::channel();
    inbox.push(Item::States(LaneStates::default(), reply)).unwrap();
    let taken = inbox.take(1).items;
    assert!(matches!(taken.as_slice(), [Item::States(..), Item::Rows(..)]), "{taken:?}");
    inbox.close();
    assert!(!inbox.is_done());
}

#[tokio::test]
async fn a_new_lane_learns_where_it_begins() {
    let machine = machine(1 << 20);
    let (partition, batch) = rows(&machine.directory, "acme", 0..3);
    machine.log.append(partition, batch).await.unwrap();
    let (row, seqs) = machine.log.org_seqs(partition, Scope::All).await.unwrap();
    assert_eq!(row, Row(3));
    assert_eq!(seqs, [(OrgId::new("acme").unwrap(), Seq(3))]);
    machine.log.shut_down();
}

#[tokio::test]
async fn what_waits_is_bounded_over_all_partitions_and_counts_until_it_is_durable() {
    let machine = machine(1 << 20);
    let parts: Vec<_> =
        (0..64).map(|n| rows(&machine.directory, &format!("org-{n}"), n * 100..n * 100 + 50)).collect();
    let bytes = parts[0].1.stored_bytes();
    assert!(bytes * parts.len() > 2 * QUEUED);
    let mut appends = Vec::new();
    let mut busy = 0;
    for (partition, rows) in parts {
        appends.push(machine.log.append(partition, rows));
        assert!(machine.log.memory().queued <= QUEUED);
    }
    for append in appends {
        match append.await {
            Ok(position) => assert_eq!(position.accepted, 50),
            Err(fault) => {
                assert!(matches!(fault, AppendFault::Busy(_)), "{fault}");
                busy += 1;
            }
        }
    }
    assert!(busy < 64);
    machine.log.shut_down();
    let memory = machine.log.memory();
    assert_eq!(memory.queued, 0, "everything is durable");
    assert!(memory.writing <= 1 << 18, "only what is kept for the next blocks: {memory:?}");
    assert!(memory.tail > 0 && memory.owners.ids > 0, "{memory:?}");
    assert!((0..4).all(|n| machine.log.queued_bytes_of(PartitionId(n)) == 0));
}
