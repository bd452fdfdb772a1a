//! `outlast-cloud`: the loopback cloud as a process of its own, for test suites in other languages.
//!
//! Prints one line of JSON saying where it listens, then serves until its stdin closes or it is told to end.

use clap::Parser;
use std::process::ExitCode;

/// A strict loopback cloud: object storage and session tokens that live as long as you say
#[derive(Parser)]
#[command(version)]
struct Line {
    #[command(flatten)]
    args: outlast_cloud::ServeArgs,
}

fn main() -> ExitCode {
    match outlast_cloud::serve(&Line::parse().args, &mut std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("outlast-cloud: {error}");
            ExitCode::FAILURE
        }
    }
}
