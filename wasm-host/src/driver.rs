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
use crate::convert;
use crate::grants::{Folder, Grants};
use crate::instance::{Instance, SessionHandle, UploadHandle};
use crate::lock::Lock;
use crate::notices::Listeners;
use crate::sender::Sender;
use crate::spec::text;
use crate::stop::Stop;
use crate::upload::{Ended, Shared};

/// How long a step may keep the messages waiting.
const STEP: Duration = Duration::from_millis(50);
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
}

type Promise<T> = oneshot::Sender<Result<T, Error>>;
/// A started upload: its number, what else is told about it, and its end.
pub(crate) type Started = (UploadId, Arc<Shared>, watch::Receiver<Ended>);

/// What handles ask for.
pub(crate) enum Message {
    Status(Promise<SessionStatus>),
    Refresh(Promise<()>),
    Supply(sessions::SessionSecret, Promise<()>),
    Sign(sessions::Request, Duration, Promise<sessions::SignedHeaders>),
    Token(Duration, Promise<sessions::SessionToken>),
    Report(u64, u16),
    Start(Box<Start>, Promise<Started>),
    Pause(UploadId, bool),
    Cancel(UploadId, OnFailure),
}

/// An upload to be started.
pub(crate) struct Start {
    pub(crate) folder: PathBuf,
    pub(crate) file: String,
    pub(crate) journals: Option<PathBuf>,
    pub(crate) lock: Option<Lock>,
    pub(crate) target: Target,
    pub(crate) options: UploadOptions,
    pub(crate) limit_rate: Option<u64>,
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
}

struct Work {
    id: UploadId,
    handle: UploadHandle,
    shared: Arc<Shared>,
    outcome: watch::Sender<Ended>,
    /// Held until the end.
    _lock: Option<Lock>,
    has_journal: bool,
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
        })
    }

    async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        let mut idle = false;
        loop {
            if idle {
                // A paused upload is idle too, and its progress is still asked for.
                let wait = if self.works.is_empty() { Duration::MAX } else { LOOK_EVERY };
                match tokio::time::timeout(wait, messages.recv()).await {
                    Ok(Some(message)) => self.heed(message).await,
                    Ok(None) => break,
                    Err(_) => {}
                }
            }
            loop {
                match messages.try_recv() {
                    Ok(message) => self.heed(message).await,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return self.rest().await,
                }
            }
            idle = self.step(STEP).await;
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
                Ok(notice) => self.listeners.tell(&notice),
                Err(finished) => self.finish(finished).await,
            }
        }
        if !self.works.is_empty() && (idle || self.looked.elapsed() >= LOOK_EVERY) {
            self.look().await;
        }
        idle
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
            Message::Supply(secret, promise) => {
                let _ = promise.send(self.instance.supply(session, &secret).await);
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
                }
                answer => return answer,
            }
        }
    }

    async fn start(&mut self, start: Start) -> Result<Started, Error> {
        let mut state_dir = None;
        if let Some(dir) = &start.journals {
            std::fs::create_dir_all(dir).map_err(|error| {
                let line = format!("the state folder {} cannot be made: {error}", dir.display());
                Error::new(ErrorKind::State, line)
            })?;
            self.instance.grant(Folder::same(dir, true))?;
            state_dir = Some(text(dir)?);
        }
        self.instance.grant(Folder::same(&start.folder, false))?;
        let has_journal = state_dir.is_some();
        let options =
            convert::upload_options(start.target, start.options, start.file, state_dir, start.limit_rate);
        let (handle, number) = self.instance.start(self.session, &options).await?;
        let id = UploadId(self.numbers.fetch_add(1, Ordering::Relaxed));
        let shared = Arc::<Shared>::default();
        let (outcome, ended) = watch::channel(None);
        let work = Work { id, handle, shared: Arc::clone(&shared), outcome, _lock: start.lock, has_journal };
        self.works.insert(number, work);
        Ok((id, shared, ended))
    }
}
