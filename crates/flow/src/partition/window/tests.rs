use proptest::prelude::*;

use super::*;

#[test]
fn a_resend_is_known_until_it_leaves_the_window() {
    let mut window = Window::new(2);
    assert_eq!(window.examine(7, 1), Seen::New);
    window.remember(Row(0), 7, 1);
    assert_eq!(window.examine(7, 1), Seen::Duplicate);
    assert_eq!(window.examine(7, 2), Seen::Reused);
    window.remember(Row(1), 7, 2);
    window.remember(Row(2), 8, 0);
    assert_eq!(window.examine(7, 2), Seen::Duplicate);
    window.remember(Row(3), 9, 0);
    assert_eq!(window.examine(7, 2), Seen::New);
}

/// Keys that are as good as random.
fn key(n: u64) -> u128 {
    xxhash_rust::xxh3::xxh3_128(&n.to_le_bytes())
}

#[test]
fn a_full_window_keeps_to_its_bytes_however_long_it_is_used() {
    for capacity in [4_096u64, 5_000, 37_500, 65_537, 262_144] {
        let mut window = Window::new(capacity as usize);
        for n in 0..capacity * 4 {
            window.remember(Row(n), key(n), n);
        }
        let most = capacity as usize * 32;
        assert!(
            window.memory() <= most,
            "{capacity}: {} bytes a row",
            window.memory() as f64 / capacity as f64
        );
        let last = capacity * 4 - 1;
        assert_eq!(window.examine(key(last - capacity + 1), last - capacity + 1), Seen::Duplicate);
        assert_eq!(window.examine(key(last - capacity), last - capacity), Seen::New);
    }
}

proptest! {
    /// Against a list of the last rows.
    #[test]
    fn it_agrees_with_a_list(
        capacity in 1usize..20,
        first in 0u64..50,
        steps in proptest::collection::vec((0u128..12, 0u64..3), 0..200),
    ) {
        let mut window = Window::new(capacity);
        let mut stored: Vec<(u128, u64)> = Vec::new();
        for (row, (key, content)) in (first..).zip(steps) {
            let newest = stored.iter().rev().take(capacity).find(|(k, _)| (*k).max(1) == key.max(1));
            let expected = match newest {
                None => Seen::New,
                Some((_, c)) if *c == content => Seen::Duplicate,
                Some(_) => Seen::Reused,
            };
            prop_assert_eq!(window.examine(key, content), expected);
            window.remember(Row(row), key, content);
            stored.push((key, content));
        }
    }
}
