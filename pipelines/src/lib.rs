//! From the bytes of a request to redacted, rendered rows per partition: decode, redact, render, in one go and
//! without I/O.
//!
//! The path of one event: [`Plan::decode`] cuts the body into events, [`event::raw`] reads one, the producer's
//! [`Grant`], the [`flow::orgs::Directory`] and the quota say whether it may come in, [`redact`] takes out what must
//! not be kept, [`event::record`] writes the tail of the record into the arena of its partition, and the row's facts
//! go beside it. What is refused becomes a [`event::reject::Rejection`].
//!
//! What leaves this crate is redacted: rows, rejections and counts hold nothing else of what came in. What it must
//! not know: HTTP, files, the journal, what time it is.

mod admit;
mod decoded;
mod grant;
mod keys;
mod known_orgs;
mod plan;
pub mod redact;

pub use decoded::{BodyFault, Decoded, MAX_TOLD};
pub use grant::{Allowed, BadProducer, Grant};
pub use keys::{Keys, key_check};
pub use plan::{Format, Input, MAX_BODY, MAX_EVENTS, Plan, Quota};
