//! The configuration: YAML files and environment → validated settings, or all that is wrong with them.
//!
//! The path of a configuration: [`yaml`](self) text → a tree with places → layers merged → serde types, noting
//! every unknown key and wrong value ([`Scope::read`]) → compile steps, which check what serde cannot and note that
//! too → [`Operator`], [`Org`], [`SinkConfig`]. A bad `trailwire.yaml` stops the start; a bad sink stops that sink.
//!
//! This crate knows no connector: sink types come in as a table ([`SinkType`]). It reads the files that the
//! operator's file names and nothing else; the environment is handed in.

mod disk;
mod layers;
mod load;
mod operator;
mod org;
mod path;
mod problem;
mod read;
mod schema;
mod scope;
mod secret;
mod selection;
mod sink;
mod token;
pub mod units;
mod version;
mod yaml;

pub use load::{FileKind, Loaded, SinkName, check, load, load_again, parse_yaml};
pub use operator::{
    AllowedNet, Buffer, Journal, Listen, Log, LogFormat, Memory, Operator, Producer, Quota, UnknownOrg,
};
pub use org::Org;
pub use problem::{Place, Problem, Problems, Severity};
pub use schema::{SchemaFile, schemas};
pub use scope::Scope;
pub use secret::{Secret, SecretError, SecretRef, SecretSource};
pub use selection::Selection;
pub use sink::{
    Batch, BrokenSink, Calls, Format, RequestLimits, SinkCommon, SinkConfig, SinkContext, SinkDefaults,
    SinkType, StartFrom,
};
pub use token::TokenHash;
pub use units::{BadQuantity, ByteRate, ByteSize, Ceiling, EventRate, Interval};
