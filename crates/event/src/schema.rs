//! The JSON Schemas of both shapes, which are part of the product.

/// The raw event, version 1 (JSON Schema draft 2020-12).
pub const RAW: &str = include_str!("../schemas/raw-event-v1.json");

/// The record, version 1 (JSON Schema draft 2020-12).
pub const RECORD: &str = include_str!("../schemas/record-v1.json");

#[cfg(test)]
mod tests;
