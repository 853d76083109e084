use flow::units::{LogPos, PartitionId, Row};
use proptest::prelude::*;

use super::*;

fn header(sort: Sort) -> SegmentHeader {
    SegmentHeader {
        sort,
        partition: PartitionId(3),
        log: LogId(*b"0123456789abcdef"),
        base: LogPos(1 << 40),
        base_row: Row(77),
        epoch: 0x0102_0304_0506_0708,
    }
}

#[test]
fn it_reads_back_as_it_was_written() {
    for sort in [Sort::Owned, Sort::Recovered(LogPos(5))] {
        let bytes = header(sort).encode();
        assert_eq!(bytes.len(), HEADER_LEN);
        assert_eq!(SegmentHeader::parse(&bytes).unwrap(), header(sort));
    }
}

#[test]
fn positions_begin_behind_the_header() {
    let header = header(Sort::Owned);
    assert_eq!(header.offset_of(header.base), HEADER_SPACE);
    assert_eq!(header.pos_of(HEADER_SPACE + 96), LogPos((1 << 40) + 96));
}

#[test]
fn a_newer_version_is_refused_by_name_and_a_flipped_bit_is_not_taken_for_one() {
    let mut bytes = header(Sort::Owned).encode();
    bytes[4] = 2;
    assert_eq!(SegmentHeader::parse(&bytes).unwrap_err(), HeaderFault::Crc);
    let crc = crc_around(&bytes, 8);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(SegmentHeader::parse(&bytes).unwrap_err(), HeaderFault::Newer(2));
}

proptest! {
    #[test]
    fn a_flipped_bit_is_noticed(at in 0..HEADER_LEN, bit in 0u8..8) {
        let mut bytes = header(Sort::Owned).encode();
        bytes[at] ^= 1 << bit;
        prop_assert!(SegmentHeader::parse(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..100), magic in any::<bool>()) {
        if magic && bytes.len() >= 4 {
            bytes[..4].copy_from_slice(b"TWS1");
        }
        prop_assert!(SegmentHeader::parse(&bytes).is_err());
    }
}
