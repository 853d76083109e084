//! Queries: the names of the parameters stay, values never.

use catalogue::is_known_parameter;

use super::has_token_shape;

/// The longest name that is not known and kept nevertheless.
const MAX_NAME: usize = 32;
/// The longest name that is looked at.
const MAX_RAW: usize = 128;

/// Appends the names of the parameters of `query`, which is not percent-decoded yet, with `&` between them (and
/// before the first if `out` has something already). Returns how many values or doubtful names were taken out.
pub fn query(query: &[u8], out: &mut Vec<u8>) -> u32 {
    let mut replaced = 0;
    let (mut start, mut name_end) = (0, None);
    for (at, byte) in query.iter().enumerate() {
        match byte {
            b'=' if name_end.is_none() => name_end = Some(at),
            b'&' => {
                replaced += item(query, start, name_end, at, out);
                (start, name_end) = (at + 1, None);
            }
            // A fragment does not belong here.
            b'#' => return replaced + item(query, start, name_end, at, out) + 1,
            _ => {}
        }
    }
    replaced + item(query, start, name_end, query.len(), out)
}

/// The item from `start` to `end`, which has a value if there is an end of its name before that.
#[inline]
fn item(query: &[u8], start: usize, name_end: Option<usize>, end: usize, out: &mut Vec<u8>) -> u32 {
    if start == end {
        return 0;
    }
    let name = query.get(start..name_end.unwrap_or(end)).unwrap_or_default();
    let has_value = name_end.is_some_and(|name_end| name_end + 1 < end);
    // A bare item may be a value that an unescaped `&` cut off, so there only a known name counts.
    u32::from(has_value)
        + if is_known_parameter(name) {
            put(name, out);
            0
        } else {
            unusual(name, name_end.is_some(), out)
        }
}

/// A name that is not known as it stands. Decoded, it may turn out to hold more parameters.
fn unusual(name: &[u8], has_value: bool, out: &mut Vec<u8>) -> u32 {
    let mut buffer = [0; MAX_RAW];
    let Some(decoded) = form_decode(name, &mut buffer) else {
        put(b"*", out);
        return 1;
    };
    let mut replaced = 0;
    let mut parts = decoded.split(|b| *b == b'&').peekable();
    while let Some(part) = parts.next() {
        let (name, hidden_value) = match part.iter().position(|b| *b == b'=') {
            Some(at) => (part.get(..at).unwrap_or_default(), part.get(at + 1..)),
            None => (part, None),
        };
        replaced += u32::from(hidden_value.is_some_and(|value| !value.is_empty()));
        // `fields[0]` and `fields[]` are `fields`; what stands in the brackets may be a value.
        let subscript = name.iter().position(|b| *b == b'[').filter(|at| *at > 0).unwrap_or(name.len());
        let (base, subscript) = name.split_at(subscript);
        replaced += u32::from(!matches!(subscript, b"" | b"[]"));
        let named = hidden_value.is_some() || (has_value && parts.peek().is_none());
        if is_known_parameter(base) || (named && looks_like_a_name(base)) {
            put(base, out);
        } else if !part.is_empty() || has_value {
            put(b"*", out);
            replaced += 1;
        }
    }
    replaced
}

/// Letters, `_`, `-` and `.`, short, no digit, nothing of a secret.
fn looks_like_a_name(name: &[u8]) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-' | b'.'))
        && !has_token_shape(name)
}

fn put(name: &[u8], out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b'&');
    }
    out.extend_from_slice(name);
}

/// Decodes percent escapes and `+` once. `None` when the result does not fit, or an escape is none.
fn form_decode<'b>(text: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut rest = text.iter();
    let mut len = 0;
    while let Some(&byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            b'+' => b' ',
            other => other,
        };
        *buffer.get_mut(len)? = byte;
        len += 1;
    }
    buffer.get(..len)
}

#[cfg(test)]
mod tests;
