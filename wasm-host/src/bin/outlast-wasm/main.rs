//! `outlast-wasm put`: what `outlast put` does, done by the component in wasmtime, for comparing the two in one line.
//!
//! Flags, settings, exit codes and results are those of `bindings/cli`, from the same files.
#![deny(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "a host is where clocks come from")]

mod args;
#[path = "../../../../bindings/cli/src/argv.rs"]
mod argv;
mod connect;
#[allow(unreachable_patterns, reason = "the outlast command has more commands")]
#[path = "../../../../bindings/cli/src/put/defaults.rs"]
mod defaults;
#[allow(dead_code, reason = "the outlast command has more ways to end")]
#[path = "../../../../bindings/cli/src/exit.rs"]
mod exit;
#[path = "../../../../bindings/cli/src/json_input.rs"]
mod json_input;
#[allow(dead_code, reason = "the outlast command looks at objects beforehand")]
#[path = "../../../../bindings/cli/src/put/plan.rs"]
mod plan;
mod put;
#[path = "../../../../bindings/cli/src/settings.rs"]
mod settings;
#[path = "../../../../bindings/cli/src/put/told.rs"]
mod told;
#[path = "../../../../bindings/cli/src/usage.rs"]
mod usage;
#[allow(dead_code, reason = "the outlast command has more to tell")]
#[path = "../../../../bindings/cli/src/words.rs"]
mod words;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use args::{Cli, Command};
use exit::Outcome;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(line) = failure.line() {
                eprintln!("outlast-wasm: {line}");
            }
            ExitCode::from(failure.code())
        }
    }
}

fn run() -> Outcome {
    // A component cannot say who may read what it writes, and it writes tokens.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let list = json_input::expand(argv::normalise(std::env::args_os()))?;
    let cli = match Cli::try_parse_from(&list) {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            error.exit()
        }
        Err(error) => return Err(usage::explain(&error, &list)),
    };
    let Command::Put(args) = cli.command;
    put::run(&args, &cli.component)
}
