//! How many requests in flight a link can use, found while it is used.
//!
//! | state      | a measured window shows            | next                                     |
//! |------------|------------------------------------|------------------------------------------|
//! | Growing    | clearly more than with fewer       | twice as many                            |
//! | Growing    | no clear gain                      | back to what was before, Steady          |
//! | Growing    | as many as were ever let pass      | keep, Steady                             |
//! | Steady     | time for a look                    | Trying a quarter more, or a quarter less |
//! | Trying more| a gain                             | keep, Steady                             |
//! | Trying less| no loss: fewer do as well          | keep, Steady                             |
//! | Trying     | otherwise                          | back, Steady                             |
//! | any        | 429 or 503                         | three quarters at most, Calm             |
//! | Calm       | no further refusal for a while     | Growing, up to what was let pass         |
//!
//! A refused request gives its place back: while refusals come in a crowd, no more are in flight than the service still
//! serves. That number is not exceeded again for some minutes. Where none was let pass it was an outage and says
//! nothing about how many are too many.
//!
//! A window is judged only when exactly the permitted requests were in flight for its whole length: what waits for a
//! credential or is paused says nothing about the link, nor do parts that were begun before a step back.

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
/// How long the number of requests that a service let pass is believed to be its limit.
const LIMIT_HOLDS: Duration = Duration::from_mins(5);

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
    /// The last crowd of refusals: when it began, and how many requests were let pass.
    crowd: Option<(Mono, u32)>,
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// With the number to go back to.
    Growing(u32),
    Steady,
    Calm,
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
    pub(super) fn new(most: u32) -> Self {
        Knee {
            most,
            permitted: FIRST.min(most),
            state: State::Growing(1),
            settled: 0.0,
            windows: 0,
            look_down: true,
            crowd: None,
            window: None,
        }
    }

    /// Requests that may be in flight now.
    pub(super) fn permitted(&self) -> u32 {
        self.permitted
    }

    /// What was being measured is void: other than the permitted requests were in flight.
    pub(super) fn interrupt(&mut self) {
        self.window = None;
    }

    /// The service asks for less; `in_flight` requests are under way besides the refused one.
    pub(super) fn refused(&mut self, in_flight: u32, now: Mono) {
        match &mut self.crowd {
            // Refusals come in crowds; one step answers the crowd.
            Some((began, passed)) if now - *began < WINDOW => {
                *passed = (*passed).min(in_flight);
                let permitted = self.permitted.min(in_flight).max(1);
                self.change(permitted, State::Calm);
            }
            _ => {
                self.crowd = Some((now, in_flight));
                let permitted = (self.permitted * 3 / 4).min(in_flight).max(1);
                self.change(permitted, State::Calm);
            }
        }
    }

    /// As many requests as may be tried now.
    fn limit(&self, now: Mono) -> u32 {
        match self.crowd {
            Some((began, passed)) if passed > 0 && now - began < LIMIT_HOLDS => passed.min(self.most),
            _ => self.most,
        }
    }

    /// Bytes went out while the permitted requests were in flight.
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
        let limit = self.limit(now);
        match self.state {
            State::Growing(_) if rate >= self.settled * CLEAR_GAIN => {
                self.settled = rate;
                let more = self.permitted.saturating_mul(2).min(limit);
                if more > self.permitted {
                    self.change(more, State::Growing(self.permitted));
                } else {
                    self.state = State::Steady;
                }
            }
            State::Growing(back) => self.change(back, State::Steady),
            State::Calm => {
                if self.crowd.is_none_or(|(began, _)| now - began >= CALM) {
                    (self.settled, self.state) = (0.0, State::Growing(self.permitted));
                }
            }
            State::Steady => {
                self.settled = if self.settled == 0.0 { rate } else { self.settled.mul_add(0.7, rate * 0.3) };
                self.windows += 1;
                if self.windows < LOOK_EVERY {
                    return;
                }
                self.windows = 0;
                let quarter = (self.permitted / 4).max(1);
                let less = self.permitted.saturating_sub(quarter).max(1);
                let more = (self.permitted + quarter).min(limit).max(self.permitted);
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
        (Line { each, all, now, sent: 0.0 }, Knee::new(256))
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
        for refused in 1..=20 {
            knee.refused(before - refused, line.now);
        }
        assert_eq!(knee.permitted(), before * 3 / 4);
        line.run(&mut knee, Duration::from_secs(25));
        assert_eq!(knee.permitted(), before * 3 / 4);
        // What was let pass is tried again soon, more than that is not.
        line.run(&mut knee, Duration::from_mins(2));
        assert_eq!(knee.permitted(), before - 20);
        line.run(&mut knee, Duration::from_mins(5));
        assert!(knee.permitted() > before - 20);
    }

    #[test]
    fn a_refused_request_gives_its_place_back() {
        let (mut line, mut knee) = line(1e6, 1e9);
        line.run(&mut knee, Duration::from_mins(1));
        let before = knee.permitted();
        for in_flight in (10..before).rev() {
            knee.refused(in_flight, line.now);
        }
        assert_eq!(knee.permitted(), 10);
    }

    #[test]
    fn after_an_outage_it_grows_as_at_the_beginning() {
        let (mut line, mut knee) = line(1e6, 5e7);
        line.run(&mut knee, Duration::from_mins(5));
        let before = knee.permitted();
        for _ in 0..100 {
            line.now = line.now + Duration::from_secs(5);
            for in_flight in (0..knee.permitted()).rev() {
                knee.refused(in_flight, line.now);
            }
        }
        assert_eq!(knee.permitted(), 1);
        line.run(&mut knee, Duration::from_mins(2));
        assert!(knee.permitted() >= before * 3 / 4, "{} after {before}", knee.permitted());
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
