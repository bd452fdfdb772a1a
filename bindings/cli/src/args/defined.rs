//! The flags of `outlast login`, `logout` and `token`: sessions of the sessions file.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::value;

/// Which sessions file, and how to get to the identity provider.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Session and connection")]
pub(crate) struct SessionsArgs {
    /// Sessions file [default: $XDG_CONFIG_HOME/outlast/sessions.conf, else ~/.config/outlast/sessions.conf] [env: OUTLAST_SESSIONS]
    #[arg(long, value_name = "PATH")]
    pub(crate) sessions_file: Option<PathBuf>,
    /// Where stored sign-ins are kept, sealed [default: $XDG_STATE_HOME/outlast, else ~/.local/state/outlast]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Allow plain http to other machines; loopback needs no leave
    #[arg(long)]
    pub(crate) allow_http: bool,
    /// Further certificate authorities (PEM)
    #[arg(long, value_name = "PATH")]
    pub(crate) cert_bundle: Option<PathBuf>,
    /// Proxy for all requests [env: HTTPS_PROXY, NO_PROXY]
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
    /// Longest time for one connection attempt, seconds [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = value::seconds)]
    pub(crate) connection_timeout: Option<u64>,
    /// Tell every request and decision on stderr; never a secret
    #[arg(long, short = 'd')]
    pub(crate) debug: bool,
}

/// Who takes over when a session of the file does not last.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ServiceArgs {
    /// A session of the sessions file that takes over when this one has ended: a service's (client_credentials, a program …);
    /// it is checked first, and the change goes into the audit log
    #[arg(long = "service", value_name = "NAME", requires = "name")]
    pub(crate) service: Option<String>,
    /// Where it is recorded who acts on whose behalf, appended as NDJSON [default: audit.ndjson in the state directory]
    #[arg(long, value_name = "FILE", requires = "service")]
    pub(crate) audit_log: Option<PathBuf>,
}

/// `outlast login`
#[derive(Args, Clone, Debug)]
pub(crate) struct LoginArgs {
    /// Session of the sessions file
    pub(crate) name: String,
    /// Sign in with a code, on any other machine
    #[arg(long, conflicts_with_all = ["no_browser", "refresh_token_file"])]
    pub(crate) device: bool,
    /// Print the address and open no browser
    #[arg(long, conflicts_with = "refresh_token_file")]
    pub(crate) no_browser: bool,
    /// Take over a refresh token that was obtained elsewhere; - is stdin. It is used at once
    #[arg(long, value_name = "PATH")]
    pub(crate) refresh_token_file: Option<PathBuf>,
    /// FOLIO: the user's name; the password comes from --password-file
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub(crate) username: Option<String>,
    /// FOLIO: a file with the password; - is stdin
    #[arg(long, value_name = "PATH", requires = "username")]
    pub(crate) password_file: Option<PathBuf>,
    /// How long to wait for the person
    #[arg(long, value_name = "DURATION", value_parser = value::duration, default_value = "5m")]
    pub(crate) wait: Duration,
    #[command(flatten)]
    pub(crate) sessions: SessionsArgs,
}

/// `outlast logout`
#[derive(Args, Clone, Debug)]
pub(crate) struct LogoutArgs {
    /// Session of the sessions file
    pub(crate) name: String,
    /// Forget the sign-in without telling the identity provider
    #[arg(long)]
    pub(crate) local: bool,
    /// End the tokens of this job of the session, and leave the session itself alone
    #[arg(long, value_name = "JOB", conflicts_with = "local")]
    pub(crate) job: Option<String>,
    #[command(flatten)]
    pub(crate) sessions: SessionsArgs,
}

/// `outlast token`
#[derive(Args, Clone, Debug)]
pub(crate) struct TokenArgs {
    /// Session of the sessions file
    pub(crate) name: String,
    /// What to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: TokenFormat,
    /// A token of this job's own instead of the person's: taken when it is asked for first, kept until `outlast logout --job`
    #[arg(long, value_name = "JOB", conflicts_with = "service")]
    pub(crate) job: Option<String>,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    /// How long to wait for the identity provider, and for another process that is refreshing
    #[arg(long, value_name = "DURATION", value_parser = value::duration, default_value = "90s")]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) sessions: SessionsArgs,
}

/// What `outlast token` prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TokenFormat {
    /// The token alone
    #[default]
    Raw,
    /// The header lines that carry it, as `curl -H @-` reads them
    Header,
    /// Token, headers, ends
    Json,
    /// Version, AccessToken, TokenType, Expiration: what a `command` session reads
    #[value(name = "credential_process", alias = "credential-process")]
    CredentialProcess,
}
