//! Numbers: by the grammar, and the short ones at once.

use super::Scanner;
use crate::raw::Problem;

impl<'a> Scanner<'a, '_> {
    /// A number by the grammar. On entry its first byte is here.
    pub(crate) fn number(&mut self) -> Result<&'a [u8], Box<Problem>> {
        let start = self.at;
        if self.here() == b'-' {
            self.at += 1;
        }
        match self.here() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(self.bad_json("a value belongs here")),
        }
        if self.here() == b'.' {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.here(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.here(), b'+' | b'-') {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(self.slice(start, self.at))
    }

    /// A short whole number without sign, fraction and exponent, which is what most numbers are.
    #[inline(always)]
    pub(crate) fn short_number(&mut self) -> Option<u64> {
        let rest = self.bytes.get(self.at..)?;
        let (number, count) = short_whole(rest)?;
        if matches!(rest.get(count), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        self.at += count;
        Some(number)
    }

    /// A short number of milliseconds with at most three digits behind its point, as microseconds.
    #[inline(always)]
    pub(crate) fn short_millis(&mut self) -> Option<u64> {
        let rest = self.bytes.get(self.at..)?;
        let (whole, mut len) = short_whole(rest)?;
        let mut micros = whole * 1000;
        if rest.get(len) == Some(&b'.') {
            let fraction = rest.get(len + 1..)?;
            let mut worth = 100;
            let mut digits = 0;
            for byte in fraction {
                let digit = byte.wrapping_sub(b'0');
                if digit > 9 {
                    break;
                }
                micros += u64::from(digit) * worth;
                worth /= 10;
                digits += 1;
                if digits > 3 {
                    return None;
                }
            }
            if digits == 0 || digits == fraction.len() {
                return None;
            }
            len += 1 + digits;
        }
        if matches!(rest.get(len), Some(b'e' | b'E')) {
            return None;
        }
        self.at += len;
        Some(micros)
    }

    #[inline(always)]
    fn digits(&mut self) {
        while self.here().is_ascii_digit() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Box<Problem>> {
        if !self.here().is_ascii_digit() {
            return Err(self.bad_json("a digit belongs here"));
        }
        self.digits();
        Ok(())
    }
}

/// The digits at the beginning, if they are one to ten, the first of several is no zero and something follows: their
/// number and how many there are.
#[inline(always)]
fn short_whole(text: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0u64;
    for (count, byte) in text.iter().take(11).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            // A leading zero stands alone.
            let good = count == 1 || (count > 1 && text.first() != Some(&b'0'));
            return good.then_some((number, count));
        }
        number = number * 10 + u64::from(digit);
    }
    None
}
