use proptest::prelude::*;

use super::*;

fn per_second(events: u32, bytes: u32) -> Quota {
    let rate = |amount: u32| {
        NonZeroU64::new(amount.into()).map(|amount| Rate { amount, per: Duration::from_secs(1) })
    };
    Quota { events: rate(events), bytes: rate(bytes) }
}

fn events(amount: u64, per: Duration) -> Quota {
    Quota { events: NonZeroU64::new(amount).map(|amount| Rate { amount, per }), bytes: None }
}

const ACME: OrgKey = OrgKey(1);
const OTHER: OrgKey = OrgKey(2);

#[tokio::test(start_paused = true)]
async fn unlimited_asks_nothing() {
    let quotas = Quotas::unlimited(&Clock::system());
    let mut session = quotas.begin();
    for _ in 0..100_000 {
        assert_eq!(session.take(ACME, 1 << 18), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn events_are_limited_per_organisation() {
    let quotas = Quotas::new(per_second(10, 0), [(OTHER, per_second(2, 0))], &Clock::system());
    let passed = |org| (0..100).filter(|_| quotas.begin().take(org, 100).is_ok()).count();
    assert_eq!((passed(ACME), passed(OTHER)), (10, 2));
    let wait = quotas.begin().take(ACME, 100).unwrap_err();
    assert!(wait <= Duration::from_millis(100), "{wait:?}");
    tokio::time::advance(wait).await;
    assert_eq!(quotas.begin().take(ACME, 100), Ok(()), "after the wait that was told it passes");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!((passed(ACME), passed(OTHER)), (10, 2), "a minute of silence saves up one second's worth");
}

#[tokio::test(start_paused = true)]
async fn bytes_are_limited_and_the_largest_event_still_passes() {
    let quotas = Quotas::new(per_second(0, 1000), [], &Clock::system());
    assert_eq!(quotas.begin().take(ACME, 256 << 10), Ok(()));
    let wait = quotas.begin().take(ACME, 1000).unwrap_err();
    assert!(wait >= Duration::from_millis(900), "{wait:?}");
    assert_eq!(quotas.begin().take(OTHER, 1000), Ok(()));
    assert_eq!(quotas.begin().take(OTHER, 1 << 30), Err(NEVER));
}

#[tokio::test(start_paused = true)]
async fn new_rules_count_from_the_next_request_on() {
    let quotas = Quotas::new(per_second(1, 0), [], &Clock::system());
    let mut old = quotas.begin();
    assert_eq!(old.take(ACME, 1), Ok(()));
    quotas.replace(Quota::default(), []);
    assert!(old.take(ACME, 1).is_err());
    assert_eq!(quotas.begin().take(ACME, 1), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn rates_per_minute_and_hour_are_what_they_say() {
    for (amount, per) in [(100, 60), (5_000, 3_600), (1, 3_600), (90, 60)] {
        let per = Duration::from_secs(per);
        let quotas = Quotas::new(events(amount, per), [], &Clock::system());
        let passed = || (0..20_000).filter(|_| quotas.begin().take(ACME, 1).is_ok()).count() as u64;
        assert_eq!(passed(), amount, "{amount} in {per:?} may come at once");
        let mut later = 0;
        for _ in 0..10 {
            tokio::time::advance(per / 10).await;
            later += passed();
        }
        assert!(later.abs_diff(amount) <= 1, "{later} instead of {amount} came back in {per:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_bytes_than_a_counter_holds_are_a_rate_too() {
    let rate = Rate { amount: NonZeroU64::new(10_000_000_000).unwrap(), per: Duration::from_secs(3_600) };
    let quotas = Quotas::new(Quota { events: None, bytes: Some(rate) }, [], &Clock::system());
    for _ in 0..10_000 {
        assert_eq!(quotas.begin().take(ACME, 256 << 10), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_uses_nothing_up() {
    let quotas = Quotas::new(per_second(4, 1 << 20), [], &Clock::system());
    let take = |bytes| quotas.begin().take(ACME, bytes).is_ok();
    assert_eq!((0..4).filter(|_| take(1)).count(), 4);
    // Refused for the number of events: the bytes stay.
    assert_eq!((0..100).filter(|_| take(200 << 10)).count(), 0);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!((0..3).filter(|_| take(256 << 10)).count(), 3);
    // Refused for the bytes: the fourth event stays.
    assert_eq!((0..100).filter(|_| take(257 << 10)).count(), 0);
    assert!(take(1), "the event was not used up by those that were refused");
    assert!(!take(1), "and it is one");
}

proptest! {
    #[test]
    fn no_more_than_rate_and_burst_pass(
        rate in 1_u32..200,
        steps in proptest::collection::vec((0_u64..500, 1_usize..20), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let quotas = Quotas::new(per_second(rate, 0), [], &Clock::system());
            let (mut passed, mut millis) = (0_u64, 0_u64);
            for (pause, asks) in steps {
                tokio::time::advance(Duration::from_millis(pause)).await;
                millis += pause;
                let mut session = quotas.begin();
                passed += (0..asks).filter(|_| session.take(ACME, 1).is_ok()).count() as u64;
            }
            let most = u64::from(rate) + u64::from(rate) * millis / 1000 + 1;
            prop_assert!(passed <= most, "{passed} of at most {most}");
            Ok(())
        })?;
    }
}
