//! What a request gets as an answer: the order of checks and the judgement of bodies, per mode.

use base64::Engine;
use flow::clock::Instant;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_ENCODING, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::acks::AckBook;
use crate::body::{Inflate, gunzip};
use crate::code::Code;
use crate::envelope::{self, Envelope, Fault, Members, Sticky};
use crate::reply::Reply;
use crate::settings::{Mode, Settings, Token};

/// A request whose body was read.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path.
    pub path: &'a str,
    /// Query without `?`.
    pub query: Option<&'a str>,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// The body as sent; `None` when it is over the cap.
    pub body: Option<&'a [u8]>,
}

/// The answer and what was indexed on the way to it.
#[derive(Debug)]
pub struct Judgement {
    /// The answer.
    pub reply: Reply,
    /// Indexed objects, in their order in the body.
    pub indexed: Vec<Envelope>,
    /// Bytes of the body after decompression.
    pub plain_bytes: usize,
}

impl From<Reply> for Judgement {
    fn from(reply: Reply) -> Self {
        Self { reply, indexed: Vec::new(), plain_bytes: 0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Event,
    Raw,
    Ack,
    Health,
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/services/collector" | "/services/collector/event" | "/services/collector/event/1.0" => {
                Self::Event
            }
            "/services/collector/raw" | "/services/collector/raw/1.0" => Self::Raw,
            "/services/collector/ack" => Self::Ack,
            "/services/collector/health" | "/services/collector/health/1.0" => Self::Health,
            _ => return None,
        })
    }

    fn takes(self, method: &Method) -> bool {
        match self {
            Self::Health => method == Method::GET || method == Method::HEAD,
            _ => method == Method::POST,
        }
    }
}

/// Judges a request. `now` dates acknowledgement ids.
pub fn judge(settings: &Settings, acks: &mut AckBook, request: &Request<'_>, now: Instant) -> Judgement {
    match checks(settings, acks, request, now) {
        Ok(judgement) => judgement,
        Err(reply) => reply.into(),
    }
}

fn checks(
    settings: &Settings,
    acks: &mut AckBook,
    request: &Request<'_>,
    now: Instant,
) -> Result<Judgement, Reply> {
    let mode = settings.mode;
    let route = Route::of(request.path).ok_or_else(|| Reply::not_found(StatusCode::NOT_FOUND))?;
    if request.method == Method::OPTIONS {
        return Err(options(route));
    }
    if !route.takes(request.method) {
        return Err(match mode {
            Mode::OtelLike => {
                Reply::json(StatusCode::BAD_REQUEST, &json!("Only \"POST\" method is supported"))
            }
            _ => Reply::not_found(StatusCode::METHOD_NOT_ALLOWED),
        });
    }
    if route == Route::Health {
        return Err(health(mode));
    }
    let gzip = match request.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => false,
        Some(b"gzip") => true,
        Some(_) => return Err(Reply::html(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
    };
    let sent = request.body.ok_or_else(|| too_large(mode))?;
    let token = authorize(settings, request)?;
    if route == Route::Ack && !token.use_ack && mode != Mode::Lenient {
        return Err(Reply::code(Code::AckDisabled));
    }
    let channel = channel(request);
    check_channel(mode, route, &token, channel)?;
    let plain = if gzip {
        std::borrow::Cow::Owned(gunzip(sent, settings.max_body).map_err(|fault| match fault {
            Inflate::Broken => Reply::html(StatusCode::BAD_REQUEST),
            Inflate::TooLong => too_large(mode),
        })?)
    } else {
        std::borrow::Cow::Borrowed(sent)
    };
    if route == Route::Ack {
        return ask(settings, acks, channel.unwrap_or_default(), &plain, now).map(Into::into);
    }
    if plain.trim_ascii().is_empty() && mode != Mode::Lenient {
        return Err(answer(mode, Code::NoData, None, None));
    }
    let (mut indexed, fault) = match route {
        Route::Raw => (raw_lines(request, &token, &plain), None),
        _ => objects(&plain, &token, mode),
    };
    let all_or_nothing = matches!(mode, Mode::OtelLike | Mode::FluentBitLike);
    if fault.is_some() && all_or_nothing {
        indexed.clear();
    }
    let mut ack = |wanted: bool| match channel {
        Some(channel) if wanted && token.use_ack => Some(acks.issue(channel, now)),
        _ => None,
    };
    let reply = match fault {
        Some((code, number)) => {
            // Splunk acknowledges the indexed prefix even beside a 400; Vector's source does not.
            let id = ack(!indexed.is_empty() && mode != Mode::VectorLike);
            answer(mode, code, number, id)
        }
        None if mode == Mode::OtelLike => Reply::json(StatusCode::OK, &json!("OK")),
        None => Reply::code_with(Code::Success, None, ack(true)),
    };
    Ok(Judgement { reply, indexed, plain_bytes: plain.len() })
}

fn options(route: Route) -> Reply {
    let mut reply = Reply::empty(StatusCode::OK);
    let allowed = if route == Route::Health { "GET,HEAD,OPTIONS" } else { "POST,OPTIONS" };
    reply.headers.insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

fn health(mode: Mode) -> Reply {
    match mode {
        Mode::FluentBitLike => Reply::json(StatusCode::OK, &json!({"text": "Success", "code": 200})),
        _ => Reply::code(Code::Healthy),
    }
}

fn too_large(mode: Mode) -> Reply {
    match mode {
        Mode::Cloud => Reply::code_with(Code::InvalidDataFormat, Some(0), None),
        _ => Reply::html(StatusCode::PAYLOAD_TOO_LARGE),
    }
}

/// An error in the words of `mode`.
fn answer(mode: Mode, code: Code, number: Option<u64>, ack_id: Option<u64>) -> Reply {
    let reply = Reply::code_with(code, number, ack_id);
    if mode == Mode::OtelLike { reply.quoted() } else { reply }
}

fn authorize(settings: &Settings, request: &Request<'_>) -> Result<Token, Reply> {
    let mode = settings.mode;
    if mode == Mode::OtelLike {
        return Ok(Token::new(""));
    }
    if matches!(mode, Mode::Enterprise | Mode::Cloud)
        && let Some(secret) = parameter(request.query, "token")
    {
        let known = settings.tokens.is_empty() || settings.find_token(secret).is_some();
        return Err(Reply::code(if known { Code::QueryTokenRefused } else { Code::InvalidToken }));
    }
    let secret = match (secret(request.headers, mode), mode) {
        (Ok(secret), _) => secret,
        (Err(_), Mode::Lenient) => String::new(),
        (Err(code), _) => return Err(Reply::code(code)),
    };
    match settings.find_token(&secret) {
        Some(token) if token.disabled && mode != Mode::VectorLike => Err(Reply::code(Code::TokenDisabled)),
        Some(token) if !token.disabled => Ok(token.clone()),
        None if settings.tokens.is_empty() || mode == Mode::Lenient => Ok(Token::new(&secret)),
        _ if mode == Mode::VectorLike => Err(Reply::code(Code::InvalidAuthorization)),
        _ => Err(Reply::code(Code::InvalidToken)),
    }
}

/// The token of an `Authorization` header.
pub(crate) fn secret(headers: &HeaderMap, mode: Mode) -> Result<String, Code> {
    let header = headers.get(AUTHORIZATION).ok_or(Code::TokenRequired)?;
    let header = header.to_str().map_err(|_| Code::InvalidAuthorization)?.trim();
    if header.is_empty() {
        return Err(Code::TokenRequired);
    }
    let (scheme, rest) = header.split_once(' ').ok_or(Code::InvalidAuthorization)?;
    match scheme {
        "Splunk" => Ok(rest.trim().to_owned()),
        "Basic" if matches!(mode, Mode::Enterprise | Mode::Cloud) => basic_password(rest),
        _ => Err(Code::InvalidAuthorization),
    }
}

fn basic_password(encoded: &str) -> Result<String, Code> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok();
    let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(Code::InvalidAuthorization)?;
    let (_, password) = pair.split_once(':').ok_or(Code::InvalidAuthorization)?;
    Ok(password.to_owned())
}

/// The channel that a request names.
pub(crate) fn channel<'a>(request: &Request<'a>) -> Option<&'a str> {
    let header = request.headers.get("x-splunk-request-channel").and_then(|value| value.to_str().ok());
    header.or_else(|| parameter(request.query, "channel")).filter(|channel| !channel.is_empty())
}

fn check_channel(mode: Mode, route: Route, token: &Token, channel: Option<&str>) -> Result<(), Reply> {
    let needed = match mode {
        Mode::Lenient | Mode::OtelLike | Mode::FluentBitLike => false,
        Mode::VectorLike => token.use_ack || route != Route::Event,
        Mode::Enterprise | Mode::Cloud => token.use_ack,
    };
    match channel {
        None if needed && mode == Mode::Cloud => Err(Reply::code(Code::CloudChannelMissing)),
        None if needed => Err(Reply::code(Code::ChannelMissing)),
        Some(channel) if needed && !is_guid(channel) => Err(Reply::code(Code::InvalidChannel)),
        _ => Ok(()),
    }
}

fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

fn ask(
    settings: &Settings,
    acks: &mut AckBook,
    channel: &str,
    body: &[u8],
    now: Instant,
) -> Result<Reply, Reply> {
    #[derive(serde::Deserialize)]
    struct Query {
        acks: Vec<u64>,
    }
    let query: Query = serde_json::from_slice(body).map_err(|_| Reply::code(Code::InvalidDataFormat))?;
    let states = query.acks.into_iter().map(|id| {
        let done = settings.mode == Mode::Lenient || acks.ask(channel, id, settings.acks, now);
        (id.to_string(), Value::Bool(done))
    });
    Ok(Reply::json(StatusCode::OK, &json!({"acks": states.collect::<serde_json::Map<_, _>>()})))
}

/// `/raw`: one event a line, metadata from the query.
fn raw_lines(request: &Request<'_>, token: &Token, body: &[u8]) -> Vec<Envelope> {
    let metadata = |name| parameter(request.query, name).map(str::to_owned);
    body.split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| Envelope {
            host: metadata("host"),
            source: metadata("source"),
            sourcetype: metadata("sourcetype"),
            index: metadata("index").unwrap_or_else(|| token.default_index.clone()),
            time: None,
            event: Value::from(String::from_utf8_lossy(line)).to_string(),
            fields: None,
        })
        .collect()
}

/// Goes through the objects of a body one by one, as far as they are good.
fn objects(body: &[u8], token: &Token, mode: Mode) -> (Vec<Envelope>, Option<(Code, Option<u64>)>) {
    let mut pass = Pass { token, mode, sticky: Sticky::default(), indexed: Vec::new(), number: 0 };
    for value in serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>() {
        let outcome = match value {
            Ok(value) if value.get().starts_with('[') => pass.array(value),
            Ok(value) => pass.object(value),
            Err(_) => Err(Fault::Refused(Code::InvalidDataFormat)),
        };
        if let Err(fault) = outcome {
            let end = pass.end(fault);
            return (pass.indexed, end);
        }
    }
    (pass.indexed, None)
}

struct Pass<'a> {
    token: &'a Token,
    mode: Mode,
    sticky: Sticky,
    indexed: Vec<Envelope>,
    number: u64,
}

impl Pass<'_> {
    fn array(&mut self, value: &RawValue) -> Result<(), Fault> {
        let items: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
        items.into_iter().try_for_each(|item| self.object(item))
    }

    fn object(&mut self, value: &RawValue) -> Result<(), Fault> {
        let members: Members<'_> = match serde_json::from_str(value.get()) {
            Ok(members) => members,
            Err(_) if self.mode == Mode::Lenient => return Ok(()),
            Err(_) => return Err(Fault::Refused(Code::InvalidDataFormat)),
        };
        match envelope::judge(&members, &mut self.sticky, self.token, self.mode) {
            Ok(envelope) => self.indexed.extend(envelope),
            Err(_) if self.mode == Mode::Lenient => {}
            Err(fault) => return Err(fault),
        }
        self.number += 1;
        Ok(())
    }

    /// The answer to a body that ended at object `self.number`.
    fn end(&self, fault: Fault) -> Option<(Code, Option<u64>)> {
        let code = match fault {
            Fault::UnknownKey if self.number == 0 => return Some((Code::NoData, None)),
            // Splunk says 200 and has indexed what came before: the loss is silent.
            Fault::UnknownKey => return None,
            Fault::Refused(_) if self.mode == Mode::Lenient => return None,
            Fault::Refused(code) => code,
        };
        let number = match (self.mode, code) {
            (Mode::FluentBitLike, _) => None,
            (Mode::OtelLike, Code::IndexedFields) => Some(self.number),
            (Mode::OtelLike, _) => None,
            // Counts one too high, as measured on Enterprise and Cloud.
            (_, Code::IncorrectIndex) => Some(self.number + 1),
            _ => Some(self.number),
        };
        Some((code, number))
    }
}

#[cfg(test)]
mod tests;
