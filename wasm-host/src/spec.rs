//! What sessions are made of, by the names of `core::native`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use outlast_core::engine::config::Endpoint;
use outlast_core::engine::secret::Secret;
use outlast_core::{Error, ErrorKind};

use crate::bindings::sessions;
use crate::grants::{Folder, Grants};
use crate::supplier::Supplier;

/// Base URLs of the services that a session is used with. They are all that the component can reach.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Object Storage, for example `https://objectstorage.us-phoenix-1.oraclecloud.com`; a path prefix is allowed.
    pub storage: String,
    /// The auth service, where tokens are refreshed, for example `https://auth.us-phoenix-1.oraclecloud.com`.
    pub auth: String,
}

/// Where a session's credentials come from. The component gets what is named here and no other secret.
#[derive(Clone, Debug)]
pub enum SourceSpec {
    /// The files of `oci session authenticate`. The component gets the folders that hold them, which should hold nothing
    /// else; writable if a refreshed token is to be written back.
    OciSessionFiles {
        /// Private key (PEM).
        key_file: PathBuf,
        /// Its passphrase, if it is encrypted; one that is not needed does no harm.
        key_passphrase: Option<Secret<String>>,
        /// Session token.
        token_file: PathBuf,
        /// Whether a refreshed token is written back, so that other programs have it too.
        write: bool,
    },
    /// A session token and its key, handed over: the component gets no folder for them.
    OciSession(SessionSecret),
    /// An API key, handed over: does not expire, cannot be renewed.
    OciApiKey {
        /// `<tenancy ocid>/<user ocid>/<fingerprint>`
        key_id: String,
        /// The user's key (PEM).
        key: Secret<String>,
        /// Its passphrase, if it is encrypted.
        key_passphrase: Option<Secret<String>>,
    },
    /// The application is asked for every credential, in time before the last one ends.
    Supplied(Supplier),
}

/// A session token and its key.
#[derive(Clone, Debug)]
pub struct SessionSecret {
    /// The private key (PEM).
    pub key: Secret<String>,
    /// Its passphrase, if it is encrypted.
    pub key_passphrase: Option<Secret<String>>,
    /// The session token, without `ST$`.
    pub token: Secret<String>,
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
}

impl SessionSpec {
    /// The contract's record, and what the component has to be granted for it.
    ///
    /// Errors: `InvalidInput` (endpoints, a file without a folder).
    pub(crate) fn wire(&self, allow_http: bool) -> Result<(sessions::SessionOptions, Grants), Error> {
        let storage = Endpoint::parse(&self.endpoints.storage, allow_http)
            .map_err(|error| error.during("storage endpoint"))?;
        let auth = Endpoint::parse(&self.endpoints.auth, allow_http)
            .map_err(|error| error.during("auth endpoint"))?;
        let mut grants = Grants::default().authority(&storage).authority(&auth);
        let source = match &self.source {
            SourceSpec::OciSessionFiles { key_file, key_passphrase, token_file, write } => {
                let key_file = absolute(key_file)?;
                let token_file = absolute(token_file)?;
                grants.add(Folder::same(parent(&key_file)?, false));
                grants.add(Folder::same(parent(&token_file)?, *write));
                sessions::Source::Files(sessions::SessionFiles {
                    key_file: text(&key_file)?,
                    pass_phrase: exposed(key_passphrase.as_ref()),
                    security_token_file: text(&token_file)?,
                    write: *write,
                })
            }
            SourceSpec::OciSession(secret) => sessions::Source::Secret(secret.wire()),
            // The thread of the session asks.
            SourceSpec::Supplied(_) => sessions::Source::Supplied(None),
            SourceSpec::OciApiKey { key_id, key, key_passphrase } => {
                sessions::Source::ApiKey(sessions::ApiKey {
                    key_id: key_id.clone(),
                    key: key.expose().clone(),
                    pass_phrase: exposed(key_passphrase.as_ref()),
                })
            }
        };
        let options = sessions::SessionOptions {
            source,
            endpoint: storage.base(),
            auth_endpoint: Some(auth.base()),
            wait_for_login_ms: Some(u64::try_from(self.wait_for_login.as_millis()).unwrap_or(u64::MAX)),
            allow_http: Some(allow_http),
        };
        Ok((options, grants))
    }
}

impl SessionSecret {
    pub(crate) fn wire(&self) -> sessions::SessionSecret {
        sessions::SessionSecret {
            key: self.key.expose().clone(),
            pass_phrase: exposed(self.key_passphrase.as_ref()),
            security_token: self.token.expose().clone(),
        }
    }
}

pub(crate) fn exposed(secret: Option<&Secret<String>>) -> Option<String> {
    secret.map(|secret| secret.expose().clone())
}

/// A path as the component will name it: absolute, links not resolved.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let failed = |why: &str| Error::new(ErrorKind::InvalidInput, format!("{}: {why}", path.display()));
    let path = std::path::absolute(path).map_err(|error| failed(&error.to_string()))?;
    // The component would refuse them: its folders have no way up.
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        return Err(failed("a path with .. in it cannot be granted"));
    }
    Ok(path)
}

/// The folder of a file.
pub(crate) fn parent(path: &Path) -> Result<&Path, Error> {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, format!("{} is not the path of a file", path.display()))
    })
}

/// A path in the component's spelling.
pub(crate) fn text(path: &Path) -> Result<String, Error> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let line = format!("{} is not UTF-8, which the component needs", path.display());
        Error::new(ErrorKind::InvalidInput, line)
    })
}
