use super::*;
use crate::clock::Clock;

fn taken(budget: &mut StartBudget, now: Instant) -> u32 {
    let mut taken = 0;
    while budget.has_one(now) {
        budget.take(now);
        taken += 1;
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn starts_come_at_the_rate_after_a_burst_of_a_tenth() {
    let clock = Clock::system();
    let start = clock.now().instant;
    let mut budget = StartBudget::new(1_000, start);
    assert_eq!(taken(&mut budget, start), 100);
    assert_eq!(taken(&mut budget, start + Duration::from_millis(10)), 10);
    assert_eq!(taken(&mut budget, start + Duration::from_secs(60)), 100, "what is not used does not add up");
}

#[tokio::test(start_paused = true)]
async fn the_next_start_is_due_when_it_is_said_to_be() {
    let clock = Clock::system();
    let start = clock.now().instant;
    let mut budget = StartBudget::new(10, start);
    taken(&mut budget, start);
    let next = budget.next();
    assert!(next > start && next <= start + Duration::from_millis(100) + STEP);
    assert!(budget.has_one(next));
}

#[tokio::test(start_paused = true)]
async fn overdue_starts_are_paid_back() {
    let clock = Clock::system();
    let start = clock.now().instant;
    let mut budget = StartBudget::new(100, start);
    for _ in 0..15 {
        budget.take(start);
    }
    assert!(!budget.has_one(start + Duration::from_millis(50)));
    assert!(budget.has_one(start + Duration::from_millis(61)));
}
