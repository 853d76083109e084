//! What one event costs on its way from the socket to the journal's door, in CPU time of the serving thread, and what
//! of it is decoding. The journal is a counter here.
//!
//! Run it with `cargo bench -p api`. Linux only: thread times come from `/proc`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;

use api::auth::{Producer, Producers, TokenHash};
use api::body::{Encoding, inflate};
use api::budget::Budget;
use api::ingest::{Ingest, Patience};
use api::intake::Intake;
use api::metrics::Tallies;
use api::quota::Quotas;
use api::server::{Limits, Service, serve};
use flow::clock::Clock;
use flow::ingress::Ingress;
use flow::lane_state::LaneStates;
use flow::log::{
    AppendFault, Extent, GapReason, Log, LogBackend, OrgSeqs, Position, ReadError, ReadSpec, Scope, Slice,
};
use flow::orgs::{Directory, UnknownOrgs};
use flow::prepared::Prepared;
use flow::units::{LogPos, PartitionId, Row};
use futures_util::future::BoxFuture;
use pipelines::{Decoded, Format, Grant, Input, Keys, Plan};

/// Takes everything, keeps nothing.
struct Counter;

impl LogBackend for Counter {
    fn append(&self, _: PartitionId, rows: Prepared) -> BoxFuture<'static, Result<Position, AppendFault>> {
        let accepted = u32::try_from(rows.rows.len()).unwrap();
        Box::pin(async move { Ok(Position { end: LogPos(0), next_row: Row(0), accepted, duplicates: 0 }) })
    }

    fn record(&self, p: PartitionId, _: LaneStates) -> BoxFuture<'static, Result<Position, AppendFault>> {
        Box::pin(async move { Err(AppendFault::Busy(p)) })
    }

    fn read(&self, _: ReadSpec) -> BoxFuture<'static, Result<Slice, ReadError>> {
        Box::pin(async { Ok(Slice::NotYet) })
    }

    fn read_tail(&self, _: &ReadSpec) -> Option<Slice> {
        None
    }

    fn extent(&self, _: PartitionId, _: &Scope, _: Row) -> Extent {
        Extent::default()
    }

    fn org_seqs(&self, p: PartitionId, _: Scope) -> BoxFuture<'static, Result<OrgSeqs, AppendFault>> {
        Box::pin(async move { Err(AppendFault::Busy(p)) })
    }

    fn oldest(&self, _: PartitionId) -> (Row, GapReason) {
        (Row(0), GapReason::Retention)
    }

    fn durable_end(&self, _: PartitionId) -> Row {
        Row(0)
    }
}

/// Nanoseconds that the calling thread has run.
fn thread_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Digits that do not compress, as ids and traces do not.
fn digits(number: usize, salt: u64) -> String {
    let mut word = (number as u64 ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let second = (word ^ (word >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
    format!("{word:016x}{second:016x}")
}

fn event(number: usize) -> String {
    let org = number % 2000;
    let (id, trace) = (digits(number, 1), digits(number, 2));
    let head = format!(
        r#"{{"id":"{id}","kind":"api_call","time":"2026-11-22T08:15:30.123Z","org_id":"00000000-0000-4000-8000-00000000{org:04}","site_id":"5d1b7f0e-3c4a-4b8e-9f67-2a1c0d9e8b7a","site":"acme.example.net","product":"jira","app":{{"id":"com.example.sync-0007","key":"com.example.sync","kind":"connect","installation_id":"e0a4d1f3-0e61-4d4f-8a49-5e8f6f6d9b10","environment":"production","version":"3.1.0"}},"actor":{{"acting_as":"user_offline","account_id":"712020:7a7d9a0e-55d6-4d6a-9a7e-3f4b8e6c9a11","credential":"connect_assertion"}},"client":{{"origin":"backend","evidence":"token_type","ip":"203.0.113.7","user_agent":"Sync/3.1.0"}},"request":{{"id":"437f805aa3c6","trace_id":"{trace}","method":"PUT","path":"/rest/api/3/issue/PROJ-{number}","query":"notifyUsers=false&fields=summary%2Cstatus","bytes":311}},"response":{{"status":204,"bytes":0,"duration_ms":41.25,"rate_limit_remaining":912}}"#
    );
    let pad = 948_usize.saturating_sub(head.len() + r#","x":"""#.len());
    format!(r#"{head},"x":"{}"}}"#, "x".repeat(pad))
}

fn batch(events: usize, round: usize) -> Vec<u8> {
    (0..events).map(|at| event(round * events + at) + "\n").collect::<String>().into_bytes()
}

struct Serving {
    address: SocketAddr,
    cpu: mpsc::Receiver<u64>,
    ask: mpsc::SyncSender<()>,
}

/// A listener on a thread of its own that tells its CPU time.
fn start() -> Serving {
    let (told, address) = mpsc::sync_channel(1);
    let (ask, asked) = mpsc::sync_channel::<()>(1);
    let (tell, cpu) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let clock = Clock::system();
            let directory = Directory::new(8, UnknownOrgs::Accept);
            let plan = Arc::new(Plan::new(Keys::derive(&[7; 32]), directory));
            let ingress = Ingress::new(Log::new(Arc::new(Counter)));
            let quotas = Quotas::unlimited(&clock);
            let intake = Intake::new(plan, ingress, quotas, Arc::new(Tallies::default()), clock.clone());
            let producer = Producer {
                grant: Grant::unlimited("bench").unwrap(),
                tokens: vec![TokenHash::of(b"bench-token")],
            };
            let budget = Arc::new(Budget::new(64 << 20));
            let ingest = Ingest::new(intake, Producers::new(vec![producer]), budget, Patience::default());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            let (stop, stopped) = tokio::sync::watch::channel(false);
            let service: Arc<dyn Service> = ingest;
            tokio::spawn(serve(listener, service, Limits::default(), clock, stopped));
            let mut tick = tokio::time::interval(std::time::Duration::from_millis(5));
            loop {
                tick.tick().await;
                match asked.try_recv() {
                    Ok(()) => tell.send(thread_ns()).unwrap(),
                    Err(mpsc::TryRecvError::Empty) => {}
                    Err(mpsc::TryRecvError::Disconnected) => break,
                }
            }
            drop(stop);
        });
    });
    Serving { address: address.recv().unwrap(), cpu, ask }
}

fn round_trip(stream: &mut TcpStream, body: &[u8], headers: &str) {
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: b\r\nauthorization: Bearer bench-token\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut reply = [0; 4096];
    let read = stream.read(&mut reply).unwrap();
    assert!(reply.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&reply[..read]));
}

/// CPU microseconds per event of the serving thread.
fn over_http(events: usize, requests: usize, encode: fn(&[u8]) -> Vec<u8>, headers: &str) -> f64 {
    let serving = start();
    let mut stream = TcpStream::connect(serving.address).unwrap();
    stream.set_nodelay(true).unwrap();
    let bodies: Vec<Vec<u8>> = (0..16).map(|round| encode(&batch(events, round))).collect();
    let cpu = || {
        serving.ask.send(()).unwrap();
        serving.cpu.recv().unwrap()
    };
    for body in &bodies {
        round_trip(&mut stream, body, headers);
    }
    let before = cpu();
    for body in bodies.iter().cycle().take(requests) {
        round_trip(&mut stream, body, headers);
    }
    (cpu() - before) as f64 / 1000.0 / (events * requests) as f64
}

/// CPU microseconds per event of decoding alone.
fn decoding(events: usize, requests: usize) -> f64 {
    let directory = Directory::new(8, UnknownOrgs::Accept);
    let plan = Plan::new(Keys::derive(&[7; 32]), directory);
    let (grant, clock) = (Grant::unlimited("bench").unwrap(), Clock::system());
    let bodies: Vec<Vec<u8>> = (0..16).map(|round| batch(events, round)).collect();
    let mut decoded = Decoded::new();
    let mut run = |times: usize| {
        for body in bodies.iter().cycle().take(times) {
            let input = Input {
                body,
                format: Format::Ndjson,
                grant: &grant,
                source: "http",
                received_at: clock.now().wall,
                quota: &mut |_, _| Ok(()),
            };
            plan.decode(input, &mut decoded).unwrap();
            assert_eq!(decoded.accepted, events as u64);
            drop(std::mem::take(&mut decoded.parts));
        }
    };
    run(16);
    let before = thread_ns();
    run(requests);
    (thread_ns() - before) as f64 / 1000.0 / (events * requests) as f64
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(body, 3).unwrap()
}

fn inflating(encode: fn(&[u8]) -> Vec<u8>, encoding: Encoding) -> f64 {
    let (body, mut into) = (encode(&batch(1000, 0)), Vec::new());
    inflate(&body, encoding, &mut into).unwrap();
    let before = thread_ns();
    for _ in 0..50 {
        inflate(&body, encoding, &mut into).unwrap();
    }
    (thread_ns() - before) as f64 / 1000.0 / 50_000.0
}

fn main() {
    let plain: fn(&[u8]) -> Vec<u8> = <[u8]>::to_vec;
    let size = batch(1000, 0).len() / 1000;
    println!("CPU µs per event of {size} bytes, events from the socket to the journal's door");
    let decode = decoding(1000, 400);
    println!("decoding alone                      {decode:8.3}");
    for (name, events, requests) in
        [("1,000 a request", 1000, 400), ("100 a request", 100, 2000), ("1 a request", 1, 20_000)]
    {
        let all = over_http(events, requests, plain, "content-type: application/x-ndjson\r\n");
        println!("{name:<35} {all:8.3}   HTTP's part {:8.3}", all - decode);
    }
    println!(
        "gzip, 1,000 a request               {:8.3}",
        over_http(1000, 200, gzip, "content-encoding: gzip\r\n")
    );
    println!(
        "zstd, 1,000 a request               {:8.3}",
        over_http(1000, 200, zstd, "content-encoding: zstd\r\n")
    );
    println!("inflating gzip alone                {:8.3}", inflating(gzip, Encoding::Gzip));
    println!("inflating zstd alone                {:8.3}", inflating(zstd, Encoding::Zstd));
}
