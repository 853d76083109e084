use bytes::Bytes;
use egress::{Allow, Client, Policy, Request};
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed_in_bounded_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; 4_096];
        let mut read = 0;
        while !bytes[..read].ends_with(b"\r\n\r\nevent") {
            read += tcp.read(&mut bytes[read..]).await.unwrap();
        }
        tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        // Resolves when the other side has closed the connection.
        tcp.read(&mut bytes).await.unwrap()
    });
    let allow = vec![Allow { net: "127.0.0.0/8".parse().unwrap(), plaintext: true }];
    let clock = Clock::system();
    let client = Client::new(Policy { allow, ..Policy::default() }, clock.clone()).unwrap();
    let endpoint = client.endpoint("acme", &format!("http://{address}").parse().unwrap()).unwrap();
    let request = Request {
        method: Method::POST,
        target: "/".parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"event"),
        timeout: Duration::from_secs(10),
    };
    endpoint.send(request).await.unwrap();
    assert_eq!(client.stats().idle, 1);

    tokio::time::pause();
    let sweeping = Sweeping::start(client.clone(), clock.clone());
    clock.sleep_until(clock.instant() + Duration::from_secs(30)).await;
    assert_eq!(client.stats().idle, 1, "closed although it might have been used again");
    clock.sleep_until(clock.instant() + Duration::from_secs(30)).await;
    assert_eq!(client.stats().idle, 0);
    tokio::time::resume();
    assert_eq!(peer.await.unwrap(), 0);
    drop(sweeping);
}
