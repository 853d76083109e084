//! The words of Trailwire: what a producer sends (a raw event), what is stored and delivered (a record),
//! the ids that both carry, and the registry of rejection codes.
//!
//! This crate knows no I/O, no clock and no runtime: everything here is a pure function of its input.

pub mod decimal;
pub mod ids;
pub mod kind;
pub mod raw;
pub mod record;
pub mod reject;
pub mod schema;
pub mod secret;
pub mod time;

pub use ids::{BadOrgId, OrgId};
pub use kind::{Kind, UnknownKind};
