//! The host's two clocks, read together.

use std::time::Duration;

use outlast_core::engine::time::{Mono, Now, UnixMillis};

use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};

/// Both clocks.
pub(crate) fn now() -> Now {
    Now { mono: mono(), wall: wall() }
}

/// The monotonic clock.
pub(crate) fn mono() -> Mono {
    Mono(Duration::from_nanos(monotonic_clock::now()))
}

/// The wall clock.
pub(crate) fn wall() -> UnixMillis {
    let now = wall_clock::now();
    UnixMillis::from_secs(i64::try_from(now.seconds).unwrap_or(i64::MAX))
        .offset(i64::from(now.nanoseconds / 1_000_000))
}
