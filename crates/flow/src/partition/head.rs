//! The stamped part of a record: the only bytes that the owner adds.

use std::fmt::Write as _;

/// The longest stamped part, in bytes.
pub(super) const MAX_HEAD: usize = 112;

/// The bytes before a record's tail.
#[derive(Debug)]
pub(super) struct Head(String);

impl Head {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

pub(super) fn head(seq: u64, group: Option<u128>, reused: bool) -> Head {
    let mut out = String::with_capacity(MAX_HEAD);
    let written = write!(out, "{{\"v\":1,\"seq\":{seq},");
    debug_assert!(written.is_ok());
    if let Some(group) = group {
        let written = write!(out, "\"group\":\"{group:032x}\",");
        debug_assert!(written.is_ok());
    }
    if reused {
        out.push_str("\"id_reused\":true,");
    }
    Head(out)
}
