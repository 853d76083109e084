use std::time::Duration;

use super::*;
use crate::clock::Clock;

#[test]
fn it_halves_once_a_round_and_grows_by_one_a_round() {
    let start = Clock::system().instant();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut pace = Pace::default();
    assert!(!pace.ease(8), "nothing to grow from");
    assert_eq!(pace.limit(8), 8);
    pace.slow(8, at(0), at(1));
    pace.slow(8, at(0), at(2));
    assert_eq!(pace.limit(8), 4, "all of these began before it was lowered");
    pace.slow(8, at(3), at(4));
    pace.slow(8, at(5), at(6));
    pace.slow(8, at(7), at(8));
    assert_eq!(pace.limit(8), 1, "never none");
    let grown: Vec<bool> = (0..6).map(|_| pace.ease(8)).collect();
    assert_eq!(grown, [true, false, true, false, false, true]);
    assert_eq!(pace.limit(8), 4);
    for _ in 0..100 {
        pace.ease(8);
    }
    assert_eq!(pace.limit(8), 8);
    assert_eq!(pace.limit(0), 1);
}
