//! The client: one thread that owns the engine, and handles that send it messages.

use std::fmt;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::audit::Audit;
use super::content::Content;
use super::driver::Driver;
use super::endpoint::Endpoint;
use super::journal::{Journal, Key};
use super::limiter::Limiter;
use super::message::{Message, OpenSession, StartUpload, Takeover};
use super::notices::{self, Notices};
use super::options::ClientOptions;
use super::os;
use super::published::Published;
use super::reply::{self, Answer};
use super::session::{Definition, ServiceSpec, Session, SessionSpec};
use super::source::{JobSource, Source, SourceSpec};
use super::upload::{Shared, Upload, UploadSource, UploadStart};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::machine::HandOver;
use crate::engine::session::SessionProfile;
use crate::engine::upload::journal::JournalState;
use crate::engine::upload::spec::{Target, UploadOptions, UploadSpec};
use crate::engine::wire::oci;

/// How long a client whose handles are all gone may take to put its uploads to rest.
const LAST_WISH: Duration = Duration::from_secs(5);

/// Sessions and uploads that share threads, connections and a rate limit. Clones are the same client.
///
/// Threads: `outlast-engine` decides, `outlast-io-N` carry out, `outlast-read` reads a stream; all block all signals.
/// They end with [`Client::close`]. Dropping the last handle (of the client, its sessions and uploads) closes it in
/// the background and never blocks.
/// Forking: a forked child has none of these threads. It may drop handles; every other call fails with `Cancelled`.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    options: ClientOptions,
    inbox: Sender<Message>,
    limiter: Arc<Limiter>,
    thread: Mutex<Option<JoinHandle<()>>>,
    stopped: Answer<()>,
    pid: u32,
}

impl Client {
    /// Starts the threads.
    ///
    /// Errors: `InvalidInput` (proxy, sizes), `Config` (CA bundle), `Internal` (no thread can be started).
    pub fn new(options: ClientOptions) -> Result<Client, Error> {
        if options.io_buffer == 0 || options.workers == 0 {
            return Err(Error::new(ErrorKind::InvalidInput, "io_buffer and workers must not be 0"));
        }
        let limiter = Arc::new(Limiter::new(options.limit_rate));
        let (inbox, messages) = std::sync::mpsc::channel();
        let (ready, started) = reply::pair();
        let (stopping, stopped) = reply::pair();
        let (for_driver, events, shared) = (options.clone(), inbox.clone(), Arc::clone(&limiter));
        // What this thread starts inherits its mask.
        let thread = os::spawn_quiet("outlast-engine", move || {
            match Driver::new(&for_driver, events, messages, shared) {
                Ok(driver) => {
                    ready.settle(Ok(()));
                    stopping.settle(driver.run());
                }
                Err(error) => ready.settle(Err(error)),
            }
        });
        let thread = thread.map_err(|error| {
            Error::new(ErrorKind::Internal, format!("the engine's thread cannot be started: {error}"))
        })?;
        started.wait()?;
        Ok(Client(Arc::new(Inner {
            options,
            inbox,
            limiter,
            thread: Mutex::new(Some(thread)),
            stopped,
            pid: std::process::id(),
        })))
    }

    /// How it was set up.
    pub fn options(&self) -> &ClientOptions {
        &self.0.options
    }

    /// Opens a session; its credential is read in the background.
    ///
    /// Errors: `InvalidInput` (endpoints, source).
    pub fn session(&self, spec: SessionSpec) -> Result<Session, Error> {
        let allow_http = self.0.options.allow_http;
        let storage = Endpoint::parse(&spec.endpoints.storage, allow_http)
            .map_err(|error| error.during("storage endpoint"))?;
        let auth = Endpoint::parse(&spec.endpoints.auth, allow_http)
            .map_err(|error| error.during("auth endpoint"))?;
        // A session does without a state directory: it only takes locks that cannot be beside their file.
        let defined = match &spec.source {
            SourceSpec::Defined { def, vault_key } => Some(((**def).clone(), vault_key.clone())),
            _ => None,
        };
        let source = spec.source.open(self.0.options.state_dir().ok(), allow_http)?;
        let profile = SessionProfile {
            timer: spec.timer,
            wait_for_login: spec.wait_for_login,
            ..profile(source.as_ref())
        };
        self.open(source, (storage, auth), profile, defined, false)
    }

    /// A job's session: renewed on the timer, with the endpoints of the session that it is of.
    pub(super) fn open_for_job(&self, session: &Session, source: JobSource) -> Result<Session, Error> {
        let source = Arc::new(source);
        let profile = SessionProfile { timer: true, ..profile(&*source) };
        self.open(source, (session.storage().clone(), session.auth().clone()), profile, None, true)
    }

    fn open(
        &self,
        source: Arc<dyn Source>,
        (storage, auth): (Endpoint, Endpoint),
        profile: SessionProfile,
        defined: Option<Definition>,
        is_job: bool,
    ) -> Result<Session, Error> {
        let published = Arc::new(Published::default());
        let chain = profile.chain.clone();
        let (promise, answer) = reply::pair();
        self.send(Message::OpenSession(Box::new(OpenSession {
            source,
            storage: storage.clone(),
            auth: auth.clone(),
            profile,
            published: Arc::clone(&published),
            service: None,
            is_job,
            promise,
        })));
        Ok(Session::new(answer.wait()?, self.clone(), (storage, auth), published, chain, defined))
    }

    /// Names a service's credential that takes over from `session` when an upload would outlive it, or when it has ended.
    ///
    /// The session itself goes first. Before the service acts its credential is checked ([`Source::check`]) and the change is
    /// appended to the record; [`Notice::HandedOver`](crate::engine::Notice::HandedOver) tells it. Callers wait meanwhile.
    /// There is no way back, and the service ends with the session.
    /// Errors: `InvalidInput` (source; the session has a service already, or is closed), `State` (the record cannot be written).
    pub fn service(&self, session: &Session, spec: ServiceSpec) -> Result<(), Error> {
        let source = spec.source.open(self.0.options.state_dir().ok(), self.0.options.allow_http)?;
        let audit = Arc::new(Audit::new(spec.audit)?);
        let (promise, answer) = reply::pair();
        self.send(Message::OpenSession(Box::new(OpenSession {
            profile: profile(source.as_ref()),
            source,
            storage: session.storage().clone(),
            auth: session.auth().clone(),
            published: Arc::new(Published::default()),
            service: Some(Takeover {
                user: session.id(),
                plan: HandOver { principal: spec.principal, credential: spec.credential },
                audit,
            }),
            is_job: false,
            promise,
        })));
        answer.wait().map(drop)
    }

    /// Every notice from now on.
    pub fn subscribe(&self) -> Notices {
        let (subscriber, notices) = notices::subscription();
        self.send(Message::Subscribe(subscriber));
        notices
    }

    /// Starts an upload and returns at once: only local files are looked at before.
    ///
    /// Shape: one put when the source fits into one part, else parts 1..=n, all of `part_size` bytes except the last.
    /// Resume: a journal in the state directory makes the same call (endpoint, target, source name) go on.
    /// Memory: at most three blocks of `io_buffer` per request in flight, for streams `parallel` parts and one more.
    /// Errors: `InvalidInput` (target), `Source` (cannot be read), `Busy` (another process is at it), `State` (journal
    /// cannot be used or read). All else comes as the upload's result.
    pub fn upload(
        &self,
        session: &Session,
        source: UploadSource,
        target: Target,
        options: UploadOptions,
        start: UploadStart,
    ) -> Result<Upload, Error> {
        oci::check_target(&target)?;
        let content = Content::open(source)?;
        let identity = content.identity().clone();
        let endpoint = session.storage().base();
        let key = Key { endpoint: &endpoint, target: &target, source: &identity.name };
        // What cannot be gone on with is begun anew, and nothing of an earlier run is left behind.
        let anew = start.restart || options.single || content.is_stream();
        let needed = !anew && identity.size.is_some_and(|size| size > options.part_size);
        let (journal, found, orphan) = self.journal(&key, anew, needed)?;
        let shared = Arc::new(Shared::default());
        let (promise, outcome) = reply::pair();
        let (number, answer) = reply::pair();
        self.send(Message::StartUpload(Box::new(StartUpload {
            session: session.id(),
            spec: UploadSpec { target, source: identity, options },
            content: Arc::new(content),
            journal,
            found,
            orphan,
            shared: Arc::clone(&shared),
            promise,
            number,
        })));
        Ok(Upload::new(answer.wait()?, session.clone(), shared, outcome))
    }

    /// The journal to write, what it says, and the earlier upload that is to be aborted.
    fn journal(&self, key: &Key<'_>, anew: bool, needed: bool) -> Result<Found, Error> {
        let mut opening = match self.0.options.state_dir().and_then(|dir| Journal::open(&dir, key)) {
            Ok(opening) => opening,
            // What needs no journal does without; two processes at one object are one too many in any case.
            Err(error) if !needed && error.kind() == ErrorKind::State => return Ok((None, None, None)),
            Err(error) => return Err(error),
        };
        if !anew {
            return Ok((Some(opening.journal), opening.found?, None));
        }
        let left = opening.found.ok().flatten().or(opening.salvaged);
        opening.journal.reset()?;
        Ok((Some(opening.journal), None, left.and_then(|state| state.upload_id)))
    }

    /// Changes the rate limit over all uploads, bytes per second; `None` (and 0) is without limit. Takes effect at once.
    pub fn limit_rate(&self, rate: Option<u64>) {
        self.0.limiter.set(rate);
    }

    /// Puts all uploads to rest (kept for resuming), waits for what is under way, and ends the threads.
    ///
    /// Errors: `Timeout` when that took longer than `timeout`; what was left is cut off then. May be repeated, and
    /// called from several threads. Calls made after it fail with `Cancelled`.
    pub fn close(&self, timeout: Duration) -> Result<(), Error> {
        // Far away, but within every clock's range.
        let timeout = timeout.min(Duration::from_hours(24 * 365));
        self.send(Message::Close(Instant::now() + timeout));
        // The driver keeps to the deadline; the rest is the time it takes to stop the threads.
        let stopped = self.0.stopped.wait_timeout(timeout + Duration::from_secs(2));
        let late = || Error::new(ErrorKind::Timeout, "the client could not be closed in time");
        let result = stopped.unwrap_or_else(|| Err(late()));
        let finished = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take_if(|thread| {
            // Joined only when that cannot block, and never by itself (a host's source may drop the last handle).
            self.0.stopped.peek().is_some() && thread.thread().id() != std::thread::current().id()
        });
        if let Some(thread) = finished
            && thread.join().is_err()
        {
            return Err(Error::new(ErrorKind::Internal, "the engine's thread panicked"));
        }
        result
    }

    /// The process that made it.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Whether this is a forked child of the process that made it: its threads are not here then.
    pub fn is_forked(&self) -> bool {
        self.0.pid != std::process::id()
    }

    pub(crate) fn send(&self, message: Message) {
        // A message that nobody will take is dropped, and with it its promise, which tells the caller.
        if !self.is_forked() {
            let _ = self.0.inbox.send(message);
        }
    }
}

/// What the engine needs to know of a source.
fn profile(source: &dyn Source) -> SessionProfile {
    let abilities = source.abilities();
    SessionProfile {
        title: abilities.title,
        remedy: abilities.remedy,
        can_exchange: abilities.can_exchange,
        mints: abilities.mints,
        can_store: abilities.can_store,
        can_sign_in: abilities.can_sign_in,
        chain: abilities.chain,
        windows: abilities.windows,
        ..SessionProfile::default()
    }
}

type Found = (Option<Journal>, Option<JournalState>, Option<String>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("options", &self.0.options)
            .field("pid", &self.0.pid)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.pid == std::process::id() {
            let _ = self.inbox.send(Message::Close(Instant::now() + LAST_WISH));
        }
    }
}
