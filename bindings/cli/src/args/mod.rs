//! The command line as clap sees it. No behaviour lives here: only names, defaults, and what help says.

mod connect;
mod defined;
mod put;
mod session;
pub(crate) mod text;
mod uploads;
mod value;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use connect::{ConnectArgs, Format, OutputArgs};
pub(crate) use defined::{LoginArgs, LogoutArgs, ServiceArgs, SessionsArgs, TokenArgs, TokenFormat};
pub(crate) use put::{Checking, PutArgs, SumAlgorithm, Tier};
pub(crate) use session::{KeepArgs, RefreshArgs, SessionCommand, ShowArgs};
pub(crate) use uploads::{AbortArgs, ListArgs, UploadsCommand};
pub(crate) use value::Parallel;

/// Uploads that outlive their tokens.
#[derive(Debug, Parser)]
#[command(
    name = "outlast",
    version,
    about = "Uploads that outlive their tokens",
    long_about = text::MAIN,
    after_long_help = text::MAIN_AFTER,
    after_help = "`outlast help COMMAND` or `outlast COMMAND --help` tell everything; `outlast demo` shows it.",
    max_term_width = 100,
    args_override_self = true
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Upload a file as one object; takes the flags of `oci os object put`
    #[command(
        override_usage = "outlast put -bn BUCKET --file PATH [OPTIONS]",
        long_about = text::PUT,
        after_long_help = text::PUT_AFTER
    )]
    Put(Box<PutArgs>),
    /// Look at a session, refresh it once, or keep it alive
    #[command(subcommand, long_about = text::SESSION, after_long_help = text::SESSION_AFTER)]
    Session(SessionCommand),
    /// Sign in to a session of the sessions file, with a browser or a code
    #[command(long_about = text::LOGIN, after_long_help = text::LOGIN_AFTER)]
    Login(Box<LoginArgs>),
    /// Revoke and forget a sign-in
    #[command(long_about = text::LOGOUT, after_long_help = text::LOGOUT_AFTER)]
    Logout(LogoutArgs),
    /// Print a fresh token or its headers, for scripts
    #[command(long_about = text::TOKEN, after_long_help = text::TOKEN_AFTER)]
    Token(TokenArgs),
    /// List or abort uploads that were begun and not finished
    #[command(subcommand, long_about = text::UPLOADS, after_long_help = text::UPLOADS_AFTER)]
    Uploads(UploadsCommand),
    /// Run the loopback cloud: object storage and session tokens on this machine, for trying things out
    #[command(long_about = text::CLOUD, after_long_help = text::CLOUD_AFTER)]
    Cloud(Box<outlast_cloud::ServeArgs>),
    /// Watch an upload outlive its tokens, a revocation and a kill: no account, no network, about half a minute
    #[command(long_about = text::DEMO, after_long_help = text::DEMO_AFTER)]
    Demo(DemoArgs),
    /// Print a completion script for a shell
    #[command(after_long_help = text::COMPLETIONS_AFTER)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page, or write all pages into a directory
    Man {
        /// Where to write one page per command; without it the main page goes to stdout
        dir: Option<PathBuf>,
    },
}

/// How the demonstration runs.
#[derive(Args, Clone, Debug)]
pub(crate) struct DemoArgs {
    /// Upload this file instead of one made for the occasion
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Size of the file that is made, MiB
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = value::demo_size, conflicts_with = "file")]
    pub(crate) size: u64,
    /// How long the upload is to take, by slowing the loopback cloud down
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = value::demo_seconds)]
    pub(crate) seconds: u64,
    /// Where to write the picture of the run
    #[arg(long, value_name = "PATH", default_value = "outlast-demo.svg")]
    pub(crate) svg: PathBuf,
    /// Keep the file, the stored object, the events and the profile, and say where they are
    #[arg(long)]
    pub(crate) keep: bool,
}
