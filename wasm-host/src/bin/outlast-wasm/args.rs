//! The command line: the flags of `outlast put`, from the same definitions, and which component carries them out.

#[allow(dead_code, reason = "the outlast command prints results in more ways")]
#[path = "../../../../bindings/cli/src/args/connect.rs"]
mod connect;
#[path = "../../../../bindings/cli/src/args/put.rs"]
mod put;
#[allow(dead_code, reason = "the outlast command has more flags")]
#[path = "../../../../bindings/cli/src/args/value.rs"]
mod value;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use connect::ConnectArgs;
pub(crate) use put::{Checking, PutArgs, SumAlgorithm, Tier};
pub(crate) use value::Parallel;

/// Uploads with the Outlast component in wasmtime.
#[derive(Debug, Parser)]
#[command(
    name = "outlast-wasm",
    version,
    about = "Uploads with the Outlast component in wasmtime",
    after_help = "`outlast-wasm put` takes the flags of `outlast put`, for comparing the two in one line.",
    max_term_width = 100,
    args_override_self = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) component: ComponentArgs,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Upload a file as one object; takes the flags of `outlast put`, and the same command resumes
    #[command(override_usage = "outlast-wasm put -ns NAMESPACE -bn BUCKET --file PATH [OPTIONS]")]
    Put(Box<PutArgs>),
}

/// Which component, and where its compiled form is kept.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Component")]
pub(crate) struct ComponentArgs {
    /// The component [default: outlast.wasm beside this program] [env: OUTLAST_COMPONENT]
    #[arg(long, value_name = "PATH", global = true)]
    pub(crate) component: Option<PathBuf>,
    /// Where the compiled component is kept [default: $XDG_CACHE_HOME/outlast, else ~/.cache/outlast]
    #[arg(long, value_name = "DIR", global = true, conflicts_with = "no_cache")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Compile the component anew
    #[arg(long, global = true)]
    pub(crate) no_cache: bool,
}

/// The first flag given that the component does not carry out.
pub(crate) fn not_taken_over(args: &PutArgs) -> Option<&'static str> {
    let (connect, output) = (&args.connect, &args.output);
    let given = [
        (args.events.is_some(), "--events"),
        (args.mint_session.is_some(), "--mint-session"),
        (args.restart, "--restart"),
        // Nothing else wants --audit-log.
        (args.service_profile.is_some(), "--service-profile"),
        (output.output.is_some(), "--output"),
        (output.query.is_some(), "--query"),
        (output.raw_output, "--raw-output"),
        (connect.proxy.is_some(), "--proxy"),
        (connect.read_timeout.is_some(), "--read-timeout"),
        (connect.request_id.is_some(), "--opc-client-request-id"),
    ];
    given.into_iter().find_map(|(given, flag)| given.then_some(flag))
}
