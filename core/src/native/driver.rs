//! The thread that owns the engine: messages in, commands out, notices told.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;

use super::audit::Audit;
use super::buffer::Pool;
use super::carry::Tools;
use super::clock::Clock;
use super::content::Content;
use super::endpoint::Endpoint;
use super::http::Http;
use super::journal::{Job, write_in_order};
use super::limiter::Limiter;
use super::md5::Batcher;
use super::message::{Message, OpenSession, StartUpload};
use super::notices::Listeners;
use super::options::ClientOptions;
use super::published::Published;
use super::reply::Promise;
use super::source::Source;
use super::upload::Shared;
use super::waiting::Refreshing;
use super::{calls, os, watch};
use crate::engine::credential::Lease;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::session::SessionStatus;
use crate::engine::upload::Outcome;
use crate::engine::upload::spec::{OnFailure, Target};
use crate::engine::wire::Reply;
use crate::engine::wire::oci::{self, Operation};
use crate::engine::{CommandId, Engine, Event, Notice, SessionId, UploadId};

/// The engine is asked at least this often, so that a suspended machine or a stepped wall clock is noticed soon.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The same while uploads run: their published progress is never older.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// Messages taken in before commands are carried out again.
const BATCH: usize = 256;
/// Threads for blocking work: reading, hashing, files of sessions and journals.
const BLOCKING_THREADS: usize = 64;
/// Memory that blocks of one upload may take, bytes; smaller blocks are used beyond.
const BLOCK_MEMORY: usize = 64 << 20;
/// Smallest block, bytes.
const LEAST_BLOCK: usize = 16 << 10;

/// A session's tools.
pub(crate) struct SessionRoom {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) storage: Arc<Endpoint>,
    pub(crate) auth: Arc<Endpoint>,
    pub(crate) guard: super::carry::Guard,
    pub(super) published: Arc<Published>,
    /// The user's session that it is the service of, with the record of hand-overs.
    serves: Option<SessionId>,
    pub(crate) audit: Option<Arc<Audit>>,
    watcher: Option<AbortHandle>,
    /// Commands of the session that have no answer yet.
    pub(crate) pending: usize,
    /// The caller has dropped it; it ends with its last upload.
    dropped: bool,
    release: Release,
    pub(super) refreshes: Vec<Refreshing>,
    /// What the service answered to the refresh that was asked for; `None`: it was not asked (yet).
    pub(super) answer: Option<Result<(), Error>>,
}

impl SessionRoom {
    /// Storage and auth.
    pub(super) fn endpoints(&self) -> (Arc<Endpoint>, Arc<Endpoint>) {
        (Arc::clone(&self.storage), Arc::clone(&self.auth))
    }
}

/// What is revoked when a session has ended.
enum Release {
    /// Nothing (any more).
    Nothing,
    /// What the job holds, and who is to be told.
    AtEnd(Option<Promise<bool>>),
    /// It is being revoked.
    UnderWay(Option<Promise<bool>>),
}

/// An upload's tools.
pub(crate) struct UploadRoom {
    pub(crate) session: SessionId,
    pub(crate) content: Arc<Content>,
    pub(crate) pool: Pool,
    pub(crate) jobs: UnboundedSender<Job>,
    shared: Arc<Shared>,
    promise: Promise<Outcome>,
    /// Told once the journal is closed, so that the same call can be made again at once.
    ended: Option<Notice>,
}

/// A command under way.
pub(crate) struct Task {
    pub(crate) abort: Option<AbortHandle>,
    pub(crate) session: Option<SessionId>,
}

/// Who waits for an outside call.
enum Caller {
    Promise(Promise<Reply>),
    /// Nobody: an orphan is being aborted, and a failure deserves a line.
    Orphan(UploadId, String),
}

/// The engine with everything it needs to act.
pub(crate) struct Driver {
    pub(crate) engine: Engine,
    pub(crate) tools: Arc<Tools>,
    pub(crate) sessions: HashMap<SessionId, SessionRoom>,
    pub(crate) uploads: HashMap<UploadId, UploadRoom>,
    pub(crate) tasks: HashMap<CommandId, Task>,
    pub(super) clock: Clock,
    messages: Receiver<Message>,
    runtime: Runtime,
    calls: HashMap<CommandId, Caller>,
    pub(super) leases: Vec<(SessionId, Promise<Lease>)>,
    pub(super) loads: Vec<(SessionId, Promise<SessionStatus>)>,
    listeners: Listeners,
    io_buffer: usize,
    last_progress: Instant,
    /// When the first of the leases that callers see is over, by the clock that nobody sets.
    shown_until: Option<Instant>,
    closing: Option<Instant>,
}

impl Driver {
    /// Builds the runtime; call it on the thread that will own the engine, with signals blocked.
    pub(crate) fn new(
        options: &ClientOptions,
        events: Sender<Message>,
        messages: Receiver<Message>,
        limiter: Arc<Limiter>,
    ) -> Result<Driver, Error> {
        let http = Http::new(options)?;
        let names = AtomicUsize::new(1);
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.workers)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name_fn(move || format!("outlast-io-{}", names.fetch_add(1, Ordering::Relaxed)))
            .on_thread_start(|| {
                os::block_signals();
            })
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Internal, format!("threads cannot be started: {error}"))
            })?;
        let tools = Arc::new(Tools {
            http,
            limiter,
            batcher: Batcher::default(),
            trace: options.trace.clone(),
            runtime: runtime.handle().clone(),
            events,
            closing: Arc::new(AtomicBool::new(false)),
        });
        Ok(Driver {
            engine: Engine::new(options.seed.unwrap_or_else(random_seed)),
            tools,
            sessions: HashMap::new(),
            uploads: HashMap::new(),
            tasks: HashMap::new(),
            clock: Clock::start(),
            messages,
            runtime,
            calls: HashMap::new(),
            leases: Vec::new(),
            loads: Vec::new(),
            listeners: Listeners::default(),
            io_buffer: options.io_buffer,
            last_progress: Instant::now(),
            shown_until: None,
            closing: None,
        })
    }

    /// Runs until closed. `Err`: it was cut off.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        let mut due = Instant::now() + LONGEST_WAIT;
        loop {
            match self.messages.recv_timeout(self.wait(due)) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                // Unreachable while the tools hold a sender; an end all the same.
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for _ in 0..BATCH {
                let Ok(message) = self.messages.try_recv() else { break };
                self.take(message);
            }
            let now = self.clock.now();
            if Instant::now() >= due || self.engine.poll_timeout().is_some_and(|at| at <= now.mono) {
                self.engine.handle_timeout(now);
                due = Instant::now() + LONGEST_WAIT;
            }
            self.settle();
            if let Some(deadline) = self.closing {
                let at_rest =
                    |room: &SessionRoom| room.pending == 0 && matches!(room.release, Release::Nothing);
                let drained = self.uploads.is_empty() && self.sessions.values().all(at_rest);
                if drained || Instant::now() >= deadline {
                    return self.stop(drained, deadline);
                }
            }
        }
        Ok(())
    }

    fn stop(self, drained: bool, deadline: Instant) -> Result<(), Error> {
        let Driver { runtime, tools, sessions, .. } = self;
        for room in sessions.values() {
            room.watcher.as_ref().inspect(|watcher| watcher.abort());
        }
        drop((sessions, tools));
        // What blocks for ever (a host's reader, a dead mount) must not block us.
        let left = deadline.saturating_duration_since(Instant::now());
        runtime.shutdown_timeout(left.min(Duration::from_secs(1)));
        if drained {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Timeout, "the client was closed before its uploads had come to rest"))
        }
    }

    fn wait(&self, due: Instant) -> Duration {
        let mut wait = due.saturating_duration_since(Instant::now());
        if let Some(at) = self.engine.poll_timeout() {
            wait = wait.min(self.clock.until(at));
        }
        if let Some(at) = self.shown_until {
            // A moment later, so that it is over when it is looked at.
            wait = wait.min(at.saturating_duration_since(Instant::now()) + Duration::from_millis(1));
        }
        if !self.uploads.is_empty() {
            wait = wait.min(PROGRESS_EVERY);
        }
        if let Some(deadline) = self.closing {
            wait = wait.min(deadline.saturating_duration_since(Instant::now()));
        }
        wait
    }

    fn take(&mut self, message: Message) {
        let now = self.clock.now();
        match message {
            Message::Event(event) => {
                self.forget_task(&event);
                self.engine.handle(event, now);
            }
            Message::OpenSession(open) => self.open_session(*open),
            Message::DropSession(id) => {
                if let Some(room) = self.sessions.get_mut(&id) {
                    room.dropped = true;
                }
                self.drop_idle_sessions();
            }
            Message::Lease { session, promise } => self.leases.push((session, promise)),
            Message::Refresh { session, promise } => match self.sessions.get_mut(&session) {
                Some(room) => room.refreshes.push(Refreshing { since: None, promise }),
                None => promise.settle(Err(closed())),
            },
            Message::Status { session, promise } => {
                promise.settle(self.engine.session_status(session, now).ok_or_else(closed));
            }
            Message::Loaded { session, promise } => self.loads.push((session, promise)),
            Message::Hold(id) => self.engine.hold(id, now),
            Message::Release(id) => self.engine.release(id, now),
            Message::Reject(id, generation) => self.engine.reject(id, generation, now),
            Message::Accept(id, generation) => self.engine.accept(id, generation, now),
            Message::Touch(session) => self.engine.handle(Event::SourceTouched { session }, now),
            Message::Expect(id, name, expected) => self.engine.expect(id, &name, expected, now),
            Message::Advanced(id, done) => self.engine.advanced(id, done, now),
            Message::EndJob(id, promise) => match self.sessions.get_mut(&id) {
                Some(room) if matches!(room.release, Release::AtEnd(_)) => {
                    room.release = Release::AtEnd(promise);
                    room.dropped = true;
                }
                _ => {
                    if let Some(promise) = promise {
                        promise.settle(Err(closed()));
                    }
                }
            },
            Message::LeaveJob(id) => {
                if let Some(room) = self.sessions.get_mut(&id) {
                    room.release = Release::Nothing;
                }
            }
            Message::Released(id, result) => self.released(id, result),
            Message::StartUpload(start) => self.start_upload(*start),
            Message::Pause(id) => self.engine.pause(id, now),
            Message::Resume(id) => self.engine.resume(id, now),
            Message::Cancel(id, on_failure) => self.engine.cancel(id, on_failure, now),
            Message::JournalClosed(id) => self.end_upload(id),
            Message::Call { session, operation, request, promise } => {
                let call = self.engine.call(session, operation, *request, now);
                self.calls.insert(call, Caller::Promise(promise));
            }
            Message::Subscribe(subscriber) => self.listeners.add(subscriber),
            Message::Close(deadline) => self.close(deadline),
        }
    }

    fn close(&mut self, deadline: Instant) {
        self.closing = Some(self.closing.map_or(deadline, |known| known.min(deadline)));
        self.tools.closing.store(true, Ordering::Relaxed);
        let now = self.clock.now();
        let ids: Vec<UploadId> = self.uploads.keys().copied().collect();
        for id in ids {
            self.engine.cancel(id, OnFailure::Retain, now);
        }
        // No job goes on without its client.
        for room in self.sessions.values_mut() {
            room.dropped |= !matches!(room.release, Release::Nothing);
        }
    }

    fn open_session(&mut self, open: OpenSession) {
        let now = self.clock.now();
        let (serves, audit) =
            open.service.as_ref().map(|service| (service.user, Arc::clone(&service.audit))).unzip();
        let id = match open.service {
            None => Some(self.engine.add_session(open.profile, now)),
            Some(service) => self.engine.add_service(service.user, open.profile, service.plan, now),
        };
        let Some(id) = id else {
            let message = "the session is closed, or has a service already";
            return open.promise.settle(Err(Error::new(ErrorKind::InvalidInput, message)));
        };
        let paths = open.source.watch();
        let watcher = (!paths.is_empty())
            .then(|| self.runtime.spawn(watch::watch(id, paths, self.tools.events.clone())).abort_handle());
        let room = SessionRoom {
            source: open.source,
            storage: Arc::new(open.storage),
            auth: Arc::new(open.auth),
            guard: super::carry::Guard::default(),
            published: open.published,
            serves,
            audit,
            watcher,
            pending: 0,
            dropped: false,
            release: if open.is_job { Release::AtEnd(None) } else { Release::Nothing },
            refreshes: Vec::new(),
            answer: None,
        };
        self.sessions.insert(id, room);
        open.promise.settle(Ok(id));
    }

    fn drop_idle_sessions(&mut self) {
        let uploads = &self.uploads;
        let idle: Vec<SessionId> = self
            .sessions
            .iter()
            // A renewal under way is finished: a new credential must not get lost between exchange and store.
            .filter(|(id, room)| {
                room.dropped && room.pending == 0 && !uploads.values().any(|upload| upload.session == **id)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            self.engine.remove_session(id, self.clock.now());
            if self.begin_release(id) {
                continue;
            }
            if let Some(room) = self.sessions.remove(&id) {
                room.watcher.as_ref().inspect(|watcher| watcher.abort());
            }
            // A service ends with the session that it serves, with the next look.
            for room in self.sessions.values_mut().filter(|room| room.serves == Some(id)) {
                room.dropped = true;
            }
        }
    }

    /// Begins to revoke what a job holds; false: there is nothing to revoke.
    fn begin_release(&mut self, id: SessionId) -> bool {
        let Some(room) = self.sessions.get_mut(&id) else { return false };
        let Release::AtEnd(promise) = std::mem::replace(&mut room.release, Release::Nothing) else {
            return false;
        };
        room.release = Release::UnderWay(promise);
        room.pending += 1;
        let (source, (storage, auth)) = (Arc::clone(&room.source), room.endpoints());
        self.block(move |tools| {
            let release = || source.release(&tools.wire((&storage, &auth), 0));
            // Somebody waits for the outcome, whatever a host's source does.
            let panicked = |_| Err(Error::new(ErrorKind::Internal, "the source panicked"));
            let result = catch_unwind(AssertUnwindSafe(release)).unwrap_or_else(panicked);
            let _ = tools.events.send(Message::Released(id, result));
        });
        true
    }

    fn released(&mut self, id: SessionId, result: Result<bool, Error>) {
        let Some(room) = self.sessions.get_mut(&id) else { return };
        room.pending -= 1;
        match (std::mem::replace(&mut room.release, Release::Nothing), result) {
            (Release::UnderWay(Some(promise)), result) => promise.settle(result),
            (_, Err(error)) => {
                let text = format!("the tokens of an ended job are not revoked, and stay stored: {error}");
                self.listeners.tell(&Notice::Remark { upload: None, text });
            }
            (_, Ok(_)) => {}
        }
    }

    fn start_upload(&mut self, start: StartUpload) {
        let StartUpload { session, spec, content, journal, found, orphan, shared, promise, number } = start;
        if self.closing.is_some() {
            number.settle(Err(Error::new(ErrorKind::Cancelled, "the client was closed")));
            return;
        }
        let now = self.clock.now();
        let parallel = usize::try_from(spec.options.parallel).unwrap_or(1).max(1);
        let block = self.io_buffer.min((BLOCK_MEMORY / 3 / parallel).max(LEAST_BLOCK));
        let target = spec.target.clone();
        let id = self.engine.start_upload(session, spec, found, now);
        let (jobs, queue) = tokio::sync::mpsc::unbounded_channel();
        self.runtime.spawn(write_in_order(id, journal, queue, self.tools.events.clone()));
        let room =
            UploadRoom { session, content, pool: Pool::new(block), jobs, shared, promise, ended: None };
        self.uploads.insert(id, room);
        number.settle(Ok(id));
        if let Some(upload_id) = orphan {
            self.abort_orphan(session, id, &target, upload_id);
        }
    }

    fn abort_orphan(&mut self, session: SessionId, upload: UploadId, target: &Target, upload_id: String) {
        let request = oci::abort(target, &upload_id);
        let call = self.engine.call(session, Operation::Abort, request, self.clock.now());
        self.calls.insert(call, Caller::Orphan(upload, upload_id));
    }

    /// Carries out and tells whatever the engine has, until it has nothing more.
    fn settle(&mut self) {
        loop {
            let mut idle = true;
            while let Some(command) = self.engine.poll_command() {
                idle = false;
                self.carry(command);
            }
            // Before anybody is told: whoever hears of a new generation and asks for a lease gets that one.
            self.publish();
            while let Some(notice) = self.engine.poll_notice() {
                idle = false;
                self.tell(notice);
            }
            idle &= !self.answer_sessions();
            if idle {
                break;
            }
        }
        self.drop_idle_sessions();
        if !self.uploads.is_empty() && self.last_progress.elapsed() >= PROGRESS_EVERY / 2 {
            self.last_progress = Instant::now();
            let now = self.clock.now();
            for (id, room) in &self.uploads {
                if let Some(progress) = self.engine.progress(*id, now) {
                    room.shared.set_progress(progress);
                }
            }
        }
    }

    /// Shows callers' threads the leases that they may take without asking, and notes when the first of them is over.
    fn publish(&mut self) {
        let now = self.clock.now();
        let mut left: Option<Duration> = None;
        for (id, room) in &self.sessions {
            let standing = self.engine.standing_lease(*id, now);
            let ends = standing.as_ref().and_then(|standing| standing.mandatory_in);
            left = left.into_iter().chain(ends).min();
            room.published.show(standing, self.engine.session_skew_ms(*id));
        }
        self.shown_until = left.and_then(|left| Instant::now().checked_add(left));
    }

    fn tell(&mut self, notice: Notice) {
        match &notice {
            Notice::ClockSkew { skew_ms } => {
                self.tools.note(|| format!("the server's clock is {skew_ms} ms ahead"));
            }
            Notice::Finished { upload, .. } => {
                if let Some(room) = self.uploads.get_mut(upload) {
                    let _ = room.jobs.send(Job::Close);
                    room.ended = Some(notice);
                    return;
                }
            }
            _ => {}
        }
        self.listeners.tell(&notice);
    }

    /// The journal of an ended upload is closed: the end can be told.
    fn end_upload(&mut self, id: UploadId) {
        let Some(room) = self.uploads.remove(&id) else { return };
        if let Some(notice) = room.ended {
            self.listeners.tell(&notice);
            if let Notice::Finished { result, resumable, .. } = notice {
                room.shared.end(result.as_deref().ok(), resumable);
                room.promise.settle(result.map(|outcome| *outcome));
            }
        }
    }

    pub(crate) fn call_done(&mut self, call: CommandId, outcome: Result<Reply, Error>) {
        match self.calls.remove(&call) {
            Some(Caller::Promise(promise)) => promise.settle(outcome),
            Some(Caller::Orphan(upload, upload_id)) => {
                let text = match calls::gone(outcome) {
                    Ok(()) => format!("aborted the upload {upload_id} that an earlier run had left"),
                    Err(error) => {
                        format!("the upload {upload_id} of an earlier run could not be aborted: {error}")
                    }
                };
                self.listeners.tell(&Notice::Remark { upload: Some(upload), text });
            }
            None => {}
        }
    }

    /// A command has got its answer.
    fn forget_task(&mut self, event: &Event) {
        let id = match event {
            Event::Loaded { id, .. }
            | Event::Locked { id, .. }
            | Event::Intended { id, .. }
            | Event::Exchanged { id, .. }
            | Event::Stored { id, .. }
            | Event::HandedOver { id, .. }
            | Event::Replied { id, .. }
            | Event::Hashed { id, .. }
            | Event::Filled { id, .. }
            | Event::SourceChecked { id, .. }
            | Event::Recorded { id, .. } => *id,
            Event::SourceTouched { .. } | Event::Dated { .. } | Event::Progressed { .. } => return,
        };
        let session = self.tasks.remove(&id).and_then(|task| task.session);
        let Some(room) = session.and_then(|session| self.sessions.get_mut(&session)) else { return };
        room.pending -= 1;
        match event {
            Event::Exchanged { result, .. } => {
                room.answer = Some(result.as_ref().map(drop).map_err(|failure| failure.error.clone()));
            }
            Event::Locked { result: Err(error), .. } => room.answer = Some(Err(error.clone())),
            _ => {}
        }
    }
}

/// However the engine's thread ends, callers get no more leases from a session that nobody keeps alive.
impl Drop for SessionRoom {
    fn drop(&mut self) {
        self.published.close();
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::InvalidInput, "the session is closed")
}

/// Jitter needs no secret: the hasher's per-process randomness will do.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
