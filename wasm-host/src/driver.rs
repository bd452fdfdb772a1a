//! One session's thread: calls its component again and again, and carries messages and notices between it and the
//! session's handles.
//!
//! The component runs only while it is called, so an upload in progress is a loop of `step`. When a step comes back at
//! once with nothing to tell, nothing can happen until somebody asks, and the thread sleeps.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use outlast_core::engine::session::SessionStatus;
use outlast_core::engine::upload::spec::{OnFailure, Target, UploadOptions};
use outlast_core::engine::{Notice, SessionId, UploadId};
use outlast_core::{Error, ErrorKind, Retry};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};

use crate::bindings::sessions;
use crate::client::Client;
use crate::convert::{self, Told};
use crate::feed::{Feed, Next};
use crate::grants::{Folder, Grants};
use crate::instance::{Instance, SessionHandle, UploadHandle};
use crate::lock::Lock;
use crate::notices::Listeners;
use crate::sender::Sender;
use crate::spec::text;
use crate::stop::Stop;
use crate::supplier::{Credential, Supplier};
use crate::upload::{Ended, Shared};

/// How long a step may keep the messages waiting.
const STEP: Duration = Duration::from_millis(50);
/// The same while a stream is read: what comes meanwhile waits too.
const FEEDING_STEP: Duration = Duration::from_millis(5);
/// A step that returned sooner than this, with nothing to tell, had nothing to do.
const AT_ONCE: Duration = Duration::from_millis(1);
/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long uploads whose handles are all gone may take to be put to rest.
const LAST_WISH: Duration = Duration::from_secs(5);

/// What a session's thread begins with.
pub(crate) struct Opening {
    pub(crate) id: SessionId,
    pub(crate) client: Client,
    pub(crate) grants: Grants,
    pub(crate) sender: Sender,
    pub(crate) listeners: Arc<Listeners>,
    /// Numbers of uploads, over all sessions of the client.
    pub(crate) uploads: Arc<AtomicU64>,
    pub(crate) options: sessions::SessionOptions,
    /// Who is asked for credentials.
    pub(crate) supplier: Option<Supplier>,
}

type Promise<T> = oneshot::Sender<Result<T, Error>>;
/// A started upload: its number, what else is told about it, and its end.
pub(crate) type Started = (UploadId, Arc<Shared>, watch::Receiver<Ended>);

/// What handles ask for.
pub(crate) enum Message {
    Status(Promise<SessionStatus>),
    Refresh(Promise<()>),
    Supply(Credential, Promise<()>),
    Sign(sessions::Request, Duration, Promise<sessions::SignedHeaders>),
    Token(Duration, Promise<sessions::SessionToken>),
    Report(u64, u16),
    Start(Box<Start>, Promise<Started>),
    Pause(UploadId, bool),
    Cancel(UploadId, OnFailure),
}

/// An upload to be started.
pub(crate) struct Start {
    pub(crate) source: StartSource,
    pub(crate) target: Target,
    pub(crate) options: UploadOptions,
    pub(crate) limit_rate: Option<u64>,
}

/// Where its bytes come from.
pub(crate) enum StartSource {
    File { folder: PathBuf, file: String, journals: Option<PathBuf>, lock: Option<Lock> },
    Stream { name: String, feed: Feed },
}

/// Starts the thread; returns when the component has opened the session.
pub(crate) async fn open(opening: Opening) -> Result<(mpsc::UnboundedSender<Message>, Stop), Error> {
    let (inbox, messages) = mpsc::unbounded_channel();
    let (promise, opened) = oneshot::channel();
    let thread = std::thread::Builder::new().name("outlast-guest".to_owned()).spawn(move || {
        let client = opening.client.clone();
        client.handle().block_on(async {
            match Driver::open(opening).await {
                Ok(driver) => {
                    if promise.send(Ok(driver.instance.stopper())).is_ok() {
                        driver.run(messages).await;
                    }
                }
                Err(error) => drop(promise.send(Err(error))),
            }
        });
        // The last handle of a client takes its threads along, which must not happen inside of them.
        drop(client);
    });
    thread.map_err(|error| {
        Error::new(ErrorKind::Internal, format!("the session's thread cannot be started: {error}"))
    })?;
    let gone = || Err(Error::new(ErrorKind::Internal, "the session's thread has ended"));
    let stop = opened.await.unwrap_or_else(|_| gone())?;
    Ok((inbox, stop))
}

struct Driver {
    id: SessionId,
    instance: Instance,
    session: SessionHandle,
    listeners: Arc<Listeners>,
    numbers: Arc<AtomicU64>,
    /// Uploads in progress by the component's numbers.
    works: BTreeMap<u64, Work>,
    looked: Instant,
    supplier: Option<Supplier>,
    /// Its answer, while one is awaited.
    answer: Option<oneshot::Receiver<Result<Credential, Error>>>,
}

struct Work {
    id: UploadId,
    handle: UploadHandle,
    shared: Arc<Shared>,
    outcome: watch::Sender<Ended>,
    /// Held until the end.
    _lock: Option<Lock>,
    has_journal: bool,
    /// Of a stream, until it has ended.
    feed: Option<Feed>,
    /// Why the stream could not be read.
    failure: Option<Error>,
}

/// What streams want of the next step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Feeding {
    /// There are none.
    Nothing,
    /// They wait for bytes, or for room.
    Waiting,
    /// They have more at once.
    Ready,
}

impl Driver {
    async fn open(opening: Opening) -> Result<Driver, Error> {
        let (plugin, limits) = opening.client.plugin_and_limits();
        let mut instance = Instance::new(plugin, opening.grants, limits, &opening.sender).await?;
        let session = instance.open(&opening.options).await?;
        Ok(Driver {
            id: opening.id,
            instance,
            session,
            listeners: opening.listeners,
            numbers: opening.uploads,
            works: BTreeMap::new(),
            looked: Instant::now(),
            supplier: opening.supplier,
            answer: None,
        })
    }

    async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        let mut idle = false;
        loop {
            if idle {
                // A paused upload is idle too, and its progress is still asked for.
                let wait = if self.works.is_empty() { Duration::MAX } else { LOOK_EVERY };
                tokio::select! {
                    biased;
                    message = messages.recv() => match message {
                        Some(message) => self.heed(message).await,
                        None => break,
                    },
                    () = self.fed() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
            loop {
                match messages.try_recv() {
                    Ok(message) => self.heed(message).await,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return self.rest().await,
                }
            }
            self.heed_supplier(Duration::ZERO).await;
            let budget = match self.feed().await {
                Feeding::Nothing => STEP,
                Feeding::Waiting => FEEDING_STEP,
                Feeding::Ready => Duration::ZERO,
            };
            idle = self.step(budget).await;
        }
        self.rest().await;
    }

    /// Nobody is left who could ask: uploads are put to rest and kept for resuming.
    async fn rest(mut self) {
        for work in self.works.values() {
            if self.instance.cancel(work.handle, convert::on_failure(OnFailure::Retain)).await.is_err() {
                break;
            }
        }
        let until = Instant::now() + LAST_WISH;
        while !self.works.is_empty() && Instant::now() < until {
            self.step(STEP).await;
        }
    }

    /// One step; true when nothing can happen until somebody asks.
    async fn step(&mut self, budget: Duration) -> bool {
        let began = Instant::now();
        let Ok(notices) = self.instance.step(self.session, budget).await else {
            self.fall().await;
            return true;
        };
        let idle = notices.is_empty() && began.elapsed() < AT_ONCE;
        for notice in notices {
            match convert::notice(notice, self.id, &|number| self.number(number)) {
                Told::Notice(notice) => self.listeners.tell(&notice),
                Told::Finished(finished) => self.finish(finished).await,
                Told::Wanted => self.ask(),
            }
        }
        if !self.works.is_empty() && (idle || self.looked.elapsed() >= LOOK_EVERY) {
            self.look().await;
        }
        idle
    }

    /// The component needs a credential: the supplier is asked, on another thread.
    fn ask(&mut self) {
        let (promise, answer) = oneshot::channel();
        self.answer = Some(answer);
        let Some(supplier) = &self.supplier else {
            let line = "this session has nobody to ask for a credential";
            let _ = promise.send(Err(Error::new(ErrorKind::InvalidInput, line)));
            return;
        };
        let asked = supplier.ask();
        tokio::spawn(async move {
            // The session may have ended meanwhile.
            let _ = promise.send(asked.await);
        });
    }

    /// Waits at most so long for the supplier, if one was asked, and hands its answer on.
    async fn heed_supplier(&mut self, longest: Duration) {
        let Some(answer) = &mut self.answer else { return };
        let Ok(answer) = tokio::time::timeout(longest, answer).await else { return };
        self.answer = None;
        let gone = || Err(Error::new(ErrorKind::Internal, "the supplier of credentials has panicked"));
        let refused = match answer.unwrap_or_else(|_| gone()) {
            Ok(credential) => self.instance.supply(self.session, &credential.wire()).await.err(),
            Err(error) => Some(error),
        };
        if let Some(error) = refused {
            let why = sessions::Refusal {
                sign_in_needed: error.kind() == ErrorKind::SignInNeeded,
                message: error.message().to_owned(),
            };
            // One that is stopped here is noticed by the next step.
            let _ = self.instance.decline(self.session, &why).await;
        }
    }

    /// Hands on what has been read of streams.
    async fn feed(&mut self) -> Feeding {
        let mut feeding = Feeding::Nothing;
        for work in self.works.values_mut() {
            while let Some(feed) = &mut work.feed {
                feeding = feeding.max(Feeding::Waiting);
                match feed.take() {
                    Next::Nothing => break,
                    Next::Bytes(bytes) => match self.instance.write(work.handle, &bytes).await {
                        // No room until parts are stored.
                        Ok(0) => {
                            feed.put_back(bytes);
                            break;
                        }
                        Ok(taken) => {
                            if taken < bytes.len() {
                                feed.put_back(bytes.slice(taken..));
                            }
                            feeding = Feeding::Ready;
                        }
                        // The upload has ended, and says why itself.
                        Err(_) => work.feed = None,
                    },
                    Next::End => {
                        let _ = self.instance.finish(work.handle).await;
                        work.feed = None;
                        feeding = Feeding::Ready;
                    }
                    Next::Failed(error) => {
                        work.failure = Some(error);
                        let policy = convert::on_failure(OnFailure::Abort);
                        let _ = self.instance.cancel(work.handle, policy).await;
                        work.feed = None;
                    }
                }
            }
        }
        feeding
    }

    /// Waits until more of a stream has been read.
    async fn fed(&mut self) {
        std::future::poll_fn(|context| {
            let mut ready = std::task::Poll::Pending;
            // All of them, so that each wakes us.
            for feed in self.works.values_mut().filter_map(|work| work.feed.as_mut()) {
                if feed.poll(context).is_ready() {
                    ready = std::task::Poll::Ready(());
                }
            }
            ready
        })
        .await;
    }

    /// An upload's number outside of its component.
    fn number(&self, number: u64) -> UploadId {
        self.works.get(&number).map_or(UploadId(0), |work| work.id)
    }

    async fn look(&mut self) {
        self.looked = Instant::now();
        for work in self.works.values() {
            if let Ok(progress) = self.instance.progress(work.handle).await {
                work.shared.set_progress(convert::progress(&progress));
            }
        }
    }

    async fn finish(&mut self, finished: sessions::Finished) {
        let Some(work) = self.works.remove(&finished.upload) else { return };
        if let Ok(progress) = self.instance.progress(work.handle).await {
            work.shared.set_progress(convert::progress(&progress));
        }
        let ended = match self.instance.outcome(work.handle).await {
            Ok(Some(ended)) => ended.map(convert::outcome),
            Ok(None) => {
                Err(Error::new(ErrorKind::Internal, "the component has no outcome for an ended upload"))
            }
            Err(error) => Err(error),
        };
        let ended = ended.map_err(|error| work.failure.clone().unwrap_or(error));
        // One that is stopped here has told its outcome before.
        let _ = self.instance.forget(work.handle).await;
        self.end(work, ended, finished.resumable);
    }

    /// The component was stopped: its uploads end with it, and what they stored is found by the next run.
    async fn fall(&mut self) {
        let why = self.instance.status(self.session).await.err();
        let why = why.unwrap_or_else(|| Error::new(ErrorKind::Internal, "the component was stopped"));
        for (_, work) in std::mem::take(&mut self.works) {
            let resumable = work.has_journal;
            let error = if resumable { why.clone().with_retry(Retry::Later(None)) } else { why.clone() };
            self.end(work, Err(error), resumable);
        }
    }

    fn end(&self, work: Work, ended: Result<outlast_core::engine::upload::Outcome, Error>, resumable: bool) {
        let resumable = ended.is_err() && resumable;
        work.shared.set_resumable(resumable);
        let result = ended.clone().map(Box::new);
        // Who waits for the end may start the same upload again: the lock goes first.
        let Work { id, outcome, _lock: lock, .. } = work;
        drop(lock);
        outcome.send_replace(Some(ended));
        self.listeners.tell(&Notice::Finished { upload: id, result, resumable });
    }

    async fn heed(&mut self, message: Message) {
        let session = self.session;
        // Who does not wait for an answer any more needs none.
        match message {
            Message::Status(promise) => {
                let status = self.instance.status(session).await;
                let _ = promise.send(status.map(convert::status));
            }
            Message::Refresh(promise) => {
                let _ = promise.send(self.instance.refresh(session).await);
            }
            Message::Supply(credential, promise) => {
                let _ = promise.send(self.instance.supply(session, &credential.wire()).await);
            }
            Message::Sign(request, budget, promise) => {
                let signed =
                    self.patiently(budget, async |instance| instance.sign(session, &request, STEP).await);
                let _ = promise.send(signed.await);
            }
            Message::Token(budget, promise) => {
                let token = self.patiently(budget, async |instance| instance.token(session, STEP).await);
                let _ = promise.send(token.await);
            }
            Message::Report(generation, status) => {
                // Its failure is told to whoever asks next.
                let _ = self.instance.report(session, generation, status).await;
            }
            Message::Start(start, promise) => {
                let _ = promise.send(self.start(*start).await);
            }
            Message::Pause(id, paused) => {
                if let Some(work) = self.works.values().find(|work| work.id == id) {
                    let _ = self.instance.pause(work.handle, paused).await;
                }
            }
            Message::Cancel(id, on_failure) => {
                if let Some(work) = self.works.values().find(|work| work.id == id) {
                    let _ = self.instance.cancel(work.handle, convert::on_failure(on_failure)).await;
                }
            }
        }
    }

    /// Waits in short calls, so that uploads of the session go on meanwhile.
    async fn patiently<T>(
        &mut self,
        budget: Duration,
        ask: impl AsyncFn(&mut Instance) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let until = Instant::now() + budget;
        loop {
            match ask(&mut self.instance).await {
                Err(error) if error.kind() == ErrorKind::Timeout && Instant::now() < until => {
                    self.step(Duration::ZERO).await;
                    self.heed_supplier(STEP).await;
                }
                answer => return answer,
            }
        }
    }

    async fn start(&mut self, start: Start) -> Result<Started, Error> {
        let limit_rate = start.limit_rate;
        let (file, state_dir, lock, feed) = match start.source {
            StartSource::File { folder, file, journals, lock } => {
                let state_dir = journals.map(|dir| self.grant_journals(&dir)).transpose()?;
                self.instance.grant(Folder::same(&folder, false))?;
                (file, state_dir, lock, None)
            }
            StartSource::Stream { name, feed } => (name, None, None, Some(feed)),
        };
        let has_journal = state_dir.is_some();
        let options = convert::upload_options(start.target, start.options, file, state_dir, limit_rate);
        let (handle, number) = match feed {
            None => self.instance.start(self.session, &options).await?,
            Some(_) => self.instance.start_stream(self.session, &options).await?,
        };
        let id = UploadId(self.numbers.fetch_add(1, Ordering::Relaxed));
        let shared = Arc::<Shared>::default();
        let (outcome, ended) = watch::channel(None);
        let work = Work {
            id,
            handle,
            shared: Arc::clone(&shared),
            outcome,
            _lock: lock,
            has_journal,
            feed,
            failure: None,
        };
        self.works.insert(number, work);
        Ok((id, shared, ended))
    }

    fn grant_journals(&mut self, dir: &std::path::Path) -> Result<String, Error> {
        std::fs::create_dir_all(dir).map_err(|error| {
            let line = format!("the state folder {} cannot be made: {error}", dir.display());
            Error::new(ErrorKind::State, line)
        })?;
        self.instance.grant(Folder::same(dir, true))?;
        text(dir)
    }
}
