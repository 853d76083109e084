//! The client of everything that leaves this machine, as the operator's file says: where it may go, whom it trusts.

#[cfg(test)]
mod tests;

use anyhow::Context;
use config::Operator;
use egress::{Allow, Client, Policy};
use flow::clock::Clock;

pub(super) fn client(operator: &Operator, clock: &Clock) -> anyhow::Result<Client> {
    let allow = operator.egress_allow.iter();
    let policy = Policy {
        allow: allow.map(|allowed| Allow { net: allowed.cidr, plaintext: allowed.plaintext }).collect(),
        extra_roots: operator.egress_roots.clone(),
        ..Policy::default()
    };
    Client::new(policy, clock.clone()).context("preparing TLS")
}
