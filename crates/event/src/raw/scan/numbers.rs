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
        let mut number = 0u64;
        for (count, byte) in rest.iter().take(11).enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                // A leading zero stands alone, and the number must end here.
                if count == 0
                    || (count > 1 && rest.first() == Some(&b'0'))
                    || matches!(byte, b'.' | b'e' | b'E')
                {
                    return None;
                }
                self.at += count;
                return Some(number);
            }
            number = number * 10 + u64::from(digit);
        }
        None
    }

    /// A short number of milliseconds with at most three digits behind its point, as microseconds.
    pub(crate) fn short_millis(&mut self) -> Option<u64> {
        let start = self.at;
        if let Some(millis) = self.short_number() {
            return Some(millis * 1000);
        }
        let rest = self.bytes.get(start..)?;
        let point = rest.iter().take(10).position(|b| !b.is_ascii_digit())?;
        let (whole, fraction) = (rest.get(..point)?, rest.get(point + 1..)?);
        if rest.get(point) != Some(&b'.')
            || whole.is_empty()
            || (whole.len() > 1 && whole.first() == Some(&b'0'))
        {
            return None;
        }
        let mut micros = whole.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        let digits = fraction.iter().take(4).position(|b| !b.is_ascii_digit())?;
        if digits == 0 || matches!(fraction.get(digits), Some(b'e' | b'E')) {
            return None;
        }
        for place in 0..3 {
            let digit =
                fraction.get(place).filter(|_| place < digits).map_or(0, |digit| u64::from(digit - b'0'));
            micros = micros * 10 + digit;
        }
        self.at = start + point + 1 + digits;
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
