//! One listener: accepting, the limits of a connection, and a shutdown that lets requests finish.
//!
//! What it must not know: routes, tokens, events.

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use flow::clock::{Clock, Instant};
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// What answers requests.
pub trait Service: Send + Sync + 'static {
    /// Answers one request. There is no error: what goes wrong is an answer too.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> BoxFuture<'static, Response<Full<Bytes>>>;
}

/// The limits of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; more wait in the kernel's queue.
    pub connections: usize,
    /// From the end of one request (or the start of the connection) to the end of the next one's headers.
    pub header_deadline: Duration,
    /// Bytes of one request's line and headers.
    pub header_bytes: usize,
    /// Headers of one request.
    pub headers: usize,
    /// How long requests may take to finish once the process was told to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            header_deadline: Duration::from_secs(30),
            header_bytes: 16 << 10,
            headers: 64,
            drain: Duration::from_secs(10),
        }
    }
}

/// How a listener ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that still had a request running when the drain budget was spent, and were cut.
    pub cut: usize,
}

/// The most that one connection buffers of what it reads. Measured from 16 KiB to 1 MiB: larger is not faster.
const READ_BUFFER: usize = 64 << 10;
/// How much a client may still send after its request was answered without being read to the end.
const LINGER_BYTES: u64 = 32 << 20;
const LINGER: Duration = Duration::from_secs(2);
/// The pause after a failed `accept`, such as when file descriptors are spent: trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `listener` until `stop` turns true (or its sender is gone), then lets running requests finish within
/// the drain budget.
pub async fn serve(
    listener: TcpListener,
    service: Arc<dyn Service>,
    limits: Limits,
    clock: Clock,
    mut stop: watch::Receiver<bool>,
) -> Drained {
    let places = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let running = Arc::new(AtomicUsize::new(0));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                let connection = Connection {
                    service: Arc::clone(&service),
                    running: Arc::clone(&running),
                    peer,
                    stop: stop.clone(),
                };
                connections.spawn(connection.run(stream, limits, place));
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed; trying again");
                clock.sleep_until(clock.now().instant + ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let deadline: Instant = clock.now().instant + limits.drain;
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let in_time = tokio::time::timeout_at(deadline, all_ended).await.is_ok();
    let cut = if in_time { 0 } else { running.load(Ordering::Relaxed) };
    connections.shutdown().await;
    Drained { cut }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone is a process on its way down, too.
    if stop.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("nobody can stop this listener any more, so it stops");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    // The place comes first: without one the connection stays in the kernel's queue.
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

struct Connection {
    service: Arc<dyn Service>,
    running: Arc<AtomicUsize>,
    peer: SocketAddr,
    stop: watch::Receiver<bool>,
}

impl Connection {
    async fn run(mut self, stream: TcpStream, limits: Limits, place: OwnedSemaphorePermit) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the peer left before its connection was served");
            return;
        }
        let (service, running, peer) = (self.service, self.running, self.peer);
        let answer = service_fn(move |request| {
            let guard = Running::begin(&running);
            let answered = Arc::clone(&service).answer(request, peer);
            Box::pin(async move {
                let response = answered.await;
                drop(guard);
                Ok::<_, std::convert::Infallible>(response)
            })
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_deadline)
            .max_header_size(limits.header_bytes)
            .max_headers(limits.headers)
            .max_buf_size(READ_BUFFER)
            .serve_connection(TokioIo::new(stream), answer);
        let mut stopping = false;
        let ended = loop {
            tokio::select! {
                ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
                () = stopped(&mut self.stop), if !stopping => {
                    stopping = true;
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error = %error, %peer, "connection ended");
        }
        if !stopping {
            linger(connection.into_parts().io.into_inner()).await;
        }
        drop(place);
    }
}

/// Counts the requests that are being answered.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Closes our half and reads on for a moment. A socket that is closed with unread bytes is reset, and the reset may
/// overtake the answer that tells the client why its body was not read.
async fn linger(mut stream: TcpStream) {
    let rest = async move {
        stream.shutdown().await?;
        let mut bin = vec![0; 16 << 10];
        let mut read = 0_u64;
        while read < LINGER_BYTES {
            match stream.read(&mut bin).await? {
                0 => break,
                n => read += n as u64,
            }
        }
        Ok::<_, std::io::Error>(())
    };
    match tokio::time::timeout(LINGER, pin!(rest)).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => tracing::trace!("the peer did not close its half"),
    }
}
