//! Those who wait for leases, refreshes and first credentials, and what they are told.

use super::driver::{Driver, closed};
use super::reply::Promise;
use crate::engine::credential::Generation;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::session::{LeaseAnswer, SessionState, SessionStatus};

/// Somebody who wants a refresh.
pub(super) struct Refreshing {
    /// The generation when it was begun; `None`: not yet begun, since the session was busy.
    pub(super) since: Option<Generation>,
    pub(super) promise: Promise<SessionStatus>,
}

impl Driver {
    /// Answers those who wait for leases, refreshes and first credentials. True: the engine was moved by it.
    pub(super) fn answer_sessions(&mut self) -> bool {
        let now = self.clock.now();
        for (session, promise) in std::mem::take(&mut self.leases) {
            // Asked for even when nobody waits any more: asking is what makes a lazy session renew.
            match self.engine.session_lease(session, now) {
                LeaseAnswer::Wait if promise.is_abandoned() => {}
                LeaseAnswer::Ready(lease) => promise.settle(Ok(lease)),
                LeaseAnswer::Wait => self.leases.push((session, promise)),
                LeaseAnswer::Failed(error) => promise.settle(Err(error)),
            }
        }
        for (session, promise) in std::mem::take(&mut self.loads) {
            match self.engine.session_status(session, now) {
                None => promise.settle(Err(closed())),
                Some(status) if status.state == SessionState::Empty => self.loads.push((session, promise)),
                Some(status) => promise.settle(Ok(status)),
            }
        }
        let mut moved = false;
        for (id, room) in self.sessions.iter_mut().filter(|(_, room)| room.pending == 0) {
            let Some(status) = self.engine.session_status(*id, now) else { continue };
            if room.refreshes.iter().any(|waiting| waiting.since.is_some()) {
                // Nothing is under way any more: this is what came of it.
                let mints = self.engine.session_mints(*id);
                for waiting in room.refreshes.extract_if(.., |waiting| waiting.since.is_some()) {
                    let since = waiting.since.unwrap_or_default();
                    waiting.promise.settle(refreshed(since, &status, room.answer.as_ref(), mints));
                }
            } else if !room.refreshes.is_empty() {
                for waiting in &mut room.refreshes {
                    waiting.since = Some(status.generation);
                }
                room.answer = None;
                self.engine.refresh_now(*id, now);
                moved = true;
            }
        }
        moved
    }
}

/// What a refresh came to.
fn refreshed(
    since: Generation,
    status: &SessionStatus,
    answer: Option<&Result<(), Error>>,
    mints: bool,
) -> Result<SessionStatus, Error> {
    if status.generation > since {
        return Ok(status.clone());
    }
    let error = match answer {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(error),
        None => status.last_error.as_ref(),
    };
    if let Some(error) = error {
        return Err(error.clone());
    }
    // Answered, and nothing is known that would keep the next one from being later: the provider has given its cached
    // token once more, or two tokens of one second. A session that neither mints nor has a chain was not extended.
    if answer.is_some()
        && (mints || status.chain.is_some())
        && status.horizon.is_none_or(|horizon| status.expires_at.is_some_and(|end| end < horizon))
    {
        return Ok(status.clone());
    }
    let message = match status.expires_at {
        Some(end) => format!("the session cannot be extended beyond {end}; sign in again before then"),
        None => "this credential cannot be refreshed, and need not be: it has no end".into(),
    };
    Err(Error::new(ErrorKind::SignInNeeded, message))
}
