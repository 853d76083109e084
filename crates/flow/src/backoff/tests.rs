use super::*;

#[test]
fn the_ceiling_doubles_from_a_second_to_five_minutes() {
    let mut jitter = Jitter::new(1);
    for (failures, ceiling) in [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (4_000_000_000, 300)] {
        let longest = (0..2_000).map(|_| jitter.retry(failures, None)).max().unwrap();
        let ceiling = Duration::from_secs(ceiling);
        assert!(longest <= ceiling, "{failures}: {longest:?}");
        assert!(longest > ceiling.mul_f64(0.9), "{failures}: the whole range is used, {longest:?}");
    }
}

#[test]
fn what_the_far_end_asked_for_is_kept_up_to_an_hour() {
    let mut jitter = Jitter::new(2);
    let asked = Duration::from_secs(30);
    let delay = jitter.retry(12, Some(asked));
    assert!(delay >= asked && delay <= asked + FIRST, "{delay:?}");
    let delay = jitter.retry(1, Some(Duration::from_secs(90_000)));
    assert!(delay <= LONGEST_ASKED + FIRST, "{delay:?}");
}

#[test]
fn probes_come_every_one_to_five_minutes() {
    let mut jitter = Jitter::new(3);
    assert_eq!(jitter.probe(1), FIRST_PROBE);
    for probes in 0..50 {
        let delay = jitter.probe(probes);
        assert!(delay >= FIRST_PROBE && delay <= LONGEST, "{delay:?}");
    }
}
