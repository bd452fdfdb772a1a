//! What the engine's thread is told.

use std::sync::Arc;
use std::time::Instant;

use super::audit::Audit;
use super::content::Content;
use super::endpoint::Endpoint;
use super::journal::Journal;
use super::notices::Subscriber;
use super::published::Published;
use super::reply::Promise;
use super::source::Source;
use super::upload::Shared;
use crate::engine::credential::{Generation, Lease};
use crate::engine::error::Error;
use crate::engine::machine::{Expected, HandOver};
use crate::engine::session::{SessionProfile, SessionStatus};
use crate::engine::upload::Outcome;
use crate::engine::upload::journal::JournalState;
use crate::engine::upload::spec::{OnFailure, UploadSpec};
use crate::engine::wire::oci::Operation;
use crate::engine::wire::{Reply, Request};
use crate::engine::{Event, SessionId, UploadId};

/// A message to the engine's thread. Dropped unread, its promise tells the caller that the client is closed.
pub(crate) enum Message {
    Event(Event),
    OpenSession(Box<OpenSession>),
    DropSession(SessionId),
    Lease {
        session: SessionId,
        promise: Promise<Lease>,
    },
    Refresh {
        session: SessionId,
        promise: Promise<SessionStatus>,
    },
    Status {
        session: SessionId,
        promise: Promise<SessionStatus>,
    },
    Loaded {
        session: SessionId,
        promise: Promise<SessionStatus>,
    },
    Hold(SessionId),
    Release(SessionId),
    Reject(SessionId, Generation),
    Accept(SessionId, Generation),
    Touch(SessionId),
    Expect(SessionId, String, Expected),
    Advanced(SessionId, u64),
    /// A job has ended: what it holds is to be revoked.
    EndJob(SessionId, Option<Promise<bool>>),
    /// A job's pair stays for a later run.
    LeaveJob(SessionId),
    Released(SessionId, Result<bool, Error>),
    StartUpload(Box<StartUpload>),
    Pause(UploadId),
    Resume(UploadId),
    Cancel(UploadId, OnFailure),
    JournalClosed(UploadId),
    Call {
        session: SessionId,
        operation: Operation,
        request: Box<Request>,
        promise: Promise<Reply>,
    },
    Subscribe(Subscriber),
    Close(Instant),
}

pub(crate) struct OpenSession {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) storage: Endpoint,
    pub(crate) auth: Endpoint,
    pub(crate) profile: SessionProfile,
    pub(crate) published: Arc<Published>,
    /// It is the service of a user's session.
    pub(crate) service: Option<Takeover>,
    /// It is a job's: what it holds is revoked at its end.
    pub(crate) is_job: bool,
    pub(crate) promise: Promise<SessionId>,
}

pub(crate) struct Takeover {
    pub(crate) user: SessionId,
    pub(crate) plan: HandOver,
    pub(crate) audit: Arc<Audit>,
}

pub(crate) struct StartUpload {
    pub(crate) session: SessionId,
    pub(crate) spec: UploadSpec,
    pub(crate) content: Arc<Content>,
    pub(crate) journal: Option<Journal>,
    pub(crate) found: Option<JournalState>,
    /// An upload of an earlier run that is to be aborted.
    pub(crate) orphan: Option<String>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) promise: Promise<Outcome>,
    pub(crate) number: Promise<UploadId>,
}
