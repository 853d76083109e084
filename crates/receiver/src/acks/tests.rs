use std::time::Duration;

use flow::clock::{Clock, UnixMillis};

use super::*;

#[test]
fn ids_count_per_channel_and_true_is_given_once() {
    let start = Clock::simulated(UnixMillis(0)).now().instant;
    let policy = AckPolicy::After(Duration::from_secs(1));
    let mut acks = AckBook::default();
    assert_eq!(acks.issue("a", start), 0);
    assert_eq!(acks.issue("a", start), 1);
    assert_eq!(acks.issue("b", start), 0);
    assert!(!acks.ask("a", 0, policy, start), "not yet");
    let later = start + Duration::from_secs(1);
    assert!(acks.ask("a", 0, policy, later));
    assert!(!acks.ask("a", 0, policy, later), "handed out once");
    assert!(!acks.ask("c", 0, policy, later), "unknown channel");
    assert!(!acks.ask("a", 9, policy, later), "unknown id");
    assert!(!acks.ask("a", 1, AckPolicy::Never, later));
    acks.forget();
    assert!(!acks.ask("a", 1, policy, later));
    assert_eq!(acks.issue("a", later), 0, "a restarted indexer counts anew");
}
