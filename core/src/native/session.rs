//! A session as a caller holds it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::client::Client;
use super::clock;
use super::endpoint::Endpoint;
use super::message::Message;
use super::published::{Found, Published};
use super::reply;
use super::source::SourceSpec;
use super::vault::VaultKey;
use crate::engine::SessionId;
use crate::engine::chain::ChainProfile;
use crate::engine::credential::{Credential, Generation, Lease};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::session::SessionStatus;
use crate::engine::sessions_file::SessionDef;
use crate::engine::sign::{SignedHeaders, authorize};
use crate::engine::wire::{Coverage, Method, Request, Service};

/// Base URLs of the services that a session is used with.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Object Storage, for example `https://objectstorage.us-phoenix-1.oraclecloud.com`; a path prefix is allowed.
    pub storage: String,
    /// The auth service, where tokens are refreshed, for example `https://auth.us-phoenix-1.oraclecloud.com`.
    pub auth: String,
}

/// What a session is made of.
#[derive(Clone, Debug)]
pub struct SessionSpec {
    /// Where its credentials come from.
    pub source: SourceSpec,
    /// Where its requests go.
    pub endpoints: Endpoints,
    /// How long callers wait, parked, for somebody to sign in. Zero: fail at once.
    pub wait_for_login: Duration,
    /// Refresh even when nobody asks. An upload in progress and a [`Hold`] imply it.
    pub timer: bool,
}

/// A service's credential that takes over when a user's session does not last ([`Client::service`]).
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// Where its credentials come from.
    pub source: SourceSpec,
    /// Its name, for notices and the record; not a secret.
    pub credential: String,
    /// On whose behalf it acts, for the record.
    pub principal: String,
    /// The record: one JSON object a line is appended and made durable before the service acts. Made with mode 0600.
    pub audit: std::path::PathBuf,
}

/// A credential that is kept alive. Clones are the same session; it ends with the last of them and its uploads.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    id: SessionId,
    client: Client,
    storage: Endpoint,
    auth: Endpoint,
    published: Arc<Published>,
    /// What means "expired" here.
    chain: ChainProfile,
    defined: Option<Definition>,
}

/// A session of the sessions file, and the caller's key of the vault.
pub(super) type Definition = (SessionDef, Option<VaultKey>);

/// Headers for one request that the caller sends itself.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The generation they use: name it in [`Session::reject`] when the service answers 401.
    pub generation: Generation,
    /// Names in lower case, in the order in which they are to be sent; a signature's `authorization` is last.
    pub headers: Vec<(String, Secret<String>)>,
}

impl Session {
    pub(crate) fn new(
        id: SessionId,
        client: Client,
        (storage, auth): (Endpoint, Endpoint),
        published: Arc<Published>,
        chain: ChainProfile,
        defined: Option<Definition>,
    ) -> Self {
        Session(Arc::new(Inner { id, client, storage, auth, published, chain, defined }))
    }

    /// What the sessions file says of it, if it is of that file.
    pub(super) fn defined(&self) -> Option<&Definition> {
        self.0.defined.as_ref()
    }

    /// Its number in notices.
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// The client it belongs to.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn auth(&self) -> &Endpoint {
        &self.0.auth
    }

    pub(crate) fn storage(&self) -> &Endpoint {
        &self.0.storage
    }

    /// The right to send one request now; waits for a refresh, and parked as long as `wait_for_login` says.
    ///
    /// Cost: while the credential is good neither a lock nor an allocation.
    /// Errors: `SignInNeeded` or `Auth` when there will be none, `Network` when the auth service stays away.
    /// Cancel: dropping the future forgets the wait; a refresh that is under way goes on.
    pub async fn lease(&self) -> Result<Lease, Error> {
        match self.standing() {
            Some(lease) => Ok(lease),
            None => self.ask_lease().get().await,
        }
    }

    /// [`Session::lease`], blocking the thread at most `timeout`.
    ///
    /// Errors: also `Timeout`.
    pub fn lease_blocking(&self, timeout: Duration) -> Result<Lease, Error> {
        match self.standing() {
            Some(lease) => Ok(lease),
            None => {
                self.ask_lease().wait_timeout(timeout).unwrap_or_else(|| Err(waited(timeout, "a credential")))
            }
        }
    }

    fn standing(&self) -> Option<Lease> {
        self.peek(Lease::clone)
    }

    /// What `read` makes of the current lease, without a copy of it; `None`: it is not fresh, ask for one.
    ///
    /// Cost: one cheap clock, neither a lock nor an allocation. `read` must not block.
    pub fn peek<T>(&self, read: impl FnOnce(&Lease) -> T) -> Option<T> {
        match self.0.published.find(read) {
            Found::Fresh(made) => Some(made),
            Found::Due(made) => {
                // Nobody waits for this: it is asked for so that a lazy session renews.
                drop(self.ask_lease());
                Some(made)
            }
            Found::Nothing => None,
        }
    }

    fn ask_lease(&self) -> reply::Answer<Lease> {
        let (promise, answer) = reply::pair();
        self.0.client.send(Message::Lease { session: self.0.id, promise });
        answer
    }

    /// Asks the service for the next credential now, whatever the windows say. Another process that has done so in
    /// this moment counts too.
    ///
    /// Errors: why there is none; the current credential stays in use as long as it lives.
    /// Cancel: dropping the future does not stop the refresh.
    pub async fn refresh(&self) -> Result<SessionStatus, Error> {
        self.ask_refresh().get().await
    }

    /// [`Session::refresh`], blocking the thread at most `timeout`.
    ///
    /// Errors: also `Timeout`.
    pub fn refresh_blocking(&self, timeout: Duration) -> Result<SessionStatus, Error> {
        self.ask_refresh().wait_timeout(timeout).unwrap_or_else(|| Err(waited(timeout, "the refresh")))
    }

    fn ask_refresh(&self) -> reply::Answer<SessionStatus> {
        let (promise, answer) = reply::pair();
        self.0.client.send(Message::Refresh { session: self.0.id, promise });
        answer
    }

    /// A look at the session. Returns at once; it does not load or refresh anything.
    ///
    /// Errors: `Cancelled` when the client is closed.
    pub fn status(&self) -> Result<SessionStatus, Error> {
        let (promise, answer) = reply::pair();
        self.0.client.send(Message::Status { session: self.0.id, promise });
        answer.wait()
    }

    /// Waits until the first credential has been read, or could not be.
    ///
    /// Errors: `Timeout`; what is wrong with the source is in [`SessionStatus::last_error`] and in [`Session::lease`].
    pub fn wait_loaded(&self, timeout: Duration) -> Result<SessionStatus, Error> {
        let (promise, answer) = reply::pair();
        self.0.client.send(Message::Loaded { session: self.0.id, promise });
        answer.wait_timeout(timeout).unwrap_or_else(|| Err(waited(timeout, "the credential to be read")))
    }

    /// Keeps the session alive while nothing is sent, until the guard is dropped.
    pub fn hold(&self) -> Hold {
        self.0.client.send(Message::Hold(self.0.id));
        Hold(self.clone())
    }

    /// A request sent with `generation` was answered with 401. A late answer for an older generation does no harm.
    pub fn reject(&self, generation: Generation) {
        self.0.published.withdraw(generation);
        self.0.client.send(Message::Reject(self.0.id, generation));
    }

    /// A request sent with `generation` was answered with something other than 401.
    pub fn accept(&self, generation: Generation) {
        self.0.client.send(Message::Accept(self.0.id, generation));
    }

    /// A request sent with `generation` was answered with this status and body (its beginning is enough). True: the
    /// credential has ended, by the provider's table (401 always; others say it by 403, or by words); take another lease and
    /// send the request again. Calls [`Session::reject`] or [`Session::accept`].
    ///
    /// A refusal that goes on under a credential that has just been renewed ends in an error of [`Session::lease`].
    pub fn answered(&self, generation: Generation, status: u16, body: &[u8]) -> bool {
        let refused = self.0.chain.means_expired(status, body);
        if refused {
            self.reject(generation);
        } else {
            self.accept(generation);
        }
        refused
    }

    /// The source has changed or somebody signed in: look now. File changes are noticed without this.
    pub fn touch(&self) {
        self.0.client.send(Message::Touch(self.0.id));
    }

    /// Signs a request of [`crate::engine::wire`] for the storage endpoint, dated now.
    ///
    /// Errors: as [`authorize`].
    pub fn sign(&self, lease: &Lease, request: &Request) -> Result<SignedHeaders, Error> {
        let endpoint = &self.0.storage;
        let request = Request { target: endpoint.full_target(&request.target), ..request.clone() };
        let date = clock::wall().offset(self.0.published.skew_ms());
        authorize(&request, endpoint.host(), date, &lease.grant.credential)
    }

    /// Authorises a request that the caller sends itself, to any service that takes this credential: signs it, or gives
    /// the headers that carry the bearer token.
    ///
    /// Shape: with `body`, its length, type and SHA-256 are covered too, and `content_type` is needed. Without it (and
    /// for the bytes of a put or part, which these services leave outside the signature) date, target and host are.
    /// The target is signed as it stands in `url`; send it unchanged.
    /// Errors: `InvalidInput` (URL, or body without type).
    pub fn sign_url(
        &self,
        lease: &Lease,
        method: Method,
        url: &str,
        content_type: Option<&str>,
        body: Option<&[u8]>,
    ) -> Result<Signed, Error> {
        let invalid = |message: &str| Error::new(ErrorKind::InvalidInput, message);
        let scheme = url.find("://").ok_or_else(|| invalid("the URL must begin with https://"))?;
        let path = url[scheme + 3..].find(['/', '?', '#']).map_or(url.len(), |at| at + scheme + 3);
        let endpoint = Endpoint::parse(&url[..path], self.0.client.options().allow_http)?;
        let target = if path == url.len() { "/" } else { &url[path..] };
        endpoint.url(target)?;
        if let Credential::Bearer(bearer) = &lease.grant.credential {
            return Ok(Signed { generation: lease.generation, headers: bearer.headers().to_vec() });
        }
        let mut headers = Vec::new();
        if body.is_some() {
            let content_type = content_type.ok_or_else(|| invalid("a signed body needs a content type"))?;
            headers.push(("content-type", content_type.to_owned()));
        }
        let request = Request {
            method,
            service: Service::Storage,
            target: target.to_owned(),
            headers,
            metadata: Vec::new(),
            json: body.map(<[u8]>::to_vec).unwrap_or_default(),
            coverage: if body.is_some() { Coverage::HeadAndBody } else { Coverage::Head },
        };
        let date = clock::wall().offset(self.0.published.skew_ms());
        let signed = authorize(&request, endpoint.host(), date, &lease.grant.credential)?;
        let headers = signed.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Signed { generation: lease.generation, headers })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.0.id).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.client.send(Message::DropSession(self.id));
    }
}

/// Keeps a session alive while idle; dropping it ends that.
#[derive(Debug)]
pub struct Hold(Session);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.0.client.send(Message::Release(self.0.0.id));
    }
}

fn waited(timeout: Duration, what: &str) -> Error {
    Error::new(ErrorKind::Timeout, format!("{what} did not come within {} s", timeout.as_secs_f32()))
}
