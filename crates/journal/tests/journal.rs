//! The journal over the simulated and the real file system, step by step.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use event::OrgId;
use flow::clock::UnixMillis;
use flow::log::{GapReason, Scope, Slice};
use flow::segment::{ReserveError, SegmentIo, SegmentRead};
use flow::units::{PartitionId, Row, RowRange};
use journal::testing::Owner;
use journal::vfs::{Access, OsVfs, PowerCut, SimVfs, Vfs};
use journal::{Journal, OpenError, Reader, Settings, open, repair};

const DIR: &str = "/j";
const P0: PartitionId = PartitionId(0);
const NOW: UnixMillis = UnixMillis(1_763_800_000_000);

fn settings() -> Settings {
    Settings {
        partitions: 1,
        segment_bytes: 16 << 10,
        allocate_step: 4 << 10,
        ballast_bytes: 64 << 10,
        ..Settings::default()
    }
}

fn open_sim(vfs: &SimVfs) -> Result<(Owner, Arc<Reader>), OpenError> {
    let Journal { mut writers, reader, .. } = open(Arc::new(vfs.clone()), Path::new(DIR), &settings())?;
    Ok((Owner::start(writers.remove(0), NOW).unwrap(), reader))
}

fn scope(orgs: &[&str]) -> Scope {
    Scope::Orgs(Arc::new(orgs.iter().map(|org| OrgId::new(org).unwrap()).collect::<BTreeSet<_>>()))
}

/// Everything from `from` on that can be read, as (row, record).
fn read_all(reader: &Reader, from: u64, scope: &Scope, max_bytes: usize) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    let mut next = Row(from);
    loop {
        match reader.read(P0, next, scope, max_bytes).unwrap() {
            Slice::NotYet => return found,
            Slice::Gap { rows, reason } => panic!("gap {rows:?} {reason:?}"),
            Slice::Rows { pieces, next: after } => {
                assert!(after > next);
                for piece in pieces {
                    for index in piece.rows.iter().cloned().flatten() {
                        let row = piece.block.header().base_row.0 + u64::from(index);
                        let record = piece.block.record(index).unwrap();
                        found.push((row, String::from_utf8(record.to_vec()).unwrap()));
                    }
                }
                next = after;
            }
        }
    }
}

#[test]
fn what_was_synced_is_read_by_all_and_by_each() {
    let vfs = SimVfs::default();
    let (mut owner, reader) = open_sim(&vfs).unwrap();
    owner.append(&[("b", b"1}"), ("a", b"2}"), ("b", b"3}")]).unwrap();
    assert!(matches!(reader.read(P0, Row(0), &Scope::All, 1000).unwrap(), Slice::NotYet), "not durable yet");
    owner.sync().unwrap();
    owner.append(&[("c", b"4}"), ("a", b"5}")]).unwrap();
    owner.sync().unwrap();
    let all = read_all(&reader, 0, &Scope::All, 1 << 20);
    let a = "{\"v\":1,\"seq\":0,2}";
    assert_eq!(all.len(), 5);
    assert_eq!(all[0], (0, a.to_owned()));
    assert_eq!(read_all(&reader, 0, &Scope::All, 1), all);
    assert_eq!(read_all(&reader, 2, &Scope::All, 1), all[2..]);
    let mine = read_all(&reader, 0, &scope(&["a"]), 1);
    assert_eq!(mine, [(0, a.to_owned()), (3, "{\"v\":1,\"seq\":1,5}".to_owned())]);
    assert!(read_all(&reader, 0, &scope(&["x"]), 1).is_empty());
    let two = read_all(&reader, 0, &scope(&["a", "c"]), 1 << 20);
    assert_eq!(two.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 3, 4]);
}

#[test]
fn segments_roll_and_everything_stays_readable_and_counted() {
    let vfs = SimVfs::default();
    let (mut owner, reader) = open_sim(&vfs).unwrap();
    for n in 0..200u32 {
        let text = format!("\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(300));
        owner
            .append(&[("a", text.as_bytes()), (if n % 2 == 0 { "b" } else { "c" }, text.as_bytes())])
            .unwrap();
        owner.sync().unwrap();
        if owner.writer.is_full() {
            owner.roll().unwrap();
        }
    }
    let files = vfs.list(Path::new("/j/p000")).unwrap();
    assert!(files.len() > 5, "{files:?}");
    assert_eq!(read_all(&reader, 0, &Scope::All, 10_000).len(), 400);
    assert_eq!(read_all(&reader, 0, &scope(&["b"]), 10_000).len(), 100);
    assert_eq!(read_all(&reader, 0, &scope(&["a", "c"]), 700).len(), 300);
    for from in [0, 1, 37, 200, 399, 400] {
        for scope in [Scope::All, scope(&["a"]), scope(&["b", "c"])] {
            let rows = read_all(&reader, from, &scope, 1 << 20);
            let extent = reader.extent(P0, &scope, Row(from));
            assert_eq!(extent.rows, rows.len() as u64, "from {from} of {scope:?}");
            assert_eq!(extent.bytes, rows.iter().map(|(_, r)| r.len() as u64).sum::<u64>());
            assert_eq!(extent.oldest_ms.is_some(), !rows.is_empty());
        }
    }
    drop(owner);
    drop(reader);
    let (owner, reader) = open_sim(&vfs).unwrap();
    assert_eq!(owner.next_row, 400);
    assert_eq!(
        owner.seqs.iter().map(|(o, s)| (o.as_str(), *s)).collect::<Vec<_>>(),
        [("a", 200), ("b", 100), ("c", 100)]
    );
    assert_eq!(read_all(&reader, 0, &Scope::All, 10_000).len(), 400);
}

#[test]
fn more_small_blocks_than_one_read_takes_are_all_read() {
    let vfs = SimVfs::default();
    let settings = Settings { segment_bytes: 64 << 20, ..settings() };
    let Journal { mut writers, reader, .. } = open(Arc::new(vfs.clone()), Path::new(DIR), &settings).unwrap();
    let mut owner = Owner::start(writers.remove(0), NOW).unwrap();
    // `b` has less than one read takes and is cut where `a` is; `c` comes behind all of that.
    for n in 0..10_000u32 {
        let text = format!("{n}}}");
        let org = if n % 3 == 2 { "b" } else { "a" };
        owner.writer.reserve(4096, false).unwrap();
        owner.append(&[(org, text.as_bytes())]).unwrap();
    }
    owner.append(&[("c", b"c}")]).unwrap();
    owner.sync().unwrap();
    let all = |owner: &str| {
        for (orgs, count) in
            [(&["a"][..], 6_667), (&["b"], 3_333), (&["a", "c"], 6_668), (&["a", "b"], 10_000)]
        {
            let rows: Vec<u64> =
                read_all(&reader, 0, &scope(orgs), 64 << 20).iter().map(|(row, _)| *row).collect();
            assert_eq!(rows.len(), count, "{orgs:?} {owner}");
            assert!(rows.is_sorted_by(|a, b| a < b), "{orgs:?} {owner}");
        }
        assert_eq!(read_all(&reader, 9_990, &scope(&["a", "b", "c"]), 64 << 20).len(), 11, "{owner}");
    };
    all("of the open segment");
    owner.roll().unwrap();
    all("of a sealed segment");
}

#[test]
fn an_unproven_tail_is_copied_before_it_is_used() {
    let vfs = SimVfs::default();
    let (mut owner, reader) = open_sim(&vfs).unwrap();
    owner.append(&[("a", b"1}")]).unwrap();
    owner.sync().unwrap();
    owner.append(&[("a", b"2}")]).unwrap();
    owner.control(b"lane").unwrap();
    drop((owner, reader));
    // Only the process died: the block is there, but nothing says that it is on the disk.
    vfs.kill();
    let (owner, reader) = open_sim(&vfs).unwrap();
    assert_eq!(read_all(&reader, 0, &Scope::All, 1000).len(), 2);
    assert_eq!(owner.controls, [b"lane".to_vec()]);
    drop((owner, reader));
    // From then on it is.
    vfs.power_cut(PowerCut { seed: 1, keep_percent: 0 });
    let (owner, reader) = open_sim(&vfs).unwrap();
    assert_eq!(read_all(&reader, 0, &Scope::All, 1000).len(), 2);
    assert_eq!((owner.next_row, owner.seqs["a"]), (2, 2));
}

#[test]
fn damage_below_the_watermark_stops_the_start() {
    let vfs = SimVfs::default();
    let (mut owner, reader) = open_sim(&vfs).unwrap();
    owner.append(&[("a", b"1}")]).unwrap();
    owner.sync().unwrap();
    let at = owner.writer.tip().pos.0 + 4096;
    owner.append(&[("a", b"2}")]).unwrap();
    owner.sync().unwrap();
    owner.control(b"").unwrap();
    owner.sync().unwrap();
    drop((owner, reader));
    vfs.kill();
    let sound = vfs.fork();
    assert!(open_sim(&sound).is_ok());
    vfs.damage(Path::new("/j/p000/00000000000000000000.seg"), at + 50, 1);
    match open_sim(&vfs) {
        Err(OpenError::Damaged(damages)) => {
            let damage = &damages[0];
            assert_eq!((damage.from, damage.first_row, damage.end_row), (at, 1, 2));
            assert!(OpenError::Damaged(damages).to_string().contains("p000/00000000000000000000.seg: bytes"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_folders_above_are_durable_before_anything_is_promised() {
    let vfs = SimVfs::default();
    let dir = Path::new("/srv/data/journal");
    let Journal { mut writers, .. } = open(Arc::new(vfs.clone()), dir, &settings()).unwrap();
    let mut owner = Owner::start(writers.remove(0), NOW).unwrap();
    owner.append(&[("a", b"1}")]).unwrap();
    owner.sync().unwrap();
    drop(owner);
    vfs.power_cut(PowerCut { seed: 1, keep_percent: 0 });
    let Journal { reader, .. } = open(Arc::new(vfs.clone()), dir, &settings()).unwrap();
    assert_eq!(reader.durable_end(P0), Row(1));
    // A start that ended between making the folder and syncing the one above it is made up for by the next one.
    let vfs = SimVfs::default();
    vfs.create_dir(dir).unwrap();
    vfs.sync_dir(Path::new("/")).unwrap();
    vfs.sync_dir(Path::new("/srv")).unwrap();
    drop(open(Arc::new(vfs.clone()), dir, &settings()).unwrap());
    vfs.power_cut(PowerCut { seed: 1, keep_percent: 0 });
    assert!(vfs.list(dir).unwrap().contains(&"manifest.json".to_owned()));
}

#[test]
fn a_snapshot_as_large_as_a_segment_does_not_fill_it() {
    let vfs = SimVfs::default();
    let (mut owner, reader) = open_sim(&vfs).unwrap();
    for _ in 0..40 {
        owner.writer.reserve(2048, true).unwrap();
        owner.control(&[200; 500]).unwrap();
    }
    owner.sync().unwrap();
    owner.roll().unwrap();
    assert!(owner.writer.tip().pos.0 > 64 << 10, "the snapshot is several times as large as a segment");
    assert!(!owner.writer.is_full(), "nothing stands behind the snapshot");
    let mut commits = 0;
    while !owner.writer.is_full() {
        owner.append(&[("a", &[b'x'; 1000])]).unwrap();
        owner.sync().unwrap();
        commits += 1;
    }
    assert!((4..=10).contains(&commits), "{commits}");
    drop((owner, reader));
    vfs.power_cut(PowerCut { seed: 3, keep_percent: 50 });
    assert_eq!(open_sim(&vfs).unwrap().0.next_row, commits);
}

/// A journal of several segments of blocks of one row; gives the rows, and where in the first file the block with row 3 is.
fn segments_of_rows(vfs: &SimVfs) -> (Vec<(u64, String)>, u64) {
    let (mut owner, reader) = open_sim(vfs).unwrap();
    let mut block = 0;
    while vfs.list(Path::new("/j/p000")).unwrap().len() < 6 {
        if owner.next_row == 3 {
            block = owner.writer.tip().pos.0 + 4096;
        }
        owner.append(&[("a", &[b'x'; 1000])]).unwrap();
        owner.sync().unwrap();
        if owner.writer.is_full() {
            owner.roll().unwrap();
        }
    }
    owner.control(b"").unwrap();
    owner.sync().unwrap();
    let rows = read_all(&reader, 0, &Scope::All, 1 << 20);
    drop((owner, reader));
    vfs.kill();
    (rows, block)
}

#[test]
fn what_a_repair_set_aside_at_the_beginning_is_lost_and_not_expired() {
    let vfs = SimVfs::default();
    let (rows, _) = segments_of_rows(&vfs);
    let first = Path::new("/j/p000/00000000000000000000.seg");
    let len = vfs.open(first, Access::Read).unwrap().len().unwrap();
    for at in 0..len {
        vfs.damage(first, at, 0xA5);
    }
    let done = repair(&(Arc::new(vfs.clone()) as Arc<dyn Vfs>), Path::new(DIR), true, NOW).unwrap();
    assert_eq!(done.losses.len(), 1, "{done:?}");
    // At every start, also behind the first segment that this one publishes.
    for _ in 0..3 {
        let (owner, reader) = open_sim(&vfs).unwrap();
        let gap = reader.read(P0, Row(0), &Scope::All, 1000).unwrap();
        let Slice::Gap { rows: lost, reason: GapReason::Corruption } = gap else { panic!("{gap:?}") };
        assert_eq!(lost.start, Row(0));
        assert_eq!(reader.oldest(P0), (Row(0), GapReason::Retention), "nothing has expired");
        assert_eq!(
            reader.extent(P0, &Scope::All, Row(0)).rows,
            rows.len() as u64,
            "what is to be told is pending"
        );
        assert_eq!(read_all(&reader, lost.end.0, &Scope::All, 1 << 20), rows[lost.end.0 as usize..]);
        drop((owner, reader));
        vfs.kill();
    }
}

#[test]
fn lost_rows_count_among_everybodys_until_they_are_passed() {
    let vfs = SimVfs::default();
    let (rows, block) = segments_of_rows(&vfs);
    vfs.damage(Path::new("/j/p000/00000000000000000000.seg"), block + 50, 0xFF);
    let done = repair(&(Arc::new(vfs.clone()) as Arc<dyn Vfs>), Path::new(DIR), true, NOW).unwrap();
    let [loss] = done.losses.as_slice() else { panic!("{done:?}") };
    assert_eq!((loss.first_row, loss.end_row), (3, 4), "{loss:?}");
    let (_owner, reader) = open_sim(&vfs).unwrap();
    for from in [0, 1, loss.first_row, loss.end_row, loss.end_row + 1] {
        assert_eq!(reader.extent(P0, &Scope::All, Row(from)).rows, rows.len() as u64 - from, "from {from}");
    }
}

#[test]
fn a_full_disk_refuses_events_and_still_takes_lane_state() {
    let vfs = SimVfs::default();
    let (mut owner, _reader) = open_sim(&vfs).unwrap();
    vfs.set_capacity(Some(100 << 10));
    let text = vec![b'x'; 1000];
    let refused = loop {
        match owner.writer.reserve(1200, false) {
            Ok(()) => {
                owner.append(&[("a", &text)]).unwrap();
                owner.sync().unwrap();
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, ReserveError::Refused(_)), "{refused:?}");
    for _ in 0..50 {
        owner.writer.reserve(1200, true).unwrap();
        owner.control(b"cursor").unwrap();
        owner.sync().unwrap();
    }
    owner.roll().unwrap();
    assert!(owner.writer.reserve(1200, false).is_err(), "not before the ballast is whole");
    drop(owner);
    let (mut owner, _reader) = open_sim(&vfs).unwrap();
    assert!(owner.writer.reserve(1200, false).is_err());
    vfs.set_capacity(None);
    owner.writer.reserve(1200, false).unwrap();
}

#[test]
fn what_expires_becomes_a_gap_and_stays_one() {
    let vfs = SimVfs::default();
    let (mut owner, reader) = open_sim(&vfs).unwrap();
    owner.append(&[("a", b"1}")]).unwrap();
    owner.sync().unwrap();
    owner.roll().unwrap();
    owner.now = UnixMillis(NOW.0 + 1000);
    owner.append(&[("a", b"2}")]).unwrap();
    owner.sync().unwrap();
    let week = i64::try_from(Duration::from_secs(7 * 24 * 3600).as_millis()).unwrap();
    assert_eq!(owner.writer.expire(UnixMillis(NOW.0 + week)).unwrap(), None);
    let expired = owner.writer.expire(UnixMillis(NOW.0 + week + 1)).unwrap().unwrap();
    let gap = RowRange { start: Row(0), end: Row(1) };
    assert_eq!(expired.rows, gap);
    let is_gap =
        |slice: Slice| matches!(slice, Slice::Gap { rows, reason: GapReason::Retention } if rows == gap);
    assert!(is_gap(reader.read(P0, Row(0), &Scope::All, 1000).unwrap()));
    assert!(is_gap(reader.read(P0, Row(0), &scope(&["z"]), 1000).unwrap()));
    assert_eq!(read_all(&reader, 1, &Scope::All, 1000).len(), 1);
    drop((owner, reader));
    vfs.power_cut(PowerCut { seed: 3, keep_percent: 50 });
    let (owner, reader) = open_sim(&vfs).unwrap();
    assert!(is_gap(reader.read(P0, Row(0), &Scope::All, 1000).unwrap()));
    assert_eq!(owner.seqs["a"], 2);
}

#[test]
fn one_process_at_a_time() {
    let vfs = SimVfs::default();
    let held = open_sim(&vfs).unwrap();
    assert!(matches!(open_sim(&vfs), Err(OpenError::Locked(_))));
    drop(held);
    open_sim(&vfs).unwrap();
}

#[test]
fn it_works_on_the_real_file_system() {
    let dir = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs);
    for round in 0..3u64 {
        let Journal { mut writers, reader, .. } = open(Arc::clone(&vfs), dir.path(), &settings()).unwrap();
        let mut owner = Owner::start(writers.remove(0), NOW).unwrap();
        assert_eq!(owner.next_row, round * 100);
        for n in 0..50u64 {
            let text = format!("\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(300));
            owner.writer.reserve(2000, false).unwrap();
            owner.append(&[("a", text.as_bytes()), ("b", text.as_bytes())]).unwrap();
            owner.sync().unwrap();
            if owner.writer.is_full() {
                owner.roll().unwrap();
            }
        }
        assert_eq!(read_all(&reader, 0, &Scope::All, 10_000).len() as u64, (round + 1) * 100);
    }
}

/// Readers go on while segments are closed and removed under them: every row is read once, right, or in a gap.
#[test]
fn readers_survive_rolls_and_expiry() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { max_age: Duration::from_millis(40), ..settings() };
    let journal = open(Arc::new(OsVfs), dir.path(), &settings).unwrap();
    let mut owner = Owner::start(journal.writers.into_iter().next().unwrap(), UnixMillis(0)).unwrap();
    const ROWS: u64 = 6_000;
    let read = |scope: Scope, own: u64| {
        let reader = Arc::clone(&journal.reader);
        move || {
            let mut next = Row(0);
            let mut told = vec![false; usize::try_from(ROWS).unwrap()];
            while next.0 < ROWS {
                match reader.read(P0, next, &scope, 3_000).unwrap() {
                    Slice::NotYet => std::thread::yield_now(),
                    Slice::Gap { rows, .. } => {
                        assert!(rows.start == next && rows.end > next);
                        told[usize::try_from(rows.start.0).unwrap()..usize::try_from(rows.end.0).unwrap()]
                            .fill(true);
                        next = rows.end;
                    }
                    Slice::Rows { pieces, next: after } => {
                        for piece in pieces {
                            for index in piece.rows.iter().cloned().flatten() {
                                let row = piece.block.header().base_row.0 + u64::from(index);
                                assert!(row >= next.0 && row < after.0);
                                let text = std::str::from_utf8(piece.block.record(index).unwrap()).unwrap();
                                // Two rows a block, sorted by organisation: even rows are a's, odd ones b's.
                                assert!(text.contains(&format!("\"r\":{row},")), "row {row}: {text}");
                                assert!(own == 2 || row % 2 == own);
                                told[usize::try_from(row).unwrap()] = true;
                            }
                        }
                        next = after;
                    }
                }
            }
            told
        }
    };
    std::thread::scope(|threads| {
        let all = threads.spawn(read(Scope::All, 2));
        let odd = threads.spawn(read(scope(&["b"]), 1));
        for n in 0..ROWS / 2 {
            owner.now = UnixMillis(i64::try_from(n).unwrap());
            let (a, b) = (format!("\"r\":{},}}", n * 2), format!("\"r\":{},}}", n * 2 + 1));
            owner.append(&[("a", a.as_bytes()), ("b", b.as_bytes())]).unwrap();
            if n % 4 == 3 {
                owner.sync().unwrap();
            }
            if owner.writer.is_full() {
                owner.roll().unwrap();
            }
            owner.writer.expire(owner.now).unwrap();
        }
        owner.sync().unwrap();
        assert!(all.join().unwrap().into_iter().all(|told| told));
        assert!(odd.join().unwrap().into_iter().skip(1).step_by(2).all(|told| told));
    });
    assert!(journal.reader.oldest(P0).0.0 > 0, "nothing expired");
}

/// Organisations of one partition never see each other, whatever the scope, and partitions neither.
#[test]
fn partitions_are_apart() {
    let vfs = SimVfs::default();
    let settings = Settings { partitions: 3, ..settings() };
    let journal = open(Arc::new(vfs.clone()), Path::new(DIR), &settings).unwrap();
    let mut owners: Vec<Owner> = journal.writers.into_iter().map(|w| Owner::start(w, NOW).unwrap()).collect();
    for (owner, org) in owners.iter_mut().zip(["a", "b", "c"]) {
        owner.append(&[(org, b"\"x\":1}")]).unwrap();
        owner.sync().unwrap();
    }
    for (number, own) in (0..3).zip(["a", "b", "c"]) {
        for org in ["a", "b", "c"] {
            let extent = journal.reader.extent(PartitionId(number), &scope(&[org]), Row(0));
            assert_eq!(extent.rows, u64::from(org == own));
        }
    }
    drop(owners);
    vfs.kill();
    // A partition that vanished is missed; the number in the settings means nothing to a journal that exists.
    let journal =
        open(Arc::new(vfs.clone()), Path::new(DIR), &Settings { partitions: 8, ..settings.clone() }).unwrap();
    assert_eq!(journal.writers.len(), 3);
}
