//! CPU time of one exchange over loopback, ours against hyper-util's client, for small and large bodies.
//!
//! The figure is the CPU time of the clients' two threads from `/proc`, so that the server's share, which has a thread
//! of its own, is left out. `cargo bench -p egress`.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use egress::{Allow, Client, Policy, Request};
use flow::clock::Clock;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Response};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const REPLY: &[u8] = br#"{"text":"Success","code":0}"#;

fn serve() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((tcp, _)) = listener.accept().await {
                tcp.set_nodelay(true).unwrap();
                let service = service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                    let mut body = request.into_body();
                    while let Some(frame) = body.frame().await {
                        drop(frame);
                    }
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(REPLY))))
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tcp), service),
                );
            }
        });
    });
    address
}

/// CPU time of the clients' threads so far in microseconds: user, system.
fn cpu() -> [f64; 2] {
    let mut sum = [0.0; 2];
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let text = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
        let (name, fields) = text.rsplit_once(") ").unwrap();
        if name.ends_with("(client") {
            let mut fields = fields.split(' ').skip(11);
            // In ticks of 10 ms.
            sum = sum.map(|sum| sum + fields.next().unwrap().parse::<f64>().unwrap() * 10_000.0);
        }
    }
    sum
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Splunk 11111111-2222-3333-4444-555555555555"));
    headers
        .insert("x-splunk-request-channel", HeaderValue::from_static("11111111-2222-3333-4444-555555555555"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers
}

type Measured = ([f64; 2], Duration);

fn ours(address: SocketAddr, clients: usize, each: usize, body: &Bytes) -> Measured {
    let allow = vec![Allow { net: "127.0.0.0/8".parse().unwrap(), plaintext: true }];
    let client = Client::new(Policy { allow, ..Policy::default() }, Clock::system()).unwrap();
    let uri = format!("http://{address}").parse().unwrap();
    measure(clients, || {
        let (endpoint, headers, body) = (client.endpoint("acme", &uri).unwrap(), headers(), body.clone());
        async move {
            for _ in 0..each {
                let request = Request {
                    method: Method::POST,
                    target: PathAndQuery::from_static("/services/collector/event"),
                    headers: headers.clone(),
                    body: body.clone(),
                    timeout: Duration::from_secs(30),
                };
                assert_eq!(endpoint.send(request).await.unwrap().body, REPLY);
            }
        }
    })
}

fn legacy(address: SocketAddr, clients: usize, each: usize, body: &Bytes) -> Measured {
    let client =
        hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let uri: http::Uri = format!("http://{address}/services/collector/event").parse().unwrap();
    measure(clients, || {
        let (client, uri, headers, body) = (client.clone(), uri.clone(), headers(), body.clone());
        async move {
            for _ in 0..each {
                let mut request = http::Request::new(Full::new(body.clone()));
                *request.method_mut() = Method::POST;
                *request.uri_mut() = uri.clone();
                *request.headers_mut() = headers.clone();
                let exchange = async {
                    let reply = client.request(request).await.unwrap();
                    reply.into_body().collect().await.unwrap().to_bytes()
                };
                let read = tokio::time::timeout(Duration::from_secs(30), exchange).await.unwrap();
                assert_eq!(read, REPLY);
            }
        }
    })
}

/// CPU time and wall time of `clients` tasks on two threads, as in the product.
fn measure<F: Future<Output = ()> + Send + 'static>(clients: usize, mut each: impl FnMut() -> F) -> Measured {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("client")
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (start, wall) = (cpu(), Clock::system().now().instant);
        let tasks: Vec<_> = (0..clients).map(|_| tokio::spawn(each())).collect();
        for task in tasks {
            task.await.unwrap();
        }
        let end = cpu();
        ([end[0] - start[0], end[1] - start[1]], Clock::system().now().instant - wall)
    })
}

/// A server with next to no memory of its own for a connection: what grows is the client's.
fn serve_lean() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((mut tcp, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut last = [0; 1];
                    // Every request ends in the one `!` of its body.
                    while tcp.read_exact(&mut last).await.is_ok() {
                        if last == *b"!" {
                            tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                        }
                    }
                });
            }
        });
    });
    address
}

/// Resident memory in KiB.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn idle_memory() {
    let address = serve_lean();
    let allow = vec![Allow { net: "127.0.0.0/8".parse().unwrap(), plaintext: true }];
    let client = Client::new(Policy { allow, ..Policy::default() }, Clock::system()).unwrap();
    let uri = format!("http://{address}").parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut endpoints = Vec::new();
        for step in 1..=4 {
            let before = resident();
            for _ in 0..1_000 {
                let endpoint = client.endpoint("acme", &uri).unwrap();
                let request = Request {
                    method: Method::POST,
                    target: PathAndQuery::from_static("/services/collector/event"),
                    headers: headers(),
                    body: Bytes::from_static(b"!"),
                    timeout: Duration::from_secs(30),
                };
                endpoint.send(request).await.unwrap();
                endpoints.push(endpoint);
            }
            println!("idle connection {step}000: {:.1} KiB each", (resident() - before) / 1_000.0);
        }
    });
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // `cargo test` runs benches too
    }
    idle_memory();
    let address = serve();
    println!("client      body B  clients   requests     req/s   user µs    sys µs");
    for (size, clients, total) in
        [(1_250, 1, 30_000), (1_250, 32, 200_000), (1_250, 2_000, 200_000), (250_000, 4, 20_000)]
    {
        let body = Bytes::from(vec![b'x'; size]);
        for (name, run) in [
            ("ours", ours as fn(_, _, _, &Bytes) -> _),
            ("legacy", legacy),
            ("ours", ours),
            ("legacy", legacy),
        ] {
            let (cpu, wall) = run(address, clients, total / clients, &body);
            let requests = (total / clients * clients) as f64;
            println!(
                "{name:<8} {size:>9} {clients:>8} {requests:>10} {:>9.0} {:>9.2} {:>9.2}",
                requests / wall.as_secs_f64(),
                cpu[0] / requests,
                cpu[1] / requests
            );
        }
    }
}
