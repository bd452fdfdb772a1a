//! The sessions file (`~/.config/outlast/sessions.conf`): which sessions there are besides OCI's, parsed into types that
//! cannot be wrong. The grammar is that of [`crate::engine::config`]'s file; what the keys mean is told in
//! `bindings/cli/SESSIONS.md`.
//!
//! Secrets are named, not written: `…_file`, `…_env` or `…_command`. A secret written into the file itself is taken when
//! the file is for its owner alone, which the reader of the file checks ([`SessionDef::has_inline_secret`]).

mod keys;
mod provider_section;
mod session_section;
mod value;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use value::{duration, split_words};

use crate::engine::config::ConfigFile;
use crate::engine::error::{Error, ErrorKind};
use crate::engine::provider::{JobGrant, Provider};
use crate::engine::secret::Secret;

/// Prefix of sections that describe a provider.
const PROVIDER_PREFIX: &str = "provider ";

/// Where relative paths and `~` lead.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The home directory.
    pub home: Option<&'a Path>,
    /// The directory of the sessions file.
    pub dir: &'a Path,
    /// Plain http to other machines is allowed.
    pub allow_http: bool,
}

/// Where a secret is.
#[derive(Clone, Debug)]
pub enum SecretRef {
    /// In the sessions file.
    Inline(Secret<String>),
    /// The content of a file; line ends behind it do not count.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// What a program prints: program and arguments, no shell.
    Command(Vec<String>),
}

/// Where the key of the vault is.
#[derive(Clone, Debug, Default)]
pub enum VaultKeyRef {
    /// The default key file, made when it is needed.
    #[default]
    Default,
    /// A key file, made when it is needed.
    File(PathBuf),
    /// An environment variable with 32 bytes in base64 or hex.
    Env(String),
    /// What a program prints (a keyring's tool, for example).
    Command(Vec<String>),
    /// The kernel's keyring of this user: gone after a restart, never on a disk.
    Keyring,
}

/// A session of the file.
#[derive(Clone, Debug)]
pub struct SessionDef {
    /// Its name: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// Its provider, with what the section changes of it.
    pub provider: Provider,
    /// Where its credentials come from.
    pub kind: Kind,
    /// How a job of this session gets tokens of its own.
    pub job: JobDef,
    /// Refresh even when nobody asks.
    pub timer: bool,
    /// Where the key of its vault is.
    pub vault_key: VaultKeyRef,
}

/// Where credentials come from.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A token endpoint.
    OAuth2(Box<OAuth2Def>),
    /// FOLIO's sign-in.
    Folio(FolioDef),
    /// A program that prints a credential.
    Command(CommandDef),
    /// A file that somebody else keeps fresh.
    File(FileDef),
}

/// A client of an authorization server.
#[derive(Clone, Debug)]
pub struct OAuth2Def {
    /// The issuer, if it is named.
    pub issuer: Option<String>,
    /// Endpoints that are named; the others come from the provider's paths or its discovery document.
    pub token_endpoint: Option<String>,
    /// See `token_endpoint`.
    pub authorization_endpoint: Option<String>,
    /// See `token_endpoint`.
    pub device_endpoint: Option<String>,
    /// See `token_endpoint`.
    pub revocation_endpoint: Option<String>,
    /// `client_id`
    pub client_id: String,
    /// How the client proves who it is.
    pub client_auth: ClientAuthDef,
    /// `scope`
    pub scope: String,
    /// `resource`, repeatable
    pub resources: Vec<String>,
    /// `audience`
    pub audience: Option<String>,
    /// How the first credential comes.
    pub grant: GrantDef,
}

/// How a client proves who it is.
#[derive(Clone, Debug)]
pub enum ClientAuthDef {
    /// It does not.
    None,
    /// `client_secret_basic`
    Basic(SecretRef),
    /// `client_secret_post`
    Post(SecretRef),
    /// `private_key_jwt`
    PrivateKeyJwt {
        /// The private key (PEM).
        key: SecretRef,
        /// `RS256`, `PS256`, `ES256`, `EdDSA`, …
        algorithm: String,
        /// `kid`
        key_id: Option<String>,
        /// The audience, if it is not the provider's default.
        audience: Option<String>,
    },
}

/// How the first credential comes.
#[derive(Clone, Debug)]
pub enum GrantDef {
    /// A person signs in (`outlast login`), with a browser or on another device; then refresh tokens.
    SignIn {
        /// Port of the loopback redirect; 0: any.
        redirect_port: u16,
        /// Path of the loopback redirect, with its slash.
        redirect_path: String,
        /// `prompt`
        prompt: String,
    },
    /// The client's own token.
    ClientCredentials,
    /// In exchange for another token.
    TokenExchange {
        /// The token that is given.
        subject: SecretRef,
        /// Its type.
        subject_type: String,
        /// The type that is wanted.
        requested_type: Option<String>,
        /// The token of the one who acts, and its type.
        actor: Option<(SecretRef, String)>,
    },
}

/// How a job gets tokens of its own.
#[derive(Clone, Debug, Default)]
pub struct JobDef {
    /// Which way, where the session has to say: what signs in by itself does so once more for a job.
    pub grant: Option<JobGrant>,
    /// The client that asks for them, if it is not the session's.
    pub client: Option<(String, ClientAuthDef)>,
    /// `scope` of the job's tokens; empty: the server's default.
    pub scope: String,
    /// The token type that is asked of an exchange.
    pub requested_type: Option<String>,
}

/// A user of FOLIO.
#[derive(Clone, Debug)]
pub struct FolioDef {
    /// Base URL of the gateway.
    pub url: String,
    /// Tenant.
    pub tenant: String,
    /// User name and password: the session signs in by itself. Without them `outlast login` asks a person.
    pub credentials: Option<(String, SecretRef)>,
    /// The login of old, whose token has no end.
    pub legacy: bool,
}

/// A program that prints a credential.
#[derive(Clone, Debug)]
pub struct CommandDef {
    /// Program and arguments; no shell.
    pub argv: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// A token file.
#[derive(Clone, Debug)]
pub struct FileDef {
    /// The file.
    pub path: PathBuf,
}

impl OAuth2Def {
    /// Whom its tokens may be sent to: issuer (or token endpoint) and client.
    pub fn origin(&self) -> String {
        let at = self.issuer.as_deref().or(self.token_endpoint.as_deref()).unwrap_or_default();
        format!("{} {}", at.trim_end_matches('/'), self.client_id)
    }
}

impl SessionDef {
    /// Whether a secret stands in the sessions file itself.
    pub fn has_inline_secret(&self) -> bool {
        let inline = |secret: &SecretRef| matches!(secret, SecretRef::Inline(_));
        match &self.kind {
            Kind::OAuth2(def) => {
                let tokens = match &def.grant {
                    GrantDef::TokenExchange { subject, actor, .. } => {
                        inline(subject) || actor.as_ref().is_some_and(|(actor, _)| inline(actor))
                    }
                    _ => false,
                };
                let proof = |proof: &ClientAuthDef| match proof {
                    ClientAuthDef::None => false,
                    ClientAuthDef::Basic(secret) | ClientAuthDef::Post(secret) => inline(secret),
                    ClientAuthDef::PrivateKeyJwt { key, .. } => inline(key),
                };
                tokens
                    || proof(&def.client_auth)
                    || self.job.client.as_ref().is_some_and(|(_, job)| proof(job))
            }
            Kind::Folio(def) => def.credentials.as_ref().is_some_and(|(_, secret)| inline(secret)),
            Kind::Command(_) | Kind::File(_) => false,
        }
    }

    /// Whom the stored chain may be sent to: it is bound to this.
    pub fn origin(&self) -> String {
        match &self.kind {
            Kind::OAuth2(def) => def.origin(),
            Kind::Folio(def) => format!("{} {}", def.url, def.tenant),
            Kind::Command(def) => def.argv.join(" "),
            Kind::File(def) => def.path.display().to_string(),
        }
    }
}

/// A parsed sessions file.
#[derive(Debug)]
pub struct SessionsFile(ConfigFile);

impl SessionsFile {
    /// Parses the text.
    ///
    /// Errors: `Config`, with the line's number.
    pub fn parse(text: &str) -> Result<SessionsFile, Error> {
        ConfigFile::parse(text).map(SessionsFile)
    }

    /// The names of the sessions, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.profiles().filter(|name| *name != "DEFAULT" && !name.starts_with(PROVIDER_PREFIX))
    }

    /// One session.
    ///
    /// Errors: `Config`, one line that names section, line and key, never a value that may be a secret.
    pub fn session(&self, name: &str, places: Places<'_>) -> Result<SessionDef, Error> {
        check_name(name)?;
        if self.0.find(name).is_none() {
            let known: Vec<&str> = self.names().take(20).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(config(format!("there is no session [{name}]; the file has {known}")));
        }
        session_section::read(&self.0, name, places)
    }
}

/// A session's name: it is part of file names.
///
/// Errors: `InvalidInput`.
pub fn check_name(name: &str) -> Result<(), Error> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 64 || name.starts_with(['.', '-']) || !name.bytes().all(legal) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "a session's name has 1 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit",
        ));
    }
    Ok(())
}

fn config(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests;
