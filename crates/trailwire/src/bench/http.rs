//! A plain HTTP/1.1 client over one kept connection, for loopback: what a producer's client does.

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Bytes of an answer, at most.
const MAX_ANSWER: usize = 16 << 20;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after_s: Option<u64>,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON, `null` if it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// One connection to `http://host:port`, opened when it is needed.
#[derive(Debug)]
pub(crate) struct Connection {
    host: String,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub(crate) fn new(url: &str) -> Self {
        let host = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/').to_owned();
        Self { host, open: None }
    }

    /// `GET path`.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// One exchange. After an error it is not known whether the request was served; the next one opens a new connection.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(method).uri(path).header(http::header::HOST, &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body))?;
        let exchanged = self.exchange(request).await;
        if exchanged.is_err() {
            self.open = None;
        }
        exchanged
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let sender = match self.open.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.connect().await?,
        };
        let sender = self.open.insert(sender);
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let retry_after = answer.headers().get(http::header::RETRY_AFTER);
        let retry_after_s =
            retry_after.and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("reading the answer: {error}"))?.to_bytes();
        Ok(Answer { status, retry_after_s, body })
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream =
            TcpStream::connect(&self.host).await.with_context(|| format!("connecting to {}", self.host))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Ends with the connection; what goes wrong on it is told by the exchange that it goes wrong for.
        tokio::spawn(connection);
        Ok(sender)
    }
}
