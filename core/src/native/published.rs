//! The current lease, where every thread can see it: callers of a fresh session need no trip to the engine's thread, no
//! lock and no allocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::clock;
use crate::engine::credential::{Generation, Lease};
use crate::engine::session::StandingLease;
use crate::engine::time::UnixMillis;

/// While a renewal is due, callers remind the engine of it so often at most.
const REMIND_EVERY: Duration = Duration::from_secs(1);

/// What the engine's thread shows to callers' threads.
pub(crate) struct Published {
    current: ArcSwapOption<Standing>,
    /// The last generation that was refused: the engine's thread may show it once more before it has heard of that.
    refused: AtomicU64,
    /// Server minus local clock.
    skew_ms: AtomicI64,
    started: Instant,
    /// When callers may remind the engine next, milliseconds since `started`.
    remind_at: AtomicU64,
}

/// A lease with the moments at which it changes its worth, by both clocks: a stepped wall clock and a machine that slept
/// are each seen by one of them only.
struct Standing {
    lease: Lease,
    skew_ms: i64,
    advisory: Option<Moment>,
    mandatory: Option<Moment>,
}

#[derive(Clone, Copy)]
struct Moment {
    mono: Instant,
    wall: UnixMillis,
}

impl Moment {
    fn after(wait: Duration, (mono, wall): (Instant, UnixMillis)) -> Option<Moment> {
        // Beyond the clock's range is never.
        Some(Moment { mono: mono.checked_add(wait)?, wall: wall + wait })
    }

    fn has_come(self, (mono, wall): (Instant, UnixMillis)) -> bool {
        mono >= self.mono || wall >= self.wall
    }
}

/// What a caller finds.
pub(crate) enum Found {
    /// Take it.
    Fresh(Lease),
    /// Take it, and remind the engine that a renewal is due.
    Due(Lease),
    /// Ask the engine.
    Nothing,
}

impl Default for Published {
    fn default() -> Self {
        Published {
            current: ArcSwapOption::empty(),
            refused: AtomicU64::new(0),
            skew_ms: AtomicI64::new(0),
            started: Instant::now(),
            remind_at: AtomicU64::new(0),
        }
    }
}

impl Published {
    /// The current lease, if it may be used without asking.
    ///
    /// Neither locks nor allocates (a thread's first call registers the thread, once).
    pub(crate) fn find(&self) -> Found {
        let standing = self.current.load();
        let Some(standing) = &*standing else { return Found::Nothing };
        let Some(mandatory) = standing.mandatory else { return Found::Fresh(standing.lease.clone()) };
        let now = (Instant::now(), clock::wall());
        if mandatory.has_come(now) {
            return Found::Nothing;
        }
        if standing.advisory.is_some_and(|advisory| advisory.has_come(now)) && self.reminds(now.0) {
            return Found::Due(standing.lease.clone());
        }
        Found::Fresh(standing.lease.clone())
    }

    /// Whether it is this caller who reminds the engine.
    fn reminds(&self, now: Instant) -> bool {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let at = millis(now.saturating_duration_since(self.started));
        let due = self.remind_at.load(Ordering::Relaxed);
        let next = at.saturating_add(millis(REMIND_EVERY));
        at >= due && self.remind_at.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Shows what the engine says now. Called often; what has not changed is left alone.
    pub(crate) fn show(&self, standing: Option<StandingLease>, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
        let standing =
            standing.filter(|standing| standing.lease.generation.0 > self.refused.load(Ordering::Acquire));
        let shown = self.current.load();
        let same = match (&*shown, &standing) {
            (None, None) => true,
            (Some(shown), Some(standing)) => {
                shown.lease.generation == standing.lease.generation
                    && shown.skew_ms == skew_ms
                    // The moments are told relative to now: only a real change counts.
                    && shown.mandatory.is_some() == standing.mandatory_in.is_some()
                    && shown.mandatory.zip(standing.mandatory_in).is_none_or(|(shown, left)| {
                        let now = Instant::now();
                        let told = shown.mono.saturating_duration_since(now);
                        told.abs_diff(left) < Duration::from_millis(50)
                    })
            }
            _ => false,
        };
        if same {
            return;
        }
        let now = (Instant::now(), clock::wall());
        let moment = |wait: Option<Duration>| wait.and_then(|wait| Moment::after(wait, now));
        self.remind_at.store(0, Ordering::Relaxed);
        self.current.store(standing.map(|standing| {
            Arc::new(Standing {
                lease: standing.lease,
                skew_ms,
                advisory: moment(standing.advisory_in),
                mandatory: moment(standing.mandatory_in),
            })
        }));
    }

    /// A caller was refused under `generation`: nobody else shall run into that before the engine has taken it in.
    pub(crate) fn withdraw(&self, generation: Generation) {
        let shown = self.current.load();
        if shown.as_ref().is_some_and(|shown| shown.lease.generation == generation) {
            self.refused.fetch_max(generation.0, Ordering::AcqRel);
            // What another thread shows meanwhile stays.
            self.current.compare_and_swap(&*shown, None);
        }
    }

    /// Nothing will be shown any more: the session or its client is gone.
    pub(crate) fn close(&self) {
        self.current.store(None);
    }

    /// Server minus local clock, milliseconds.
    pub(crate) fn skew_ms(&self) -> i64 {
        self.skew_ms.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::credential::{Bearer, Credential, Grant};
    use crate::engine::secret::Secret;

    fn standing(generation: u64, advisory: u64, mandatory: u64) -> StandingLease {
        let bearer = Bearer::new(Secret::new("t".to_owned()), "Bearer").expect("a legal token");
        let grant = Arc::new(Grant::new(Credential::Bearer(bearer)));
        StandingLease {
            lease: Lease { generation: Generation(generation), grant },
            advisory_in: Some(Duration::from_secs(advisory)),
            mandatory_in: Some(Duration::from_secs(mandatory)),
        }
    }

    fn found(published: &Published) -> (u64, bool) {
        match published.find() {
            Found::Fresh(lease) => (lease.generation.0, false),
            Found::Due(lease) => (lease.generation.0, true),
            Found::Nothing => (0, false),
        }
    }

    #[test]
    fn each_window_has_its_answer() {
        let published = Published::default();
        assert_eq!(found(&published), (0, false));
        published.show(Some(standing(1, 1000, 2000)), 0);
        assert_eq!((found(&published), found(&published)), ((1, false), (1, false)));
        // A renewal is due: the token is handed out, one caller reminds.
        published.show(Some(standing(2, 0, 1000)), 0);
        assert_eq!((found(&published), found(&published)), ((2, true), (2, false)));
        published.show(Some(standing(3, 0, 0)), 0);
        assert_eq!(found(&published), (0, false));
        published.show(None, 7);
        assert_eq!((found(&published), published.skew_ms()), ((0, false), 7));
        // A credential without an end needs no clock.
        published.show(Some(StandingLease { advisory_in: None, mandatory_in: None, ..standing(4, 0, 0) }), 0);
        assert_eq!(found(&published), (4, false));
    }

    #[test]
    fn a_refusal_withdraws_its_own_generation_only() {
        let published = Published::default();
        published.show(Some(standing(2, 1000, 2000)), 0);
        published.withdraw(Generation(1));
        assert_eq!(found(&published), (2, false));
        published.withdraw(Generation(2));
        assert_eq!(found(&published), (0, false));
        // The engine's thread has not heard of it yet.
        published.show(Some(standing(2, 1000, 2000)), 0);
        assert_eq!(found(&published), (0, false));
        published.show(Some(standing(3, 1000, 2000)), 0);
        assert_eq!(found(&published), (3, false));
    }
}
