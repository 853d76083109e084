//! Closing connections that nobody uses, and giving back the buffers of those that are used little: `egress` keeps them
//! and may not wait, so the process comes by.

#[cfg(test)]
mod tests;

use std::time::Duration;

use flow::clock::Clock;
use tokio::task::AbortHandle;

/// How often: an idle connection stays this much longer than `egress` allows, at most.
const EVERY: Duration = Duration::from_secs(2);

/// Comes by until it is dropped.
#[derive(Debug)]
pub(super) struct Sweeping(AbortHandle);

impl Sweeping {
    pub(super) fn start(client: egress::Client, clock: Clock) -> Self {
        let task = tokio::spawn(async move {
            loop {
                clock.sleep_until(clock.instant() + EVERY).await;
                client.sweep();
            }
        });
        Self(task.abort_handle())
    }
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}
