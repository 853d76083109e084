//! A delivery has one verdict.
use flow::sink::{Delivery, Verdict};

fn twice(delivery: Delivery) {
    let first = delivery.settle(Verdict::Accepted);
    let second = delivery.settle(Verdict::Accepted);
    drop((first, second));
}

fn main() {}
