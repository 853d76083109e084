use super::*;

const WALL: i64 = 1_763_800_000_000;
const HOUR: i64 = 3_600_000;

struct Bench {
    start: Moment,
    steady: Steady,
}

impl Bench {
    fn new() -> Self {
        let start = crate::clock::Clock::simulated(UnixMillis(WALL)).now();
        Self { start, steady: Steady::default() }
    }

    /// What is believed `passed` milliseconds after the start, when the clock shows `wall` more than at the start.
    fn at(&mut self, passed: i64, wall: i64) -> i64 {
        let instant = self.start.instant + Duration::from_millis(passed.unsigned_abs());
        self.steady.trusted(Moment { instant, wall: UnixMillis(WALL + wall) }).0 - WALL
    }
}

#[test]
fn an_even_clock_is_believed() {
    let mut bench = Bench::new();
    assert_eq!(bench.at(0, 0), 0);
    assert_eq!(bench.at(5_000, 5_000), 5_000);
    // A day between two looks is a day.
    assert_eq!(bench.at(24 * HOUR, 24 * HOUR + 30_000), 24 * HOUR + 30_000);
    // Small corrections and a clock that is set back as well.
    assert_eq!(bench.at(24 * HOUR + 5_000, 25 * HOUR), 25 * HOUR);
    assert_eq!(bench.at(24 * HOUR + 10_000, 0), 0);
}

#[test]
fn a_jump_is_held_back_for_an_hour() {
    let mut bench = Bench::new();
    bench.at(0, 0);
    let week = 7 * 24 * HOUR;
    assert_eq!(bench.at(5_000, week), 5_000);
    assert_eq!(bench.at(10_000, week + 5_000), 10_000);
    // Another one begins the hour anew.
    assert_eq!(bench.at(HOUR / 2, 3 * week), HOUR / 2);
    let later = 3 * week + HOUR - 1_000;
    assert_eq!(bench.at(HOUR / 2 + HOUR - 1_000, later), HOUR / 2 + HOUR - 1_000);
    assert_eq!(bench.at(HOUR / 2 + HOUR, 3 * week + HOUR), 3 * week + HOUR, "now it is the time");
}

#[test]
fn a_jump_that_is_set_right_leaves_nothing() {
    let mut bench = Bench::new();
    bench.at(0, 0);
    assert_eq!(bench.at(5_000, 400 * 24 * HOUR), 5_000);
    assert_eq!(bench.at(10_000, 10_000), 10_000);
    assert_eq!(bench.at(15_000, 15_000), 15_000);
}
