//! An upload as a caller holds it.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::message::Message;
use super::reply::Answer;
use super::session::Session;
use crate::engine::UploadId;
use crate::engine::error::Error;
use crate::engine::upload::spec::OnFailure;
use crate::engine::upload::{Outcome, Progress};

/// What is uploaded.
pub enum UploadSource {
    /// A file by path. FIFOs, terminals and devices are read as streams. A path that names another file at the end
    /// than at the start is a changed source.
    Path(PathBuf),
    /// An open file, read by position from its beginning whatever its own position is; a pipe is read as a stream.
    File {
        /// The file.
        file: File,
        /// Its name for messages and for finding the journal again; the same for the same file.
        name: String,
    },
    /// Bytes in memory.
    Bytes {
        /// The bytes; shared, not copied.
        bytes: Bytes,
        /// Their name for messages and for finding the journal again; the same for the same bytes.
        name: String,
    },
    /// Anything that can be read once. Parts are kept in memory until they are stored; it cannot be resumed.
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
            UploadSource::File { name, .. } => f.debug_tuple("File").field(name).finish(),
            UploadSource::Bytes { bytes, name } => {
                f.debug_struct("Bytes").field("name", name).field("len", &bytes.len()).finish()
            }
            UploadSource::Reader { name, .. } => f.debug_tuple("Reader").field(name).finish(),
        }
    }
}

/// How an upload meets what an earlier run left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UploadStart {
    /// Abort what an earlier run left and begin anew, even if it could be resumed or its journal cannot be read.
    pub restart: bool,
}

/// A running or ended upload. Clones are the same upload.
///
/// Dropping it does not stop it: it ends by itself, by [`Upload::cancel`] or with its client.
#[derive(Clone)]
pub struct Upload(Arc<Inner>);

struct Inner {
    id: UploadId,
    session: Session,
    shared: Arc<Shared>,
    outcome: Answer<Outcome>,
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

    /// The last word: what was reached, and whether the same call would go on from there.
    pub(crate) fn end(&self, outcome: Option<&Outcome>, resumable: bool) {
        self.resumable.store(resumable, Ordering::Release);
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        (progress.in_flight, progress.parts_in_flight, progress.eta) = (0, 0, None);
        if let Some(outcome) = outcome {
            progress.total = Some(outcome.size);
            progress.stored = outcome.size;
            progress.parts_total = outcome.parts.max(1);
            progress.parts_stored = progress.parts_total;
            progress.parts_reused = outcome.parts_reused;
            progress.retries = outcome.retries;
            progress.refusals = outcome.refusals;
        }
    }
}

impl Upload {
    pub(crate) fn new(id: UploadId, session: Session, shared: Arc<Shared>, outcome: Answer<Outcome>) -> Self {
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
    /// Errors: `InvalidInput`, `SignInNeeded` or `Auth` (no credential), `Permission`, `NotFound`, `Precondition`,
    /// `Integrity`, `Source`, `SourceChanged`, `Network`, `Service`, `Timeout` (after retries), `State`, `Cancelled`.
    /// Cancel: dropping the future does not stop the upload.
    pub async fn wait(&self) -> Result<Outcome, Error> {
        self.0.outcome.get().await
    }

    /// [`Upload::wait`], blocking the thread.
    pub fn wait_blocking(&self) -> Result<Outcome, Error> {
        self.0.outcome.wait()
    }

    /// [`Upload::wait`], blocking the thread at most `timeout`; `None` if the upload goes on.
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<Outcome, Error>> {
        self.0.outcome.wait_timeout(timeout)
    }

    /// The result if it has ended.
    pub fn result(&self) -> Option<Result<Outcome, Error>> {
        self.0.outcome.peek()
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
        self.0.session.client().send(Message::Pause(self.0.id));
    }

    /// Goes on after a pause.
    pub fn resume(&self) {
        self.0.session.client().send(Message::Resume(self.0.id));
    }

    /// Stops it; its result still follows. What is stored stays for resuming, or is aborted at the service.
    pub fn cancel(&self, on_failure: OnFailure) {
        self.0.session.client().send(Message::Cancel(self.0.id, on_failure));
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("id", &self.0.id).finish_non_exhaustive()
    }
}
