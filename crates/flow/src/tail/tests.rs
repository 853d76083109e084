use bytes::Bytes;
use event::{Kind, OrgId};
use proptest::prelude::*;

use super::*;
use crate::block::{Place, RowFacts, RowsBuilder};
use crate::clock::UnixMillis;
use crate::orgs::UnknownOrgs;
use crate::units::LogPos;

const PARTITION: PartitionId = PartitionId(0);

struct Bench {
    tail: Tail,
    orgs: Vec<(OrgKey, OrgId)>,
    next: u64,
    /// Every row's organisation, from row 0.
    rows: Vec<usize>,
}

impl Bench {
    fn new(orgs: usize, limit: usize) -> Self {
        Self::over(1, orgs, limit)
    }

    fn over(partitions: u16, orgs: usize, limit: usize) -> Self {
        let directory = Directory::new(partitions, UnknownOrgs::Accept);
        let orgs = (0..orgs)
            .map(|number| {
                let id = OrgId::new(&format!("org-{number}")).unwrap();
                (directory.recall(&id).key, id)
            })
            .collect();
        let ends = vec![Row(0); usize::from(partitions)];
        Self { tail: Tail::new(directory, &ends, limit), orgs, next: 0, rows: Vec::new() }
    }

    /// A block with that many rows of each organisation.
    fn push(&mut self, counts: &[u32]) {
        self.push_to(PARTITION, counts);
    }

    fn push_to(&mut self, partition: PartitionId, counts: &[u32]) {
        let of = || counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let names = of().map(|(at, _)| self.orgs[at].1.as_str().len()).sum();
        let rows = counts.iter().sum::<u32>() as usize;
        let mut builder = RowsBuilder::new(Vec::new(), of().count(), rows, names, 10 * rows);
        let mut keys = Vec::new();
        let base_row = Row(self.next);
        for (at, count) in of() {
            let (key, id) = &self.orgs[at];
            keys.push(*key);
            builder.run(id.as_str(), 0, *count);
            for _ in 0..*count {
                builder.row(&[], b"0123456789", &facts());
                self.rows.push(at);
                self.next += 1;
            }
        }
        let place = Place {
            epoch: 1,
            pos: LogPos(0),
            durable_upto: LogPos(0),
            index: 0,
            base_row,
            written_at: UnixMillis(0),
        };
        let block = Block::trusted(&Bytes::from(builder.finish(&place))).unwrap();
        self.tail.push(partition, Arc::new(block), keys.into());
    }

    fn read(&self, orgs: &[usize], from: u64, max_bytes: usize) -> Option<(Vec<u64>, Option<Row>)> {
        let orgs = orgs.iter().map(|at| self.orgs[*at].1.clone()).collect();
        let scope = Scope::Orgs(Arc::new(orgs));
        match self.tail.read(&ReadSpec { partition: PARTITION, from: Row(from), scope, max_bytes })? {
            Slice::NotYet => Some((Vec::new(), None)),
            Slice::Gap { .. } => panic!("the tail knows of no gaps"),
            Slice::Rows { pieces, next } => {
                let rows = pieces.iter().flat_map(|piece| {
                    let base = piece.block.header().base_row.0;
                    piece
                        .rows
                        .iter()
                        .flat_map(move |range| range.clone().map(move |row| base + u64::from(row)))
                });
                Some((rows.collect(), Some(next)))
            }
        }
    }
}

fn facts() -> RowFacts {
    RowFacts {
        kind: Kind::ApiCall,
        flags: 0,
        status: 0,
        time_ms: 0,
        app: 0,
        content: 0,
        dedupe: 0,
        group: 0,
        group_first_seq: 0,
    }
}

proptest! {
    /// One organisation is found by its list, two are searched for in every block: with the second one absent, both
    /// find the same, and it is what was pushed.
    #[test]
    fn the_list_finds_what_a_search_finds(
        blocks in proptest::collection::vec(proptest::collection::vec(0u32..4, 4), 1..20),
        limit in 1_000usize..20_000,
        org in 0usize..4,
        from in 0u64..60,
        max_bytes in 1usize..200,
    ) {
        let mut bench = Bench::new(5, limit);
        for counts in blocks.iter().filter(|counts| counts.iter().any(|count| *count > 0)) {
            bench.push(counts);
        }
        let found = bench.read(&[org], from, max_bytes);
        prop_assert_eq!(&found, &bench.read(&[org, 4], from, max_bytes));
        if let Some((rows, Some(next))) = found {
            let expected: Vec<u64> =
                (from..next.0).filter(|row| bench.rows[usize::try_from(*row).unwrap()] == org).collect();
            prop_assert_eq!(rows, expected);
            prop_assert!(next.0 > from);
        }
        let held = bench.tail.partitions[0].read();
        let runs: usize = held.blocks.iter().map(|cached| cached.orgs.len()).sum();
        let places: usize = held.places.values().map(VecDeque::len).sum();
        prop_assert_eq!(runs, places, "what was evicted is in no list");
    }
}

#[test]
fn a_partition_that_was_busy_once_gives_way_to_the_one_that_is_busy_now() {
    let limit = 64 << 10;
    let mut bench = Bench::over(2, 1, limit);
    let (idle, busy) = (PartitionId(0), PartitionId(1));
    for _ in 0..100 {
        bench.push_to(idle, &[20]);
        assert!(bench.tail.bytes() <= limit);
    }
    for _ in 0..100 {
        bench.push_to(busy, &[20]);
        assert!(bench.tail.bytes() <= limit);
    }
    let blocks = |partition: PartitionId| bench.tail.partitions[usize::from(partition.0)].read().blocks.len();
    assert!(blocks(busy).abs_diff(blocks(idle)) <= 1, "{} and {}", blocks(busy), blocks(idle));
    let sizes: usize = bench.tail.sizes.iter().map(|size| size.load(Ordering::Relaxed)).sum();
    assert_eq!(sizes, bench.tail.bytes());
}
