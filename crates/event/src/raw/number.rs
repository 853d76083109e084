//! Numbers of an event, read exactly: no floating point, no rounding but the one that is announced.

/// Reads a JSON number that is a whole number from 0 to 2^63-1, with or without a fraction of zeros. No exponent:
/// a short text must not become a long one.
pub(crate) fn whole(text: &[u8]) -> Option<u64> {
    let point = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(point);
    if let Some((dot, zeros)) = rest.split_first()
        && (*dot != b'.' || zeros.iter().any(|b| *b != b'0'))
    {
        return None;
    }
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let number =
        digits.iter().fold(0u64, |sum, digit| sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
    i64::try_from(number).is_ok().then_some(number)
}

/// [`whole`] with a sign.
pub(crate) fn signed(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let size = i64::try_from(whole(digits)?).ok()?;
    Some(if negative { -size } else { size })
}

/// The longest duration that is accepted: about 31 years. It keeps its text short.
const MAX_MICROS: u64 = 999_999_999_999_999;

/// Reads a JSON number of milliseconds as whole microseconds, rounded half up. `None` when it is negative or
/// longer than about 31 years.
pub(crate) fn micros(text: &[u8]) -> Option<u64> {
    let (mantissa, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (text.get(..at)?, exponent(text.get(at + 1..)?)),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, mantissa),
    };
    let point = mantissa.iter().position(|b| *b == b'.').unwrap_or(mantissa.len());
    let digits = mantissa.iter().filter(|b| b.is_ascii_digit()).map(|b| u64::from(b - b'0'));
    // Where the microsecond's last digit stands, counted in digits from the left.
    let keep = i64::try_from(point).ok()?.checked_add(exponent)?.checked_add(3)?;
    let (mut number, mut seen, mut round_up, mut any) = (0u64, 0i64, false, false);
    for digit in digits {
        any |= digit != 0;
        if seen < keep {
            number = number.checked_mul(10)?.checked_add(digit)?;
        } else if seen == keep {
            round_up = digit >= 5;
        }
        seen += 1;
    }
    if negative && any {
        return None;
    }
    if number != 0 {
        while seen < keep {
            number = number.checked_mul(10)?;
            seen += 1;
        }
    }
    number = number.checked_add(u64::from(round_up))?;
    (number <= MAX_MICROS).then_some(number)
}

/// An exponent, cut to a size that cannot overflow what it is added to.
fn exponent(text: &[u8]) -> i64 {
    let (sign, digits) = match text.split_first() {
        Some((b'-', rest)) => (-1, rest),
        Some((b'+', rest)) => (1, rest),
        _ => (1, text),
    };
    let size = digits.iter().fold(0i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(1_000_000));
    sign * size
}

#[cfg(test)]
mod tests;
