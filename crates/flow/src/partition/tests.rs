use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event::{Kind, OrgId};
use proptest::prelude::*;

use super::*;
use crate::clock::{Clock, UnixMillis};
use crate::lane_state::{Counts, SinkId};
use crate::orgs::UnknownOrgs;
use crate::testing::segments::MemorySegments;

const WALL: i64 = 1_763_800_000_000;

fn now() -> Moment {
    Clock::simulated(UnixMillis(WALL)).now()
}

fn settings(window: usize) -> OwnerSettings {
    OwnerSettings { window, groups: 1 << 12 }
}

struct Bench {
    disk: MemorySegments,
    directory: Arc<Directory>,
    owner: Owner,
    window: usize,
}

impl Bench {
    fn new(window: usize) -> Self {
        let disk = MemorySegments::new(1, 6);
        let directory = Directory::new(1, UnknownOrgs::Accept);
        let owner = open(&disk, &directory, window);
        Self { disk, directory, owner, window }
    }

    /// As a new process: another directory, so other numbers for the same organisations.
    fn restart(&mut self) {
        self.directory = Directory::new(1, UnknownOrgs::Accept);
        self.directory.resolve("someone-else").unwrap();
        self.owner = open(&self.disk, &self.directory, self.window);
    }

    fn batch(&self, rows: &[(&str, u128, u64)]) -> Queued<()> {
        let mut prepared = Prepared::default();
        for (line, (org, dedupe, content)) in (1u32..).zip(rows) {
            let tail = format!("\"id\":\"{dedupe}\",\"org_id\":\"{org}\",\"content\":{content}}}");
            prepared.rows.push(PreparedRow {
                org: self.directory.resolve(org).unwrap().key,
                offset: prepared.arena.len() as u32,
                len: tail.len() as u32,
                line,
                dedupe: *dedupe,
                content: *content,
                time_ms: WALL,
                app: 1,
                group: 0,
                status: 200,
                kind: Kind::ApiCall,
            });
            prepared.arena.extend_from_slice(tail.as_bytes());
        }
        Queued { rows: prepared, reply: () }
    }

    fn commit(&mut self, rows: &[(&str, u128, u64)]) -> (u32, u32) {
        let batch = self.batch(rows);
        let done = self.owner.commit(vec![batch], Vec::new(), now()).unwrap();
        let position = done.answers[0].1.unwrap();
        (position.accepted, position.duplicates)
    }

    fn records(&self) -> Vec<String> {
        let mut all = Vec::new();
        for block in self.disk.blocks(0) {
            all.extend(
                (0..block.header().rows)
                    .map(|i| String::from_utf8(block.record(i).unwrap().to_vec()).unwrap()),
            );
        }
        all
    }
}

fn open(disk: &MemorySegments, directory: &Arc<Directory>, window: usize) -> Owner {
    let io = disk.open().pop().unwrap();
    Owner::open(PartitionId(0), io, Arc::clone(directory), settings(window), now()).unwrap()
}

#[test]
fn rows_are_stamped_densely_per_organisation() {
    let mut bench = Bench::new(100);
    assert_eq!(bench.commit(&[("b", 1, 0), ("a", 2, 0), ("b", 3, 0)]), (3, 0));
    assert_eq!(bench.commit(&[("b", 4, 0)]), (1, 0));
    assert_eq!(
        bench.records(),
        [
            "{\"v\":1,\"seq\":0,\"id\":\"1\",\"org_id\":\"b\",\"content\":0}",
            "{\"v\":1,\"seq\":1,\"id\":\"3\",\"org_id\":\"b\",\"content\":0}",
            "{\"v\":1,\"seq\":0,\"id\":\"2\",\"org_id\":\"a\",\"content\":0}",
            "{\"v\":1,\"seq\":2,\"id\":\"4\",\"org_id\":\"b\",\"content\":0}",
        ]
    );
}

#[test]
fn a_resend_is_a_duplicate_and_other_content_is_marked() {
    let mut bench = Bench::new(100);
    assert_eq!(bench.commit(&[("a", 1, 7), ("a", 1, 7)]), (1, 1));
    assert_eq!(bench.commit(&[("a", 1, 7), ("a", 1, 8)]), (1, 1));
    assert_eq!(
        bench.records()[1],
        "{\"v\":1,\"seq\":1,\"id_reused\":true,\"id\":\"1\",\"org_id\":\"a\",\"content\":8}"
    );
    bench.restart();
    assert_eq!(bench.commit(&[("a", 1, 8)]), (0, 1));
}

#[test]
fn a_full_disk_refuses_rows_and_still_takes_lane_state() {
    let mut bench = Bench::new(100);
    bench.commit(&[("a", 1, 0)]);
    bench.disk.limit_space(0, Some(10));
    let batch = bench.batch(&[("a", 2, 0)]);
    let done = bench.owner.commit(vec![batch], vec![LaneStates(vec![lane(5)])], now()).unwrap();
    assert_eq!(done.answers[0].1, Err(AppendFault::Refused(crate::segment::Refusal::DiskFull)));
    assert!(done.block.is_none());
    bench.disk.limit_space(0, None);
    assert_eq!(bench.commit(&[("a", 2, 0)]), (1, 0));
    bench.restart();
    assert_eq!(bench.owner.lane_states().next().unwrap().next_row, Row(5));
}

#[test]
fn lane_state_without_room_is_refused_and_the_owner_goes_on() {
    let mut bench = Bench::new(100);
    bench.commit(&[("a", 1, 0)]);
    bench.owner.commit::<()>(vec![], vec![LaneStates(vec![lane(1)])], now()).unwrap();
    bench.disk.limit_ballast(0, Some(0));
    let batch = bench.batch(&[("a", 2, 0)]);
    let done = bench.owner.commit(vec![batch], vec![LaneStates(vec![lane(2)])], now()).unwrap();
    assert_eq!(done.recorded, Err(Refusal::DiskFull));
    assert_eq!(done.answers[0].1.map(|position| position.accepted), Ok(1), "there was room for the record");
    assert_eq!(bench.owner.lane_states().next().unwrap().next_row, Row(1), "as a restart finds it");
    bench.disk.limit_ballast(0, None);
    let done = bench.owner.commit::<()>(vec![], vec![LaneStates(vec![lane(2)])], now()).unwrap();
    assert_eq!(done.recorded, Ok(()));
    bench.restart();
    assert_eq!(bench.owner.lane_states().next().unwrap().next_row, Row(2));
}

#[test]
fn a_failed_sync_is_a_fault_and_nothing_of_it_survives() {
    let mut bench = Bench::new(100);
    bench.commit(&[("a", 1, 0)]);
    bench.disk.fail_next_sync(0);
    let batch = bench.batch(&[("a", 2, 0)]);
    assert!(matches!(bench.owner.commit(vec![batch], Vec::new(), now()), Err(OwnerFault::Io { .. })));
    bench.restart();
    assert_eq!(bench.owner.next_row(), Row(1));
    assert_eq!(bench.commit(&[("a", 2, 0)]), (1, 0));
}

#[test]
fn lane_state_keeps_its_starts_over_later_states_and_restarts() {
    let mut bench = Bench::new(100);
    let starts = Some(vec![(OrgId::new("a").unwrap(), Seq(3))]);
    let first = LaneState { starts: starts.clone(), ..lane(1) };
    bench.owner.commit::<()>(vec![], vec![LaneStates(vec![first])], now()).unwrap();
    bench.owner.commit::<()>(vec![], vec![LaneStates(vec![lane(9)])], now()).unwrap();
    bench.restart();
    bench.restart();
    let state = bench.owner.lane_states().next().unwrap();
    assert_eq!((state.next_row, &state.starts), (Row(9), &starts));
}

#[test]
fn the_watermark_is_written_once_after_the_last_write() {
    let mut bench = Bench::new(100);
    bench.commit(&[("a", 1, 0)]);
    assert!(bench.owner.is_unproven());
    bench.owner.prove(now()).unwrap();
    assert!(!bench.owner.is_unproven());
    let blocks = bench.disk.blocks(0);
    let (rows, mark) = (blocks[blocks.len() - 2].header(), blocks[blocks.len() - 1].header());
    assert_eq!(mark.durable_upto.0, rows.pos.0 + rows.total_len() as u64);
    assert_eq!(mark.index, rows.index + 1);
}

#[test]
fn declared_groups_keep_their_id_over_a_restart() {
    let mut bench = Bench::new(100);
    let grouped = |bench: &Bench, id: u128| {
        let mut batch = bench.batch(&[("a", id, 0)]);
        batch.rows.rows[0].group = 77;
        batch
    };
    for id in 1..4 {
        let batch = grouped(&bench, id);
        bench.owner.commit(vec![batch], Vec::new(), now()).unwrap();
        bench.restart();
    }
    let records = bench.records();
    let group = |record: &str| record.split("\"group\":\"").nth(1).unwrap().get(..32).unwrap().to_owned();
    assert_eq!(group(&records[0]), group(&records[1]));
    assert_eq!(group(&records[0]), group(&records[2]));
}

/// Somebody imports yesterday's events: what they have in common is not lost where a segment begins.
#[test]
fn groups_of_past_events_stay_open_while_they_come() {
    let mut bench = Bench::new(100);
    for id in 1..4 {
        let mut batch = bench.batch(&[("a", id, 0)]);
        batch.rows.rows[0].group = 77;
        batch.rows.rows[0].time_ms = now().wall.0 - 24 * 3_600_000;
        bench.owner.commit(vec![batch], Vec::new(), now()).unwrap();
        bench.restart();
    }
    let groups: Vec<_> = bench
        .records()
        .iter()
        .map(|record| record.split("\"group\":").nth(1).unwrap().get(..34).unwrap().to_owned())
        .collect();
    assert_eq!((&groups[1], &groups[2]), (&groups[0], &groups[0]));
}

fn lane(next: u64) -> LaneState {
    LaneState {
        sink: SinkId::of(None, "s"),
        label: "*/s".into(),
        next_row: Row(next),
        resolved: vec![],
        start_row: Row(0),
        counts: Counts { delivered: next, ..Counts::default() },
        starts: None,
        gaps: vec![],
        plan_epoch: 1,
        scope: 0,
        removed: false,
    }
}

proptest! {
    /// Against a list: within the window every id is stored once per content change, seqs are dense, and a restart at
    /// any moment changes nothing.
    #[test]
    fn the_owner_agrees_with_a_list(
        steps in proptest::collection::vec(
            prop_oneof![
                4 => proptest::collection::vec((0usize..3, 0u128..30, 0u64..2), 1..8).prop_map(Some),
                1 => Just(None),
            ],
            1..30,
        ),
    ) {
        let orgs = ["a", "b", "c"];
        let mut bench = Bench::new(10_000);
        let mut newest: BTreeMap<(usize, u128), u64> = BTreeMap::new();
        let mut stored = 0u32;
        for step in steps {
            let Some(rows) = step else { bench.restart(); continue };
            let named: Vec<_> = rows.iter().map(|(o, id, c)| (orgs[*o], id * 3 + *o as u128 + 1, *c)).collect();
            // Organisations are examined one after the other, arrivals of one in their order.
            let mut sorted = rows.clone();
            sorted.sort_by_key(|(o, ..)| *o);
            let mut expected = 0;
            for (o, id, content) in sorted {
                if newest.insert((o, id), content) != Some(content) { expected += 1; }
            }
            let (accepted, duplicates) = bench.commit(&named);
            prop_assert_eq!((accepted, duplicates), (expected, rows.len() as u32 - expected));
            stored += accepted;
        }
        bench.restart();
        let mut seqs: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for block in bench.disk.blocks(0) {
            for run in block.runs() {
                for i in 0..u64::from(run.count) {
                    prop_assert!(seqs.entry(run.org.to_owned()).or_default().insert(run.first_seq.0 + i));
                }
            }
        }
        for set in seqs.values() {
            prop_assert_eq!(set.iter().next_back().copied(), Some(set.len() as u64 - 1));
        }
        prop_assert_eq!(seqs.values().map(|s| s.len() as u32).sum::<u32>(), stored);
        prop_assert_eq!(bench.owner.next_row(), Row(u64::from(stored)));
    }
}
