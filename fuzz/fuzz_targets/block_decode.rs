//! A block as it may stand in a damaged file: whatever parses can be walked to its end.

#![no_main]

use bytes::Bytes;
use flow::block::{ALIGN, Block, BlockKind, MAX_BLOCK, PAGE, parse_header, set_epoch};
use flow::lane_state::LaneStates;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut signed = bytes.to_vec();
    // Puts the right checksum over header and table: otherwise nothing behind it would ever be reached.
    if let Ok(header) = parse_header(bytes) {
        set_epoch(&mut signed, header.epoch);
    }
    let signed = Bytes::from(signed);
    let Ok(header) = parse_header(&signed) else { return };
    assert!((header.padding as usize) < PAGE && header.total_len() >= header.table_end() + header.body_len as usize);
    assert!(header.total_len() <= MAX_BLOCK && header.total_len().is_multiple_of(ALIGN));
    if let Some(block) = Block::trusted(&signed) {
        walk(&block);
    }
    if let Ok(block) = Block::parse(&signed) {
        assert_eq!(walk(&block), header.rows, "a block that is whole has all its records");
    }
    if let Ok(table) = Block::from_table(signed.slice(..header.table_end().min(signed.len()))) {
        assert_eq!(table.runs().map(|run| run.count).sum::<u32>(), header.rows);
        if header.kind == BlockKind::Control {
            let body = signed.slice(header.table_end().min(signed.len())..);
            if let Ok(states) = LaneStates::decode(&body) {
                let mut again = Vec::new();
                states.encode(&mut again);
                assert_eq!(LaneStates::decode(&again), Ok(states));
            }
        }
    }
});

/// Looks at everything; the number of records that are there.
fn walk(block: &Block) -> u32 {
    let runs = block.runs().map(|run| run.org.len()).sum::<usize>();
    let _ = (runs, block.check_body(), block.body_range(0..block.header().rows));
    let mut records = 0;
    for index in 0..block.header().rows {
        let _ = block.check_record(index);
        records += u32::from(block.record(index).is_some());
    }
    records
}
