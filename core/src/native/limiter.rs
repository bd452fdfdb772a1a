//! One rate limit for all parts together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep_until};

/// Grants are at most this fraction of a second's bytes, so that the line is used evenly.
const GRANTS_PER_SECOND: u64 = 16;
/// Smallest grant, bytes: below this the overhead of a write outweighs smoothness.
const LEAST_GRANT: u32 = 4 << 10;
/// Unused time that may be made up for; keeps the mean at the limit in spite of late wake-ups, without bursts.
const CREDIT: Duration = Duration::from_millis(250);

/// Hands out bytes at a rate. Waiters are served in order; the rate may change while they wait.
pub(crate) struct Limiter {
    /// Bytes per second; 0 means without limit.
    rate: AtomicU64,
    changed: Notify,
    /// When the next byte may go.
    next: Mutex<Instant>,
}

impl Limiter {
    /// A limiter; `None` means without limit.
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Limiter {
            rate: AtomicU64::new(rate.unwrap_or(0)),
            changed: Notify::new(),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Changes the rate in bytes per second; holds for those already waiting too.
    pub(crate) fn set(&self, rate: Option<u64>) {
        self.rate.store(rate.unwrap_or(0), Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Whether there is no limit now, so that nobody need ask.
    pub(crate) fn is_open(&self) -> bool {
        self.rate.load(Ordering::Relaxed) == 0
    }

    /// Waits for the right to send, and says how many bytes: at least 1, at most `wanted` (which is not 0).
    pub(crate) async fn acquire(&self, wanted: usize) -> usize {
        if self.is_open() {
            return wanted;
        }
        // Tokio's mutex is fair: whoever holds it is the next to send, the others queue behind.
        let mut next = self.next.lock().await;
        loop {
            let changed = self.changed.notified();
            let rate = self.rate.load(Ordering::Relaxed);
            if rate == 0 {
                return wanted;
            }
            let now = Instant::now();
            if *next <= now {
                let share = u32::try_from(rate / GRANTS_PER_SECOND).unwrap_or(u32::MAX).max(LEAST_GRANT);
                let grant = u32::try_from(wanted).unwrap_or(u32::MAX).min(share);
                *next = (*next).max(now.checked_sub(CREDIT).unwrap_or(now)) + time_for(grant, rate);
                return usize::try_from(grant).unwrap_or(wanted);
            }
            tokio::select! {
                () = sleep_until(*next) => {}
                () = changed => {
                    // Nobody waits out a debt made under a much lower rate.
                    let rate = self.rate.load(Ordering::Relaxed).max(1);
                    *next = (*next).min(now + time_for(LEAST_GRANT, rate));
                }
            }
        }
    }
}

/// How long `bytes` take at `rate`; `rate` is not 0. At most a year: 2^32 bytes at a byte a second are 136 years.
fn time_for(bytes: u32, rate: u64) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(Duration::from_hours(365 * 24))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn send(limiter: Arc<Limiter>, mut bytes: usize) {
        while bytes > 0 {
            bytes -= limiter.acquire(bytes.min(256 << 10)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_parts_together_keep_to_the_rate() {
        let limiter = Arc::new(Limiter::new(Some(1 << 20)));
        let start = Instant::now();
        let parts: Vec<_> = (0..4).map(|_| tokio::spawn(send(Arc::clone(&limiter), 1 << 20))).collect();
        for part in parts {
            part.await.expect("the task only waits");
        }
        let took = start.elapsed().as_secs_f64();
        assert!((3.6..4.2).contains(&took), "4 MiB at 1 MiB/s took {took} s");
    }

    #[tokio::test(start_paused = true)]
    async fn grants_are_small_and_one_sender_does_not_burst() {
        let limiter = Limiter::new(Some(160 << 10));
        let first = limiter.acquire(256 << 10).await;
        assert_eq!(first, 10 << 10);
        let start = Instant::now();
        limiter.acquire(1).await;
        assert!(start.elapsed() <= Duration::from_millis(70), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_rate_reaches_those_who_wait() {
        let limiter = Arc::new(Limiter::new(Some(1)));
        let start = Instant::now();
        limiter.acquire(4096).await;
        let waiter = tokio::spawn(send(Arc::clone(&limiter), 1 << 20));
        tokio::time::sleep(Duration::from_secs(1)).await;
        limiter.set(Some(1 << 20));
        waiter.await.expect("the task only waits");
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        limiter.set(None);
        assert_eq!(limiter.acquire(1 << 30).await, 1 << 30);
    }
}
