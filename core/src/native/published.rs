//! The current lease, where every thread can see it: callers of a fresh session need no trip to the engine's thread, no
//! lock and no allocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::clock;
use crate::engine::credential::{Generation, Lease};
use crate::engine::session::StandingLease;
use crate::engine::time::UnixMillis;

/// While a renewal is due, callers remind the engine of it so often at most, milliseconds.
const REMIND_EVERY_MS: u64 = 1000;

/// Moments that differ by less are the same, milliseconds.
const SAME_MS: u64 = 50;

/// What the engine's thread shows to callers' threads.
#[derive(Default)]
pub(crate) struct Published {
    current: ArcSwapOption<Standing>,
    /// The last generation that was refused: the engine's thread may show it once more before it has heard of that.
    refused: AtomicU64,
    /// Server minus local clock.
    skew_ms: AtomicI64,
    /// When callers may remind the engine next, by the wall clock; 0: at once.
    remind_at: AtomicU64,
}

/// A lease with the moments at which it changes its worth.
///
/// They are compared with the wall clock, which sees that a machine slept. What it does not see, that it was set back, is seen
/// by the engine's thread: that wakes at these moments by the monotonic clock, and shows something else.
struct Standing {
    lease: Lease,
    skew_ms: i64,
    advisory: Option<UnixMillis>,
    mandatory: Option<UnixMillis>,
}

/// What a caller finds: what it made of the lease.
pub(crate) enum Found<T> {
    /// Take it.
    Fresh(T),
    /// Take it, and remind the engine that a renewal is due.
    Due(T),
    /// Ask the engine.
    Nothing,
}

impl Published {
    /// Gives `read` the current lease, if it may be used without asking.
    ///
    /// Neither locks nor allocates (a thread's first call registers the thread, once), and reads one cheap clock.
    pub(crate) fn find<T>(&self, read: impl FnOnce(&Lease) -> T) -> Found<T> {
        let standing = self.current.load();
        let Some(standing) = &*standing else { return Found::Nothing };
        let Some(mandatory) = standing.mandatory else { return Found::Fresh(read(&standing.lease)) };
        let now = clock::wall_at_tick();
        if now >= mandatory {
            return Found::Nothing;
        }
        if standing.advisory.is_some_and(|advisory| now >= advisory) && self.reminds(now) {
            return Found::Due(read(&standing.lease));
        }
        Found::Fresh(read(&standing.lease))
    }

    /// Whether it is this caller who reminds the engine.
    fn reminds(&self, now: UnixMillis) -> bool {
        let now = u64::try_from(now.0).unwrap_or(0);
        let due = self.remind_at.load(Ordering::Relaxed);
        let next = now.saturating_add(REMIND_EVERY_MS);
        // Further ahead than anybody sets it: the clock was set back.
        (now >= due || due > next)
            && self.remind_at.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Shows what the engine says now. Called often; what has not changed is left alone.
    pub(crate) fn show(&self, standing: Option<StandingLease>, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
        let standing =
            standing.filter(|standing| standing.lease.generation.0 > self.refused.load(Ordering::Acquire));
        let now = clock::wall();
        // Callers' clock may be a tick behind: they see the moment come in time.
        let moment = |wait: Duration| (now + wait).offset(-clock::TICK_MS);
        let shown = self.current.load();
        let same = match (&*shown, &standing) {
            (None, None) => true,
            (Some(shown), Some(standing)) => {
                shown.lease.generation == standing.lease.generation
                    && shown.skew_ms == skew_ms
                    // The moments are told relative to now: only a real change counts, and a clock that was set is one.
                    && shown.mandatory.is_some() == standing.mandatory_in.is_some()
                    && shown.mandatory.zip(standing.mandatory_in).is_none_or(|(shown, left)| {
                        let told = shown.0.abs_diff(moment(left).0);
                        told < SAME_MS
                    })
            }
            _ => false,
        };
        if same {
            return;
        }
        self.remind_at.store(0, Ordering::Relaxed);
        self.current.store(standing.map(|standing| {
            Arc::new(Standing {
                lease: standing.lease,
                skew_ms,
                advisory: standing.advisory_in.map(moment),
                mandatory: standing.mandatory_in.map(moment),
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
        match published.find(Lease::clone) {
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
        // The clock was set back by an hour after somebody had reminded: the next one does.
        published.show(Some(standing(4, 0, 1000)), 7);
        let hour = u64::try_from(clock::wall().0).expect("after 1970") + 3_600_000;
        published.remind_at.store(hour, Ordering::Relaxed);
        assert_eq!((found(&published), found(&published)), ((4, true), (4, false)));
        // A credential without an end needs no clock.
        published.show(Some(StandingLease { advisory_in: None, mandatory_in: None, ..standing(5, 0, 0) }), 0);
        assert_eq!(found(&published), (5, false));
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
