//! Waiting for what can only be asked for again and again, such as a page.

use std::time::Duration;

use flow::clock::Clock;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until there is something, at most `patience`.
///
/// # Panics
/// When there is nothing in that time: `what` says what was waited for.
pub async fn until<T>(what: &str, patience: Duration, look: impl FnMut() -> Option<T>) -> T {
    until_with(|| what.to_owned(), patience, look).await
}

/// As [`until`], with words that are found only when it was in vain.
///
/// # Panics
/// As [`until`].
pub async fn until_with<T>(
    what: impl Fn() -> String,
    patience: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let clock = Clock::system();
    let deadline = clock.now().instant + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        let now = clock.now().instant;
        assert!(now < deadline, "waited {patience:?} in vain for {}", what());
        clock.sleep_until(now + PAUSE).await;
    }
}
