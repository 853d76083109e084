use super::*;

const MINUTE: i64 = 60_000;

#[test]
fn age_counts_from_the_last_block() {
    let limits = Limits::new(Duration::from_secs(60), u64::MAX, 1);
    assert!(!limits.must_go(UnixMillis(0), UnixMillis(MINUTE)));
    assert!(limits.must_go(UnixMillis(0), UnixMillis(MINUTE + 1)));
    // A clock that went back expires nothing.
    assert!(!limits.must_go(UnixMillis(5 * MINUTE), UnixMillis(0)));
    assert!(limits.must_close(UnixMillis(0), UnixMillis(MINUTE / 8 + 1)));
}

#[test]
fn by_size_the_oldest_of_all_partitions_goes_first() {
    let limits = Limits::new(Duration::from_secs(3600), 100, 2);
    limits.grow(150);
    limits.set_oldest(PartitionId(0), Some(UnixMillis(20)));
    limits.set_oldest(PartitionId(1), Some(UnixMillis(10)));
    assert!(!limits.must_go(UnixMillis(20), UnixMillis(30)), "the other partition has an older one");
    assert!(limits.must_go(UnixMillis(10), UnixMillis(30)));
    limits.shrink(60);
    assert!(!limits.must_go(UnixMillis(10), UnixMillis(30)));
    assert_eq!(limits.bytes(), 90);
}
