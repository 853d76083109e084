//! Decoding, redacting and rendering per event, beside what merely going over the same JSON costs.
//!
//! `ignored_any` is the calibration of the performance budget: serde_json reading each event into nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark")]

mod events;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use events::{Events, lines};
use flow::clock::UnixMillis;
use flow::orgs::{Directory, UnknownOrgs};
use pipelines::{Decoded, Format, Grant, Input, Keys, Plan};

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    divan::main();
}

const CASES: [Events; 2] = [Events::Recorded, Events::Reference];

fn bodies(lines: &[String]) -> Vec<Vec<u8>> {
    lines.chunks(1000).map(|batch| (batch.join("\n") + "\n").into_bytes()).collect()
}

#[divan::bench(args = CASES, sample_count = 15, sample_size = 1)]
fn ignored_any(bencher: Bencher<'_, '_>, events: Events) {
    let lines = lines(events);
    bencher
        .counter(ItemsCount::new(lines.len()))
        .counter(BytesCount::new(lines.iter().map(String::len).sum::<usize>()))
        .bench_local(|| {
            for line in &lines {
                black_box(serde_json::from_str::<serde::de::IgnoredAny>(black_box(line)).unwrap());
            }
        });
}

#[divan::bench(args = CASES, sample_count = 15, sample_size = 1)]
fn read_only(bencher: Bencher<'_, '_>, events: Events) {
    let lines = lines(events);
    bencher.counter(ItemsCount::new(lines.len())).bench_local(|| {
        let mut scratch = event::raw::Scratch::default();
        let mut reader = event::raw::Reader::new(&mut scratch);
        for line in &lines {
            let mut event = event::raw::RawEvent::default();
            reader.read(black_box(line).as_bytes(), &mut event).unwrap();
            black_box(&event);
        }
    });
}

#[divan::bench(args = CASES, sample_count = 15, sample_size = 1)]
fn whole(bencher: Bencher<'_, '_>, events: Events) {
    let plan = Plan::new(Keys::derive(&[1; 32]), Directory::new(8, UnknownOrgs::Accept));
    let grant = Grant::unlimited("gateway").unwrap();
    let lines = lines(events);
    let bodies = bodies(&lines);
    let mut decoded = Decoded::new();
    bencher
        .counter(ItemsCount::new(lines.len()))
        .counter(BytesCount::new(lines.iter().map(String::len).sum::<usize>()))
        .bench_local(|| {
            for body in &bodies {
                let input = Input {
                    body: black_box(body),
                    format: Format::Ndjson,
                    grant: &grant,
                    source: "http",
                    received_at: UnixMillis(1_795_335_330_123),
                    quota: &mut |_, _| Ok(()),
                };
                plan.decode(input, &mut decoded).unwrap();
                assert_eq!((decoded.accepted, decoded.rejected.len()), (1000, 0));
                // As the ingress does it: the rows go away, and with them their memory.
                black_box(std::mem::take(&mut decoded.parts));
            }
        });
}
