//! Jobs: work that goes on when whoever began it signs out.
//!
//! A session's tokens are its person's: a sign-out ends them, and a refresh elsewhere uses them up. A job therefore takes a
//! pair of its own at its start ([`Client::job`]), keeps it alive while it runs, and has it revoked at its end, whether it
//! ends well, fails, panics or is dropped. Where the pair comes from is the session's and its provider's to say
//! (`job = …` in the sessions file; [`JobSource`] has the table). It is kept in the vault under the job's name: after a
//! crash a job of the same name goes on with it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::client::Client;
use super::message::Message;
use super::reply;
use super::session::{Hold, Session};
use super::source::JobSource;
use super::vault::VaultKey;
use super::web::Web;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::machine::Expected;
use crate::engine::sessions_file::SessionDef;

/// What a job is.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// Its name: 1 to 64 letters, digits, `.`, `_`, `-`; the same name goes on with the pair that is stored for it. It stands
    /// in notices and in the record of hand-overs, and is no secret.
    pub name: String,
    /// What is known of its end; [`Notice::WillOutliveSession`](crate::engine::Notice::WillOutliveSession) is told by it.
    pub expected: Expected,
}

/// A running job with tokens of its own.
///
/// Its session ([`Job::session`]) is used as any other: leases, uploads, a service that takes over. It is renewed on the
/// timer, also while nothing is sent. Dropping the job revokes its pair in the background; [`Job::end`] does so and tells.
pub struct Job {
    session: Session,
    hold: Option<Hold>,
    /// Whether its pair is revoked when it is dropped.
    revokes: bool,
}

impl Client {
    /// Begins a job of a session of the sessions file: takes a pair of its own, or goes on with the one that an earlier run of
    /// the same name has left.
    ///
    /// Errors: `InvalidInput` (name; the session is no such session), `Config` (it does not say how a job gets its tokens),
    /// `SignInNeeded`, `Auth`, `Network`, `Service` (no pair was to be had). Nothing is left behind then.
    /// Cancel: dropping the future ends the job that it began.
    pub async fn job(&self, session: &Session, spec: &JobSpec) -> Result<Job, Error> {
        let job = self.open_job(session, spec)?;
        job.session.lease().await?;
        Ok(job)
    }

    /// [`Client::job`], blocking the thread at most `timeout`.
    ///
    /// Errors: also `Timeout`.
    pub fn job_blocking(&self, session: &Session, spec: &JobSpec, timeout: Duration) -> Result<Job, Error> {
        let job = self.open_job(session, spec)?;
        job.session.lease_blocking(timeout)?;
        Ok(job)
    }

    fn open_job(&self, session: &Session, spec: &JobSpec) -> Result<Job, Error> {
        let (def, key) = session.defined().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "only a session of the sessions file can give a job tokens of its own",
            )
        })?;
        let place = (&*self.options().state_dir()?, self.options().allow_http);
        let source = JobSource::new(def, key.clone(), place, &spec.name, Some(session.clone()))?;
        let session = self.open_for_job(session, source)?;
        let hold = Some(session.hold());
        let job = Job { session, hold, revokes: true };
        job.tell(Message::Expect(job.session.id(), spec.name.clone(), spec.expected));
        Ok(job)
    }
}

impl Job {
    /// Its session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What is known of its end now.
    pub fn expect(&self, expected: Expected) {
        self.tell(Message::Expect(self.session.id(), String::new(), expected));
    }

    /// So many of its units are done, in all ([`Expected::Units`]); less than before changes nothing.
    pub fn advanced(&self, done: u64) {
        self.tell(Message::Advanced(self.session.id(), done));
    }

    /// Ends it: its uploads are awaited, then its pair is revoked and forgotten. True: the server was told; false: it has
    /// no way to be told, or the pair is a fork and the person or another job goes on with the grant (the last one to
    /// leave has it revoked).
    ///
    /// Errors: why it is not revoked. The pair then stays stored under the job's name: begin that job once more and end it,
    /// or call [`end_job`].
    pub async fn end(self) -> Result<bool, Error> {
        self.release().get().await
    }

    /// [`Job::end`], blocking the thread at most `timeout`.
    ///
    /// Errors: also `Timeout`; it goes on in the background then.
    pub fn end_blocking(self, timeout: Duration) -> Result<bool, Error> {
        let late = || Error::new(ErrorKind::Timeout, "the job's tokens were not revoked in time");
        self.release().wait_timeout(timeout).unwrap_or_else(|| Err(late()))
    }

    /// Leaves its pair stored: a job of the same name goes on with it, in this process or another.
    pub fn leave(mut self) {
        self.revokes = false;
        self.tell(Message::LeaveJob(self.session.id()));
    }

    fn release(mut self) -> reply::Answer<bool> {
        let (promise, answer) = reply::pair();
        self.finish(Some(promise));
        answer
    }

    fn finish(&mut self, promise: Option<reply::Promise<bool>>) {
        self.hold = None;
        if std::mem::take(&mut self.revokes) {
            self.tell(Message::EndJob(self.session.id(), promise));
        }
    }

    fn tell(&self, message: Message) {
        self.session.client().send(message);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.finish(None);
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Revokes and forgets the pair that a job has left (by [`Job::leave`], or by being killed). `Ok(None)`: there is none; else
/// whether the server was told.
///
/// Errors: as [`Job::end`], and as [`JobSource::new`].
pub fn end_job(
    def: &SessionDef,
    key: Option<VaultKey>,
    state_dir: &Path,
    allow_http: bool,
    name: &str,
    web: &Web,
) -> Result<Option<bool>, Error> {
    JobSource::new(def, key, (state_dir, allow_http), name, None)?.end(web)
}
