//! Numbers, spans and moments in words.

use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use outlast_core::engine::time::UnixMillis;

/// Bytes with a binary unit: `17 B`, `4 MiB`, `179.6 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let text = format!("{value:.1}");
    format!("{} {}", text.strip_suffix(".0").unwrap_or(&text), UNITS[unit])
}

/// Bytes per second: `8.5 MiB/s`.
pub(crate) fn rate(per_second: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped; fractions do not show"
    )]
    let whole = per_second.clamp(0.0, 1e15) as u64;
    format!("{}/s", bytes(whole))
}

/// A span with its two largest units: `4 s`, `3 min 12 s`, `1 h 5 min`, `2 d 3 h`.
pub(crate) fn span(span: Duration) -> String {
    let secs = span.as_secs();
    let (large, small) = match secs {
        0 if span.subsec_millis() > 0 => return format!("0.{} s", span.subsec_millis() / 100),
        0..60 => return format!("{secs} s"),
        60..3600 => ((secs / 60, "min"), (secs % 60, "s")),
        3600..86_400 => ((secs / 3600, "h"), (secs / 60 % 60, "min")),
        _ => ((secs / 86_400, "d"), (secs / 3600 % 24, "h")),
    };
    let head = format!("{} {}", large.0, large.1);
    if small.0 == 0 { head } else { format!("{head} {} {}", small.0, small.1) }
}

/// Now, by the wall clock.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The time of day of a moment, UTC: `05:23:06Z`.
pub(crate) fn clock(at: UnixMillis) -> String {
    let text = at.to_string();
    text.rsplit(' ').next().unwrap_or_default().to_owned()
}

/// A moment as people want it: the time of day if it is within 12 hours, else with its date.
pub(crate) fn moment(at: UnixMillis) -> String {
    const NEAR_MS: u64 = 12 * 3_600_000;
    if at.0.abs_diff(now().0) < NEAR_MS { clock(at) } else { at.to_string() }
}

/// What is wrong with a file, without numbers.
pub(crate) fn trouble(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "it does not exist".into(),
        ErrorKind::PermissionDenied => "permission denied".into(),
        ErrorKind::IsADirectory => "it is a directory".into(),
        ErrorKind::NotADirectory => "a part of its path is no directory".into(),
        _ => error.to_string(),
    }
}

/// What is wrong with a place that a file is to be written to.
pub(crate) fn place_trouble(error: &std::io::Error) -> String {
    if error.kind() == ErrorKind::NotFound { "its directory does not exist".into() } else { trouble(error) }
}

/// `1 part`, `2 parts`.
pub(crate) fn count(number: impl Into<u64>, one: &str) -> String {
    let number = number.into();
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal_at_most() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1 MiB"),
            (128 << 20, "128 MiB"),
            (192_847_000_000, "179.6 GiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(rate(8.5 * 1_048_576.0), "8.5 MiB/s");
        assert_eq!(rate(f64::NAN), "0 B/s");
    }

    #[test]
    fn spans_have_two_units_at_most() {
        for (secs, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (192, "3 min 12 s"),
            (3600, "1 h"),
            (5405, "1 h 30 min"),
            (183_600, "2 d 3 h"),
        ] {
            assert_eq!(span(Duration::from_secs(secs)), text);
        }
        assert_eq!(span(Duration::from_millis(450)), "0.4 s");
    }
}
