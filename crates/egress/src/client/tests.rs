use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::TlsFault;
use crate::resolve::NotResolved;

/// A peer that serves each connection with the next of its scripts.
struct Peer {
    address: SocketAddr,
    /// What each connection received, request by request.
    seen: mpsc::Receiver<String>,
}

type Script = Box<dyn FnOnce(Wire) -> BoxFuture<'static, ()> + Send>;

struct Wire {
    tcp: TcpStream,
    seen: mpsc::Sender<String>,
}

impl Wire {
    /// Reads one request with its body.
    async fn request(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |text| text.parse::<usize>().unwrap()) {
                    self.seen.send(text.clone()).await.unwrap();
                    return Some(text);
                }
            }
            if self.tcp.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
    }

    async fn say(&mut self, text: &str) {
        self.tcp.write_all(text.as_bytes()).await.unwrap();
    }
}

fn script<F, R>(serve: F) -> Script
where
    F: FnOnce(Wire) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Box::new(move |wire| Box::pin(serve(wire)))
}

async fn peer(scripts: Vec<Script>) -> Peer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, seen) = mpsc::channel(64);
    let mut scripts = VecDeque::from(scripts);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let serve = scripts.pop_front().expect("more connections than scripts");
            tokio::spawn(serve(Wire { tcp, seen: tell.clone() }));
        }
    });
    Peer { address, seen }
}

fn loopback(plaintext: bool) -> Policy {
    Policy { allow: vec![Allow { net: "127.0.0.0/8".parse().unwrap(), plaintext }], ..Policy::default() }
}

struct Answers(Vec<(&'static str, Vec<IpAddr>)>, Arc<AtomicUsize>);

impl Resolve for Answers {
    fn resolve(&self, name: String) -> BoxFuture<'static, Result<Vec<IpAddr>, NotResolved>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let found = self.0.iter().find(|(known, _)| *known == name).map(|(_, addresses)| addresses.clone());
        Box::pin(async move { found.ok_or(NotResolved) })
    }
}

fn client(policy: Policy) -> Client {
    Client::new(policy, Clock::system()).unwrap()
}

fn to(client: &Client, address: SocketAddr) -> Endpoint {
    client.endpoint("acme", &format!("http://{address}").parse().unwrap()).unwrap()
}

fn post(body: &'static str) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Splunk canary-token"));
    Request {
        method: Method::POST,
        target: PathAndQuery::from_static("/services/collector/event?canary=query"),
        headers,
        body: Bytes::from_static(body.as_bytes()),
        timeout: Duration::from_secs(10),
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nretry-after: 7\r\n\r\nok";

#[tokio::test]
async fn requests_of_one_endpoint_share_a_connection() {
    let mut peer = peer(vec![script(|mut wire| async move {
        while wire.request().await.is_some() {
            wire.say(OK).await;
        }
    })])
    .await;
    let client = client(loopback(true));
    let endpoint = to(&client, peer.address);
    for body in ["one", "two", "three"] {
        let reply = endpoint.send(post(body)).await.unwrap();
        assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b"ok"[..]));
        assert_eq!(reply.retry_after, Some(Duration::from_secs(7)));
        assert!(!reply.truncated);
    }
    assert_eq!(client.stats(), Stats { opened: 1, reused: 2, resent: 0, idle: 1 });
    let head = peer.seen.recv().await.unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        head,
        format!(
            "POST /services/collector/event?canary=query HTTP/1.1\r\nauthorization: Splunk canary-token\r\n\
             host: {}\r\nuser-agent: trailwire/{version}\r\ncontent-length: 3\r\n\r\none",
            peer.address
        )
    );
    drop(endpoint);
    assert_eq!(client.stats().idle, 0);
}

#[tokio::test]
async fn a_connection_that_was_packed_is_used_again_and_one_that_was_closed_is_not() {
    let (close, closing) = tokio::sync::oneshot::channel();
    let (closed, is_closed) = tokio::sync::oneshot::channel();
    let (speak, speaking) = tokio::sync::oneshot::channel();
    let (spoken, has_spoken) = tokio::sync::oneshot::channel();
    let first = script(|mut wire| async move {
        for _ in 0..2 {
            wire.request().await;
            wire.say(OK).await;
        }
        closing.await.unwrap();
        drop(wire.tcp);
        closed.send(()).unwrap();
    });
    let second = script(|mut wire| async move {
        wire.request().await;
        wire.say(OK).await;
        speaking.await.unwrap();
        // Nobody asked for this one: the connection is of no use any more.
        wire.say(OK).await;
        spoken.send(()).unwrap();
        wire.request().await;
    });
    let third = script(|mut wire| async move {
        wire.request().await;
        wire.say(OK).await;
    });
    let peer = peer(vec![first, second, third]).await;
    let client = client(loopback(true));
    let endpoint = to(&client, peer.address);
    let later = |seconds| {
        // The peer is on this thread too, so time stands still only here.
        let client = client.clone();
        async move {
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(seconds)).await;
            client.sweep();
            tokio::time::resume();
        }
    };
    endpoint.send(post("1")).await.unwrap();
    later(3).await;
    endpoint.send(post("2")).await.unwrap();
    assert_eq!(client.stats(), Stats { opened: 1, reused: 1, resent: 0, idle: 1 });
    later(3).await;
    close.send(()).unwrap();
    is_closed.await.unwrap();
    endpoint.send(post("3")).await.unwrap();
    assert_eq!(
        client.stats(),
        Stats { opened: 2, reused: 1, resent: 0, idle: 1 },
        "the closed one is not used"
    );
    later(3).await;
    speak.send(()).unwrap();
    has_spoken.await.unwrap();
    endpoint.send(post("4")).await.unwrap();
    assert_eq!(client.stats().opened, 3, "the one that spoke without being asked is not used");
    later(50).await;
    assert_eq!(client.stats().idle, 0);
}

#[tokio::test]
async fn two_tenants_never_share_a_connection() {
    let serve = || {
        script(|mut wire: Wire| async move {
            while wire.request().await.is_some() {
                wire.say(OK).await;
            }
        })
    };
    let peer = peer(vec![serve(), serve()]).await;
    let client = client(loopback(true));
    let uri: Uri = format!("http://{}", peer.address).parse().unwrap();
    for tenant in ["acme", "cobalt"] {
        client.endpoint(tenant, &uri).unwrap().send(post("x")).await.unwrap();
    }
    assert_eq!(client.stats().opened, 2);
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_not_used() {
    let (closed, is_closed) = tokio::sync::oneshot::channel();
    let once = script(|mut wire| async move {
        wire.request().await;
        wire.say(OK).await;
        drop(wire.tcp);
        closed.send(()).unwrap();
    });
    let again = script(|mut wire| async move {
        wire.request().await;
        wire.say(OK).await;
    });
    let peer = peer(vec![once, again]).await;
    let client = client(loopback(true));
    let endpoint = to(&client, peer.address);
    endpoint.send(post("x")).await.unwrap();
    is_closed.await.unwrap();
    endpoint.send(post("y")).await.unwrap();
    assert_eq!(client.stats().opened, 2);
}

#[tokio::test]
async fn a_kept_connection_cut_at_the_second_request_gives_one_more_try() {
    let cut = || {
        script(|mut wire: Wire| async move {
            wire.request().await;
            wire.say(OK).await;
            wire.request().await;
        })
    };
    let dead = script(|mut wire: Wire| async move {
        wire.request().await;
    });
    let mut peer = peer(vec![cut(), cut(), dead]).await;
    let client = client(loopback(true));
    let endpoint = to(&client, peer.address);
    endpoint.send(post("1")).await.unwrap();
    endpoint.send(post("2")).await.unwrap();
    assert_eq!(client.stats().resent, 1);
    // The try on the new connection is the last one.
    let fault = endpoint.send(post("3")).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Cut);
    assert!(fault.outcome_unknown());
    assert_eq!(client.stats().resent, 2);
    let mut bodies = String::new();
    while let Ok(seen) = peer.seen.try_recv() {
        bodies.extend(seen.chars().last());
    }
    assert_eq!(bodies, "12233");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let mut peer = peer(vec![script(|mut wire| async move {
        wire.request().await;
        wire.say(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        )
        .await;
    })])
    .await;
    let reply = to(&client(loopback(true)), peer.address).send(post("x")).await.unwrap();
    assert_eq!(reply.status, 307);
    assert!(peer.seen.recv().await.is_some());
    assert!(peer.seen.try_recv().is_err());
}

#[tokio::test]
async fn an_endless_body_is_read_to_its_bound() {
    let peer = peer(vec![script(|mut wire| async move {
        wire.request().await;
        wire.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
        while wire.tcp.write_all(chunk.as_bytes()).await.is_ok() {}
    })])
    .await;
    let client = client(loopback(true));
    let reply = to(&client, peer.address).send(post("x")).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.body.len(), reply.truncated), (200, 64 << 10, true));
    assert_eq!(client.stats().idle, 0);
}

#[tokio::test]
async fn a_reply_of_exactly_the_bound_is_whole() {
    let peer = peer(vec![script(|mut wire| async move {
        wire.request().await;
        wire.say(&format!("HTTP/1.1 200 OK\r\ncontent-length: 65536\r\n\r\n{}", "y".repeat(65536))).await;
    })])
    .await;
    let reply = to(&client(loopback(true)), peer.address).send(post("x")).await.unwrap();
    assert_eq!((reply.body.len(), reply.truncated), (65536, false));
}

async fn fault_of(serve: Script, timeout: Duration) -> Fault {
    let peer = peer(vec![serve]).await;
    let client = client(loopback(true));
    let request = Request { timeout, ..post("secret-body") };
    let fault = to(&client, peer.address).send(request).await.unwrap_err();
    let shown = format!("{fault} {fault:?} {}", fault.remedy());
    for canary in ["canary", "secret-body", "127.0.0.1", &peer.address.port().to_string()] {
        assert!(!shown.contains(canary), "{shown}");
    }
    assert_eq!(client.stats().idle, 0);
    fault
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn hostile_heads() {
    let say = |text: String| {
        script(|mut wire: Wire| async move {
            wire.request().await;
            // The client may hang up before it has read all of it.
            drop(wire.tcp.write_all(text.as_bytes()).await);
            drop(wire.tcp.read(&mut [0; 1]).await);
        })
    };
    let huge = fault_of(say(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "h".repeat(10 << 20))), LONG).await;
    assert_eq!(huge.kind(), FaultKind::HeadTooLarge);
    let many = fault_of(say(format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(100_000))), LONG).await;
    assert_eq!(many.kind(), FaultKind::HeadTooLarge);
    for garbage in [
        "SSH-2.0-OpenSSH_9\r\n\r\n",
        "HTTP/0.9 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 999999 OK\r\n\r\n",
    ] {
        let fault = fault_of(say(garbage.to_owned()), LONG).await;
        assert_eq!(fault.kind(), FaultKind::Malformed, "{garbage}");
        assert!(fault.outcome_unknown());
    }
}

#[tokio::test]
async fn interim_replies_are_skipped_and_without_end_they_end_at_the_deadline() {
    let hints = script(|mut wire: Wire| async move {
        wire.request().await;
        let hint = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
        wire.say(&format!("{}{OK}", hint.repeat(1_000))).await;
    });
    let peer = peer(vec![hints]).await;
    let reply = to(&client(loopback(true)), peer.address).send(post("x")).await.unwrap();
    assert_eq!(reply.status, StatusCode::OK);
    let endless = script(|mut wire: Wire| async move {
        wire.request().await;
        while wire.tcp.write_all("HTTP/1.1 100 Continue\r\n\r\n".repeat(100).as_bytes()).await.is_ok() {}
    });
    let fault = fault_of(endless, Duration::from_millis(200)).await;
    assert_eq!((fault.kind(), fault.outcome_unknown()), (FaultKind::Timeout, true));
}

#[tokio::test(start_paused = true)]
async fn silence_and_slow_bytes_end_at_the_deadline() {
    // The clock is paused and runs ahead whenever everything waits, so these take no real time.
    let silent = script(|mut wire: Wire| async move {
        wire.request().await;
        std::future::pending().await
    });
    let fault = fault_of(silent, Duration::from_secs(3)).await;
    assert_eq!((fault.kind(), fault.outcome_unknown()), (FaultKind::Timeout, true));
    let dripping = script(|mut wire: Wire| async move {
        wire.request().await;
        wire.say("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            if wire.tcp.write_all(b"x").await.is_err() {
                return;
            }
        }
    });
    let fault = fault_of(dripping, Duration::from_secs(3)).await;
    assert_eq!((fault.kind(), fault.outcome_unknown()), (FaultKind::Timeout, true));
}

#[tokio::test]
async fn a_reply_cut_in_its_body_tells_the_status() {
    let fault = fault_of(
        script(|mut wire| async move {
            wire.request().await;
            wire.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
        }),
        LONG,
    )
    .await;
    assert_eq!((fault.kind(), fault.status()), (FaultKind::Cut, Some(StatusCode::OK)));
}

#[tokio::test]
async fn an_early_reply_is_taken_while_the_body_is_still_on_its_way() {
    let peer = peer(vec![script(|mut wire| async move {
        // Reads the head at most, never the rest of a body that is larger than any socket buffer.
        drop(wire.tcp.read(&mut [0; 16]).await);
        wire.say("HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n").await;
        std::future::pending().await
    })])
    .await;
    let client = client(loopback(true));
    let body = Bytes::from(vec![b'x'; 64 << 20]);
    let reply = to(&client, peer.address).send(Request { body, ..post("") }).await.unwrap();
    assert_eq!(reply.status, 413);
    assert_eq!(client.stats().idle, 0, "half a request still sits in it");
}

#[tokio::test]
async fn the_guard_refuses_before_anything_is_dialled() {
    let peer = peer(vec![]).await;
    let inner = peer.address.ip();
    let public: IpAddr = "93.184.215.14".parse().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let answers = Answers(
        vec![
            ("mixed.example.", vec![public, inner]),
            ("inner.example.", vec![inner]),
            ("hosts-file.example", vec![public]),
            ("localhost", vec![public]),
            ("empty.example.", vec![]),
        ],
        Arc::clone(&calls),
    );
    let client = Client::with_resolver(Policy::default(), Clock::system(), Arc::new(answers)).unwrap();
    let port = peer.address.port();
    let cases = [
        (format!("https://127.0.0.1:{port}"), FaultKind::Forbidden),
        (format!("https://[::ffff:127.0.0.1]:{port}"), FaultKind::Forbidden),
        (format!("https://mixed.example:{port}"), FaultKind::Forbidden),
        (format!("https://inner.example.:{port}"), FaultKind::Forbidden),
        // Known only to this machine: a public answer is no ground to go there.
        (format!("https://hosts-file.example:{port}"), FaultKind::Resolve),
        (format!("https://localhost:{port}"), FaultKind::Resolve),
        (format!("https://empty.example:{port}"), FaultKind::Resolve),
        (format!("https://unknown.example:{port}"), FaultKind::Resolve),
        (format!("http://93.184.215.14:{port}"), FaultKind::Plaintext),
    ];
    for (url, kind) in cases {
        let endpoint = client.endpoint("acme", &url.parse().unwrap()).unwrap();
        let fault = endpoint.send(post("x")).await.unwrap_err();
        assert_eq!(fault.kind(), kind, "{url}");
        assert!(!fault.outcome_unknown());
    }
    // The peer has no script: a connection would have made it panic.
    assert_eq!(client.stats().opened, 0);
}

#[tokio::test]
async fn plain_text_needs_an_entry_that_says_so() {
    let peer = peer(vec![]).await;
    let fault = to(&client(loopback(false)), peer.address).send(post("x")).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Plaintext);
    assert!(fault.needs_a_person());
}

#[tokio::test]
async fn a_name_is_resolved_once_for_each_connection() {
    let peer = peer(vec![script(|mut wire| async move {
        while wire.request().await.is_some() {
            wire.say(OK).await;
        }
    })])
    .await;
    let calls = Arc::new(AtomicUsize::new(0));
    let answers = Answers(vec![("hec.example.", vec![peer.address.ip()])], Arc::clone(&calls));
    let client = Client::with_resolver(loopback(true), Clock::system(), Arc::new(answers)).unwrap();
    let uri = format!("http://hec.example:{}", peer.address.port()).parse().unwrap();
    let endpoint = client.endpoint("acme", &uri).unwrap();
    for _ in 0..3 {
        endpoint.send(post("x")).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_refused_connection_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let fault = to(&client(loopback(true)), address).send(post("x")).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Connect(std::io::ErrorKind::ConnectionRefused));
    assert!(!fault.outcome_unknown());
}

/// All that a tenant can see of a fault.
fn seen(fault: &Fault) -> (String, &'static str, bool) {
    (fault.to_string(), fault.remedy(), fault.needs_a_person())
}

#[tokio::test]
async fn a_tenant_cannot_list_the_names_of_the_network() {
    let inner = vec!["10.1.2.3".parse().unwrap()];
    let answers = Answers(vec![("inner.example.", inner)], Arc::default());
    let client = Client::with_resolver(Policy::default(), Clock::system(), Arc::new(answers)).unwrap();
    let fault = async |tenant: &str, url: &str| {
        client.endpoint(tenant, &url.parse().unwrap()).unwrap().send(post("x")).await.unwrap_err()
    };
    let (inside, nowhere) = ("https://inner.example", "https://unknown.example");
    let (one, other) = (fault("acme", inside).await, fault("acme", nowhere).await);
    assert_eq!((one.kind(), other.kind()), (FaultKind::Forbidden, FaultKind::Resolve));
    assert_eq!(seen(&one), seen(&other));
    let (one, other) = (fault(OPERATOR, inside).await, fault(OPERATOR, nowhere).await);
    assert_ne!(seen(&one), seen(&other), "the operator is told which");
    // Who writes an address knows it.
    let literal = fault("acme", "https://10.1.2.3").await;
    assert!(literal.needs_a_person() && literal.to_string().contains("not a public one"), "{literal}");
}

#[tokio::test]
async fn a_tenant_cannot_look_for_open_ports_in_the_network() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let other_protocol = || {
        script(|mut wire| async move {
            wire.say("220 mail.example ESMTP\r\n").await;
            drop(wire.tcp.read(&mut [0; 1]).await);
        })
    };
    let hangs_up = || script(|wire| async move { drop(wire) });
    let silent = || {
        script(|wire| async move {
            let _held = wire;
            std::future::pending().await
        })
    };
    let open =
        peer(vec![other_protocol(), other_protocol(), hangs_up(), hangs_up(), silent(), silent()]).await;
    let urls = [
        format!("https://{closed}"),
        format!("http://{closed}"),
        format!("https://{}", open.address),
        format!("http://{}", open.address),
        format!("https://{}", open.address),
        format!("http://{}", open.address),
        format!("https://{}", open.address),
        format!("http://{}", open.address),
    ];
    let client = client(loopback(true));
    let mut told = std::collections::BTreeSet::new();
    for url in &urls {
        let request = Request { timeout: Duration::from_millis(300), ..post("x") };
        let fault = client.endpoint("acme", &url.parse().unwrap()).unwrap().send(request).await.unwrap_err();
        assert!(fault.is_veiled(), "{url}: {:?}", fault.kind());
        told.insert(seen(&fault));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    let fault = client.endpoint(OPERATOR, &format!("http://{closed}").parse().unwrap()).unwrap();
    let fault = fault.send(post("x")).await.unwrap_err();
    assert_eq!(fault.to_string(), "the receiver refused the connection");
}

#[test]
fn faults_of_public_destinations_are_told_in_full() {
    for kind in [
        FaultKind::Connect(std::io::ErrorKind::ConnectionRefused),
        FaultKind::Tls(TlsFault::Handshake),
        FaultKind::Timeout,
        FaultKind::Cut,
        FaultKind::Malformed,
    ] {
        let fault = Fault::unsent(kind);
        assert_eq!(seen(&fault.veiled(true, false)), seen(&fault));
    }
}

#[tokio::test]
async fn an_endpoint_says_how_much_of_an_answer_it_reads() {
    let serve = || {
        script(|mut wire| async move {
            wire.request().await;
            let body = "0123456789".repeat(100_000);
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            // Whoever has read enough hangs up.
            drop(wire.tcp.write_all(text.as_bytes()).await);
        })
    };
    let peer = peer(vec![serve(), serve()]).await;
    let client = client(loopback(true));
    let cut = to(&client, peer.address).send(post("x")).await.unwrap();
    assert_eq!((cut.body.len(), cut.truncated), (64 << 10, true));
    let whole = to(&client, peer.address).reading(2 << 20).send(post("x")).await.unwrap();
    assert_eq!((whole.body.len(), whole.truncated), (1_000_000, false));
    assert!(whole.body.chunks(10).all(|ten| ten == b"0123456789"));
}

mod over_tls {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    struct Authority(CertifiedIssuer<'static, KeyPair>);

    impl Authority {
        fn new() -> Self {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
        }

        fn acceptor(&self, name: &str, years: std::ops::Range<i32>) -> TlsAcceptor {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
            params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
            let certificate = params.signed_by(&key, &self.0).unwrap();
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], key)
                .unwrap();
            TlsAcceptor::from(Arc::new(config))
        }
    }

    async fn exchange(acceptor: TlsAcceptor, roots: Vec<CertificateDer<'static>>) -> Result<Reply, Fault> {
        let peer = peer(vec![script(|wire| async move {
            let Ok(mut tls) = acceptor.accept(wire.tcp).await else { return };
            let mut buffer = [0; 4096];
            while tls.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                tls.write_all(OK.as_bytes()).await.unwrap();
            }
        })])
        .await;
        let answers = Answers(vec![("hec.example.", vec![peer.address.ip()])], Arc::default());
        let policy = Policy { extra_roots: roots, ..loopback(false) };
        let client = Client::with_resolver(policy, Clock::system(), Arc::new(answers)).unwrap();
        let uri = format!("https://hec.example:{}", peer.address.port()).parse().unwrap();
        let endpoint = client.endpoint("acme", &uri).unwrap();
        endpoint.send(post("x")).await?;
        // The second one on the same session.
        let reply = endpoint.send(post("x")).await;
        assert_eq!(client.stats().reused, 1);
        reply
    }

    #[tokio::test]
    async fn a_trusted_certificate_with_the_right_name_is_accepted() {
        let authority = Authority::new();
        let reply =
            exchange(authority.acceptor("hec.example", 2020..2200), vec![authority.0.der().clone()]).await;
        assert_eq!(reply.unwrap().status, 200);
    }

    #[tokio::test]
    async fn any_other_certificate_is_refused() {
        let authority = Authority::new();
        let roots = || vec![authority.0.der().clone()];
        let cases = [
            (authority.acceptor("hec.example", 2020..2200), Vec::new(), TlsFault::UnknownIssuer),
            (authority.acceptor("other.example", 2020..2200), roots(), TlsFault::WrongName),
            (authority.acceptor("hec.example", 2020..2021), roots(), TlsFault::Expired),
            (authority.acceptor("hec.example", 2190..2200), roots(), TlsFault::Expired),
        ];
        for (acceptor, roots, expected) in cases {
            let fault = exchange(acceptor, roots).await.unwrap_err();
            assert_eq!(fault.kind(), FaultKind::Tls(expected));
            assert!(fault.needs_a_person() && !fault.outcome_unknown());
            assert!(!format!("{fault}").contains("example"));
        }
    }

    #[tokio::test]
    async fn clear_text_on_a_tls_port_is_a_failed_handshake_and_never_a_fall_back() {
        let mut peer = peer(vec![script(|mut wire| async move {
            wire.say("HTTP/1.1 200 OK\r\n\r\n").await;
            drop(wire.tcp.read(&mut [0; 1]).await);
        })])
        .await;
        let client = client(loopback(true));
        let uri = format!("https://{}", peer.address).parse().unwrap();
        let fault = client.endpoint("acme", &uri).unwrap().send(post("x")).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Tls(TlsFault::Handshake));
        assert!(peer.seen.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_instead_of_a_handshake_ends_in_time() {
        let peer = peer(vec![script(|wire| async move {
            let _held = wire;
            std::future::pending().await
        })])
        .await;
        let client = client(loopback(true));
        let uri = format!("https://{}", peer.address).parse().unwrap();
        let fault = client.endpoint("acme", &uri).unwrap().send(post("x")).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Connect(std::io::ErrorKind::TimedOut));
        assert!(!fault.outcome_unknown());
    }
}
