//! Times as text.

/// Writes `YYYY-MM-DDTHH:MM:SS.mmmZ`. Years outside 0 to 9999 are cut to four digits.
pub(crate) fn write(millis: i64, text: &mut [u8; 24]) {
    let (days, in_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = date(days);
    *text = *b"0000-00-00T00:00:00.000Z";
    let mut digits = |from: usize, count: usize, mut number: i64| {
        for place in text.iter_mut().skip(from).take(count).rev() {
            *place = b'0' + u8::try_from(number.rem_euclid(10)).unwrap_or(0);
            number /= 10;
        }
    };
    digits(0, 4, year);
    digits(5, 2, month);
    digits(8, 2, day);
    digits(11, 2, in_day / 3_600_000);
    digits(14, 2, in_day / 60_000 % 60);
    digits(17, 2, in_day / 1_000 % 60);
    digits(20, 3, in_day % 1_000);
}

/// The Gregorian date of a day counted from 1970-01-01. Years are counted from March, so that the leap day is the last,
/// in cycles of 400 years.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (cycle * 400 + year + i64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests;
