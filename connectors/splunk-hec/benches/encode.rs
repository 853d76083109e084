//! Encoding a batch of 850-byte records, and reading an answer. `cargo bench -p splunk-hec`.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use flow::sink::Rows;
use flow::testing::deliveries::Batch;
use splunk_hec::PartialAccept;
use splunk_hec::encode::{Encoder, Metadata};
use splunk_hec::reply::{Answer, Sent, judge};

fn main() {
    divan::main();
}

/// 850 bytes each; `orgs` organisations with neighbouring records.
fn rows(records: u64, orgs: u64) -> Rows {
    let mut batch = Batch::new();
    for org in 0..orgs {
        batch = batch.org(&format!("84383462-b484-4cc4-bb21-{org:012}"), 1_000_000);
        for n in 0..records / orgs {
            let mut record = format!(r#"{{"v":1,"seq":{},"id":"{n:032x}","x":""#, 1_000_000 + n);
            record.push_str(&"x".repeat(848 - record.len()));
            record.push_str("\"}");
            batch = batch.record(1_795_335_330_123 + n as i64, record);
        }
    }
    batch.rows()
}

fn encoder() -> Encoder {
    Encoder::new(Metadata {
        host: None,
        source: "trailwire",
        sourcetype: "trailwire:record",
        index: Some("app_calls"),
    })
}

const DELIVERY: &str = "00d10000000000000000000000000042";

/// As the sink does it: a new buffer for each body.
#[divan::bench(args = [(1, 1), (200, 1), (600, 1), (600, 300)])]
fn new_buffer(bencher: Bencher<'_, '_>, (records, orgs): (u64, u64)) {
    let (rows, encoder) = (rows(records, orgs), encoder());
    bencher.counter(ItemsCount::new(records)).counter(BytesCount::new(rows.bytes())).bench(|| {
        let mut body =
            Vec::with_capacity((rows.bytes() + rows.count() as usize * encoder.overhead()).min(1_000_000));
        encoder.encode(&rows, DELIVERY, &mut body);
        body
    });
}

/// Into warm memory: what the encoding itself costs.
#[divan::bench(args = [(200, 1), (600, 1), (600, 300)])]
fn warm_buffer(bencher: Bencher<'_, '_>, (records, orgs): (u64, u64)) {
    let (rows, encoder) = (rows(records, orgs), encoder());
    let mut body = Vec::with_capacity(2_000_000);
    bencher.counter(ItemsCount::new(records)).counter(BytesCount::new(rows.bytes())).bench_local(|| {
        body.clear();
        encoder.encode(black_box(&rows), DELIVERY, &mut body);
        body.len()
    });
}

/// Walking over the rows without doing anything with them.
#[divan::bench(args = [(600, 1), (600, 300)])]
fn walk(bencher: Bencher<'_, '_>, (records, orgs): (u64, u64)) {
    let rows = rows(records, orgs);
    bencher.counter(ItemsCount::new(records)).bench(|| {
        let mut bytes = 0;
        rows.for_each(|row| bytes += row.record.len() + usize::from(row.prev_seq.is_some()));
        bytes
    });
}

#[divan::bench]
fn success(bencher: Bencher<'_, '_>) {
    let body = br#"{"text":"Success","code":0}"#;
    let answer = Answer { status: 200, retry_after: None, content_type: "application/json", body };
    let sent = Sent {
        records: 600,
        bytes: 800_000,
        gzip: false,
        channel_renewed: false,
        partial_accept: PartialAccept::None,
        token: "11111111-2222-3333-4444-555555555555",
    };
    bencher.bench(|| judge(black_box(&answer), &sent));
}
