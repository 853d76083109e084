//! Times as raw events and records carry them, in milliseconds since 1970-01-01T00:00:00Z.
//!
//! This module reads and writes them; nothing here asks what time it is.

/// Length of `2026-11-22T08:15:30.123Z`, the one form in which a record states a time.
pub const CANONICAL_LEN: usize = 24;

/// 0000-01-01T00:00:00.000Z.
pub const MIN_MS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z.
pub const MAX_MS: i64 = 253_402_300_799_999;

const DAY_MS: i64 = 86_400_000;

/// Reads a time that is written as [`format_ms`] writes it: the form of most producers, and one look at each byte.
#[must_use]
#[inline]
pub fn parse_canonical(text: &[u8]) -> Option<i64> {
    let text: &[u8; CANONICAL_LEN] = text.try_into().ok()?;
    let &[
        y0,
        y1,
        y2,
        y3,
        b'-',
        m0,
        m1,
        b'-',
        a0,
        a1,
        b'T',
        h0,
        h1,
        b':',
        i0,
        i1,
        b':',
        s0,
        s1,
        b'.',
        f0,
        f1,
        f2,
        b'Z',
    ] = text
    else {
        return None;
    };
    let mut worst = 0;
    let mut digit = |byte: u8| {
        let digit = byte.wrapping_sub(b'0');
        worst = digit.max(worst);
        u32::from(digit)
    };
    let year = digit(y0) * 1000 + digit(y1) * 100 + digit(y2) * 10 + digit(y3);
    let month = digit(m0) * 10 + digit(m1);
    let day = digit(a0) * 10 + digit(a1);
    let hour = digit(h0) * 10 + digit(h1);
    let minute = digit(i0) * 10 + digit(i1);
    let second = digit(s0) * 10 + digit(s1);
    let millis = digit(f0) * 100 + digit(f1) * 10 + digit(f2);
    // Days up to 28 are in every month; the others, and leap seconds, take the long way.
    let usual = worst <= 9 && month.wrapping_sub(1) < 12 && day.wrapping_sub(1) < 28;
    if !usual || hour > 23 || minute > 59 || second > 59 {
        return if worst <= 9 && second <= 59 { parse_rfc3339(text) } else { None };
    }
    let days = days_from_civil(i64::from(year), i64::from(month), i64::from(day));
    let in_day = (hour * 3600 + minute * 60 + second) * 1000 + millis;
    Some(days * DAY_MS + i64::from(in_day))
}

/// Reads an RFC 3339 time with any offset. Digits behind the millisecond are cut off. A leap second counts as the
/// last millisecond of the second before it.
#[must_use]
pub fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    let head: &[u8; 19] = text.first_chunk()?;
    let &[y0, y1, y2, y3, d1, m0, m1, d2, a0, a1, t, h0, h1, c1, i0, i1, c2, s0, s1] = head;
    if d1 != b'-' || d2 != b'-' || !matches!(t, b'T' | b't' | b' ') || c1 != b':' || c2 != b':' {
        return None;
    }
    let year = two(y0, y1)? * 100 + two(y2, y3)?;
    let (month, day) = (two(m0, m1)?, two(a0, a1)?);
    let (hour, minute, second) = (two(h0, h1)?, two(i0, i1)?, two(s0, s1)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (mut millis, zone) = fraction(text.get(19..)?)?;
    let offset = match zone {
        b"Z" | b"z" => 0,
        &[sign, h0, h1, b':', m0, m1] => {
            let (hours, minutes) = (two(h0, h1)?, two(m0, m1)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            match sign {
                b'+' => hours * 60 + minutes,
                b'-' => -(hours * 60 + minutes),
                _ => return None,
            }
        }
        _ => return None,
    };
    let second = if second == 60 {
        millis = 999;
        59
    } else {
        second
    };
    let seconds = hour * 3600 + minute * 60 + second - offset * 60;
    let ms = days_from_civil(year, month, day) * DAY_MS + seconds * 1000 + millis;
    in_range(ms).then_some(ms)
}

/// Whether a record can state this time.
#[must_use]
pub fn in_range(ms: i64) -> bool {
    (MIN_MS..=MAX_MS).contains(&ms)
}

/// Writes a time as `2026-11-22T08:15:30.123Z`. Times outside the years 0 to 9999 are moved to the nearest one
/// that can be written.
#[must_use]
pub fn format_ms(ms: i64) -> [u8; CANONICAL_LEN] {
    let ms = ms.clamp(MIN_MS, MAX_MS);
    let (days, in_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil_from_days(days);
    let mut out = *b"0000-00-00T00:00:00.000Z";
    let parts = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, in_day / 3_600_000),
        (14, 2, in_day / 60_000 % 60),
        (17, 2, in_day / 1000 % 60),
        (20, 3, in_day % 1000),
    ];
    for (at, width, number) in parts {
        let mut number = u16::try_from(number).unwrap_or(0);
        for slot in out.iter_mut().skip(at).take(width).rev() {
            *slot = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
        }
    }
    out
}

/// The number of two digits.
fn two(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
}

/// Reads `.123…` if it is there: milliseconds and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', digits)) = text.split_first() else { return Some((0, text)) };
    let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let mut millis = 0;
    for place in 0..3 {
        let digit = digits.get(place).filter(|_| place < count).map_or(0, |b| i64::from(b - b'0'));
        millis = millis * 10 + digit;
    }
    Some((millis, digits.get(count..)?))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March, so that the leap day
/// is the last one.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    if month < 10 { (era * 400 + year, month + 3, day) } else { (era * 400 + year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests;
