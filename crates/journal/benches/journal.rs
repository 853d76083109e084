//! One benchmark per hop of the journal. The sync itself is the disk's business and measured apart.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark stops at the first surprise"
)]

use std::path::Path;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use flow::clock::UnixMillis;
use flow::log::{Scope, Slice};
use flow::segment::{SegmentIo, SegmentRead};
use flow::units::{PartitionId, Row};
use journal::testing::Owner;
use journal::vfs::OsVfs;
use journal::{Reader, Settings, open};

fn main() {
    divan::main();
}

const NOW: UnixMillis = UnixMillis(1_763_800_000_000);

struct Open {
    owner: Owner,
    reader: Arc<Reader>,
    _dir: tempfile::TempDir,
}

fn start() -> Open {
    start_with(Settings::default().direct_from)
}

fn start_with(direct_from: usize) -> Open {
    let dir = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let settings = Settings { partitions: 1, ballast_bytes: 1 << 20, direct_from, ..Settings::default() };
    let journal = open(Arc::new(OsVfs), dir.path(), &settings).unwrap();
    let writer = journal.writers.into_iter().next().unwrap();
    Open { owner: Owner::start(writer, NOW).unwrap(), reader: journal.reader, _dir: dir }
}

fn names() -> Vec<String> {
    (0..250).map(|n| format!("84383462-b484-4cc4-bb21-{n:012}")).collect()
}

/// How a block gets into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    Cached,
}

/// Building and writing a block of 500 records over 250 organisations, past the page cache and through it, and syncing it
/// or not.
#[divan::bench(args = [(Way::Direct, true), (Way::Cached, true), (Way::Direct, false), (Way::Cached, false)])]
fn write_500(bencher: Bencher<'_, '_>, (way, sync): (Way, bool)) {
    let mut open = start_with(if way == Way::Direct { Settings::default().direct_from } else { usize::MAX });
    let names = names();
    let record = format!("\"pad\":\"{}\"}}", "x".repeat(900));
    let block: Vec<(&str, &[u8])> = (0..500).map(|n| (&*names[n % names.len()], record.as_bytes())).collect();
    bencher.counter(ItemsCount::new(500u32)).bench_local(|| {
        open.owner.writer.reserve(600 << 10, false).unwrap();
        open.owner.append(&block).unwrap();
        if sync {
            open.owner.sync().unwrap();
        }
        if open.owner.writer.is_full() {
            open.owner.roll().unwrap();
        }
    });
}

/// Only building that block: what `write_500` costs above this is the journal's part.
#[divan::bench]
fn build_500(bencher: Bencher<'_, '_>) {
    let mut open = start();
    let names = names();
    let record = format!("\"pad\":\"{}\"}}", "x".repeat(900));
    let block: Vec<(&str, &[u8])> = (0..500).map(|n| (&*names[n % names.len()], record.as_bytes())).collect();
    bencher.counter(ItemsCount::new(500u32)).bench_local(|| open.owner.build(&block));
}

fn filled() -> Open {
    let mut open = start();
    let names = names();
    let record = format!("\"pad\":\"{}\"}}", "x".repeat(900));
    for _ in 0..300 {
        let block: Vec<(&str, &[u8])> =
            (0..500).map(|n| (&*names[n % names.len()], record.as_bytes())).collect();
        open.owner.writer.reserve(600 << 10, false).unwrap();
        open.owner.append(&block).unwrap();
        open.owner.sync().unwrap();
        if open.owner.writer.is_full() {
            open.owner.roll().unwrap();
        }
    }
    open
}

/// Reading everything, checksums included, from a warm file.
#[divan::bench(sample_count = 20)]
fn read_all(bencher: Bencher<'_, '_>) {
    let open = filled();
    bencher.counter(ItemsCount::new(150_000u32)).bench_local(|| drain(&open.reader, &Scope::All));
}

/// Reading one organisation of 250: 600 records out of 150,000.
#[divan::bench]
fn read_one_of_250(bencher: Bencher<'_, '_>) {
    let open = filled();
    let scope = Scope::one(event::OrgId::new(&names()[7]).unwrap());
    bencher.counter(ItemsCount::new(600u32)).bench_local(|| drain(&open.reader, &scope));
}

/// Reading every organisation of 250 in turn, each for itself, as lanes far behind do.
#[divan::bench(sample_count = 5)]
fn read_each_of_250(bencher: Bencher<'_, '_>) {
    let open = filled();
    let scopes: Vec<Scope> =
        names().iter().map(|name| Scope::one(event::OrgId::new(name).unwrap())).collect();
    bencher.counter(ItemsCount::new(150_000u32)).bench_local(|| {
        // Lanes move on side by side, a batch at a time.
        let mut nexts = vec![Row(0); scopes.len()];
        let mut left = true;
        while std::mem::take(&mut left) {
            for (scope, next) in scopes.iter().zip(&mut nexts) {
                if let Slice::Rows { next: after, .. } =
                    open.reader.read(PartitionId(0), *next, scope, 100_000).unwrap()
                {
                    *next = after;
                    left = true;
                }
            }
        }
    });
}

fn drain(reader: &Reader, scope: &Scope) -> u64 {
    let (mut next, mut read) = (Row(0), 0);
    while let Slice::Rows { pieces, next: after } = reader.read(PartitionId(0), next, scope, 1 << 20).unwrap()
    {
        read += pieces.iter().map(flow::log::Piece::count).sum::<u64>();
        next = after;
    }
    read
}

/// Counting what one organisation has pending, near the end and from the start.
#[divan::bench(args = [0, 140_000])]
fn extent_of_one(bencher: Bencher<'_, '_>, from: u64) {
    let open = filled();
    let scope = Scope::one(event::OrgId::new(&names()[7]).unwrap());
    bencher.bench_local(|| open.reader.extent(PartitionId(0), &scope, Row(from)));
}
