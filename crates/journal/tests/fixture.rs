//! A journal of format version 1 as it lies on disks: it must open for ever, and this release must still write it so.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flow::clock::UnixMillis;
use flow::log::Slice;
use flow::segment::{SegmentIo, SegmentRead};
use flow::units::{PartitionId, Row};
use journal::testing::Owner;
use journal::vfs::{Access, OsVfs, SimVfs, Vfs, read_up_to};
use journal::{Entropy, RecordView, Settings, Severity, inspect, open, verify, visit_records};

const NOW: UnixMillis = UnixMillis(1_763_800_000_000);

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

fn settings() -> Settings {
    let next = AtomicU64::new(0x0123_4567_89AB_CDEF);
    Settings {
        partitions: 2,
        segment_bytes: 1 << 20,
        allocate_step: 512,
        ballast_bytes: 0,
        direct_from: 2_000,
        entropy: Entropy::new(move || next.fetch_add(0x1111_1111_1111_1111, Ordering::Relaxed)),
        ..Settings::default()
    }
}

/// A record so long that its block is padded to the end of a page.
fn long() -> String {
    format!("\"n\":\"{}\"}}", "x".repeat(2_500))
}

/// A sealed segment, with padded blocks in it, a recovered one, and a newest one with a proven block, an unproven one and
/// a torn one.
fn write(vfs: &SimVfs) {
    let start = || {
        let journal = open(Arc::new(vfs.clone()), Path::new("/j"), &settings()).unwrap();
        let mut owners: Vec<Owner> =
            journal.writers.into_iter().map(|w| Owner::start(w, NOW).unwrap()).collect();
        owners.truncate(1);
        owners.remove(0)
    };
    let mut owner = start();
    owner.append(&[("acme", b"\"n\":1}"), ("bolt", b"\"n\":2}"), ("acme", b"\"n\":3}")]).unwrap();
    owner.sync().unwrap();
    owner.control(b"lane state").unwrap();
    owner.sync().unwrap();
    // The first one begins anywhere, the second one at a page, and lane state behind it fills a page.
    for _ in 0..2 {
        owner.append(&[("dune", long().as_bytes())]).unwrap();
        owner.sync().unwrap();
    }
    owner.control(b"more").unwrap();
    owner.sync().unwrap();
    assert_eq!(vfs.direct_writes(), 1);
    owner.append(&[("bolt", b"\"n\":4}")]).unwrap();
    drop(owner);
    vfs.kill();
    let mut owner = start();
    owner.append(&[("cobalt", b"\"n\":5}")]).unwrap();
    owner.sync().unwrap();
    owner.append(&[("acme", b"\"n\":6}")]).unwrap();
    let torn = owner.writer.tip().pos;
    owner.append(&[("acme", b"\"n\":7}")]).unwrap();
    let base = inspect(vfs, Path::new("/j")).unwrap().partitions[0].segments.last().unwrap().base;
    drop(owner);
    vfs.kill();
    let newest = format!("/j/p000/{base:020}.seg");
    vfs.damage(Path::new(&newest), torn.0 - base + 4096 + 215, 0xFF);
}

fn files(vfs: &dyn Vfs, dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut add = |dir: &Path, name: &str, label: String| {
        let file = vfs.open(&dir.join(name), Access::Read).unwrap();
        let len = usize::try_from(file.len().unwrap()).unwrap();
        found.insert(label, read_up_to(&*file, 0, len).unwrap());
    };
    add(dir, "manifest.json", "manifest.json".to_owned());
    for part in ["p000", "p001"] {
        for name in vfs.list(&dir.join(part)).unwrap() {
            add(&dir.join(part), &name, format!("{part}/{name}"));
        }
    }
    found
}

fn copy(to: &Path) {
    for (name, bytes) in files(&OsVfs, &fixture()) {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

#[test]
fn version_1_opens() {
    let dir = tempfile::tempdir().unwrap();
    copy(dir.path());
    let findings = verify(&OsVfs, dir.path()).unwrap();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Note), "{findings:?}");
    let mut records = Vec::new();
    visit_records(&OsVfs, dir.path(), &mut |view: &RecordView<'_>| {
        records.push((
            view.row.0,
            view.org.to_owned(),
            view.seq.0,
            String::from_utf8(view.record.to_vec()).unwrap(),
        ));
    })
    .unwrap();
    let journal = open(Arc::new(OsVfs), dir.path(), &settings()).unwrap();
    assert_eq!(journal.log.to_string(), "efcdab896745230100dfbc9a78563412");
    assert_eq!(journal.recoveries[0].copied_rows, 1);
    assert!(journal.recoveries[0].torn_bytes > 0);
    let reader = Arc::clone(&journal.reader);
    let owner = Owner::start(journal.writers.into_iter().next().unwrap(), NOW).unwrap();
    assert_eq!(owner.controls, [b"lane state".to_vec(), b"more".to_vec()]);
    assert_eq!(
        owner.seqs.iter().map(|(o, s)| (o.as_str(), *s)).collect::<Vec<_>>(),
        [("acme", 3), ("bolt", 2), ("cobalt", 1), ("dune", 2)]
    );
    let long = [0, 1].map(|seq| format!("{{\"v\":1,\"seq\":{seq},{}", long()));
    let expected = [
        (0, "acme", 0, "{\"v\":1,\"seq\":0,\"n\":1}"),
        (1, "acme", 1, "{\"v\":1,\"seq\":1,\"n\":3}"),
        (2, "bolt", 0, "{\"v\":1,\"seq\":0,\"n\":2}"),
        (3, "dune", 0, &*long[0]),
        (4, "dune", 1, &*long[1]),
        (5, "bolt", 1, "{\"v\":1,\"seq\":1,\"n\":4}"),
        (6, "cobalt", 0, "{\"v\":1,\"seq\":0,\"n\":5}"),
        (7, "acme", 2, "{\"v\":1,\"seq\":2,\"n\":6}"),
    ];
    assert_eq!(
        records.iter().map(|(r, o, s, t)| (*r, o.as_str(), *s, t.as_str())).collect::<Vec<_>>(),
        expected
    );
    let mut next = Row(0);
    let mut read = 0;
    while let Slice::Rows { pieces, next: after } =
        reader.read(PartitionId(0), next, &flow::log::Scope::All, 1 << 20).unwrap()
    {
        read += pieces.iter().map(flow::log::Piece::count).sum::<u64>();
        next = after;
    }
    assert_eq!(read, 8);
}

/// When this fails, the format has changed: raise its version, keep reading this one, and add a fixture of the new one.
#[test]
fn version_1_is_written_as_it_was() {
    let vfs = SimVfs::default();
    write(&vfs);
    let (now, then) = (files(&vfs, Path::new("/j")), files(&OsVfs, &fixture()));
    // Where a new fixture can be taken from.
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("journal-fixture");
    for (name, bytes) in &now {
        let path = made.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    assert_eq!(now.keys().collect::<Vec<_>>(), then.keys().collect::<Vec<_>>());
    for (name, bytes) in &now {
        assert!(bytes == &then[name], "{name} differs from what this release writes: see {}", made.display());
    }
}
