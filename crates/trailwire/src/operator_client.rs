//! The client for what the operator itself names: a URL typed on the command line, or the collector of our metrics. It may
//! go anywhere, also without TLS. The guard is for addresses that tenants choose; their client is another one, so that
//! no range has to be opened to them for our own sake.

use anyhow::Context;
use egress::{Allow, CertificateDer, Client, Policy};
use flow::clock::Clock;

/// A client without a guard. `roots` are authorities to trust besides the public ones, DER.
///
/// # Errors
/// When a root is no certificate of an authority.
pub fn client(roots: &[CertificateDer<'static>], clock: &Clock) -> anyhow::Result<Client> {
    let everywhere = ["0.0.0.0/0", "::/0"];
    let allow =
        everywhere.into_iter().filter_map(|net| Some(Allow { net: net.parse().ok()?, plaintext: true }));
    let policy = Policy { allow: allow.collect(), extra_roots: roots.to_vec(), ..Policy::default() };
    Client::new(policy, clock.clone()).context("preparing TLS")
}
