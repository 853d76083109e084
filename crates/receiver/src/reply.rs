//! What goes back to the client.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use crate::code::Code;

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers but for the length.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// The collector's code, when it answers with one: for notes, not sent by itself.
    pub code: Option<u16>,
}

impl Reply {
    /// Any status with any body.
    #[must_use]
    pub fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, body: body.into(), code: None }
    }

    /// `value` as JSON.
    #[must_use]
    pub fn json(status: StatusCode, value: &Value) -> Self {
        Self::new(status, "application/json; charset=UTF-8", value.to_string())
    }

    /// A code with nothing else.
    #[must_use]
    pub fn code(code: Code) -> Self {
        Self::code_with(code, None, None)
    }

    /// A code with the number of the object it is about and an acknowledgement id.
    #[must_use]
    pub fn code_with(code: Code, event_number: Option<u64>, ack_id: Option<u64>) -> Self {
        let mut body = json!({"text": code.text(), "code": code.number()});
        if let (Some(members), Some(number)) = (body.as_object_mut(), event_number) {
            members.insert("invalid-event-number".to_owned(), number.into());
        }
        if let (Some(members), Some(id)) = (body.as_object_mut(), ack_id) {
            members.insert("ackId".to_owned(), id.into());
        }
        Self { code: Some(code.number()), ..Self::json(code.status(), &body) }
    }

    /// A page for people.
    #[must_use]
    pub fn html(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or("Error");
        let number = status.as_u16();
        let page = format!(
            "<!doctype html><html><head><meta http-equiv=\"content-type\" content=\"text/html; charset=UTF-8\">\
             <title>{number} {reason}</title></head><body><h1>{reason}</h1></body></html>\r\n"
        );
        Self::new(status, "text/html; charset=UTF-8", page)
    }

    /// Nothing but a status.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), code: None }
    }

    /// The answer of a path that is not served.
    #[must_use]
    pub fn not_found(status: StatusCode) -> Self {
        let body = json!({"text": "The requested URL was not found on this server.", "code": 404});
        Self { code: Some(404), ..Self::json(status, &body) }
    }

    /// Adds `Retry-After`, whatever it holds.
    #[must_use]
    pub fn retry_after(mut self, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(RETRY_AFTER, value);
        }
        self
    }

    /// Adds a header; one that HTTP does not allow is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        {
            self.headers.append(name, value);
        }
        self
    }

    /// The body as a JSON string that holds the JSON, as the OpenTelemetry receiver sends it.
    #[must_use]
    pub fn quoted(mut self) -> Self {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        self.body = Value::String(text).to_string().into();
        self
    }

    pub(crate) fn into_response<B: From<Bytes>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    /// The bytes of the answer on the wire, for faults that hyper would not send.
    pub(crate) fn to_wire(&self, announced_length: usize) -> Vec<u8> {
        let reason = self.status.canonical_reason().unwrap_or("");
        let mut wire = format!("HTTP/1.1 {} {reason}\r\n", self.status.as_u16()).into_bytes();
        for (name, value) in &self.headers {
            wire.extend_from_slice(name.as_str().as_bytes());
            wire.extend_from_slice(b": ");
            wire.extend_from_slice(value.as_bytes());
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(format!("content-length: {announced_length}\r\n\r\n").as_bytes());
        wire.extend_from_slice(&self.body);
        wire
    }
}
