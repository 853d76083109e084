use proptest::prelude::*;

use super::*;

fn full() -> LaneState {
    let org = OrgId::new("acme").unwrap();
    LaneState {
        sink: SinkId::of(Some(&org), "soc"),
        label: "acme/soc".into(),
        next_row: Row(7),
        resolved: vec![Resolved { rows: RowRange { start: Row(9), end: Row(12) }, records: 2 }],
        start_row: Row(3),
        counts: Counts {
            delivered: 1,
            filtered: 2,
            grouped: 3,
            dead_lettered: 4,
            discarded: 5,
            expired: 6,
            lost: 7,
        },
        starts: Some(vec![(org, Seq(40))]),
        gaps: vec![
            OpenGap {
                rows: RowRange { start: Row(3), end: Row(5) },
                seqs: Some((Seq(40), Seq(41))),
                count: 2,
                reason: GapReason::Retention,
            },
            OpenGap {
                rows: RowRange { start: Row(5), end: Row(6) },
                seqs: None,
                count: 1,
                reason: GapReason::Corruption,
            },
        ],
        plan_epoch: 0x0102_0304_0506_0708,
        scope: 0x1112_1314_1516_1718,
        removed: true,
    }
}

fn encoded(states: &LaneStates) -> Vec<u8> {
    let mut bytes = Vec::new();
    states.encode(&mut bytes);
    bytes
}

/// The bytes are on the disks of every installation: when this fails, the version must be raised and the old bytes
/// must still be read.
#[test]
fn version_1_is_read_and_written_as_it_was() {
    let fixture = hex::decode(include_str!("v1.hex").split_whitespace().collect::<String>()).unwrap();
    let plain = LaneState { starts: None, removed: false, gaps: vec![], resolved: vec![], ..full() };
    let states = LaneStates(vec![full(), plain]);
    assert_eq!(hex::encode(encoded(&states)), hex::encode(&fixture));
    assert_eq!(LaneStates::decode(&fixture).unwrap(), states);
}

#[test]
fn a_newer_version_is_refused() {
    let mut bytes = encoded(&LaneStates(vec![full()]));
    bytes[0] = 2;
    assert_eq!(LaneStates::decode(&bytes), Err(BadField("lane state of a newer release")));
}

#[test]
fn bytes_cut_short_anywhere_are_an_error() {
    let bytes = encoded(&LaneStates(vec![full()]));
    for len in 0..bytes.len() {
        assert!(LaneStates::decode(&bytes[..len]).is_err(), "{len} bytes");
    }
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), valid in any::<bool>()) {
        if valid && bytes.len() > 4 {
            bytes[..4].copy_from_slice(&1u32.to_le_bytes());
        }
        drop(LaneStates::decode(&bytes));
    }
}
