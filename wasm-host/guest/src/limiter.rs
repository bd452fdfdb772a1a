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
/// A grant is worth so much time, unless less is wanted: many requests that share a rate would live on crumbs, each with a
/// call of the host.
const WORTH: Duration = Duration::from_millis(50);

impl Limiter {
    /// At most `rate` bytes per second; at least one.
    pub(crate) fn new(rate: u64) -> Self {
        Limiter { rate: rate.max(1), granted_until: Mono::default() }
    }

    /// How many bytes of `wanted` may go out now; none means: ask again at [`Limiter::next`].
    pub(crate) fn grant(&mut self, wanted: u64, now: Mono) -> u64 {
        self.granted_until = self.granted_until.max(now);
        let room = (now + AHEAD) - self.granted_until;
        let room = self.in_time(room);
        let granted = if room >= self.least().min(wanted) {
            wanted.min(room)
        } else {
            // Slow rates still move: a byte takes longer than may be granted ahead.
            wanted.min(u64::from(self.granted_until == now))
        };
        self.granted_until = self.granted_until + self.time_of(granted);
        granted
    }

    fn time_of(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn in_time(&self, time: Duration) -> u64 {
        u64::try_from(time.as_nanos() * u128::from(self.rate) / 1_000_000_000).unwrap_or(u64::MAX)
    }

    fn least(&self) -> u64 {
        self.in_time(WORTH).max(1)
    }

    /// When there is room again.
    pub(crate) fn next(&self) -> Mono {
        Mono(self.granted_until.0.saturating_sub(AHEAD.saturating_sub(self.time_of(self.least()))))
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

    #[test]
    fn nobody_gets_crumbs_or_asks_in_vain() {
        for rate in [3u64, 1000, 5 << 20] {
            let mut limiter = Limiter::new(rate);
            let mut now = Mono(Duration::from_secs(5));
            let end = now + Duration::from_secs(5);
            let (mut asked, mut given) = (0u64, 0);
            while now < end {
                // Fifteen requests share the rate.
                for _ in 0..15 {
                    let granted = limiter.grant(64 << 10, now);
                    assert!(granted == 0 || granted >= limiter.least().min(64 << 10), "{granted} at {rate}");
                    (asked, given) = (asked + 1, given + u64::from(granted > 0));
                    now = now + Duration::from_micros(1);
                }
                now = now.max(limiter.next());
            }
            assert!(
                given > 0 && asked <= 15 * (given + 1),
                "{asked} times asked for {given} grants at {rate}"
            );
        }
    }
}
