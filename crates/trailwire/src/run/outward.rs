//! The client of everything that leaves this machine, as the operator's file says: where it may go, whom it trusts.

#[cfg(test)]
mod tests;

use anyhow::Context;
use config::Operator;
use egress::{Allow, Client, Policy};
use flow::clock::Clock;

pub(super) fn client(operator: &Operator, clock: &Clock) -> anyhow::Result<Client> {
    let allow = |shared: bool| {
        let entries = operator.egress_allow.iter().filter(move |allowed| allowed.shared_only == shared);
        entries.map(|allowed| Allow { net: allowed.cidr, plaintext: allowed.plaintext }).collect()
    };
    let policy = Policy {
        allow: allow(false),
        allow_operator: allow(true),
        extra_roots: operator.egress_roots.clone(),
        ..Policy::default()
    };
    Client::new(policy, clock.clone()).context("preparing TLS")
}
