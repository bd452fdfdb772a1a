//! Time as a value.
//!
//! Expiry is wall time, waiting is monotonic: a stepped clock must not fire timers and a suspended machine
//! must not keep an expired token. The engine never reads a clock; drivers pass [`Now`].

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime};

/// A moment of the driver's monotonic clock, counted from an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub Duration);

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, rhs: Duration) -> Mono {
        Mono(self.0.saturating_add(rhs))
    }
}

impl Sub for Mono {
    type Output = Duration;
    /// Time from `rhs` to `self`; zero if `rhs` is later.
    fn sub(self, rhs: Mono) -> Duration {
        self.0.saturating_sub(rhs.0)
    }
}

/// Milliseconds since 1970-01-01 UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// From whole seconds since 1970 (the unit of JWT claims).
    pub fn from_secs(secs: i64) -> Self {
        UnixMillis(secs.saturating_mul(1000))
    }

    /// This moment moved by `millis`, which may be negative.
    #[must_use]
    pub fn offset(self, millis: i64) -> Self {
        UnixMillis(self.0.saturating_add(millis))
    }

    /// Time from now until this moment; zero if it has passed.
    pub fn since(self, earlier: UnixMillis) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As a system time; moments before 1970 become 1970.
    pub fn to_system_time(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }

    /// RFC 1123 date as HTTP headers want it, for example `Sun, 01 Mar 2026 12:00:00 GMT`.
    pub fn to_http_date(self) -> String {
        // httpdate formats years up to 9999 and panics beyond; a hostile `exp` must not get that far.
        httpdate::fmt_http_date(UnixMillis(self.0.clamp(0, 253_402_300_799_000)).to_system_time())
    }

    /// Reads an RFC 1123 date.
    pub fn from_http_date(text: &str) -> Option<Self> {
        let at = httpdate::parse_http_date(text.trim()).ok()?;
        let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok().map(UnixMillis)
    }
}

impl Add<Duration> for UnixMillis {
    type Output = UnixMillis;
    fn add(self, rhs: Duration) -> UnixMillis {
        self.offset(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Shown as `2025-11-07 05:23:06Z` (seconds, UTC).
impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.div_euclid(1000);
        let (days, rest) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        write!(f, "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
    }
}

/// Gregorian date of a day count since 1970-01-01 (the usual era arithmetic with 400-year cycles).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Both clocks, read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For waiting.
    pub mono: Mono,
    /// For expiry.
    pub wall: UnixMillis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_utc_seconds() {
        assert_eq!(UnixMillis(0).to_string(), "1970-01-01 00:00:00Z");
        assert_eq!(UnixMillis::from_secs(1_762_491_766).to_string(), "2025-11-07 05:02:46Z");
        assert_eq!(UnixMillis::from_secs(1_709_164_800).to_string(), "2024-02-29 00:00:00Z");
        assert_eq!(UnixMillis::from_secs(-1).to_string(), "1969-12-31 23:59:59Z");
    }

    #[test]
    fn http_dates_round_trip_and_survive_absurd_values() {
        let at = UnixMillis::from_secs(1_772_366_400);
        assert_eq!(at.to_http_date(), "Sun, 01 Mar 2026 12:00:00 GMT");
        assert_eq!(UnixMillis::from_http_date("Sun, 01 Mar 2026 12:00:00 GMT"), Some(at));
        assert!(UnixMillis(i64::MAX).to_http_date().ends_with("9999 23:59:59 GMT"));
        assert_eq!(UnixMillis::from_http_date("yesterday"), None);
    }
}
