//! The client, a tenant's endpoint, and one exchange.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use flow::clock::{Clock, Instant};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, RETRY_AFTER, TRANSFER_ENCODING, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::Full;
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;

use crate::address::Guard;
use crate::caps::{Caps, Share};
use crate::connection::{Broken, Connection, MAX_BODY, Received};
use crate::destination::{BadDestination, Destination, Host};
use crate::dial::Dialler;
use crate::fault::{Fault, FaultKind};
use crate::pool::{Leased, Pool};
use crate::resolve::{Resolve, SystemResolver};
use crate::{Allow, retry_after, tls};

/// The operator's settings.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Addresses that may be dialled though they are not public.
    pub allow: Vec<Allow>,
    /// The same for endpoints of [`OPERATOR`] only.
    pub allow_operator: Vec<Allow>,
    /// Authorities to trust besides the public ones, DER.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Exchanges under way with one host and port, over all tenants. Destinations of the allow list have no cap.
    pub per_destination: usize,
    /// Idle connections kept over all endpoints.
    pub max_idle: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_operator: Vec::new(),
            extra_roots: Vec::new(),
            per_destination: 256,
            max_idle: 4096,
        }
    }
}

/// Counters since the start, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Connections that were made.
    pub opened: u64,
    /// Exchanges that used a connection again.
    pub reused: u64,
    /// Requests sent once more because a kept connection turned out to be closed.
    pub resent: u64,
    /// Idle connections now.
    pub idle: usize,
}

/// The tenant that stands for the operator: of its own sinks, and of what this process sends for itself.
pub const OPERATOR: &str = "*";

/// The HTTP client. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    dialler: Dialler,
    caps: Caps,
    clock: Clock,
    idle: Arc<AtomicUsize>,
    max_idle: usize,
    endpoints: Mutex<Vec<Weak<Pool>>>,
    opened: AtomicU64,
    reused: AtomicU64,
    resent: AtomicU64,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.stats()).finish()
    }
}

impl Client {
    /// A client with the resolver of the operating system.
    ///
    /// # Errors
    /// [`crate::BadRoots`] when an extra root is no certificate of an authority.
    pub fn new(policy: Policy, clock: Clock) -> Result<Self, crate::BadRoots> {
        Self::with_resolver(policy, clock, Arc::new(SystemResolver::default()))
    }

    /// A client with a resolver of its own.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_resolver(
        policy: Policy,
        clock: Clock,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, crate::BadRoots> {
        let tls = tls::client_config(&policy.extra_roots)?;
        let tenants = Guard::new(policy.allow.clone());
        let operator = Guard::new(policy.allow.into_iter().chain(policy.allow_operator).collect());
        Ok(Self(Arc::new(Shared {
            dialler: Dialler { tenants, operator, resolver, tls },
            caps: Caps::new(policy.per_destination),
            clock,
            idle: Arc::default(),
            max_idle: policy.max_idle,
            endpoints: Mutex::default(),
            opened: AtomicU64::new(0),
            reused: AtomicU64::new(0),
            resent: AtomicU64::new(0),
        })))
    }

    /// The way of one tenant to the scheme, host and port of `uri`. Its connections are its own: make one per sink,
    /// keep it while the sink's URL stays, drop it when it changes. The words of its faults do not tell a tenant of the
    /// inside of the network; [`OPERATOR`] is told everything.
    ///
    /// # Errors
    /// [`BadDestination`] when the URL cannot be a destination at all. Addresses are vetted when connecting.
    pub fn endpoint(&self, tenant: &str, uri: &Uri) -> Result<Endpoint, BadDestination> {
        let destination = Destination::of(uri)?;
        let host = HeaderValue::try_from(destination.host_header()).map_err(|_| BadDestination::Host)?;
        let share = self.0.caps.share(&destination.host, destination.port, &Arc::from(tenant));
        let pool = Arc::new(Pool::new(Arc::clone(&self.0.idle), self.0.max_idle));
        let mut endpoints = self.0.endpoints.lock();
        endpoints.retain(|pool| pool.strong_count() > 0);
        endpoints.push(Arc::downgrade(&pool));
        drop(endpoints);
        let veils = tenant != OPERATOR;
        Ok(Endpoint { client: self.clone(), destination, host, share, pool, veils, max_body: MAX_BODY })
    }

    /// Closes connections that nobody used for a while, and gives the buffers of others back. To be called every few
    /// seconds.
    pub fn sweep(&self) {
        let now = self.0.clock.now().instant;
        let pools: Vec<_> = self.0.endpoints.lock().iter().filter_map(Weak::upgrade).collect();
        for pool in pools {
            pool.sweep(now);
        }
        self.0.caps.sweep();
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            opened: self.0.opened.load(Ordering::Relaxed),
            reused: self.0.reused.load(Ordering::Relaxed),
            resent: self.0.resent.load(Ordering::Relaxed),
            idle: self.0.idle.load(Ordering::Relaxed),
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query; the rest of the URL is the endpoint's.
    pub target: PathAndQuery,
    /// Headers. `Host`, `Content-Length` and `User-Agent` are set here.
    pub headers: HeaderMap,
    /// The body, one piece.
    pub body: Bytes,
    /// The deadline over everything: waiting for a slot, name, connection, TLS, request, reply.
    pub timeout: Duration,
}

/// What requests of one kind have in common, made ready once by [`Endpoint::head`].
#[derive(Debug, Clone)]
pub struct Head {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Head {
    fn message(&self, body: Bytes) -> http::Request<Full<Bytes>> {
        let mut message = http::Request::new(Full::new(body));
        *message.method_mut() = self.method.clone();
        *message.uri_mut() = self.uri.clone();
        *message.headers_mut() = self.headers.clone();
        message
    }
}

/// A reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status; 3xx is given as it is.
    pub status: StatusCode,
    /// The wait that the peer asks for, at most an hour.
    pub retry_after: Option<Duration>,
    /// The headers.
    pub headers: HeaderMap,
    /// The beginning of the body, as sent: 64 KiB, or what [`Endpoint::reading`] says.
    pub body: Bytes,
    /// Whether there was more.
    pub truncated: bool,
}

/// One tenant's way to one scheme, host and port.
#[derive(Debug)]
pub struct Endpoint {
    client: Client,
    destination: Destination,
    host: HeaderValue,
    share: Share,
    pool: Arc<Pool>,
    veils: bool,
    max_body: usize,
}

/// How far an exchange came, for the fault when the deadline ends it.
#[derive(Default)]
struct Progress {
    slot: bool,
    sent: bool,
    /// The operator's list is what allows the address, as far as is known.
    operator: bool,
}

const AGENT: HeaderValue = HeaderValue::from_static(concat!("trailwire/", env!("CARGO_PKG_VERSION")));

impl Endpoint {
    /// The same, reading bodies up to `max_body` bytes.
    #[must_use]
    pub fn reading(self, max_body: usize) -> Self {
        Self { max_body, ..self }
    }

    /// Makes one exchange.
    ///
    /// A kept connection that the peer closed just then gives one more try on a new one. If the peer had already read
    /// the request it may see it twice, so a request must be one that may be repeated.
    ///
    /// # Errors
    /// [`Fault`]: no reply. [`Fault::outcome_unknown`] says whether the peer may have acted on the request.
    pub async fn send(&self, request: Request) -> Result<Reply, Fault> {
        let Request { method, target, headers, body, timeout } = request;
        let head = self.head(method, target, headers)?;
        self.send_as(&head, body, timeout).await
    }

    /// Makes a head for many requests. `Host`, `Content-Length` and `User-Agent` are set here.
    ///
    /// # Errors
    /// [`Fault`] when a header says how the message is framed or what becomes of the connection.
    pub fn head(&self, method: Method, target: PathAndQuery, mut headers: HeaderMap) -> Result<Head, Fault> {
        headers.remove(CONTENT_LENGTH);
        if headers.contains_key(TRANSFER_ENCODING) || headers.contains_key(CONNECTION) {
            return Err(Fault::unsent(FaultKind::Unsendable));
        }
        headers.insert(HOST, self.host.clone());
        headers.insert(USER_AGENT, AGENT);
        Ok(Head { method, uri: Uri::from(target), headers })
    }

    /// Makes one exchange as [`Endpoint::send`] does, with a head of this endpoint.
    ///
    /// # Errors
    /// As [`Endpoint::send`].
    pub async fn send_as(&self, head: &Head, body: Bytes, timeout: Duration) -> Result<Reply, Fault> {
        let mut progress = Progress::default();
        let outcome = tokio::time::timeout(timeout, self.exchange(head, body, &mut progress)).await;
        match outcome {
            Ok(Ok(received)) => Ok(Reply {
                retry_after: self.retry_after(&received.headers),
                status: received.status,
                headers: received.headers,
                body: received.body,
                truncated: received.truncated,
            }),
            Ok(Err(fault)) => Err(self.veil(fault, &progress)),
            Err(_) if !progress.slot => Err(Fault::unsent(FaultKind::Crowded)),
            Err(_) => {
                let fault = Fault { sent: progress.sent, ..Fault::unsent(FaultKind::Timeout) };
                Err(self.veil(fault, &progress))
            }
        }
    }

    /// The fault as the endpoint's owner may see it; what it does not tell goes into the operator's log.
    fn veil(&self, fault: Fault, progress: &Progress) -> Fault {
        if !self.veils {
            return fault;
        }
        let host = &self.destination.host;
        let veiled = fault.veiled(matches!(host, Host::Name(_)), progress.operator);
        // What the guard refused stands in the log already.
        if veiled.is_veiled() && fault.kind != FaultKind::Forbidden {
            let port = self.destination.port;
            tracing::info!(?host, port, kind = ?fault.kind, "an exchange failed in a way that its tenant is not told");
        }
        veiled
    }

    async fn exchange(&self, head: &Head, body: Bytes, progress: &mut Progress) -> Result<Received, Fault> {
        let _slot = self.share.slot().await;
        progress.slot = true;
        progress.operator = self.share.is_exempt();
        if let Some(leased) = self.kept().await {
            progress.sent = true;
            match self.run(leased, head.message(body.clone())).await {
                Ok(received) => {
                    self.client.0.reused.fetch_add(1, Ordering::Relaxed);
                    return Ok(received);
                }
                Err(Broken { fault, unsent }) => {
                    if !unsent && (fault.kind != FaultKind::Cut || fault.status.is_some()) {
                        return Err(fault);
                    }
                    self.client.0.resent.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        let stream = self
            .client
            .0
            .dialler
            .dial(&self.destination, !self.veils, &mut progress.operator)
            .await
            .map_err(|fault| {
                Fault {
                    // What went before may have reached the peer.
                    sent: progress.sent,
                    ..fault
                }
            })?;
        self.client.0.opened.fetch_add(1, Ordering::Relaxed);
        self.share.set_exempt(progress.operator);
        let connection = Connection::open(stream).await?;
        progress.sent = true;
        let leased = Leased { connection, opened: self.now() };
        self.run(leased, head.message(body)).await.map_err(|broken| broken.fault)
    }

    /// A kept connection that is open, as far as is known.
    async fn kept(&self) -> Option<Leased> {
        loop {
            let (kept, opened) = self.pool.take(self.now())?;
            if let Some(connection) = kept.open().await {
                return Some(Leased { connection, opened });
            }
        }
    }

    async fn run(&self, mut leased: Leased, message: http::Request<Full<Bytes>>) -> Result<Received, Broken> {
        let received = leased.connection.exchange(message, self.max_body).await?;
        self.pool.put(leased, self.now());
        Ok(received)
    }

    fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        // Most replies ask for no wait: then nobody need know what time it is.
        headers
            .contains_key(RETRY_AFTER)
            .then(|| retry_after::parse(headers, self.client.0.clock.now().wall))?
    }

    fn now(&self) -> Instant {
        self.client.0.clock.instant()
    }
}
