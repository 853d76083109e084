//! What the scanner of this crate is for: reading an event borrowed, flat, checked and classified, beside what
//! serde_json needs for typed structures of the same members, which is neither checked for duplicates nor bounded.
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::borrow::Cow;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use event::raw::{RawEvent, Reader, Scratch};
use serde::Deserialize;
use serde::de::IgnoredAny;

const SAMPLE: &str = include_str!("../../../config/demo/real-sample.ndjson");

fn main() {
    divan::main();
}

fn measure(bencher: Bencher<'_, '_>, mut read: impl FnMut(&'static str)) {
    bencher.counter(ItemsCount::new(SAMPLE.lines().count())).counter(BytesCount::of_str(SAMPLE)).bench_local(
        move || {
            for line in SAMPLE.lines() {
                read(black_box(line));
            }
        },
    );
}

#[divan::bench]
fn reader(bencher: Bencher<'_, '_>) {
    let mut scratch = Scratch::default();
    measure(bencher, |line| {
        let mut event = RawEvent::default();
        Reader::new(&mut scratch).read(line.as_bytes(), &mut event).unwrap();
        black_box(&event);
    });
}

#[divan::bench]
fn serde_json_typed(bencher: Bencher<'_, '_>) {
    measure(bencher, |line| {
        black_box(serde_json::from_str::<Typed<'_>>(line).unwrap());
    });
}

#[divan::bench]
fn serde_json_ignored(bencher: Bencher<'_, '_>) {
    measure(bencher, |line| {
        black_box(serde_json::from_str::<IgnoredAny>(line).unwrap());
    });
}

type Text<'a> = Option<Cow<'a, str>>;

macro_rules! typed {
    ($name:ident { $($text:ident,)* } { $($other:ident: $type:ty,)* }) => {
        #[derive(Deserialize)]
        #[allow(dead_code, reason = "read by the benchmark only as a whole")]
        struct $name<'a> {
            $(#[serde(borrow, default)] $text: Text<'a>,)*
            $(#[serde(default)] $other: $type,)*
        }
    };
}

typed!(App { id, key, kind, installation_id, environment, version, } {});
typed!(Actor { acting_as, account_id, credential, } {});
typed!(Client { origin, evidence, ip, user_agent, } {});
typed!(Request { id, trace_id, method, path, query, } { bytes: Option<u64>, headers: Option<IgnoredAny>, });

#[derive(Deserialize)]
#[allow(dead_code, reason = "read by the benchmark only as a whole")]
struct Response {
    status: Option<u16>,
    bytes: Option<u64>,
    duration_ms: Option<f64>,
    rate_limit_remaining: Option<i64>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "read by the benchmark only as a whole")]
struct Typed<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    org_id: Cow<'a, str>,
    #[serde(borrow)]
    site_id: Text<'a>,
    #[serde(borrow)]
    site: Text<'a>,
    #[serde(borrow)]
    product: Text<'a>,
    #[serde(borrow)]
    app: Option<App<'a>>,
    #[serde(borrow)]
    actor: Option<Actor<'a>>,
    #[serde(borrow)]
    client: Option<Client<'a>>,
    #[serde(borrow)]
    request: Option<Request<'a>>,
    response: Option<Response>,
    lifecycle: Option<IgnoredAny>,
    app_event: Option<IgnoredAny>,
}
