//! The few members of a stored record that a sink needs, found by their fixed order instead of by parsing.

/// Why bytes are no record that this version knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a record of version 1: {0} is not where it belongs")]
pub struct ViewFault(&'static str);

/// Members of a record, borrowed. The texts are the insides of JSON strings, escapes and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View<'r> {
    /// The number within the organisation.
    pub seq: u64,
    /// The declared group's id.
    pub group: Option<&'r str>,
    /// The producer's id of the event.
    pub id: &'r str,
    /// The kind.
    pub kind: &'r str,
    /// The time, `2026-11-22T08:15:30.123Z`.
    pub time: &'r str,
    /// The organisation; never holds an escape.
    pub org_id: &'r str,
    /// The site's host name.
    pub site: Option<&'r str>,
}

impl<'r> View<'r> {
    /// Reads the beginning of a record.
    ///
    /// # Errors
    /// [`ViewFault`] when the bytes do not begin as a record of version 1 does.
    pub fn of(record: &'r [u8]) -> Result<Self, ViewFault> {
        let rest = record.strip_prefix(b"{\"v\":1,\"seq\":").ok_or(ViewFault("seq"))?;
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (seq, rest) = rest.split_at(digits);
        let seq = std::str::from_utf8(seq).ok().and_then(|seq| seq.parse().ok()).ok_or(ViewFault("seq"))?;
        let (group, rest) = optional(rest, b",\"group\":\"");
        let rest = rest.strip_prefix(b",\"id_reused\":true").unwrap_or(rest);
        let (id, rest) = required(rest, b",\"id\":\"", "id")?;
        let (kind, rest) = required(rest, b",\"kind\":\"", "kind")?;
        let (time, rest) = required(rest, b",\"time\":\"", "time")?;
        let (org_id, rest) = required(rest, b",\"org_id\":\"", "org_id")?;
        let (_, rest) = optional(rest, b",\"site_id\":\"");
        let (site, _) = optional(rest, b",\"site\":\"");
        Ok(Self { seq, group, id, kind, time, org_id, site })
    }

    /// The time in milliseconds since 1970; `None` if it is not written as a record's time is.
    #[must_use]
    pub fn time_ms(&self) -> Option<i64> {
        crate::time::parse_rfc3339(self.time.as_bytes())
    }
}

fn required<'r>(
    rest: &'r [u8],
    opening: &[u8],
    name: &'static str,
) -> Result<(&'r str, &'r [u8]), ViewFault> {
    match optional(rest, opening) {
        (Some(text), rest) => Ok((text, rest)),
        (None, _) => Err(ViewFault(name)),
    }
}

/// The string behind `opening`, and what follows its quote.
fn optional<'r>(rest: &'r [u8], opening: &[u8]) -> (Option<&'r str>, &'r [u8]) {
    let text = rest.strip_prefix(opening).and_then(|inside| {
        let mut from = 0;
        loop {
            let at = from + memchr::memchr2(b'"', b'\\', inside.get(from..)?)?;
            if inside.get(at) == Some(&b'"') {
                let text = std::str::from_utf8(inside.get(..at)?).ok()?;
                return Some((text, inside.get(at + 1..)?));
            }
            from = at + 2;
        }
    });
    match text {
        Some((text, rest)) => (Some(text), rest),
        None => (None, rest),
    }
}

#[cfg(test)]
mod tests;
