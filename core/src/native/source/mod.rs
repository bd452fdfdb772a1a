//! Where a session's credentials come from.
//!
//! A [`Source`] does the input and output of one kind of credential: read it, lock it between processes, ask a service
//! for the next one, persist that. *When* any of this happens is the engine's decision: a source never retries,
//! never waits for a better moment and keeps no timer.

mod api_key;
mod callback;
mod command;
mod defined;
mod definition;
mod document;
mod file;
mod folio;
mod job;
mod kept;
mod oauth2;
mod session_files;
mod upst;

use std::cell::Cell;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use api_key::OciApiKey;
pub use callback::{AskHost, HostCallback};
pub use command::CommandSource;
pub use defined::{kept, source};
pub use definition::definition;
pub use file::FileSource;
pub use folio::Folio;
pub use job::JobSource;
pub(super) use job::began;
pub use kept::{Giver, Kept};
pub use oauth2::OAuth2;
pub use session_files::OciSessionFiles;
pub use upst::OciGenerateUpst;

use zeroize::Zeroize;

use super::endpoint::Endpoint;
use super::http::{Http, Outgoing};
use super::meter::Meter;
use super::options::default_state_dir;
use super::trace::{Label, Trace};
use super::vault::VaultKey;
use crate::engine::chain::{ChainProfile, Intent};
use crate::engine::command::ExchangeFailure;
use crate::engine::credential::{Credential, Grant};
use crate::engine::error::{Error, ErrorKind};
use crate::engine::secret::Secret;
use crate::engine::session::Windows;
use crate::engine::sessions_file::SessionDef;
use crate::engine::sign::SigningKey;
use crate::engine::time::UnixMillis;
use crate::engine::wire::oci::{self, Operation};
use crate::engine::wire::{Reply, Request, Service, TransportFailure, TransportKind, Verdict};

/// Longest time for one exchange, from connecting to the last byte of the answer.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// What the engine needs to know of a source beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent abilities of a source")]
pub struct Abilities {
    /// Words for messages, for example `the session of profile LAB`.
    pub title: String,
    /// What a person does to get a new credential, for example ``run `oci session authenticate` ``.
    pub remedy: String,
    /// [`Source::exchange`] can give a further credential.
    pub can_exchange: bool,
    /// It gives them from what does not end (a secret, a key, a password): when one ends says nothing of the next.
    pub mints: bool,
    /// [`Source::store`] persists new credentials where other processes read them.
    pub can_store: bool,
    /// A person can make the source usable again while we wait.
    pub can_sign_in: bool,
    /// How the provider treats the chain of refresh tokens, for sources that have one.
    pub chain: ChainProfile,
    /// When to renew.
    pub windows: Windows,
}

/// A source that can be asked for a further credential, keeps it to itself, and needs no person.
impl Default for Abilities {
    fn default() -> Self {
        Abilities {
            title: "the session".into(),
            remedy: "sign in again".into(),
            can_exchange: true,
            mints: false,
            can_store: false,
            can_sign_in: false,
            chain: ChainProfile::default(),
            windows: Windows::default(),
        }
    }
}

/// A kind of credential. Methods may block; they are called on threads made for that, never two at once per session
/// except `load`, and never while a lock of the library is held.
pub trait Source: Send + Sync {
    /// What this source can do. Called once, when the session is made.
    fn abilities(&self) -> Abilities;

    /// Reads the credential as it is now. `Ok(None)`: there is none, and that is no error (it is minted by `exchange`).
    ///
    /// Errors: `SignInNeeded` or `Config`, in words that say what is wrong.
    fn load(&self) -> Result<Option<Grant>, Error>;

    /// Takes the lock between processes; it is given back when the guard is dropped. Default: there is nothing to lock.
    ///
    /// Errors: `Busy` when `patience` ran out.
    fn lock(&self, patience: &Patience) -> Result<Box<dyn Send>, Error> {
        let _ = patience;
        Ok(Box::new(()))
    }

    /// Before a refresh token is presented that is used up by that: makes the record of it durable, beside the stored
    /// credential and bound to this very refresh token (by its hash). Without an intent, removes the record.
    /// [`Source::load`] gives the record back as `chain.intent`; [`Source::store`] of a further link ends it.
    /// Default: nothing is stored, so a crash loses the chain with its record.
    ///
    /// Errors: `State`; nothing is presented then.
    fn intend(&self, grant: &Grant, intent: Option<&Intent>) -> Result<(), Error> {
        let _ = (grant, intent);
        Ok(())
    }

    /// Asks the service for the next credential, once. `held` is what is asked with: for a source with a chain, present
    /// `chain.refresh` and give the next link ([`Chain::next`](crate::engine::chain::Chain::next)); the engine dates it.
    fn exchange(&self, held: Option<&Grant>, wire: &Wire<'_>) -> Result<Grant, ExchangeFailure>;

    /// Checks that a credential works, before a user's session is handed over to it. Default: that there is one is enough,
    /// since the service has just given it.
    ///
    /// Errors: why it does not; nothing is handed over then.
    fn check(&self, grant: &Grant, wire: &Wire<'_>) -> Result<(), Error> {
        let _ = (grant, wire);
        Ok(())
    }

    /// Persists a new credential before it is used. An error does not make it unusable; it is told to the caller.
    fn store(&self, grant: &Grant) -> Result<(), Error> {
        let _ = grant;
        Ok(())
    }

    /// A job under this source has ended for good: what it holds is revoked and forgotten. True: its server was told.
    /// Default: there is nothing to revoke.
    ///
    /// Errors: why it is not revoked; it is kept then.
    fn release(&self, wire: &Wire<'_>) -> Result<bool, Error> {
        let _ = wire;
        Ok(false)
    }

    /// Files whose change means that `load` may give something else.
    fn watch(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// Which source a session has.
#[derive(Clone)]
pub enum SourceSpec {
    /// The files of `oci session authenticate`: a key and a token that is refreshed in place.
    OciSessionFiles {
        /// Private key (PEM).
        key_file: PathBuf,
        /// Its passphrase, if it is encrypted; one that is not needed does no harm.
        key_passphrase: Option<Secret<String>>,
        /// Session token.
        token_file: PathBuf,
        /// Whether a refreshed token is written back, so that other programs have it too.
        write: bool,
        /// Words for messages, for example `the session of profile LAB`.
        title: String,
    },
    /// An API key: does not expire, cannot be renewed.
    OciApiKey {
        /// `<tenancy ocid>/<user ocid>/<fingerprint>`
        key_id: String,
        /// The user's key.
        key: Arc<SigningKey>,
    },
    /// Session tokens minted with an API key, each bound to a key of its own that never leaves memory.
    OciGenerateUpst {
        /// `<tenancy ocid>/<user ocid>/<fingerprint>`
        key_id: String,
        /// The user's key.
        key: Arc<SigningKey>,
        /// Lifetime of each token, 5 to 60.
        minutes: u32,
    },
    /// A session of the sessions file: OAuth 2.0, FOLIO, a program, a token file.
    Defined {
        /// What the file says.
        def: Box<SessionDef>,
        /// The caller's key of the vault, instead of the one that the file names.
        vault_key: Option<VaultKey>,
    },
    /// Anything else.
    Custom(Arc<dyn Source>),
}

impl SourceSpec {
    /// The source itself. `state_dir` is where locks go when they cannot be beside their files.
    pub(crate) fn open(self, state_dir: Option<PathBuf>, allow_http: bool) -> Result<Arc<dyn Source>, Error> {
        Ok(match self {
            SourceSpec::OciSessionFiles { key_file, key_passphrase, token_file, write, title } => {
                Arc::new(OciSessionFiles::new(key_file, key_passphrase, token_file, write, title, state_dir))
            }
            SourceSpec::OciApiKey { key_id, key } => Arc::new(OciApiKey::new(key_id, key)),
            SourceSpec::OciGenerateUpst { key_id, key, minutes } => {
                Arc::new(OciGenerateUpst::new(key_id, key, minutes)?)
            }
            SourceSpec::Defined { def, vault_key } => {
                let state_dir = state_dir.map_or_else(default_state_dir, Ok)?;
                source(&def, vault_key, &state_dir, allow_http)?
            }
            SourceSpec::Custom(source) => source,
        })
    }
}

impl fmt::Debug for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceSpec::OciSessionFiles { key_file, token_file, write, .. } => f
                .debug_struct("OciSessionFiles")
                .field("key_file", key_file)
                .field("token_file", token_file)
                .field("write", write)
                .finish_non_exhaustive(),
            SourceSpec::OciApiKey { key_id, .. } => {
                f.debug_struct("OciApiKey").field("key_id", key_id).finish_non_exhaustive()
            }
            SourceSpec::OciGenerateUpst { key_id, minutes, .. } => f
                .debug_struct("OciGenerateUpst")
                .field("key_id", key_id)
                .field("minutes", minutes)
                .finish_non_exhaustive(),
            SourceSpec::Defined { def, .. } => f.debug_tuple("Defined").field(&def.name).finish(),
            SourceSpec::Custom(_) => f.write_str("Custom"),
        }
    }
}

/// How long a source may wait for a lock.
#[derive(Clone, Debug)]
pub struct Patience {
    until: std::time::Instant,
    closing: Arc<AtomicBool>,
}

impl Patience {
    pub(crate) fn new(limit: Duration, closing: Arc<AtomicBool>) -> Self {
        Patience { until: std::time::Instant::now() + limit, closing }
    }

    /// Whether to stop waiting: the time is up, or the client is being closed.
    pub fn is_over(&self) -> bool {
        std::time::Instant::now() >= self.until || self.closing.load(Ordering::Relaxed)
    }
}

/// What a source sends its exchange with.
pub struct Wire<'a> {
    pub(crate) http: &'a Http,
    pub(crate) auth: &'a Endpoint,
    pub(crate) storage: &'a Endpoint,
    pub(crate) skew_ms: i64,
    pub(crate) trace: Option<&'a Trace>,
    pub(crate) runtime: &'a tokio::runtime::Handle,
    /// The service's clock, as its last answer showed it.
    pub(crate) date: Cell<Option<UnixMillis>>,
}

impl Wire<'_> {
    /// Signs a request, sends it to the auth endpoint once, and makes something of the outcome; the answer's body, which
    /// may hold a token, is wiped afterwards. Waits at most 30 s.
    pub fn ask<T>(
        &self,
        request: Request,
        credential: &Credential,
        read: impl FnOnce(&Result<Reply, TransportFailure>) -> T,
    ) -> T {
        let mut outcome = self.send(request, credential);
        let result = read(&outcome);
        if let Ok(reply) = &mut outcome {
            reply.body.zeroize();
        }
        result
    }

    /// Asks the storage endpoint for the namespace under `credential`: every user may, so only a credential that does not
    /// work is refused.
    ///
    /// Errors: why it does not work, or that nobody answers.
    pub fn check_storage(&self, credential: &Credential) -> Result<(), Error> {
        let operation = Operation::Namespace;
        let reply = self
            .send(oci::namespace(), credential)
            .map_err(|failure| failure.error.during(operation.attempt()))?;
        match oci::verdict(operation, &reply) {
            Verdict::Done => Ok(()),
            Verdict::Refused(facts) => {
                let message = format!("{}: the service refuses the credential", operation.attempt());
                Err(Error::new(ErrorKind::Auth, message).with_http(facts))
            }
            Verdict::Again(_, facts) | Verdict::UploadGone(facts) => {
                Err(Error::new(ErrorKind::Service, operation.attempt()).with_http(facts))
            }
            Verdict::Fatal(error) => Err(error),
        }
    }

    fn send(&self, request: Request, credential: &Credential) -> Result<Reply, TransportFailure> {
        let endpoint = match request.service {
            Service::Storage => self.storage,
            Service::Auth => self.auth,
        };
        let label = Label::new(&request, None, None, request.json.len() as u64);
        let meter = Arc::new(Meter::start());
        let outgoing = Outgoing {
            endpoint,
            request,
            credential,
            skew_ms: self.skew_ms,
            body: None,
            meter: Arc::clone(&meter),
        };
        let outcome = self.runtime.block_on(async {
            tokio::time::timeout(EXCHANGE_TIMEOUT, self.http.send(outgoing)).await.unwrap_or_else(|_| {
                let message = format!("the service did not answer within {} s", EXCHANGE_TIMEOUT.as_secs());
                Err(TransportFailure {
                    kind: TransportKind::Stalled,
                    error: Error::new(ErrorKind::Timeout, message),
                })
            })
        });
        if let Some(trace) = self.trace {
            trace(&label.line(&outcome, meter.elapsed()));
        }
        self.note_date(&outcome);
        outcome
    }

    pub(super) fn note_date(&self, outcome: &Result<Reply, TransportFailure>) {
        if let Some(date) = outcome.as_ref().ok().and_then(Reply::date) {
            self.date.set(Some(date));
        }
    }
}

impl fmt::Debug for Wire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("auth", &self.auth.base()).finish_non_exhaustive()
    }
}
