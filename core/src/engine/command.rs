//! What goes out of the engine, what comes back in, and what a caller is told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::chain::{ChainEnd, Intent};
use super::checksum::{Digests, Wanted};
use super::credential::{Generation, Grant, Lease};
use super::error::Error;
use super::time::UnixMillis;
use super::upload::journal::Record;
use super::upload::spec::SourceIdentity;
use super::wire::{Reply, Request, TransportFailure};

/// Names a command; its one terminal event carries the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// Names a session of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Names an upload of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(pub u64);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The bytes a `Send` command carries besides the request's JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyRef {
    /// None: the request's `json` is the whole body.
    Json,
    /// `len` bytes of the upload's source from `offset`. Streams keep them in the buffer filled by `Command::Fill`.
    Source {
        /// First byte.
        offset: u64,
        /// How many.
        len: u64,
        /// Which checksums to compute while sending (one read).
        wanted: Wanted,
    },
}

/// What the driver is to do. Every command that has an `id` gets exactly one terminal [`Event`] with that id.
#[derive(Debug)]
pub enum Command {
    /// Read the session's source again (files, environment). Terminal: [`Event::Loaded`].
    Load {
        /// This command.
        id: CommandId,
        /// Whose.
        session: SessionId,
    },
    /// Take the session's lock between processes; wait for it if need be (the driver bounds the wait).
    /// Terminal: [`Event::Locked`].
    Lock {
        /// This command.
        id: CommandId,
        /// Whose.
        session: SessionId,
    },
    /// Give that lock back. No event.
    Unlock {
        /// Whose.
        session: SessionId,
    },
    /// Before a refresh token is presented that is used up by that: make the record of it durable (fsync) beside the
    /// stored credential; or, without an intent, remove the record. Terminal: [`Event::Intended`].
    Intend {
        /// This command.
        id: CommandId,
        /// Whose.
        session: SessionId,
        /// What is about to be presented; the record belongs to this very refresh token.
        grant: Arc<Grant>,
        /// What to record; `None`: the service did not act, the token is as good as before.
        intent: Option<Intent>,
    },
    /// Ask the source's service for the next credential, once, never repeated by the driver.
    /// Terminal: [`Event::Exchanged`].
    Exchange {
        /// This command.
        id: CommandId,
        /// Whose.
        session: SessionId,
        /// What is held now; `None` for sources that mint from something else.
        grant: Option<Arc<Grant>>,
        /// Server time minus local time in milliseconds, to date the request with.
        skew_ms: i64,
    },
    /// Persist a new credential before it is used; a record of [`Command::Intend`] ends with it.
    /// Terminal: [`Event::Stored`].
    Store {
        /// This command.
        id: CommandId,
        /// Whose.
        session: SessionId,
        /// The new credential.
        grant: Arc<Grant>,
    },

    /// A service is to take over from a user's session: check that its credential works, then put the change on record,
    /// durably (fsync). Terminal: [`Event::HandedOver`].
    HandOver {
        /// This command.
        id: CommandId,
        /// The service's session.
        session: SessionId,
        /// Its credential.
        grant: Arc<Grant>,
        /// What to record.
        record: Box<HandOverRecord>,
    },

    /// Sign a request with the lease and send it. Terminal: [`Event::Replied`].
    Send {
        /// This command.
        id: CommandId,
        /// Whose credential it uses; its service is where the request goes.
        session: SessionId,
        /// Whose; `None` for a call outside any upload.
        upload: Option<UploadId>,
        /// The part whose bytes are sent, for progress.
        part: Option<u32>,
        /// What to sign with.
        lease: Lease,
        /// Server time minus local time in milliseconds, to date the request with.
        skew_ms: i64,
        /// What to send.
        request: Box<Request>,
        /// Its bytes.
        body: BodyRef,
    },
    /// Read a range of the source and compute checksums, without sending. Terminal: [`Event::Hashed`].
    Hash {
        /// This command.
        id: CommandId,
        /// Whose.
        upload: UploadId,
        /// First byte.
        offset: u64,
        /// How many.
        len: u64,
        /// Which checksums.
        wanted: Wanted,
    },
    /// Stream sources only: read the next up to `len` bytes into a buffer known by `offset`.
    /// At most one per upload is in flight. Terminal: [`Event::Filled`].
    Fill {
        /// This command.
        id: CommandId,
        /// Whose.
        upload: UploadId,
        /// Where in the object the bytes belong.
        offset: u64,
        /// How many to read; fewer only at the end of the stream.
        len: u64,
        /// Which checksums to compute over them.
        wanted: Wanted,
    },
    /// Stream sources only: the buffer at `offset` is no longer needed. No event.
    Release {
        /// Whose.
        upload: UploadId,
        /// Which.
        offset: u64,
    },
    /// Look whether the source still is what it was at the start. Terminal: [`Event::SourceChecked`].
    CheckSource {
        /// This command.
        id: CommandId,
        /// Whose.
        upload: UploadId,
    },
    /// Append a record to the upload's journal; when `id` is given, make it durable (fsync) and answer with
    /// [`Event::Recorded`]. Records are appended in the order of the commands.
    Record {
        /// This command, when an answer is wanted.
        id: Option<CommandId>,
        /// Whose.
        upload: UploadId,
        /// What.
        record: Record,
    },
    /// The upload has ended and nothing is left to resume: remove its journal. No event.
    Forget {
        /// Whose.
        upload: UploadId,
    },
    /// Stop a `Send`, `Hash` or `Fill` as soon as possible. Its terminal event still follows if it has not yet;
    /// the engine no longer cares about its content.
    Cancel {
        /// Which.
        id: CommandId,
    },
    /// The call ended. No event.
    CallDone {
        /// The id that `Engine::call` gave.
        call: CommandId,
        /// How.
        outcome: Result<Reply, Error>,
    },
}

/// What a driver tells the engine.
#[derive(Debug)]
pub enum Event {
    /// Outcome of [`Command::Load`]. `Ok(None)`: the source has no credential (yet).
    Loaded {
        /// The command.
        id: CommandId,
        /// What was read. An error of kind `SignInNeeded` or `Config` says in words what is wrong.
        result: Result<Option<Grant>, Error>,
    },
    /// Outcome of [`Command::Lock`].
    Locked {
        /// The command.
        id: CommandId,
        /// An error means the lock could not be had in time.
        result: Result<(), Error>,
    },
    /// Outcome of [`Command::Intend`].
    Intended {
        /// The command.
        id: CommandId,
        /// After an error nothing is presented: what is not recorded could be presented twice.
        result: Result<(), Error>,
    },
    /// Outcome of [`Command::Exchange`].
    Exchanged {
        /// The command.
        id: CommandId,
        /// The next credential, or why there is none.
        result: Result<Grant, ExchangeFailure>,
    },
    /// Outcome of [`Command::Store`].
    Stored {
        /// The command.
        id: CommandId,
        /// An error does not make the credential unusable; it is told to the caller.
        result: Result<(), Error>,
    },
    /// Outcome of [`Command::HandOver`].
    HandedOver {
        /// The command.
        id: CommandId,
        /// After an error the service does not take over.
        result: Result<(), Error>,
    },
    /// The service that renews a session's credential told its time (the `Date` of an answer to an exchange, whatever
    /// the answer). To be fed before [`Event::Exchanged`]: a machine whose clock is wrong learns here why it is refused.
    Dated {
        /// Whose.
        session: SessionId,
        /// The service's time.
        date: UnixMillis,
    },
    /// The session's source has changed (file watch) or a caller signed in.
    SourceTouched {
        /// Whose.
        session: SessionId,
    },
    /// Outcome of [`Command::Send`].
    Replied {
        /// The command.
        id: CommandId,
        /// The answer.
        outcome: Result<Reply, TransportFailure>,
        /// Checksums of the bytes that went out, when all of them did.
        sent: Option<Digests>,
    },
    /// Outcome of [`Command::Hash`].
    Hashed {
        /// The command.
        id: CommandId,
        /// Checksums, or why the source could not be read.
        result: Result<Digests, Error>,
    },
    /// Outcome of [`Command::Fill`].
    Filled {
        /// The command.
        id: CommandId,
        /// Bytes now in the buffer; fewer than asked for means the stream has ended.
        result: Result<Filled, Error>,
    },
    /// Outcome of [`Command::CheckSource`].
    SourceChecked {
        /// The command.
        id: CommandId,
        /// What it is now; an error if it cannot be read any more.
        result: Result<SourceIdentity, Error>,
    },
    /// Outcome of a [`Command::Record`] with an id.
    Recorded {
        /// The command.
        id: CommandId,
        /// An error stops the upload: without a journal it could not be resumed.
        result: Result<(), Error>,
    },
    /// Bytes of a part went out (not yet acknowledged). Advisory, for progress and the forecast.
    Progressed {
        /// The `Send` command.
        id: CommandId,
        /// Bytes since the last such event.
        bytes: u64,
    },
}

/// A hand-over as it stands on record. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOverRecord {
    /// When, by the local clock.
    pub at: UnixMillis,
    /// On whose behalf.
    pub principal: String,
    /// The name of the credential that executes from now on.
    pub credential: String,
    /// The user's session.
    pub session: SessionId,
    /// What is under way under it: `upload NAMESPACE/BUCKET/OBJECT`, `job NAME`.
    pub work: Vec<String>,
    /// `will-outlive-session` or `session-ended`.
    pub reason: &'static str,
    /// When the job is expected to end.
    pub estimate: Option<UnixMillis>,
    /// When the user's session ends, or ended.
    pub horizon: Option<UnixMillis>,
}

/// What a stream read gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Bytes in the buffer.
    pub len: u64,
    /// Their checksums.
    pub digests: Digests,
}

/// Why an exchange gave no credential.
#[derive(Clone, Debug)]
pub struct ExchangeFailure {
    /// What to make of it.
    pub class: ExchangeClass,
    /// In words.
    pub error: Error,
    /// The service's delay, if it named one.
    pub retry_after: Option<Duration>,
}

/// What to make of a failed exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeClass {
    /// The service refuses for good: what was asked with is never asked with again, only a person can get a new one.
    Refused,
    /// The same, and the service says that the refresh token had been used before.
    Reused,
    /// The service refuses who asks (a client's secret, a scope, a grant type): what was asked with is as good as before,
    /// somebody has to mend the configuration.
    Misconfigured,
    /// Nothing was sent: try again while there is time.
    NotSent,
    /// Passing trouble, and the service did not act: try again while there is time.
    Transient,
    /// The answer was lost: whether the service acted is unknown.
    Ambiguous,
}

/// What a caller is told. Progress is not a notice: read it when you want it.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A session got its first or next credential.
    Refreshed {
        /// Whose.
        session: SessionId,
        /// The new generation.
        generation: Generation,
        /// How it came.
        how: Renewal,
        /// Its end.
        expires_at: Option<UnixMillis>,
    },
    /// A request was refused with 401; told once per generation.
    Rejected {
        /// Whose.
        session: SessionId,
        /// The refused generation.
        generation: Generation,
    },
    /// A refresh failed; the current credential is still in use.
    RefreshFailed {
        /// Whose.
        session: SessionId,
        /// Why.
        error: Error,
        /// When the next attempt is made.
        retry_in: Duration,
    },
    /// A refresh answered 200 without moving the end: the session cannot be extended beyond it.
    HorizonLearned {
        /// Whose.
        session: SessionId,
        /// The end.
        horizon: UnixMillis,
    },
    /// The chain of refresh tokens has ended; the current credential serves to its own end.
    ChainEnded {
        /// Whose.
        session: SessionId,
        /// Why.
        reason: ChainEnd,
        /// In words, and what to do.
        error: Error,
    },
    /// The credential ends soon and nothing on hand can extend it.
    Expiring {
        /// Whose.
        session: SessionId,
        /// Its end.
        expires_at: UnixMillis,
    },
    /// At the present rate the upload (or job) ends after the session does.
    WillOutliveSession {
        /// The session it uses.
        session: SessionId,
        /// Which; `None`: a job that moves its bytes itself ([`Engine::expect`](super::Engine::expect)).
        upload: Option<UploadId>,
        /// When it is expected to end.
        estimate: UnixMillis,
        /// When the session ends.
        horizon: UnixMillis,
    },
    /// From now on a service's credential executes on behalf of the user, whose session does not last.
    HandedOver {
        /// The user's session.
        session: SessionId,
        /// The name of the service's credential.
        credential: String,
        /// On whose behalf.
        principal: String,
        /// When the job is expected to end, if that was the reason.
        estimate: Option<UnixMillis>,
        /// When the user's session ends, if known.
        horizon: Option<UnixMillis>,
    },
    /// The session is unusable until somebody signs in; uploads wait.
    Parked {
        /// Whose.
        session: SessionId,
        /// Why, and what to do.
        error: Error,
        /// Until when it waits; `None` without limit.
        until: Option<UnixMillis>,
    },
    /// The session is usable again.
    Resumed {
        /// Whose.
        session: SessionId,
    },
    /// Server and local clock differ; requests are dated by the server's.
    ClockSkew {
        /// Server minus local, milliseconds.
        skew_ms: i64,
    },
    /// The upload has its id and plan.
    Started {
        /// Which.
        upload: UploadId,
        /// The service's id; `None` for a single put.
        upload_id: Option<String>,
        /// Number of parts; 0 while a stream's length is unknown.
        parts: u32,
        /// Size of all parts but the last, bytes.
        part_size: u64,
        /// Parts found stored by an earlier run (still to be checked).
        found: u32,
    },
    /// A part is on its way.
    PartStarted {
        /// Which.
        upload: UploadId,
        /// Part number, from 1.
        part: u32,
        /// The credential it uses.
        generation: Generation,
    },
    /// A part is stored and its checksums agree.
    PartStored {
        /// Which.
        upload: UploadId,
        /// Part number, from 1.
        part: u32,
        /// Bytes.
        size: u64,
        /// Stored by an earlier run, not sent again.
        reused: bool,
    },
    /// A part or control request is tried again.
    Retrying {
        /// Which.
        upload: UploadId,
        /// Part number; `None` for a control request.
        part: Option<u32>,
        /// Why.
        error: Error,
        /// Failures so far.
        failures: u32,
        /// The wait.
        retry_in: Duration,
    },
    /// A part was refused with 401 and waits for the next credential; it costs no retry.
    PartHeld {
        /// Which.
        upload: UploadId,
        /// Part number.
        part: u32,
        /// The refused generation.
        generation: Generation,
    },
    /// Something that deserves a line but changes nothing.
    Remark {
        /// Which.
        upload: Option<UploadId>,
        /// The line.
        text: String,
    },
    /// The upload was paused or resumed by the caller.
    Paused {
        /// Which.
        upload: UploadId,
        /// True when paused.
        paused: bool,
    },
    /// The upload has ended.
    Finished {
        /// Which.
        upload: UploadId,
        /// How.
        result: Result<Box<super::upload::Outcome>, Error>,
        /// After a failure: the same call, made again, goes on where this one stopped.
        resumable: bool,
    },
}

/// How a credential came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Read from the source: first load, or somebody else refreshed or signed in.
    Reloaded,
    /// Refreshed by us.
    Exchanged,
}
