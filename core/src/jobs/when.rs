//! Times and durations as people write them.

use crate::error::{Error, Result};
use crate::observe::rfc3339;

/// A time in milliseconds since 1970-01-01 UTC as `2026-12-24T17:00:00.000Z`.
pub fn format_time(unix_ms: u64) -> String {
    rfc3339(unix_ms)
}

/// Milliseconds since 1970-01-01 UTC of a time of RFC 3339, such as `2026-12-24T18:00:00+01:00` or `2026-12-24 17:00:00.5Z`.
///
/// # Errors
/// [`Error::InvalidValue`] for what is none, for a day that no calendar has, and for times before 1970.
pub fn parse_time(text: &str) -> Result<u64> {
    read_time(text).ok_or_else(|| Error::InvalidValue {
        name: "time".into(),
        value: text.into(),
        allowed: "a time from 1970 on, such as 2026-12-24T18:00:00Z or 2026-12-24T18:00:00+01:00".into(),
    })
}

/// Milliseconds of a duration such as `500ms`, `90s`, `1.5h`, `2d`; a number alone is in seconds.
///
/// # Errors
/// [`Error::InvalidValue`].
pub fn parse_duration_ms(text: &str) -> Result<u64> {
    let trimmed = text.trim();
    let (number, unit) = trimmed.split_at(trimmed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(trimmed.len()));
    let unit_ms = match unit {
        "ms" => 1.0,
        "" | "s" => 1e3,
        "m" | "min" => 60e3,
        "h" => 3600e3,
        "d" => 86_400e3,
        _ => f64::NAN,
    };
    let ms = number.trim().parse::<f64>().map_or(f64::NAN, |n| n * unit_ms);
    // 1e14 ms are 3000 years.
    if (0.0..=1e14).contains(&ms) {
        return Ok(ms.round() as u64);
    }
    let allowed = "a duration from 0 on, such as 500ms, 90s, 10m, 1.5h or 2d".to_owned();
    Err(Error::InvalidValue { name: "duration".into(), value: text.into(), allowed })
}

/// RFC 3339 section 5.6, with a space for the T as its note allows.
fn read_time(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let is = |at: usize, wanted: &str| text.get(at..at + 1).is_some_and(|c| wanted.contains(c));
    if !(is(4, "-") && is(7, "-") && is(10, "Tt ") && is(13, ":") && is(16, ":")) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut at = 19;
    let mut ms = 0;
    if is(at, ".") {
        let digits = text.get(at + 1..)?.bytes().take_while(u8::is_ascii_digit).count();
        let kept = digits.min(3);
        ms = number(at + 1..at + 1 + kept).filter(|_| digits > 0)? * 10_i64.pow(3 - kept as u32);
        at += 1 + digits;
    }
    let offset_min = match text.get(at..)? {
        "Z" | "z" => 0,
        zone if zone.len() == 6 && is(at + 3, ":") => {
            let (hours, minutes) = (number(at + 1..at + 3)?, number(at + 4..at + 6)?);
            let sign = if is(at, "+") {
                1
            } else if is(at, "-") {
                -1
            } else {
                return None;
            };
            (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))?
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day);
    let next_month = if month == 12 { days_from_civil(year + 1, 1, 1) } else { days_from_civil(year, month + 1, 1) };
    if days >= next_month {
        return None;
    }
    let unix_s = ((days * 24 + hour) * 60 + minute - offset_min) * 60 + second;
    u64::try_from(unix_s * 1000 + ms).ok()
}

/// Days since 1970-01-01, as in H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_they_are_written() {
        // Each from `date -u -d TIME +%s`.
        for (text, unix_ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:34:56.789Z", 951_827_696_789),
            ("2026-12-24T18:00:00+01:00", 1_798_131_600_000),
            ("2026-12-24 17:00:00.0004z", 1_798_131_600_000),
            ("1969-12-31T20:00:00.5-05:30", 5_400_500),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ] {
            assert_eq!(parse_time(text).unwrap(), unix_ms, "{text}");
        }
        for ms in (0..4_000_000_000_000).step_by(86_400_000 * 13 + 123) {
            assert_eq!(parse_time(&format_time(ms)).unwrap(), ms);
        }
        for text in [
            "",
            "tomorrow",
            "2026-12-24",
            "2026-12-24T18:00:00",
            "2026-02-29T18:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-12-24T24:00:00Z",
            "2026-12-24T18:00:00.Z",
            "2026-12-24T18:00:00+1:00",
            "1969-12-31T23:59:59Z",
            "+026-12-24T18:00:00Z",
            "2026-12-24T18:00:00Zé",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_units() {
        for (text, ms) in
            [("0", 0), ("90", 90_000), ("500ms", 500), ("1.5h", 5_400_000), ("10 min", 600_000), ("2d", 172_800_000)]
        {
            assert_eq!(parse_duration_ms(text).unwrap(), ms, "{text}");
        }
        for text in ["", "h", "-1s", "1w", "1e99d", "NaN", "inf", "1 2s"] {
            assert!(parse_duration_ms(text).is_err(), "{text}");
        }
    }
}
