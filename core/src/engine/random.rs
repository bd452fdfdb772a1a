//! Seeded randomness for jitter: reproducible, not for secrets.

use std::time::Duration;

/// SplitMix64: tiny, well distributed, and the same on every platform for the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that always gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; zero if `bound` is zero. The bias of the multiply-shift is below 2^-32 for our bounds.
    pub fn below(&mut self, bound: u64) -> u64 {
        u64::try_from((u128::from(self.bits()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// True with probability `percent` / 100.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A duration in `0..=max` (full jitter).
    pub fn up_to(&mut self, max: Duration) -> Duration {
        let nanos = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX - 1);
        Duration::from_nanos(self.below(nanos.saturating_add(1)))
    }
}

/// Exponential backoff with full jitter: a random part of `min(first × 2^n, cap)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Longest possible first wait.
    pub first: Duration,
    /// Longest possible wait at all.
    pub cap: Duration,
}

impl Backoff {
    /// The wait before attempt `failures + 1`, at least `retry_after` when the service named one.
    ///
    /// A service's delay is obeyed up to an hour; beyond that it is taken for nonsense.
    pub fn wait(self, failures: u32, retry_after: Option<Duration>, random: &mut Random) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let window = self.first.saturating_mul(1 << doublings).min(self.cap);
        let jittered = random.up_to(window);
        match retry_after {
            // Jitter on top of the service's delay keeps fifteen parts from returning in one instant.
            Some(delay) => delay.min(Duration::from_hours(1)) + jittered / 4,
            None => jittered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_obey_the_service() {
        let backoff = Backoff { first: Duration::from_secs(1), cap: Duration::from_mins(1) };
        let mut random = Random::new(7);
        for failures in 1..40 {
            let bound = Duration::from_secs(1 << (failures - 1).min(6)).min(backoff.cap);
            assert!(backoff.wait(failures, None, &mut random) <= bound);
        }
        assert!(backoff.wait(1, Some(Duration::from_secs(9)), &mut random) >= Duration::from_secs(9));
    }

    #[test]
    fn below_stays_below() {
        let mut random = Random::new(1);
        assert!((0..1000).all(|_| random.below(10) < 10));
        assert_eq!(random.below(0), 0);
    }
}
