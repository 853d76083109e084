//! Only a delivery can be settled.
use flow::sink::{Settled, Verdict};

fn forge(other: Settled) -> Settled {
    Settled { verdict: Verdict::Accepted, ..other }
}

fn main() {}
