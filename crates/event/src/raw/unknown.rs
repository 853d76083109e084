//! Members that the format does not know: ignored, counted, named.

use crate::secret::has_token_shape;

/// The most names that are told apart.
const MAX_NAMES: usize = 64;

/// Counts of unknown members by name, so that an operator sees what a producer sends in vain.
///
/// A name is kept only if it looks like one; a name is a place where a value could hide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnknownMembers {
    names: Vec<(Box<str>, u64)>,
    others: u64,
}

impl UnknownMembers {
    /// Counts a member `name` of the object `parent`, which is empty for the event itself.
    pub(crate) fn count(&mut self, parent: &'static str, name: &[u8]) {
        let name = std::str::from_utf8(name).ok().filter(|name| looks_like_a_name(name)).unwrap_or("*");
        let same =
            |known: &str| match known.strip_suffix(name).map(|rest| rest.strip_suffix('.').unwrap_or(rest)) {
                Some(rest) => {
                    rest == parent
                        && known.len() == parent.len() + name.len() + usize::from(!parent.is_empty())
                }
                None => false,
            };
        if let Some((_, count)) = self.names.iter_mut().find(|(known, _)| same(known)) {
            *count += 1;
        } else if self.names.len() < MAX_NAMES {
            let path =
                if parent.is_empty() { name.into() } else { format!("{parent}.{name}").into_boxed_str() };
            self.names.push((path, 1));
        } else {
            self.others += 1;
        }
    }

    /// How many there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.names.iter().map(|(_, count)| count).sum::<u64>() + self.others
    }

    /// The names with their paths, in the order in which they were met, at most 64.
    pub fn names(&self) -> impl Iterator<Item = (&str, u64)> {
        self.names.iter().map(|(name, count)| (&**name, *count))
    }

    /// Members beyond the 64 names.
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others
    }

    /// Adds what another counted.
    pub fn merge(&mut self, from: &Self) {
        for (name, count) in &from.names {
            if let Some((_, sum)) = self.names.iter_mut().find(|(known, _)| known == name) {
                *sum += count;
            } else if self.names.len() < MAX_NAMES {
                self.names.push((name.clone(), *count));
            } else {
                self.others += count;
            }
        }
        self.others += from.others;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.names.clear();
        self.others = 0;
    }
}

/// Letters, `_`, `-` and single digits, short: nothing that could be a token or a number of someone.
fn looks_like_a_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    (1..=40).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        && !bytes.windows(2).any(|pair| pair.iter().all(u8::is_ascii_digit))
        && !has_token_shape(bytes)
}

#[cfg(test)]
mod tests;
