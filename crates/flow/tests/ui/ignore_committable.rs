//! A cursor that may move has to be moved.
#![deny(unused_must_use)]
use flow::ledger::Committable;

fn permitted() -> Committable {
    unimplemented!()
}

fn main() {
    permitted();
}
