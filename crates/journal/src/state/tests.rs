use super::*;
use crate::vfs::SimVfs;

fn loss(from: u64, to: u64) -> Loss {
    Loss {
        first_row: 5,
        end_row: 9,
        org: None,
        upper_bound: false,
        from,
        to,
        accepted_ms: 1,
        detail: "header checksum mismatch".to_owned(),
    }
}

#[test]
fn it_reads_back_and_every_flipped_bit_is_noticed_or_harmless() {
    let vfs = SimVfs::default();
    let dir = Path::new("/p");
    vfs.create_dir(dir).unwrap();
    assert_eq!(PartitionState::read(&vfs, dir).unwrap(), PartitionState::default());
    let state = PartitionState { newest: Some(77), newest_limit: 9, losses: vec![loss(8, 16), loss(16, 16)] };
    state.write(&vfs, dir).unwrap();
    assert_eq!(PartitionState::read(&vfs, dir).unwrap(), state);
    let len = vfs.open(&dir.join(NAME), Access::Read).unwrap().len().unwrap();
    for at in 0..len {
        for bit in 0..8 {
            let copy = vfs.fork();
            copy.damage(&dir.join(NAME), at, 1 << bit);
            if let Ok(read) = PartitionState::read(&copy, dir) {
                assert_eq!(read, state, "byte {at}");
            }
        }
    }
}

#[test]
fn a_newer_version_is_refused_by_name_and_a_flipped_bit_is_not_taken_for_one() {
    let state = RawValue::from_string("{\"regions\":[]}".to_owned()).unwrap();
    let bytes = serde_json::to_vec(&Envelope { version: 2, crc32c: crc(2, &state), state: &state }).unwrap();
    assert!(matches!(PartitionState::parse(&bytes), Err(StateFault::Newer(2))));
    let bytes = serde_json::to_vec(&Envelope { version: 2, crc32c: crc(1, &state), state: &state }).unwrap();
    assert!(matches!(PartitionState::parse(&bytes), Err(StateFault::Damaged(_))));
}

#[test]
fn losses_side_by_side_are_passed_together() {
    let losses = [loss(8, 16), loss(16, 24), loss(30, 40), loss(24, 24)];
    assert_eq!(after_losses(&losses, LogPos(8)), LogPos(24));
    assert_eq!(after_losses(&losses, LogPos(9)), LogPos(9));
}
