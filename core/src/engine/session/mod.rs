//! The session machine: keeps one credential alive.
//!
//! | from        | on                                   | to                         | emits                     |
//! |-------------|--------------------------------------|----------------------------|---------------------------|
//! | Empty       | added                                | Empty                      | Load                      |
//! | Empty       | usable credential loaded             | Fresh(1)                   | notice Refreshed          |
//! | Fresh(g)    | now >= advisory, asked for or held   | Advisory(g)                | Lock                      |
//! | Advisory(g) | refresh failed, token still valid    | Advisory(g), backoff       | notice (token stays)      |
//! | Advisory(g) | now >= mandatory                     | Mandatory(g)               | - (callers wait)          |
//! | any(g)      | 401 reported for g                   | Mandatory(g)               | Lock if idle              |
//! | any(g)      | 401 reported for g' < g              | unchanged                  | -                         |
//! | any(g)      | renewed: lock, load, exchange, store | Fresh(g+1)                 | notice Refreshed          |
//! | any(g)      | 200 that does not move the end       | as before, horizon learned | notice HorizonLearned     |
//! | any(g)      | refused and nothing usable is left   | Parked (or Dead)           | notice Parked             |
//! | any(g+1)    | 401 while fresh, and g was refused   | Parked (or Dead)           | notice Parked             |
//! | Parked      | touched, held, or 5 s: looked at     | Parked                     | Load                      |
//! | Parked      | usable credential found              | Fresh(g+1)                 | notice Resumed, Refreshed |
//! | Parked      | found one that was never asked with  | Parked                     | Lock (it may be alive)    |
//! | any(g)      | refused, and the clock was wrong     | as before, backoff         | notice RefreshFailed      |
//! | any(g)      | who asks is refused, twice in a row  | as before, blocked         | - (until touched)         |
//! | any(g)      | chain of refresh tokens has ended    | as before, horizon learned | notice ChainEnded         |
//! | Fresh(g)    | held, half of the idle limit unused  | Fresh(g)                   | Lock                      |
//! | any(g)      | next link could not be stored        | Fresh(g+1), not on disk    | Lock, Store, after a wait |
//!
//! One renewal is in flight at most, and it belongs to nobody's call. Its steps are commands, so that a driver
//! may crash between any two of them and a simulation may interleave many processes:
//! `Lock`, `Load` (somebody else may have won), `Exchange` (sent once), `Store` (before use), `Unlock`. Where the refresh
//! token is used up by its use, `Intend` comes before `Exchange`: see [`rotation`].

mod outcome;
mod profile;
mod renewal;
mod rotation;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub use profile::{
    ChainStatus, Leads, LeaseAnswer, SessionProfile, SessionState, SessionStatus, StandingLease, Windows,
};

use super::command::{Command, CommandId, Notice, SessionId};
use super::credential::{Generation, Grant, Lease};
use super::error::{Error, ErrorKind};
use super::random::Random;
use super::time::{Mono, Now, UnixMillis};
use super::wire::Reply;
use renewal::Step;
use rotation::Presented;

/// How often a parked session looks at its source by itself, in case a file watch is not to be had.
const PARKED_LOOK: Duration = Duration::from_secs(5);
/// Timers are never longer than this, so that a stepped wall clock is noticed soon.
const LONGEST_TIMER: Duration = Duration::from_secs(30);
/// Claims are whole seconds: a younger credential cannot be told from its successor by its end.
const LEAST_TELLING_AGE: Duration = Duration::from_secs(1);
/// A credential that is refused this soon after it replaced a refused one, without ever having worked: the next will be
/// refused as well.
const FRESH: Duration = Duration::from_mins(1);
/// Refused credentials that are remembered, so that a stale file does not bring one back.
const REMEMBERED_REFUSALS: usize = 4;

/// One generation in use.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each with its own line")]
struct Current {
    generation: Generation,
    grant: Arc<Grant>,
    obtained: Mono,
    /// Monotonic moment of its end as seen when it was obtained; guards against a wall clock stepped backwards.
    ends: Option<Mono>,
    leads: Leads,
    /// A request under it was answered with something other than 401.
    proven: bool,
    /// A request under it was answered with 401.
    refused: bool,
    /// It replaced a refused one.
    after_refusal: bool,
    /// The caller was told that it ends and nothing can extend it.
    told_expiring: bool,
}

/// Waiting for a person.
#[derive(Debug)]
struct Parked {
    error: Error,
    deadline: Mono,
    next_look: Mono,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    profile: SessionProfile,
    random: Random,
    current: Option<Current>,
    last_generation: Generation,
    /// What is being done about the next credential.
    step: Step,
    /// The source changed while a step was in flight.
    touched: bool,
    /// Uploads (or callers) that want the session alive while idle.
    holds: u32,
    parked: Option<Parked>,
    dead: Option<Error>,
    /// End of the chain, learned from a refresh that did not extend it.
    learned_horizon: Option<UnixMillis>,
    refused: VecDeque<Arc<Grant>>,
    /// What the service refused to give a further credential for; `None`: it was asked with nothing.
    asked: VecDeque<Option<Arc<Grant>>>,
    /// Links of a rotating chain that were presented without giving their successor.
    presented: VecDeque<Presented>,
    /// Links whose end was told.
    told_ended: VecDeque<Arc<Grant>>,
    /// Refusals of who asks, in a row; see [`Session::is_blocked`].
    misconfigurations: u32,
    /// The current link is not on disk; how often the one before had been presented for it.
    unstored: Option<u32>,
    store_failures: u32,
    failures: u32,
    next_attempt: Option<Mono>,
    last_error: Option<Error>,
    /// Somebody else may take over: callers wait instead of being refused.
    relief: bool,
    /// The generation before the first.
    numbered_from: Generation,
    /// Somebody was told to wait.
    waiting: bool,
    /// Since when there has been no usable credential while renewals fail for passing reasons.
    without_since: Option<Mono>,
    refreshes: u64,
    /// Server minus local wall clock.
    skew_ms: i64,
    commands: VecDeque<Command>,
    notices: VecDeque<Notice>,
    next_command: u64,
}

impl Session {
    /// Ids of session commands hold the session's number above this bit, so that they are unique over an engine.
    pub(super) const ID_SHIFT: u32 = 40;

    /// A session that will load its first credential at once.
    pub fn new(id: SessionId, profile: SessionProfile, seed: u64) -> Self {
        let mut session = Session {
            id,
            profile,
            random: Random::new(seed),
            current: None,
            last_generation: Generation(0),
            step: Step::Idle,
            touched: false,
            holds: 0,
            parked: None,
            dead: None,
            learned_horizon: None,
            refused: VecDeque::new(),
            asked: VecDeque::new(),
            presented: VecDeque::new(),
            told_ended: VecDeque::new(),
            misconfigurations: 0,
            unstored: None,
            store_failures: 0,
            failures: 0,
            next_attempt: None,
            last_error: None,
            relief: false,
            numbered_from: Generation(0),
            waiting: false,
            without_since: None,
            refreshes: 0,
            skew_ms: 0,
            commands: VecDeque::new(),
            notices: VecDeque::new(),
            next_command: (id.0 + 1) << Self::ID_SHIFT,
        };
        session.look();
        session
    }

    /// Server time at `now`.
    fn server_time(&self, now: Now) -> UnixMillis {
        now.wall.offset(self.skew_ms)
    }

    /// Tells the session how far the server's clock is ahead of the local one, as just measured.
    pub fn set_skew(&mut self, skew_ms: i64, now: Now) {
        self.skew_ms = skew_ms;
        let server_time = self.server_time(now);
        // The end in monotonic time was reckoned from a wrong date.
        if let Some(current) = &mut self.current {
            current.ends = current.grant.expires_at.map(|end| now.mono + end.since(server_time));
        }
    }

    /// Time left of the current credential; `None` if it has no end. The earlier of the two clocks counts.
    fn remaining(&self, current: &Current, now: Now) -> Option<Duration> {
        let by_wall = current.grant.expires_at?.since(self.server_time(now));
        Some(current.ends.map_or(by_wall, |ends| by_wall.min(ends - now.mono)))
    }

    /// The chain's end, as far as known.
    fn horizon(&self) -> Option<UnixMillis> {
        let declared = self.current.as_ref().and_then(|current| current.grant.reach());
        [declared, self.learned_horizon].into_iter().flatten().min()
    }

    /// The end beyond which no exchange will get: a session that cannot be exchanged ends with its credential.
    pub fn effective_horizon(&self) -> Option<UnixMillis> {
        if self.profile.can_exchange {
            self.horizon()
        } else {
            self.current.as_ref().and_then(|current| current.grant.expires_at)
        }
    }

    /// Whether an exchange could still move the end of the current credential.
    fn is_extensible(&self) -> bool {
        if !self.profile.can_exchange || self.is_blocked() {
            return false;
        }
        let end = self.current.as_ref().and_then(|current| current.grant.expires_at);
        match (end, self.horizon()) {
            // Claims are whole seconds: a second of difference is no extension worth asking for.
            (Some(end), Some(horizon)) => end.offset(1000) < horizon,
            _ => true,
        }
    }

    /// Where the session stands.
    pub fn state(&self, now: Now) -> SessionState {
        if self.dead.is_some() {
            return SessionState::Dead;
        }
        if self.parked.is_some() {
            return SessionState::Parked;
        }
        let Some(current) = &self.current else { return SessionState::Empty };
        let left = self.remaining(current, now);
        if current.refused || left.is_some_and(|left| left.is_zero()) {
            return SessionState::Mandatory;
        }
        match left {
            // A token that cannot be extended serves to its end: waiting would gain nothing.
            Some(left) if left <= current.leads.mandatory && self.is_extensible() => SessionState::Mandatory,
            Some(left) if left <= current.leads.advisory => SessionState::Advisory,
            _ => SessionState::Fresh,
        }
    }

    /// A look at the session.
    pub fn status(&self, now: Now) -> SessionStatus {
        let grant = self.current.as_ref().map(|current| &current.grant);
        SessionStatus {
            state: self.state(now),
            generation: self.last_generation,
            issued_at: grant.and_then(|grant| grant.issued_at),
            expires_at: grant.and_then(|grant| grant.expires_at),
            horizon: self.effective_horizon(),
            refreshes: self.refreshes,
            chain: grant.and_then(|grant| grant.chain.as_deref()).map(ChainStatus::of),
            last_error: self.last_error.clone(),
        }
    }

    /// Whether somebody else may take over: then callers wait where they would be refused.
    pub(super) fn set_relief(&mut self, relief: bool) {
        self.relief = relief;
    }

    /// Makes generations count from `first`; to be called before the first credential is there.
    pub(super) fn number_from(&mut self, first: u64) {
        self.numbered_from = Generation(first);
        self.last_generation = self.numbered_from;
    }

    /// The right to send one request now, or why not. Asking is what makes a lazy session renew.
    pub fn lease(&mut self, now: Now) -> LeaseAnswer {
        match self.answer(now) {
            LeaseAnswer::Failed(_) if self.relief => LeaseAnswer::Wait,
            answer => answer,
        }
    }

    fn answer(&mut self, now: Now) -> LeaseAnswer {
        match self.state(now) {
            SessionState::Dead => LeaseAnswer::Failed(self.dead.clone().expect("Dead has its error")),
            SessionState::Parked => {
                let parked = self.parked.as_ref().expect("Parked has its reason");
                // While somebody is looking the answer is not known: the person may just have signed in.
                let looked = self.is_idle();
                if looked && now.mono >= parked.deadline {
                    LeaseAnswer::Failed(parked.error.clone())
                } else {
                    LeaseAnswer::Wait
                }
            }
            SessionState::Fresh => self.ready(),
            SessionState::Advisory => {
                self.renew(now);
                self.ready()
            }
            SessionState::Empty | SessionState::Mandatory => {
                self.waiting = true;
                self.renew(now);
                // Renewing may have ended in a verdict at once.
                match (&self.dead, &self.parked) {
                    (Some(error), _) => LeaseAnswer::Failed(error.clone()),
                    (_, Some(parked)) if now.mono >= parked.deadline => {
                        LeaseAnswer::Failed(parked.error.clone())
                    }
                    _ => self.out_of_patience(now).map_or(LeaseAnswer::Wait, LeaseAnswer::Failed),
                }
            }
        }
    }

    /// The lease that callers get without anything being decided for them; `None` while they have to wait.
    pub fn standing_lease(&self, now: Now) -> Option<StandingLease> {
        if !matches!(self.state(now), SessionState::Fresh | SessionState::Advisory) {
            return None;
        }
        let current = self.current.as_ref()?;
        let lease = Lease { generation: current.generation, grant: Arc::clone(&current.grant) };
        let left = self.remaining(current, now);
        // What cannot be extended serves to its end.
        let waits = if self.is_extensible() { current.leads.mandatory } else { Duration::ZERO };
        Some(StandingLease {
            lease,
            advisory_in: left.map(|left| left.saturating_sub(current.leads.advisory)),
            mandatory_in: left.map(|left| left.saturating_sub(waits)),
        })
    }

    fn ready(&self) -> LeaseAnswer {
        let current = self.current.as_ref().expect("Fresh and Advisory have a credential");
        LeaseAnswer::Ready(Lease { generation: current.generation, grant: Arc::clone(&current.grant) })
    }

    /// The error to end with when the service has given no answer for too long and nothing usable is left.
    fn out_of_patience(&self, now: Now) -> Option<Error> {
        // Whoever has just begun to wait sees at least one attempt through.
        let since = self.without_since.filter(|_| self.is_idle())?;
        (now.mono - since >= self.profile.patience).then(|| {
            self.last_error.clone().unwrap_or_else(|| Error::new(ErrorKind::Network, "no credential"))
        })
    }

    /// Something is going to need this session until `needed`. When that is beyond the end of the current credential and
    /// nothing says how far the chain reaches, one early refresh tells: some sessions answer it without moving the end.
    pub fn learn_whether_extensible(&mut self, needed: UnixMillis, now: Now) {
        let end = self.current.as_ref().and_then(|current| current.grant.expires_at);
        // A refresh token that is used up by it is not spent for curiosity.
        let may_ask = self.profile.can_exchange && !self.profile.chain.rotates;
        let unknown = self.refreshes == 0 && self.horizon().is_none() && may_ask;
        // A refresh within the credential's first second would not tell.
        let issued = self.current.as_ref().and_then(|current| current.grant.issued_at);
        let unknown =
            unknown && issued.is_none_or(|issued| self.server_time(now).since(issued) > LEAST_TELLING_AGE);
        if unknown && end.is_some_and(|end| needed > end) && self.failures == 0 {
            self.renew(now);
        }
    }

    /// A request under `generation` was answered with 401.
    pub fn reject(&mut self, generation: Generation, now: Now) {
        let Some(current) = &mut self.current else { return };
        // A late refusal of an older credential says nothing about this one.
        if current.generation != generation || current.refused {
            return;
        }
        current.refused = true;
        let fresh = !current.proven && now.mono - current.obtained < FRESH;
        let terminal = current.after_refusal && fresh;
        let grant = Arc::clone(&current.grant);
        self.refused.push_front(grant);
        self.refused.truncate(REMEMBERED_REFUSALS);
        self.notices.push_back(Notice::Rejected { session: self.id, generation });
        if terminal {
            let message = format!(
                "the service refuses a credential that {} has just obtained; check the clock, the key and the user's \
                 permissions, then {}",
                self.profile.title, self.profile.remedy
            );
            self.give_up(Error::new(ErrorKind::Auth, message), now);
        } else {
            self.renew(now);
        }
    }

    /// See [`SessionProfile::mints`].
    pub fn mints(&self) -> bool {
        self.profile.mints
    }

    /// Whether an answer to a request under `generation` says that its credential has ended, by the provider's profile.
    ///
    /// A sign that is not 401 may also be what it says (403: not permitted). A credential that has just replaced one that
    /// was refused cannot have ended: then it is taken at its word.
    pub fn tells_expiry(&self, generation: Generation, reply: &Reply, now: Now) -> bool {
        if reply.status == 401 || !self.profile.chain.tells_expiry(reply) {
            return reply.status == 401;
        }
        let current = self.current.as_ref().filter(|current| current.generation == generation);
        current.is_none_or(|current| !current.after_refusal || now.mono - current.obtained >= FRESH)
    }

    /// Whether `generation` is not the one to send under (any more).
    pub fn is_superseded(&self, generation: Generation) -> bool {
        self.current.as_ref().is_none_or(|current| current.generation != generation || current.refused)
    }

    /// A request under `generation` was answered with something other than 401.
    pub fn accept(&mut self, generation: Generation) {
        if let Some(current) = self.current.as_mut().filter(|current| current.generation == generation) {
            current.proven = true;
        }
    }

    /// Somebody needs the session alive even while idle. A parked session is looked at once more for them.
    pub fn hold(&mut self, now: Now) {
        self.holds += 1;
        if let Some(parked) = &mut self.parked {
            parked.next_look = now.mono;
        }
        self.handle_timeout(now);
    }

    /// The opposite of [`Session::hold`].
    pub fn release(&mut self) {
        self.holds = self.holds.saturating_sub(1);
    }

    /// Renews now, whatever the windows say.
    pub fn refresh_now(&mut self, now: Now) {
        self.next_attempt = None;
        self.dead = None;
        self.asked.clear();
        self.unblock();
        self.renew(now);
    }

    /// The source has changed: read it again.
    pub fn source_touched(&mut self) {
        self.unblock();
        self.look_again();
    }

    /// The configuration may have been mended.
    fn unblock(&mut self) {
        if self.is_blocked() {
            self.misconfigurations = 0;
            self.dead = None;
        }
    }

    /// Nothing is asked for until somebody has mended the configuration: its secret was read again, and refused again.
    fn is_blocked(&self) -> bool {
        self.misconfigurations > 1
    }

    fn look_again(&mut self) {
        if self.is_idle() { self.look() } else { self.touched = true }
    }

    /// Whether no renewal and no look is under way.
    pub fn is_idle(&self) -> bool {
        matches!(self.step, Step::Idle)
    }

    fn on_timer(&self) -> bool {
        self.profile.timer || self.holds > 0
    }

    /// When the machine wants to be called next.
    pub fn poll_timeout(&self, now: Now) -> Option<Mono> {
        if self.dead.is_some() {
            return None;
        }
        let mut due: Option<Mono> = None;
        let mut at = |moment: Mono| due = Some(due.map_or(moment, |due: Mono| due.min(moment)));
        if let Some(parked) = &self.parked {
            at(parked.next_look);
            if parked.deadline > now.mono {
                at(parked.deadline);
            }
        } else if let Some(current) = &self.current
            && let Some(left) = self.remaining(current, now)
            && self.is_idle()
        {
            let windows = [current.leads.advisory, current.leads.mandatory, Duration::ZERO];
            if let Some(opens) =
                windows.iter().map(|lead| left.saturating_sub(*lead)).find(|wait| !wait.is_zero())
            {
                at(now.mono + opens.min(LONGEST_TIMER));
            }
        }
        if let Some(wait) = self.keep_alive_in(now).filter(|_| self.is_idle() && self.next_attempt.is_none())
        {
            at(now.mono + wait.min(LONGEST_TIMER));
        }
        let may_begin = self.is_idle() && self.parked.is_none() && self.is_wanted(now);
        if let Some(next) = self.next_attempt.filter(|_| may_begin) {
            at(next);
        }
        // Those who wait are told once that it was too long; later ones are told when they ask.
        if let Some(end) =
            self.without_since.map(|since| since + self.profile.patience).filter(|end| *end > now.mono)
        {
            at(end);
        }
        due
    }

    /// Whether somebody wants the next credential, and now.
    fn is_wanted(&self, now: Now) -> bool {
        if self.unstored.is_some() || self.keep_alive_in(now).is_some_and(|wait| wait.is_zero()) {
            return true;
        }
        match self.state(now) {
            SessionState::Advisory => self.on_timer(),
            SessionState::Mandatory | SessionState::Empty => self.on_timer() || self.waiting,
            SessionState::Fresh | SessionState::Parked | SessionState::Dead => false,
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.dead.is_some() {
            return;
        }
        if let Some(parked) = &mut self.parked {
            if now.mono >= parked.next_look {
                parked.next_look = now.mono + PARKED_LOOK;
                self.look_again();
            }
            return;
        }
        if self.is_wanted(now) {
            self.renew(now);
        }
    }

    /// The next command, if any.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next notice, if any.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    fn command_id(&mut self) -> CommandId {
        self.next_command += 1;
        CommandId(self.next_command)
    }
}

#[cfg(test)]
mod mint_tests;
#[cfg(test)]
mod rotation_tests;
#[cfg(test)]
mod tests;
