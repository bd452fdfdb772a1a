//! An upload as a caller holds it.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use outlast_core::engine::UploadId;
use outlast_core::engine::upload::spec::OnFailure;
use outlast_core::engine::upload::{Outcome, Progress};
use outlast_core::{Error, ErrorKind};
use tokio::sync::watch;

use crate::driver::Message;
use crate::session::Session;

/// What is uploaded.
#[non_exhaustive]
pub enum UploadSource {
    /// A file. The component is granted its folder, for reading.
    Path(PathBuf),
    /// Anything that can be read once. Parts are kept in the component's memory until they are stored, which
    /// [`crate::Limits::memory_bytes`] has to leave room for; it cannot be resumed.
    Reader {
        /// Read on a thread of its own. A read that never returns keeps that thread, not the client.
        reader: Box<dyn Read + Send>,
        /// Its name for messages.
        name: String,
    },
}

impl fmt::Debug for UploadSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UploadSource::Path(path) => f.debug_tuple("Path").field(path).finish(),
            UploadSource::Reader { name, .. } => f.debug_tuple("Reader").field(name).finish(),
        }
    }
}

/// How an upload ended, once it has.
pub(crate) type Ended = Option<Result<Outcome, Error>>;

/// A running or ended upload. Clones are the same upload.
///
/// Dropping it does not stop it: it ends by itself, by [`Upload::cancel`] or with its session.
#[derive(Clone)]
pub struct Upload(Arc<Inner>);

struct Inner {
    id: UploadId,
    session: Session,
    shared: Arc<Shared>,
    outcome: watch::Receiver<Ended>,
}

/// What the driver tells about an upload besides its outcome.
#[derive(Default)]
pub(crate) struct Shared {
    progress: Mutex<Progress>,
    resumable: AtomicBool,
}

impl Shared {
    pub(crate) fn set_progress(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    pub(crate) fn set_resumable(&self, resumable: bool) {
        self.resumable.store(resumable, Ordering::Release);
    }
}

impl Upload {
    pub(crate) fn new(
        id: UploadId,
        session: Session,
        shared: Arc<Shared>,
        outcome: watch::Receiver<Ended>,
    ) -> Self {
        Upload(Arc::new(Inner { id, session, shared, outcome }))
    }

    /// Its number in notices.
    pub fn number(&self) -> UploadId {
        self.0.id
    }

    /// The session it uses.
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// Waits for the end, on any executor; the result stays available afterwards.
    ///
    /// Errors: those of `core::native`, and `Internal` when the component was stopped: [`Upload::is_resumable`] says
    /// whether the same call goes on.
    /// Cancel: dropping the future does not stop the upload.
    pub async fn wait(&self) -> Result<Outcome, Error> {
        let mut outcome = self.0.outcome.clone();
        match outcome.wait_for(Option::is_some).await {
            Ok(ended) => ended.clone().expect("it was waited for"),
            Err(_) => Err(Error::new(ErrorKind::Internal, "the session's thread has ended")),
        }
    }

    /// [`Upload::wait`], blocking the thread, which must not be one of a tokio runtime.
    pub fn wait_blocking(&self) -> Result<Outcome, Error> {
        self.0.session.client().handle().block_on(self.wait())
    }

    /// The result if it has ended.
    pub fn result(&self) -> Option<Result<Outcome, Error>> {
        self.0.outcome.borrow().clone()
    }

    /// Whether the same call, made again, goes on where this one stopped. Meaningful once it has failed.
    pub fn is_resumable(&self) -> bool {
        self.0.shared.resumable.load(Ordering::Acquire)
    }

    /// How far it is; at most a quarter of a second old.
    pub fn progress(&self) -> Progress {
        *self.0.shared.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins no further parts; those in flight are finished.
    pub fn pause(&self) {
        self.0.session.send(Message::Pause(self.0.id, true));
    }

    /// Goes on after a pause.
    pub fn resume(&self) {
        self.0.session.send(Message::Pause(self.0.id, false));
    }

    /// Stops it; its result still follows. What is stored stays for resuming, or is aborted at the service.
    pub fn cancel(&self, on_failure: OnFailure) {
        self.0.session.send(Message::Cancel(self.0.id, on_failure));
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("id", &self.0.id).finish_non_exhaustive()
    }
}
