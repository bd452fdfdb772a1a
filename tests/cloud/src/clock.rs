//! The cloud's own clock: wall time, shifted or frozen on demand.
//!
//! Everything that compares times (token life, signature dates) and everything that shows them (`Date`, `iat`, the log)
//! reads this clock, so shifting it is the same as meeting a client whose clock is wrong the other way.

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Wall time in milliseconds since 1970 UTC.
pub(crate) type Millis = i64;

#[derive(Debug, Default)]
struct State {
    shift_ms: i64,
    frozen_ms: Option<Millis>,
}

#[derive(Debug, Default)]
pub(crate) struct Clock(Mutex<State>);

impl Clock {
    pub(crate) fn now(&self) -> Millis {
        let state = self.state();
        state.frozen_ms.unwrap_or_else(system_now).saturating_add(state.shift_ms)
    }

    /// Sets how far this clock is ahead of the machine's (negative: behind), replacing any earlier shift.
    pub(crate) fn set_shift(&self, shift_ms: i64) {
        self.state().shift_ms = shift_ms;
    }

    /// Moves this clock forward (negative: backward) from where it is.
    pub(crate) fn advance(&self, by_ms: i64) {
        let mut state = self.state();
        state.shift_ms = state.shift_ms.saturating_add(by_ms);
    }

    pub(crate) fn shift(&self) -> i64 {
        self.state().shift_ms
    }

    /// Stops the clock at `at`, or lets it run again with the machine's clock and no shift.
    pub(crate) fn freeze(&self, at: Option<Millis>) {
        let mut state = self.state();
        state.frozen_ms = at;
        state.shift_ms = 0;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Whole seconds since 1970, rounded down.
pub(crate) fn whole_seconds(at: Millis) -> i64 {
    at.div_euclid(1000)
}

/// `Sun, 01 Mar 2026 12:00:00 GMT`; times before 1970 show as 1970.
pub(crate) fn http_date(at: Millis) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(u64::try_from(at).unwrap_or(0)))
}

/// Parses exactly the form that [`http_date`] writes; the two obsolete forms are refused.
pub(crate) fn parse_http_date(text: &str) -> Option<Millis> {
    let time = httpdate::parse_http_date(text).ok()?;
    let at = Millis::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()?;
    (http_date(at) == text).then_some(at)
}

/// `2026-03-01T12:00:00.000Z`
pub(crate) fn rfc3339(at: Millis) -> String {
    let (days, ms) = (at.div_euclid(86_400_000), at.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// Proleptic Gregorian date of a day counted from 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
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

fn system_now() -> Millis {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX),
        Err(before) => -Millis::try_from(before.duration().as_millis()).unwrap_or(Millis::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_one_spelling() {
        assert_eq!(parse_http_date("Sun, 01 Mar 2026 12:00:00 GMT"), Some(1_772_366_400_000));
        assert_eq!(parse_http_date("Sunday, 01-Mar-26 12:00:00 GMT"), None);
        assert_eq!(parse_http_date("Mon, 01 Mar 2026 12:00:00 GMT"), None);
        assert_eq!(rfc3339(1_772_366_400_123), "2026-03-01T12:00:00.123Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00.000Z");
    }

    #[test]
    fn a_frozen_clock_moves_only_when_pushed() {
        let clock = Clock::default();
        clock.freeze(Some(5_000));
        clock.advance(1_500);
        assert_eq!(clock.now(), 6_500);
    }
}
