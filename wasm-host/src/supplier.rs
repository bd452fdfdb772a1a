//! Credentials that the application obtains.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use outlast_core::Error;
use outlast_core::engine::secret::Secret;
use outlast_core::engine::time::UnixMillis;

use crate::bindings::sessions;
use crate::spec::{SessionSecret, exposed};

/// A credential that the application has obtained, by whatever means it has.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An OCI session token and its key, for example one that was minted for this upload.
    OciSession(SessionSecret),
    /// An API key: does not expire.
    OciApiKey {
        /// `<tenancy ocid>/<user ocid>/<fingerprint>`
        key_id: String,
        /// The user's key (PEM).
        key: Secret<String>,
        /// Its passphrase, if it is encrypted.
        key_passphrase: Option<Secret<String>>,
    },
    /// An OAuth 2.0 access token: [`crate::Session::sign`] gives the headers that carry it. Object Storage takes none.
    Bearer {
        /// The token.
        token: Secret<String>,
        /// What stands before it in the `authorization` header; `Bearer` if absent.
        token_type: Option<String>,
        /// When it ends; `None`: it is used until a service refuses it.
        expires_at: Option<UnixMillis>,
    },
}

impl Credential {
    pub(crate) fn wire(&self) -> sessions::Credential {
        match self {
            Credential::OciSession(secret) => sessions::Credential::Session(secret.wire()),
            Credential::OciApiKey { key_id, key, key_passphrase } => {
                sessions::Credential::ApiKey(sessions::ApiKey {
                    key_id: key_id.clone(),
                    key: key.expose().clone(),
                    pass_phrase: exposed(key_passphrase.as_ref()),
                })
            }
            Credential::Bearer { token, token_type, expires_at } => {
                sessions::Credential::Bearer(sessions::BearerToken {
                    token: token.expose().clone(),
                    token_type: token_type.clone(),
                    expires_at: expires_at.map(|at| at.0),
                })
            }
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Credential, Error>> + Send>>;

/// Who is asked for a session's credentials: the first one, and each further one in time before the last one ends.
///
/// Not asked twice at once. `SignInNeeded` says that only a person can get one: the session parks until
/// [`crate::Session::supply`] or [`crate::Session::refresh`]. After any other error, and when there is no answer within
/// two minutes, it asks again.
#[derive(Clone)]
pub struct Supplier(Arc<dyn Fn() -> Answer + Send + Sync>);

impl Supplier {
    /// `ask` is called on one of the client's threads, and must not block it.
    pub fn new<F>(ask: impl Fn() -> F + Send + Sync + 'static) -> Supplier
    where
        F: Future<Output = Result<Credential, Error>> + Send + 'static,
    {
        Supplier(Arc::new(move || Box::pin(ask())))
    }

    pub(crate) fn ask(&self) -> impl Future<Output = Result<Credential, Error>> + Send + 'static {
        (self.0)()
    }
}

impl fmt::Debug for Supplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Supplier").finish_non_exhaustive()
    }
}
