//! Carrying out commands: files, locks, refreshes.

use std::sync::Arc;
use std::time::Duration;

use outlast_core::engine::checksum::Wanted;
use outlast_core::engine::claims::session_grant;
use outlast_core::engine::command::{Command, CommandId, Event, Filled, UploadId};
use outlast_core::engine::credential::{Credential, Grant};
use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::upload::journal::Record;
use outlast_core::engine::wire::{Reply, TransportFailure, TransportKind, auth};
use outlast_core::{Error, ErrorKind};

use crate::ask::AskKind;
use crate::audit::Audit;
use crate::fault::{Fault, Sending};
use crate::host::{Life, TokenFile};
use crate::process::Identity;
use crate::reply;
use crate::world::{Item, World, network, signing_key};

/// How often a half-written token file is read again, and after what wait, as the driver does it.
const LOOKS: u32 = 4;
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a driver waits for the lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);
/// How long a driver waits for an answer.
pub(crate) const STALL: Duration = Duration::from_mins(1);

/// Work of a driver that takes time.
pub(crate) enum Work {
    Load { id: CommandId, looks: u32 },
    Locked { id: CommandId },
    LockExpired { id: CommandId },
    Ask { id: CommandId, token: Option<String>, date: UnixMillis, fault: Option<Fault> },
    Asked { id: CommandId, token: Option<String>, outcome: Result<Reply, TransportFailure>, sticky: bool },
    Store { id: CommandId, grant: Arc<Grant> },
    Hash { id: CommandId, job: usize, offset: u64, len: u64, wanted: Wanted },
    Fill { id: CommandId, job: usize, offset: u64, len: u64, wanted: Wanted },
    Check { id: CommandId, job: usize },
    Sync { id: CommandId, job: usize },
    Echo(Event),
}

impl World {
    /// Carries out a command, or begins to.
    pub(crate) fn carry_out(&mut self, life: Life, command: Command) {
        self.say(|| {
            let mut text = format!("{command:?}");
            text.truncate(text.char_indices().nth(400).map_or(text.len(), |(at, _)| at));
            format!("{life} -> {text}")
        });
        if self.audit.scan_commands {
            let clean = self.audit.shown(&command);
            self.must(clean);
        }
        let disk = self.pace.disk;
        match command {
            Command::Load { id, .. } => {
                self.issue(life, id);
                self.plan(disk, Item::Work(life, Work::Load { id, looks: 1 }));
            }
            Command::Lock { id, .. } => {
                self.issue(life, id);
                self.lock(life, id);
            }
            Command::Unlock { .. } if self.processes[life.process].identity == Identity::Mint => {}
            Command::Unlock { .. } => {
                if self.host.lock.holder != Some(life) {
                    self.fail("a lock is given back that was not had");
                }
                self.unlock();
            }
            Command::Intend { .. } => unreachable!("no identity of this world rotates"),
            Command::HandOver { .. } => unreachable!("no session of this world has a service"),
            Command::Exchange { id, grant, skew_ms, .. } => {
                self.issue(life, id);
                self.exchange(life, id, grant.as_deref(), skew_ms);
            }
            Command::Store { id, grant, .. } => {
                self.issue(life, id);
                self.plan(disk, Item::Work(life, Work::Store { id, grant }));
            }
            Command::Hash { id, upload, offset, len, wanted } => {
                let job = self.begin_work(life, id, upload);
                self.plan(disk, Item::Work(life, Work::Hash { id, job, offset, len, wanted }));
            }
            Command::Fill { id, upload, offset, len, wanted } => {
                let job = self.begin_work(life, id, upload);
                self.plan(disk, Item::Work(life, Work::Fill { id, job, offset, len, wanted }));
            }
            Command::Release { upload, offset } => {
                if let Some(job) = self.job_of(life, upload)
                    && self.jobs[job].buffers.remove(&offset).is_none()
                {
                    self.fail("a buffer is released that does not exist");
                }
            }
            Command::CheckSource { id, upload } => {
                self.issue(life, id);
                let job = self.working(life, upload);
                self.plan(disk, Item::Work(life, Work::Check { id, job }));
            }
            Command::Record { id, upload, record } => self.record(life, id, upload, &record),
            Command::Forget { upload } => {
                if let Some(job) = self.job_of(life, upload) {
                    self.host.journals.remove(&job);
                }
            }
            Command::Cancel { id } => self.cancel_flight(life, id),
            Command::Send { .. } => self.send(life, command),
            Command::CallDone { call, .. } => {
                if !self.calls.remove(&(life, call)) {
                    self.fail("a call ends that nobody made, or twice");
                }
            }
        }
    }

    pub(crate) fn issue(&mut self, life: Life, id: CommandId) {
        let once = self.audit.issue(life, id);
        self.must(once);
    }

    /// The job of an upload that wants something done; it must not have ended.
    pub(crate) fn working(&mut self, life: Life, upload: UploadId) -> usize {
        let works = self.audit.works(life, upload);
        self.must(works);
        match self.job_of(life, upload) {
            Some(job) => job,
            None => self.fail("a command for an upload that nobody started"),
        }
    }

    /// The same for commands that need a permit.
    pub(crate) fn begin_work(&mut self, life: Life, id: CommandId, upload: UploadId) -> usize {
        self.issue(life, id);
        let number = self.working(life, upload);
        let job = &mut self.jobs[number];
        job.permits.insert(id);
        if job.permits.len() > job.options.parallel as usize {
            self.fail(&format!(
                "{} permits of {}",
                self.jobs[number].permits.len(),
                self.jobs[number].options.parallel
            ));
        }
        number
    }

    fn lock(&mut self, life: Life, id: CommandId) {
        if self.processes[life.process].identity == Identity::Mint {
            // What lives in memory needs no lock between processes.
            self.plan(self.pace.disk, Item::Work(life, Work::Locked { id }));
        } else if self.host.lock.holder.is_none() {
            self.host.lock.holder = Some(life);
            self.plan(self.pace.disk, Item::Work(life, Work::Locked { id }));
        } else {
            self.host.lock.waiting.push_back((life, id));
            self.plan(LOCK_PATIENCE, Item::Work(life, Work::LockExpired { id }));
        }
    }

    pub(crate) fn unlock(&mut self) {
        self.host.lock.holder = None;
        if let Some((life, id)) = self.host.lock.waiting.pop_front() {
            self.host.lock.holder = Some(life);
            self.plan(self.pace.disk, Item::Work(life, Work::Locked { id }));
        }
    }

    fn exchange(&mut self, life: Life, id: CommandId, grant: Option<&Grant>, skew_ms: i64) {
        let shared = self.processes[life.process].identity == Identity::Session;
        let token = match grant.map(|grant| &grant.credential) {
            Some(Credential::OciSession { token, .. }) if shared => Some(token.expose().clone()),
            _ => None,
        };
        if shared {
            let alone = self.audit.exchange(life, token.as_deref());
            self.must(alone);
        }
        self.figures.exchanges += 1;
        self.processes[life.process].exchanged.clone_from(&token);
        let fault = self.befalls(AskKind::Refresh, None, None);
        let date = self.clock.now().wall.offset(skew_ms);
        let extra = if let Some(Fault::Slow(seconds)) = fault {
            Duration::from_secs(seconds)
        } else {
            Duration::ZERO
        };
        self.plan(self.pace.round_trip / 2 + extra, Item::Work(life, Work::Ask { id, token, date, fault }));
    }

    /// Which fault befalls a request that is about to be sent.
    pub(crate) fn befalls(&mut self, kind: AskKind, job: Option<usize>, part: Option<u32>) -> Option<Fault> {
        let nth = self.asked.entry(kind).or_default();
        *nth += 1;
        let sending = Sending { kind, job, part, nth: *nth - 1, time: self.clock.time() };
        let scripted = self.script.as_mut().and_then(|script| script(&sending));
        scripted.or_else(|| self.weather.fault(kind, sending.time, &mut self.random))
    }

    fn record(&mut self, life: Life, id: Option<CommandId>, upload: UploadId, record: &Record) {
        let clean = Audit::text(&format!("{record:?}"));
        self.must(clean);
        let job = self.working(life, upload);
        if let Some(id) = id {
            self.issue(life, id);
        }
        if self.jobs[job].streamed || self.jobs[job].options.single {
            // No journal: written nowhere, but answered.
        } else {
            self.host.append(job, record);
        }
        if let Some(id) = id {
            self.plan(self.pace.disk * 10, Item::Work(life, Work::Sync { id, job }));
        }
    }

    /// A driver's work is done: what came of it is told.
    pub(crate) fn work_done(&mut self, life: Life, work: Work) {
        let lives = self.processes[life.process].life == life;
        match work {
            // The service acts even if the asker is dead.
            Work::Ask { id, token, date, fault } => self.ask(life, id, token, date, fault),
            _ if !lives => {}
            Work::Load { id, looks } => self.load(life, id, looks),
            Work::Locked { id } => self.deliver(life, Event::Locked { id, result: Ok(()) }),
            Work::LockExpired { id } => {
                let waiting = &mut self.host.lock.waiting;
                if let Some(place) = waiting.iter().position(|entry| *entry == (life, id)) {
                    waiting.remove(place);
                    let error = Error::new(ErrorKind::Busy, "another process holds the lock for too long");
                    self.deliver(life, Event::Locked { id, result: Err(error) });
                }
            }
            Work::Asked { id, token, outcome, sticky } => self.asked(life, id, token, &outcome, sticky),
            Work::Store { id, grant } => {
                // Somebody may have signed in meanwhile; a file that is being written is overwritten all the same.
                let exchanged = self.processes[life.process].exchanged.take();
                let now = self.clock.server();
                let replaced = match &self.host.token {
                    TokenFile::Whole(text) if Some(text) != exchanged.as_ref() => {
                        self.issuer.token(text).is_some_and(|token| token.expires > now)
                    }
                    _ => false,
                };
                if let Credential::OciSession { token, .. } = &grant.credential
                    && !replaced
                    && self.processes[life.process].identity == Identity::Session
                    && !self.host.is_full
                {
                    self.host.token = TokenFile::Whole(token.expose().clone());
                }
                let full = self.host.is_full.then(|| Error::new(ErrorKind::State, "no space left on device"));
                self.deliver(life, Event::Stored { id, result: full.map_or(Ok(()), Err) });
            }
            Work::Hash { id, job, offset, len, wanted } => {
                self.jobs[job].permits.remove(&id);
                let content = self.jobs[job].content();
                let chunk = content.read(offset, len).filter(|_| !self.host.is_unreadable);
                let result = chunk.map(|chunk| chunk.digests(wanted));
                let result =
                    result.ok_or_else(|| Error::new(ErrorKind::Source, "the source is shorter than it was"));
                self.deliver(life, Event::Hashed { id, result });
            }
            Work::Fill { id, job, offset, len, wanted } => self.fill(life, id, (job, offset, len), wanted),
            Work::Check { id, job } => {
                let unreadable = Error::new(ErrorKind::Source, "input/output error");
                let identity = Some(self.jobs[job].identity()).filter(|_| !self.host.is_unreadable);
                let result = identity.ok_or(unreadable);
                self.deliver(life, Event::SourceChecked { id, result });
            }
            Work::Sync { id, job } => {
                let result = self.host.sync(job);
                self.deliver(life, Event::Recorded { id, result });
            }
            Work::Echo(event) => self.deliver(life, event),
        }
    }

    fn load(&mut self, life: Life, id: CommandId, looks: u32) {
        if self.processes[life.process].identity == Identity::ApiKey {
            let credential = Credential::OciApiKey { key_id: "t/u/f".into(), key: signing_key() };
            let grant = Grant::new(credential);
            return self.deliver(life, Event::Loaded { id, result: Ok(Some(grant)) });
        }
        if self.processes[life.process].identity == Identity::Mint {
            return self.deliver(life, Event::Loaded { id, result: Ok(None) });
        }
        let result = match self.host.read_token() {
            Ok(Some(text)) => session_grant(text, signing_key()).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        if result.is_err() && looks < LOOKS {
            self.plan(LOOK_EVERY, Item::Work(life, Work::Load { id, looks: looks + 1 }));
            return;
        }
        self.deliver(life, Event::Loaded { id, result });
    }

    /// The refresh reaches the auth service.
    fn ask(
        &mut self,
        life: Life,
        id: CommandId,
        token: Option<String>,
        date: UnixMillis,
        fault: Option<Fault>,
    ) {
        let now = self.clock.server();
        let half = self.pace.round_trip / 2;
        let broken = |kind, what: &str| Err(TransportFailure { kind, error: network(what) });
        let mints = self.processes[life.process].identity == Identity::Mint;
        let act = |world: &mut World| match &token {
            Some(token) => world.issuer.refresh(token, date, now),
            None if mints => world.issuer.mint(date, now),
            None => reply::failure(401, "NotAuthenticated", now),
        };
        let honest = self.processes[life.process].life == life;
        let (wait, outcome) = match fault {
            Some(Fault::Unreachable) => (half, broken(TransportKind::Connect, "no route")),
            Some(Fault::BrokenWhileSending) => (half, broken(TransportKind::BrokenWhileSending, "reset")),
            Some(Fault::BrokenUnheard) => (half, broken(TransportKind::BrokenAfterSending, "reset")),
            Some(Fault::BrokenAfter) => {
                act(self);
                (half, broken(TransportKind::BrokenAfterSending, "reset"))
            }
            Some(Fault::StalledBefore | Fault::HeardLate { .. }) => {
                (STALL, broken(TransportKind::Stalled, "no progress"))
            }
            Some(Fault::StalledAfter) => {
                act(self);
                (STALL, broken(TransportKind::Stalled, "no answer"))
            }
            Some(Fault::Garbled) => {
                act(self);
                (half, Ok(reply::json(200, "<html>".to_owned(), now)))
            }
            Some(Fault::Throttled(after)) => (half, Ok(delayed(429, "TooManyRequests", after, now))),
            Some(Fault::Unavailable(after)) => (half, Ok(delayed(503, "ServiceUnavailable", after, now))),
            Some(Fault::Broke) => (half, Ok(reply::failure(500, "InternalServerError", now))),
            Some(Fault::Refused) => (half, Ok(reply::failure(401, "NotAuthenticated", now))),
            _ => (half, Ok(act(self))),
        };
        let sticky = matches!(&outcome, Ok(reply) if reply.status == 401) && date.0.abs_diff(now.0) < 29_000;
        if honest {
            self.plan(wait, Item::Work(life, Work::Asked { id, token, outcome, sticky }));
        }
    }

    /// The answer of the auth service, or the lack of one, reaches the process.
    fn asked(
        &mut self,
        life: Life,
        id: CommandId,
        token: Option<String>,
        outcome: &Result<Reply, TransportFailure>,
        sticky: bool,
    ) {
        if self.audit.exchanging == Some(life) {
            self.audit.exchanging = None;
        }
        // Unless the clock was set meanwhile, which makes any refusal doubtful.
        let doubtful = self.clock.was_stepped_within(STALL * 4);
        if let Some(token) = token.filter(|_| sticky && !doubtful) {
            self.audit.refused.insert((life, token));
        }
        if let Some(date) = outcome.as_ref().ok().and_then(Reply::date) {
            let session = self.processes[life.process].session;
            self.deliver(life, Event::Dated { session, date });
        }
        let result = auth::parse_refresh(outcome).and_then(|next| {
            session_grant(next.expose(), signing_key())
                .map_err(|error| panic!("the service gave a token that cannot be read: {error}"))
        });
        self.deliver(life, Event::Exchanged { id, result });
    }

    fn fill(&mut self, life: Life, id: CommandId, (number, offset, len): (usize, u64, u64), wanted: Wanted) {
        let job = &mut self.jobs[number];
        job.permits.remove(&id);
        if offset != job.position {
            self.fail("a stream is read out of order");
        }
        let got = len.min(job.content().size() - offset);
        let chunk = job.content().read(offset, got).expect("within the stream");
        let digests = chunk.digests(wanted);
        job.position += got;
        if got > 0 || offset == 0 {
            job.buffers.insert(offset, chunk);
        }
        let (held, most) = (job.buffers.len(), job.options.parallel as usize);
        if held > most {
            self.fail(&format!("{held} buffers are held of {most}"));
        }
        self.deliver(life, Event::Filled { id, result: Ok(Filled { len: got, digests }) });
    }
}

/// A refusal for now, with a delay if the service names one.
pub(crate) fn delayed(status: u16, code: &str, after: Option<u64>, now: UnixMillis) -> Reply {
    let mut answer = reply::failure(status, code, now);
    if let Some(seconds) = after {
        reply::push(&mut answer, "retry-after", seconds.to_string());
    }
    answer
}
