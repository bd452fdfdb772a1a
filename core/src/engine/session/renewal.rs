//! The renewal: lock, load, exchange, store, unlock; one at a time. With refresh tokens that are used up by their use
//! there is more to it: see [`super::rotation`].

use std::sync::Arc;
use std::time::Duration;

use super::rotation::{Spending, Then};
use super::{Current, PARKED_LOOK, Parked, REMEMBERED_REFUSALS, Session, profile};
use crate::engine::chain::ChainEnd;
use crate::engine::command::{Command, CommandId, ExchangeFailure, Notice, Renewal};
use crate::engine::credential::{Generation, Grant};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::session::Leads;
use crate::engine::time::Now;

/// How long after a look that found nothing new the source is read again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Least time between attempts: identity providers have loop guards.
pub(super) const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// What is being done about the next credential.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing.
    Idle,
    /// Reading the source, without the lock.
    Looking(CommandId),
    /// Waiting for the lock between processes.
    Locking(CommandId),
    /// Reading the source under the lock: somebody else may have won.
    Reloading(CommandId),
    /// Recording that a refresh token is about to be used up.
    Intending { id: CommandId, grant: Arc<Grant>, spending: Spending },
    /// Asking the service; the credential it is asked with, and by how much the request's date was corrected.
    Exchanging { id: CommandId, asked: Option<Arc<Grant>>, skew_ms: i64, spending: Option<Spending> },
    /// Reading the source again after a refusal: somebody else may have rotated.
    Rereading { id: CommandId, grant: Arc<Grant>, spending: Spending, failure: ExchangeFailure },
    /// Recording what became of a refresh token.
    Recording { id: CommandId, then: Then },
    /// Persisting the new credential before its first use.
    /// With how often the link before had been presented for it.
    Storing(CommandId, Arc<Grant>, u32),
    /// Persisting once more what could not be persisted before its use.
    StoringAgain(CommandId, Arc<Grant>, u32),
}

impl Session {
    /// Reads the source, without the lock.
    pub(super) fn look(&mut self) {
        let id = self.command_id();
        self.step = Step::Looking(id);
        self.commands.push_back(Command::Load { id, session: self.id });
    }

    /// Begins a renewal unless one is in flight or its time has not come.
    pub(super) fn renew(&mut self, now: Now) {
        if !matches!(self.step, Step::Idle) || self.next_attempt.is_some_and(|next| now.mono < next) {
            return;
        }
        self.next_attempt = None;
        if self.is_extensible() || self.unstored.is_some() { self.lock() } else { self.look() }
    }

    fn lock(&mut self) {
        let id = self.command_id();
        self.step = Step::Locking(id);
        self.commands.push_back(Command::Lock { id, session: self.id });
    }

    pub(super) fn unlock(&mut self) {
        self.commands.push_back(Command::Unlock { session: self.id });
        self.become_idle();
    }

    fn become_idle(&mut self) {
        self.step = Step::Idle;
        if std::mem::take(&mut self.touched) {
            self.look();
        }
    }

    /// The lock was had, or not.
    pub fn on_locked(&mut self, id: CommandId, result: Result<(), Error>, now: Now) {
        if !matches!(self.step, Step::Locking(expected) if expected == id) {
            return;
        }
        match result {
            Ok(()) => {
                let id = self.command_id();
                self.step = Step::Reloading(id);
                self.commands.push_back(Command::Load { id, session: self.id });
            }
            Err(error) => {
                self.become_idle();
                self.failed(error, None, now);
            }
        }
    }

    /// The source was read.
    pub fn on_loaded(&mut self, id: CommandId, result: Result<Option<Grant>, Error>, now: Now) {
        let result = result.map(|grant| grant.map(Arc::new));
        let locked = match &self.step {
            Step::Looking(expected) if *expected == id => false,
            Step::Reloading(expected) | Step::Rereading { id: expected, .. } if *expected == id => true,
            _ => return,
        };
        if let Ok(Some(grant)) = &result
            && self.is_better(grant, now)
        {
            if locked {
                self.unlock();
            } else {
                self.become_idle();
            }
            self.adopt(Arc::clone(grant), Renewal::Reloaded, now);
            return;
        }
        if !locked {
            self.become_idle();
            self.conclude_look(result, now);
            return;
        }
        match std::mem::replace(&mut self.step, Step::Idle) {
            Step::Rereading { grant, spending, failure, .. } => {
                self.reread(&result, &grant, &spending, failure, now);
            }
            _ if self.is_overtaken(&result) => {
                self.unlock();
                self.overtaken(now);
            }
            _ if self.unstored.is_some() && self.is_ahead_of(&result) => self.store_again(),
            _ => {
                if let Some(asked) = self.to_exchange(&result, now) {
                    self.ask(asked, now);
                } else {
                    self.unlock();
                    self.conclude_look(result, now);
                }
            }
        }
    }

    /// The credential to ask with for the next one, if asking makes sense. What the source holds goes before what we
    /// hold: it is what everybody shares, and the newer chain. Once ours cannot be used it is tried even if it seems to
    /// have ended (our clock may be wrong). `Some(None)`: the source mints from something else.
    #[expect(clippy::option_option, reason = "not asking, and asking with nothing, are two things")]
    fn to_exchange(&self, found: &Result<Option<Arc<Grant>>, Error>, now: Now) -> Option<Option<Arc<Grant>>> {
        if !self.profile.can_exchange || self.is_blocked() {
            return None;
        }
        let current = self.current.as_ref().map(|current| &current.grant);
        // A refused access token says nothing of the refresh token beside it.
        let untried = |grant: &&Arc<Grant>| {
            (grant.chain.is_some() || !self.was_refused(grant)) && !self.was_asked(Some(grant))
        };
        match (found, current) {
            // What is stored of our own link is more than we hold: it may have a record of having been presented.
            (Ok(Some(found)), Some(own)) if found.chain.is_some() && same(own, found) => {
                (self.is_extensible() && untried(&found)).then(|| Some(Arc::clone(found)))
            }
            (Ok(Some(found)), Some(own)) if is_rival(found, own) => {
                untried(&found).then(|| Some(Arc::clone(found)))
            }
            (Ok(Some(found)), Some(own)) if is_older(found, own) => {
                (self.is_extensible() && !self.was_asked(Some(own))).then(|| Some(Arc::clone(own)))
            }
            (Ok(Some(found)), _)
                if untried(&found)
                    && current.is_none_or(|own| !same(own, found))
                    && (!self.is_usable(now) || self.is_alive(found, now)) =>
            {
                Some(Some(Arc::clone(found)))
            }
            (_, Some(current)) => {
                (self.is_extensible() && !self.was_asked(Some(current))).then(|| Some(Arc::clone(current)))
            }
            (Ok(None), None) => (!self.was_asked(None)).then_some(None),
            _ => None,
        }
    }

    /// Whether the service has refused to extend this very credential: it is never asked again.
    pub(super) fn was_asked(&self, grant: Option<&Arc<Grant>>) -> bool {
        self.asked.iter().any(|asked| match (asked, grant) {
            (Some(asked), Some(grant)) => same(asked, grant),
            (None, None) => true,
            _ => false,
        })
    }

    pub(super) fn remember_asked(&mut self, grant: Option<Arc<Grant>>) {
        self.asked.push_front(grant);
        self.asked.truncate(REMEMBERED_REFUSALS);
    }

    /// The source holds nothing better than what we have: is that bad?
    fn conclude_look(&mut self, result: Result<Option<Arc<Grant>>, Error>, now: Now) {
        if self.parked.is_some() && self.is_usable(now) {
            // The clock that had ended it was wrong.
            self.parked = None;
            self.notices.push_back(Notice::Resumed { session: self.id });
        }
        if self.dead.is_some() || !matches!(self.step, Step::Idle) {
            return;
        }
        if !self.is_usable(now) && self.to_exchange(&result, now).is_some() {
            // Unless the next attempt is planned for later.
            if self.next_attempt.is_none_or(|next| now.mono >= next) {
                self.lock();
            }
            return;
        }
        if self.parked.is_some() {
            return;
        }
        if self.is_usable(now) {
            if self.in_window(now) {
                let left = self.current.as_ref().and_then(|current| self.remaining(current, now));
                let wait = left.map_or(LOOK_AGAIN, |left| LOOK_AGAIN.min(left / 4)).max(LOOK_AGAIN / 20);
                self.next_attempt = Some(now.mono + wait);
            }
            self.tell_expiring(now);
            return;
        }
        let own = self.current.as_ref().map(|current| Arc::clone(&current.grant));
        if let Some(own) = own.filter(|own| self.has_reached_its_end(own, now)) {
            let error = self.chain_error(ChainEnd::Absolute, None);
            self.chain_ended(own, ChainEnd::Absolute, error, now);
            return;
        }
        // Torn or half-written files: whoever writes them will finish, and a watch or timer brings us back.
        let error = match result {
            Err(error) => error,
            Ok(found) => {
                let end = self.current.as_ref().map(|current| &current.grant).or(found.as_ref());
                self.ended(end.and_then(|grant| grant.expires_at).filter(|end| *end <= self.server_time(now)))
            }
        };
        self.give_up(error, now);
    }

    pub(super) fn ended(&self, at: Option<crate::engine::time::UnixMillis>) -> Error {
        let (title, remedy) = (&self.profile.title, &self.profile.remedy);
        let kind = if self.profile.can_sign_in { ErrorKind::SignInNeeded } else { ErrorKind::Auth };
        match at {
            Some(end) => Error::new(kind, format!("{title} expired at {end}; {remedy}")),
            None if self.current.is_some() => {
                Error::new(kind, format!("the service refuses the credential of {title}; {remedy}"))
            }
            None => Error::new(kind, format!("{title} has no credential; {remedy}")),
        }
    }

    /// Whether the current credential can still be sent.
    pub(super) fn is_usable(&self, now: Now) -> bool {
        self.current.as_ref().is_some_and(|current| {
            !current.refused && self.remaining(current, now).is_none_or(|left| !left.is_zero())
        })
    }

    /// Whether a window before the end has opened.
    fn in_window(&self, now: Now) -> bool {
        self.current.as_ref().is_some_and(|current| {
            self.remaining(current, now).is_some_and(|left| left <= current.leads.advisory)
        })
    }

    pub(super) fn was_refused(&self, grant: &Grant) -> bool {
        self.refused.iter().any(|refused| refused.credential.same_as(&grant.credential))
    }

    /// Whether switching to `grant` gains anything.
    fn is_better(&self, grant: &Grant, now: Now) -> bool {
        if !self.is_alive(grant, now) || self.was_refused(grant) {
            return false;
        }
        match &self.current {
            None => true,
            Some(current) if current.grant.credential.same_as(&grant.credential) => false,
            // Whatever it is good for: with it our own link would be lost.
            Some(current) if is_older(grant, &current.grant) => false,
            Some(current) if is_rival(grant, &current.grant) => true,
            Some(_) if !self.is_usable(now) => true,
            Some(current) => match (grant.expires_at, current.grant.expires_at) {
                // Of two that end together the source's is the one that others share.
                (Some(new), Some(old)) => new >= old,
                (None, Some(_)) => true,
                (_, None) => false,
            },
        }
    }

    pub(super) fn adopt(&mut self, grant: Arc<Grant>, how: Renewal, now: Now) {
        let server_time = self.server_time(now);
        let leads = profile::lifetime(&grant, server_time).map_or(
            Leads { advisory: Duration::ZERO, mandatory: Duration::ZERO },
            |life| {
                let leads = self.profile.windows.leads(life, &mut self.random);
                // Requests in flight under the old token would fail: no sooner than need be.
                let soonest = if self.profile.chain.old_dies { leads.mandatory * 2 } else { leads.advisory };
                Leads { advisory: leads.advisory.min(soonest), ..leads }
            },
        );
        self.last_generation = Generation(self.last_generation.0 + 1);
        let ends = grant.expires_at.map(|end| now.mono + end.since(server_time));
        self.unstored = None;
        self.misconfigurations = 0;
        // A credential that ends later than the learned horizon is a new chain: somebody signed in.
        if let (Some(end), Some(horizon)) = (grant.expires_at, self.learned_horizon)
            && end > horizon
        {
            self.learned_horizon = None;
        }
        let expires_at = grant.expires_at;
        self.current = Some(Current {
            generation: self.last_generation,
            obtained: now.mono,
            ends,
            leads,
            proven: false,
            refused: false,
            after_refusal: self.current.as_ref().is_some_and(|current| current.refused),
            told_expiring: false,
            grant,
        });
        self.failures = 0;
        self.next_attempt = None;
        self.without_since = None;
        self.waiting = false;
        self.last_error = None;
        let was_stopped = self.parked.take().is_some() | self.dead.take().is_some();
        self.notices.push_back(Notice::Refreshed {
            session: self.id,
            generation: self.last_generation,
            how,
            expires_at,
        });
        if was_stopped {
            self.notices.push_back(Notice::Resumed { session: self.id });
        }
    }

    /// The service will not extend this credential. If it is the one we hold, its end is the end of the chain.
    pub(super) fn not_extended(&mut self, held: Option<Arc<Grant>>, now: Now) {
        let current = self.current.as_ref().map(|current| &current.grant);
        match (&held, current) {
            (Some(held), Some(current)) if !same(held, current) => {
                self.next_attempt = Some(now.mono + LEAST_PAUSE);
            }
            (_, current) => self.learned_horizon = current.and_then(|current| current.expires_at),
        }
        self.remember_asked(held);
    }

    pub(super) fn is_alive(&self, grant: &Grant, now: Now) -> bool {
        grant.expires_at.is_none_or(|end| end > self.server_time(now))
    }

    pub(super) fn tell_expiring(&mut self, now: Now) {
        if self.is_extensible() || !self.in_window(now) {
            return;
        }
        let session = self.id;
        if let Some(current) = self.current.as_mut().filter(|current| !current.told_expiring)
            && let Some(expires_at) = current.grant.expires_at
        {
            current.told_expiring = true;
            self.notices.push_back(Notice::Expiring { session, expires_at });
        }
    }

    /// A renewal failed for a passing reason.
    pub(super) fn failed(&mut self, error: Error, retry_after: Option<Duration>, now: Now) {
        self.failures += 1;
        let wait = self.profile.backoff.wait(self.failures, retry_after, &mut self.random).max(LEAST_PAUSE);
        self.next_attempt = Some(now.mono + wait);
        if !self.is_usable(now) {
            self.without_since.get_or_insert(now.mono);
        }
        self.notices.push_back(Notice::RefreshFailed {
            session: self.id,
            error: error.clone(),
            retry_in: wait,
        });
        self.last_error = Some(error);
    }

    /// Nothing we can do brings a credential: park if a person can help, else die.
    pub(super) fn give_up(&mut self, error: Error, now: Now) {
        self.last_error = Some(error.clone());
        self.next_attempt = None;
        self.without_since = None;
        self.waiting = false;
        // A source that never worked is a mistake to mend, not a session to wait for.
        let mistaken = self.last_generation == self.numbered_from && error.kind() != ErrorKind::SignInNeeded;
        if !self.profile.can_sign_in || mistaken {
            self.dead = Some(error);
            return;
        }
        let wait = self.profile.wait_for_login;
        let until = (!wait.is_zero()).then(|| now.wall + wait);
        self.notices.push_back(Notice::Parked { session: self.id, error: error.clone(), until });
        self.parked = Some(Parked { error, deadline: now.mono + wait, next_look: now.mono + PARKED_LOOK });
    }
}

/// Whether asking with both would be asking with the same.
fn same(a: &Grant, b: &Grant) -> bool {
    a.spends_same(b)
}

/// Whether `found` is an earlier link of the chain that `own` is of: what the source holds when a later one could not be
/// stored.
pub(super) fn is_older(found: &Grant, own: &Grant) -> bool {
    matches!((&found.chain, &own.chain), (Some(found), Some(own)) if own.is_later_than(found))
}

/// Whether `found` is a link of the same chain that somebody else got after a lost answer, while ours could not be stored:
/// the stored one is the newer child, and what everybody shares.
fn is_rival(found: &Grant, own: &Grant) -> bool {
    let (Some(link), Some(ours)) = (&found.chain, &own.chain) else { return false };
    link.started_at == ours.started_at && link.serial >= ours.serial && !same(found, own)
}
