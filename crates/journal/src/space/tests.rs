use super::*;
use crate::vfs::SimVfs;

fn space(capacity: u64) -> (SimVfs, Arc<dyn VfsFile>, Space) {
    let vfs = SimVfs::default();
    let dir = Path::new("/j");
    vfs.create_dir(dir).unwrap();
    vfs.set_capacity(Some(capacity));
    let file = vfs.open(&dir.join("segment"), Access::Create).unwrap();
    let space = Space::open(Arc::new(vfs.clone()), dir, 10 << 20).unwrap();
    assert!(space.refill().unwrap());
    (vfs, file, space)
}

#[test]
fn the_ballast_is_for_lane_state_alone() {
    let (vfs, file, space) = space(20 << 20);
    space.allocate(&*file, 0, 8 << 20, Use::Events).unwrap();
    assert!(matches!(space.allocate(&*file, 8 << 20, 11 << 20, Use::Events), Err(ReserveError::Refused(_))));
    space.allocate(&*file, 8 << 20, 11 << 20, Use::LaneState).unwrap();
    // The ballast was touched: no events, not even where there is room, until it is whole again.
    assert!(space.ready().is_err());
    vfs.set_capacity(None);
    space.ready().unwrap();
    assert!(space.refill().unwrap());
}

#[test]
fn the_ballast_ends_some_day() {
    let (_vfs, file, space) = space(12 << 20);
    space.allocate(&*file, 0, 12 << 20, Use::Upkeep).unwrap();
    assert!(matches!(space.allocate(&*file, 12 << 20, 13 << 20, Use::Upkeep), Err(ReserveError::Refused(_))));
}

#[test]
fn lane_state_leaves_enough_of_the_ballast_for_a_start() {
    let (_vfs, file, space) = space(12 << 20);
    space.allocate(&*file, 0, 9 << 20, Use::LaneState).unwrap();
    let more = space.allocate(&*file, 9 << 20, 10 << 20, Use::LaneState);
    assert!(matches!(more, Err(ReserveError::Refused(_))));
    space.allocate(&*file, 9 << 20, 12 << 20, Use::Upkeep).unwrap();
}

#[test]
fn a_step_that_can_be_repeated_gets_room() {
    let (vfs, _file, space) = space(10 << 20);
    let dir = Path::new("/j");
    space.make_room(|| crate::vfs::replace_file(&vfs, dir, "state", &[1; 5000])).unwrap();
    assert!(space.ready().is_err());
}
