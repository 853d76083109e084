//! How fast this machine is, now: the yardstick of the gates.

use flow::clock::Clock;
use serde::de::IgnoredAny;

use crate::generate::{Generator, Spec};

/// Events of the yardstick.
const EVENTS: u64 = 20_000;
/// Passes; the best counts.
const PASSES: usize = 15;
/// What the yardstick measured where the rivals were measured, microseconds an event.
pub(crate) const REFERENCE_US: f64 = 0.55;

/// Microseconds that serde_json needs to walk over one event and forget it.
pub(crate) fn measure(spec: Spec) -> anyhow::Result<f64> {
    let generator = Generator::new(spec);
    let mut lines = Vec::new();
    generator.ndjson(0..EVENTS, &mut lines);
    let clock = Clock::system();
    let mut best = f64::INFINITY;
    for _ in 0..PASSES {
        let start = clock.now().instant;
        let mut walked = 0;
        for event in serde_json::Deserializer::from_slice(&lines).into_iter::<IgnoredAny>() {
            event?;
            walked += 1;
        }
        anyhow::ensure!(walked == EVENTS, "{walked} of {EVENTS} events are JSON");
        let passed = clock.now().instant - start;
        best = best.min(passed.as_secs_f64() * 1e6 / EVENTS as f64);
    }
    Ok(best)
}
