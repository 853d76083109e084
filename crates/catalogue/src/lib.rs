//! What is known of the products' REST APIs: for now the words of their paths and the names of their query
//! parameters, by which redaction tells what may be kept.
//!
//! Pure functions over embedded lists; no I/O, no allocation, no state.

mod names;

use names::Names;

/// The literal segments of all path templates, and the prefixes under which the APIs are served.
static SEGMENTS: Names<1024> = Names::new(include_str!("../data/segments.txt"));
/// `root version`, where the version is a number.
static VERSIONS: Names<64> = Names::new(include_str!("../data/versions.txt"));
/// The names of all query parameters of the APIs, and of those that carry secrets.
static PARAMETERS: Names<1024> = Names::new(include_str!("../data/parameters.txt"));

/// The longest literal segment or parameter name; anything longer is not known.
pub const MAX_NAME: usize = names::MAX_LEN;

/// Whether `segment`, decoded, is a literal of some path template. A version number is one only behind its root:
/// see [`is_version_of`].
#[must_use]
#[inline]
pub fn is_literal(segment: &[u8]) -> bool {
    SEGMENTS.contains(segment)
}

/// Whether `segment` is a version number where it stands, that is behind the segment `root`: `3` behind `api`.
#[must_use]
pub fn is_version_of(root: &[u8], segment: &[u8]) -> bool {
    if root.is_empty() || !segment.first().is_some_and(u8::is_ascii_digit) {
        return false;
    }
    // Most calls are of these.
    if matches!((root, segment), (b"api", b"2" | b"3")) {
        return true;
    }
    let mut both = [b' '; names::MAX_LEN];
    let len = root.len() + 1 + segment.len();
    let (Some(first), true) = (both.get_mut(..root.len()), len <= names::MAX_LEN) else { return false };
    first.copy_from_slice(root);
    if let Some(second) = both.get_mut(root.len() + 1..len) {
        second.copy_from_slice(segment);
    }
    both.get(..len).is_some_and(|both| VERSIONS.contains(both))
}

/// Whether `name`, decoded, is a query parameter of the APIs. Case matters.
#[must_use]
#[inline]
pub fn is_known_parameter(name: &[u8]) -> bool {
    PARAMETERS.contains(name)
}

#[cfg(test)]
mod tests;
