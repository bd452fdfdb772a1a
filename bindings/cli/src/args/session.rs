//! The flags of `outlast session`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::connect::{ConnectArgs, OutputArgs};
use super::defined::ServiceArgs;
use super::value;

/// What to do with a session.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Show the session's state and its ends; asks no service
    Show(ShowArgs),
    /// Refresh the session once and tell whether that moved its end
    Refresh(RefreshArgs),
    /// Keep the session alive until it cannot be extended any more, rewriting its token file
    Keep(KeepArgs),
}

/// `outlast session show`
#[derive(Args, Clone, Debug)]
pub(crate) struct ShowArgs {
    /// Session of the sessions file; without it the OCI session of --profile
    pub(crate) name: Option<String>,
    /// Sessions file [default: ~/.config/outlast/sessions.conf] [env: OUTLAST_SESSIONS]
    #[arg(long, value_name = "PATH", requires = "name")]
    pub(crate) sessions_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// `outlast session refresh`
#[derive(Args, Clone, Debug)]
pub(crate) struct RefreshArgs {
    /// Session of the sessions file; without it the OCI session of --profile
    pub(crate) name: Option<String>,
    /// Sessions file [default: ~/.config/outlast/sessions.conf] [env: OUTLAST_SESSIONS]
    #[arg(long, value_name = "PATH", requires = "name")]
    pub(crate) sessions_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// `outlast session keep`
#[derive(Args, Clone, Debug)]
pub(crate) struct KeepArgs {
    /// Session of the sessions file; without it the OCI session of --profile
    pub(crate) name: Option<String>,
    /// Sessions file [default: ~/.config/outlast/sessions.conf] [env: OUTLAST_SESSIONS]
    #[arg(long, value_name = "PATH", requires = "name")]
    pub(crate) sessions_file: Option<PathBuf>,
    /// A file that is to hold a fresh token at any time, replaced in one step, mode 0600
    #[arg(long, value_name = "PATH")]
    pub(crate) write_token: Option<PathBuf>,
    /// Stop after this time: 90s, 10m, 8h [default: keep on until the session cannot be extended]
    #[arg(long = "for", value_name = "DURATION", value_parser = value::duration)]
    pub(crate) limit: Option<Duration>,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    /// When the session has ended, how long to wait for somebody to sign in again
    #[arg(long, value_name = "DURATION", value_parser = value::duration, default_value = "0")]
    pub(crate) wait_for_login: Duration,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}
