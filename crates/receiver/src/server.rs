//! Sockets: accepting, reading requests, sending answers in the wanted manner.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flow::clock::{Clock, UnixMillis};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::body::{self, Arrival};
use crate::fault::Manner;
use crate::ledger::RequestNote;
use crate::protocol;
use crate::reply::Reply;
use crate::scan::Tally;
use crate::settings::{Keep, Mode};
use crate::state::State;

/// A bound port with its accept loop.
#[derive(Debug)]
pub(crate) struct Running {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) async fn bind(addr: SocketAddr, state: Arc<State>) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let stop = watch::Sender::new(false);
        let task = Some(tokio::spawn(accept(listener, state, stop.subscribe())));
        Ok(Self { addr, stop, task })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            tracing::warn!(%error, "the accept loop of the receiver ended badly");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<State>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&state)));
                }
                Err(error) => tracing::warn!(%error, "the receiver could not accept a connection"),
            },
            Some(_) = connections.join_next() => {}
            _ = stop.changed() => break,
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// The length of one chunk of a body without end.
const FLOOD_CHUNK: usize = 16 << 10;

/// What the connection does once hyper has let go of it.
#[derive(Debug)]
struct Takeover {
    bytes: Vec<u8>,
    pace: Option<Duration>,
    end: End,
}

#[derive(Debug)]
enum End {
    Close,
    Hold,
    Flood,
    Reset,
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    // A second handle of the same socket: hyper cannot send half an answer or a reset, so for those faults hyper is
    // dropped and the rest is done by hand.
    let spare = stream.as_fd().try_clone_to_owned().map(std::net::TcpStream::from);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let (takeover, mut taken_over) = mpsc::channel(1);
    let clock = state.clock.clone();
    let service = service_fn(move |request| answer(Arc::clone(&state), request, takeover.clone()));
    let hyper = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let order = tokio::select! {
        // The client went away or hyper gave it up: nothing to do in either case.
        _ = hyper => return,
        Some(order) = taken_over.recv() => order,
    };
    if let Err(error) = take_over(spare, order, &clock).await {
        tracing::debug!(%error, "the client left before the fault was played to its end");
    }
}

async fn take_over(spare: io::Result<std::net::TcpStream>, order: Takeover, clock: &Clock) -> io::Result<()> {
    let mut stream = TcpStream::from_std(spare?)?;
    match order.pace {
        None => stream.write_all(&order.bytes).await?,
        Some(pace) => {
            for byte in order.bytes {
                stream.write_all(&[byte]).await?;
                clock.sleep_until(clock.now().instant + pace).await;
            }
        }
    }
    match order.end {
        End::Close => Ok(()),
        End::Reset => stream.set_zero_linger(),
        // Until the client gives up.
        End::Hold => stream.readable().await,
        End::Flood => {
            let text = "{\"text\":\"";
            stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await?;
            let chunk = format!("{FLOOD_CHUNK:x}\r\n{}\r\n", "x".repeat(FLOOD_CHUNK));
            loop {
                stream.write_all(chunk.as_bytes()).await?;
            }
        }
    }
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
    takeover: mpsc::Sender<Takeover>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let number = state.arrived();
    let began = state.clock.now().wall;
    let fault = state.next_fault();
    let mut gate = state.paused.subscribe();
    if gate.wait_for(|paused| !*paused).await.is_err() {
        // The gate's sender lives in the state that this function holds.
        return Ok(Reply::empty(http::StatusCode::SERVICE_UNAVAILABLE).into_response());
    }
    let (head, body) = request.into_parts();
    if let Manner::ResetWithin(bytes) = fault.manner {
        read_some(body, bytes).await;
        return give_up(&takeover, Takeover { bytes: Vec::new(), pace: None, end: End::Reset }).await;
    }
    let (keep, cap, mode) = {
        let settings = state.settings.read();
        (settings.keep, settings.max_body, settings.mode)
    };
    let reply = if keep == Keep::Counts && fault.skip {
        read_some(body, usize::MAX).await;
        Reply::empty(http::StatusCode::OK)
    } else if keep == Keep::Counts {
        match count(&state, &head.headers, body, mode).await {
            Some(reply) => reply,
            None => {
                return give_up(&takeover, Takeover { bytes: Vec::new(), pace: None, end: End::Close }).await;
            }
        }
    } else {
        let body = match body::read(body, cap).await {
            Arrival::Whole(body) => Some(body),
            Arrival::TooLong => None,
            Arrival::Broken => {
                return give_up(&takeover, Takeover { bytes: Vec::new(), pace: None, end: End::Close }).await;
            }
        };
        judge(&state, &head, body, (number, began), mode, fault.skip)
    };
    let reply = fault.answer.unwrap_or(reply);
    let wire = |missing: usize| reply.to_wire(reply.body.len() + missing);
    let order = match fault.manner {
        Manner::Usual | Manner::ResetWithin(_) => return Ok(reply.into_response()),
        Manner::After(wait) => {
            state.clock.sleep_until(state.clock.now().instant + wait).await;
            return Ok(reply.into_response());
        }
        Manner::ByteByByte(pace) => Takeover { bytes: wire(0), pace: Some(pace), end: End::Close },
        Manner::NeverEnds => Takeover { bytes: wire(1), pace: None, end: End::Hold },
        Manner::Endless => {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
            Takeover { bytes: head.into(), pace: None, end: End::Flood }
        }
        Manner::Truncated => {
            let mut bytes = wire(0);
            bytes.truncate(bytes.len() - reply.body.len().div_ceil(2));
            Takeover { bytes, pace: None, end: End::Close }
        }
        Manner::Lost => Takeover { bytes: Vec::new(), pace: None, end: End::Close },
        Manner::Reset => Takeover { bytes: Vec::new(), pace: None, end: End::Reset },
    };
    give_up(&takeover, order).await
}

/// Hands the connection over; never returns, since hyper is dropped with this future.
async fn give_up<T>(takeover: &mpsc::Sender<Takeover>, order: Takeover) -> T {
    if takeover.send(order).await.is_err() {
        tracing::debug!("the connection ended before its fault");
    }
    std::future::pending().await
}

fn judge(
    state: &State,
    head: &http::request::Parts,
    body: Option<Bytes>,
    (number, began): (u64, UnixMillis),
    mode: Mode,
    skip: bool,
) -> Reply {
    let now = state.clock.now();
    let request = protocol::Request {
        method: &head.method,
        path: head.uri.path(),
        query: head.uri.query(),
        headers: &head.headers,
        body: body.as_deref(),
    };
    let judgement = if skip {
        Reply::empty(http::StatusCode::OK).into()
    } else {
        protocol::judge(&state.settings.read(), &mut state.acks.lock(), &request, now.instant)
    };
    let reply = judgement.reply.clone();
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let note = RequestNote {
        number,
        at: began,
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head.headers.iter().map(header).collect(),
        token: protocol::secret(&head.headers, mode).unwrap_or_default(),
        wire_bytes: 0,
        plain_bytes: 0,
        indexed: 0,
        status: reply.status.as_u16(),
        code: reply.code,
    };
    state.enter(note, judgement, body.map_or(0, |body| body.len()));
    reply
}

async fn read_some(mut body: Incoming, bytes: usize) {
    let mut got = 0;
    while got < bytes {
        match body.frame().await {
            Some(Ok(frame)) => got += frame.data_ref().map_or(0, Bytes::len),
            _ => return,
        }
    }
}

/// Counts a body while it arrives; `None` when the client went away in the middle.
async fn count(state: &State, headers: &http::HeaderMap, mut body: Incoming, mode: Mode) -> Option<Reply> {
    let orgs = {
        let settings = state.settings.read();
        let secret = protocol::secret(headers, mode).unwrap_or_default();
        match settings.find_token(&secret) {
            Some(token) => token.orgs.clone(),
            None if settings.tokens.is_empty() => None,
            None => return Some(Reply::code(crate::Code::InvalidToken)),
        }
    };
    let packed = headers.contains_key(http::header::CONTENT_ENCODING);
    let mut tally = Tally::default();
    let mut bytes = 0;
    let mut gathered = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        bytes += data.len() as u64;
        if packed {
            gathered.extend_from_slice(&data);
            continue;
        }
        state.scan(&data, orgs.as_ref(), &mut tally);
    }
    if packed {
        let Ok(plain) = body::gunzip(&gathered, state.settings.read().max_body) else {
            return Some(Reply::html(http::StatusCode::BAD_REQUEST));
        };
        state.scan(&plain, orgs.as_ref(), &mut tally);
    }
    state.enter_counts(&tally, bytes);
    Some(Reply::code(crate::Code::Success))
}
