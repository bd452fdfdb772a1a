//! Where a session's credentials come from: input and output only; *when* is the engine's decision.

use std::sync::Arc;
use std::time::Duration;

use outlast_core::engine::claims::session_grant;
use outlast_core::engine::command::{ExchangeClass, ExchangeFailure};
use outlast_core::engine::credential::{Bearer, Credential, Grant};
use outlast_core::engine::secret::Secret;
use outlast_core::engine::session::SessionProfile;
use outlast_core::engine::sign::SigningKey;
use outlast_core::engine::time::UnixMillis;
use outlast_core::engine::wire::{Reply, Request, TransportFailure, auth};
use outlast_core::{Error, ErrorKind};
use zeroize::{Zeroize, Zeroizing};

use crate::bindings::exports::outlast::transfer::sessions::{self as wit};
use crate::bindings::wasi::filesystem::types::ErrorCode;
use crate::folder::{Place, words};

/// Keys and tokens have a few KiB; more is some other file, bytes.
const MAX_FILE: u64 = 256 << 10;

/// A kind of credential.
pub(crate) enum Source {
    /// The files of `oci session authenticate`.
    Files(Files),
    /// A token and its key, handed over by the host.
    Held(Grant),
    /// An API key.
    ApiKey(Grant),
    /// The host is asked for each credential; the last one that it gave.
    Supplied(Option<Grant>),
}

/// A key file and a token file.
pub(crate) struct Files {
    key: Place,
    pass_phrase: Option<Secret<String>>,
    token: Place,
    write: bool,
    /// The key as last read, with its file's text: deriving a key from a passphrase takes its time.
    known: Option<(Zeroizing<Vec<u8>>, Arc<SigningKey>)>,
    /// The token that was exchanged last: only this one may be replaced in the file.
    exchanged: Option<Secret<String>>,
}

impl Source {
    /// Errors: `Config` (key or token handed over), `InvalidInput` (a path that no opened folder holds).
    pub(crate) fn new(source: wit::Source) -> Result<Source, Error> {
        match source {
            wit::Source::Files(files) => Ok(Source::Files(Files {
                key: granted(&files.key_file)?,
                pass_phrase: files.pass_phrase.map(Secret::new),
                token: granted(&files.security_token_file)?,
                write: files.write,
                known: None,
                exchanged: None,
            })),
            wit::Source::Secret(secret) => held(secret).map(Source::Held),
            wit::Source::ApiKey(api) => api_key(api).map(Source::ApiKey),
            wit::Source::Supplied(first) => first.map(supplied).transpose().map(Source::Supplied),
        }
    }

    /// What the engine needs to know beforehand.
    pub(crate) fn profile(&self, wait_for_login: Duration) -> SessionProfile {
        let (title, can_exchange, can_sign_in) = match self {
            Source::Files(files) => (format!("the session of {}", files.token.shown()), true, true),
            Source::Held(_) => ("the session".to_owned(), true, true),
            Source::ApiKey(_) => ("the API key".to_owned(), false, false),
            Source::Supplied(_) => ("the host's session".to_owned(), true, true),
        };
        SessionProfile {
            title,
            remedy: match self {
                Source::Files(_) => "sign in again with `oci session authenticate`",
                Source::Held(_) => "sign in again and supply the new token",
                Source::ApiKey(_) => "use another key",
                Source::Supplied(_) => "supply a credential",
            }
            .to_owned(),
            can_exchange,
            can_store: matches!(self, Source::Files(files) if files.write),
            can_sign_in,
            wait_for_login,
            ..SessionProfile::default()
        }
    }

    /// Whether a failed [`Source::load`] may succeed in a moment: files are written one after the other.
    pub(crate) fn may_be_torn(&self) -> bool {
        matches!(self, Source::Files(_))
    }

    /// The credential as it is now.
    pub(crate) fn load(&mut self) -> Result<Option<Grant>, Error> {
        match self {
            Source::Files(files) => files.load().map(Some),
            Source::Held(grant) | Source::ApiKey(grant) => Ok(Some(grant.clone())),
            Source::Supplied(grant) => Ok(grant.clone()),
        }
    }

    /// Whether the host, and not a service, is asked for the next credential.
    pub(crate) fn is_supplied(&self) -> bool {
        matches!(self, Source::Supplied(_))
    }

    /// The host has a credential.
    ///
    /// Errors: `Config`, `InvalidInput` (this source takes none, or another kind).
    pub(crate) fn supply(&mut self, credential: wit::Credential) -> Result<&Grant, Error> {
        match (self, credential) {
            (Source::Supplied(grant), credential) => Ok(grant.insert(supplied(credential)?)),
            (Source::Held(grant), wit::Credential::Session(secret)) => {
                *grant = held(secret)?;
                Ok(grant)
            }
            _ => {
                let line = "only a session whose credentials the host supplies takes one, and one opened with a session token \
                            takes another of these";
                Err(Error::new(ErrorKind::InvalidInput, line))
            }
        }
    }

    /// The request that asks for the next credential.
    pub(crate) fn exchange(&mut self, held: Option<&Grant>) -> Result<Request, ExchangeFailure> {
        let Some(Credential::OciSession { token, .. }) = held.map(|grant| &grant.credential) else {
            let error = Error::new(ErrorKind::SignInNeeded, "there is no session token to refresh");
            return Err(ExchangeFailure { class: ExchangeClass::Refused, error, retry_after: None });
        };
        if let Source::Files(files) = self {
            files.exchanged = Some(token.clone());
        }
        Ok(auth::refresh(token))
    }

    /// Reads the answer.
    pub(crate) fn exchanged(
        held: &Grant,
        outcome: &Result<Reply, TransportFailure>,
    ) -> Result<Grant, ExchangeFailure> {
        let next = auth::parse_refresh(outcome)?;
        let key = held.credential.key();
        key.and_then(|key| session_grant(next.expose(), Arc::clone(key))).map_err(|error| ExchangeFailure {
            class: ExchangeClass::Ambiguous,
            error: error.during("refreshing the session"),
            retry_after: None,
        })
    }

    /// Persists a new credential.
    pub(crate) fn store(&mut self, grant: &Grant) -> Result<(), Error> {
        match self {
            Source::Files(files) => files.store(grant),
            Source::Held(held) => {
                *held = grant.clone();
                Ok(())
            }
            Source::ApiKey(_) | Source::Supplied(_) => Ok(()),
        }
    }
}

impl Files {
    fn load(&mut self) -> Result<Grant, Error> {
        // Key before token, as they are written: a new key with an old token is noticed, not the other way round.
        let pem = read(&self.key, "private key")?;
        let key = match &self.known {
            Some((text, key)) if **text == *pem => Arc::clone(key),
            _ => {
                let pass_phrase = self.pass_phrase.as_ref().map(|secret| secret.expose().as_str());
                let key = SigningKey::from_pem(&pem, pass_phrase)
                    .map_err(|error| error.during(self.key.shown()))?;
                let key = Arc::new(key);
                self.known = Some((pem, Arc::clone(&key)));
                key
            }
        };
        let token = read(&self.token, "session token")?;
        let text = std::str::from_utf8(&token).unwrap_or_default();
        if text.trim().is_empty() {
            return Err(Error::new(
                ErrorKind::SignInNeeded,
                format!(
                    "the session token {} is empty; sign in again with `oci session authenticate`",
                    self.token.shown()
                ),
            ));
        }
        session_grant(text, key).map_err(|error| error.during(self.token.shown()))
    }

    fn store(&self, grant: &Grant) -> Result<(), Error> {
        let Credential::OciSession { token, .. } = &grant.credential else { return Ok(()) };
        if !self.write || self.is_replaced() {
            return Ok(());
        }
        self.token.replace(token.expose().as_bytes()).map_err(|code| {
            Error::new(ErrorKind::State, format!("{} cannot be written: {}", self.token.shown(), words(code)))
        })
    }

    /// Whether the file holds another token than the one we exchanged: somebody has signed in meanwhile.
    fn is_replaced(&self) -> bool {
        let Some(ours) = &self.exchanged else { return false };
        let Ok(now) = read(&self.token, "session token") else { return false };
        let now = std::str::from_utf8(&now).unwrap_or_default().trim();
        // An empty file is one that is being written, or a failed write: ours is better than nothing.
        !now.is_empty() && now != ours.expose()
    }
}

fn granted(path: &str) -> Result<Place, Error> {
    let error =
        || Error::new(ErrorKind::InvalidInput, format!("{path} is in no folder that the host has opened"));
    Place::find(path).ok_or_else(error)
}

fn key(mut pem: String, pass_phrase: Option<String>) -> Result<Arc<SigningKey>, Error> {
    let pass_phrase = pass_phrase.map(Secret::new);
    let words = pass_phrase.as_ref().map(|secret| secret.expose().as_str());
    let key = SigningKey::from_pem(pem.as_bytes(), words);
    pem.zeroize();
    key.map(Arc::new)
}

fn supplied(credential: wit::Credential) -> Result<Grant, Error> {
    match credential {
        wit::Credential::Session(secret) => held(secret),
        wit::Credential::ApiKey(api) => api_key(api),
        wit::Credential::Bearer(bearer) => {
            let token_type = bearer.token_type.as_deref().unwrap_or("Bearer");
            let credential = Bearer::new(Secret::new(bearer.token), token_type)
                .map_err(|error| Error::new(ErrorKind::Config, error.to_string()))?;
            let expires_at = bearer.expires_at.map(UnixMillis);
            Ok(Grant { expires_at, ..Grant::new(Credential::Bearer(credential)) })
        }
    }
}

fn api_key(api: wit::ApiKey) -> Result<Grant, Error> {
    let key = key(api.key, api.pass_phrase)?;
    Ok(Grant::new(Credential::OciApiKey { key_id: api.key_id, key }))
}

fn held(secret: wit::SessionSecret) -> Result<Grant, Error> {
    let token = Secret::new(secret.security_token);
    session_grant(token.expose(), key(secret.key, secret.pass_phrase)?)
}

fn read(place: &Place, what: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    place.read(MAX_FILE).map(Zeroizing::new).map_err(|code| {
        let kind = if code == ErrorCode::NoEntry { ErrorKind::SignInNeeded } else { ErrorKind::Config };
        Error::new(kind, format!("the {what} {} cannot be read: {}", place.shown(), words(code)))
    })
}
