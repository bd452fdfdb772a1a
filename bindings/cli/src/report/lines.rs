//! Progress as plain lines: few, so that a log stays readable.

use std::time::{Duration, Instant};

use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::upload::Progress;

use super::bar;
use crate::words;

/// A line is due after so much time whatever happened.
const AT_MOST_EVERY: Duration = Duration::from_secs(30);
/// Never more often than this.
const AT_LEAST_APART: Duration = Duration::from_secs(3);
/// A line is due after so many percent.
const STEP_PERCENT: u64 = 10;

/// When the next line is due.
#[derive(Default)]
pub(super) struct Pace {
    last: Option<Instant>,
    step: u64,
}

impl Pace {
    /// Whether a line is due now.
    pub(super) fn is_due(&mut self, progress: &Progress, now: Instant) -> bool {
        // The first look starts the clock: the line that says what is uploaded has just been written.
        let last = *self.last.get_or_insert(now);
        let step = percent(progress).map_or(0, |percent| percent / STEP_PERCENT);
        let since = now.saturating_duration_since(last);
        let due = since >= AT_LEAST_APART && (step > self.step || since >= AT_MOST_EVERY);
        if due {
            self.last = Some(now);
            self.step = step;
        }
        due
    }
}

fn percent(progress: &Progress) -> Option<u64> {
    let total = progress.total.filter(|total| *total > 0)?;
    let done = (progress.stored + progress.in_flight).min(total);
    u64::try_from(u128::from(done) * 100 / u128::from(total)).ok()
}

/// `45 %, 115.2 of 256 MiB, 29/64 parts, 8.5 MiB/s, 17 s left; token for another 3 s`
pub(super) fn progress(progress: &Progress, expires_at: Option<UnixMillis>) -> String {
    let mut pieces = Vec::new();
    if let Some(percent) = percent(progress) {
        pieces.push(format!("{percent} %"));
    }
    pieces.push(bar::sizes(progress));
    if progress.parts_total > 1 {
        pieces.push(bar::parts(progress));
    }
    if progress.rate > 0.0 {
        pieces.push(words::rate(progress.rate));
    }
    if let Some(eta) = progress.eta {
        pieces.push(format!("{} left", words::span(eta)));
    }
    let token = expires_at
        .map(|end| format!("; token for another {}", words::span(end.since(words::now()))))
        .unwrap_or_default();
    format!("{}{token}", pieces.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(stored: u64) -> Progress {
        Progress { total: Some(1000), stored, ..Progress::default() }
    }

    #[test]
    fn a_line_per_ten_percent_or_half_a_minute_and_never_a_flood() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut due = |seconds, stored| pace.is_due(&at(stored), start + Duration::from_secs(seconds));
        assert!(!due(0, 0));
        assert!(!due(1, 500), "too soon");
        assert!(due(3, 500));
        assert!(!due(4, 900), "too soon");
        assert!(due(6, 900));
        assert!(!due(20, 950), "no new step");
        assert!(due(36, 960), "half a minute");
    }

    #[test]
    fn a_line_reads_well() {
        let look = Progress {
            total: Some(256 << 20),
            stored: 115 << 20,
            parts_total: 64,
            parts_stored: 29,
            rate: 8.5 * 1_048_576.0,
            eta: Some(Duration::from_secs(17)),
            ..Progress::default()
        };
        assert_eq!(progress(&look, None), "44 %, 115 of 256 MiB, 29/64 parts, 8.5 MiB/s, 17 s left");
        let stream = Progress { stored: 5 << 20, parts_total: 2, parts_stored: 1, ..Progress::default() };
        assert_eq!(progress(&stream, None), "5 MiB, 1 part");
    }
}
