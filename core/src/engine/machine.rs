//! The composite: sessions, uploads and calls behind one set of verbs.

mod calls;
mod handover;
mod job;

pub use handover::HandOver;
pub use job::Expected;

use std::collections::{BTreeMap, VecDeque};

use handover::Standby;
use job::Job;

use super::command::{Command, CommandId, Event, Notice, SessionId, UploadId};
use super::credential::Generation;
use super::error::{Error, ErrorKind};
use super::random::Random;
use super::session::{LeaseAnswer, Session, SessionProfile, SessionStatus, StandingLease};
use super::time::{Mono, Now, UnixMillis};
use super::upload::call::Call;
use super::upload::journal::JournalState;
use super::upload::spec::{OnFailure, UploadSpec};
use super::upload::{Progress, Upload};
use super::wire::{Reply, TransportFailure};

/// A difference of clocks below this is measurement: `Date` has whole seconds, and answers take time.
const SKEW_NOISE_MS: i64 = 30_000;
/// Clock corrections in a row without any success, before a server whose clock jumps about is no longer believed.
const MAX_CORRECTIONS: u32 = 5;

/// Server minus local clock, learned from answers.
#[derive(Debug, Default)]
pub struct Skew {
    ms: i64,
    /// Commands with lower ids were dated before the last correction.
    corrected_before: u64,
    corrections: u32,
}

impl Skew {
    /// Milliseconds to add to the local wall clock.
    pub fn ms(&self) -> i64 {
        self.ms
    }

    /// A server's clock showed `date` at `now`. True when that corrects what was believed; commands up to `last` were
    /// dated by the old belief.
    fn learn(&mut self, date: UnixMillis, now: Now, last: u64) -> bool {
        let measured = date.0.saturating_sub(now.wall.0);
        if measured.abs_diff(self.ms) <= SKEW_NOISE_MS.unsigned_abs() {
            return false;
        }
        self.ms = if measured.abs() > SKEW_NOISE_MS { measured } else { 0 };
        self.corrected_before = last + 1;
        self.corrections += 1;
        true
    }
}

/// What an upload needs of its surroundings for one step.
pub(super) struct Context<'a> {
    pub(super) now: Now,
    pub(super) session: &'a mut Session,
    pub(super) skew: &'a mut Skew,
    pub(super) random: &'a mut Random,
    owner: Owner,
    owners: &'a mut Owners,
    next_id: &'a mut u64,
    commands: &'a mut VecDeque<Command>,
    notices: &'a mut VecDeque<Notice>,
}

/// What an answer, or its lack, says of the credential that the request carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing against it.
    Accepted,
    /// The request was refused for its date, not for its credential; send it again at no cost.
    Misdated,
    /// The credential has ended, by the provider's profile.
    Refused,
}

/// Whose a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Upload(UploadId),
    Call(CommandId),
}

/// Commands in flight: whose they are, and the generation they were leased.
type Owners = BTreeMap<CommandId, (Owner, Option<Generation>)>;

impl Context<'_> {
    /// A fresh command id, remembered as the present owner's.
    pub(super) fn id(&mut self) -> CommandId {
        *self.next_id += 1;
        let id = CommandId(*self.next_id);
        self.owners.insert(id, (self.owner, None));
        id
    }

    pub(super) fn command(&mut self, command: Command) {
        if let Command::Send { id, lease, .. } = &command
            && let Some((_, generation)) = self.owners.get_mut(id)
        {
            *generation = Some(lease.generation);
        }
        self.commands.push_back(command);
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.notices.push_back(notice);
    }

    pub(super) fn remark(&mut self, upload: UploadId, text: String) {
        self.notices.push_back(Notice::Remark { upload: Some(upload), text });
    }

    /// The server's clock, as far as known.
    pub(super) fn server_time(&self) -> UnixMillis {
        self.now.wall.offset(self.skew.ms)
    }

    /// Learns from an answer before its owner does: the server's clock, and whether the credential was refused.
    pub(super) fn note_reply(
        &mut self,
        id: CommandId,
        outcome: &Result<Reply, TransportFailure>,
    ) -> Standing {
        let Ok(reply) = outcome else { return Standing::Accepted };
        if let Some(date) = reply.date()
            && self.skew.learn(date, self.now, *self.next_id)
        {
            self.session.set_skew(self.skew.ms, self.now);
            self.notice(Notice::ClockSkew { skew_ms: self.skew.ms });
        }
        let generation = self.leased(id);
        let refused = match generation {
            Some(generation) => self.session.tells_expiry(generation, reply, self.now),
            None => reply.status == 401,
        };
        if !refused {
            self.skew.corrections = 0;
            if let Some(generation) = generation {
                self.session.accept(generation);
            }
            return Standing::Accepted;
        }
        if id.0 < self.skew.corrected_before && self.skew.corrections <= MAX_CORRECTIONS {
            return Standing::Misdated;
        }
        if let Some(generation) = generation {
            self.session.reject(generation, self.now);
        }
        Standing::Refused
    }

    fn leased(&self, id: CommandId) -> Option<Generation> {
        self.owners.get(&id).and_then(|(_, generation)| *generation)
    }
}

#[derive(Debug)]
struct SessionEntry {
    session: Session,
    skew: Skew,
    /// The caller is done with it: it goes with its last upload and the end of a renewal under way.
    closing: bool,
    /// Who takes over when it does not last.
    standby: Option<Standby>,
    /// The user's session that this one is the service of.
    serves: Option<SessionId>,
    /// What it is for, besides uploads.
    job: Option<Job>,
}

/// The engine: decisions of any number of sessions and uploads.
///
/// Single-threaded by design; a driver owns it and feeds it.
#[derive(Debug)]
pub struct Engine {
    now: Now,
    random: Random,
    sessions: BTreeMap<SessionId, SessionEntry>,
    uploads: BTreeMap<UploadId, Upload>,
    calls: BTreeMap<CommandId, (SessionId, Call)>,
    owners: Owners,
    next_id: u64,
    commands: VecDeque<Command>,
    notices: VecDeque<Notice>,
}

impl Engine {
    /// An empty engine. The same seed, events and times give the same commands.
    pub fn new(seed: u64) -> Self {
        Engine {
            now: Now { mono: Mono::default(), wall: UnixMillis::default() },
            random: Random::new(seed),
            sessions: BTreeMap::new(),
            uploads: BTreeMap::new(),
            calls: BTreeMap::new(),
            owners: BTreeMap::new(),
            next_id: 0,
            commands: VecDeque::new(),
            notices: VecDeque::new(),
        }
    }

    /// Adds a session, which loads its first credential at once.
    pub fn add_session(&mut self, profile: SessionProfile, now: Now) -> SessionId {
        self.now = now;
        let id = SessionId(self.fresh());
        let session = Session::new(id, profile, self.random.bits());
        self.sessions.insert(
            id,
            SessionEntry {
                session,
                skew: Skew::default(),
                closing: false,
                standby: None,
                serves: None,
                job: None,
            },
        );
        self.settle();
        id
    }

    /// Removes a session; its uploads are cancelled (retained) first, its calls fail. A renewal under way is finished: a
    /// new credential must not get lost between exchange and store.
    pub fn remove_session(&mut self, id: SessionId, now: Now) {
        let uploads: Vec<UploadId> =
            self.uploads.iter().filter(|(_, upload)| upload.session == id).map(|(id, _)| *id).collect();
        for upload in uploads {
            self.cancel(upload, OnFailure::Retain, now);
        }
        let orphans: Vec<CommandId> =
            self.calls.iter().filter(|(_, (session, _))| *session == id).map(|(call, _)| *call).collect();
        for call in orphans {
            self.end_call(call, Err(Error::new(ErrorKind::Cancelled, "the session was closed")));
        }
        if let Some(entry) = self.sessions.get_mut(&id) {
            entry.closing = true;
        }
        self.settle();
    }

    /// The right to send one request now. After `Wait`, ask again when the session has moved (a notice, or any
    /// round of events); for a caller who only wants fresh headers this is the whole API.
    pub fn session_lease(&mut self, id: SessionId, now: Now) -> LeaseAnswer {
        self.now = now;
        let acting = if self.open(id).is_some() { self.acting(id) } else { id };
        let answer = match self.open(acting) {
            Some(entry) => entry.session.lease(now),
            None => LeaseAnswer::Failed(Error::new(ErrorKind::InvalidInput, "the session is closed")),
        };
        self.review_standbys();
        self.settle();
        answer
    }

    /// The lease that callers of a session get without anything being decided for them; `None` while they have to wait.
    /// A driver may hand it out by itself for as long as it says.
    pub fn standing_lease(&self, id: SessionId, now: Now) -> Option<StandingLease> {
        self.sessions.get(&id).filter(|entry| !entry.closing)?;
        self.sessions.get(&self.acting(id))?.session.standing_lease(now)
    }

    /// Server minus local clock, as learned by this session's requests, milliseconds.
    pub fn session_skew_ms(&self, id: SessionId) -> i64 {
        self.sessions.get(&self.acting(id)).map_or(0, |entry| entry.skew.ms)
    }

    /// A look at a session.
    pub fn session_status(&self, id: SessionId, now: Now) -> Option<SessionStatus> {
        Some(self.sessions.get(&self.acting(id))?.session.status(now))
    }

    /// Whether a session's credentials come from what does not end, so that each exchange is as good as the next.
    pub fn session_mints(&self, id: SessionId) -> bool {
        self.sessions.get(&self.acting(id)).is_some_and(|entry| entry.session.mints())
    }

    /// Renews a session's credential now, whatever the windows say.
    pub fn refresh_now(&mut self, id: SessionId, now: Now) {
        self.with_session(self.acting(id), now, |session| session.refresh_now(now));
    }

    /// A caller who sends requests itself was answered with 401 under `generation`.
    pub fn reject(&mut self, id: SessionId, generation: Generation, now: Now) {
        let id = self.of_generation(id, generation.0);
        self.with_session(id, now, |session| session.reject(generation, now));
    }

    /// A caller who sends requests itself was answered with something other than 401 under `generation`.
    pub fn accept(&mut self, id: SessionId, generation: Generation, now: Now) {
        let id = self.of_generation(id, generation.0);
        self.with_session(id, now, |session| session.accept(generation));
    }

    /// Keeps a session alive while idle, until released.
    pub fn hold(&mut self, id: SessionId, now: Now) {
        self.with_session(id, now, |session| session.hold(now));
    }

    /// The opposite of [`Engine::hold`].
    pub fn release(&mut self, id: SessionId, now: Now) {
        self.with_session(id, now, Session::release);
    }

    fn with_session(&mut self, id: SessionId, now: Now, act: impl FnOnce(&mut Session)) {
        self.now = now;
        if let Some(entry) = self.sessions.get_mut(&id) {
            act(&mut entry.session);
        }
        self.pump();
    }

    /// Starts an upload. `journal` is what an earlier run of the same call left. The session is held until the end,
    /// which [`Notice::Finished`] tells.
    pub fn start_upload(
        &mut self,
        session: SessionId,
        spec: UploadSpec,
        journal: Option<JournalState>,
        now: Now,
    ) -> UploadId {
        self.now = now;
        let id = UploadId(self.fresh());
        let Some(entry) = self.sessions.get_mut(&session).filter(|entry| !entry.closing) else {
            let result = Err(Error::new(ErrorKind::InvalidInput, "the session is closed"));
            self.notices.push_back(Notice::Finished { upload: id, result, resumable: false });
            return id;
        };
        entry.session.hold(now);
        let acting = self.acting(session);
        let Some(entry) = self.sessions.get_mut(&acting) else { return id };
        let mut ctx = Context {
            now,
            session: &mut entry.session,
            skew: &mut entry.skew,
            random: &mut self.random,
            owner: Owner::Upload(id),
            owners: &mut self.owners,
            next_id: &mut self.next_id,
            commands: &mut self.commands,
            notices: &mut self.notices,
        };
        let upload = Upload::start(id, session, spec, journal, &mut ctx);
        self.uploads.insert(id, upload);
        self.pump();
        id
    }

    /// Begins no further parts; those in flight are finished.
    pub fn pause(&mut self, id: UploadId, now: Now) {
        self.with_upload(id, now, |upload, ctx| upload.set_paused(true, ctx));
    }

    /// The opposite of [`Engine::pause`].
    pub fn resume(&mut self, id: UploadId, now: Now) {
        self.with_upload(id, now, |upload, ctx| upload.set_paused(false, ctx));
    }

    /// Stops an upload; it is kept for resuming or aborted at the service. [`Notice::Finished`] still follows.
    pub fn cancel(&mut self, id: UploadId, on_failure: OnFailure, now: Now) {
        self.with_upload(id, now, |upload, ctx| upload.cancel(on_failure, ctx));
    }

    /// A look at an upload; `None` once it has ended.
    pub fn progress(&self, id: UploadId, now: Now) -> Option<Progress> {
        let upload = self.uploads.get(&id)?;
        let session = self.sessions.get(&self.acting(upload.session))?;
        Some(upload.progress(session.session.state(now), now))
    }

    fn open(&mut self, id: SessionId) -> Option<&mut SessionEntry> {
        self.sessions.get_mut(&id).filter(|entry| !entry.closing)
    }

    fn fresh(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn with_upload(&mut self, id: UploadId, now: Now, act: impl FnOnce(&mut Upload, &mut Context<'_>)) {
        self.now = now;
        self.step_upload(id, act);
        self.pump();
    }

    fn step_upload(&mut self, id: UploadId, act: impl FnOnce(&mut Upload, &mut Context<'_>)) {
        let Some(session) = self.uploads.get(&id).map(|upload| self.acting(upload.session)) else { return };
        let Some(upload) = self.uploads.get_mut(&id) else { return };
        let Some(entry) = self.sessions.get_mut(&session) else { return };
        let mut ctx = Context {
            now: self.now,
            session: &mut entry.session,
            skew: &mut entry.skew,
            random: &mut self.random,
            owner: Owner::Upload(id),
            owners: &mut self.owners,
            next_id: &mut self.next_id,
            commands: &mut self.commands,
            notices: &mut self.notices,
        };
        act(upload, &mut ctx);
    }

    /// Takes in an outcome. Ids that are not known (any more) are ignored.
    pub fn handle(&mut self, event: Event, now: Now) {
        self.now = now;
        match event {
            Event::Loaded { id, result } => {
                self.step_session(id, |session| session.on_loaded(id, result, now));
            }
            Event::Locked { id, result } => {
                self.step_session(id, |session| session.on_locked(id, result, now));
            }
            Event::Intended { id, result } => {
                self.step_session(id, |session| session.on_intended(id, result, now));
            }
            Event::Exchanged { id, result } => {
                self.step_session(id, |session| session.on_exchanged(id, result, now));
            }
            Event::Stored { id, result } => {
                self.step_session(id, |session| session.on_stored(id, result, now));
            }
            Event::HandedOver { id, result } => self.on_handed_over(id, result),
            Event::Dated { session, date } => {
                if let Some(entry) = self.sessions.get_mut(&session)
                    && entry.skew.learn(date, now, self.next_id)
                {
                    entry.session.set_skew(entry.skew.ms, now);
                    self.notices.push_back(Notice::ClockSkew { skew_ms: entry.skew.ms });
                }
            }
            Event::SourceTouched { session } => {
                if let Some(entry) = self.sessions.get_mut(&session) {
                    entry.session.source_touched();
                }
            }
            Event::Progressed { id, bytes } => {
                if let Some((Owner::Upload(upload), _)) = self.owners.get(&id).copied() {
                    self.step_upload(upload, |upload, ctx| upload.progressed(id, bytes, ctx));
                }
                // Progress lets nothing go on: no need to look at every upload.
                self.settle();
                return;
            }
            Event::Replied { id, .. }
            | Event::Hashed { id, .. }
            | Event::Filled { id, .. }
            | Event::SourceChecked { id, .. }
            | Event::Recorded { id, .. } => self.handle_owned(id, event),
        }
        self.pump();
    }

    fn handle_owned(&mut self, id: CommandId, event: Event) {
        match self.owners.get(&id).map(|(owner, _)| *owner) {
            Some(Owner::Upload(upload)) => {
                self.step_upload(upload, |upload, ctx| {
                    if upload.owns(id) {
                        upload.handle(event, ctx);
                    } else if let Event::Recorded { result: Err(error), .. } = event {
                        upload.journal_failed(error, ctx);
                    }
                });
            }
            Some(Owner::Call(call)) => {
                if let Event::Replied { outcome, .. } = event {
                    self.on_call_replied(call, id, outcome);
                }
            }
            None => {}
        }
        self.owners.remove(&id);
    }

    /// Session commands carry the session's number in their upper bits.
    fn step_session(&mut self, id: CommandId, act: impl FnOnce(&mut Session)) {
        let session = SessionId((id.0 >> Session::ID_SHIFT).wrapping_sub(1));
        if let Some(entry) = self.sessions.get_mut(&session) {
            act(&mut entry.session);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        for entry in self.sessions.values_mut() {
            entry.session.handle_timeout(now);
        }
        self.pump();
    }

    /// Lets everything that may go on go on.
    fn pump(&mut self) {
        self.pump_calls();
        let ids: Vec<UploadId> = self.uploads.keys().copied().collect();
        for id in ids {
            self.step_upload(id, Upload::pump);
            if self.uploads.get(&id).is_some_and(Upload::has_ended)
                && let Some(upload) = self.uploads.remove(&id)
                && let Some(entry) = self.sessions.get_mut(&upload.session)
            {
                entry.session.release();
            }
        }
        self.review_jobs();
        self.review_standbys();
        self.settle();
    }

    /// Moves what the sessions want into the queues.
    fn settle(&mut self) {
        for entry in self.sessions.values_mut() {
            while let Some(command) = entry.session.poll_command() {
                self.commands.push_back(command);
            }
            while let Some(notice) = entry.session.poll_notice() {
                self.notices.push_back(notice);
            }
        }
        let uploads = &self.uploads;
        self.sessions.retain(|id, entry| {
            !entry.closing || !entry.session.is_idle() || uploads.values().any(|upload| upload.session == *id)
        });
        // A service ends with the session that it serves.
        let users: Vec<SessionId> = self.sessions.keys().copied().collect();
        self.sessions.retain(|_, entry| {
            entry.serves.is_none_or(|user| users.contains(&user)) || !entry.session.is_idle()
        });
    }

    /// The next thing to do, if any.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next thing to tell, if any.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// When to call [`Engine::handle_timeout`] if nothing else happens before; `None`: never.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let sessions = self.sessions.values().filter_map(|entry| entry.session.poll_timeout(self.now));
        let uploads = self.uploads.values().filter_map(Upload::poll_timeout);
        let calls = self.calls.values().filter_map(|(_, call)| call.due());
        sessions.chain(uploads).chain(calls).chain(self.standby_timeout()).min()
    }
}
