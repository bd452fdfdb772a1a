//! The machine's two clocks, read together.

use std::time::{Duration, Instant, SystemTime};

use crate::engine::time::{Mono, Now, UnixMillis};

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
