use proptest::prelude::*;

use super::*;

fn per_second(events: u32, bytes: u32) -> Quota {
    Quota { events: NonZeroU32::new(events), bytes: NonZeroU32::new(bytes) }
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
