use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use event::Kind;
use flow::block::{Block, Place, RowFacts, RowsBuilder, control_block};
use flow::units::PartitionId;
use proptest::prelude::*;

use super::*;
use crate::segment_header::Sort;
use crate::vfs::{Access, SimVfs, Vfs};

fn header() -> SegmentHeader {
    SegmentHeader {
        sort: Sort::Owned,
        partition: PartitionId(0),
        log: LogId([7; 16]),
        base: LogPos(800),
        base_row: Row(50),
        epoch: 9,
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

/// Blocks of (organisation, rows), and a control block behind each.
fn index(blocks: &[Vec<(String, u32)>]) -> Index {
    let header = header();
    let mut index = Index::new(&header);
    let mut seqs = std::collections::BTreeMap::<String, u64>::new();
    for (at, runs) in (0i64..).zip(blocks) {
        let place = |index: &Index| Place {
            epoch: 9,
            pos: index.summary.end,
            durable_upto: index.summary.end,
            index: 0,
            base_row: index.summary.end_row,
            written_at: UnixMillis(at * 10),
        };
        let count = runs.iter().map(|(_, rows)| *rows as usize).sum();
        let names = runs.iter().map(|(org, _)| org.len()).sum();
        let mut builder = RowsBuilder::new(Vec::new(), runs.len(), count, names, 0);
        for (org, rows) in runs {
            let seq = seqs.entry(org.clone()).or_default();
            builder.run(org, *seq, *rows);
            for _ in 0..*rows {
                builder.row(b"{", org.as_bytes(), &facts());
            }
            *seq += u64::from(*rows);
        }
        // Every other block is padded.
        let padding = usize::from(at % 2 == 1) * 888;
        let rows = builder.finish_padded(&place(&index), padding);
        add(&mut index, Bytes::from(rows));
        let control = control_block(BlockKind::Control, b"x", &place(&index));
        add(&mut index, Bytes::from(control));
    }
    index
}

fn add(index: &mut Index, block: Bytes) {
    let offset = header().offset_of(index.summary.end);
    index.add(&Block::parse(&block).unwrap(), u32::try_from(offset).unwrap());
}

fn on_disk(index: &Index, harm: impl Fn(&mut Vec<u8>)) -> Arc<dyn VfsFile> {
    let offset = header().offset_of(index.summary.end);
    let mut bytes = encode(index, header().log, offset);
    harm(&mut bytes);
    let vfs = SimVfs::default();
    vfs.create_dir(Path::new("/")).unwrap();
    let file = vfs.open(Path::new("/f"), Access::Create).unwrap();
    file.write_all_at(&bytes, offset).unwrap();
    file
}

fn blocks() -> impl Strategy<Value = Vec<Vec<(String, u32)>>> {
    let runs = proptest::collection::btree_map("[a-c]{1,3}", 1u32..4, 1..5);
    proptest::collection::vec(runs.prop_map(|runs| runs.into_iter().collect()), 0..6)
}

proptest! {
    #[test]
    fn it_tells_what_the_blocks_hold(blocks in blocks()) {
        let index = index(&blocks);
        let file = on_disk(&index, |_| {});
        let trailer = Trailer::read(&*file, &header()).unwrap();
        prop_assert_eq!(trailer.summary, index.summary);
        trailer.verify(&*file).unwrap();
        let loaded = trailer.load(&*file).unwrap();
        prop_assert_eq!(&loaded.blocks, &index.blocks);
        prop_assert_eq!(loaded.orgs().count(), index.orgs.len());
        for (org, runs) in &index.orgs {
            let entry = loaded.org(org).unwrap();
            prop_assert_eq!((entry.rows, entry.bytes), (runs.rows, runs.bytes));
            prop_assert_eq!(entry.end_seq.0 - entry.first_seq.0, runs.rows);
            prop_assert_eq!(&loaded.runs(&*file, &entry).unwrap(), &runs.runs);
            let rebuilt = SealedIndex::rebuilt(&index);
            prop_assert!(rebuilt.same_as(&loaded));
            prop_assert_eq!(&rebuilt.runs(&*file, &entry).unwrap(), &runs.runs);
        }
        prop_assert!(loaded.org("zzzz").is_none());
    }

    #[test]
    fn a_flipped_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let index = index(&[vec![("a".to_owned(), 2), ("b".to_owned(), 1)], vec![("b".to_owned(), 3)]]);
        let file = on_disk(&index, |bytes| {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        });
        let noticed = match Trailer::read(&*file, &header()) {
            Ok(trailer) => trailer.verify(&*file).is_err(),
            Err(_) => true,
        };
        prop_assert!(noticed);
    }
}

#[test]
fn the_footer_of_another_segment_is_not_used() {
    let index = index(&[vec![("a".to_owned(), 2)]]);
    let file = on_disk(&index, |_| {});
    let other = SegmentHeader { epoch: 10, ..header() };
    assert!(matches!(Trailer::read(&*file, &other), Err(FooterFault::Foreign)));
    let longer = on_disk(&index, |bytes| bytes.extend_from_slice(&[0; 4096]));
    assert!(matches!(Trailer::read(&*longer, &header()), Err(FooterFault::Missing)));
}
