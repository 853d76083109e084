use super::*;

const ORG: OrgKey = OrgKey(1);
const MINUTE: i64 = 60_000;

#[test]
fn calls_join_until_ten_quiet_minutes_have_passed() {
    let mut groups = Groups::new(10);
    assert_eq!(groups.join(ORG, 5, 100, 0), 100);
    assert_eq!(groups.join(ORG, 5, 101, 10 * MINUTE), 100);
    assert_eq!(groups.join(ORG, 5, 102, 20 * MINUTE), 100);
    assert_eq!(groups.join(ORG, 5, 103, 30 * MINUTE + 1), 103);
    assert_eq!(groups.join(OrgKey(2), 5, 0, 0), 0);
}

#[test]
fn an_older_time_joins_and_does_not_turn_the_time_back() {
    let mut groups = Groups::new(10);
    groups.join(ORG, 5, 1, 100 * MINUTE);
    assert_eq!(groups.join(ORG, 5, 2, 3 * MINUTE), 1);
    assert_eq!(groups.join(ORG, 5, 3, 110 * MINUTE), 1);
}

#[test]
fn no_group_is_longer_than_a_day() {
    let mut groups = Groups::new(10);
    let mut first = 0;
    for minute in 0..=(24 * 60 + 5) {
        first = groups.join(ORG, 5, 1000 + minute as u64, minute * MINUTE);
    }
    assert_eq!(first, 1000 + 24 * 60 + 1);
}

#[test]
fn the_least_recently_used_closes_for_a_new_one() {
    let mut groups = Groups::new(2);
    groups.join(ORG, 1, 1, 0);
    groups.join(ORG, 2, 2, 2000);
    groups.join(ORG, 1, 3, 4000);
    groups.join(ORG, 3, 4, 6000);
    assert_eq!(groups.len(), 2);
    assert_eq!(groups.join(ORG, 1, 5, 8000), 1);
    assert_eq!(groups.join(ORG, 2, 6, 8000), 6);
}

#[test]
fn one_organisation_cannot_take_more_than_its_share() {
    let mut groups = Groups::new(PER_PROCESS);
    groups.join(OrgKey(9), 7, 1, 0);
    for key in 0..u64::from(PER_ORG) + 50 {
        groups.join(ORG, key, key, key as i64);
    }
    assert_eq!(groups.len(), PER_ORG as usize + 1);
    assert_eq!(groups.join(OrgKey(9), 7, 2, 1), 1);
    groups.close_idle(10_000_000_000);
    assert_eq!((groups.len(), groups.iter().count(), groups.orgs.len()), (0, 0, 0));
}

#[test]
fn a_snapshot_keeps_the_order_of_use() {
    let mut groups = Groups::new(3);
    for (key, time) in [(1, 0), (2, 1), (3, 2), (1, 3)] {
        groups.join(ORG, key, key * 10, time);
    }
    let mut again = Groups::new(3);
    for (org, key, open) in groups.iter() {
        again.put(org, key, *open);
    }
    again.join(ORG, 4, 40, 4);
    let left: Vec<u64> = again.iter().map(|(_, key, _)| key).collect();
    assert_eq!(left, [3, 1, 4]);
}

#[test]
fn as_many_as_there_may_be_keep_to_their_bytes() {
    let limit = PER_PROCESS / 8;
    let mut groups = Groups::new(limit);
    // The most organisations of a process, over eight partitions.
    for n in 0..limit as u64 * 2 {
        groups.join(OrgKey((n % 12_500) as u32), n, n, 0);
    }
    assert_eq!(groups.len(), limit);
    groups.close_idle(i64::MAX);
    let memory = groups.memory();
    assert!(memory <= limit * COST && memory > limit * COST / 2, "{} bytes a group", memory / limit);
}

#[test]
fn the_id_is_the_hash_of_organisation_key_and_first_seq() {
    for org in ["a", "84383462-b484-4cc4-bb21-ef2ecb49a2b1", &"o".repeat(ORG_ID_MAX)] {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(org.as_bytes());
        hash.update(&7u64.to_le_bytes());
        hash.update(&40u64.to_le_bytes());
        assert_eq!(id(org, 7, 40), hash.digest128());
    }
}

#[test]
fn groups_of_yesterday_that_are_in_use_stay_open() {
    let mut groups = Groups::new(10);
    let today = 24 * 60 * MINUTE;
    groups.received_at(today - MINUTE);
    groups.join(ORG, 5, 100, 0);
    groups.join(ORG, 6, 101, 0);
    groups.received_at(today + MINUTE);
    groups.join(ORG, 6, 102, 5 * MINUTE);
    groups.close_idle(today + 9 * MINUTE);
    assert_eq!(groups.len(), 2);
    groups.close_idle(today + 9 * MINUTE + 1_000);
    assert_eq!((groups.len(), groups.join(ORG, 6, 103, 6 * MINUTE)), (1, 101));
    groups.close_idle(today + 11 * MINUTE + 1_000);
    assert_eq!(groups.len(), 0);
}
