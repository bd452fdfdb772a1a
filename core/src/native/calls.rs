//! Single requests besides uploads: each is signed, refused once and again, retried as the engine sees fit.
//!
//! Every call has a form to be awaited on any executor and one that blocks the thread. Both end when the session
//! has no more credential to give, or after five attempts.

use super::client::Client;
use super::message::Message;
use super::reply::{self, Answer};
use super::session::Session;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::upload::spec::{CustomerKey, Target};
use crate::engine::wire::oci::{self, ObjectFacts, Operation, Page, UploadEntry};
use crate::engine::wire::{Reply, Request};

/// Uploads per page: an entry may hold several KiB of escaped name, and a page must stay below the cap on replies.
const PAGE: u32 = 100;
/// Pages read at most, against a server that always names another.
const MOST_PAGES: usize = 1000;

impl Client {
    fn call(&self, session: &Session, operation: Operation, request: Request) -> Answer<Reply> {
        let (promise, answer) = reply::pair();
        self.send(Message::Call { session: session.id(), operation, request: Box::new(request), promise });
        answer
    }

    /// The tenancy's Object Storage namespace.
    ///
    /// Errors: of the request (`SignInNeeded`, `Auth`, `Network`, `Service` …), `Protocol` for a strange answer.
    pub async fn namespace(&self, session: &Session) -> Result<String, Error> {
        oci::parse_namespace(&self.call(session, Operation::Namespace, oci::namespace()).get().await?)
    }

    /// [`Client::namespace`], blocking the thread.
    pub fn namespace_blocking(&self, session: &Session) -> Result<String, Error> {
        oci::parse_namespace(&self.call(session, Operation::Namespace, oci::namespace()).wait()?)
    }

    /// Looks whether a bucket is there and may be seen.
    ///
    /// Errors: `NotFound` when it is not, which the service also says to those who may not see it.
    pub async fn check_bucket(&self, session: &Session, namespace: &str, bucket: &str) -> Result<(), Error> {
        self.call(session, Operation::Bucket, oci::bucket(namespace, bucket)).get().await.map(drop)
    }

    /// [`Client::check_bucket`], blocking the thread.
    pub fn check_bucket_blocking(
        &self,
        session: &Session,
        namespace: &str,
        bucket: &str,
    ) -> Result<(), Error> {
        self.call(session, Operation::Bucket, oci::bucket(namespace, bucket)).wait().map(drop)
    }

    /// What the service says of an object; `None` when there is none. `key` for objects stored with a customer key.
    pub async fn head_object(
        &self,
        session: &Session,
        target: &Target,
        key: Option<&CustomerKey>,
    ) -> Result<Option<ObjectFacts>, Error> {
        oci::check_target(target)?;
        facts(self.call(session, Operation::Head, oci::head_object(target, key)).get().await)
    }

    /// [`Client::head_object`], blocking the thread.
    pub fn head_object_blocking(
        &self,
        session: &Session,
        target: &Target,
        key: Option<&CustomerKey>,
    ) -> Result<Option<ObjectFacts>, Error> {
        oci::check_target(target)?;
        facts(self.call(session, Operation::Head, oci::head_object(target, key)).wait())
    }

    /// All multipart uploads of a bucket that were neither committed nor aborted.
    pub async fn list_uploads(
        &self,
        session: &Session,
        namespace: &str,
        bucket: &str,
    ) -> Result<Vec<UploadEntry>, Error> {
        let mut pages = Pages::default();
        while let Some(request) = pages.next(namespace, bucket) {
            pages.add(&self.call(session, Operation::ListUploads, request).get().await?)?;
        }
        Ok(pages.found)
    }

    /// [`Client::list_uploads`], blocking the thread.
    pub fn list_uploads_blocking(
        &self,
        session: &Session,
        namespace: &str,
        bucket: &str,
    ) -> Result<Vec<UploadEntry>, Error> {
        let mut pages = Pages::default();
        while let Some(request) = pages.next(namespace, bucket) {
            pages.add(&self.call(session, Operation::ListUploads, request).wait()?)?;
        }
        Ok(pages.found)
    }

    /// Aborts a multipart upload: its parts are gone. One that is gone already is fine.
    pub async fn abort_upload(
        &self,
        session: &Session,
        target: &Target,
        upload_id: &str,
    ) -> Result<(), Error> {
        oci::check_target(target)?;
        gone(self.call(session, Operation::Abort, oci::abort(target, upload_id)).get().await)
    }

    /// [`Client::abort_upload`], blocking the thread.
    pub fn abort_upload_blocking(
        &self,
        session: &Session,
        target: &Target,
        upload_id: &str,
    ) -> Result<(), Error> {
        oci::check_target(target)?;
        gone(self.call(session, Operation::Abort, oci::abort(target, upload_id)).wait())
    }
}

fn facts(reply: Result<Reply, Error>) -> Result<Option<ObjectFacts>, Error> {
    match reply {
        Ok(reply) => Ok(Some(oci::object_facts(&reply))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn gone(reply: Result<Reply, Error>) -> Result<(), Error> {
    match reply {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The pages of a listing.
#[derive(Default)]
struct Pages {
    found: Vec<UploadEntry>,
    next: Option<String>,
    read: usize,
    ended: bool,
}

impl Pages {
    fn next(&self, namespace: &str, bucket: &str) -> Option<Request> {
        (!self.ended).then(|| oci::list_uploads(namespace, bucket, self.next.as_deref(), PAGE))
    }

    fn add(&mut self, reply: &Reply) -> Result<(), Error> {
        let Page { items, next } = oci::parse_uploads(reply)?;
        self.found.extend(items);
        self.read += 1;
        if next.is_some() && (next == self.next || self.read >= MOST_PAGES) {
            return Err(Error::new(ErrorKind::Protocol, "the list of uploads does not end"));
        }
        self.ended = next.is_none();
        self.next = next;
        Ok(())
    }
}
