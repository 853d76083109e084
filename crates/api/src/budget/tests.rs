use std::time::Duration;

use flow::clock::Clock;

use super::*;

const MIB: usize = 1 << 20;

fn share() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(PRODUCER_UNITS))
}

#[tokio::test(start_paused = true)]
async fn what_is_charged_comes_back() {
    let (budget, clock) = (Budget::new(64 * MIB), Clock::system());
    let deadline = clock.now().instant + Duration::from_secs(1);
    assert_eq!((budget.limit(), budget.used()), (64 << 20, 0));
    let reading = budget.read(&share(), 3 * MIB, deadline).await.unwrap();
    let mut working = budget.work(10 * MIB, deadline).await.unwrap();
    assert_eq!(budget.used(), 13 << 20);
    working.shrink(2 * MIB);
    working.shrink(4 * MIB);
    assert_eq!(budget.used(), 5 << 20);
    drop((reading, working));
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_fit_waits_until_its_deadline() {
    let (budget, clock) = (Budget::new(64 * MIB), Clock::system());
    let soon = clock.now().instant + Duration::from_secs(10);
    let held = budget.read(&share(), 16 * MIB, soon).await.unwrap();
    let before = clock.now().instant;
    assert_eq!(budget.read(&share(), 16 * MIB, soon).await.err(), Some(NoMemory));
    assert_eq!(clock.now().instant - before, Duration::from_secs(10));

    let later = clock.now().instant + Duration::from_secs(10);
    let other = share();
    let (admitted, ()) = tokio::join!(budget.read(&other, 16 * MIB, later), async { drop(held) });
    assert!(admitted.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_producer_has_no_more_than_its_share() {
    let (budget, clock) = (Budget::new(64 * MIB), Clock::system());
    let soon = clock.now().instant + Duration::from_secs(1);
    let one = share();
    let held = budget.read(&one, 12 * MIB, soon).await.unwrap();
    assert!(budget.read(&one, 6 * MIB, soon).await.is_err());
    let soon = clock.now().instant + Duration::from_secs(1);
    assert!(budget.read(&share(), 6 * MIB, soon).await.is_ok(), "others still get in");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn growing_never_waits_and_never_takes_what_it_does_not_need() {
    let (budget, clock) = (Budget::new(64 * MIB), Clock::system());
    let soon = clock.now().instant + Duration::from_secs(1);
    let mut growing = budget.read(&share(), MIB, soon).await.unwrap();
    assert!(growing.grow(MIB), "nothing to do");
    assert_eq!(budget.used(), 1 << 20);
    assert!(growing.grow(MIB + 1));
    assert_eq!(budget.used(), 2 << 20, "doubled");
    let other = budget.read(&share(), 16 * MIB, soon).await.unwrap();
    assert!(growing.grow(8 * MIB), "24 MiB are for reading: exactly");
    assert!(!growing.grow(8 * MIB + 1));
    drop(other);
    assert!(growing.grow(16 * MIB));
    assert!(!growing.grow(16 * MIB + 1), "more than a producer's share");
    drop(growing);
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_larger_than_the_pool_runs_alone() {
    let (budget, clock) = (Budget::new(64 * MIB), Clock::system());
    let soon = clock.now().instant + Duration::from_secs(1);
    let alone = budget.work(500 * MIB, soon).await.unwrap();
    assert!(budget.work(1, soon).await.is_err());
    drop(alone);
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_small_budget_still_takes_the_largest_body() {
    let (budget, clock) = (Budget::new(0), Clock::system());
    let soon = clock.now().instant + Duration::from_secs(1);
    assert!(budget.read(&share(), crate::body::MAX_BODY, soon).await.is_ok());
    assert_eq!(budget.limit(), 32 << 20, "it says what it really takes");
}
