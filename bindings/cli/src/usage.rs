//! What is wrong with a command line, in one line.

use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args::Cli;
use crate::exit::Failure;

/// Turns clap's report of several lines into one that says what is wrong and what would be right.
pub(crate) fn explain(error: &clap::Error, arguments: &[OsString]) -> Failure {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(list)) => Some(list.join(", ")),
        Some(ContextValue::StyledStr(text)) => Some(text.to_string()),
        Some(ContextValue::StyledStrs(list)) => {
            Some(list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
        Some(ContextValue::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let flag = flag_of(&argument);
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let valid = text(ContextKind::ValidValue);
    let suggested = |kind| text(kind).map(|text| format!("; did you mean {text}?")).unwrap_or_default();
    let line = match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            format!("there is no flag {argument}{}", suggested(ContextKind::SuggestedArg))
        }
        ErrorKind::UnknownArgument => format!("'{argument}' is one argument too many"),
        ErrorKind::InvalidSubcommand => {
            let name = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("there is no command '{name}'{}", suggested(ContextKind::SuggestedSubcommand))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            commands(arguments)
        }
        ErrorKind::MissingRequiredArgument => format!("{} is missing", missing(&argument)),
        ErrorKind::InvalidValue if value.is_empty() => format!("{flag} needs a value"),
        ErrorKind::InvalidValue => {
            format!("{flag} cannot be '{value}'; it is one of: {}", valid.unwrap_or_default())
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("{flag} cannot be '{value}': {why}")
        }
        ErrorKind::ArgumentConflict => {
            let other = text(ContextKind::PriorArg).unwrap_or_default();
            if other == argument || other.is_empty() {
                format!("{flag} is given twice")
            } else {
                let others: Vec<&str> = other.split(", ").map(flag_of).collect();
                format!("{flag} and {} exclude each other", others.join(", "))
            }
        }
        ErrorKind::TooManyValues => format!("{flag} takes no value, so '{value}' is too much"),
        ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues | ErrorKind::NoEquals => {
            format!("{flag} needs a value")
        }
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8 text".into(),
        _ => error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    };
    Failure::usage(line)
}

/// The flag of `--part-size <MIB>`, the name of `<SHELL>`.
fn flag_of(argument: &str) -> &str {
    argument.split([' ', '=']).next().unwrap_or_default().trim_matches(['<', '>'])
}

/// What may follow the words so far.
fn commands(arguments: &[OsString]) -> String {
    let mut command = &Cli::command();
    for word in arguments.iter().skip(1) {
        match word.to_str().and_then(|word| command.find_subcommand(word)) {
            Some(sub) => command = sub,
            None => break,
        }
    }
    let names: Vec<&str> =
        command.get_subcommands().map(clap::Command::get_name).filter(|name| *name != "help").collect();
    format!("say what to do: {}; `--help` explains them", names.join(", "))
}

fn missing(list: &str) -> String {
    if let Some(group) = list.strip_prefix('<').filter(|group| group.contains('|')) {
        return format!(
            "one of {}",
            group.trim_end_matches('>').split('|').map(flag_of).collect::<Vec<_>>().join(", ")
        );
    }
    let list = list.replace("--bucket-name", "--bucket-name (-bn)");
    list.split(", ").map(|item| item.split(" <").next().unwrap_or(item)).collect::<Vec<_>>().join(" and ")
}
