use super::*;

fn content(vfs: &LossyVfs, path: &Path, len: usize) -> Vec<u8> {
    super::super::read_up_to(&*vfs.open(path, Access::Read).unwrap(), 0, len).unwrap()
}

#[test]
fn what_was_synced_stays_and_the_rest_may_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let (mut whole, mut gone, mut torn) = (0, 0, 0);
    for seed in 0..200u64 {
        let vfs = LossyVfs::default();
        let file = vfs.open(&path, Access::Create).unwrap();
        file.write_all_at(&[1; 3000], 0).unwrap();
        file.sync().unwrap();
        file.write_all_at(&[2; 3000], 1000).unwrap();
        let mut state = seed;
        vfs.cut(&mut || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        });
        let bytes = content(&vfs, &path, 5000);
        assert!(bytes.iter().take(1000).all(|byte| *byte == 1), "synced, and not written since");
        match bytes.iter().skip(1000).filter(|byte| **byte == 2).count() {
            3000 => whole += 1,
            0 => gone += 1,
            _ => torn += 1,
        }
        let old = bytes.iter().enumerate().skip(1000).filter(|(_, byte)| **byte != 2);
        for (at, byte) in old {
            assert_eq!(*byte, u8::from(at < 3000), "what stood there before, or nothing, at {at}");
        }
    }
    assert!(whole > 10 && gone > 50 && torn > 20, "{whole} whole, {gone} gone, {torn} torn");
}
