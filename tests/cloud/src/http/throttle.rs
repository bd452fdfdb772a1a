//! One rate for all uploads together.

use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Grants bytes in the order they are asked for; each grant starts when the one before it is paid off.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<Option<Instant>>);

impl Throttle {
    /// Waits until `bytes` more may have passed at `rate` bytes per second.
    pub(crate) async fn take(&self, bytes: usize, rate: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a rounding error of nanoseconds")]
        let cost = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        let paid_off = {
            let mut next = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let now = Instant::now();
            let paid_off = next.map_or(now, |at| at.max(now)) + cost;
            *next = Some(paid_off);
            paid_off
        };
        tokio::time::sleep_until(paid_off).await;
    }

    /// How much one connection reads at a time, so that several share the rate smoothly: a fiftieth of a second's worth.
    pub(crate) fn slice(rate: u64) -> usize {
        usize::try_from((rate / 50).clamp(1024, 256 << 10)).unwrap_or(1024)
    }
}
