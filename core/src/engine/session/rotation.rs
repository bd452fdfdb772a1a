//! Refresh tokens that are used up by their use: recorded before, presented once, judged by the provider's profile.
//!
//! | outcome of an exchange             | the refresh token         | what follows                                        |
//! |------------------------------------|---------------------------|-----------------------------------------------------|
//! | next link                          | replaced                  | stored (which ends the record), then used           |
//! | not sent, passing, misconfigured   | as good as before         | the record is taken back, then as for any renewal   |
//! | answer lost, profile allows replay | may be presented again    | the record stays; lock, load, intent with one more  |
//! | answer lost, profile does not      | never again               | `ChainEnded(AnswerLost)`; the access token serves on |
//! | refused, the store holds a newer   | somebody else has rotated | the newer one is taken, or asked with               |
//! | refused, the store holds the same  | dead                      | recorded as ended; `ChainEnded` with the reason     |
//! | record found (crash), unknown      | as after a lost answer    | by the profile, with the clock of the record        |
//! | record found, ended                | dead                      | `ChainEnded` with that reason; nothing is sent      |
//!
//! A record is judged under the lock only: whoever holds it knows that nobody else is between record and store.

use std::sync::Arc;
use std::time::Duration;

use super::renewal::Step;
use super::{REMEMBERED_REFUSALS, Session};
use crate::engine::chain::{Chain, ChainEnd, Intent, OnAmbiguous, Spent};
use crate::engine::command::{Command, CommandId, ExchangeClass, ExchangeFailure, Notice};
use crate::engine::credential::Grant;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::time::{Mono, Now};

/// A refusal this close to a known end is explained by it: clocks and whole seconds.
const NEAR_END: Duration = Duration::from_secs(2);

/// A link that this process has presented without getting its successor.
#[derive(Clone, Debug)]
pub(super) struct Presented {
    grant: Arc<Grant>,
    intent: Intent,
    /// When it was presented first, if that was by us.
    since: Option<Mono>,
}

/// What an exchange that is under way would be taken back to.
#[derive(Clone, Debug)]
pub(super) struct Spending {
    intent: Intent,
    before: Option<Intent>,
}

impl Spending {
    /// How often the link has been presented, this time included.
    pub(super) fn attempts(&self) -> u32 {
        self.intent.attempts
    }
}

/// What follows once the outcome is recorded.
#[derive(Debug)]
pub(super) enum Then {
    /// A passing failure.
    Failed(ExchangeFailure),
    /// Somebody has to mend the configuration.
    Misconfigured(Error),
    /// The chain has ended.
    Ended(Arc<Grant>, ChainEnd, Error),
}

impl Session {
    /// Whether our own link, which could not be stored, is not the newest child any more: by the record somebody else has
    /// presented the link before it since. Where each presentation gives a successor of its own and ends the others, ours
    /// must not be presented.
    pub(super) fn is_overtaken(&self, found: &Result<Option<Arc<Grant>>, Error>) -> bool {
        let policy = self.profile.chain.on_ambiguous;
        let shared = matches!(policy, OnAmbiguous::Replay { .. } | OnAmbiguous::Fork { .. });
        let (Some(attempts), Ok(Some(found)), false) = (self.unstored, found, shared) else { return false };
        let (Some(own), Some(link)) = (self.current.as_ref(), &found.chain) else { return false };
        let is_ahead = own.grant.chain.as_ref().is_some_and(|own| own.is_later_than(link));
        is_ahead && link.intent.is_some_and(|intent| intent.attempts > attempts)
    }

    /// See [`Session::is_overtaken`].
    pub(super) fn overtaken(&mut self, now: Now) {
        self.unstored = None;
        let Some(own) = self.current.as_ref().map(|current| Arc::clone(&current.grant)) else { return };
        let error = self.chain_error(ChainEnd::AnswerLost, None);
        self.chain_ended(own, ChainEnd::AnswerLost, error, now);
    }

    /// Whether asking with `grant` uses it up.
    fn spends(&self, grant: &Grant) -> bool {
        self.profile.chain.rotates && grant.chain.is_some()
    }

    /// Asks for the next credential, with what must be done before. The lock is held.
    pub(super) fn ask(&mut self, asked: Option<Arc<Grant>>, now: Now) {
        match asked {
            Some(grant) if self.spends(&grant) => self.intend(grant, now),
            asked => self.send_exchange(asked, None),
        }
    }

    fn send_exchange(&mut self, asked: Option<Arc<Grant>>, spending: Option<Spending>) {
        let id = self.command_id();
        self.step = Step::Exchanging { id, asked: asked.clone(), skew_ms: self.skew_ms, spending };
        let (session, skew_ms) = (self.id, self.skew_ms);
        self.commands.push_back(Command::Exchange { id, session, grant: asked, skew_ms });
    }

    /// Records that `grant` is about to be presented, if it may be.
    fn intend(&mut self, grant: Arc<Grant>, now: Now) {
        let Some(chain) = &grant.chain else { return };
        let before = self.recorded(&grant, chain);
        let began_at = self.server_time(now);
        let intent = match before {
            None => Intent { serial: chain.serial, began_at, attempts: 1, outcome: Spent::Unknown },
            Some(before) => {
                let elapsed = self.elapsed(&grant, &before, now);
                if !self.profile.chain.on_ambiguous.allows(&before, elapsed) {
                    let reason = match before.outcome {
                        Spent::Ended(reason) => reason,
                        Spent::Unknown => ChainEnd::AnswerLost,
                    };
                    self.unlock();
                    let error = self.chain_error(reason, None);
                    self.chain_ended(grant, reason, error, now);
                    return;
                }
                Intent { attempts: before.attempts.saturating_add(1), ..before }
            }
        };
        let id = self.command_id();
        self.commands.push_back(Command::Intend {
            id,
            session: self.id,
            grant: Arc::clone(&grant),
            intent: Some(intent),
        });
        self.step = Step::Intending { id, grant, spending: Spending { intent, before } };
    }

    /// What is known of earlier presentations of this link: by the stored record, and by our own memory (a source may
    /// not store any).
    fn recorded(&self, grant: &Grant, chain: &Chain) -> Option<Intent> {
        let own = self.presented.iter().find(|own| own.grant.spends_same(grant)).map(|own| own.intent);
        let worse = |intent: &Intent| (intent.outcome != Spent::Unknown, intent.attempts);
        [chain.intent, own].into_iter().flatten().max_by_key(worse)
    }

    /// Time since a link was presented first; `None` when no clock tells.
    fn elapsed(&self, grant: &Grant, intent: &Intent, now: Now) -> Option<Duration> {
        let at = self.server_time(now);
        // A clock that stands before the record has been set back since: it says nothing.
        let by_wall = (at >= intent.began_at).then(|| at.since(intent.began_at));
        let own = self.presented.iter().find(|own| own.grant.spends_same(grant)).and_then(|own| own.since);
        match own {
            Some(since) => Some((now.mono - since).max(by_wall.unwrap_or_default())),
            None => by_wall,
        }
    }

    /// The record is durable, or could not be made.
    pub fn on_intended(&mut self, id: CommandId, result: Result<(), Error>, now: Now) {
        match std::mem::replace(&mut self.step, Step::Idle) {
            Step::Intending { id: expected, grant, spending } if expected == id => match result {
                Ok(()) => {
                    self.remember_presented(&grant, Some(spending.intent), now);
                    self.send_exchange(Some(grant), Some(spending));
                }
                Err(error) => {
                    self.unlock();
                    // What is not on record could be presented twice after a crash.
                    let attempt = format!("recording a refresh of {}", self.profile.title);
                    self.failed(error.during(&attempt), None, now);
                }
            },
            Step::Recording { id: expected, then } if expected == id => {
                self.unlock();
                if let Err(error) = result {
                    let text = format!(
                        "the outcome of a refresh of {} is not on record: {error}",
                        self.profile.title
                    );
                    self.notices.push_back(Notice::Remark { upload: None, text });
                }
                match then {
                    Then::Failed(failure) => self.failed(failure.error, failure.retry_after, now),
                    Then::Misconfigured(error) => self.misconfigured(error, now),
                    Then::Ended(grant, reason, error) => self.chain_ended(grant, reason, error, now),
                }
            }
            step => self.step = step,
        }
    }

    /// Remembers, corrects or forgets what is known of a link.
    fn remember_presented(&mut self, grant: &Arc<Grant>, intent: Option<Intent>, now: Now) {
        let known = self.presented.iter().position(|own| own.grant.spends_same(grant));
        let since = known.and_then(|at| self.presented.remove(at)).map_or(Some(now.mono), |own| own.since);
        if let Some(intent) = intent {
            // Time since the first use is ours to measure only if that was ours.
            let since = since.filter(|_| known.is_some() || intent.attempts == 1);
            self.presented.push_front(Presented { grant: Arc::clone(grant), intent, since });
            self.presented.truncate(REMEMBERED_REFUSALS);
        }
    }

    /// An exchange that used a refresh token up gave no credential.
    pub(super) fn spent_in_vain(
        &mut self,
        grant: Arc<Grant>,
        spending: Spending,
        failure: ExchangeFailure,
        now: Now,
    ) {
        match failure.class {
            ExchangeClass::NotSent | ExchangeClass::Transient => {
                self.record(&grant, spending.before, Then::Failed(failure), now);
            }
            ExchangeClass::Misconfigured => {
                self.record(&grant, spending.before, Then::Misconfigured(failure.error), now);
            }
            ExchangeClass::Ambiguous => {
                let elapsed = self.elapsed(&grant, &spending.intent, now);
                self.unlock();
                if self.profile.chain.on_ambiguous.allows(&spending.intent, elapsed) {
                    self.failed(failure.error, failure.retry_after, now);
                } else {
                    let error = self.chain_error(ChainEnd::AnswerLost, Some(failure.error));
                    self.chain_ended(grant, ChainEnd::AnswerLost, error, now);
                }
            }
            ExchangeClass::Refused | ExchangeClass::Reused => {
                // Somebody who does without our lock may have rotated, or signed in.
                self.remember_asked(Some(Arc::clone(&grant)));
                let id = self.command_id();
                self.step = Step::Rereading { id, grant, spending, failure };
                self.commands.push_back(Command::Load { id, session: self.id });
            }
        }
    }

    /// The store was read again after a refusal. The lock is held.
    pub(super) fn reread(
        &mut self,
        found: &Result<Option<Arc<Grant>>, Error>,
        grant: &Arc<Grant>,
        spending: &Spending,
        failure: ExchangeFailure,
        now: Now,
    ) {
        if let Ok(Some(found)) = found
            && !found.spends_same(grant)
            && !self.was_asked(Some(found))
        {
            self.remember_presented(grant, None, now);
            self.ask(Some(Arc::clone(found)), now);
            return;
        }
        let reason = self.why_ended(grant, &spending.intent, failure.class, now);
        let intent = Intent { outcome: Spent::Ended(reason), ..spending.intent };
        let error = self.chain_error(reason, Some(failure.error));
        self.record(grant, Some(intent), Then::Ended(Arc::clone(grant), reason, error), now);
    }

    fn record(&mut self, grant: &Arc<Grant>, intent: Option<Intent>, then: Then, now: Now) {
        self.remember_presented(grant, intent, now);
        let id = self.command_id();
        self.step = Step::Recording { id, then };
        let (session, grant) = (self.id, Arc::clone(grant));
        self.commands.push_back(Command::Intend { id, session, grant, intent });
    }

    fn why_ended(&self, grant: &Grant, intent: &Intent, class: ExchangeClass, now: Now) -> ChainEnd {
        // Refused after an answer was lost: the lost one had worked, nobody has stolen anything.
        if intent.attempts > 1 {
            return ChainEnd::AnswerLost;
        }
        if class == ExchangeClass::Reused {
            return ChainEnd::Reused;
        }
        let ends = grant.chain.as_deref().and_then(Chain::ends_at);
        if self.has_reached_its_end(grant, now) {
            ChainEnd::Absolute
        } else if ends.is_some_and(|end| end <= self.server_time(now) + NEAR_END) {
            ChainEnd::Idle
        } else {
            ChainEnd::Revoked
        }
    }

    /// Whether the absolute end of a chain has come.
    pub(super) fn has_reached_its_end(&self, grant: &Grant, now: Now) -> bool {
        let end = grant.chain.as_ref().and_then(|chain| chain.absolute_end);
        end.is_some_and(|end| end.value <= self.server_time(now) + NEAR_END)
    }

    pub(super) fn chain_error(&self, reason: ChainEnd, cause: Option<Error>) -> Error {
        let (title, remedy) = (&self.profile.title, &self.profile.remedy);
        let what = match reason {
            ChainEnd::Idle => "was not refreshed in time and has ended",
            ChainEnd::Absolute => "has reached its absolute end",
            ChainEnd::AnswerLost => {
                "cannot be refreshed any more: the answer to a refresh was lost, and this service does not take the old \
                 refresh token again"
            }
            ChainEnd::Revoked => {
                "cannot be refreshed any more although it should not have ended: it was revoked, or somebody else has \
                 used its refresh token"
            }
            ChainEnd::Reused => {
                "cannot be refreshed any more: the service says that its refresh token had been used before, and that \
                 was not us"
            }
        };
        let kind = if self.profile.can_sign_in { ErrorKind::SignInNeeded } else { ErrorKind::Auth };
        let mut error = Error::new(kind, format!("{title} {what}; {remedy}"));
        if let Some(cause) = cause {
            if let Some(http) = cause.http() {
                error = error.with_http(http.clone());
            }
            error = error.with_source(cause);
        }
        error
    }

    /// The chain cannot be extended any more. What is left of the access token is used.
    pub(super) fn chain_ended(&mut self, grant: Arc<Grant>, reason: ChainEnd, error: Error, now: Now) {
        if !self.told_ended.iter().any(|told| told.spends_same(&grant)) {
            self.told_ended.push_front(Arc::clone(&grant));
            self.told_ended.truncate(REMEMBERED_REFUSALS);
            self.notices.push_back(Notice::ChainEnded { session: self.id, reason, error: error.clone() });
        }
        if self.is_usable(now) {
            self.last_error = Some(error);
            self.not_extended(Some(grant), now);
            self.tell_expiring(now);
        } else {
            self.remember_asked(Some(grant));
            self.give_up(error, now);
        }
    }

    /// The service refuses who asks. A secret may just have been replaced, so the source is read once more.
    pub(super) fn misconfigured(&mut self, error: Error, now: Now) {
        self.misconfigurations += 1;
        if self.misconfigurations == 1 {
            self.failed(error, None, now);
            return;
        }
        // Asking again would be refused again: until the source changes, or somebody wants a refresh.
        self.last_error = Some(error.clone());
        if self.is_usable(now) {
            self.tell_expiring(now);
        } else {
            self.give_up(error, now);
        }
    }

    /// When an idle chain must be used so that it does not end: at half of its idle limit.
    pub(super) fn keep_alive_in(&self, now: Now) -> Option<Duration> {
        if !self.on_timer() || !self.is_extensible() {
            return None;
        }
        let current = self.current.as_ref()?;
        let chain = current.grant.chain.as_ref()?;
        if self.was_asked(Some(&current.grant)) {
            return None;
        }
        let half = chain.idle_limit?.value / 2;
        let by_wall = chain.refreshed_at.map(|at| self.server_time(now).since(at)).unwrap_or_default();
        let unused = (now.mono - current.obtained).max(by_wall);
        Some(half.saturating_sub(unused))
    }
}
