//! The `outlast` command.
//!
//! Names and texts of the command line are in [`args`]; what it does with `oci os object put`'s flags is in [`put`].
//! Everything that keeps tokens and uploads alive is in `outlast-core`; this crate reads flags, tells people what happens
//! and turns the end into an exit code ([`exit`]).
#![forbid(unsafe_code)]
// A command is a driver: it reads clocks and has threads. They are named where they are started.
#![allow(clippy::disallowed_methods)]

mod args;
mod argv;
mod connect;
mod defined;
mod demo;
mod events;
mod exit;
mod json_input;
mod login;
mod logout;
mod man;
mod output;
mod prompt;
mod put;
mod report;
mod screen;
mod session;
mod settings;
mod signals;
mod style;
mod token;
mod uploads;
mod usage;
mod words;

use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use exit::{Code, Failure, Outcome};

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        let place =
            info.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
        let what = info.payload_as_str().unwrap_or("a defect").lines().next().unwrap_or_default().to_owned();
        let _ = writeln!(
            std::io::stderr(),
            "outlast: internal error{place}: {what}; uploads stay resumable, please report it"
        );
        std::process::exit(i32::from(Code::Failure as u8));
    }));
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.line().is_some() {
                // A closed stderr changes nothing about the end.
                let _ = writeln!(std::io::stderr(), "{failure}");
            }
            ExitCode::from(failure.code())
        }
    }
}

fn run() -> Outcome {
    let arguments = json_input::expand(argv::normalise(std::env::args_os()))?;
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            let text = error.render();
            return output::write_out(&if colourful() { text.ansi().to_string() } else { text.to_string() });
        }
        Err(error) => return Err(usage::explain(&error, &arguments)),
    };
    match cli.command {
        Command::Put(args) => put::run(&args),
        Command::Session(command) => session::run(&command),
        Command::Login(args) => login::run(&args),
        Command::Logout(args) => logout::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Uploads(command) => uploads::run(&command),
        Command::Cloud(args) => cloud(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Completions { shell } => completions(shell),
        Command::Man { dir } => man::run(dir.as_deref()),
    }
}

fn colourful() -> bool {
    style::Style::of(&std::io::stdout()).is_colourful()
}

fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "outlast", &mut text);
    output::write_out(&String::from_utf8_lossy(&text))
}

fn cloud(args: &outlast_cloud::ServeArgs) -> Outcome {
    outlast_cloud::serve(args, &mut std::io::stdout()).map_err(|error| {
        let code =
            if error.kind() == outlast_cloud::ErrorKind::Invalid { Code::Usage } else { Code::Failure };
        Failure::new(code, error.to_string())
    })
}
