//! What came of an exchange: dated, judged, stored before it is used.

use std::sync::Arc;
use std::time::Duration;

use super::renewal::{LEAST_PAUSE, LOOK_AGAIN, Step, is_older};
use super::{LEAST_TELLING_AGE, Session};
use crate::engine::command::{Command, CommandId, ExchangeClass, ExchangeFailure, Notice, Renewal};
use crate::engine::credential::Grant;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::time::Now;

/// Lifetimes that are told relative to the answer differ by the way it took.
const JITTER: Duration = Duration::from_secs(2);

impl Session {
    /// The service answered the exchange, or did not.
    pub fn on_exchanged(&mut self, id: CommandId, result: Result<Grant, ExchangeFailure>, now: Now) {
        let (held, skew_ms, spending) = match &mut self.step {
            Step::Exchanging { id: expected, asked, skew_ms, spending } if *expected == id => {
                (asked.take(), *skew_ms, spending.take())
            }
            _ => return,
        };
        match (result, held, spending) {
            (Ok(grant), held, spending) => {
                self.misconfigurations = 0;
                let grant = self.arrived(grant, held.as_deref(), now);
                let attempts = spending.map_or(1, |spending| spending.attempts());
                self.exchanged(held, Arc::new(grant), attempts, now);
            }
            (Err(failure), Some(held), Some(spending)) => self.spent_in_vain(held, spending, failure, now),
            (Err(failure), held, _) => {
                self.unlock();
                match failure.class {
                    // The request was dated by a clock that has been found wrong since: that says nothing of the
                    // credential, but what the source holds may look different by the right date.
                    ExchangeClass::Refused | ExchangeClass::Reused if skew_ms != self.skew_ms => {
                        self.failed(failure.error, failure.retry_after, now);
                        self.source_touched();
                    }
                    ExchangeClass::Refused | ExchangeClass::Reused if self.is_usable(now) => {
                        self.last_error = Some(failure.error);
                        self.not_extended(held, now);
                        self.tell_expiring(now);
                    }
                    ExchangeClass::Refused | ExchangeClass::Reused => {
                        let end = held.as_ref().and_then(|grant| grant.expires_at);
                        self.remember_asked(held);
                        let mut error = self.ended(end.filter(|end| *end <= self.server_time(now)));
                        if let Some(http) = failure.error.http() {
                            error = error.with_http(http.clone());
                        }
                        self.give_up(error.with_source(failure.error), now);
                    }
                    ExchangeClass::Misconfigured => self.misconfigured(failure.error, now),
                    // Where nothing is used up asking again is harmless: the old token keeps its own end.
                    ExchangeClass::NotSent | ExchangeClass::Transient | ExchangeClass::Ambiguous => {
                        self.failed(failure.error, failure.retry_after, now);
                    }
                }
            }
        }
    }

    /// Dates what has just come: lifetimes count from here, a stated end is the upper bound.
    fn arrived(&self, mut grant: Grant, held: Option<&Grant>, now: Now) -> Grant {
        let at = self.server_time(now);
        if let Some(life) = grant.lives_for {
            grant.expires_at = [grant.expires_at, Some(at + life)].into_iter().flatten().min();
            grant.issued_at = grant.issued_at.or(Some(at));
        }
        if let Some(chain) = &mut grant.chain {
            chain.arrived(held.and_then(|held| held.chain.as_deref()), &self.profile.chain, at);
        }
        grant
    }

    fn exchanged(&mut self, held: Option<Arc<Grant>>, grant: Arc<Grant>, attempts: u32, now: Now) {
        let usable = self.is_usable(now);
        let end = held.as_ref().and_then(|held| held.expires_at);
        let jitter = if grant.lives_for.is_some() { JITTER } else { Duration::ZERO };
        let moved = match (end, grant.expires_at) {
            (Some(old), Some(new)) => new > old + jitter,
            _ => true,
        };
        let issued = held.as_ref().and_then(|held| held.issued_at);
        let telling = LEAST_TELLING_AGE + 2 * jitter;
        let telling = issued.is_none_or(|issued| self.server_time(now).since(issued) > telling);
        // Who mints from nothing can do so again whenever it likes; and the very token of before (a provider's cache) says
        // nothing of how long a chain lasts.
        let cached = held.as_ref().is_some_and(|held| held.credential.same_as(&grant.credential));
        let telling = telling && !self.profile.mints && !(cached && grant.chain.is_some());
        let mut learned = None;
        if !moved && telling && grant.chain.is_some() {
            learned = grant.expires_at;
        } else if !moved && telling {
            self.not_extended(held, now);
            learned = self.learned_horizon;
        }
        if let Some(horizon) = learned {
            self.notices.push_back(Notice::HorizonLearned { session: self.id, horizon });
        }
        // The next link of a chain is kept whatever it is good for: the one before is gone.
        if grant.chain.is_some()
            || (moved || !usable || self.profile.mints && !cached)
                && self.is_alive(&grant, now)
                && !self.was_refused(&grant)
        {
            if grant.chain.is_some() {
                self.learned_horizon = learned;
            }
            let id = self.command_id();
            self.step = Step::Storing(id, Arc::clone(&grant), attempts);
            self.commands.push_back(Command::Store { id, session: self.id, grant });
            return;
        }
        self.unlock();
        if usable {
            self.failures = 0;
            // A provider that caches gives a new one when the old one has ended, or nearly so.
            let left = self.current.as_ref().and_then(|current| self.remaining(current, now));
            let wait =
                left.filter(|_| self.profile.mints).map_or(LEAST_PAUSE, |left| LOOK_AGAIN.min(left / 4));
            self.next_attempt = Some(now.mono + wait.max(LEAST_PAUSE));
            self.tell_expiring(now);
        } else {
            let error = self.ended(end.filter(|end| *end <= self.server_time(now)));
            self.give_up(error, now);
        }
    }

    /// The new credential is on disk, or could not be put there; either way it is used.
    pub fn on_stored(&mut self, id: CommandId, result: Result<(), Error>, now: Now) {
        let (grant, attempts, again) = match &self.step {
            Step::Storing(expected, grant, attempts) if *expected == id => {
                (Arc::clone(grant), *attempts, false)
            }
            Step::StoringAgain(expected, grant, attempts) if *expected == id => {
                (Arc::clone(grant), *attempts, true)
            }
            _ => return,
        };
        self.unlock();
        if !again {
            self.refreshes += 1;
            self.adopt(Arc::clone(&grant), Renewal::Exchanged, now);
            if grant.chain.is_some() && !self.is_usable(now) {
                let error = Error::new(
                    ErrorKind::Protocol,
                    "the service gives access tokens that have already ended",
                );
                self.failed(error, None, now);
            }
        }
        // A later link would be lost with this process: it is put there as soon as it can be.
        let is_risk = result.is_err() && grant.chain.is_some();
        if let Err(error) = result
            && !again
        {
            let risk = if is_risk {
                ", and this session will be lost with this process until it is stored"
            } else {
                ""
            };
            let text = format!(
                "{} was refreshed, but other programs will not see it{risk}: {error}",
                self.profile.title
            );
            self.notices.push_back(Notice::Remark { upload: None, text });
        }
        self.unstored = is_risk.then_some(attempts);
        if is_risk {
            self.store_failures += 1;
            let wait = self.profile.backoff.wait(self.store_failures, None, &mut self.random);
            self.next_attempt = Some(now.mono + wait.max(LEAST_PAUSE));
        } else {
            self.store_failures = 0;
        }
    }

    /// Whether what the source holds is nothing, or an earlier link of our own chain.
    pub(super) fn is_ahead_of(&self, found: &Result<Option<Arc<Grant>>, Error>) -> bool {
        let own = self.current.as_ref().map(|current| &current.grant);
        match (found, own) {
            (Ok(Some(found)), Some(own)) => is_older(found, own),
            (Ok(None), Some(_)) => true,
            _ => false,
        }
    }

    /// Persists what could not be persisted before its use. The lock is held.
    pub(super) fn store_again(&mut self) {
        let Some(grant) = self.current.as_ref().map(|current| Arc::clone(&current.grant)) else {
            self.unlock();
            return;
        };
        let id = self.command_id();
        self.step = Step::StoringAgain(id, Arc::clone(&grant), self.unstored.unwrap_or(1));
        self.commands.push_back(Command::Store { id, session: self.id, grant });
    }
}
