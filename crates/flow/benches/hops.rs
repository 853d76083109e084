//! One benchmark per hop of this crate: commit (dedupe, stamp, build), read from the tail.
//! `cargo bench -p flow`

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark stops at the first surprise")]

use std::io;
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use event::{Kind, OrgId};
use flow::block::{Block, parse_header};
use flow::clock::{Clock, UnixMillis};
use flow::log::{ReadSpec, Scope};
use flow::orgs::{Directory, UnknownOrgs};
use flow::partition::{Owner, OwnerSettings, Queued};
use flow::prepared::{Prepared, PreparedRow};
use flow::segment::{Expired, ReserveError, SegmentIo, Tip};
use flow::tail::Tail;
use flow::{LogPos, PartitionId, Row};

fn main() {
    divan::main();
}

/// Takes blocks and forgets them: what is measured is the owner, not the disk.
struct Nowhere {
    pos: u64,
}

impl SegmentIo for Nowhere {
    fn tip(&self) -> Tip {
        Tip { epoch: 1, pos: LogPos(self.pos), durable_upto: LogPos(self.pos) }
    }
    fn reserve(&mut self, _: u64, _: bool) -> Result<(), ReserveError> {
        Ok(())
    }
    fn write(&mut self, block: &[u8]) -> io::Result<()> {
        self.pos += black_box(block).len() as u64;
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

fn directory(orgs: usize) -> (Arc<Directory>, Vec<OrgId>) {
    let directory = Directory::new(1, UnknownOrgs::Accept);
    let ids: Vec<OrgId> =
        (0..orgs).map(|n| OrgId::new(&format!("{n:08}-0000-4000-8000-000000000000")).unwrap()).collect();
    for id in &ids {
        directory.recall(id);
    }
    (directory, ids)
}

/// `rows` rows of 820 bytes over `orgs` organisations, ids from `first`.
fn batch(directory: &Directory, ids: &[OrgId], rows: u64, first: u64) -> Prepared {
    let mut prepared = Prepared::default();
    for n in 0..rows {
        let mixed = (first + n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let org = &ids[(mixed >> 40) as usize % ids.len()];
        prepared.rows.push(PreparedRow {
            org: directory.resolve(org.as_str()).unwrap().key,
            offset: prepared.arena.len() as u32,
            len: 820,
            line: n as u32,
            dedupe: u128::from(mixed) << 64 | u128::from(mixed.rotate_left(31)),
            content: mixed,
            time_ms: 0,
            app: 1,
            group: if n % 4 == 0 { 1 + mixed % 40 } else { 0 },
            status: 200,
            kind: Kind::ApiCall,
        });
        prepared.arena.resize(prepared.arena.len() + 820, b'x');
    }
    prepared
}

fn owner(directory: &Arc<Directory>, clock: &Clock) -> Owner {
    let settings = OwnerSettings { window: 262_144, groups: 32_768 };
    let nowhere = Box::new(Nowhere { pos: 0 });
    Owner::open(PartitionId(0), nowhere, Arc::clone(directory), settings, clock.now()).unwrap()
}

/// Eight requests' shares of one partition, as at full load: 8 x 125 rows, made on another core as receiving tasks do.
#[divan::bench]
fn commit_1000_rows(bencher: Bencher<'_, '_>) {
    let (directory, ids) = directory(250);
    let clock = Clock::simulated(UnixMillis(1_763_800_000_000));
    let mut owner = owner(&directory, &clock);
    let mut first = 0;
    bencher
        .counter(ItemsCount::new(1000u32))
        .with_inputs(|| {
            first += 1000;
            std::thread::scope(|scope| {
                let made = scope.spawn(|| {
                    (0..8)
                        .map(|n| Queued { rows: batch(&directory, &ids, 125, first + n * 125), reply: () })
                        .collect::<Vec<_>>()
                });
                made.join().unwrap()
            })
        })
        .bench_local_values(|batches| owner.commit(batches, Vec::new(), clock.now()).unwrap());
}

/// One organisation's rows out of 20 blocks of 1,000 rows.
#[divan::bench]
fn read_one_org_from_20_blocks(bencher: Bencher<'_, '_>) {
    let (directory, ids) = directory(250);
    let clock = Clock::simulated(UnixMillis(1_763_800_000_000));
    let mut owner = owner(&directory, &clock);
    let tail = Tail::new(Arc::clone(&directory), &[Row(0)], 1 << 30);
    for n in 0..20 {
        let queued = Queued { rows: batch(&directory, &ids, 1000, n * 1000), reply: () };
        let done = owner.commit(vec![queued], Vec::new(), clock.now()).unwrap();
        tail.push(PartitionId(0), done.block.unwrap(), done.orgs.into_boxed_slice());
    }
    let spec = ReadSpec {
        partition: PartitionId(0),
        from: Row(0),
        scope: Scope::one(ids[7].clone()),
        max_bytes: 1_000_000,
    };
    bencher.bench_local(|| tail.read(black_box(&spec)));
}

/// The floor of a commit: one copy and one checksum of 1,000 records.
#[divan::bench]
fn copy_and_checksum_1000_records(bencher: Bencher<'_, '_>) {
    let source = vec![b'x'; 820_000];
    bencher.counter(ItemsCount::new(1000u32)).bench_local(|| {
        let copy = black_box(&source).clone();
        (crc32c::crc32c(&copy), parse_header(&copy).is_err())
    });
}
