//! A verdict that is not handed back is no verdict.
#![deny(unused_must_use)]
use flow::sink::{Delivery, Verdict};

fn ignore(delivery: Delivery) {
    delivery.settle(Verdict::Accepted);
}

fn main() {}
