//! What one request has moved, and when: progress reports and stall detection come from here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Bytes the kernel may hold for a socket (Linux: `tcp_wmem` maximum, 4 MiB by default): they count as sent here
/// while they still have to cross a slow line.
const KERNEL_BUFFER: u64 = 4 << 20;
/// Longest wait for an answer that a slow line can justify.
const LONGEST_ALLOWANCE: Duration = Duration::from_mins(10);

/// Shared by a request's body, which writes it, and the task that watches the request.
pub(crate) struct Meter {
    start: Instant,
    /// Bytes the connection has taken.
    taken: AtomicU64,
    /// When something last moved, milliseconds since `start`.
    moved: AtomicU64,
    /// The connection waits for bytes of ours, so silence is not its fault.
    starving: AtomicBool,
    /// When the connection had taken the whole body, milliseconds since `start`; `u64::MAX` before.
    whole: AtomicU64,
}

impl Meter {
    /// A meter that starts now.
    pub(crate) fn start() -> Self {
        Meter {
            start: Instant::now(),
            taken: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            starving: AtomicBool::new(false),
            whole: AtomicU64::new(u64::MAX),
        }
    }

    /// Something moved.
    pub(crate) fn touch(&self) {
        self.moved.store(self.millis(), Ordering::Relaxed);
    }

    /// The connection took `bytes` of the body.
    pub(crate) fn took(&self, bytes: u64) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        self.starving.store(false, Ordering::Relaxed);
        self.touch();
    }

    /// The connection asked for bytes that are not there yet.
    pub(crate) fn starve(&self) {
        self.starving.store(true, Ordering::Relaxed);
    }

    /// The connection has all of the body.
    pub(crate) fn complete(&self) {
        self.whole.store(self.millis(), Ordering::Release);
        self.starving.store(false, Ordering::Relaxed);
        self.touch();
    }

    /// Whether the connection has taken the whole body.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Acquire) != u64::MAX
    }

    /// Since when the request runs.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Ends when nothing has moved in either direction for `limit`.
    ///
    /// Waiting for the local source or for the rate limit is not a stall. Once the body is handed over, the kernel
    /// may still be sending: a line that was slow gets the time that its buffer needs.
    pub(crate) async fn stalled(&self, limit: Duration) {
        loop {
            let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
            let idle = self.start.elapsed().saturating_sub(moved);
            let limit = if self.is_whole() { limit.max(self.drain_time()) } else { limit };
            if self.starving.load(Ordering::Relaxed) {
                self.touch();
                sleep(limit).await;
            } else if idle >= limit {
                return;
            } else {
                sleep(limit.saturating_sub(idle)).await;
            }
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// Twice the time the kernel's buffer takes at the mean rate of the body.
    fn drain_time(&self) -> Duration {
        let taken = self.taken.load(Ordering::Relaxed);
        let buffered = KERNEL_BUFFER.min(taken);
        let sending = self.whole.load(Ordering::Acquire);
        let drain = u128::from(buffered) * 2 * u128::from(sending) / u128::from(taken.max(1));
        Duration::from_millis(u64::try_from(drain).unwrap_or(u64::MAX)).min(LONGEST_ALLOWANCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn silence_is_a_stall_and_movement_is_not() {
        let meter = Meter::start();
        let start = Instant::now();
        tokio::join!(meter.stalled(LIMIT), async {
            sleep(Duration::from_secs(50)).await;
            meter.took(1);
        });
        assert_eq!(start.elapsed().as_secs(), 110);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_our_own_bytes_is_not_a_stall() {
        let meter = Meter::start();
        let start = Instant::now();
        meter.starve();
        tokio::join!(meter.stalled(LIMIT), async {
            sleep(Duration::from_secs(1000)).await;
            meter.took(1);
        });
        assert!((1060..=1061).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_line_gets_time_to_drain() {
        let meter = Meter::start();
        let start = Instant::now();
        sleep(Duration::from_secs(400)).await;
        meter.took(16 << 20);
        meter.complete();
        // 16 MiB in 400 s: 4 MiB need 100 s, twice that are 200 s.
        meter.stalled(LIMIT).await;
        let waited = start.elapsed().as_secs() - 400;
        assert_eq!(waited, 200);
    }
}
