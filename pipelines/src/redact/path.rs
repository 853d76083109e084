//! Paths: the words of the APIs stay, everything else becomes `*`.

use catalogue::{is_literal, is_version_of};

/// A beginning of many paths that is kept as it is: what the loop below does for each of its segments, at once.
struct Beginning {
    /// With the slash behind it.
    text: &'static str,
    /// Without.
    kept: &'static str,
    /// Its last segment.
    last: &'static str,
}

const KNOWN_BEGINNINGS: [Beginning; 5] = [
    Beginning { text: "rest/api/3/", kept: "rest/api/3", last: "3" },
    Beginning { text: "rest/api/2/", kept: "rest/api/2", last: "2" },
    Beginning { text: "wiki/rest/api/", kept: "wiki/rest/api", last: "api" },
    Beginning { text: "wiki/api/v2/", kept: "wiki/api/v2", last: "v2" },
    Beginning { text: "rest/agile/1.0/", kept: "rest/agile/1.0", last: "1.0" },
];

/// Appends the redacted form of `path`, which is not percent-decoded yet; returns how many values were taken out.
///
/// The path is split at its slashes before anything is decoded, so that an encoded slash cannot shift a value into
/// another segment. The form is normalised: one slash between segments, none at the end, `.` and `..` resolved,
/// scheme, host and matrix parameters taken out.
pub fn path(path: &[u8], out: &mut Vec<u8>) -> u32 {
    let start = out.len();
    let mut replaced = 0;
    let mut rest = path;
    if let Some(behind) = behind_authority(path) {
        rest = behind;
        replaced += 1;
    }
    // An empty segment is none, and nearly every path begins with one.
    rest = rest.strip_prefix(b"/").unwrap_or(rest);
    // The segment before, if it was kept, for the version behind it.
    let mut before: &[u8] = b"";
    loop {
        if before.is_empty()
            && let Some(prefix) =
                KNOWN_BEGINNINGS.iter().find(|known| rest.starts_with(known.text.as_bytes()))
        {
            out.push(b'/');
            out.extend_from_slice(prefix.kept.as_bytes());
            before = prefix.last.as_bytes();
            rest = rest.get(prefix.text.len()..).unwrap_or_default();
        }
        let (segment, tail) = match rest.iter().position(|b| *b == b'/') {
            Some(at) => {
                let (segment, tail) = rest.split_at(at);
                (segment, tail.get(1..))
            }
            None => (rest, None),
        };
        if is_literal(segment) || is_version_of(before, segment) {
            out.push(b'/');
            out.extend_from_slice(segment);
            before = segment;
        } else if !segment.is_empty() {
            replaced += unusual(segment, start, out);
            before = b"";
        }
        match tail {
            Some(tail) => rest = tail,
            None => break,
        }
    }
    if out.len() == start {
        out.push(b'/');
    }
    replaced
}

/// What follows `scheme://host`, if the path begins so.
fn behind_authority(path: &[u8]) -> Option<&[u8]> {
    if path.first() == Some(&b'/') {
        return None;
    }
    let scheme =
        path.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')).count();
    let authority = path.get(scheme..)?.strip_prefix(b"://")?;
    let host = authority.iter().position(|b| *b == b'/').unwrap_or(authority.len());
    authority.get(host..)
}

/// A segment that is no literal as it stands.
fn unusual(segment: &[u8], start: usize, out: &mut Vec<u8>) -> u32 {
    // Most are ids, which have nothing that could turn out to be a literal.
    if !segment.iter().any(|byte| matches!(byte, b';' | b'%')) {
        return plain_unusual(segment, start, out);
    }
    // Matrix parameters belong to the segment, not to its name. An encoded semicolon is part of the name.
    let (name, parameters) = match segment.iter().position(|b| *b == b';') {
        Some(at) => (segment.get(..at).unwrap_or_default(), 1),
        None => (segment, 0),
    };
    let mut buffer = [0; catalogue::MAX_NAME];
    // What is longer when decoded is no literal either.
    let decoded = percent_decode(name, &mut buffer).unwrap_or(b"*");
    if !is_literal(decoded) {
        return parameters + plain_unusual(decoded, start, out);
    }
    out.push(b'/');
    out.extend_from_slice(decoded);
    parameters
}

/// A decoded segment that is no literal.
fn plain_unusual(decoded: &[u8], start: usize, out: &mut Vec<u8>) -> u32 {
    match decoded {
        b"" | b"." => 0,
        b".." => {
            let last = out.iter().skip(start).rposition(|b| *b == b'/').unwrap_or(0);
            out.truncate(start + last);
            0
        }
        _ => {
            out.extend_from_slice(b"/*");
            1
        }
    }
}

/// Decodes percent escapes once. `None` when the result does not fit, or an escape is none.
fn percent_decode<'b>(text: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut rest = text.iter();
    let mut len = 0;
    while let Some(&byte) = rest.next() {
        let byte = if byte == b'%' {
            let mut digit = || char::from(*rest.next()?).to_digit(16);
            u8::try_from(digit()? << 4 | digit()?).ok()?
        } else {
            byte
        };
        *buffer.get_mut(len)? = byte;
        len += 1;
    }
    buffer.get(..len)
}

#[cfg(test)]
mod tests;
