//! The cost of an event in terms of the calibration: serde_json reading the same events into nothing. Both are
//! measured in turn, pass by pass, and the best of each counts, so that a busy machine disturbs both alike; processor
//! time, not the clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark")]

mod events;

use std::hint::black_box;

use events::{COUNT, Events, lines};
use flow::clock::UnixMillis;
use flow::orgs::{Directory, UnknownOrgs};
use pipelines::{Decoded, Format, Grant, Input, Keys, Plan};

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the calibration was where the budget was set, in microseconds per event.
const REFERENCE: f64 = 0.55;

fn main() {
    let passes = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(60);
    for events in [Events::Recorded, Events::Reference] {
        let lines = lines(events);
        let mean = lines.iter().map(String::len).sum::<usize>() / lines.len();
        let [ignored, read, whole] = best(&lines, passes);
        println!(
            "{events:?}: {mean} B, IgnoredAny {ignored:.3} us, read {read:.3} us, decode + redact + render {whole:.3} us an event; \
             at the reference's calibration: read {:.3}, whole {:.3} us",
            read * REFERENCE / ignored,
            whole * REFERENCE / ignored,
        );
    }
}

/// Microseconds of processor time of this thread.
fn now() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// The best of many passes of the three, in microseconds per event.
fn best(lines: &[String], passes: usize) -> [f64; 3] {
    // Side by side, as they stand in a request.
    let bodies: Vec<String> = lines.chunks(1000).map(|batch| batch.join("\n")).collect();
    let lines: Vec<&str> = bodies.iter().flat_map(|body| body.lines()).collect();
    let plan = Plan::new(Keys::derive(&[1; 32]), Directory::new(8, UnknownOrgs::Accept));
    let grant = Grant::unlimited("gateway").unwrap();
    let mut decoded = Decoded::new();
    let mut scratch = event::raw::Scratch::default();
    let mut best = [f64::MAX; 3];
    for _ in 0..passes {
        let start = now();
        for line in &lines {
            black_box(serde_json::from_str::<serde::de::IgnoredAny>(black_box(line)).unwrap());
        }
        best[0] = best[0].min(now() - start);

        let start = now();
        let mut reader = event::raw::Reader::new(&mut scratch);
        for line in &lines {
            let mut event = event::raw::RawEvent::default();
            reader.read(black_box(line).as_bytes(), &mut event).unwrap();
            black_box(&event);
        }
        best[1] = best[1].min(now() - start);

        let start = now();
        for body in &bodies {
            let input = Input {
                body: black_box(body.as_bytes()),
                format: Format::Ndjson,
                grant: &grant,
                source: "http",
                received_at: UnixMillis(1_795_335_330_123),
                quota: &mut |_, _| Ok(()),
            };
            plan.decode(input, &mut decoded).unwrap();
            assert_eq!(decoded.rejected.len(), 0);
            // As the ingress does it: the rows go away, and with them their memory.
            black_box(std::mem::take(&mut decoded.parts));
        }
        best[2] = best[2].min(now() - start);
    }
    best.map(|pass| pass / COUNT as f64)
}
