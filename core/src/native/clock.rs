//! The machine's two clocks, read together.

use std::time::{Duration, Instant, SystemTime};

use super::os;
use crate::engine::time::{Mono, Now, UnixMillis};

/// How far [`wall_at_tick`] may be behind, milliseconds: the longest tick that a kernel is built with (`CONFIG_HZ=100`).
pub(crate) const TICK_MS: i64 = 10;

/// Reads both clocks. The monotonic one counts from the clock's making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Clock { start: Instant::now() }
    }

    /// Both clocks.
    pub(crate) fn now(self) -> Now {
        Now { mono: Mono(self.start.elapsed()), wall: wall() }
    }

    /// Time until `moment`; zero if it has passed.
    pub(crate) fn until(self, moment: Mono) -> Duration {
        moment - self.now().mono
    }
}

/// The wall clock. A clock set before 1970 counts as 1970.
pub(crate) fn wall() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The wall clock as of the last tick, for those who look often: at most [`TICK_MS`] behind, for a fraction of the price.
pub(crate) fn wall_at_tick() -> UnixMillis {
    os::time_at_tick()
        .map_or_else(wall, |since| UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tick_is_never_ahead_and_hardly_behind() {
        for _ in 0..1000 {
            let (before, tick, after) = (wall(), wall_at_tick(), wall());
            assert!(tick <= after, "{tick:?} is after {after:?}");
            assert!(tick.offset(2 * TICK_MS) >= before, "{tick:?} is long before {before:?}");
        }
    }
}
