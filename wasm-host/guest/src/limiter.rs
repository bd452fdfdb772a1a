//! A bound on the bytes sent per second.

use std::time::Duration;

use outlast_core::engine::time::Mono;

/// Bytes are granted at a steady rate; what was not used in the last tenth of a second is lost.
#[derive(Debug)]
pub(crate) struct Limiter {
    rate: u64,
    granted_until: Mono,
}

/// How far ahead of the clock bytes may be granted.
const AHEAD: Duration = Duration::from_millis(100);

impl Limiter {
    /// At most `rate` bytes per second; at least one.
    pub(crate) fn new(rate: u64) -> Self {
        Limiter { rate: rate.max(1), granted_until: Mono::default() }
    }

    /// How many bytes of `wanted` may go out now; none means: ask again at [`Limiter::next`].
    pub(crate) fn grant(&mut self, wanted: u64, now: Mono) -> u64 {
        self.granted_until = self.granted_until.max(now);
        let room = (now + AHEAD) - self.granted_until;
        let bytes =
            u64::try_from(room.as_nanos() * u128::from(self.rate) / 1_000_000_000).unwrap_or(u64::MAX);
        // Slow rates still move: one byte whenever there is any room at all.
        let granted = if room.is_zero() { 0 } else { wanted.min(bytes.max(1)) };
        let nanos = u128::from(granted) * 1_000_000_000 / u128::from(self.rate);
        self.granted_until =
            self.granted_until + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        granted
    }

    /// When there is room again.
    pub(crate) fn next(&self) -> Mono {
        Mono(self.granted_until.0.saturating_sub(AHEAD / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_the_rate_and_no_more() {
        for rate in [10u64, 1000, 4 << 20, 1 << 30] {
            let mut limiter = Limiter::new(rate);
            let (mut sent, mut now) = (0, Mono(Duration::from_secs(5)));
            let end = now + Duration::from_secs(10);
            while now < end {
                sent += limiter.grant(u64::MAX, now);
                now = now + Duration::from_millis(7);
            }
            let (least, most) = (rate * 9, rate * 11 + 1);
            assert!((least..=most).contains(&sent), "{sent} at {rate}");
        }
    }
}
