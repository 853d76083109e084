//! Whole numbers as text. Numbers are in every record and in every envelope around one, and most are short: their digits
//! are made in one register and stored with one move, where a formatter writes them two by two and then copies them.

/// The largest number of digits that are made at once.
const AT_ONCE: usize = 8;
const LIMIT: u64 = 100_000_000;
/// Eight times the digit 0.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Appends `number` in decimal digits.
#[inline]
pub fn push(number: u64, out: &mut Vec<u8>) {
    if number < LIMIT {
        push_short(number, out);
    } else {
        push_long(number, out);
    }
}

fn push_long(number: u64, out: &mut Vec<u8>) {
    let (high, low) = (number / LIMIT, number % LIMIT);
    if high < LIMIT {
        push_short(high, out);
    } else {
        push_short(high / LIMIT, out);
        push_all(high % LIMIT, out);
    }
    push_all(low, out);
}

/// A number below [`LIMIT`] without leading zeros.
#[inline]
fn push_short(number: u64, out: &mut Vec<u8>) {
    let digits = eight_digits(number);
    // One digit always stays.
    let zeros = (digits.trailing_zeros() as usize / 8).min(AT_ONCE - 1);
    let end = out.len() + AT_ONCE - zeros;
    out.extend_from_slice(&((digits | ZEROS) >> (8 * zeros)).to_le_bytes());
    out.truncate(end);
}

/// All eight digits of a number below [`LIMIT`].
#[inline]
fn push_all(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(eight_digits(number) | ZEROS).to_le_bytes());
}

/// Appends `number` in decimal digits, with a minus where it is negative.
#[inline]
pub fn push_signed(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    push(number.unsigned_abs(), out);
}

/// The eight digits of a number below [`LIMIT`], one a byte, the first in the lowest: halves, quarters and digits are
/// divided side by side.
#[inline]
const fn eight_digits(number: u64) -> u64 {
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    // 10486 / 2^20 is a hundredth, exact enough below 10,000; 103 / 2^10 is a tenth, exact enough below 100.
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let quarters = hundreds | ((halves - 100 * hundreds) << 16);
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((quarters - 10 * tens) << 8)
}

#[cfg(test)]
mod tests;
