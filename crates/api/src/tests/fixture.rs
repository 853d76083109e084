//! What the tests of this crate share: a journal in memory behind the real ingress, both listeners on real sockets,
//! and a client that can misbehave.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
use parking_lot::Mutex;
use pipelines::Grant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::auth::{Producer, Producers, TokenHash};
use crate::budget::Budget;
use crate::ingest::{Ingest, Patience};
use crate::intake::Intake;
use crate::metrics::Tallies;
use crate::quota::Quotas;
use crate::server::{Drained, Limits, Service, serve};

pub(crate) const TOKEN: &str = "trailwire_test_token";

/// A journal in memory that can be told to fail.
#[derive(Debug)]
pub(crate) struct Memory {
    state: Mutex<MemoryState>,
    /// Appends wait for one permit each; there are plenty unless a test takes them away.
    pub(crate) gate: Semaphore,
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
pub(crate) struct MemoryState {
    pub(crate) seen: HashSet<u128>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) appends: usize,
    /// What the next appends answer.
    pub(crate) faults: Vec<AppendFault>,
}

impl Memory {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            gate: Semaphore::new(1 << 20),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Appends that wait for a permit.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn stored(&self) -> usize {
        self.state.lock().seen.len()
    }

    pub(crate) fn appends(&self) -> usize {
        self.state.lock().appends
    }

    pub(crate) fn fail_next(&self, fault: AppendFault) {
        self.state.lock().faults.push(fault);
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        memchr::memmem::find(&self.state.lock().bytes, text.as_bytes()).is_some()
    }

    fn take(&self, rows: &Prepared) -> Result<Position, AppendFault> {
        let mut state = self.state.lock();
        state.appends += 1;
        if let Some(fault) = state.faults.pop() {
            return Err(fault);
        }
        state.bytes.extend_from_slice(&rows.arena);
        let accepted = rows.rows.iter().filter(|row| state.seen.insert(row.dedupe)).count() as u32;
        let duplicates = rows.rows.len() as u32 - accepted;
        Ok(Position { end: LogPos(0), next_row: Row(0), accepted, duplicates })
    }
}

struct Backend(Arc<Memory>);

impl LogBackend for Backend {
    fn append(&self, _: PartitionId, rows: Prepared) -> BoxFuture<'static, Result<Position, AppendFault>> {
        let memory = Arc::clone(&self.0);
        Box::pin(async move {
            memory.waiting.fetch_add(1, Ordering::Relaxed);
            memory.gate.acquire().await.unwrap().forget();
            memory.waiting.fetch_sub(1, Ordering::Relaxed);
            memory.take(&rows)
        })
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

    fn oldest(&self, _: PartitionId) -> (Row, GapReason) {
        (Row(0), GapReason::Retention)
    }

    fn durable_end(&self, _: PartitionId) -> Row {
        Row(0)
    }

    fn org_seqs(&self, p: PartitionId, _: Scope) -> BoxFuture<'static, Result<OrgSeqs, AppendFault>> {
        Box::pin(async move { Err(AppendFault::Busy(p)) })
    }
}

pub(crate) fn grant(name: &str) -> Grant {
    Grant::unlimited(name).unwrap()
}

/// The intake over a journal in memory.
pub(crate) fn intake(memory: &Arc<Memory>, clock: &Clock) -> (Arc<Intake>, Arc<Directory>) {
    let directory = Directory::new(4, UnknownOrgs::Accept);
    let plan = pipelines::Plan::new(pipelines::Keys::derive(&[7; 32]), Arc::clone(&directory));
    let ingress = Ingress::new(Log::new(Arc::new(Backend(Arc::clone(memory)))));
    let quotas = Quotas::unlimited(clock);
    let intake = Intake::new(Arc::new(plan), ingress, quotas, Arc::new(Tallies::default()), clock.clone());
    (intake, directory)
}

/// A listener on a real socket.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) task: JoinHandle<Drained>,
}

pub(crate) async fn listen(service: Arc<dyn Service>, limits: Limits, clock: &Clock) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(serve(listener, service, limits, clock.clone(), stopped));
    Listening { address, stop, task }
}

/// The ingest listener over a journal in memory, with one producer.
pub(crate) struct House {
    pub(crate) memory: Arc<Memory>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) listening: Listening,
}

pub(crate) async fn house() -> House {
    house_with(Patience::default(), Limits::default(), 64 << 20).await
}

pub(crate) async fn house_with(patience: Patience, limits: Limits, memory_bytes: usize) -> House {
    let clock = Clock::system();
    let memory = Memory::new();
    let (intake, directory) = intake(&memory, &clock);
    let budget = Arc::new(Budget::new(memory_bytes));
    let producer = Producer { grant: grant("gateway"), tokens: vec![TokenHash::of(TOKEN.as_bytes())] };
    let producers = Producers::new(vec![producer]);
    let ingest = Ingest::new(Arc::clone(&intake), producers, Arc::clone(&budget), patience);
    let service: Arc<dyn Service> = Arc::<Ingest>::clone(&ingest);
    let listening = listen(service, limits, &clock).await;
    House { memory, intake, directory, ingest, budget, listening }
}

/// An answer as the client sees it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A client with what it has read beyond the last answer.
pub(crate) struct Client(TcpStream, Vec<u8>);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap(), Vec::new())
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Reads one answer; `None` when the server closed first.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        let read = tokio::time::timeout(Duration::from_secs(20), self.read()).await;
        read.expect("an answer or the end within 20 s")
    }

    async fn read(&mut self) -> Option<Reply> {
        let mut bytes = std::mem::take(&mut self.1);
        let (head, mut body) = loop {
            if let Some(at) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
                break (String::from_utf8(bytes[..at].to_vec()).unwrap(), bytes.split_off(at + 4));
            }
            if self.0.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let (first, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Reply { status, headers: headers.to_owned(), body: String::new() };
        let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        while body.len() < length {
            if self.0.read_buf(&mut body).await.ok()? == 0 {
                return None;
            }
        }
        self.1 = body.split_off(length);
        reply.body = String::from_utf8(body).unwrap();
        Some(reply)
    }

    /// Whether the server closes the connection (within 20 s).
    pub(crate) async fn closed(&mut self) -> bool {
        let mut bin = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), self.0.read_to_end(&mut bin)).await;
        ended.is_ok()
    }
}

/// A request for `POST /v1/events` with further header lines, each ended by CR LF.
pub(crate) fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Sends one request on a connection of its own.
pub(crate) async fn once(address: SocketAddr, request: &[u8]) -> Reply {
    let mut client = Client::connect(address).await;
    client.send(request).await;
    client.reply().await.expect("an answer")
}

/// A raw event.
pub(crate) fn event(id: impl std::fmt::Display) -> String {
    format!(
        r#"{{"id":"{id}","time":"2026-11-22T08:15:30.123Z","org_id":"acme","request":{{"method":"GET","path":"/rest/api/3/issue/SECRET-1"}},"response":{{"status":200}}}}"#
    )
}

/// Raw events, one a line.
pub(crate) fn events(ids: std::ops::Range<usize>) -> Vec<u8> {
    ids.map(|id| event(id) + "\n").collect::<String>().into_bytes()
}
