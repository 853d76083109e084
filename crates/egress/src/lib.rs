//! The only HTTP client of Trailwire.
//!
//! A [`Client`] holds what all destinations share: the address guard, the resolver, the TLS roots, the caps. A
//! tenant's sink asks it for an [`Endpoint`], which owns its connections, so that no two tenants ever share one,
//! and sends [`Request`]s through it, one attempt each.
//!
//! On the way out: the name is resolved here, every answer is vetted by the [`address`] guard, and only the vetted
//! addresses are dialled. Redirects are never followed, proxies of the environment never used, bodies never
//! decompressed, cookies never kept. Every exchange has a deadline over all of it, and a reply has a bound in
//! bytes. A [`Fault`] names neither URL nor address nor secret.
//!
//! What this crate must not know: any protocol on top of HTTP, retries (but for one: a kept connection that turns
//! out to be closed), files, the environment.

pub mod address;
mod caps;
mod client;
mod connection;
pub mod destination;
mod dial;
mod fault;
mod pool;
pub mod resolve;
mod retry_after;
mod stream;
mod tls;

pub use address::{Allow, Guard};
pub use client::{Client, Endpoint, Head, OPERATOR, Policy, Reply, Request, Stats};
pub use destination::{BadDestination, Destination};
pub use fault::{Fault, FaultKind, TlsFault};
pub use rustls::pki_types::CertificateDer;
pub use tls::BadRoots;
