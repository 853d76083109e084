//! Only the ledger says how far a cursor may move.
use flow::ledger::Committable;

fn forge(other: &Committable) -> Committable {
    Committable { next_row: flow::Row(9), ..*other }
}

fn main() {}
