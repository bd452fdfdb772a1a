//! `outlast-wasm put`: what `outlast put` does, done by the component in wasmtime, for comparing the two in one line.
#![deny(unsafe_code)]

mod args;
mod connect;
mod put;
// The same values as in `outlast put`.
#[allow(dead_code, unreachable_pub, reason = "shared with the outlast command, which has more flags")]
#[path = "../../../../bindings/cli/src/args/value.rs"]
mod value;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use outlast_core::{Error, ErrorKind};

fn main() -> ExitCode {
    let args = args::Cli::parse_from(std::env::args_os().map(long_flags));
    let args::Cli { command: args::Command::Put(args) } = args;
    match put::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("outlast-wasm: {error}");
            ExitCode::from(code(&error))
        }
    }
}

/// Two-letter short flags, which clap has not.
fn long_flags(argument: OsString) -> OsString {
    match argument.to_str() {
        Some("-ns") => "--namespace".into(),
        Some("-bn") => "--bucket-name".into(),
        _ => argument,
    }
}

/// The exit codes of `outlast`.
fn code(error: &Error) -> u8 {
    match error.kind() {
        // What the service objects to has been sent.
        ErrorKind::InvalidInput | ErrorKind::Config if error.http().is_none() => 2,
        ErrorKind::SignInNeeded => 75,
        ErrorKind::Cancelled => 130,
        _ => 1,
    }
}
