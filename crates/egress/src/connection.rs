//! One HTTP/1.1 connection, driven by the exchange that uses it.
//!
//! hyper gives a connection as two halves: a handle that sends requests and a future that does the I/O, meant for a
//! task of its own. Here both are polled by the task of the exchange: no task switch on the way out and back.
//! Between exchanges nobody polls the connection; whether the peer closed it meanwhile is looked up on reuse. One that
//! has not been used for a while is [packed](Connection::pack): hyper's buffers and queue take 26 KiB, the stream alone
//! a hundredth of it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::fault::{Fault, FaultKind};
use crate::stream::Stream;

/// The head of a reply is read up to this many bytes.
const MAX_HEAD: usize = 32 << 10;
/// And this many lines.
const MAX_HEADERS: usize = 100;
/// The body of a reply is read up to this many bytes unless the endpoint says otherwise; of a longer one only the
/// beginning is given.
pub(crate) const MAX_BODY: usize = 64 << 10;

pub(crate) struct Connection {
    send: http1::SendRequest<Full<Bytes>>,
    // Boxed, so that putting a connection back and taking it out moves two pointers.
    io: Pin<Box<http1::Connection<TokioIo<Stream>, Full<Bytes>>>>,
    closed: bool,
}

/// A reply as read off the wire.
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) truncated: bool,
}

/// An exchange that failed, and whether not a byte of the request was written.
pub(crate) struct Broken {
    pub(crate) fault: Fault,
    pub(crate) unsent: bool,
}

impl Connection {
    pub(crate) async fn open(stream: Stream) -> Result<Self, Fault> {
        let mut builder = http1::Builder::new();
        builder.max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD).writev(true);
        let (send, io) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Fault::unsent(FaultKind::Connect(std::io::ErrorKind::Other)))?;
        Ok(Self { send, io: Box::pin(io), closed: false })
    }

    /// The stream alone, to be opened again for the next exchange; `None` if it is of no use any more.
    pub(crate) fn pack(mut self) -> Option<Stream> {
        if !self.is_open() {
            return None;
        }
        let parts = Pin::into_inner(self.io).into_parts();
        // A peer that speaks without having been asked is none that can be asked again.
        parts.read_buf.is_empty().then(|| parts.io.into_inner())
    }

    /// Whether the connection can take a request: looks at the socket once, without waiting.
    pub(crate) fn is_open(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        if !self.closed && self.io.as_mut().poll(&mut cx).is_ready() {
            self.closed = true;
        }
        !self.closed && self.send.is_ready()
    }

    /// Whether the last exchange left the connection fit for another one, as far as is known without looking at the
    /// socket: that is looked at before the next exchange anyway.
    pub(crate) fn is_reusable(&mut self) -> bool {
        (!self.closed && self.send.is_ready()) || self.is_open()
    }

    /// Sends one request and reads its reply, of the body at most `max_body` bytes.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        max_body: usize,
    ) -> Result<Received, Broken> {
        let mut reply = std::pin::pin!(self.send.try_send_request(request));
        let (io, closed) = (&mut self.io, &mut self.closed);
        let response = poll_fn(|cx| drive(io, closed, cx, |cx| reply.as_mut().poll(cx))).await;
        let response = response.map_err(|mut failed| {
            let unsent = failed.take_message().is_some();
            Broken { fault: classify(failed.error(), !unsent, None), unsent }
        })?;
        self.read(response, max_body).await.map_err(|fault| Broken { fault, unsent: false })
    }

    async fn read(&mut self, response: Response<Incoming>, max_body: usize) -> Result<Received, Fault> {
        let (head, mut body) = response.into_parts();
        let mut whole = Body::default();
        let mut truncated = false;
        while let Some(frame) =
            poll_fn(|cx| drive(&mut self.io, &mut self.closed, cx, |cx| Pin::new(&mut body).poll_frame(cx)))
                .await
        {
            let frame = frame.map_err(|err| classify(&err, true, Some(head.status)))?;
            let Ok(data) = frame.into_data() else { continue };
            let room = max_body.saturating_sub(whole.len());
            truncated = data.len() > room;
            whole.append(data.slice(..data.len().min(room)));
            if truncated {
                // What follows would have to be read before the connection is of use again: drop it instead.
                self.closed = true;
                break;
            }
        }
        Ok(Received { status: head.status, headers: head.headers, body: whole.take(), truncated })
    }
}

/// Polls `what`, and the connection that feeds it.
fn drive<T>(
    io: &mut Pin<Box<http1::Connection<TokioIo<Stream>, Full<Bytes>>>>,
    closed: &mut bool,
    cx: &mut Context<'_>,
    mut what: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    if let Poll::Ready(value) = what(cx) {
        return Poll::Ready(value);
    }
    if !*closed && io.as_mut().poll(cx).is_ready() {
        *closed = true;
    }
    what(cx)
}

/// The body so far. Most replies are one frame: then nothing is copied.
#[derive(Default)]
struct Body {
    first: Bytes,
    /// All of it, once there is a second frame.
    joined: BytesMut,
}

impl Body {
    fn len(&self) -> usize {
        self.first.len().max(self.joined.len())
    }

    fn append(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(&self.first);
        }
        self.joined.extend_from_slice(&data);
    }

    fn take(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}

fn classify(error: &hyper::Error, sent: bool, status: Option<StatusCode>) -> Fault {
    let kind = if error.is_parse_too_large() {
        FaultKind::HeadTooLarge
    } else if error.is_parse() {
        FaultKind::Malformed
    } else if error.is_user() {
        FaultKind::Unsendable
    } else {
        FaultKind::Cut
    };
    Fault { sent, status, ..Fault::unsent(kind) }
}
