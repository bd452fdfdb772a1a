//! `outlast session`

mod defined;
mod keep;
mod refresh;
mod show;
mod write_token;

use outlast_core::engine::config::{Identity, SessionIdentity, Settings};
use serde_json::Value;

pub(crate) use show::rfc3339;

use crate::args::{OutputArgs, SessionCommand};
use crate::exit::{Failure, Outcome};
use crate::output::{self, Output};

/// Runs one of the commands.
pub(crate) fn run(command: &SessionCommand) -> Outcome {
    match command {
        SessionCommand::Show(args) => match &args.name {
            Some(name) => defined::show(name, args),
            None => show::run(args),
        },
        SessionCommand::Refresh(args) => match &args.name {
            Some(name) => defined::refresh(name, args),
            None => refresh::run(args),
        },
        SessionCommand::Keep(args) => keep::run(args),
    }
}

/// The session of a profile.
///
/// Errors: usage, for a profile with an API key.
fn session_of(settings: &Settings) -> Outcome<&SessionIdentity> {
    match &settings.identity {
        Identity::Session(session) => Ok(session),
        Identity::ApiKey(_) => Err(Failure::usage(format!(
            "profile {} signs with an API key, which has no end; give --auth security_token or the profile of a session",
            settings.profile
        ))),
    }
}

/// Prints lines for people, or the result in the format that was asked for.
fn print(args: &OutputArgs, result: &Value, lines: &str) -> Outcome {
    if args.output.is_none() && args.query.is_none() {
        return output::write_out(lines);
    }
    Output::new(args)?.print(result)
}
