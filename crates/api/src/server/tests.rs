use super::*;
use crate::tests::fixture::{Client, listen, once};

/// Answers with the number of bytes of the body, or does not read it.
struct Echo {
    reads: bool,
}

impl Service for Echo {
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        _: SocketAddr,
    ) -> BoxFuture<'static, Response<Full<Bytes>>> {
        Box::pin(async move {
            use http_body_util::BodyExt;
            let len = if self.reads {
                request.into_body().collect().await.map_or(0, |body| body.to_bytes().len())
            } else {
                0
            };
            let mut response = Response::new(Full::new(Bytes::from(len.to_string())));
            if !self.reads {
                response
                    .headers_mut()
                    .insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
            }
            response
        })
    }
}

#[tokio::test]
async fn an_early_answer_survives_a_body_that_is_not_read() {
    let listening = listen(Arc::new(Echo { reads: false }), Limits::default(), &Clock::system()).await;
    for _ in 0..20 {
        let body = vec![b'x'; 8 << 20];
        let head = format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n", body.len());
        let reply = once(listening.address, &[head.as_bytes(), &body].concat()).await;
        assert_eq!(reply.status, 200);
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let listening = listen(Arc::new(Echo { reads: true }), limits, &Clock::system()).await;
    let request = b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\nok";
    let mut first = Client::connect(listening.address).await;
    first.send(request).await;
    assert_eq!(first.reply().await.expect("an answer").body, "2");
    let mut second = Client::connect(listening.address).await;
    second.send(request).await;
    let early = tokio::time::timeout(Duration::from_millis(100), second.reply()).await;
    assert!(early.is_err(), "{early:?}");
    drop(first);
    assert_eq!(second.reply().await.expect("an answer").body, "2");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let listening = listen(Arc::new(Echo { reads: true }), Limits::default(), &Clock::system()).await;
    let mut client = Client::connect(listening.address).await;
    client.send(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\na").await;
    client.send(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\n\r\nabc").await;
    assert_eq!(client.reply().await.expect("an answer").body, "1");
    assert_eq!(client.reply().await.expect("an answer").body, "3");
}

#[tokio::test]
async fn a_sender_that_is_gone_stops_the_listener() {
    let listening = listen(Arc::new(Echo { reads: true }), Limits::default(), &Clock::system()).await;
    drop(listening.stop);
    assert_eq!(listening.task.await.unwrap(), Drained { cut: 0 });
}
