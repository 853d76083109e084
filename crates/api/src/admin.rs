//! The admin listener: liveness, readiness, metrics, status.
//!
//! Its pages tell of organisations and sinks, never of events. Nothing here looks at a sink to answer a probe.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use event::OrgId;
use event::reject::Code;
use futures_util::future::BoxFuture;
use http::header::HOST;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::answer::{Answer, Refusal, json, with_type};
use crate::auth::{NoToken, TokenHash, bearer};
use crate::metrics::{self, Signals};
use crate::route::{self, Access, Endpoint, Route};
use crate::server::Service;

/// Answers on the admin listener.
#[derive(Debug)]
pub struct Admin {
    signals: Arc<Signals>,
    token: ArcSwapOption<TokenHash>,
}

/// A listener that would tell everybody who can reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the admin listener has the address {0}, which other machines may reach: set an admin token, or listen on 127.0.0.1"
)]
pub struct NeedsToken(SocketAddr);

impl Admin {
    /// The pages for a listener at `address`, with the token that they ask for.
    ///
    /// # Errors
    /// [`NeedsToken`] when the address is not of this machine alone and there is no token.
    pub fn new(
        signals: Arc<Signals>,
        token: Option<TokenHash>,
        address: SocketAddr,
    ) -> Result<Arc<Self>, NeedsToken> {
        if token.is_none() && !address.ip().is_loopback() {
            return Err(NeedsToken(address));
        }
        Ok(Arc::new(Self { signals, token: ArcSwapOption::from_pointee(token) }))
    }

    async fn page(&self, request: &Request<Incoming>) -> Result<Answer, Refusal> {
        let found = route::find(route::ADMIN, request.method(), request.uri().path())?;
        self.admit(found, request.headers())?;
        match found.endpoint {
            Endpoint::Live => Ok(plain(StatusCode::OK, "ok")),
            Endpoint::Ready => Ok(match self.signals.ready() {
                Ok(()) => plain(StatusCode::OK, "ok"),
                Err(missing) => plain(StatusCode::SERVICE_UNAVAILABLE, &missing),
            }),
            Endpoint::Metrics => {
                let text = metrics::render(&self.signals.collect().await);
                Ok(with_type(StatusCode::OK, metrics::CONTENT_TYPE, text.into_bytes()))
            }
            Endpoint::Status => {
                let org = org_parameter(request.uri().query())?;
                let status = self.signals.status().await;
                Ok(match org {
                    Some(org) => json(StatusCode::OK, &status.of_org(&org)),
                    None => json(StatusCode::OK, &status),
                })
            }
            // The table of this listener does not hold it.
            Endpoint::Events => Err(Refusal::new(Code::NotFound, "events go to the ingest listener")),
        }
    }

    fn admit(&self, route: &Route, headers: &HeaderMap) -> Result<(), Refusal> {
        match route.access {
            Access::Anybody => return Ok(()),
            Access::Admin => {}
            Access::Producer => return Err(unauthorised("a producer's address is not served here")),
        }
        let Some(token) = self.token.load_full() else { return same_machine(headers) };
        match bearer(headers) {
            Ok(given) if TokenHash::of(given).matches(&token) => Ok(()),
            Ok(_) => Err(unauthorised("the token is not the admin token")),
            Err(NoToken::Missing) => {
                Err(unauthorised("send the admin token as `Authorization: Bearer TOKEN`"))
            }
            Err(NoToken::NotBearer) => {
                Err(unauthorised("the header Authorization holds no single bearer token"))
            }
        }
    }
}

impl Service for Admin {
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        _: SocketAddr,
    ) -> BoxFuture<'static, Response<Full<Bytes>>> {
        Box::pin(async move {
            match self.page(&request).await {
                Ok(answer) => answer,
                Err(refusal) => refusal.answer(None),
            }
        })
    }
}

fn unauthorised(message: &str) -> Refusal {
    Refusal::new(Code::Unauthorised, message)
}

/// Without a token the listener is of this machine alone. A web page in a browser on this machine could still point
/// a name of its own at 127.0.0.1 and read the answers: so only addresses and `localhost` are names of this listener.
fn same_machine(headers: &HeaderMap) -> Result<(), Refusal> {
    let host = headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
    let host = std::str::from_utf8(host).unwrap_or_default();
    let is_address = host.parse::<std::net::IpAddr>().is_ok() || host.parse::<SocketAddr>().is_ok();
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    if is_address || name.eq_ignore_ascii_case("localhost") || host == "[::1]" {
        Ok(())
    } else {
        Err(unauthorised("without an admin token this listener answers to `localhost` and to addresses only"))
    }
}

/// The organisation of `?org=`. Ids need no percent-encoding, so none is understood.
fn org_parameter(query: Option<&str>) -> Result<Option<OrgId>, Refusal> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(None) };
    let message = match query.strip_prefix("org=").map(OrgId::new) {
        Some(Ok(org)) => return Ok(Some(org)),
        Some(Err(error)) => error.to_string(),
        None => "this page has one parameter: ?org=ORGANISATION_ID".to_owned(),
    };
    let mut refusal = Refusal::new(Code::BadValue, message);
    refusal.status = StatusCode::BAD_REQUEST;
    Err(refusal)
}

fn plain(status: StatusCode, text: &str) -> Answer {
    with_type(status, "text/plain; charset=utf-8", format!("{text}\n").into_bytes())
}
