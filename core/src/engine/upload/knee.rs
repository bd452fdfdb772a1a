//! How many requests in flight a link can use, found while it is used.
//!
//! | state      | a measured window shows            | next                                     |
//! |------------|------------------------------------|------------------------------------------|
//! | Growing    | clearly more than with half as many| twice as many                            |
//! | Growing    | no clear gain                      | back to what was before, Steady          |
//! | Steady     | time for a look                    | Trying a quarter more, or a quarter less |
//! | Trying more| a gain                             | keep, Steady                             |
//! | Trying less| no loss: fewer do as well          | keep, Steady                             |
//! | Trying     | otherwise                          | back, Steady                             |
//! | any        | 429 or 503                         | three quarters, Steady                   |
//!
//! A window is judged only when all permitted requests were in use for its whole length: what waits for a credential or
//! is paused says nothing about the link.

use std::time::Duration;

use crate::engine::time::Mono;

/// Requests at the beginning.
const FIRST: u32 = 4;
/// Shortest window. Longer when parts are slow: it ends with bytes, never without.
const WINDOW: Duration = Duration::from_secs(2);
/// What counts as a gain of throughput when requests were doubled, in percent …
const CLEAR_GAIN: f64 = 1.15;
/// … and when there were a quarter more or fewer.
const GAIN: f64 = 1.04;
/// Windows between two looks; an upload on a steady link spends few of them on looking.
const LOOK_EVERY: u32 = 10;
/// After a refusal nothing more is tried for this long.
const CALM: Duration = Duration::from_secs(30);

/// The search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knee {
    most: u32,
    permitted: u32,
    state: State,
    /// Throughput with the number that is settled on, bytes per second.
    settled: f64,
    windows: u32,
    look_down: bool,
    calm_until: Mono,
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Growing,
    Steady,
    /// With the number to go back to.
    Trying(u32),
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Mono,
    bytes: u64,
    /// The change has not reached the line yet: the bytes of this window do not count.
    settling: bool,
}

impl Knee {
    /// A search that begins with few requests and never has more than `most`.
    pub(super) fn new(most: u32, now: Mono) -> Self {
        Knee {
            most,
            permitted: FIRST.min(most),
            state: State::Growing,
            settled: 0.0,
            windows: 0,
            look_down: true,
            calm_until: now,
            window: None,
        }
    }

    /// Requests that may be in flight now.
    pub(super) fn permitted(&self) -> u32 {
        self.permitted
    }

    /// What was being measured is void: the requests were not all in use.
    pub(super) fn interrupt(&mut self) {
        self.window = None;
    }

    /// The service asks for less.
    pub(super) fn refused(&mut self, now: Mono) {
        // Refusals come in crowds; one step answers the crowd.
        if now < self.calm_until && now + CALM - self.calm_until < WINDOW {
            return;
        }
        self.change((self.permitted * 3 / 4).max(1), State::Steady);
        self.settled = 0.0;
        self.calm_until = now + CALM;
    }

    /// Bytes went out while all permitted requests were in flight.
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 bits")]
    pub(super) fn sent(&mut self, bytes: u64, now: Mono) {
        let Some(window) = &mut self.window else {
            // These bytes were sent before anything was measured.
            self.window = Some(Window { began: now, bytes: 0, settling: true });
            return;
        };
        window.bytes += bytes;
        let elapsed = now - window.began;
        if elapsed < WINDOW {
            return;
        }
        let rate = window.bytes as f64 / elapsed.as_secs_f64();
        let settling = std::mem::replace(window, Window { began: now, bytes: 0, settling: false }).settling;
        if !settling {
            self.judge(rate, now);
        }
    }

    fn judge(&mut self, rate: f64, now: Mono) {
        match self.state {
            State::Growing if rate >= self.settled * CLEAR_GAIN && self.permitted < self.most => {
                self.settled = rate;
                self.change(self.permitted.saturating_mul(2).min(self.most), State::Growing);
            }
            State::Growing if rate >= self.settled * CLEAR_GAIN => {
                self.settled = rate;
                self.state = State::Steady;
            }
            State::Growing => self.change((self.permitted / 2).max(1), State::Steady),
            State::Steady => {
                self.settled = if self.settled == 0.0 { rate } else { self.settled.mul_add(0.7, rate * 0.3) };
                self.windows += 1;
                if self.windows < LOOK_EVERY || now < self.calm_until {
                    return;
                }
                self.windows = 0;
                let quarter = (self.permitted / 4).max(1);
                let less = self.permitted.saturating_sub(quarter).max(1);
                let more = (self.permitted + quarter).min(self.most);
                let to = if self.look_down { less } else { more };
                self.look_down = !self.look_down;
                if to != self.permitted {
                    self.change(to, State::Trying(self.permitted));
                }
            }
            State::Trying(back) => {
                let keep = if self.permitted > back {
                    rate >= self.settled * GAIN
                } else {
                    rate * GAIN.sqrt() >= self.settled
                };
                if keep {
                    // What pays once is tried again in the same direction.
                    self.look_down = self.permitted < back;
                    (self.settled, self.state, self.windows) = (rate, State::Steady, LOOK_EVERY / 2);
                } else {
                    self.change(back, State::Steady);
                }
            }
        }
    }

    fn change(&mut self, permitted: u32, state: State) {
        (self.permitted, self.state, self.window, self.windows) = (permitted, state, None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line on which one request gets at most `each` bytes per second and together `all`.
    struct Line {
        each: f64,
        all: f64,
        now: Mono,
        sent: f64,
    }

    impl Line {
        fn run(&mut self, knee: &mut Knee, time: Duration) {
            let step = Duration::from_millis(100);
            let mut ran = Duration::ZERO;
            while ran < time {
                ran += step;
                self.now = self.now + step;
                let rate = (f64::from(knee.permitted()) * self.each).min(self.all);
                self.sent += rate * step.as_secs_f64();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a test's bytes"
                )]
                knee.sent((rate * step.as_secs_f64()) as u64, self.now);
            }
        }
    }

    fn line(each: f64, all: f64) -> (Line, Knee) {
        let now = Mono::default();
        (Line { each, all, now, sent: 0.0 }, Knee::new(256, now))
    }

    #[test]
    fn it_finds_the_number_that_fills_the_line_and_not_many_more() {
        for (each, total, least) in [(1e6, 1e7, 10), (1e6, 1e8, 100), (1e7, 1e7, 1), (3e5, 1.2e7, 40)] {
            let (mut line, mut knee) = line(each, total);
            line.run(&mut knee, Duration::from_mins(5));
            let found = knee.permitted();
            assert!(found >= least * 3 / 4 && found <= least * 2 + FIRST, "{found} for {least}");
            let before = line.sent;
            line.run(&mut knee, Duration::from_mins(30));
            let share = (line.sent - before) / (total * 1800.0);
            assert!(share > 0.98, "{share} of the line with {}", knee.permitted());
        }
    }

    #[test]
    fn it_follows_a_line_that_changes() {
        let (mut line, mut knee) = line(1e6, 1e7);
        line.run(&mut knee, Duration::from_mins(2));
        line.all = 4e7;
        line.run(&mut knee, Duration::from_mins(15));
        assert!(knee.permitted() >= 36, "{}", knee.permitted());
    }

    #[test]
    fn a_crowd_of_refusals_is_one_step_back_and_growth_waits() {
        let (mut line, mut knee) = line(1e6, 1e9);
        line.run(&mut knee, Duration::from_mins(1));
        let before = knee.permitted();
        for _ in 0..20 {
            knee.refused(line.now);
        }
        assert_eq!(knee.permitted(), before * 3 / 4);
        line.run(&mut knee, Duration::from_secs(25));
        assert_eq!(knee.permitted(), before * 3 / 4);
        for _ in 0..100 {
            line.now = line.now + Duration::from_secs(5);
            knee.refused(line.now);
        }
        assert_eq!(knee.permitted(), 1);
    }

    #[test]
    fn silence_is_not_a_measurement() {
        let (mut line, mut knee) = line(1e6, 1e7);
        line.run(&mut knee, Duration::from_mins(2));
        let found = knee.permitted();
        for _ in 0..50 {
            knee.interrupt();
            line.now = line.now + Duration::from_mins(10);
            line.run(&mut knee, Duration::from_secs(3));
        }
        assert_eq!(knee.permitted(), found);
    }
}
