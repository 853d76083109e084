//! Decoding, redacting and rendering per event, beside what merely going over the same JSON costs.
//!
//! `ignored_any` is the calibration of the performance budget: serde_json reading each event into nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark")]

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use flow::clock::UnixMillis;
use flow::orgs::{Directory, UnknownOrgs};
use pipelines::{Decoded, Format, Grant, Input, Keys, Plan};

fn main() {
    divan::main();
}

/// What is decoded: in batches of 1,000 events, as requests bring them.
#[derive(Debug, Clone, Copy)]
enum Events {
    /// The shipped sample of recorded calls, over and over.
    Recorded,
    /// 949 bytes each, 2,000 organisations, 400 apps, twelve operations, one call in four with both audit headers.
    Reference,
}

const CASES: [Events; 2] = [Events::Recorded, Events::Reference];
const COUNT: usize = 20_000;

fn lines(events: Events) -> Vec<String> {
    match events {
        Events::Recorded => {
            let sample: Vec<&str> = include_str!("../../config/demo/real-sample.ndjson").lines().collect();
            (0..COUNT).map(|i| sample[i % sample.len()].to_owned()).collect()
        }
        Events::Reference => (0..COUNT).map(reference).collect(),
    }
}

/// An event of the reference job. The numbers come from a small generator, so that every run has the same.
fn reference(i: usize) -> String {
    let mut state = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let (org, app) = (next(2000), next(400));
    let operations = [
        ("GET", format!("/rest/api/3/issue/PROJ-{}", next(9000)), "fields=summary%2Cstatus&expand=names"),
        ("PUT", format!("/rest/api/3/issue/PROJ-{}", next(9000)), "notifyUsers=false"),
        ("POST", "/rest/api/3/issue".to_owned(), "updateHistory=true"),
        ("GET", "/rest/api/3/search/jql".to_owned(), "jql=project%20%3D%20PROJ&maxResults=100&nextPageToken=abc"),
        ("POST", format!("/rest/api/3/issue/PROJ-{}/comment", next(9000)), "expand=renderedBody"),
        ("GET", format!("/rest/agile/1.0/board/{}/sprint", next(900)), "startAt=0&maxResults=50"),
        ("GET", format!("/rest/api/3/user?accountId=712020:{:032x}", next(1 << 60)), "expand=groups"),
        ("GET", format!("/wiki/api/v2/pages/{}", next(900_000)), "body-format=storage"),
        ("PUT", format!("/wiki/api/v2/pages/{}", next(900_000)), "status=current"),
        ("DELETE", format!("/rest/api/3/issue/PROJ-{}", next(9000)), "deleteSubtasks=true"),
        ("GET", format!("/rest/servicedeskapi/servicedesk/{}/queue", next(90)), "includeCount=true"),
        ("GET", "/rest/api/3/project/search".to_owned(), "startAt=0&maxResults=50&orderBy=name"),
    ];
    let (method, path, query) = &operations[i % 12];
    let status = if i % 4 == 3 { [400, 403, 404, 429, 500, 503][next(6) as usize] } else { [200, 201, 204][next(3) as usize] };
    let headers = if i % 4 == 0 {
        format!(r#","headers":{{"x-audit-log-description":"Nightly sync of project {}","x-audit-log-group":"sync-{}"}}"#, next(900), next(90))
    } else {
        String::new()
    };
    let uuid = |a: u64, b: u64| format!("{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}", a & 0xffff_ffff, b & 0xffff, a % 4096, b % 4096, a.wrapping_mul(b) & 0xffff_ffff_ffff);
    let (org_a, org_b) = (org.wrapping_mul(0x5851_f42d_4c95_7f2d), org + 77);
    let mut line = format!(
        r#"{{"id":"evt-{:016x}{i:08x}","kind":"api_call","time":"2026-11-22T{:02}:{:02}:{:02}.{:03}Z","org_id":"{}","site_id":"{}","site":"org-{org}.example.net","product":"jira","app":{{"id":"ari:cloud:ecosystem::app/{}","key":"com.vendor{app}.sync","kind":"forge","installation_id":"{}","environment":"production","version":"3.{}.0"}},"actor":{{"acting_as":"app","account_id":"712020:{}","credential":"forge_app"}},"client":{{"origin":"backend","evidence":"token_type","ip":"203.0.113.{}","user_agent":"node-fetch/3.{}.1 (+https://github.example.com/node-fetch)"}},"request":{{"id":"{}","trace_id":"{:016x}{:016x}","method":"{method}","path":"{path}","query":"{query}","bytes":{}{headers}}},"response":{{"status":{status},"bytes":{},"duration_ms":{}.{:02},"rate_limit_remaining":{}}}}}"#,
        next(u64::MAX), next(24), next(60), next(60), next(1000),
        uuid(org_a, org_b), uuid(org_b, org_a),
        uuid(app + 3, app * 7 + 1), uuid(app * org + 1, app + 5), next(10),
        uuid(next(1 << 40), next(1 << 40)), next(256), next(9),
        uuid(next(1 << 40), next(1 << 40)), next(u64::MAX), next(u64::MAX),
        next(2000), next(90_000), next(900), next(100), next(1000),
    );
    // Filled up to the mean with a description of one's own choice: a member that is present in real events too.
    if line.len() < 949 {
        let fill = "x".repeat(949 - line.len());
        line = line.replacen("\"environment\":\"production\"", &format!("\"environment\":\"production{fill}\""), 1);
        line = line.replacen(&format!("production{fill}"), "production", 1);
        line = line.replacen("github.example.com/node-fetch", &format!("github.example.com/node-fetch/{fill}"), 1);
    }
    line
}

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
            reader.read(black_box(line), &mut event).unwrap();
            black_box(&event);
        }
    });
}

#[divan::bench(args = CASES, sample_count = 15, sample_size = 1)]
fn decode(bencher: Bencher<'_, '_>, events: Events) {
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
                assert_eq!((decoded.accepted, decoded.rejected_total), (1000, 0));
                // As the ingress does it: the rows go away, and with them their memory.
                black_box(std::mem::take(&mut decoded.parts));
            }
        });
}
