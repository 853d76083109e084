//! A Splunk HTTP Event Collector for tests, the demo and the benchmarks: a real server on loopback that is as
//! strict as the real products where they have been measured, and that can be told to misbehave.
//!
//! [`Receiver`] is the handle: it starts, stops and pauses the server, says what was indexed and which requests
//! came, holds the script of [`fault`]s and the [`audit`] of all records that arrived. [`protocol`] decides what
//! a request gets as an answer and is a pure function but for the acknowledgement book.
//!
//! What this crate must not know: how our own sink encodes or reads answers. It is the other side of the wire and
//! judges from the protocol alone.

pub mod acks;
pub mod audit;
pub mod code;
pub mod envelope;
pub mod fault;
pub mod handle;
pub mod ledger;
pub mod protocol;
pub mod record;
pub mod reply;
pub mod scan;
pub mod settings;

mod body;
mod server;
mod state;

pub use audit::Audit;
pub use code::Code;
pub use fault::Fault;
pub use handle::Receiver;
pub use ledger::{Indexed, RequestNote, Totals};
pub use reply::Reply;
pub use settings::{Keep, Mode, Settings, Token};
