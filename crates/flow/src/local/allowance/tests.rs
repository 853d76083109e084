use std::sync::mpsc::{TryRecvError, sync_channel};

use super::*;

#[test]
fn the_sum_is_bounded_and_what_is_too_large_goes_alone() {
    let allowance = Allowance::new(100);
    assert!(allowance.take(60) && allowance.take(40));
    assert!(!allowance.take(1));
    allowance.give_back(40);
    assert!(!allowance.take(41) && allowance.take(0) && allowance.take(40));
    allowance.give_back(100);
    assert_eq!(allowance.used(), 0);
    assert!(allowance.take(1_000), "nothing else is there");
    assert!(!allowance.take(1));
}

#[test]
fn a_write_waits_until_there_is_room() {
    let writers = Writers::new(100);
    let first = writers.enter(70);
    let second = writers.enter(30);
    let (told, entered) = sync_channel(1);
    std::thread::scope(|scope| {
        let writers = &writers;
        scope.spawn(move || {
            let held = writers.enter(500);
            told.send(writers.used()).unwrap();
            drop(held);
        });
        drop(first);
        assert_eq!(entered.try_recv(), Err(TryRecvError::Empty), "the second is still writing");
        drop(second);
        assert_eq!(entered.recv().unwrap(), 500, "alone");
    });
    assert_eq!(writers.used(), 0);
}
