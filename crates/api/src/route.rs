//! The addresses of both listeners. A route cannot be written down without saying who may use it.

#[cfg(test)]
mod tests;

use event::reject::Code;
use http::Method;
use serde::Serialize;

use crate::answer::Refusal;

/// What answers at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Events,
    Live,
    Ready,
    Metrics,
    Status,
}

/// Who may use an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// A producer, by its token.
    Producer,
    /// Who has the admin token, or, where none is configured, who reaches the listener on this machine.
    Admin,
    /// Anybody who reaches the listener; it tells nothing but up or down.
    Anybody,
}

/// One address.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) about: &'static str,
    #[serde(skip)]
    pub(crate) endpoint: Endpoint,
    #[serde(skip)]
    pub(crate) access: Access,
}

/// The addresses of the ingest listener.
pub(crate) const INGEST: &[Route] = &[Route {
    method: "POST",
    path: "/v1/events",
    about: "takes raw events: NDJSON, a JSON array or one JSON object; gzip and zstd",
    endpoint: Endpoint::Events,
    access: Access::Producer,
}];

/// The addresses of the admin listener.
pub(crate) const ADMIN: &[Route] = &[
    Route {
        method: "GET",
        path: "/v1/status",
        about: "partitions, memory and every sink with its counters; ?org=ID for one organisation",
        endpoint: Endpoint::Status,
        access: Access::Admin,
    },
    Route {
        method: "GET",
        path: "/metrics",
        about: "the same numbers for Prometheus",
        endpoint: Endpoint::Metrics,
        access: Access::Admin,
    },
    Route {
        method: "GET",
        path: "/readyz",
        about: "200 while events are taken, 503 before and after",
        endpoint: Endpoint::Ready,
        access: Access::Anybody,
    },
    Route {
        method: "GET",
        path: "/livez",
        about: "200 while the process answers at all",
        endpoint: Endpoint::Live,
        access: Access::Anybody,
    },
];

/// Finds the route of a request.
pub(crate) fn find(table: &'static [Route], method: &Method, path: &str) -> Result<&'static Route, Refusal> {
    let Some(route) = table.iter().find(|route| route.path == path) else {
        let mut refusal = Refusal::new(Code::NotFound, "there is nothing at this address: see `routes`");
        refusal.routes = table.iter().collect();
        return Err(refusal.closing());
    };
    // An answer to HEAD is the one to GET without its body, which the server leaves out by itself.
    if route.method == method.as_str() || (route.method == "GET" && method == Method::HEAD) {
        return Ok(route);
    }
    let mut refusal =
        Refusal::new(Code::MethodNotAllowed, format!("this address takes {} only", route.method));
    refusal.allow = Some(if route.method == "GET" { "GET, HEAD" } else { route.method });
    Err(refusal.closing())
}
