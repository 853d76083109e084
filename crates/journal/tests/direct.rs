//! Large blocks go past the page cache, padded to whole pages, and are read, counted, recovered and repaired like others.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::sync::Arc;

use event::{Kind, OrgId};
use flow::block::PAGE;
use flow::clock::{Clock, UnixMillis};
use flow::log::{Scope, Slice};
use flow::orgs::{Directory, UnknownOrgs};
use flow::partition::{OwnerSettings, Queued};
use flow::prepared::{Prepared, PreparedRow};
use flow::segment::{SegmentIo, SegmentRead};
use flow::units::{PartitionId, Row};
use journal::testing::Owner;
use journal::vfs::{DirectRefusal, OsVfs, PowerCut, SimVfs, Vfs};
use journal::{Reader, Settings, Severity, inspect, open, repair, verify};

const P0: PartitionId = PartitionId(0);
const NOW: UnixMillis = UnixMillis(1_763_800_000_000);

fn settings() -> Settings {
    Settings {
        partitions: 1,
        segment_bytes: 1 << 20,
        allocate_step: 64 << 10,
        ballast_bytes: 0,
        direct_from: 4_000,
        ..Settings::default()
    }
}

fn start(vfs: &Arc<dyn Vfs>, dir: &Path) -> (Owner, Arc<Reader>) {
    let journal = open(Arc::clone(vfs), dir, &settings()).unwrap();
    (Owner::start(journal.writers.into_iter().next().unwrap(), NOW).unwrap(), journal.reader)
}

/// Appends a block of two records with `pad` bytes each and syncs it; tells the bytes that it took.
fn append(owner: &mut Owner, pad: usize) -> u64 {
    let before = owner.writer.tip().pos.0;
    let text = format!("\"pad\":\"{}\"}}", "x".repeat(pad));
    owner.append(&[("acme", text.as_bytes()), ("bolt", text.as_bytes())]).unwrap();
    owner.sync().unwrap();
    owner.writer.tip().pos.0 - before
}

fn rows(reader: &Reader, scope: &Scope) -> Vec<(u64, usize)> {
    let (mut next, mut found) = (Row(0), Vec::new());
    loop {
        match reader.read(P0, next, scope, 10_000).unwrap() {
            Slice::NotYet => return found,
            Slice::Gap { rows, .. } => next = rows.end,
            Slice::Rows { pieces, next: after } => {
                for piece in &pieces {
                    let base = piece.block.header().base_row.0;
                    let rows = piece.rows.iter().cloned().flatten();
                    found.extend(rows.map(|r| (base + u64::from(r), piece.block.record(r).unwrap().len())));
                }
                next = after;
            }
        }
    }
}

/// Blocks of all sizes.
fn fill(owner: &mut Owner) {
    // The snapshot ends anywhere, so the first large block goes through the cache and ends at a page.
    append(owner, 3_000);
    assert_eq!(append(owner, 3_000), 2 * PAGE as u64, "padded and past the cache");
    // Lane state directly behind it fills a page, and nothing of a block behind that one does.
    let before = owner.writer.tip().pos.0;
    owner.control(b"lane state").unwrap();
    owner.sync().unwrap();
    assert_eq!(owner.writer.tip().pos.0 - before, PAGE as u64);
    owner.control(b"more").unwrap();
    assert!(append(owner, 10) < 1_000, "a small block is as small as it can be");
    // Through the cache once more, up to the end of a page, and past it again.
    assert_ne!(append(owner, 9_000) % PAGE as u64, 0);
    assert_eq!(append(owner, 9_000) % PAGE as u64, 0);
    assert_eq!(append(owner, 40_000) % PAGE as u64, 0);
}

const LENGTHS: [usize; 6] = [3_000, 3_000, 10, 9_000, 9_000, 40_000];

fn check(reader: &Reader) {
    let head = "{\"v\":1,\"seq\":0,\"pad\":\"\"}".len();
    let expected: Vec<_> = (0..).zip(LENGTHS.iter().flat_map(|len| [len + head, len + head])).collect();
    assert_eq!(rows(reader, &Scope::All), expected);
    let bolt = Scope::one(OrgId::new("bolt").unwrap());
    let mine: Vec<_> = expected.iter().copied().filter(|(row, _)| row % 2 == 1).collect();
    assert_eq!(rows(reader, &bolt), mine);
    assert_eq!(reader.extent(P0, &bolt, Row(0)).rows, 6);
}

#[test]
fn large_blocks_go_past_the_cache_and_small_ones_cost_no_page() {
    let sim = SimVfs::default();
    let vfs: Arc<dyn Vfs> = Arc::new(sim.clone());
    let dir = Path::new("/j");
    let (mut owner, reader) = start(&vfs, dir);
    fill(&mut owner);
    assert_eq!(sim.direct_writes(), 3);
    check(&reader);
    // Closed, opened again, and after a power cut that takes what nothing made durable.
    owner.roll().unwrap();
    check(&reader);
    append(&mut owner, 5_000);
    drop((owner, reader));
    sim.power_cut(PowerCut { seed: 3, keep_percent: 0 });
    let findings = verify(&*vfs, dir).unwrap();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:?}");
    let report = inspect(&*vfs, dir).unwrap();
    assert_eq!(report.partitions[0].segments.len(), 2);
    let (owner, reader) = start(&vfs, dir);
    assert_eq!(owner.next_row, 14);
    assert_eq!(owner.controls, [b"lane state".to_vec(), b"more".to_vec()]);
    assert_eq!(rows(&reader, &Scope::All).len(), 14);
}

/// On the real file system, whether it has direct writes or not.
#[test]
fn the_real_file_system_reads_back_what_went_past_its_cache() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs);
    let (mut owner, reader) = start(&vfs, dir.path());
    for pad in LENGTHS {
        append(&mut owner, pad);
        // Read at once, so that pages of the file are in the cache when the next block is written beside them.
        assert_eq!(rows(&reader, &Scope::All).len() as u64, owner.next_row);
    }
    check(&reader);
    drop((owner, reader));
    let findings = verify(&*vfs, dir.path()).unwrap();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:?}");
    let (owner, reader) = start(&vfs, dir.path());
    assert_eq!(owner.next_row, 12);
    check(&reader);
}

#[test]
fn a_file_system_without_direct_writes_gets_no_padding() {
    for refusal in [DirectRefusal::Open, DirectRefusal::Write] {
        let sim = SimVfs::default();
        sim.refuse_direct(Some(refusal));
        let vfs: Arc<dyn Vfs> = Arc::new(sim.clone());
        let dir = Path::new("/j");
        let (mut owner, reader) = start(&vfs, dir);
        let lens: Vec<u64> = LENGTHS.iter().map(|pad| append(&mut owner, *pad)).collect();
        assert_eq!(sim.direct_writes(), 0);
        // Told by the first block that is padded and at a page, the second one.
        let padded = if refusal == DirectRefusal::Open { 0 } else { 2 };
        for (at, (len, pad)) in lens.iter().zip(LENGTHS).enumerate() {
            assert_eq!(*len >= 2 * pad as u64 + 1_000, at < padded, "{len} bytes for two records of {pad}");
        }
        check(&reader);
        owner.roll().unwrap();
        check(&reader);
        drop((owner, reader));
        sim.kill();
        let (_, reader) = start(&vfs, dir);
        check(&reader);
    }
}

/// A write past the cache that never reached the disk is a torn tail like any other.
#[test]
fn what_was_not_synced_may_tear() {
    for seed in 0..40 {
        let sim = SimVfs::default();
        let vfs: Arc<dyn Vfs> = Arc::new(sim.clone());
        let (mut owner, reader) = start(&vfs, Path::new("/j"));
        append(&mut owner, 4_000);
        append(&mut owner, 4_000);
        let text = format!("\"pad\":\"{}\"}}", "x".repeat(20_000));
        owner.append(&[("acme", text.as_bytes())]).unwrap();
        assert_eq!(sim.direct_writes(), 2);
        drop((owner, reader));
        sim.power_cut(PowerCut { seed, keep_percent: 95 });
        let (owner, reader) = start(&vfs, Path::new("/j"));
        assert!(owner.next_row == 4 || owner.next_row == 5);
        assert_eq!(rows(&reader, &Scope::All).len() as u64, owner.next_row);
    }
}

/// Zeros behind a block mean nothing: damage there loses nothing. Damage in the block before is told up to the next one.
#[test]
fn damage_in_and_before_the_padding() {
    let sim = SimVfs::default();
    let vfs: Arc<dyn Vfs> = Arc::new(sim.clone());
    let dir = Path::new("/j");
    let (mut owner, reader) = start(&vfs, dir);
    append(&mut owner, 3_000);
    let second = owner.writer.tip().pos.0;
    append(&mut owner, 3_000);
    let third = owner.writer.tip().pos.0;
    append(&mut owner, 3_000);
    owner.control(b"").unwrap();
    owner.sync().unwrap();
    drop((owner, reader));
    sim.kill();
    let segment = Path::new("/j/p000/00000000000000000000.seg");
    sim.damage(segment, 4096 + third - 1, 0xFF);
    let findings = verify(&*vfs, dir).unwrap();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:?}");
    // Its header.
    sim.damage(segment, 4096 + second + 40, 0xFF);
    let done = repair(&vfs, dir, true, NOW).unwrap();
    assert_eq!(done.losses.len(), 1);
    let loss = &done.losses[0];
    assert_eq!((loss.from, loss.to), (4096 + second, 4096 + third));
    assert_eq!((loss.first_row, loss.end_row), (2, 4));
    let (owner, reader) = start(&vfs, dir);
    assert_eq!(owner.next_row, 6);
    assert_eq!(rows(&reader, &Scope::All).iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 1, 4, 5]);
}

/// The real owner builds its blocks in memory that begins at a page, also in memory that it uses again.
#[test]
fn the_owner_brings_its_blocks_in_whole_pages() {
    let sim = SimVfs::default();
    let directory = Directory::new(1, UnknownOrgs::Accept);
    let org = directory.resolve("acme").unwrap().key;
    let clock = Clock::simulated(NOW);
    let start = || {
        let settings = Settings { direct_from: 32 << 10, ..settings() };
        let journal = open(Arc::new(sim.clone()), Path::new("/j"), &settings).unwrap();
        let io = Box::new(journal.writers.into_iter().next().unwrap());
        let settings = OwnerSettings { window: 1000, groups: 1 << 12 };
        let owner = flow::partition::Owner::open(P0, io, Arc::clone(&directory), settings, clock.now());
        (owner.unwrap(), journal.reader)
    };
    let batch = |rows: u32, first: u128| {
        let row = |n: u32| PreparedRow {
            org,
            offset: n * 1000,
            len: 1000,
            line: n,
            dedupe: first + u128::from(n),
            content: 1,
            time_ms: NOW.0,
            app: 0,
            group: 0,
            status: 200,
            kind: Kind::ApiCall,
        };
        let arena = vec![b'x'; rows as usize * 1000];
        Queued { rows: Prepared { arena, rows: (0..rows).map(row).collect() }, reply: () }
    };
    let (mut owner, reader) = start();
    let mut first = 1;
    let mut commit = |owner: &mut flow::partition::Owner, rows: u32| {
        let done = owner.commit(vec![batch(rows, first)], Vec::new(), clock.now()).unwrap();
        first += u128::from(rows);
        assert_eq!(done.block.unwrap().header().rows, rows);
    };
    // From the second one on past the cache; the small one in between fills a page.
    for rows in [40, 60, 1, 50, 200, 45] {
        commit(&mut owner, rows);
    }
    assert_eq!(sim.direct_writes(), 4);
    assert_eq!(rows(&reader, &Scope::All).len(), 396);
    owner.prove(clock.now()).unwrap();
    drop((owner, reader));
    sim.power_cut(PowerCut { seed: 5, keep_percent: 0 });
    let (mut owner, reader) = start();
    assert_eq!(owner.next_row(), Row(396));
    commit(&mut owner, 40);
    assert_eq!(rows(&reader, &Scope::All).len(), 436);
}
