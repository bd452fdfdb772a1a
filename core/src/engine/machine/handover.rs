//! Hand-over: a user's session first, a service's credential when the user's does not last.
//!
//! | stage     | on                                                 | to        | emits                             |
//! |-----------|----------------------------------------------------|-----------|-----------------------------------|
//! | Standby   | an upload will outlive the session                 | Wanted    | -                                 |
//! | Standby   | the session is parked or dead                      | Wanted    | - (callers wait, they do not fail) |
//! | Wanted    | the service's session has a live credential        | Recording | HandOver (check, then record)     |
//! | Wanted    | the service's session has none                     | Wanted    | notice Remark, again in 30 s      |
//! | Recording | checked and on record                              | Acting    | notice HandedOver                 |
//! | Recording | the check failed, or it could not be recorded      | Wanted    | notice Remark, again in 30 s      |
//!
//! Two identities from then on: the one who acts stays on record, the service's credential executes. There is no way back:
//! a job that was handed over ends under the service's credential. While neither works, the user's session is parked as it
//! would be without a service.
//!
//! Source: `oauth2.md` sections 2 and 10.

use std::time::Duration;

use super::Engine;
use crate::engine::command::{Command, CommandId, HandOverRecord, Notice, SessionId};
use crate::engine::error::Error;
use crate::engine::session::{LeaseAnswer, SessionProfile, SessionState};
use crate::engine::time::{Mono, Now, UnixMillis};

/// How long after a service credential did not work it is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// Generations of a service's session count from here, so that they are never taken for the user's.
const SERVICE_GENERATIONS: u64 = 1 << 32;

/// Who acts, and under what name the service's credential is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// On whose behalf, for the record.
    pub principal: String,
    /// The name of the service's credential; not a secret.
    pub credential: String,
}

/// A service that may take over.
#[derive(Debug)]
pub(super) struct Standby {
    session: SessionId,
    plan: HandOver,
    stage: Stage,
    next_try: Option<Mono>,
}

#[derive(Debug)]
enum Stage {
    Standby,
    Wanted(Why),
    Recording(CommandId, Why),
    Acting,
}

/// Why a hand-over is wanted.
#[derive(Clone, Debug)]
struct Why {
    reason: &'static str,
    estimate: Option<UnixMillis>,
    horizon: Option<UnixMillis>,
}

impl Engine {
    /// Adds a service's session that takes over from `user` when that does not last, as `plan` says. It ends with it.
    /// `None`: there is no such session (any more), or it has a service already.
    pub fn add_service(
        &mut self,
        user: SessionId,
        profile: SessionProfile,
        plan: HandOver,
        now: Now,
    ) -> Option<SessionId> {
        self.open(user).filter(|entry| entry.standby.is_none() && entry.serves.is_none())?;
        let service = self.add_session(profile, now);
        if let Some(entry) = self.sessions.get_mut(&service) {
            entry.serves = Some(user);
            entry.session.number_from(SERVICE_GENERATIONS);
        }
        let entry = self.sessions.get_mut(&user)?;
        entry.session.set_relief(true);
        entry.standby = Some(Standby { session: service, plan, stage: Stage::Standby, next_try: None });
        self.pump();
        Some(service)
    }

    /// Whose credential a session's requests go out with.
    pub(super) fn acting(&self, id: SessionId) -> SessionId {
        match self.sessions.get(&id).and_then(|entry| entry.standby.as_ref()) {
            Some(Standby { session, stage: Stage::Acting, .. }) => *session,
            _ => id,
        }
    }

    /// The session that a generation is of: the user's, or the service's that took over.
    pub(super) fn of_generation(&self, id: SessionId, generation: u64) -> SessionId {
        match self.sessions.get(&id).and_then(|entry| entry.standby.as_ref()) {
            Some(standby) if generation >= SERVICE_GENERATIONS => standby.session,
            _ => id,
        }
    }

    /// Looks at every session that has a service: does it have to take over, can it?
    pub(super) fn review_standbys(&mut self) {
        let users: Vec<SessionId> =
            self.sessions.iter().filter(|(_, entry)| entry.standby.is_some()).map(|(id, _)| *id).collect();
        for user in users {
            self.want_standby(user);
            self.try_standby(user);
        }
    }

    fn want_standby(&mut self, user: SessionId) {
        let outlived = self.notices.iter().find_map(|notice| match notice {
            Notice::WillOutliveSession { session, estimate, horizon, .. } if *session == user => {
                Some((*estimate, *horizon))
            }
            _ => None,
        });
        let now = self.now;
        let Some(entry) = self.sessions.get_mut(&user).filter(|entry| !entry.closing) else { return };
        let state = entry.session.state(now);
        let horizon = entry.session.effective_horizon();
        let Some(standby) = entry.standby.as_mut().filter(|standby| matches!(standby.stage, Stage::Standby))
        else {
            return;
        };
        if let Some((estimate, horizon)) = outlived {
            let why =
                Why { reason: "will-outlive-session", estimate: Some(estimate), horizon: Some(horizon) };
            standby.stage = Stage::Wanted(why);
        } else if matches!(state, SessionState::Parked | SessionState::Dead) {
            standby.stage = Stage::Wanted(Why { reason: "session-ended", estimate: None, horizon });
        }
    }

    fn try_standby(&mut self, user: SessionId) {
        let now = self.now;
        let Some(standby) = self.sessions.get(&user).and_then(|entry| entry.standby.as_ref()) else { return };
        let Stage::Wanted(why) = &standby.stage else { return };
        if standby.next_try.is_some_and(|next| now.mono < next) {
            return;
        }
        let (service, why, plan) = (standby.session, why.clone(), standby.plan.clone());
        let work = self.work_of(user);
        let Some(entry) = self.sessions.get_mut(&service) else { return };
        match entry.session.lease(now) {
            LeaseAnswer::Wait => {}
            LeaseAnswer::Failed(error) => self.standby_failed(user, &error),
            LeaseAnswer::Ready(lease) => {
                let id = CommandId(self.fresh());
                let record = HandOverRecord {
                    at: now.wall,
                    principal: plan.principal,
                    credential: plan.credential,
                    session: user,
                    work,
                    reason: why.reason,
                    estimate: why.estimate,
                    horizon: why.horizon,
                };
                let (grant, record) = (lease.grant, Box::new(record));
                self.commands.push_back(Command::HandOver { id, session: service, grant, record });
                if let Some(standby) = self.sessions.get_mut(&user).and_then(|entry| entry.standby.as_mut()) {
                    standby.stage = Stage::Recording(id, why);
                    standby.next_try = None;
                }
            }
        }
    }

    /// The service's credential does not work, or not yet: the user's session is what it is without it.
    fn standby_failed(&mut self, user: SessionId, error: &Error) {
        let now = self.now;
        let Some(entry) = self.sessions.get_mut(&user) else { return };
        entry.session.set_relief(false);
        let Some(standby) = &mut entry.standby else { return };
        standby.next_try = Some(now.mono + TRY_AGAIN);
        let name = &standby.plan.credential;
        let text = format!("the service credential {name} cannot take over (yet): {error}");
        self.notices.push_back(Notice::Remark { upload: None, text });
    }

    /// The service's credential was checked and the change is on record, or not.
    pub(super) fn on_handed_over(&mut self, id: CommandId, result: Result<(), Error>) {
        let is_it =
            |standby: &Standby| matches!(&standby.stage, Stage::Recording(expected, _) if *expected == id);
        let user = self.sessions.iter().find(|(_, entry)| entry.standby.as_ref().is_some_and(is_it));
        let Some(user) = user.map(|(user, _)| *user) else { return };
        let now = self.now;
        let Some(standby) = self.sessions.get_mut(&user).and_then(|entry| entry.standby.as_mut()) else {
            return;
        };
        let Stage::Recording(_, why) = std::mem::replace(&mut standby.stage, Stage::Acting) else { return };
        if let Err(error) = result {
            standby.stage = Stage::Wanted(why);
            self.standby_failed(user, &error);
            return;
        }
        let (service, plan) = (standby.session, standby.plan.clone());
        self.notices.push_back(Notice::HandedOver {
            session: user,
            credential: plan.credential,
            principal: plan.principal,
            estimate: why.estimate,
            horizon: why.horizon,
        });
        if let Some(entry) = self.sessions.get_mut(&service) {
            // From here it is kept alive as the user's was.
            entry.session.hold(now);
        }
    }

    /// When a service is to be tried again.
    pub(super) fn standby_timeout(&self) -> Option<Mono> {
        let standbys = self.sessions.values().filter_map(|entry| entry.standby.as_ref());
        standbys.filter(|standby| matches!(standby.stage, Stage::Wanted(_))).filter_map(|s| s.next_try).min()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::engine::Event;
    use crate::engine::credential::{Bearer, Credential, Generation, Grant};
    use crate::engine::error::ErrorKind;
    use crate::engine::secret::Secret;

    const NOON: UnixMillis = UnixMillis(1_772_366_400_000);

    fn grant(name: &str, ends: Option<u64>) -> Grant {
        let bearer = Bearer::new(Secret::new(name.to_owned()), "Bearer").unwrap();
        let expires_at = ends.map(|ends| NOON + Duration::from_secs(ends));
        Grant { issued_at: Some(NOON), expires_at, ..Grant::new(Credential::Bearer(bearer)) }
    }

    struct Bench {
        engine: Engine,
        user: SessionId,
        service: SessionId,
        now: Now,
        commands: VecDeque<Command>,
        told: Vec<String>,
    }

    impl Bench {
        /// A user's token of a minute that nothing extends, and a service.
        fn new() -> Bench {
            let now = Now { mono: Mono::default(), wall: NOON };
            let mut engine = Engine::new(1);
            let profile = SessionProfile { can_exchange: false, ..SessionProfile::default() };
            let user = engine.add_session(profile, now);
            let profile = SessionProfile { can_sign_in: false, ..SessionProfile::default() };
            let plan = HandOver { principal: "ann".into(), credential: "nightly".into() };
            let service = engine.add_service(user, profile, plan, now).unwrap();
            Bench { engine, user, service, now, commands: VecDeque::new(), told: Vec::new() }
        }

        /// Answers until there is nothing more to do. `minted`: what the service's exchange gives.
        fn settle(&mut self, minted: Result<&str, ErrorKind>, recorded: Result<(), ErrorKind>) {
            loop {
                self.commands.extend(std::iter::from_fn(|| self.engine.poll_command()));
                self.told.extend(
                    std::iter::from_fn(|| self.engine.poll_notice()).map(|notice| format!("{notice:?}")),
                );
                let Some(command) = self.commands.pop_front() else { return };
                let event = match command {
                    Command::Load { id, session } if session == self.user => {
                        Event::Loaded { id, result: Ok(Some(grant("user", Some(60)))) }
                    }
                    Command::Load { id, .. } => Event::Loaded { id, result: Ok(None) },
                    Command::Lock { id, .. } => Event::Locked { id, result: Ok(()) },
                    Command::Exchange { id, .. } => {
                        let result = minted.map(|name| grant(name, Some(7200))).map_err(|kind| {
                            crate::engine::command::ExchangeFailure {
                                class: crate::engine::command::ExchangeClass::Refused,
                                error: Error::new(kind, "as the test says"),
                                retry_after: None,
                            }
                        });
                        Event::Exchanged { id, result }
                    }
                    Command::Store { id, .. } => Event::Stored { id, result: Ok(()) },
                    Command::HandOver { id, session, record, .. } => {
                        assert_eq!((session, record.principal.as_str()), (self.service, "ann"));
                        assert_eq!((record.credential.as_str(), record.reason), ("nightly", "session-ended"));
                        let result = recorded.map_err(|kind| Error::new(kind, "as the test says"));
                        Event::HandedOver { id, result }
                    }
                    Command::Unlock { .. } => continue,
                    other => panic!("{other:?}"),
                };
                self.engine.handle(event, self.now);
            }
        }

        fn at(&mut self, seconds: u64) {
            let span = Duration::from_secs(seconds);
            self.now = Now { mono: Mono(span), wall: NOON + span };
            self.engine.handle_timeout(self.now);
        }

        fn lease(&mut self) -> Result<String, Option<ErrorKind>> {
            match self.engine.session_lease(self.user, self.now) {
                LeaseAnswer::Ready(lease) => Ok(lease.expose_token().to_owned()),
                LeaseAnswer::Wait => Err(None),
                LeaseAnswer::Failed(error) => Err(Some(error.kind())),
            }
        }

        fn count(&self, name: &str) -> usize {
            self.told.iter().filter(|told| told.starts_with(name)).count()
        }
    }

    #[test]
    fn the_service_takes_over_when_the_user_session_ends() {
        let mut bench = Bench::new();
        bench.settle(Ok("service"), Ok(()));
        assert_eq!(bench.lease().as_deref(), Ok("user"), "the user's first");
        bench.at(61);
        assert_eq!(bench.lease(), Err(None), "callers wait, they do not fail");
        bench.settle(Ok("service"), Ok(()));
        assert_eq!((bench.lease().as_deref(), bench.count("HandedOver")), (Ok("service"), 1));
        // A late refusal of the user's token says nothing of the service's; one of the service's does.
        bench.engine.reject(bench.user, Generation(1), bench.now);
        assert_eq!(bench.lease().as_deref(), Ok("service"));
        bench.engine.reject(bench.user, Generation(SERVICE_GENERATIONS + 1), bench.now);
        assert_eq!(bench.lease(), Err(None));
        bench.settle(Ok("next"), Ok(()));
        assert_eq!((bench.lease().as_deref(), bench.count("HandedOver")), (Ok("next"), 1));
        // Both end together.
        bench.engine.remove_session(bench.user, bench.now);
        assert!(bench.engine.sessions.is_empty());
    }

    #[test]
    fn what_does_not_work_or_is_not_on_record_does_not_take_over() {
        let mut bench = Bench::new();
        bench.settle(Err(ErrorKind::Auth), Ok(()));
        bench.at(61);
        let _ = bench.lease();
        bench.settle(Err(ErrorKind::Auth), Ok(()));
        assert_eq!(bench.lease(), Err(Some(ErrorKind::SignInNeeded)), "as without a service");
        assert_eq!((bench.count("Parked"), bench.count("HandedOver")), (1, 0));
        assert!(bench.told.iter().any(|told| told.contains("nightly cannot take over")));

        let mut bench = Bench::new();
        bench.settle(Ok("service"), Ok(()));
        bench.at(61);
        let _ = bench.lease();
        bench.settle(Ok("service"), Err(ErrorKind::State));
        assert_eq!((bench.lease(), bench.count("HandedOver")), (Err(Some(ErrorKind::SignInNeeded)), 0));
        // It is tried again.
        bench.at(92);
        bench.settle(Ok("service"), Ok(()));
        assert_eq!((bench.lease().as_deref(), bench.count("HandedOver")), (Ok("service"), 1));
    }
}
