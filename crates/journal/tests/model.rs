//! Random histories against an oracle: a list of records and how many of them are durable.
//!
//! A power cut, whatever it drops, reorders or tears, must recover without repair, hold everything that was synced and
//! invent nothing. Damage to what was durable must be refused or reported. `PROPTEST_CASES` makes the run longer.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test stops at the first surprise"
)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::OrgId;
use flow::clock::UnixMillis;
use flow::log::{Scope, Slice};
use flow::segment::{SegmentIo, SegmentRead};
use flow::units::PartitionId;
use journal::testing::Owner;
use journal::vfs::{DirectRefusal, Fault, PowerCut, SimVfs, Vfs};
use journal::{Entropy, OpenError, Reader, Settings, Severity, open, repair, verify};
use proptest::prelude::*;

const DIR: &str = "/j";
const P0: PartitionId = PartitionId(0);
const ORGS: [&str; 4] = ["acme", "bolt", "cobalt", "dune"];

#[derive(Debug, Clone)]
enum Op {
    Append(Vec<(usize, u16)>),
    Control(u8),
    Watermark,
    Sync,
    Roll,
    Expire(i64),
    Kill,
    PowerCut(u64, u8),
    /// The process dies at the nth changing call, perhaps in the middle of the next operations or of recovery.
    Die(u64),
    SyncFails,
    WriteFails(u64),
    FolderSyncFails,
    /// From now on the file system has direct writes, or none.
    Direct(Option<DirectRefusal>),
}

fn op() -> impl Strategy<Value = Op> {
    let records = proptest::collection::vec((0..ORGS.len(), 0u16..900), 1..6);
    prop_oneof![
        12 => records.prop_map(Op::Append),
        3 => any::<u8>().prop_map(Op::Control),
        3 => Just(Op::Watermark),
        8 => Just(Op::Sync),
        2 => Just(Op::Roll),
        2 => (0i64..2_000).prop_map(Op::Expire),
        1 => Just(Op::Kill),
        2 => (any::<u64>(), 0u8..=100).prop_map(|(seed, keep)| Op::PowerCut(seed, keep)),
        2 => (0u64..40).prop_map(Op::Die),
        1 => Just(Op::SyncFails),
        1 => (0u64..4).prop_map(Op::WriteFails),
        1 => Just(Op::FolderSyncFails),
        1 => prop_oneof![
            2 => Just(None),
            1 => Just(Some(DirectRefusal::Open)),
            1 => Just(Some(DirectRefusal::Write)),
        ]
        .prop_map(Op::Direct),
    ]
}

fn settings() -> Settings {
    let seed = parking_lot::Mutex::new(0x9E37_79B9_7F4A_7C15_u64);
    Settings {
        partitions: 1,
        segment_bytes: 12 << 10,
        allocate_step: 4 << 10,
        ballast_bytes: 4 << 10,
        // About half of the blocks of records.
        direct_from: 1_700,
        max_age: std::time::Duration::from_secs(5),
        index_cache_bytes: 4 << 10,
        entropy: Entropy::new(move || {
            let mut seed = seed.lock();
            *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            *seed ^ (*seed >> 29)
        }),
        ..Settings::default()
    }
}

/// Something done to a file behind the journal's back.
#[derive(Debug, Clone)]
enum Harm {
    Flip(prop::sample::Index, prop::sample::Index, u8),
    /// A sector reads as zeros.
    Zeros(prop::sample::Index, prop::sample::Index),
    Truncate(prop::sample::Index, prop::sample::Index),
    Delete(prop::sample::Index),
}

fn harms() -> impl Strategy<Value = Vec<Harm>> {
    let index = any::<prop::sample::Index>;
    let small = prop_oneof![
        3 => (index(), index(), 1u8..=255).prop_map(|(file, at, mask)| Harm::Flip(file, at, mask)),
        1 => (index(), index()).prop_map(|(file, at)| Harm::Zeros(file, at)),
    ];
    // What removes the traces of what else was removed cannot be told: one of these at a time.
    prop_oneof![
        4 => proptest::collection::vec(small, 1..4),
        1 => (index(), index()).prop_map(|(file, at)| vec![Harm::Truncate(file, at)]),
        1 => index().prop_map(|file| vec![Harm::Delete(file)]),
    ]
}

impl Harm {
    fn apply(&self, vfs: &SimVfs) {
        let (Self::Flip(file, ..) | Self::Zeros(file, _) | Self::Truncate(file, _) | Self::Delete(file)) =
            self;
        let path = pick_file(vfs, file);
        let open = vfs.open(&path, journal::vfs::Access::Write).unwrap();
        let len = open.len().unwrap();
        // The proof of how far a segment was durable stands behind the blocks: of the newest one, cutting it off
        // takes both away, and nothing is left to tell it by.
        let newest =
            vfs.list(Path::new("/j/p000")).unwrap().into_iter().rfind(|name| name.ends_with(".seg")).unwrap();
        let untold = matches!(self, Self::Truncate(..)) && path.ends_with(newest);
        if len == 0 || untold || path.ends_with("manifest.json") {
            return;
        }
        let place = |at: &prop::sample::Index| at.index(usize::try_from(len).unwrap()) as u64;
        match self {
            Self::Flip(_, at, mask) => vfs.damage(&path, place(at), *mask),
            Self::Zeros(_, at) => {
                let start = place(at) / 512 * 512;
                open.write_all_at(&vec![0; usize::try_from((len - start).min(512)).unwrap()], start).unwrap();
            }
            Self::Truncate(_, at) => open.truncate(place(at)).unwrap(),
            Self::Delete(_) => vfs.remove(&path).unwrap(),
        }
        open.sync().unwrap();
        vfs.sync_dir(Path::new("/j/p000")).unwrap();
    }
}

/// What must be true of the journal.
#[derive(Debug, Default)]
struct Oracle {
    rows: Vec<(String, String)>,
    durable_rows: usize,
    controls: Vec<Vec<u8>>,
    durable_controls: usize,
    expired: u64,
}

struct Run {
    vfs: SimVfs,
    settings: Settings,
    open: Option<(Owner, Arc<Reader>)>,
    oracle: Oracle,
    now: UnixMillis,
    tag: u64,
}

impl Run {
    fn new() -> Self {
        Self {
            vfs: SimVfs::default(),
            settings: settings(),
            open: None,
            oracle: Oracle::default(),
            now: UnixMillis(1_000_000),
            tag: 0,
        }
    }

    /// What `ops` leave when nothing fails: synced to the end and killed, once or twice.
    fn quiet(ops: &[Op], again: bool) -> Self {
        let mut run = Self::new();
        assert!(run.start());
        let fails =
            |op: &&Op| matches!(op, Op::Die(_) | Op::SyncFails | Op::WriteFails(_) | Op::FolderSyncFails);
        for op in ops.iter().filter(|op| !fails(op)) {
            run.apply(op);
        }
        // An idle owner writes its watermark, so that its last block is proven.
        for op in [Op::Sync, Op::Watermark, Op::Sync] {
            run.apply(&op);
        }
        run.crash(None);
        if again {
            run.restart();
            run.crash(None);
        }
        run
    }

    /// Opens; a simulated death on the way is one more crash. Damage is a failed test.
    fn start(&mut self) -> bool {
        let journal = match open(Arc::new(self.vfs.clone()), Path::new(DIR), &self.settings) {
            Ok(journal) => journal,
            Err(OpenError::Io { .. } | OpenError::Manifest(journal::ManifestError::Io(_))) => return false,
            Err(error) => panic!("{error}"),
        };
        let reader = Arc::clone(&journal.reader);
        let Some(writer) = journal.writers.into_iter().next() else { panic!("no partition") };
        match Owner::start(writer, self.now) {
            Ok(owner) => {
                self.check(&owner, &reader);
                self.open = Some((owner, reader));
                true
            }
            Err(error) => {
                assert_ne!(error.kind(), io::ErrorKind::InvalidData, "{error}");
                false
            }
        }
    }

    /// After a start: everything durable is there, nothing is invented, and from now on all of it is durable.
    fn check(&mut self, owner: &Owner, reader: &Reader) {
        let oracle = &mut self.oracle;
        let rows = usize::try_from(owner.next_row).unwrap();
        assert!(rows >= oracle.durable_rows, "{} durable rows, {rows} recovered", oracle.durable_rows);
        assert!(rows <= oracle.rows.len(), "invented rows");
        oracle.rows.truncate(rows);
        oracle.durable_rows = rows;
        let controls = owner.controls.len();
        assert!(controls >= oracle.durable_controls && controls <= oracle.controls.len());
        assert_eq!(owner.controls, oracle.controls[..controls]);
        oracle.controls.truncate(controls);
        oracle.durable_controls = controls;
        for org in ORGS {
            let count = oracle.rows.iter().filter(|(o, _)| o == org).count() as u64;
            assert_eq!(owner.seqs.get(org).copied().unwrap_or(0), count, "seqs of {org} are not dense");
        }
        self.check_reads(reader);
    }

    fn check_reads(&self, reader: &Reader) {
        let (oldest, _) = reader.oldest(P0);
        assert!(oldest.0 <= self.oracle.expired, "rows vanished that were not expired");
        let first = usize::try_from(oldest.0).unwrap();
        let durable = &self.oracle.rows[..self.oracle.durable_rows];
        for max_bytes in [1, 2_000, 1 << 20] {
            let got = read_all(reader, &Scope::All, max_bytes).unwrap();
            assert_eq!(got, durable[first..]);
        }
        for org in ORGS {
            let expected: Vec<_> = durable[first..].iter().filter(|(o, _)| o == org).cloned().collect();
            let scope = Scope::one(OrgId::new(org).unwrap());
            assert_eq!(read_all(reader, &scope, 1_500).unwrap(), expected);
            assert_eq!(reader.extent(P0, &scope, oldest).rows, expected.len() as u64);
        }
        assert_eq!(reader.extent(P0, &Scope::All, oldest).rows, (durable.len() - first) as u64);
    }

    fn crash(&mut self, cut: Option<PowerCut>) {
        self.open = None;
        match cut {
            Some(cut) => self.vfs.power_cut(cut),
            None => self.vfs.kill(),
        }
    }

    fn apply(&mut self, op: &Op) {
        let Some((owner, reader)) = &mut self.open else { return };
        let result = match op {
            Op::Append(records) => {
                let mut records: Vec<(String, String)> = records
                    .iter()
                    .map(|(org, len)| {
                        self.tag += 1;
                        let text =
                            format!("\"t\":{},\"p\":\"{}\"}}", self.tag, "p".repeat(usize::from(*len)));
                        (ORGS[*org].to_owned(), text)
                    })
                    .collect();
                records.sort_by(|a, b| a.0.cmp(&b.0));
                // Said before it is written: a block may be there although its write failed.
                let mut seqs = owner.seqs.clone();
                for (org, text) in &records {
                    let seq = seqs.entry(org.clone()).or_default();
                    let record = format!("{{\"v\":1,\"seq\":{seq},{text}");
                    *seq += 1;
                    self.oracle.rows.push((org.clone(), record));
                }
                let borrowed: Vec<_> = records.iter().map(|(o, t)| (o.as_str(), t.as_bytes())).collect();
                owner.append(&borrowed)
            }
            Op::Control(byte) => {
                self.oracle.controls.push(vec![*byte; 10]);
                owner.control(&[*byte; 10])
            }
            Op::Watermark => owner.control(b""),
            Op::Sync => owner.sync(),
            Op::Roll => owner.roll(),
            Op::Expire(ms) => {
                self.now.0 += ms;
                owner.now = self.now;
                // Said before, as with records.
                self.oracle.expired = u64::MAX;
                owner.writer.expire(self.now).map(|_| ())
            }
            Op::Kill => {
                self.crash(None);
                self.restart();
                return;
            }
            Op::PowerCut(seed, keep_percent) => {
                self.crash(Some(PowerCut { seed: *seed, keep_percent: *keep_percent }));
                self.restart();
                return;
            }
            Op::Die(n) => {
                self.vfs.inject(Fault::Die(*n));
                return;
            }
            Op::SyncFails => {
                self.vfs.inject(Fault::Sync(0));
                return;
            }
            Op::WriteFails(n) => {
                self.vfs.inject(Fault::Write(*n));
                return;
            }
            Op::FolderSyncFails => {
                self.vfs.inject(Fault::SyncDir(0));
                return;
            }
            Op::Direct(refusal) => {
                self.vfs.refuse_direct(*refusal);
                return;
            }
        };
        if result.is_err() {
            // The process stops; whether the machine does too is another coin.
            let cut = PowerCut { seed: self.tag.wrapping_mul(0x5851_F42D_4C95_7F2D), keep_percent: 50 };
            self.crash(self.tag.is_multiple_of(2).then_some(cut));
            self.restart();
            return;
        }
        if matches!(op, Op::Sync | Op::Roll) {
            self.oracle.durable_rows = self.oracle.rows.len();
            self.oracle.durable_controls = self.oracle.controls.len();
        }
        if matches!(op, Op::Expire(_)) {
            self.oracle.expired = reader.oldest(P0).0.0;
        }
    }

    /// Starts again and again until it comes up: a pending death strikes during recovery first.
    fn restart(&mut self) {
        self.tag += 1;
        if self.tag.is_multiple_of(3) {
            self.vfs.inject(Fault::Die(self.tag % 23));
            if self.start() {
                // It came up before death struck; let it live.
                self.crash(None);
            } else {
                let seed = self.tag.wrapping_mul(0xD134_2543_DE82_EF95);
                self.crash(self.tag.is_multiple_of(2).then_some(PowerCut { seed, keep_percent: 40 }));
            }
        }
        assert!(self.start(), "it does not start although nothing is wrong any more");
    }
}

/// Everything readable from the oldest row on, as (organisation, record).
fn read_all(reader: &Reader, scope: &Scope, max_bytes: usize) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    let mut next = reader.oldest(P0).0;
    loop {
        match reader.read(P0, next, scope, max_bytes).map_err(|error| error.to_string())? {
            Slice::NotYet => return Ok(found),
            Slice::Gap { rows, reason } => return Err(format!("gap {rows:?} {reason:?}")),
            Slice::Rows { pieces, next: after } => {
                assert!(after > next);
                for piece in pieces {
                    for index in piece.rows.iter().cloned().flatten() {
                        let run = piece
                            .block
                            .runs()
                            .find(|r| (r.first..r.first + r.count).contains(&index))
                            .unwrap();
                        let record = piece.block.record(index).unwrap();
                        found.push((run.org.to_owned(), String::from_utf8(record.to_vec()).unwrap()));
                    }
                }
                next = after;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn crashes_never_lose_what_was_synced(ops in proptest::collection::vec(op(), 1..60)) {
        let mut run = Run::new();
        prop_assert!(run.start());
        for op in &ops {
            run.apply(op);
        }
        if let Some((_, reader)) = &run.open {
            run.check_reads(reader);
        }
        // Every history ends with one more power cut, however it went.
        run.crash(Some(PowerCut { seed: 77, keep_percent: 30 }));
        run.restart();
    }

    /// Bits flipped in what was durable never pass silently: refused at the start, or reported when read, or without
    /// any effect.
    #[test]
    fn damage_is_never_silent(
        ops in proptest::collection::vec(op(), 1..30),
        place in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        mask in 1u8..=255,
        again in any::<bool>(),
    ) {
        let run = Run::quiet(&ops, again);
        let file = pick_file(&run.vfs, &place);
        let len = run.vfs.open(&file, journal::vfs::Access::Read).unwrap().len().unwrap();
        prop_assume!(len > 0);
        run.vfs.damage(&file, at.index(usize::try_from(len).unwrap()) as u64, mask);
        let Ok(journal) = open(Arc::new(run.vfs.clone()), Path::new(DIR), &run.settings) else { return Ok(()) };
        let reader = Arc::clone(&journal.reader);
        let Some(writer) = journal.writers.into_iter().next() else { panic!("no partition") };
        let Ok(owner) = Owner::start(writer, run.now) else { return Ok(()) };
        prop_assert_eq!(owner.next_row, run.oracle.durable_rows as u64);
        prop_assert_eq!(&owner.controls, &run.oracle.controls);
        let first = usize::try_from(reader.oldest(P0).0.0).unwrap();
        prop_assert!(first as u64 <= run.oracle.expired);
        if let Ok(got) = read_all(&reader, &Scope::All, 3_000) {
            prop_assert_eq!(&got[..], &run.oracle.rows[first..]);
        }
        for org in ORGS {
            let expected: Vec<_> = run.oracle.rows[first..].iter().filter(|(o, _)| o == org).cloned().collect();
            let scope = Scope::one(OrgId::new(org).unwrap());
            if let Ok(got) = read_all(&reader, &scope, 3_000) {
                prop_assert_eq!(got, expected);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    /// Whatever is damaged: `verify` names it, `repair` changes nothing without acceptance, and with it the journal
    /// opens, every record that is read is the right one, and every other row is in a gap.
    #[test]
    fn repair_turns_damage_into_gaps(
        ops in proptest::collection::vec(op(), 1..30),
        harms in harms(),
        again in any::<bool>(),
    ) {
        let run = Run::quiet(&ops, again);
        let dir = Path::new(DIR);
        for harm in &harms {
            harm.apply(&run.vfs);
        }
        let vfs: Arc<dyn Vfs> = Arc::new(run.vfs.clone());
        let before = run.vfs.fork();
        let findings = verify(&before, dir).unwrap();
        let damaged = findings.iter().any(|finding| finding.severity == Severity::Damage);
        if let Err(OpenError::Damaged(_)) = open(Arc::new(before), dir, &run.settings) {
            prop_assert!(damaged, "{:?}", findings);
        }
        let changes = run.vfs.changes();
        let planned = repair(&vfs, dir, false, run.now).unwrap();
        prop_assert!(planned.losses.is_empty() || run.vfs.changes() == changes);
        let done = repair(&vfs, dir, true, run.now).unwrap();
        let findings = verify(&*vfs, dir).unwrap();
        prop_assert!(findings.iter().all(|f| f.severity != Severity::Damage), "{:?} after {:?}", findings, done);

        let journal = open(Arc::clone(&vfs), dir, &run.settings).unwrap();
        let reader = Arc::clone(&journal.reader);
        let owner = Owner::start(journal.writers.into_iter().next().unwrap(), run.now).unwrap();
        // Two things damaged at once (one sector may hold both) may be a record and the proof that it was durable.
        let single = matches!(harms[..], [Harm::Flip(..) | Harm::Truncate(..) | Harm::Delete(_)]);
        prop_assert!(!single || owner.next_row >= run.oracle.durable_rows as u64, "rows would be given out twice");
        for (org, next) in owner.seqs.iter().filter(|_| single) {
            let given = run.oracle.rows.iter().filter(|(o, _)| o == org).count() as u64;
            prop_assert!(*next >= given, "seqs of {} would be given out twice", org);
        }
        let rows = readable(&reader, &Scope::All);
        for (row, record) in &rows {
            prop_assert_eq!(record, &run.oracle.rows[usize::try_from(*row).unwrap()]);
        }
        if !damaged && single {
            prop_assert!(done.losses.is_empty());
            let oldest = usize::try_from(reader.oldest(P0).0.0).unwrap();
            prop_assert_eq!(rows.len(), run.oracle.rows.len() - oldest);
        }
        for org in ORGS {
            let mine = readable(&reader, &Scope::one(OrgId::new(org).unwrap()));
            let expected: Vec<_> = rows.iter().filter(|(_, (o, _))| o == org).cloned().collect();
            prop_assert_eq!(mine, expected);
        }
        // And it stays so.
        drop((owner, reader));
        run.vfs.power_cut(PowerCut { seed: 9, keep_percent: 50 });
        let journal = open(Arc::clone(&vfs), dir, &run.settings).unwrap();
        prop_assert_eq!(readable(&journal.reader, &Scope::All), rows);
    }
}

/// What can be read as (row, (organisation, record)); every row up to the end is read, of others, or in a gap.
fn readable(reader: &Reader, scope: &Scope) -> Vec<(u64, (String, String))> {
    let mut found = Vec::new();
    let mut next = flow::Row(0);
    loop {
        match reader.read(P0, next, scope, 2_000).unwrap() {
            Slice::NotYet => return found,
            Slice::Gap { rows, .. } => {
                assert!(rows.start == next && rows.end > next);
                next = rows.end;
            }
            Slice::Rows { pieces, next: after } => {
                assert!(after > next);
                let before = found.len();
                for piece in pieces {
                    for index in piece.rows.iter().cloned().flatten() {
                        let run = piece
                            .block
                            .runs()
                            .find(|r| (r.first..r.first + r.count).contains(&index))
                            .unwrap();
                        let record = String::from_utf8(piece.block.record(index).unwrap().to_vec()).unwrap();
                        found.push((
                            piece.block.header().base_row.0 + u64::from(index),
                            (run.org.to_owned(), record),
                        ));
                    }
                }
                assert!(
                    *scope != Scope::All || (found.len() - before) as u64 == after.0 - next.0,
                    "rows left out"
                );
                next = after;
            }
        }
    }
}

fn pick_file(vfs: &SimVfs, place: &prop::sample::Index) -> PathBuf {
    let mut files = vec![PathBuf::from("/j/manifest.json")];
    for name in vfs.list(Path::new("/j/p000")).unwrap() {
        files.push(Path::new("/j/p000").join(name));
    }
    files[place.index(files.len())].clone()
}

/// The same history gives the same disk: otherwise a failing case could not be repeated.
#[test]
fn the_simulation_is_deterministic() {
    let history = |seed| {
        let mut run = Run::new();
        assert!(run.start());
        for n in 0..40u16 {
            run.apply(&Op::Append(vec![(usize::from(n) % 4, n * 13)]));
            if n % 3 == 0 {
                run.apply(&Op::Sync);
            }
        }
        run.apply(&Op::PowerCut(seed, 50));
        let names = run.vfs.list(Path::new("/j/p000")).unwrap();
        (names, run.oracle.durable_rows, run.vfs.changes(), run.vfs.direct_writes())
    };
    assert_eq!(history(5), history(5));
}
