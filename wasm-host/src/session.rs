//! A session as a caller holds it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use outlast_core::engine::SessionId;
use outlast_core::engine::credential::Generation;
use outlast_core::engine::secret::Secret;
use outlast_core::engine::session::SessionStatus;
use outlast_core::engine::upload::spec::{Target, UploadOptions};
use outlast_core::engine::wire::Method;
use outlast_core::{Error, ErrorKind};
use tokio::sync::{mpsc, oneshot};

use crate::bindings::sessions;
use crate::client::Client;
use crate::convert;
use crate::driver::{Message, Start, StartSource};
use crate::stop::Stop;
use crate::supplier::Credential;
use crate::upload::Upload;

/// Longest wait for a usable credential in one call into the component; the driver asks again until the caller gives up.
const SIGN_WITHIN: Duration = Duration::from_mins(1);

/// A credential that is kept alive in a component of its own. Clones are the same session; it ends with the last of them
/// and its uploads.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    id: SessionId,
    endpoint: String,
    inbox: mpsc::UnboundedSender<Message>,
    stop: Stop,
    client: Client,
}

/// A request that the caller sends itself.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The `host` header: host, and port unless it is the scheme's own.
    pub host: String,
    /// `path[?query]` exactly as it will stand on the request line.
    pub target: String,
    /// The body that the signature covers: of every POST, and of every PUT that does not send an object's bytes.
    pub body: Option<Vec<u8>>,
    /// The body's type; `application/json` if absent.
    pub content_type: Option<String>,
}

/// Headers for one request that the caller sends itself.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The generation they use: name it in [`Session::reject`] when the service answers 401.
    pub generation: Generation,
    /// Names in lower case, in the order in which they are to be sent.
    pub headers: Vec<(String, Secret<String>)>,
}

impl Session {
    pub(crate) fn new(
        id: SessionId,
        endpoint: String,
        inbox: mpsc::UnboundedSender<Message>,
        stop: Stop,
        client: Client,
    ) -> Self {
        Session(Arc::new(Inner { id, endpoint, inbox, stop, client }))
    }

    /// Its number in notices.
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// The client it belongs to.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Ends its component at once, whatever that is doing. Uploads fail and can be resumed if there is a state folder; of
    /// the session, nothing can be asked any more. To end uploads in good order, cancel them.
    pub fn stop(&self) {
        self.0.stop.stop();
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// A look at the session.
    ///
    /// Errors: `Internal` once its component was stopped.
    pub async fn status(&self) -> Result<SessionStatus, Error> {
        self.ask(Message::Status).await
    }

    /// Asks the service for the next credential now, whatever the windows say, and returns at once: the outcome is a
    /// notice.
    ///
    /// Errors: `Internal` once its component was stopped.
    pub async fn refresh(&self) -> Result<(), Error> {
        self.ask(Message::Refresh).await
    }

    /// Gives the session its next credential, unasked: somebody has signed in again. It takes the place of one that it
    /// outlasts, or that is unusable. For sessions opened with
    /// [`crate::SourceSpec::Supplied`], and with [`crate::SourceSpec::OciSession`], which takes another of its kind.
    ///
    /// Errors: `Config` (unusable key or token), `InvalidInput` (the session has another source), `Internal`.
    pub async fn supply(&self, credential: Credential) -> Result<(), Error> {
        self.ask(|promise| Message::Supply(credential, promise)).await
    }

    /// Fresh headers for one request (of a session with an access token, those that carry it); waits at most a minute for a
    /// usable credential.
    ///
    /// Errors: `Timeout` (ask again), `SignInNeeded`, `Auth`, `Config`, `InvalidInput`, `Internal`.
    pub async fn sign(&self, request: Request) -> Result<Signed, Error> {
        let request = sessions::Request {
            method: convert::method(request.method),
            host: request.host,
            target: request.target,
            body: request.body,
            content_type: request.content_type,
        };
        let signed = self.ask(|promise| Message::Sign(request, SIGN_WITHIN, promise)).await?;
        Ok(Signed {
            generation: Generation(signed.generation),
            headers: signed.headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        })
    }

    /// The current token, for services that take it as it is, and its generation; waits at most a minute for it.
    ///
    /// Errors: those of [`Session::sign`]; `InvalidInput` for an API key, which has no token.
    pub async fn token(&self) -> Result<(Generation, Secret<String>), Error> {
        let token = self.ask(|promise| Message::Token(SIGN_WITHIN, promise)).await?;
        Ok((Generation(token.generation), Secret::new(token.token)))
    }

    /// A request signed under `generation` was answered with 401. A late answer for an older generation does no harm.
    pub fn reject(&self, generation: Generation) {
        self.send(Message::Report(generation.0, 401));
    }

    /// A request signed under `generation` was answered with something other than 401.
    pub fn accept(&self, generation: Generation) {
        self.send(Message::Report(generation.0, 200));
    }

    pub(crate) async fn start(
        &self,
        source: StartSource,
        target: Target,
        options: UploadOptions,
    ) -> Result<Upload, Error> {
        let limit_rate = self.0.client.options().limit_rate;
        let start = Start { source, target, options, limit_rate };
        let (id, shared, outcome) = self.ask(|promise| Message::Start(Box::new(start), promise)).await?;
        Ok(Upload::new(id, self.clone(), shared, outcome))
    }

    pub(crate) fn send(&self, message: Message) {
        // A message that nobody will take is dropped, and with it its promise, which tells the caller.
        let _ = self.0.inbox.send(message);
    }

    async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Message,
    ) -> Result<T, Error> {
        let (promise, answer) = oneshot::channel();
        self.send(message(promise));
        let gone = || Err(Error::new(ErrorKind::Internal, "the session's thread has ended"));
        answer.await.unwrap_or_else(|_| gone())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.0.id).finish_non_exhaustive()
    }
}
