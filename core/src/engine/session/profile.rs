//! What is known beforehand about a session's source, and when to renew.

use std::time::Duration;

use crate::engine::chain::{Chain, ChainProfile, Known};
use crate::engine::credential::{Generation, Grant};
use crate::engine::error::Error;
use crate::engine::random::{Backoff, Random};
use crate::engine::time::UnixMillis;

/// What a session's source can do, and how long to bear with it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent abilities of a source")]
pub struct SessionProfile {
    /// Words for messages, for example `the session of profile LAB`.
    pub title: String,
    /// What a person does to get a new credential, for example ``run `oci session authenticate` ``.
    pub remedy: String,
    /// A further credential can be asked of a service.
    pub can_exchange: bool,
    /// That credential comes from what does not end (a secret, a key, a password): when one ends says nothing of the next.
    pub mints: bool,
    /// New credentials are persisted where other processes read them.
    pub can_store: bool,
    /// A person can make the source usable again while we wait.
    pub can_sign_in: bool,
    /// Renew even when nobody asks (the R mode); otherwise only when a lease is asked for (the Q mode).
    /// A held session (an upload in progress) is always on the timer.
    pub timer: bool,
    /// How long callers wait, parked, for somebody to sign in. Zero: fail at once.
    pub wait_for_login: Duration,
    /// How long callers wait for a service that gives no answer, once no usable credential is left.
    pub patience: Duration,
    /// When to renew.
    pub windows: Windows,
    /// Waits between failed renewals.
    pub backoff: Backoff,
    /// How the provider treats the chain of refresh tokens, for sources that have one.
    pub chain: ChainProfile,
}

impl Default for SessionProfile {
    fn default() -> Self {
        SessionProfile {
            title: "the session".into(),
            remedy: "sign in again".into(),
            can_exchange: true,
            mints: false,
            can_store: true,
            can_sign_in: true,
            timer: false,
            wait_for_login: Duration::ZERO,
            patience: Duration::from_mins(10),
            windows: Windows::default(),
            backoff: Backoff { first: Duration::from_secs(1), cap: Duration::from_mins(1) },
            chain: ChainProfile::default(),
        }
    }
}

/// When to renew, relative to the end of a credential (protocols/oauth2.md section 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// The advisory window's share of the lifetime, percent.
    pub advisory_percent: u32,
    /// Its least length, as far as half of the lifetime allows.
    pub advisory_least: Duration,
    /// The mandatory window, as far as a tenth of the lifetime allows.
    pub mandatory: Duration,
}

impl Default for Windows {
    fn default() -> Self {
        Windows {
            advisory_percent: 20,
            advisory_least: Duration::from_mins(1),
            mandatory: Duration::from_secs(10),
        }
    }
}

/// The leads of one credential: how long before its end each window opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leads {
    /// Refresh in the background from here.
    pub advisory: Duration,
    /// Callers wait from here.
    pub mandatory: Duration,
}

impl Windows {
    /// Leads for a credential that lives `lifetime`, jittered so that many processes do not refresh in one instant.
    pub fn leads(self, lifetime: Duration, random: &mut Random) -> Leads {
        let least = self.advisory_least.min(lifetime / 2);
        let advisory = (lifetime * self.advisory_percent / 100).max(least);
        let advisory = advisory.saturating_sub(random.up_to(advisory / 4));
        let mandatory = self.mandatory.min(lifetime / 10).min(advisory);
        Leads { advisory, mandatory }
    }
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Nothing loaded yet.
    Empty,
    /// The credential is good.
    Fresh,
    /// The credential is good and being renewed, or about to be.
    Advisory,
    /// Callers wait for the next credential.
    Mandatory,
    /// Only a person can help; callers wait as long as `wait_for_login` says.
    Parked,
    /// Nothing can help.
    Dead,
}

/// A look at a session.
#[derive(Clone, Debug)]
pub struct SessionStatus {
    /// Where it stands.
    pub state: SessionState,
    /// The current generation; 0 before the first.
    pub generation: Generation,
    /// When the current credential was issued, if it says so.
    pub issued_at: Option<UnixMillis>,
    /// When it ends, if it does.
    pub expires_at: Option<UnixMillis>,
    /// When the chain ends, if known.
    pub horizon: Option<UnixMillis>,
    /// Successful renewals by exchange so far.
    pub refreshes: u64,
    /// The chain of refresh tokens, for sources that have one.
    pub chain: Option<ChainStatus>,
    /// Why the last renewal failed, if it did.
    pub last_error: Option<Error>,
}

/// What is known of a chain of refresh tokens; nothing of it is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainStatus {
    /// Which link it is: 1 after signing in, one more with each exchange.
    pub serial: u64,
    /// When it began.
    pub started_at: Option<UnixMillis>,
    /// When it was extended last.
    pub refreshed_at: Option<UnixMillis>,
    /// It ends when it is not refreshed for so long.
    pub idle_limit: Option<Known<Duration>>,
    /// It ends here, whatever is done.
    pub absolute_end: Option<Known<UnixMillis>>,
    /// When the refresh token ends unless it is used before.
    pub ends_at: Option<UnixMillis>,
}

impl ChainStatus {
    pub(super) fn of(chain: &Chain) -> Self {
        ChainStatus {
            serial: chain.serial,
            started_at: chain.started_at,
            refreshed_at: chain.refreshed_at,
            idle_limit: chain.idle_limit,
            absolute_end: chain.absolute_end,
            ends_at: chain.ends_at(),
        }
    }
}

/// A lease that a driver may hand out by itself, without asking again, and until when.
#[derive(Clone, Debug)]
pub struct StandingLease {
    /// The current generation.
    pub lease: crate::engine::credential::Lease,
    /// From then on a renewal is due: ask the session too, which is what makes a lazy one renew. `None`: never.
    pub advisory_in: Option<Duration>,
    /// From then on callers wait: ask the session instead. `None`: never.
    pub mandatory_in: Option<Duration>,
}

/// What a caller who wants to send a request gets.
#[derive(Clone, Debug)]
pub enum LeaseAnswer {
    /// Go.
    Ready(crate::engine::credential::Lease),
    /// A renewal is under way, or somebody has to sign in; ask again after the session has moved.
    Wait,
    /// There will be none.
    Failed(Error),
}

/// The lifetime of a grant that was obtained at `obtained` (server time): its stated one, else what is left.
pub(super) fn lifetime(grant: &Grant, obtained: UnixMillis) -> Option<Duration> {
    let end = grant.expires_at?;
    Some(end.since(grant.issued_at.unwrap_or(obtained).min(obtained)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_scale_with_the_lifetime() {
        let mut random = Random::new(3);
        for seconds in [2u64, 5, 30, 61, 90, 300, 900, 3600, 86_400] {
            let life = Duration::from_secs(seconds);
            for _ in 0..100 {
                let leads = Windows::default().leads(life, &mut random);
                assert!(leads.advisory <= (life / 2).max(life / 5), "{life:?} {leads:?}");
                assert!(leads.advisory >= life * 3 / 20, "{life:?} {leads:?}");
                assert!(leads.mandatory <= life / 10 && leads.mandatory <= Duration::from_secs(10));
            }
        }
        // An hour: 12 minutes before the end, less up to a quarter of that.
        let leads = Windows::default().leads(Duration::from_hours(1), &mut random);
        assert!((9 * 60..=12 * 60).contains(&leads.advisory.as_secs()));
        assert_eq!(leads.mandatory, Duration::from_secs(10));
    }
}
