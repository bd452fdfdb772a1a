//! How fast it goes, and whether the session lasts as long.

use std::time::Duration;

use super::{Phase, Progress, Upload};
use crate::engine::command::Notice;
use crate::engine::machine::Context;
use crate::engine::session::SessionState;
use crate::engine::time::{Mono, Now, UnixMillis};

/// Rates are averaged over about this long.
const MEMORY_SECONDS: f64 = 20.0;
/// Forecasts rest on about this long: progress may be reported in lumps of minutes.
const LONG_SECONDS: f64 = 600.0;
/// Samples are folded in at this pace.
const SAMPLE: Duration = Duration::from_millis(500);
/// No forecast before this many samples.
const LEAST_SAMPLES: u32 = 3;
/// No forecast before this much time: the first moments say little.
const WARM_UP: Duration = Duration::from_secs(2);

/// The rate estimate: of bytes, or of whatever units a job counts in.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Forecast {
    began: Mono,
    sampled: Mono,
    bytes: u64,
    /// Bytes per second of late.
    rate: f64,
    /// Bytes per second in the longer run, for forecasts.
    steady: f64,
    samples: u32,
    told: Option<UnixMillis>,
}

impl Forecast {
    pub(in crate::engine) fn new(now: Mono) -> Self {
        Forecast { began: now, sampled: now, bytes: 0, rate: 0.0, steady: 0.0, samples: 0, told: None }
    }

    /// Forgets the rate: the circumstances have changed.
    pub(super) fn restart(&mut self, now: Mono) {
        *self = Forecast { told: self.told, ..Forecast::new(now) };
    }

    /// Bytes went out. They count for the next sample: of parts that report in the same instant, the first would
    /// otherwise stand for all.
    pub(in crate::engine) fn sent(&mut self, bytes: u64, now: Mono) {
        if self.samples == 0 && self.bytes == 0 {
            // Until the first report nothing is known, not even that nothing was sent.
            (self.began, self.sampled) = (now, now);
        }
        self.sample(now);
        self.bytes += bytes;
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 bits")]
    fn sample(&mut self, now: Mono) {
        let elapsed = now - self.sampled;
        if elapsed < SAMPLE {
            return;
        }
        let seconds = elapsed.as_secs_f64();
        let sample = self.bytes as f64 / seconds;
        let weight = if self.rate == 0.0 { 1.0 } else { 1.0 - (-seconds / MEMORY_SECONDS).exp() };
        self.rate += (sample - self.rate) * weight;
        // The plain average until there is a longer run.
        let share = (seconds / (now - self.began).as_secs_f64()).max(1.0 - (-seconds / LONG_SECONDS).exp());
        self.steady += (sample - self.steady) * share.min(1.0);
        self.samples = self.samples.saturating_add(1);
        self.bytes = 0;
        self.sampled = now;
    }

    /// Time to send `bytes`; `None` while nothing is known.
    #[expect(clippy::cast_precision_loss, reason = "a forecast needs no 53 bits")]
    pub(in crate::engine) fn time_for(&self, bytes: u64, now: Mono) -> Option<Duration> {
        if self.steady < 1.0 || self.samples < LEAST_SAMPLES || now - self.began < WARM_UP {
            return None;
        }
        // A century is long enough; the conversion would panic on absurd values.
        Some(Duration::from_secs_f64((bytes as f64 / self.steady).min(3.2e9)))
    }
}

impl Upload {
    /// Says so, once per horizon, when the upload will outlive the session at the present rate.
    pub(super) fn tell_forecast(&mut self, ctx: &mut Context<'_>) {
        if self.phase != Phase::Transferring {
            return;
        }
        let Some(left) = self.remaining_bytes() else { return };
        let Some(needed) = self.forecast.time_for(left, ctx.now.mono) else { return };
        let estimate = ctx.server_time() + needed;
        let Some(horizon) = ctx.session.effective_horizon() else {
            // Better to learn now than at the end of the first token whether this session can be extended at all.
            ctx.session.learn_whether_extensible(estimate, ctx.now);
            return;
        };
        if estimate > horizon && self.forecast.told != Some(horizon) {
            self.forecast.told = Some(horizon);
            let (session, upload) = (self.session, Some(self.id));
            ctx.notice(Notice::WillOutliveSession { session, upload, estimate, horizon });
        }
    }

    fn remaining_bytes(&self) -> Option<u64> {
        let gone = self.parts.stored_bytes() + self.parts.sent_bytes();
        Some(self.total_bytes()?.saturating_sub(gone))
    }

    /// Size of the object, when known.
    pub(super) fn total_bytes(&self) -> Option<u64> {
        match (&self.plan, &self.stream) {
            (Some(plan), _) => Some(plan.size),
            (None, Some(stream)) => stream.ended.then_some(stream.next_offset),
            (None, None) => None,
        }
    }

    /// A look at the upload.
    pub fn progress(&self, session: SessionState, now: Now) -> Progress {
        Progress {
            total: self.total_bytes(),
            stored: self.parts.stored_bytes(),
            in_flight: self.parts.sent_bytes(),
            parts_total: if self.single { 1 } else { self.parts.count() },
            parts_stored: self.parts.done(),
            parts_reused: self.parts.reused(),
            parts_in_flight: self.parts.permits(),
            retries: self.retries,
            refusals: self.refusals,
            parked: session == SessionState::Parked,
            paused: self.paused,
            rate: self.forecast.rate,
            eta: self.remaining_bytes().and_then(|left| self.forecast.time_for(left, now.mono)),
        }
    }
}
