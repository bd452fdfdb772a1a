//! RFC 3339 dates of JSON replies (`timeCreated`).

use crate::engine::time::UnixMillis;

/// Reads an RFC 3339 date, for example `2026-03-01T12:00:00.123Z`; fractions beyond milliseconds are dropped.
pub fn parse_rfc3339(text: &str) -> Option<UnixMillis> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut fields = date.splitn(3, '-');
    let year = digits(fields.next()?, 4)?;
    let month = digits(fields.next()?, 2)?;
    let day = digits(fields.next()?, 2)?;
    let (clock, offset_minutes) = split_offset(rest)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut fields = clock.splitn(3, ':');
    let hour = digits(fields.next()?, 2)?;
    let minute = digits(fields.next()?, 2)?;
    let second = digits(fields.next()?, 2)?;
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    // A leap second (60) is read as the second after.
    if !(1..=12).contains(&month)
        || !(1..=days_in(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let minutes = days_from_civil(year, month, day) * 1440 + hour * 60 + minute - offset_minutes;
    Some(UnixMillis((minutes * 60 + second) * 1000 + millis))
}

fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let at = text.rfind(['+', '-'])?;
    let (clock, offset) = text.split_at(at);
    let (hours, minutes) = offset[1..].split_once(':')?;
    let total = digits(hours, 2)? * 60 + digits(minutes, 2)?;
    Some((clock, if offset.starts_with('-') { -total } else { total }))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01, in eras of 400 years that begin on 1 March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_services_write() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-03-01T12:00:00.123Z", 1_772_366_400_123),
            ("2026-03-01T12:00:00.123456789Z", 1_772_366_400_123),
            ("2026-03-01T12:00:00.5z", 1_772_366_400_500),
            ("2026-03-01t14:00:00+02:00", 1_772_366_400_000),
            ("2026-03-01 08:30:00-03:30", 1_772_366_400_000),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("1969-12-31T23:59:59Z", -1000),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ] {
            assert_eq!(parse_rfc3339(text), Some(UnixMillis(millis)), "{text}");
        }
    }

    #[test]
    fn agrees_with_the_display_of_every_day() {
        for day in (-800_000_i64..2_900_000).step_by(97) {
            let at = UnixMillis::from_secs(day * 86_400 + 12_345);
            let text = at.to_string();
            if text.len() == 20 && !text.starts_with('-') {
                assert_eq!(parse_rfc3339(&text), Some(at), "{text}");
            }
        }
    }

    #[test]
    fn anything_else_is_nothing() {
        for text in [
            "",
            "T",
            "Z",
            "2026-03-01",
            "2026-03-01T12:00:00",
            "2026-3-1T12:00:00Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T12:60:00Z",
            "2026-03-01T12:00:61Z",
            "2026-03-01T12:00Z",
            "2026-03-01T12:00:00.Z",
            "2026-03-01T12:00:00.1x2Z",
            "2026-03-01T12:00:00+2:00",
            "2026-03-01T12:00:00+0200",
            "+026-03-01T12:00:00Z",
            "2026-03-01T-1:00:00Z",
            "２０２６-03-01T12:00:00Z",
            "2026-03-01T12:00:00Z ",
            "2026-03-01T12:00:00é-00:00",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
