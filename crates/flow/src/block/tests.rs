use bytes::Bytes;
use event::Kind;
use proptest::prelude::*;

use super::*;
use crate::clock::UnixMillis;
use crate::{LogPos, Row};

fn place() -> Place {
    Place {
        epoch: 7,
        pos: LogPos(4096),
        durable_upto: LogPos(4000),
        index: 3,
        base_row: Row(100),
        written_at: UnixMillis(1_763_800_000_000),
    }
}

fn facts(n: u64) -> RowFacts {
    RowFacts {
        kind: Kind::ApiCall,
        flags: 0,
        status: 204,
        time_ms: -5,
        app: n,
        content: !n,
        dedupe: u128::from(n) << 70,
        group: 0,
        group_first_seq: 0,
    }
}

fn two_orgs() -> Vec<u8> {
    let mut builder = RowsBuilder::new(Vec::new(), 2, 3, 9, 64);
    builder.run("acme", 40, 2);
    builder.row(b"{\"v\":1,\"seq\":40,", b"\"id\":\"a\"}", &facts(1));
    builder.row(b"{\"v\":1,\"seq\":41,", b"\"id\":\"b\"}", &facts(2));
    builder.run("cobal", 0, 1);
    builder.row(b"{\"v\":1,\"seq\":0,", b"\"id\":\"c\"}", &facts(3));
    builder.finish(&place()).to_vec()
}

#[test]
fn a_block_reads_back_as_it_was_built() {
    let block = Block::parse(&Bytes::from(two_orgs())).unwrap();
    assert_eq!(block.header().base_row, Row(100));
    assert_eq!(block.header().end_row(), Row(103));
    let runs: Vec<_> = block.runs().map(|r| (r.org, r.first_seq.0, r.first, r.count)).collect();
    assert_eq!(runs, [("acme", 40, 0, 2), ("cobal", 0, 2, 1)]);
    assert_eq!([0, 1, 2, 3].map(|row| block.run_index_of(row)), [0, 0, 1, 2]);
    assert_eq!([0, 1, 2].map(|run| block.run_rows(run)), [Some(0..2), Some(2..3), None]);
    assert_eq!(block.runs_from(1).map(|run| run.org).collect::<Vec<_>>(), ["cobal"]);
    assert_eq!(block.timed_record(1).unwrap(), (-5, &b"{\"v\":1,\"seq\":41,\"id\":\"b\"}"[..]));
    assert_eq!(block.record(1).unwrap(), b"{\"v\":1,\"seq\":41,\"id\":\"b\"}");
    let row = block.row(2).unwrap();
    assert_eq!((row.app, row.content, row.dedupe, row.status, row.time_ms), (3, !3, 3 << 70, 204, -5));
    assert!(block.record(3).is_none());
}

#[test]
fn padding_is_zeros_behind_the_body() {
    for padding in [0, 8, PAGE - 8] {
        let mut builder = RowsBuilder::new(Vec::new(), 1, 1, 4, 64);
        builder.run("acme", 40, 1);
        builder.row(b"{", b"\"id\":\"a\"}", &facts(1));
        let plain = builder.block_len();
        let rows = Bytes::from(builder.finish_padded(&place(), padding));
        let control = Bytes::from(padded_control_block(BlockKind::Control, b"state", &place(), padding));
        for (bytes, plain) in [(rows, plain), (control, control_len(5))] {
            assert_eq!(bytes.len(), plain + padding);
            assert!(bytes[plain..].iter().all(|byte| *byte == 0));
            let block = Block::parse(&bytes).unwrap();
            assert_eq!((block.header().padding as usize, block.header().total_len()), (padding, bytes.len()));
            assert_eq!(Block::parse(&bytes.slice(..bytes.len() - 1)).unwrap_err(), BlockFault::Short);
            let mut copy = bytes.to_vec();
            assert!(set_epoch(&mut copy, 99));
            assert_eq!(Block::parse(&Bytes::from(copy)).unwrap().header().padding as usize, padding);
        }
    }
}

#[test]
fn padding_that_no_writer_asks_for_is_refused() {
    for padding in [4u32, PAGE as u32, u32::MAX] {
        let mut bytes = two_orgs();
        bytes[80..84].copy_from_slice(&padding.to_le_bytes());
        assert_eq!(parse_header(&bytes).unwrap_err(), BlockFault::Inconsistent("padding"));
    }
}

#[test]
fn one_organisation_can_be_read_alone() {
    let bytes = Bytes::from(two_orgs());
    let whole = Block::parse(&bytes).unwrap();
    let table = bytes.slice(..whole.header().table_end());
    let range = whole.body_range(2..3).unwrap();
    let at = whole.header().table_end();
    let part = Block::from_table(table)
        .unwrap()
        .with_body(bytes.slice(at + range.start as usize..at + range.end as usize), range.start);
    assert_eq!(part.record(2).unwrap(), whole.record(2).unwrap());
    assert!(part.record(0).is_none());
    part.check_record(2).unwrap();
}

#[test]
fn a_control_block_reads_back() {
    let bytes = Bytes::from(control_block(BlockKind::Control, b"state", &place()));
    assert_eq!(bytes.len() % ALIGN, 0);
    let block = Block::parse(&bytes).unwrap();
    assert_eq!((block.header().kind, &block.body()[..]), (BlockKind::Control, &b"state"[..]));
}

#[test]
fn another_epoch_changes_nothing_else() {
    let mut bytes = two_orgs();
    let before = Block::parse(&Bytes::from(bytes.clone())).unwrap();
    assert!(set_epoch(&mut bytes, 99));
    let after = Block::parse(&Bytes::from(bytes)).unwrap();
    assert_eq!(after.header().epoch, 99);
    assert_eq!(
        (after.header().pos, after.header().durable_upto),
        (before.header().pos, before.header().durable_upto)
    );
    assert_eq!(after.record(2), before.record(2));
    assert!(!set_epoch(&mut [0; 200], 1));
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let mut bytes = two_orgs();
    bytes[4] = 2;
    assert_eq!(Block::parse(&Bytes::from(bytes)).unwrap_err(), BlockFault::Newer(2));
}

proptest! {
    /// Any single flipped bit outside the padding is noticed.
    #[test]
    fn a_flipped_bit_is_noticed(bit in 0usize..8, at in 0usize..10_000) {
        let mut bytes = two_orgs();
        let header = parse_header(&bytes).unwrap();
        let end = header.table_end() + header.body_len as usize;
        let at = at % end;
        bytes[at] ^= 1 << bit;
        prop_assert!(Block::parse(&Bytes::from(bytes)).is_err());
    }

    /// Damage that a checksum happens to cover: what still parses can be walked, and holds all its records.
    #[test]
    fn damage_under_a_right_checksum_never_panics(
        edits in proptest::collection::vec((0usize..10_000, any::<u8>()), 1..6)
    ) {
        let mut bytes = two_orgs();
        let len = bytes.len();
        for (at, to) in edits {
            bytes[at % len] = to;
        }
        let signed = parse_header(&bytes).is_ok_and(|header| set_epoch(&mut bytes, header.epoch));
        let bytes = Bytes::from(bytes);
        if let Some(block) = Block::trusted(&bytes) {
            prop_assert!(block.runs().count() <= block.header().runs as usize);
            prop_assert_ne!(block.check_body(), Err(BlockFault::Short));
            let rows = block.header().rows;
            prop_assert!(rows > 0 || block.body_range(0..rows).is_none());
        }
        if let Ok(block) = Block::parse(&bytes) {
            prop_assert!(signed);
            prop_assert_eq!(block.runs().map(|run| run.count).sum::<u32>(), block.header().rows);
            prop_assert!((0..block.header().rows).all(|index| block.record(index).is_some()));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), magic in any::<bool>()) {
        if magic && bytes.len() > 8 {
            bytes[..4].copy_from_slice(b"TWB1");
            bytes[4] = 1;
            bytes[5] = 1;
        }
        drop(Block::parse(&Bytes::from(bytes)));
    }
}
