//! Virtual time: one true time, and the two clocks of a machine that may sleep or have its date changed.

use std::time::Duration;

use outlast_core::engine::time::{Mono, Now, UnixMillis};

/// The true date at which every simulation begins: 2026-03-01 12:00:00 UTC.
pub const EPOCH: UnixMillis = UnixMillis(1_772_366_400_000);

/// True time and what the machine's clocks make of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    time: Duration,
    asleep: Duration,
    wrong_ms: i64,
    stepped: Option<Duration>,
}

impl Clock {
    /// True time since the beginning.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// What the machine's clocks show. The monotonic one stands still while the machine sleeps.
    pub fn now(&self) -> Now {
        Now { mono: Mono(self.time.saturating_sub(self.asleep)), wall: self.server().offset(self.wrong_ms) }
    }

    /// What the server's clock shows: the true date.
    pub fn server(&self) -> UnixMillis {
        EPOCH + self.time
    }

    /// How far the machine's date is ahead of the true one, milliseconds.
    pub fn wrong_ms(&self) -> i64 {
        self.wrong_ms
    }

    /// The true time at which the monotonic clock will show `moment`, if the machine stays awake.
    pub fn when(&self, moment: Mono) -> Duration {
        moment.0.saturating_add(self.asleep)
    }

    /// Lets time pass until `time`; never backwards.
    pub fn advance(&mut self, time: Duration) {
        self.time = self.time.max(time);
    }

    /// Sets the machine's date forward or back.
    pub fn step(&mut self, ms: i64) {
        self.wrong_ms += ms;
        self.stepped = Some(self.time);
    }

    /// Whether the date was set, or the machine slept, not longer ago than this.
    pub fn was_stepped_within(&self, age: Duration) -> bool {
        self.stepped.is_some_and(|stepped| self.time.saturating_sub(stepped) < age)
    }

    /// Lets the machine sleep.
    pub fn sleep(&mut self, length: Duration) {
        self.time += length;
        self.asleep += length;
        self.stepped = Some(self.time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_stops_one_clock_and_steps_move_the_other() {
        let mut clock = Clock::default();
        clock.advance(Duration::from_secs(5));
        clock.sleep(Duration::from_mins(1));
        clock.step(-1000);
        assert_eq!(clock.now().mono, Mono(Duration::from_secs(5)));
        assert_eq!(clock.now().wall, EPOCH.offset(64_000));
        assert_eq!(clock.server(), EPOCH.offset(65_000));
        assert_eq!(clock.when(Mono(Duration::from_secs(6))), Duration::from_secs(66));
    }
}
