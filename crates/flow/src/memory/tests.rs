use super::*;

#[test]
fn troubled_sinks_get_half() {
    let mut memory = Memory::new(1_300);
    assert_eq!((memory.room(false), memory.room(true)), (1_000, 500));
    memory.charge(charge_for(500), true);
    assert_eq!((memory.room(false), memory.room(true)), (500, 0));
    memory.charge(charge_for(500), false);
    assert_eq!((memory.room(false), memory.room(true), memory.used()), (0, 0, 1_300));
    memory.release(charge_for(500), true);
    memory.release(charge_for(500), false);
    assert!(memory.is_idle(false) && memory.is_idle(true));
}

#[test]
fn a_sink_that_becomes_troubled_moves_its_share() {
    let mut memory = Memory::new(1_300);
    memory.charge(650, false);
    memory.reclassify(650, true);
    assert_eq!((memory.room(true), memory.room(false)), (0, 500));
    memory.reclassify(650, false);
    assert_eq!(memory.room(true), 500);
    memory.release(650, false);
    assert_eq!(memory.used(), 0);
}
