//! User agents: `product/version` tokens stay, comments and everything else go.

use super::has_token_shape;

/// The longest product or version, in bytes.
const MAX_PART: usize = 32;
/// The longest result, in bytes.
const MAX_AGENT: usize = 256;

/// The user agents seen last. There are few of them, and each comes with many events.
///
/// They are raw, so it has no `Debug`.
#[derive(Default)]
pub(super) struct Memo([Seen; 16]);

#[derive(Default)]
struct Seen {
    agent: Vec<u8>,
    redacted: Vec<u8>,
    left_out: u32,
}

impl Memo {
    /// [`user_agent`], remembered.
    pub(super) fn redact(&mut self, agent: &[u8], out: &mut Vec<u8>) -> u32 {
        // A short one is faster taken apart than remembered.
        if agent.len() <= MAX_PART {
            return user_agent(agent, out);
        }
        let last = agent.last().copied().unwrap_or(0);
        let slot = agent.len().wrapping_mul(7).wrapping_add(usize::from(last)) % self.0.len();
        let Some(seen) = self.0.get_mut(slot).filter(|_| agent.len() <= MAX_AGENT) else {
            return user_agent(agent, out);
        };
        if seen.agent != agent {
            seen.agent.clear();
            seen.agent.extend_from_slice(agent);
            seen.redacted.clear();
            seen.left_out = user_agent(agent, &mut seen.redacted);
        }
        out.extend_from_slice(&seen.redacted);
        seen.left_out
    }
}

/// Appends the `product/version` tokens of a user agent, with a space between them; returns 1 if anything else
/// was left out.
pub fn user_agent(agent: &[u8], out: &mut Vec<u8>) -> u32 {
    let start = out.len();
    let mut left_out = false;
    let mut depth = 0u32;
    let mut rest = agent;
    while let Some((&byte, behind)) = rest.split_first() {
        match byte {
            b'(' => {
                depth += 1;
                left_out = true;
                rest = behind;
            }
            b')' => {
                depth = depth.saturating_sub(1);
                left_out = true;
                rest = behind;
            }
            b' ' | b'\t' => rest = behind,
            _ => {
                let end =
                    rest.iter().position(|b| matches!(b, b' ' | b'\t' | b'(' | b')')).unwrap_or(rest.len());
                let (token, behind) = rest.split_at(end);
                if depth == 0 && out.len() - start + token.len() < MAX_AGENT && is_product_token(token) {
                    if out.len() > start {
                        out.push(b' ');
                    }
                    out.extend_from_slice(token);
                } else {
                    left_out = true;
                }
                rest = behind;
            }
        }
    }
    u32::from(left_out)
}

/// `product/version` in strict shapes, which leave no room for a value.
fn is_product_token(token: &[u8]) -> bool {
    let Some(slash) = token.iter().position(|b| *b == b'/') else { return false };
    let (product, version) =
        (token.get(..slash).unwrap_or_default(), token.get(slash + 1..).unwrap_or_default());
    is_product(product) && is_version(version)
}

/// Something that may stand in a product's name.
const GOOD: u8 = 1;
const DIGIT: u8 = 2;
/// A letter that every shape of a token has one of.
const SUSPECT: u8 = 4;

/// What each byte is.
#[allow(clippy::indexing_slicing, reason = "runs in the compiler, where a slip stops the build")]
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0u8;
    loop {
        let class = match byte {
            b'J' | b'T' => GOOD | SUSPECT,
            b'0'..=b'9' => GOOD | DIGIT,
            b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' => GOOD,
            _ => 0,
        };
        classes[byte as usize] = class;
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    classes
};

/// A letter, then letters, `-`, `_`, `.` and single digits.
fn is_product(product: &[u8]) -> bool {
    if product.len() > MAX_PART || !product.first().is_some_and(u8::is_ascii_alphabetic) {
        return false;
    }
    let (mut all, mut any, mut two_digits, mut before) = (GOOD, 0, 0, 0);
    for byte in product {
        let class = CLASSES.get(usize::from(*byte)).copied().unwrap_or(0);
        all &= class;
        any |= class;
        two_digits |= class & before & DIGIT;
        before = class;
    }
    all == GOOD && two_digits == 0 && (any & SUSPECT == 0 || !has_token_shape(product))
}

/// `v`? numbers with dots between them, at most five of at most eight digits, and perhaps the mark of a
/// pre-release: `-rc.1`, `b2`.
fn is_version(version: &[u8]) -> bool {
    const MARKS: [&[u8]; 11] =
        [b"alpha", b"beta", b"rc", b"dev", b"pre", b"post", b"snapshot", b"final", b"a", b"b", b"m"];
    if version.len() > MAX_PART {
        return false;
    }
    let mut rest = version.strip_prefix(b"v").unwrap_or(version);
    for number in 0.. {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=8).contains(&digits) || number == 5 {
            return false;
        }
        rest = rest.get(digits..).unwrap_or_default();
        match rest {
            [b'.', b'0'..=b'9', ..] => rest = rest.get(1..).unwrap_or_default(),
            _ => break,
        }
    }
    if rest.is_empty() {
        return true;
    }
    let mark = rest.strip_prefix(b"-").or_else(|| rest.strip_prefix(b".")).unwrap_or(rest);
    let letters = mark.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let (word, behind) = mark.split_at(letters);
    let behind = behind.strip_prefix(b".").unwrap_or(behind);
    MARKS.iter().any(|known| known.eq_ignore_ascii_case(word))
        && behind.len() <= 3
        && behind.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests;
